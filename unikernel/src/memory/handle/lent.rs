//! Memory lent to somebody.

use alloc::sync::Arc;
use core::fmt;
use core::marker::PhantomData;
use core::ops::RangeBounds;

use super::counters::PageCounts;
use super::error::{AlterError, ViewError};
use super::reserved::{MachineSpace, Reserved, count, whole_pages};
use super::view::{self, views};
use crate::memory::Pod;
use crate::memory::address::VirtAddr;
use crate::memory::page::PageRange;

/// Pages of a region, lent to whoever has this value: to be used, and no more. The owner can do nothing with the region as long
/// as it is lent, and what was lent cannot be unmapped, protected, or kept longer.
///
/// ```no_run
/// # use unikernel::memory::Region;
/// let mut region = Region::builder().len_pages(16).lazy()?;
/// let lent = region.lend(..).expect("all of it is whole pages");
/// // Two workers, each with a half.
/// let (mut low, mut high) = lent.split_at(8 * 4096).expect("8 is less than 16");
/// low.as_mut_slice::<u8>().expect("bytes fit")[0] = 1;
/// high.as_mut_slice::<u8>().expect("bytes fit")[0] = 2;
/// # Ok::<(), unikernel::memory::ReserveError>(())
/// ```
#[must_use = "the memory is lent until this value is dropped"]
pub struct Lent<'a> {
    pub(super) space: Arc<MachineSpace>,
    pub(super) pages: PageRange,
    owner: PhantomData<&'a mut Reserved>,
}

impl<'a> Lent<'a> {
    /// Lends pages of what is borrowed for `'a`.
    pub(super) fn new(owner: &Reserved, pages: PageRange) -> Self {
        Self {
            space: owner.share_space(),
            pages,
            owner: PhantomData,
        }
    }

    views!();

    /// Returns the pages.
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
        count(&self.space, self.pages)
    }

    /// Parts it in two, the second of which starts at `offset` bytes.
    ///
    /// # Errors
    ///
    /// [`AlterError`]: the offset is behind the end, or no multiple of 4096; then all of it is given up.
    pub fn split_at(self, offset: u64) -> Result<(Self, Self), AlterError> {
        let parts = [
            whole_pages(self.pages, ..offset)?,
            whole_pages(self.pages, offset..)?,
        ];
        let [low, high] = parts.map(|pages| Self {
            space: Arc::clone(&self.space),
            pages,
            owner: PhantomData,
        });
        Ok((low, high))
    }
}

impl fmt::Debug for Lent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lent").field(&self.pages).finish()
    }
}
