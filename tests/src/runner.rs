//! The runner on itself, as far as a passing test can show; `bin/failing.rs` holds the tests that fail.

use core::sync::atomic::{AtomicU32, Ordering};

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

/// A panic or a fault abandons its test in the middle of anything; what runs next starts with interrupts on, and can be timed.
#[unikernel::test(timeout = "5s")]
fn floating_point_state_is_sane_after_other_tests_died() {
    static ROUNDS: AtomicU32 = AtomicU32::new(0);

    let half = core::hint::black_box(1.0f64) / 2.0;
    ROUNDS.fetch_add(1, Ordering::Relaxed);

    assert_eq!(half, 0.5);
}
