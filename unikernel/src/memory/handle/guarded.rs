//! Sections between guards.

use super::counters::PageCounts;
use super::error::ViewError;
use super::reserved::{MachineSpace, Reserved, count, tell};
use super::view::{self, views};
use core::fmt;
use core::ops::RangeBounds;

use crate::memory::Pod;
use crate::memory::address::VirtAddr;
use crate::memory::page::PageRange;
use crate::memory::region::Name;
use crate::memory::space::SpaceError;

/// Sections of equal size, handed out one by one, each with a guard page on both sides.
///
/// Whoever runs over the end of a section touches a guard, and so does who keeps an address in one that was given back: both end
/// in a report that says so. As a whole the region cannot be seen; each [`Section`] can.
///
/// ```no_run
/// use unikernel::memory::Region;
///
/// let buffers = Region::builder().name("buffers").guarded(4, 100)?;
/// let mut buffer = buffers.take().expect("none of the hundred is taken");
/// buffer.as_mut_slice::<u8>().expect("bytes fit")[0] = 1;
/// # Ok::<(), unikernel::memory::ReserveError>(())
/// ```
#[derive(Debug)]
#[must_use = "the memory is given back when this value is dropped"]
pub struct Guarded {
    pub(super) reserved: Reserved,
}

impl Guarded {
    tell!();

    /// Takes a section that nobody has: zeros, of which a frame comes with the first write to each page. What was given back
    /// last is taken first.
    ///
    /// # Errors
    ///
    /// [`SpaceError`]: all are taken.
    pub fn take(&self) -> Result<Section<'_>, SpaceError> {
        let pages = self
            .reserved
            .space()
            .take_section(self.reserved.range().start())?;
        Ok(Section { owner: self, pages })
    }

    pub(super) fn space(&self) -> &MachineSpace {
        self.reserved.space()
    }
}

/// Memory between two guards, given back with its frames when this value is dropped.
#[must_use = "the section is given back when this value is dropped"]
pub struct Section<'a> {
    pub(super) owner: &'a Guarded,
    pub(super) pages: PageRange,
}

impl Section<'_> {
    views!();

    /// Returns the pages, without the guards.
    #[must_use]
    pub const fn range(&self) -> PageRange {
        self.pages
    }

    /// Returns the address of the first byte, a multiple of 4096.
    #[must_use]
    pub const fn start(&self) -> VirtAddr {
        self.pages.start().start()
    }

    /// Counts what the pages show right now.
    #[must_use]
    pub fn counters(&self) -> PageCounts {
        count(self.owner.space(), self.pages)
    }
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        let given_back = self.owner.space().give_section_back(self.pages.start());
        given_back.expect("H2: a section is given back once, while its region is there");
    }
}

impl fmt::Debug for Section<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Section").field(&self.pages).finish()
    }
}
