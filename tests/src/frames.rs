//! The pool of frames on the machine.

use unikernel::prelude::*;
use unikernel::test::probe;

/// Proves M14.
#[unikernel::test]
fn free_allocated_and_reserved_frames_are_all_there_are() {
    let counts = probe::frame_counts();

    assert_eq!(
        counts.free + counts.allocated + counts.reserved,
        counts.total,
        "{counts:?}"
    );
    assert!(
        counts.allocated > 0,
        "page tables at least are allocated: {counts:?}"
    );
}

/// Proves M4, M6.
#[unikernel::test]
fn frames_that_are_given_back_are_free_again() {
    // The heap's own growth, for the list of frames, is not what is measured.
    assert!(probe::take_frames(2000));
    let before = probe::frame_counts();

    assert!(probe::take_frames(2000));

    assert_eq!(probe::frame_counts(), before);
}

/// Proves M16.
#[unikernel::test]
fn more_frames_than_there_are_is_an_error_and_leaves_all_free() {
    let all = usize::try_from(probe::frame_counts().total).expect("frames are fewer than bytes");
    assert!(!probe::take_frames(all + 1));
    let before = probe::frame_counts();

    assert!(!probe::take_frames(all + 1));

    assert_eq!(probe::frame_counts(), before);
    assert_eq!(vec![7u8; 100_000][99_999], 7);
}
