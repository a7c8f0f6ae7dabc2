//! Tests that fail, each in its own way, with one that passes after them: the front end boots this image and reads what it says.

#![no_std]
#![no_main]

use unikernel::prelude::*;

#[unikernel::main]
fn main() {
    println!("this image holds tests: boot it with `cargo unikernel test`");
}

#[unikernel::test]
fn a_panics() {
    println!("said before the panic");
    panic!("on purpose");
}

#[unikernel::test]
#[allow(unsafe_code, reason = "dies by an exception on purpose")]
fn b_faults() {
    let null = core::hint::black_box(core::ptr::null::<u8>());
    // SAFETY: none; the front end looks at what is reported.
    unsafe { null.read_volatile() };
}

#[unikernel::test(timeout = "200ms")]
fn c_hangs() {
    loop {
        core::hint::spin_loop();
    }
}

#[unikernel::test(should_panic = "one thing")]
fn d_panics_of_another_thing() {
    panic!("another thing");
}

#[unikernel::test(should_fault = "null")]
fn e_was_to_fault() {}

#[unikernel::test]
fn f_returns_an_error() -> Result<(), &'static str> {
    Err("not today")
}

#[unikernel::test(ignore = "it takes an hour")]
fn g_is_ignored() {
    panic!("ran all the same");
}

/// Ends the machine, so it is not for the run of all.
#[unikernel::test(ignore)]
fn g_exits() {
    println!("said before the exit");
    ExitCode::from(200).exit_machine()
}

#[unikernel::test]
fn h_passes() {}
