//! Fills a buffer that lies between two guards, then one byte more: the machine says who did what, and ends with code 102.
//! Prints:
//!
//! ```text
//!     the first buffer ends where its guard starts: true
//!     64 KiB are filled: 16 frames
//!     fault: write to address … in the guard of buffers
//!     …overflow at app/src/bin/guarded.rs:…
//! ```

#![no_std]
#![no_main]

use core::error::Error;

use unikernel::memory::Region;
use unikernel::prelude::*;

const LEN_PAGES: u64 = 16;

#[unikernel::main]
fn main() -> Result<(), Box<dyn Error>> {
    let buffers = Region::builder().name("buffers").guarded(LEN_PAGES, 8)?;
    let mut first = buffers.take()?;
    let second = buffers.take()?;
    let is_next = first.range().end_number() + 1 == second.range().start().number();
    println!("the first buffer ends where its guard starts: {is_next}");

    let bytes = first.as_mut_slice::<u8>()?;
    bytes.fill(1);
    let end = bytes.as_mut_ptr_range().end;
    println!("64 KiB are filled: {} frames", first.counters().own);

    overflow(end);
    Ok(())
}

/// What a mistake in C, or in unsafe Rust, would do.
#[allow(unsafe_code, reason = "the example is about what happens then")]
fn overflow(end: *mut u8) {
    // SAFETY: none; a guard is there.
    unsafe { end.write_volatile(1) }
}
