//! Rings: memory followed by itself.

#![allow(
    unsafe_code,
    reason = "a page of a ring has two addresses; windows see to it that nobody sees both at once"
)]

use core::sync::atomic::{Ordering, compiler_fence};

use super::counters::PageCounts;
use super::error::ViewError;
use super::reserved::{Reserved, tell};
use super::view::allow;
use crate::memory::address::VirtAddr;
use crate::memory::page::{Access, PageRange};
use crate::memory::region::Name;

/// Memory of which each byte has a second address one ring's length further up, so that what crosses the end goes on at the
/// beginning without being cut.
///
/// Frames come in with the first access to a page, also by reading. It is seen through windows, none longer than the ring:
///
/// ```no_run
/// use unikernel::memory::Region;
///
/// let mut ring = Region::builder().len_pages(1).ring()?;
/// ring.window_mut(4094, 4).expect("4 bytes fit").copy_from_slice(b"head");
/// assert_eq!(ring.window(0, 2), Ok(&b"ad"[..]));
/// # Ok::<(), unikernel::memory::ReserveError>(())
/// ```
#[derive(Debug)]
#[must_use = "the ring is given back when this value is dropped"]
pub struct Ring {
    pub(super) reserved: Reserved,
}

impl Ring {
    tell!();

    /// Returns how many different bytes there are: half of what [`len_bytes`](Self::len_bytes) says.
    #[must_use]
    pub const fn capacity_bytes(&self) -> u64 {
        self.reserved.len_bytes() / 2
    }

    /// Returns `len` bytes from `start` on, across the end if need be. `start` counts from the beginning of the ring, as often
    /// around as one likes.
    ///
    /// # Errors
    ///
    /// [`ViewError`]: the ring is shorter, or it must not be read.
    pub fn window(&self, start: u64, len: u64) -> Result<&[u8], ViewError> {
        let first = self.checked(start, len, Access::Read)?;
        // SAFETY: both halves are reserved memory that lives as long as `self`; who writes it borrows `self` mutably.
        Ok(unsafe { core::slice::from_raw_parts(first, len as usize) })
    }

    /// As [`window`](Self::window), to be written.
    ///
    /// # Errors
    ///
    /// [`ViewError`]: the ring is shorter, or it must not be written.
    pub fn window_mut(&mut self, start: u64, len: u64) -> Result<&mut [u8], ViewError> {
        let first = self.checked(start, len, Access::Write)?;
        // SAFETY: as above; `self` is borrowed mutably, and a window is no longer than the ring, so each byte is in it once.
        Ok(unsafe { core::slice::from_raw_parts_mut(first, len as usize) })
    }

    /// Returns the first byte of a window.
    fn checked(&self, start: u64, len: u64, access: Access) -> Result<*mut u8, ViewError> {
        let capacity = self.capacity_bytes();
        if len > capacity {
            return Err(ViewError::OutOfBounds {
                end: len,
                len: capacity,
            });
        }
        let start = start % capacity;
        let pages = self.reserved.range();
        allow(self.reserved.space(), pages, &(start..start + len), access)?;
        // What was written through another window by the other address is written before this one is looked at: to the
        // compiler these are different bytes, which it could take in any order.
        compiler_fence(Ordering::SeqCst);
        let address = pages.start().start().as_u64() + start;
        Ok(core::ptr::with_exposed_provenance_mut(address as usize))
    }
}
