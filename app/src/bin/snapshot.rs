//! Contents as they were: an object, a snapshot of it, and what is written to either later. Prints:
//!
//! ```text
//!     an object of 64 pages: 0 frames
//!     memory that shows it: … frames
//!     text on two of them: 2 frames
//!     a snapshot: 0 frames
//!     memory that shows it: 0 frames
//!     other text on page 0 of the object: 1 frame
//!     other text on page 1 of the snapshot: 1 frame
//!     the object shows "Hello, object" and "second page"
//!     the snapshot shows "first page" and "Hello, snapshot"
//! ```
//!
//! What the memory costs first are tables, and records of frames if those it takes are the first of their zone.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::error::Error;

use unikernel::memory::{Object, PAGE_SIZE, Region, Shared, TransferError, describe_frames};
use unikernel::prelude::*;

#[unikernel::main]
fn main() -> Result<(), Box<dyn Error>> {
    let object = cost("an object of 64 pages", || Object::zeros(64 * PAGE_SIZE))?;
    let mut now = cost("memory that shows it", || show(&object))?;
    cost("text on two of them", || {
        write(&mut now, 0, "first page").and_then(|()| write(&mut now, 1, "second page"))
    })?;

    let snapshot = cost("a snapshot", || object.snapshot())?;
    let mut then = cost("memory that shows it", || show(&snapshot))?;
    cost("other text on page 0 of the object", || {
        write(&mut now, 0, "Hello, object")
    })?;
    cost("other text on page 1 of the snapshot", || {
        write(&mut then, 1, "Hello, snapshot")
    })?;

    println!(
        "the object shows {:?} and {:?}",
        read(&now, 0)?,
        read(&now, 1)?
    );
    println!(
        "the snapshot shows {:?} and {:?}",
        read(&then, 0)?,
        read(&then, 1)?
    );
    Ok(())
}

/// Shows an object, and reads its first page, so that there are tables for it.
fn show(object: &Object) -> Result<Shared, Box<dyn Error>> {
    let memory = Region::builder().shared(object)?;
    read(&memory, 0)?;
    Ok(memory)
}

/// Does something, and prints how many frames it took.
fn cost<T>(what: &str, act: impl FnOnce() -> T) -> T {
    let before = describe_frames().free();
    let result = act();
    let frames = before - describe_frames().free();
    println!(
        "{what}: {frames} frame{}",
        if frames == 1 { "" } else { "s" }
    );
    result
}

fn write(memory: &mut Shared, page: u64, text: &str) -> Result<(), TransferError> {
    memory.copy_in(page * PAGE_SIZE, text.as_bytes())
}

fn read(memory: &Shared, page: u64) -> Result<String, TransferError> {
    let mut bytes = [0; 16];
    memory.copy_out(page * PAGE_SIZE, &mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes)
        .trim_end_matches('\0')
        .to_owned())
}
