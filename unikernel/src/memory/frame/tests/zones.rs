//! Machines with little memory, with much, and with holes.

use std::boxed::Box;
use std::vec::Vec;

use super::super::{AllocateError, FreeError, Use, frame, number, range_of};
use super::{FramePool, TestHost, early_of, pool_of, pool_over, take_all};
use core::sync::atomic::Ordering;

const GIB: u64 = 1 << 18;

/// 64 GiB with a hole of 1 GiB below 4 GiB, as emulators and firmware lay it out.
fn large_machine() -> [core::ops::Range<u64>; 2] {
    [0x100..3 * GIB, 4 * GIB..65 * GIB]
}

/// Proves M1, M14.
#[test]
fn a_machine_of_64_gib_with_a_hole_starts_with_the_records_of_one_zone() {
    let pool = pool_of(large_machine());

    let first = pool.allocate(Use::Kernel).unwrap();

    let totals = pool.totals();
    assert_eq!(totals.total(), 64 * GIB - 0x100);
    assert_eq!(totals.used_for(Use::Records), (GIB - 0x100) * 16 / 4096);
    assert_eq!(totals.free(), totals.total() - totals.allocated());
    assert!(u64::from(number(first.frame())) < GIB);
    assert_eq!(pool.info(frame(2 << 18)), None);
}

/// Proves M6.
#[test]
fn zones_are_opened_until_there_is_a_block_that_is_large_enough() {
    let pool = pool_of(large_machine());

    let first = pool.allocate_run(1 << 18, Use::User).unwrap();

    // The first zone has less than 1 GiB, but room for the records of the second one.
    assert_eq!(number(first.frames().start()), 1 << 18);
    assert_eq!(pool.info(frame(2 << 18)), None);
    pool.check_invariants();
}

#[test]
fn a_zone_that_starts_in_the_middle_has_records_from_there() {
    let pool = pool_of([0x3_ff00..0x4_0100, 0xb_ff80..0xc_0000]);

    let frames = take_all(pool);

    // One frame of records for 256 frames or fewer.
    assert_eq!(frames.len(), 0x200 + 0x80 - 3);
    assert_eq!(pool.totals().used_for(Use::Records), 3);
    for unknown in [0x3_feff, 0x4_0100, 0xb_ff7f, 0xc_0000].map(frame) {
        assert_eq!(pool.give_back(unknown), Err(FreeError::Unmanaged(unknown)));
    }
    pool.check_invariants();
}

/// Proves M16.
#[test]
fn a_machine_without_memory_has_nothing_to_give() {
    let pool = pool_of([]);

    assert_eq!(
        pool.allocate(Use::User).unwrap_err(),
        AllocateError::OutOfFrames { wanted: 1, free: 0 }
    );
    assert_eq!(pool.totals(), super::super::Totals::default());
    pool.check_invariants();
}

/// Proves M16.
#[test]
fn a_zone_that_cannot_be_opened_now_is_opened_later() {
    let pool = pool_over(0x100..0x200);
    pool.host().refuses_records.store(true, Ordering::Relaxed);

    let refused = pool.allocate(Use::User).map(drop);
    pool.host().refuses_records.store(false, Ordering::Relaxed);

    assert_eq!(
        refused,
        Err(AllocateError::OutOfFrames {
            wanted: 1,
            free: 0x100
        })
    );
    assert!(pool.allocate(Use::User).is_ok());
    pool.check_invariants();
}

/// Proves M14.
#[test]
fn memory_above_the_last_zone_is_counted_as_reserved() {
    let end = 1024 * GIB;
    let pool = pool_of([0x100..0x200, end - 0x10..end + 0x20]);

    let totals = pool.totals();

    assert_eq!((totals.total(), totals.reserved()), (0x130, 0x20));
    assert_eq!(take_all(pool).len(), 0x110 - 2);
    pool.check_invariants();
}

/// Proves M8.
#[test]
fn a_range_can_be_reserved_before_its_zone_is_opened() {
    let pool = pool_of([0x100..0x200, GIB..GIB + 0x100]);

    let reserved = pool.reserve(range_of(1 << 18, 0x80));

    assert_eq!(reserved, Ok(0x80));
    assert_eq!(pool.totals().reserved(), 0x80);
    assert_eq!(take_all(pool).len(), 0x180 - 2);
    pool.check_invariants();
}

/// Proves M8, M3.
#[test]
fn a_range_with_a_frame_of_the_early_allocator_is_in_use() {
    let mut early = early_of(core::iter::once(0x100..0x200));
    let frames: Vec<_> = (0..3).map(|_| early.allocate(Use::Heap).unwrap()).collect();
    let pool: &FramePool = Box::leak(Box::new(FramePool::new(TestHost::default())));
    pool.take_over(early);

    let refused = pool.reserve(range_of(0x102, 0x10));

    assert_eq!(refused, Err(super::super::ReserveError::InUse(frames[2])));
    assert_eq!(pool.totals().reserved(), 0);
}

/// Proves M2: whoever maps memory that is said to be a device's can ask whose it is.
#[test]
fn the_pool_holds_what_it_hands_out_or_may_hand_out_and_nothing_else() {
    let pool = pool_of([0x100..0x200, 0x300..0x400, 0x4_0000..0x4_1000]);
    let owned = pool.allocate(Use::User).unwrap();
    let holds = |start, len| pool.holds_any(range_of(start, len));

    assert!(holds(number(owned.frame()), 1));
    assert!(holds(0x3ff, 1) && holds(0x2ff, 2) && holds(0x4_0fff, 1));
    assert!(!holds(0, 0x100) && !holds(0x200, 0x100) && !holds(0x400, 0x100));
    assert!(!holds(0x4_1000, u32::MAX - 0x4_1000));
}
