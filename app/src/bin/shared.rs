//! Memory that two share who know nothing of each other but a name. Prints:
//!
//! ```text
//!     the first makes the board, and shows it at 0x…
//!     somebody else tries as well: object: there is one called "board" already
//!     the second opens it, and shows it at 0x…, which is another address: true
//!     the second reads "written by the first"
//!     the first reads "answered by the second"
//!     the first lets go; the second still reads "answered by the second"
//!     the second lets go: object: none is called "board"
//!     the name is free again: true
//! ```

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::error::Error;

use unikernel::memory::pager::Zeros;
use unikernel::memory::{Object, ObjectError, PAGE_SIZE, Region, Shared, TransferError};
use unikernel::prelude::*;

#[unikernel::main]
fn main() -> Result<(), Box<dyn Error>> {
    // Memory keeps what it shows, so nobody needs the object any longer once he shows it.
    let mut first = Region::builder().name("the first").shared(&make_board()?)?;
    println!(
        "the first makes the board, and shows it at {}",
        first.start()
    );
    if let Err(error) = make_board() {
        println!("somebody else tries as well: {error}");
    }

    let mut second = Region::builder()
        .name("the second")
        .shared(&Object::open("board")?)?;
    let is_elsewhere = second.start() != first.start();
    println!(
        "the second opens it, and shows it at {}, which is another address: {is_elsewhere}",
        second.start()
    );

    first.copy_in(100, b"written by the first")?;
    println!("the second reads {:?}", read(&second)?);
    second.copy_in(100, b"answered by the second")?;
    println!("the first reads {:?}", read(&first)?);

    drop(first);
    println!(
        "the first lets go; the second still reads {:?}",
        read(&second)?
    );
    drop(second);
    if let Err(error) = Object::open("board") {
        println!("the second lets go: {error}");
    }
    println!("the name is free again: {}", make_board().is_ok());
    Ok(())
}

/// Makes the object that others open by its name. There is only one at a time.
fn make_board() -> Result<Object, ObjectError> {
    Object::named("board", 4 * PAGE_SIZE, Zeros)
}

fn read(memory: &Shared) -> Result<String, TransferError> {
    let mut bytes = [0; 22];
    memory.copy_out(100, &mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes)
        .trim_end_matches('\0')
        .to_owned())
}
