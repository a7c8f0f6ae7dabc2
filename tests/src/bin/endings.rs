//! Ends in the way its first argument names; the front end checks what the tool makes of it.

#![no_std]
#![no_main]

use core::fmt::{self, Debug};
use core::hint::black_box;

use unikernel::prelude::*;

/// Why the program failed, in the words of its first argument.
struct Reason(&'static str);

impl Debug for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "because of {}", self.0)
    }
}

#[unikernel::main]
fn main() -> Result<ExitCode, Reason> {
    let mut arguments = unikernel::args();
    match (arguments.next(), arguments.next()) {
        (Some("code"), Some(code)) => Ok(ExitCode::from(
            code.parse::<u8>().map_err(|_| Reason("a bad number"))?,
        )),
        (Some("error"), Some(reason)) => Err(Reason(reason)),
        (Some("panic"), _) => outer(),
        (Some("huge"), _) => Ok(ExitCode::from(vec![1; black_box(1 << 40)][0])),
        (Some("overflow"), _) => Ok(ExitCode::from(recurse(0) as u8)),
        (Some("null"), _) => Ok(ExitCode::from(read_null())),
        (Some("dump"), _) => {
            unikernel::memory::dump();
            hang()
        }
        (Some("hang"), _) => hang(),
        (Some("flood"), _) => Ok(flood()),
        (Some("triple"), _) => triple_fault(),
        (Some("arguments"), _) => Ok(print_arguments()),
        (Some("modules"), _) => Ok(print_modules()),
        _ => Err(Reason("an unknown ending")),
    }
}

#[inline(never)]
fn outer() -> ! {
    inner(black_box(3))
}

#[inline(never)]
fn inner(number: u32) -> ! {
    panic!("number {number} is the wrong one");
}

#[expect(unconditional_recursion, reason = "it is to overflow the stack")]
fn recurse(depth: u64) -> u64 {
    black_box(recurse(black_box(depth + 1)) + 1)
}

#[allow(unsafe_code, reason = "dies by an exception on purpose")]
fn read_null() -> u8 {
    let null = black_box(core::ptr::null::<u8>());
    // SAFETY: none; the front end looks at what is reported.
    unsafe { null.read_volatile() }
}

fn hang() -> ! {
    println!("hanging");
    loop {
        core::hint::spin_loop();
    }
}

/// Says more than any pipe holds.
fn flood() -> ExitCode {
    for line in 0..5000 {
        println!("{line:0100}");
    }
    ExitCode::from(7)
}

#[allow(unsafe_code, reason = "resets the machine on purpose")]
fn triple_fault() -> ! {
    let no_gates = [0u16; 5];
    // SAFETY: none; without gates the exception that follows, and the double fault after it, cannot be delivered.
    unsafe { core::arch::asm!("lidt [{}]", "ud2", in(reg) &no_gates, options(noreturn)) }
}

fn print_arguments() -> ExitCode {
    for argument in unikernel::args().skip(1) {
        println!("<{argument}>");
    }
    ExitCode::SUCCESS
}

fn print_modules() -> ExitCode {
    for module in unikernel::modules() {
        let sum: u64 = module.bytes().iter().map(|&byte| u64::from(byte)).sum();
        println!(
            "<{}> {} bytes, sum {sum}",
            module.name(),
            module.bytes().len()
        );
    }
    ExitCode::SUCCESS
}
