//! Defects of the systems this one learns from, none of which may come back.

use std::vec::Vec;

use super::super::{AllocateError, CountError, FreeError, Use, frame, number};
use super::{numbers_of, pool_of, pool_over, small_pool, take_all};

/// Proves M5, M123: bitmaps sized by `end - start` with an inclusive end had no bit for the last frame of a pool of 1 modulo
/// 64, and totals were one short for each pool.
#[test]
fn pools_of_any_length_give_out_their_last_frame() {
    for len in [1, 2, 63, 64, 65, 127, 128, 129, 193, 256, 257] {
        for start in [0x100, 0x101, 0x13f] {
            // All records lie in the first range.
            let pool = pool_of([0x10..0x14, start..start + len]);
            let total = pool.totals().total();

            let numbers = numbers_of(&take_all(pool));

            assert_eq!(total, len + 4);
            let mut whole = start as u32..(start + len) as u32;
            assert!(
                whole.all(|number| numbers.contains(&number)),
                "{len} from {start:#x}"
            );
            pool.check_invariants();
        }
    }
}

/// Proves M6, M123: free and used bits were found by the middle index alone, which is right for the first 16 MiB only.
#[test]
fn frames_beyond_16_mib_of_a_zone_are_told_apart() {
    let pool = pool_over(0x100..0x4100);
    let all = take_all(pool);
    let free = pool.totals().free();

    let mut others = Vec::new();
    for owned in all {
        let low = number(owned.frame()) < 0x1000;
        if low { drop(owned) } else { others.push(owned) }
    }

    assert_eq!(free, 0);
    assert!(others.iter().all(|owned| {
        pool.claim(owned.frame())
            .map(|owned| owned.into_frame())
            .is_ok()
    }));
    pool.check_invariants();
}

/// Proves M7, M123: the allocator returned the count that was asked for, not the count that was found.
#[test]
fn the_count_of_a_bounded_run_is_the_true_one() {
    let pool = pool_over(0x100..0x110);
    drop(pool.allocate(Use::User));

    let run = pool.allocate_up_to(100, Use::User).unwrap();

    assert_eq!(run.len_frames(), run.frames().len());
    assert_eq!(
        u64::from(run.len_frames()),
        pool.totals().used_for(Use::User)
    );
    assert!(run.len_frames() < 16);
}

/// Proves M6, M123: `1 << n` overflowed for an order of 32 and more.
#[test]
fn no_length_overflows() {
    let pool = small_pool();

    for len in [1 << 19, (1 << 31) - 1, 1 << 31, (1 << 31) + 1, u32::MAX] {
        let refused = pool.allocate_run(len, Use::User).unwrap_err();
        assert!(matches!(refused, AllocateError::TooLong { wanted, .. } if wanted == len));
        assert!(pool.allocate_up_to(len, Use::User).is_err());
    }
}

/// Proves M16, M123: a request that was too large returned with the lock held.
#[test]
fn after_a_refused_run_the_pool_goes_on() {
    let pool = small_pool();

    assert!(pool.allocate_run(1 << 18, Use::User).is_err());
    assert!(pool.allocate_run(1 << 13, Use::User).is_err());
    assert!(pool.allocate_run(1 << 19, Use::User).is_err());

    assert!(pool.allocate_run(1 << 8, Use::User).is_ok());
    assert!(pool.allocate(Use::User).is_ok());
}

/// Proves M4, M10, M123: unmapping freed pages twice.
#[test]
fn a_frame_that_is_unmapped_twice_is_freed_once() {
    let pool = small_pool();
    let first = pool.allocate(Use::User).unwrap().into_entry();
    let free = pool.totals().free();

    assert_eq!(pool.remove_mapping(first), Ok(0));
    assert_eq!(
        pool.remove_mapping(first),
        Err(CountError::NotAllocated(first))
    );
    assert_eq!(pool.give_back(first), Err(FreeError::AlreadyFree(first)));

    assert_eq!(pool.totals().free(), free + 1);
}

/// Proves M69, M123: the map count was never asked, so the last owner of a page still copied it.
#[test]
fn the_last_owner_of_a_shared_frame_can_tell() {
    let pool = small_pool();
    let mine = pool.allocate(Use::User).unwrap().share();
    let theirs = mine.try_clone().unwrap();

    let mine = mine.try_into_owned().unwrap_err();
    drop(theirs);

    assert!(mine.try_into_owned().is_ok());
}

/// Proves M12, M123: the count of the zero page only rose.
#[test]
fn reserving_terabytes_behind_the_zero_frame_does_not_exhaust_its_count() {
    let pool = small_pool();
    let zero = pool.zero_frame().unwrap().frame();

    for _ in 0..100_000 {
        assert_eq!(pool.add_mapping(zero), Ok(0));
    }

    assert_eq!(pool.map_count(zero), Ok(0));
}

/// Proves M13, M123: pages were not cleared before a task saw them.
#[test]
fn what_one_task_wrote_no_other_reads() {
    let pool = small_pool();
    let secret = pool.allocate_zeroed(Use::User).unwrap();
    let name = secret.frame();
    pool.write(name);
    drop(secret);

    let reused = pool.allocate_zeroed(Use::User).unwrap();

    assert_eq!(reused.frame(), name);
    assert!(pool.is_zero(name));
}

/// Proves M2, M123: the whole range from 0 was free at first, and what is not memory was carved out afterwards; frame 0 had to
/// be remembered.
#[test]
fn frame_0_and_holes_are_never_handed_out() {
    let pool = pool_of([0..1, 0x100..0x180, 0x190..0x200]);
    assert_eq!(pool.totals().reserved(), 1);

    let numbers = numbers_of(&take_all(pool));

    assert!(!numbers.contains(&0));
    assert!((0x180..0x190).all(|hole| !numbers.contains(&hole)));
    let hole = frame(0x188);
    assert_eq!(pool.give_back(hole), Err(FreeError::Reserved(hole)));
}
