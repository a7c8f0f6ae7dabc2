//! The heap on the machine: it grows, it says what it holds, and running out is an error.

use core::hint::black_box;

use unikernel::heap;
use unikernel::prelude::*;
use unikernel::test::probe;

#[unikernel::test]
fn a_large_vector_keeps_its_contents_while_the_heap_grows() {
    let numbers: Vec<u64> = (0..1_000_000).collect();

    assert_eq!(numbers.iter().sum::<u64>(), 499_999_500_000);
    assert!(heap::stats().reserved_bytes() >= 8_000_000);
}

#[unikernel::test]
fn what_is_dropped_is_no_longer_allocated() {
    let before = heap::stats().allocated_bytes();

    let block = black_box(vec![1u8; 100_000]);
    let during = heap::stats();
    drop(block);

    assert_eq!(during.allocated_bytes(), before + 100_000);
    assert_eq!(heap::stats().allocated_bytes(), before);
    assert!(heap::stats().peak_bytes() >= before + 100_000);
}

/// Proves M16. The heap is as usable after the refusal as before.
#[unikernel::test]
fn more_than_the_machine_has_is_an_error() {
    let free = probe::frame_counts().free;
    let mut too_much = Vec::<u8>::new();

    assert!(too_much.try_reserve_exact(1 << 38).is_err());
    assert!(too_much.try_reserve_exact(usize::MAX / 2).is_err());

    assert_eq!(
        probe::frame_counts().free,
        free,
        "what was refused took no frame"
    );
    assert_eq!(vec![7u8; 4096][4095], 7);
}

#[unikernel::test]
fn alignment_up_to_a_large_page_is_honoured() {
    #[repr(align(2097152))]
    struct LargePage(#[expect(dead_code, reason = "only its place matters")] [u8; 4096]);

    let boxed = Box::<LargePage>::new_uninit();

    assert!(boxed.as_ptr().addr().is_multiple_of(1 << 21));
}

#[unikernel::test]
fn a_growing_vector_is_never_corrupted() {
    let mut bytes = Vec::new();

    for index in 0..300_000u32 {
        bytes.push(index as u8);
        if index % 1000 == 0 {
            drop(vec![index; 100]);
        }
    }

    assert!(
        bytes
            .iter()
            .enumerate()
            .all(|(index, &byte)| byte == index as u8)
    );
}

#[unikernel::test(should_panic = "memory allocation of")]
fn an_allocation_that_cannot_fail_ends_the_test_with_its_size() {
    let _too_much = black_box(Vec::<u8>::with_capacity(1 << 38));
}
