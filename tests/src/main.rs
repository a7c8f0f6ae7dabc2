//! The in-kernel suite: what the library promises, tried on the machine itself.
//!
//! `cargo unikernel test` boots this image once for every test by direct boot, and once as a whole from the GRUB ISO by BIOS and by
//! UEFI. `cargo unikernel bench` runs its benches.

#![no_std]
#![no_main]

mod benches;
mod console;
mod dumps;
mod environment;
mod fault_benches;
mod faults;
mod frames;
mod heap;
mod image;
mod memory;
mod objects;
mod regions;
mod runner;
mod time;
mod windows;

use unikernel::prelude::*;

#[unikernel::main]
fn main() -> ExitCode {
    println!("this image holds tests: boot it with `cargo unikernel test`");
    ExitCode::FAILURE
}
