//! Map counts, and the handles that carry them.

use super::super::{CountError, SharedFrame, Use, frame};
use super::small_pool;

/// Proves M10.
#[test]
fn a_frame_is_free_when_its_last_mapping_goes() {
    let pool = small_pool();
    drop(pool.allocate(Use::User));
    let free = pool.totals().free();

    let frame = pool.allocate(Use::User).unwrap().into_entry();
    let counts = [
        pool.add_mapping(frame),
        pool.remove_mapping(frame),
        pool.remove_mapping(frame),
    ];

    assert_eq!(counts, [Ok(2), Ok(1), Ok(0)]);
    assert_eq!(pool.totals().free(), free);
    pool.check_invariants();
}

/// Proves M10.
#[test]
fn a_count_never_falls_below_0() {
    let pool = small_pool();
    let owned = pool.allocate(Use::User).unwrap();
    let name = owned.frame();

    assert_eq!(pool.remove_mapping(name), Err(CountError::NotMapped(name)));
    assert_eq!(pool.add_mapping(name), Err(CountError::NotMapped(name)));
    drop(owned);
    assert_eq!(
        pool.remove_mapping(name),
        Err(CountError::NotAllocated(name))
    );
}

/// Proves M10, M51.
#[test]
fn frames_of_devices_are_not_counted() {
    let pool = small_pool();
    let device = frame(0xfee00);

    assert_eq!(pool.add_mapping(device), Err(CountError::Unmanaged(device)));
}

/// Proves M10.
#[test]
fn a_share_moves_through_an_entry_and_back() {
    let pool = small_pool();
    let name = pool.allocate(Use::User).unwrap().into_entry();
    pool.add_mapping(name).unwrap();

    let first = SharedFrame::from_entry(pool, name).unwrap();
    let second = SharedFrame::from_entry(pool, name).unwrap();
    let refused = first.try_into_owned().unwrap_err();
    drop(second);
    let owned = refused.try_into_owned().unwrap();

    assert_eq!(pool.map_count(name), Ok(0));
    assert_eq!(
        SharedFrame::from_entry(pool, name).unwrap_err(),
        CountError::NotMapped(name)
    );
    drop(owned);
    pool.check_invariants();
}

#[test]
fn a_share_can_be_cloned_and_each_is_dropped_once() {
    let pool = small_pool();
    let shared = pool.allocate(Use::User).unwrap().share();

    let others: Vec<_> = (0..9).map(|_| shared.try_clone().unwrap()).collect();
    let most = pool.map_count(shared.frame());
    drop(others);

    assert_eq!(most, Ok(10));
    assert_eq!(pool.map_count(shared.frame()), Ok(1));
}

/// Proves M10.
#[test]
fn each_frame_of_a_large_mapping_is_counted_on_its_own() {
    let pool = small_pool();

    let frames = pool.allocate_run(512, Use::User).unwrap().into_entries();
    let half = frames.iter().take(256);
    half.for_each(|frame| assert_eq!(pool.remove_mapping(frame), Ok(0)));

    assert_eq!(pool.totals().used_for(Use::User), 256);
    assert_eq!(pool.map_count(frames.last().unwrap()), Ok(1));
    pool.check_invariants();
}

/// Proves M12.
#[test]
fn mappings_of_the_frame_that_stays_zero_are_not_counted() {
    let pool = small_pool();
    let zero = pool.zero_frame().unwrap().frame();

    let counts = [
        pool.add_mapping(zero),
        pool.remove_mapping(zero),
        pool.remove_mapping(zero),
    ];

    assert_eq!(counts, [Ok(0); 3]);
    pool.check_invariants();
}
