//! Reserves a tebibyte on a machine with far less memory, and pays only for what it writes. Prints:
//!
//!     reserved 1024 GiB: 0 frames
//!     wrote to 3 pages: 3 frames
//!     read every GiB: 3 frames, the sum is 6
//!     discarded 513 GiB: 1 frame, the sum is 3

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::error::Error;

use unikernel::memory::Region;
use unikernel::prelude::*;

const GIB: u64 = 1 << 30;
/// Words of a GiB.
const STEP: usize = 1 << 27;

#[unikernel::main]
fn main() -> Result<(), Box<dyn Error>> {
    let mut region = Region::builder().len(1024 * GIB).name("table").lazy()?;
    println!("reserved 1024 GiB: {} frames", region.counters().own);

    let words = region.as_mut_slice::<u64>()?;
    for (value, gib) in (1..).zip([0, 512, 1023]) {
        words[gib * STEP] = value;
    }
    println!("wrote to 3 pages: {} frames", region.counters().own);

    let sum: u64 = region.as_slice::<u64>()?.iter().step_by(STEP).sum();
    let frames = region.counters().own;
    println!("read every GiB: {frames} frames, the sum is {sum}");

    region.discard(..513 * GIB)?;
    let sum: u64 = region.as_slice::<u64>()?.iter().step_by(STEP).sum();
    let frames = region.counters().own;
    println!("discarded 513 GiB: {frames} frame, the sum is {sum}");
    Ok(())
}
