//! What the runtime of a language asks of memory: address space first, memory later, and a way to give it back.
//!
//! ```text
//!   reserve ──> addresses only ──map──> zeros on demand ──give_back──> zeros on demand, no frames
//!   allocate ─────────────────────────> zeros, all frames there
//!   drop: everything is given back
//! ```
//!
//! Nothing in such memory is ever executed unless its owner [protects](Region::protect) it so.
//!
//! ```no_run
//! use unikernel::memory::runtime;
//!
//! let mut heap = runtime::reserve(1 << 36)?;
//! runtime::map(&mut heap, 0..64 << 20).expect("it is within what was reserved");
//! heap.slice_mut::<u64>(0..4096).expect("it is mapped")[0] = 1;
//! runtime::give_back(&mut heap, 0..4096).expect("it is whole pages");
//! assert_eq!(runtime::statistics().resident_bytes, 0);
//! # Ok::<(), unikernel::memory::ReserveError>(())
//! ```

use core::ops::RangeBounds;

use super::counters::PageCounts;
use super::error::AlterError;
use super::region::{Heap, Region};
use crate::memory::MEMORY;
use crate::memory::page::{PAGE_SIZE, PageSize, Rights};
use crate::memory::region::Kind;
use crate::memory::space::ReserveError;

/// What all heaps of runtimes hold together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// How many heaps there are.
    pub heaps: u64,
    /// Bytes of address space that were reserved.
    pub reserved_bytes: u64,
    /// Bytes of these that may be used.
    pub mapped_bytes: u64,
    /// Bytes of these that have a frame.
    pub resident_bytes: u64,
}

/// Reserves addresses, at a multiple of 2 MiB. There is nothing yet: to touch them is refused until they are [mapped](map).
///
/// # Errors
///
/// [`ReserveError`]: there is no room, or no heap for the bookkeeping; or the length is 0.
pub fn reserve(len_bytes: u64) -> Result<Region<Heap>, ReserveError> {
    let builder = Region::builder().len(len_bytes).name("runtime");
    builder.align(PageSize::Mib2).rights(Rights::empty()).heap()
}

/// Makes a part of reserved addresses usable: zeros, of which a frame comes with the first write to each page.
///
/// # Errors
///
/// [`AlterError`]: the part reaches beyond the end or is not of whole pages, or memory is missing for the bookkeeping.
pub fn map(heap: &mut Region<Heap>, part: impl RangeBounds<u64>) -> Result<(), AlterError> {
    heap.protect(part, Rights::READ_WRITE)
}

/// Reserves memory whose frames are all there from the beginning.
///
/// # Errors
///
/// [`AlterError`]: as [`reserve`], or there are not so many frames; then none was taken.
pub fn allocate(len_bytes: u64) -> Result<Region<Heap>, ReserveError> {
    let builder = Region::builder().len(len_bytes).name("runtime");
    let heap = builder.align(PageSize::Mib2).heap()?;
    // What was committed before memory ran out goes with the region.
    match heap.commit(..) {
        Ok(_) => Ok(heap),
        Err(_) => Err(ReserveError::OutOfFrames),
    }
}

/// Gives back the frames of a part, which reads as zeros again and stays usable. Returns how many pages had shown something.
///
/// # Errors
///
/// [`AlterError`]: the part reaches beyond the end or is not of whole pages, or no frame is left to part a large page.
pub fn give_back(heap: &mut Region<Heap>, part: impl RangeBounds<u64>) -> Result<u64, AlterError> {
    heap.discard(part)
}

/// Counts what all heaps of runtimes hold right now.
#[must_use]
pub fn statistics() -> Statistics {
    let mut statistics = Statistics::default();
    let Some(kernel) = MEMORY.kernel() else {
        return statistics;
    };
    kernel.inspect(|regions, tables| {
        for region in regions.iter() {
            if !matches!(region.kind(), Kind::Heap) {
                continue;
            }
            let bytes = region.range().len() * PAGE_SIZE;
            statistics.heaps += 1;
            statistics.reserved_bytes += bytes;
            if region.rights().contains(Rights::READ) {
                statistics.mapped_bytes += bytes;
            }
            let mut pages = PageCounts::default();
            tables.runs(region.range(), &mut |run| pages.add(&run));
            statistics.resident_bytes += (pages.own + pages.copy_on_write) * PAGE_SIZE;
        }
    });
    statistics
}
