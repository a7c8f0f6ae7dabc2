//! Roots of page tables, as an application edits them: the seeds' level, below regions.
//!
//! A [`Root`] is what a processor translates by. There is one from boot on, the kernel's; more can be made, filled while they are
//! not active, activated, and left again. The upper half, where the kernel lives, is the same in all.
//!
//! Frames are names here: mapping one takes no ownership and unmapping one does not free it, except those that a first write to
//! [reserved](Root::reserve) pages has allocated, which belong to the root and are freed by [`Root::release`] or with it.
//!
//! ```no_run
//! use unikernel::memory::{PageRange, Rights, Root, VirtAddr};
//!
//! // Reserve on demand: a gigabyte that costs page tables only. Each page shows the reserved zero frame, read-only; the first
//! // write to one gives it a frame of its own.
//! let start = VirtAddr::new(0x10_0000_0000);
//! let gigabyte = PageRange::covering(start, 1 << 30).expect("the range is canonical");
//! let mut root = Root::kernel();
//! // SAFETY: nothing is mapped there, and nobody else uses these pages.
//! unsafe { root.reserve(gigabyte, Rights::READ | Rights::WRITE) }?;
//! let page = core::ptr::with_exposed_provenance_mut::<u64>(start.as_u64() as usize);
//! // SAFETY: the page was reserved for this.
//! unsafe { page.write(7) };
//! # Ok::<(), unikernel::memory::MapError>(())
//! ```

#![allow(
    unsafe_code,
    reason = "editing what the processor translates by can break every rule of Rust; the functions say what is owed"
)]

use super::FRAMES;
use super::address::VirtAddr;
use super::kernel::{self, Tables};
use super::machine::Machine;
use super::page::{Frame, FrameRange, Page, PageRange, PageSize, Rights};
use super::table::PageTable;
use super::table::entry::{Attributes, Leaf, Marks};
use super::table::error::{ChangeError, MapError, OutOfFrames, UnmapError};
use super::table::one::Translation;
use super::table::runs::Run;
use crate::arch::machine::paging::{Paging, kernel_root};

/// The top of a set of page tables.
#[derive(Debug)]
pub struct Root {
    frame: Frame,
    /// The kernel's own root is nobody's to destroy.
    is_kernel: bool,
}

impl Root {
    /// Returns the kernel's root, which is active unless another has been [activated](Self::activate).
    #[must_use]
    pub fn kernel() -> Self {
        Self {
            frame: kernel_root(),
            is_kernel: true,
        }
    }

    /// Makes a root whose lower half is empty. Costs one frame, given back when the root is dropped.
    ///
    /// # Errors
    ///
    /// [`OutOfFrames`]: no frame is left.
    pub fn new() -> Result<Self, OutOfFrames> {
        let frame = kernel::edit(kernel_root(), |kernel| {
            kernel.create_sharing().map(|new| new.root())
        })?;
        Ok(Self {
            frame,
            is_kernel: false,
        })
    }

    /// Maps a run of frames at the pages from `page` on, with leaves as large as fit and `largest` allows. All of it or nothing.
    ///
    /// # Errors
    ///
    /// [`MapError`]: a page is mapped already, the attributes contradict each other or the frame is the reserved zero frame,
    /// the range leaves the address space, or no frame is left for a table.
    ///
    /// # Safety
    ///
    /// 1. Nobody uses these pages for anything else. 2. Nobody uses the frames in a way that the mapping breaks: what is
    ///    written through the one must not be read through the other as something that cannot change.
    pub unsafe fn map(
        &mut self,
        page: Page,
        frames: FrameRange,
        attributes: Attributes,
        largest: PageSize,
    ) -> Result<(), MapError> {
        self.edit(|tables| tables.map(page, frames, attributes, largest))
    }

    /// Maps a run of frames at the pages with the same numbers: physical addresses as they are.
    ///
    /// # Errors
    ///
    /// As [`map`](Self::map).
    ///
    /// # Safety
    ///
    /// As [`map`](Self::map).
    pub unsafe fn map_identity(
        &mut self,
        frames: FrameRange,
        attributes: Attributes,
    ) -> Result<(), MapError> {
        self.edit(|tables| tables.map_identity(frames, attributes, PageSize::Gib1))
    }

    /// Maps a frame at a page, whatever is mapped there, and returns what that was.
    ///
    /// # Errors
    ///
    /// As [`map`](Self::map), except that a mapping is replaced.
    ///
    /// # Safety
    ///
    /// As [`map`](Self::map), and nobody uses what was mapped there any more.
    pub unsafe fn remap(
        &mut self,
        page: Page,
        frame: Frame,
        attributes: Attributes,
    ) -> Result<Option<Leaf>, MapError> {
        self.edit(|tables| tables.replace_and_flush(page, frame, attributes))
    }

    /// Unmaps one page of 4 KiB and returns what it mapped. The frame is not freed.
    ///
    /// # Errors
    ///
    /// [`UnmapError`]: nothing is mapped there, or no frame is left for a table where a large leaf must be split.
    ///
    /// # Safety
    ///
    /// 1. Nobody uses the page any more.
    pub unsafe fn unmap(&mut self, page: Page) -> Result<Leaf, UnmapError> {
        self.edit(|tables| tables.unmap_and_flush(page))
    }

    /// Unmaps all pages in a range and frees the frames among them that belong to the root. Returns how many were mapped.
    ///
    /// # Errors
    ///
    /// [`UnmapError`]: no frame is left for a table where a large leaf must be split.
    ///
    /// # Safety
    ///
    /// 1. Nobody uses the pages any more.
    pub unsafe fn release(&mut self, range: PageRange) -> Result<u64, UnmapError> {
        self.edit(|tables| tables.unmap_range(range, &mut free_owned))
    }

    /// Gives every page in a range these rights and takes all others. Returns how many pages changed.
    ///
    /// # Errors
    ///
    /// [`ChangeError`]: the rights make no sense there, or no frame is left for a table where a large leaf must be split.
    ///
    /// # Safety
    ///
    /// 1. Nobody relies on a right that is taken, or on the absence of one that is given.
    pub unsafe fn protect(&mut self, range: PageRange, rights: Rights) -> Result<u64, ChangeError> {
        self.edit(|tables| Ok(tables.protect(range, rights)?.flush()))
    }

    /// Reserves pages: all show the reserved zero frame, read-only, and a first write to a page gives it a zeroed frame of its own.
    /// Costs page tables only.
    ///
    /// # Errors
    ///
    /// [`MapError`]: a page is mapped already, the range leaves the address space, or no frame is left for a table.
    ///
    /// # Safety
    ///
    /// 1. Nobody uses these pages for anything else.
    pub unsafe fn reserve(&mut self, range: PageRange, rights: Rights) -> Result<(), MapError> {
        self.edit(|tables| tables.reserve(range, rights))
    }

    /// Translates an address as the processor would under this root; nothing where it could not.
    #[must_use]
    pub fn translate(&self, address: VirtAddr) -> Option<Translation> {
        kernel::edit(self.frame, |tables| tables.translate(address))
    }

    /// Returns what maps a page: frame, size, rights, memory type, marks.
    #[must_use]
    pub fn query(&self, page: Page) -> Option<Leaf> {
        kernel::edit(self.frame, |tables| tables.query(page)).map(|(_, leaf)| leaf)
    }

    /// Makes this the root that the CPU translates by, until the returned value is dropped.
    ///
    /// # Safety
    ///
    /// 1. Nothing in the lower half is in use, by anybody on this CPU, that this root does not map alike.
    pub unsafe fn activate(&self) -> Active<'_> {
        let previous = Paging.active();
        // SAFETY: the upper half, where code, stacks and heap are, is the same in all roots; the rest is the caller's 1.
        unsafe { Paging.activate(self.frame) };
        Active {
            previous,
            root: self,
        }
    }

    fn edit<T>(&mut self, edit: impl FnOnce(&mut Tables) -> T) -> T {
        kernel::edit(self.frame, edit)
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        if self.is_kernel {
            return;
        }
        let destroyed = kernel::edit(self.frame, |_| {
            PageTable::at(&Paging, &FRAMES, self.frame).destroy(&mut free_owned)
        });
        assert!(
            destroyed.is_ok(),
            "R1: an active root is borrowed by `Active`"
        );
    }
}

/// A root in force. Dropping it goes back to the one before.
#[must_use = "the root is active only as long as this value lives"]
#[derive(Debug)]
pub struct Active<'a> {
    previous: Frame,
    root: &'a Root,
}

impl Active<'_> {
    /// Returns the root in force.
    #[must_use]
    pub fn root(&self) -> &Root {
        self.root
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        // SAFETY: it was active before, its root outlives its own `Active`, and whoever activated another promised as much.
        unsafe { Paging.activate(self.previous) };
    }
}

/// Frees the frames of a run that belong to its root.
fn free_owned(run: Run) {
    if run.leaf.attributes.marks().contains(Marks::OWNED) {
        for frame in run.frames().iter() {
            FRAMES
                .give_back(frame)
                .unwrap_or_else(|error| panic!("R2: an owned frame has one owner: {error}"));
        }
    }
}

/// Gives a page that shows the zero frame a frame of its own, on a first write; says whether that was so.
pub(crate) fn first_write(address: VirtAddr) -> bool {
    let page = Page::containing(address);
    kernel::edit(Paging.active(), |tables| {
        let Some((_, leaf)) = tables.query(page) else {
            return false;
        };
        let attributes = leaf.attributes;
        let is_zero = kernel::zero_frame() == Some(leaf.frame);
        if !is_zero || !attributes.marks().contains(Marks::COPY_ON_WRITE) {
            return false;
        }
        let Ok(frame) = FRAMES.allocate_zeroed(super::frame::Use::User) else {
            return false;
        };
        let own = Attributes::new(attributes.rights() | Rights::WRITE).with_marks(Marks::OWNED);
        let replaced = tables.replace_and_flush(page, frame.frame(), own);
        replaced.is_ok_and(|_zero_frame| {
            frame.into_frame();
            true
        })
    })
}
