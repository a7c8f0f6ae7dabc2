//! The clock on the machine.

use core::time::Duration;

use unikernel::time::Instant;

#[unikernel::test]
fn time_goes_on() {
    let start = Instant::now();

    while start.elapsed() < Duration::from_millis(5) {
        core::hint::spin_loop();
    }

    assert!(start.since_entry() < Instant::now().since_entry());
}
