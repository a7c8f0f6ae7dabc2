//! Printing and logging on the machine.

use core::fmt;

use unikernel::prelude::*;

#[unikernel::test]
fn floats_and_long_lines_are_printed() {
    println!(
        "{:.3} {:>200}",
        core::hint::black_box(1.0f64) / 3.0,
        "right"
    );
}

#[unikernel::test(should_panic = "Display panicked")]
fn a_display_that_panics_holds_no_lock() {
    struct Panicking;
    impl fmt::Display for Panicking {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("Display panicked")
        }
    }

    println!("{Panicking}");
}

#[unikernel::test]
fn a_display_that_prints_does_not_wait_for_itself() {
    struct Printing;
    impl fmt::Display for Printing {
        fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            println!("inner");
            out.write_str("outer")
        }
    }

    println!("{Printing}");
}
