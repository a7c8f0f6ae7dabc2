//! Frames side by side, and ranges that are set aside.

use std::vec::Vec;

use super::super::{
    AllocateError, MOST_FRAMES, OwnedRun, ReserveError, State, Use, frame, number, range_of,
};
use super::{TestHost, numbers_of, on_cpu, pool_of, small_pool, take_all};

/// Proves M6.
#[test]
fn a_run_has_exactly_the_frames_asked_for_and_the_rest_stays_free() {
    for len in [1, 2, 3, 5, 31, 32, 33, 500, 1000] {
        let pool = small_pool();
        drop(pool.allocate(Use::User));
        let free = pool.totals().free();

        let run = pool.allocate_run(len, Use::User).unwrap();

        assert_eq!(run.len_frames(), len);
        assert_eq!(pool.totals().free(), free - u64::from(len));
        pool.check_invariants();
    }
}

/// Proves M6.
#[test]
fn a_run_whose_length_is_a_power_of_two_is_aligned_to_it() {
    let pool = small_pool();

    let run = pool.allocate_run(512, Use::User).unwrap();

    assert_eq!(number(run.frames().start()) % 512, 0);
}

/// Proves M6.
#[test]
fn each_frame_of_a_run_can_be_given_back_on_its_own_and_all_join_again() {
    let pool = small_pool();
    let run = pool.allocate_run(2048, Use::User).unwrap();
    let whole = run.frames();
    assert!(pool.allocate_run(2048, Use::User).is_err());

    let (even, odd): (Vec<_>, Vec<_>) =
        run.partition(|owned| number(owned.frame()).is_multiple_of(2));
    drop(even);
    pool.check_invariants();
    drop(odd);

    assert_eq!(pool.allocate_run(2048, Use::User).unwrap().frames(), whole);
    pool.check_invariants();
}

#[test]
fn frames_taken_out_of_a_run_survive_it() {
    let pool = small_pool();
    let mut run: OwnedRun<'_, TestHost> = pool.allocate_run(8, Use::User).unwrap();

    let first = run.next().unwrap();
    drop(run);

    assert_eq!(pool.totals().used_for(Use::User), 1);
    drop(first);
    pool.check_invariants();
}

/// Proves M113.
#[test]
fn a_run_can_be_zeroed() {
    let pool = small_pool();
    let taken = pool.allocate_run(16, Use::User).unwrap();
    taken.for_each(|owned| pool.write(owned.frame()));

    let run = pool.allocate_run(16, Use::User).unwrap().zeroed();

    assert!((0..16).all(|page| pool.is_zero(frame(number(run.frames().start()) + page))));
    assert_eq!(run.into_frames().len(), 16);
    assert_eq!(pool.totals().used_for(Use::User), 16);
}

/// Proves M7.
#[test]
fn up_to_n_frames_are_as_many_as_there_are_side_by_side() {
    let pool = pool_of([0x100..0x101, 0x180..0x1a0, 0x200..0x300]);

    let all = pool.allocate_up_to(0x80, Use::User).unwrap();
    let lengths = [0x1000, 0x1000, 0x1000, 0x1000].map(|len| {
        let run = pool.allocate_up_to(len, Use::User).unwrap();
        core::mem::ManuallyDrop::new(run).len_frames()
    });

    assert_eq!(all.len_frames(), 0x80);
    assert_eq!(lengths, [0x80, 0x10, 8, 4]);
    pool.check_invariants();
}

/// Proves M6, M16.
#[test]
fn a_run_that_can_never_be_is_refused_by_name() {
    let pool = small_pool();

    let wanted = MOST_FRAMES + 1;

    assert_eq!(
        pool.allocate_run(wanted, Use::User).unwrap_err(),
        AllocateError::TooLong {
            wanted,
            most: MOST_FRAMES
        }
    );
    assert_eq!(
        pool.allocate_run(0, Use::User).unwrap_err(),
        AllocateError::NoFrames
    );
}

/// Proves M6, M15.
#[test]
fn a_run_is_found_although_its_frames_lie_in_caches() {
    let pool = small_pool();
    drop(pool.allocate(Use::User));
    let frames = take_all(pool);
    for (cpu, owned) in frames.into_iter().enumerate() {
        on_cpu(cpu % 16, || drop(owned));
    }

    assert!(pool.allocate_run(2048, Use::User).is_ok());
    pool.check_invariants();
}

/// Proves M8.
#[test]
fn an_exact_range_is_reserved_whatever_blocks_it_lies_in() {
    let pool = small_pool();
    let before = pool.totals();

    let reserved = pool.reserve(range_of(0x3fd, 0x206));

    assert_eq!(reserved, Ok(0x206));
    let after = pool.totals();
    assert_eq!(after.reserved(), before.reserved() + 0x206);
    assert_eq!(after.free(), before.free() - 0x206);
    let rest = numbers_of(&take_all(pool));
    assert!((0x3fd..0x603).all(|number| !rest.contains(&number)));
    pool.check_invariants();
}

/// Proves M8.
#[test]
fn a_reservation_may_overlap_what_is_reserved_or_not_there() {
    let pool = small_pool();
    drop(pool.allocate(Use::User));
    pool.reserve(range_of(0x400, 0x10)).unwrap();

    assert_eq!(pool.reserve(range_of(0x408, 0x10)), Ok(8));
    assert_eq!(pool.reserve(range_of(0x10f0, 0x1000)), Ok(0x10));
    assert_eq!(pool.reserve(range_of(0x4000_0000, 0x1000)), Ok(0));
    pool.check_invariants();
}

/// Proves M8, M16.
#[test]
fn a_range_with_a_frame_in_use_is_not_reserved_at_all() {
    let pool = small_pool();
    let frames = take_all(pool);
    let used: Vec<_> = frames
        .into_iter()
        .filter(|owned| number(owned.frame()) == 0x500)
        .collect();
    let before = pool.totals();

    let refused = pool.reserve(range_of(0x4f0, 0x20));

    assert_eq!(refused, Err(ReserveError::InUse(frame(0x500))));
    assert_eq!(pool.totals(), before);
    assert_eq!(numbers_of(&used).len(), 1);
    pool.check_invariants();
}

/// Proves M8.
#[test]
fn frames_in_caches_can_be_reserved() {
    let pool = small_pool();
    drop(on_cpu(3, || pool.allocate(Use::User)));
    pool.fill_zeroed(50);

    let everything = pool.totals().free();

    // The first frames hold the records.
    assert_eq!(pool.reserve(range_of(0x110, 0xff0)), Ok(everything));
    assert_eq!(pool.info(frame(0x700)).unwrap().state, State::Reserved);
    pool.check_invariants();
}
