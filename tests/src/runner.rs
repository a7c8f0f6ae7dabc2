//! The runner on itself, as far as a passing test can show; `bin/failing.rs` holds the tests that fail.

use unikernel::prelude::*;

#[unikernel::test]
fn a_test_may_return_ok() -> Result<(), &'static str> {
    Ok(())
}

#[unikernel::test(should_panic = "exit code 1")]
fn a_test_that_returns_an_error_fails() -> Result<(), &'static str> {
    Err("wanted")
}

#[unikernel::test(ignore)]
fn an_ignored_test_runs_only_when_asked_for() {}

/// Runs after the tests of `faults` that die with another rounding mode and the direction reversed.
#[unikernel::test]
fn what_abandoned_tests_set_is_gone() {
    let tenth = core::hint::black_box(1.0f64) / core::hint::black_box(10.0);
    let from: Vec<u8> = (0..=255).collect();
    let mut to = vec![0; 256];
    to.copy_from_slice(&from);

    assert_eq!(tenth.to_bits(), 0x3fb9_9999_9999_999a);
    assert_eq!(to, from);
}
