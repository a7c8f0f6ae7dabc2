//! What the basics cost. Under `-icount` a tick is an instruction.
//!
//! Metric names and parameters are those the peers' records use, wherever the operation is one of theirs.

use core::hint::black_box;

use unikernel::prelude::*;
use unikernel::test::Bencher;
use unikernel::test::probe::{self, Page};

/// Measures `operation` on two buffers of `len` bytes, in batches where it is short.
fn on_buffers(bencher: &mut Bencher, len: usize, operation: impl Fn(&mut [u8], &[u8])) {
    let mut to = vec![1u8; len];
    let from = vec![2u8; len];
    let batch = if len <= 4096 { 100 } else { 1 };
    bencher.iter_batch(batch, || operation(black_box(&mut to), black_box(&from)));
}

macro_rules! bulk_memory {
    ($($name:ident, $metric:literal, $param:literal, $len:expr, $operation:expr;)*) => {$(
        #[unikernel::bench(metric = $metric, param = $param)]
        fn $name(bencher: &mut Bencher) {
            on_buffers(bencher, $len, $operation);
        }
    )*};
}

bulk_memory! {
    memcpy_64, "memcpy", "64", 64, |to, from| to.copy_from_slice(from);
    memcpy_4k, "memcpy", "4K", 4 << 10, |to, from| to.copy_from_slice(from);
    memcpy_1m, "memcpy", "1M", 1 << 20, |to, from| to.copy_from_slice(from);
    memset_64, "memset", "64", 64, |to, _| to.fill(3);
    memset_4k, "memset", "4K", 4 << 10, |to, _| to.fill(3);
    memset_1m, "memset", "1M", 1 << 20, |to, _| to.fill(3);
}

#[unikernel::bench(metric = "clear4k", param = "4K")]
fn clear_page(bencher: &mut Bencher) {
    let mut page = Box::new(Page([1; 4096]));
    bencher.iter_batch(100, || probe::clear_page(black_box(&mut page)));
}

#[unikernel::bench(metric = "copy4k", param = "4K")]
fn copy_page(bencher: &mut Bencher) {
    let mut to = Box::new(Page([1; 4096]));
    let from = Box::new(Page([2; 4096]));
    bencher.iter_batch(100, || {
        probe::copy_page(black_box(&mut to), black_box(&from))
    });
}

/// The parameter is the peers' word for their handler; ours is a function called from the trap.
#[unikernel::bench(metric = "guard_fault.to_handler", param = "sigsegv")]
fn fault_to_handler(bencher: &mut Bencher) {
    for _ in 0..300 {
        bencher.record(probe::survive_a_fault().to_handler);
    }
}

#[unikernel::bench(metric = "guard_fault.roundtrip", param = "sigsegv")]
fn fault_roundtrip(bencher: &mut Bencher) {
    for _ in 0..300 {
        bencher.record(probe::survive_a_fault().roundtrip);
    }
}

#[unikernel::bench(metric = "frame.allocate+free", param = "cached")]
fn frame_cached(bencher: &mut Bencher) {
    bencher.iter_batch(100, probe::cycle_frame);
}
