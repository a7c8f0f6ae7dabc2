//! What all handles are made of: pages of a space that are theirs until dropped.

use alloc::sync::Arc;
use core::fmt;
use core::ops::{Bound, Range, RangeBounds};

use super::counters::PageCounts;
use super::error::AlterError;
use crate::arch::machine::frames::PoolMemory;
use crate::arch::machine::paging::Paging;
use crate::memory::MEMORY;
use crate::memory::page::{PAGE_SIZE, PageRange, Rights};
use crate::memory::region::{Name, RegionError, ShapeError};
use crate::memory::space::{AddressSpace, Request, ReserveError, SpaceError};

/// A space on the machine.
pub(super) type MachineSpace = AddressSpace<Paging, PoolMemory>;

/// Pages that were promised to one owner, and are given back with everything they show when it goes.
///
/// The space may join neighbours that are alike to one region, and cuts one where the rights of a part change. So a handle
/// speaks of its pages, never of "its region".
pub(super) struct Reserved {
    space: Arc<MachineSpace>,
    range: PageRange,
}

impl Reserved {
    /// Reserves pages of the kernel's space, which ring 3 is not let in.
    pub(super) fn in_kernel(request: Request) -> Result<Self, ReserveError> {
        check_kernel_rights(request.rights)?;
        let space = MEMORY.kernel().ok_or(ReserveError::Unmanaged)?;
        Self::in_space(Arc::clone(space), request)
    }

    /// Reserves pages of any space.
    pub(super) fn in_space(
        space: Arc<MachineSpace>,
        request: Request,
    ) -> Result<Self, ReserveError> {
        let range = space.reserve(request)?;
        Ok(Self { space, range })
    }

    pub(super) fn space(&self) -> &MachineSpace {
        &self.space
    }

    /// Returns the space for somebody else to hold.
    pub(super) fn share_space(&self) -> Arc<MachineSpace> {
        Arc::clone(&self.space)
    }

    pub(super) const fn range(&self) -> PageRange {
        self.range
    }

    pub(super) const fn len_bytes(&self) -> u64 {
        self.range.len() * PAGE_SIZE
    }

    pub(super) fn name(&self) -> Name {
        let start = self.range.start();
        self.space.inspect(|regions, _| {
            let region = regions.find(start);
            region.expect("H1: the pages are reserved").name()
        })
    }

    pub(super) fn counters(&self) -> PageCounts {
        count(&self.space, self.range)
    }

    /// Gives pages other rights, of which none is for ring 3.
    pub(super) fn protect(
        &self,
        part: impl RangeBounds<u64>,
        rights: Rights,
    ) -> Result<(), AlterError> {
        let pages = whole_pages(self.range, part)?;
        check_kernel_rights(rights).map_err(SpaceError::from)?;
        Ok(self.space.protect(pages, rights)?)
    }

    pub(super) fn discard(&self, part: impl RangeBounds<u64>) -> Result<u64, AlterError> {
        let pages = whole_pages(self.range, part)?;
        Ok(self.space.discard(pages)?)
    }

    pub(super) fn commit(&self, part: impl RangeBounds<u64>) -> Result<u64, AlterError> {
        let pages = whole_pages(self.range, part)?;
        Ok(self.space.commit(pages)?)
    }

    /// Moves the end. Returns how many bytes there were before.
    pub(super) fn resize(&mut self, len_bytes: u64) -> Result<u64, AlterError> {
        let before = self.len_bytes();
        let len_pages = len_bytes.div_ceil(PAGE_SIZE);
        if len_pages > 0 {
            self.space.move_end(self.range, len_pages)?;
            self.range = PageRange::new(self.range.start(), len_pages);
        }
        Ok(before)
    }

    /// Keeps the pages for good.
    pub(super) fn leak(self) -> PageRange {
        let range = self.range;
        core::mem::forget(self);
        range
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if self.space.unmap(self.range).is_err() {
            // Neighbours were joined to one region, and no memory is left to part them. The addresses are lost; the frames,
            // of a kind that can be joined, are not.
            let _ = self.space.discard(self.range);
        }
    }
}

impl fmt::Debug for Reserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.range, f)
    }
}

/// Counts what the pages of a range show.
pub(super) fn count(space: &MachineSpace, range: PageRange) -> PageCounts {
    let mut counts = PageCounts::default();
    space.inspect(|_, tables| tables.runs(range, &mut |run| counts.add(&run)));
    counts
}

fn check_kernel_rights(rights: Rights) -> Result<(), RegionError> {
    if rights.contains(Rights::USER) {
        return Err(ShapeError::KernelOnly(rights).into());
    }
    Ok(())
}

/// Returns the pages of a part that is given in bytes from the start of `range`.
pub(super) fn whole_pages(
    range: PageRange,
    part: impl RangeBounds<u64>,
) -> Result<PageRange, AlterError> {
    let len = range.len() * PAGE_SIZE;
    let bytes = bytes_of(part, len).map_err(|end| AlterError::OutOfBounds { end, len })?;
    for offset in [bytes.start, bytes.end] {
        if offset % PAGE_SIZE != 0 {
            return Err(AlterError::NotWholePages(offset));
        }
    }
    let pages = (bytes.end - bytes.start) / PAGE_SIZE;
    // An empty part may lie behind the last page.
    let first = range.get(bytes.start / PAGE_SIZE).unwrap_or(range.start());
    Ok(PageRange::new(first, pages))
}

/// Returns a part of `len` bytes, or where it ends if that is not within them.
pub(super) fn bytes_of(part: impl RangeBounds<u64>, len: u64) -> Result<Range<u64>, u64> {
    let start = match part.start_bound() {
        Bound::Included(&start) => start,
        Bound::Excluded(&before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match part.end_bound() {
        Bound::Included(&last) => last.saturating_add(1),
        Bound::Excluded(&end) => end,
        Bound::Unbounded => len,
    };
    if start > end || end > len {
        return Err(end);
    }
    Ok(start..end)
}

/// What every handle can tell about itself.
macro_rules! tell {
    () => {
        /// Returns the pages.
        #[must_use]
        pub const fn range(&self) -> PageRange {
            self.reserved.range()
        }

        /// Returns the address of the first byte, a multiple of 4096.
        #[must_use]
        pub const fn start(&self) -> VirtAddr {
            self.reserved.range().start().start()
        }

        /// Returns how many bytes there are, a multiple of 4096.
        #[must_use]
        pub const fn len_bytes(&self) -> u64 {
            self.reserved.len_bytes()
        }

        /// Returns what the memory is called in reports.
        #[must_use]
        pub fn name(&self) -> Name {
            self.reserved.name()
        }

        /// Counts what the pages show right now.
        #[must_use]
        pub fn counters(&self) -> PageCounts {
            self.reserved.counters()
        }
    };
}

pub(super) use tell;
