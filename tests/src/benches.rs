//! What the basics cost. Under `-icount` a tick is an instruction.
//!
//! Metric names and parameters are those the peers' records use, wherever the operation is one of theirs.

#![allow(unsafe_code, reason = "what is mapped here is used by address")]

use core::hint::black_box;

use unikernel::memory::{
    Attributes, FrameRange, OwnedFrame, OwnedFrames, PAGE_SIZE, PageRange, PageSize, Rights, Root,
    TemporaryMapping, VirtAddr,
};
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

/// More frames at once than the cache of a CPU holds: refilled from and drained to the buddy system.
#[unikernel::bench(metric = "frame.allocate+free", param = "cold")]
fn frame_cold(bencher: &mut Bencher) {
    assert!(probe::take_frames(1024));
    for _ in 0..20 {
        let start = bencher.ticks();
        assert!(probe::take_frames(1024));
        let end = bencher.ticks();
        bencher.record_shared(end - start, 1024);
    }
}

#[unikernel::bench(metric = "frame.allocate+free", param = "cached")]
fn frame_cached(bencher: &mut Bencher) {
    bencher.iter_batch(100, probe::cycle_frame);
}

const READ_WRITE: Rights = Rights::READ.union(Rights::WRITE);

/// Pages that benches map at.
fn bench_pages(len: u64) -> PageRange {
    PageRange::covering(VirtAddr::new(0x30_0000_0000), len * PAGE_SIZE)
        .expect("the range is canonical")
}

/// Runs `bench` with frames for `len` pages, while a page behind them keeps the table alive.
fn with_table(len: u32, bench: impl FnOnce(&mut Root, FrameRange)) {
    let frames = OwnedFrames::uncleared(len).expect("there are frames");
    let neighbour = OwnedFrame::uncleared().expect("there is a frame");
    let mut kernel = Root::kernel();
    let behind = bench_pages(u64::from(len) + 1)
        .last()
        .expect("the range has pages");
    let run = FrameRange::one(neighbour.frame());
    // SAFETY: nobody else uses the page; it is unmapped below.
    unsafe { kernel.map(behind, run, Attributes::new(READ_WRITE), PageSize::Kib4) }
        .expect("nothing is mapped there");
    bench(&mut kernel, frames.frames());
    // SAFETY: nobody uses the pages.
    unsafe { kernel.release(bench_pages(u64::from(len) + 1)) }.expect("small pages need no frame");
}

#[unikernel::bench(metric = "page.map+unmap", param = "4K")]
fn map_and_unmap_a_page(bencher: &mut Bencher) {
    with_table(1, |kernel, frames| {
        let page = bench_pages(1).start();
        bencher.iter_batch(10, || {
            // SAFETY: nobody else uses the page.
            let mapped =
                unsafe { kernel.map(page, frames, Attributes::new(READ_WRITE), PageSize::Kib4) };
            // SAFETY: nobody uses the page.
            (mapped, unsafe { kernel.unmap(page) })
        });
    });
}

/// In a table that is there already: 511 of its 512 pages.
#[unikernel::bench(metric = "page.map+unmap.per_page", param = "511")]
fn map_and_unmap_many_pages(bencher: &mut Bencher) {
    with_table(511, |kernel, frames| {
        for _ in 0..100 {
            let start = bencher.ticks();
            // SAFETY: nobody else uses the pages.
            let mapped = unsafe {
                kernel.map(
                    bench_pages(1).start(),
                    frames,
                    Attributes::new(READ_WRITE),
                    PageSize::Kib4,
                )
            };
            // SAFETY: nobody uses the pages.
            let unmapped = unsafe { kernel.release(bench_pages(511)) };
            let end = bencher.ticks();
            assert!(mapped.is_ok() && unmapped == Ok(511));
            bencher.record_shared(end - start, 511);
        }
    });
}

#[unikernel::bench(metric = "page.protect.per_page", param = "511")]
fn protect_many_pages(bencher: &mut Bencher) {
    with_table(511, |kernel, frames| {
        // SAFETY: nobody else uses the pages; `with_table` unmaps them.
        unsafe {
            kernel.map(
                bench_pages(1).start(),
                frames,
                Attributes::new(READ_WRITE),
                PageSize::Kib4,
            )
        }
        .expect("they are free");
        for round in 0..100 {
            let rights = if round % 2 == 0 {
                Rights::READ
            } else {
                READ_WRITE
            };
            let start = bencher.ticks();
            // SAFETY: nobody uses the pages.
            let changed = unsafe { kernel.protect(bench_pages(511), rights) };
            let end = bencher.ticks();
            assert_eq!(changed, Ok(511));
            bencher.record_shared(end - start, 511);
        }
    });
}

#[unikernel::bench(metric = "page.translate", param = "4K")]
fn translate(bencher: &mut Bencher) {
    let kernel = Root::kernel();
    let address = VirtAddr::new(core::ptr::from_ref(&READ_WRITE).addr() as u64);
    bencher.iter_batch(10, || kernel.translate(black_box(address)));
}

#[unikernel::bench(metric = "root.create+destroy", param = "empty")]
fn create_and_destroy_a_root(bencher: &mut Bencher) {
    bencher.iter(|| drop(Root::new()));
}

/// The frame is still shown from the time before.
#[unikernel::bench(metric = "window.open+close", param = "hit")]
fn temporary_mapping_again(bencher: &mut Bencher) {
    let mut frame = OwnedFrame::uncleared().expect("there is a frame");
    bencher.iter_batch(10, || drop(TemporaryMapping::of(black_box(&mut frame))));
}

/// The slot still shows another frame.
#[unikernel::bench(metric = "window.open+close", param = "miss")]
fn temporary_mapping(bencher: &mut Bencher) {
    const SLOTS: u32 = 16;
    let mut frames: Vec<_> = (0..=SLOTS)
        .map(|_| OwnedFrame::uncleared().expect("there is a frame"))
        .collect();
    frames.sort_by_key(|frame| frame.frame().number() % SLOTS);
    let alike =
        |pair: &[OwnedFrame]| pair[0].frame().number() % SLOTS == pair[1].frame().number() % SLOTS;
    let first = frames
        .windows(2)
        .position(alike)
        .expect("17 frames have 16 homes");
    let (mut one, mut other) = (frames.remove(first), frames.remove(first));
    for _ in 0..300 {
        let start = bencher.ticks();
        for _ in 0..5 {
            drop(TemporaryMapping::of(black_box(&mut one)));
            drop(TemporaryMapping::of(black_box(&mut other)));
        }
        let end = bencher.ticks();
        bencher.record_shared(end - start, 10);
    }
}
