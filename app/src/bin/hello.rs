//! The smallest program. Prints:
//!
//!     Hello, world!

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use unikernel::prelude::*;

#[unikernel::main]
fn main() {
    println!("Hello, world!");
}
