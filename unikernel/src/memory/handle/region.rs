//! Plain memory of the kernel: lazy, committed, or a language runtime's heap.

use core::marker::PhantomData;
use core::ops::RangeBounds;

use super::builder::{NoLength, RegionBuilder};
use super::counters::PageCounts;
use super::error::{AlterError, ViewError};
use super::lent::Lent;
use super::reserved::{Reserved, tell, whole_pages};
use super::view::{self, views};
use crate::memory::Pod;
use crate::memory::address::VirtAddr;
use crate::memory::page::{PageRange, Rights};
use crate::memory::region::Name;

/// Memory that belongs to whoever has this value, and is given back with all its frames when it is dropped.
///
/// `K` says when its frames come, and so what can be done with it: [`Lazy`] unless said otherwise, [`Committed`] or [`Heap`].
///
/// ```no_run
/// use unikernel::memory::Region;
///
/// // Costs nothing yet, whatever the size.
/// let mut table = Region::builder().len(1 << 40).name("table").lazy()?;
/// let words = table.as_mut_slice::<u64>().expect("words fit into pages");
/// words[0] = 7;
/// words[1 << 30] = 9;
/// assert_eq!(table.counters().own, 2);
/// # Ok::<(), unikernel::memory::ReserveError>(())
/// ```
#[derive(Debug)]
#[must_use = "the memory is given back when this value is dropped"]
pub struct Region<K = Lazy> {
    pub(super) reserved: Reserved,
    kind: PhantomData<K>,
}

/// Frames come one at a time, with the first write to a page.
#[derive(Debug)]
pub enum Lazy {}

/// Every page has had its frame from the beginning, so that no access waits or fails for lack of one.
#[derive(Debug)]
pub enum Committed {}

/// The heap of a language runtime: lazy, and of one space only, so a space with such a region is not forked.
#[derive(Debug)]
pub enum Heap {}

/// The contents of an [`Object`](super::Object), as they were when the memory was made, until they are written.
#[derive(Debug)]
pub enum Private {}

/// Kinds whose frames come and go on demand.
pub trait OnDemand: sealed::Sealed {}

impl OnDemand for Lazy {}
impl OnDemand for Heap {}

mod sealed {
    /// Only this module's kinds are kinds.
    pub trait Sealed {}

    impl Sealed for super::Lazy {}
    impl Sealed for super::Heap {}
}

impl Region {
    /// Begins to say what memory is wanted.
    pub const fn builder() -> RegionBuilder<NoLength> {
        RegionBuilder::new()
    }
}

impl<K> Region<K> {
    pub(super) const fn new(reserved: Reserved) -> Self {
        Self {
            reserved,
            kind: PhantomData,
        }
    }

    tell!();

    views!();

    /// Gives pages other rights. What is lost is lost at once and on all CPUs; what is gained may come with the next access.
    ///
    /// # Errors
    ///
    /// [`AlterError`]: the part reaches beyond the end or is not of whole pages, the rights make no sense or let ring 3 in, or
    /// memory is missing for the bookkeeping.
    pub fn protect(
        &mut self,
        part: impl RangeBounds<u64>,
        rights: Rights,
    ) -> Result<(), AlterError> {
        self.reserved.protect(part, rights)
    }

    /// Lends pages to somebody who can use them, but neither unmap nor change them, nor keep them longer than this borrow.
    ///
    /// # Errors
    ///
    /// [`AlterError`]: the part reaches beyond the end or is not of whole pages.
    pub fn lend(&mut self, part: impl RangeBounds<u64>) -> Result<Lent<'_>, AlterError> {
        let pages = whole_pages(self.reserved.range(), part)?;
        Ok(Lent::new(&self.reserved, pages))
    }

    /// Keeps the memory for good.
    pub fn leak(self) -> Lent<'static> {
        let lent = Lent::new(&self.reserved, self.reserved.range());
        self.reserved.leak();
        lent
    }
}

impl<K: OnDemand> Region<K> {
    /// Gives each page of a part a frame now that has none, so that no later write fails for lack of one; 2 MiB at a time, by
    /// large pages, where nothing was touched yet. What was given before memory ran out stays, and stays unseen: nothing
    /// changes that can be read. Returns how many pages got a frame.
    ///
    /// A page that a fork shows as well has one; the copy that a write makes of it may still fail.
    ///
    /// # Errors
    ///
    /// [`AlterError`]: the part reaches beyond the end or is not of whole pages, or no frame is left.
    pub fn commit(&self, part: impl RangeBounds<u64>) -> Result<u64, AlterError> {
        self.reserved.commit(part)
    }

    /// Gives back the frames of a part, which reads as zeros again. Returns how many pages had shown something.
    ///
    /// # Errors
    ///
    /// [`AlterError`]: the part reaches beyond the end or is not of whole pages, or it begins or ends within a large page
    /// and no frame is left for the table that parts it.
    pub fn discard(&mut self, part: impl RangeBounds<u64>) -> Result<u64, AlterError> {
        self.reserved.discard(part)
    }

    /// Moves the end, to the next whole page. New pages are zeros, of the rights that the last page had; frames of pages that go
    /// are given back. Returns how many bytes there were before; asked for 0, it only does that.
    ///
    /// # Errors
    ///
    /// [`AlterError`]: the pages behind are taken, or memory is missing for the bookkeeping. The size is as before.
    pub fn resize(&mut self, len_bytes: u64) -> Result<u64, AlterError> {
        self.reserved.resize(len_bytes)
    }
}
