//! Forks a space of 64 pages: both sides show the same frames until one of them writes. Prints:
//!
//!     before:    64 own, 0 copy-on-write, 0 borrowed, 0 direct
//!     parent:    0 own, 64 copy-on-write, 0 borrowed, 0 direct
//!     child:     0 own, 64 copy-on-write, 0 borrowed, 0 direct
//!     the child writes one page
//!     child:     1 own, 63 copy-on-write, 0 borrowed, 0 direct
//!     the parent reads "written before", the child "written by child"

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::error::Error;

use unikernel::memory::{Fork, Region, Space};
use unikernel::prelude::*;

const LEN_PAGES: u64 = 64;

#[unikernel::main]
fn main() -> Result<(), Box<dyn Error>> {
    let parent = Space::new()?;
    let mut memory = Region::builder().len_pages(LEN_PAGES).user_owned(&parent)?;
    for page in 0..LEN_PAGES {
        memory.copy_in(page * 4096, b"written before")?;
    }
    println!("before:    {}", parent.counters());

    let child = parent.fork(Fork::CopyOnWrite)?;
    println!("parent:    {}", parent.counters());
    println!("child:     {}", child.counters());

    println!("the child writes one page");
    child.write(memory.start(), b"written by child")?;
    println!("child:     {}", child.counters());

    let mut before = [0; 14];
    memory.copy_out(0, &mut before)?;
    let mut after = [0; 16];
    child.read(memory.start(), &mut after)?;
    let [before, after] = [&before[..], &after].map(String::from_utf8_lossy);
    println!("the parent reads {before:?}, the child {after:?}");
    Ok(())
}
