//! Frames: who has which 4 KiB of physical memory.
//!
//! A *frame* is 4 KiB of physical memory at a multiple of 4 KiB; a *page* is the same of virtual memory. A frame has a *name*,
//! which is its number ([`Frame`]) and says nothing, and *handles*, which say who may use it ([`OwnedFrame`], [`SharedFrame`],
//! [`ZeroFrame`]).
//!
//! # The life of a frame
//!
//! ```text
//!   firmware's map --> early allocator --> pool: free <-----------------------------+
//!                            |               |                                      |
//!                            |               v allocate                             | drop,
//!                            |           OwnedFrame --into_frame--> a page table ---+ give_back
//!                            |               |                                      |
//!                            |               v into_entry                           |
//!                            +----------> mapped n times --remove_mapping, n = 0 ---+
//! ```
//!
//! During boot the [early allocator](EarlyFrames) hands frames out one after the other. The [pool](FramePool) takes over from
//! it, zone by zone and only as memory is needed: a machine of 64 GiB boots with the records of its first GiB.
//!
//! # Invariants
//!
//! - F1: a frame is handed out to one owner at a time, and never if firmware, loader or image own it.
//! - F2: total = free + reserved + the sum over all uses, at every moment.
//! - F3: only an allocated frame has a map count; it is free when the count falls to 0, and not before.
//! - F4: a free frame is in exactly one place: a block of the buddy system, the cache of one CPU, the list of zeroed frames.
//! - F5: a frame that is handed out as zeroed is zero, whatever was in it.
//!
//! Running out of frames is an error, and an operation that fails changes nothing. A test makes the nth allocation fail with
//! [`FramePool::fail_nth`].
//!
//! # What this leaves to others
//!
//! Reaching a frame's memory: the pool asks its [host](PoolHost) to zero one, and otherwise knows numbers only. Flushing: a
//! frame is given back after no TLB knows it any more. There is no `unsafe` here: a wrong name is found by the checks, and does
//! no harm as long as nobody maps it, which is where the `unsafe` is.

mod audit;
mod buddy;
mod cache;
mod early;
pub(crate) mod error;
mod handle;
mod host;
mod mapping;
mod pool;
mod record;
pub(crate) mod report;
mod store;
mod totals;
mod zone;

#[cfg(test)]
mod tests;

use core::ops::Range;

pub(crate) use self::early::EarlyFrames;
pub(crate) use self::error::{AllocateError, CountError, FreeError, ReserveError};
pub(crate) use self::handle::{OwnedFrame, OwnedRun, SharedFrame, ZeroFrame};
pub(crate) use self::host::{FrameMemory, MOST_CPUS, PoolHost};
pub(crate) use self::pool::FramePool;
pub(crate) use self::record::{Contents, FrameInfo, FrameRecord, Owner, State};
pub(crate) use self::store::{MOST_FRAMES, SpareFrames};
pub(crate) use self::totals::{Totals, Use};
use crate::memory::page::{Frame, FrameRange};

/// Returns the name of the frame with a number.
#[inline]
fn frame(number: u32) -> Frame {
    Frame::new(number)
}

/// Returns the number of a frame.
#[inline]
fn number(frame: Frame) -> u32 {
    frame.number()
}

fn range_of(start: u32, len: u32) -> FrameRange {
    FrameRange::new(frame(start), len)
}

fn numbers(range: FrameRange) -> Range<u32> {
    let start = number(range.start());
    start..start.saturating_add(range.len())
}
