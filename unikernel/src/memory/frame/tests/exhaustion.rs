//! Running out, for real and on request.

use core::fmt::{self, Write};
use std::vec::Vec;

use super::super::{AllocateError, CountError, FreeError, MOST_CPUS, ReserveError, Use, frame};
use super::{FramePool, on_cpu, pool_over, small_pool, take_all};

type Operation = fn(&FramePool) -> Result<(), AllocateError>;

/// Proves M11, M16.
#[test]
fn every_allocation_can_be_made_to_fail_and_changes_nothing() {
    let operations: [Operation; 5] = [
        |pool| pool.allocate(Use::User).map(drop),
        |pool| pool.allocate_zeroed(Use::User).map(drop),
        |pool| pool.allocate_run(5, Use::User).map(drop),
        |pool| pool.allocate_up_to(5, Use::User).map(drop),
        |pool| pool.zero_frame().map(|_| ()),
    ];
    for operation in operations {
        let pool = small_pool();
        drop(pool.allocate(Use::User));
        let before = pool.totals();

        pool.fail_nth(1);
        let failed = operation(pool);

        assert!(matches!(failed, Err(AllocateError::OutOfFrames { .. })));
        assert_eq!(pool.totals(), before);
        assert!(!pool.failure_pending());
        assert_eq!(operation(pool), Ok(()));
        pool.check_invariants();
    }
}

/// Proves M11.
#[test]
fn the_nth_allocation_fails_and_only_that() {
    let pool = small_pool();

    pool.fail_nth(3);
    let results: Vec<bool> = (0..5).map(|_| pool.allocate(Use::User).is_ok()).collect();

    assert_eq!(results, [true, true, false, true, true]);
}

#[test]
fn a_failure_that_was_asked_for_can_be_taken_back() {
    let pool = small_pool();

    pool.fail_nth(1);
    pool.fail_nth(0);

    assert!(pool.allocate(Use::User).is_ok());
}

/// Proves M16.
#[test]
fn without_free_frames_every_allocation_is_an_error_and_changes_nothing() {
    let pool = small_pool();
    let _all = take_all(pool);
    let before = pool.totals();
    let out_of = |wanted| Some(AllocateError::OutOfFrames { wanted, free: 0 });

    assert_eq!(pool.allocate(Use::User).err(), out_of(1));
    assert_eq!(pool.allocate_zeroed(Use::User).err(), out_of(1));
    assert_eq!(pool.allocate_run(7, Use::User).err(), out_of(7));
    assert_eq!(pool.allocate_up_to(7, Use::User).err(), out_of(1));
    assert_eq!(pool.zero_frame().err(), out_of(1));
    assert_eq!(pool.fill_zeroed(10), 0);
    assert_eq!(pool.totals(), before);
    pool.check_invariants();
}

/// Proves M15, M16.
#[test]
fn the_last_frames_are_found_in_the_caches_of_other_cpus() {
    let pool = small_pool();
    let mut all = take_all(pool);
    let len = all.len();
    for cpu in 1..MOST_CPUS {
        let given = all.split_off(all.len() - 20);
        on_cpu(cpu, || drop(given));
    }

    all.extend(take_all(pool));

    assert_eq!(all.len(), len);
    pool.check_invariants();
}

/// A text of fixed size, on the stack.
struct Line {
    bytes: [u8; 120],
    len: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        let place = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

/// Proves M121.
#[test]
fn every_error_names_its_module_and_the_offender_without_memory() {
    let name = frame(0x12345);
    let errors: [&dyn fmt::Display; 13] = [
        &AllocateError::OutOfFrames {
            wanted: 1,
            free: 12345,
        },
        &AllocateError::OutOfFrames {
            wanted: 9,
            free: 12345,
        },
        &AllocateError::TooLong {
            wanted: 12345,
            most: 9,
        },
        &AllocateError::NoFrames,
        &FreeError::Unmanaged(name),
        &FreeError::AlreadyFree(name),
        &FreeError::Reserved(name),
        &FreeError::StillMapped {
            frame: name,
            count: 2,
        },
        &CountError::Unmanaged(name),
        &CountError::NotAllocated(name),
        &CountError::NotMapped(name),
        &CountError::TooManyMappings(name),
        &ReserveError::InUse(name),
    ];

    for error in errors {
        let mut line = Line {
            bytes: [0; 120],
            len: 0,
        };
        write!(line, "{error}").expect("an error is one short line");

        let text = core::str::from_utf8(&line.bytes[..line.len]).unwrap();
        assert!(text.starts_with("frames: "), "{text}");
        assert!(
            text.contains("12345") || text.contains("no frames"),
            "{text}"
        );
    }
}

/// Proves M14.
#[test]
fn totals_read_as_one_line() {
    let pool = pool_over(0x100..0x200);
    let _table = pool.allocate(Use::PageTable);

    assert_eq!(
        std::format!("{}", pool.totals()),
        "256 frames: 254 free, 0 reserved, 2 allocated \
         (0 kernel, 1 page tables, 1 frame records, 0 heap, 0 user, 0 page cache)"
    );
}
