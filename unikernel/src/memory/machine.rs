//! The seam between memory management and hardware: all that `memory` asks of a processor is the trait [`Machine`].
//!
//! It has two implementers: the real machine in `arch`, and the simulator in `sim.rs`, with RAM of its own, a walker, and a
//! translation cache that stays stale until it is told. What works on one works on the other.
//!
//! # How a table is reached
//!
//! Nothing maps all of memory, so a table has to be made visible before it can be read. [`Machine::open`] does that for one
//! table and hands out its 512 entries. It is told a [`Place`], and picks the way:
//!
//! ```text
//!   linked in the active root   -> through the self slot: an address that follows from level and page ([`SelfMap`])
//!   linked in another root      -> a temporary mapping of the frame
//!   linked nowhere (yet, or no longer) -> a temporary mapping of the frame
//! ```
//!
//! Whether a root is the active one is found out once for each operation, not for each table.
//!
//! Whoever opens tables holds at most one of each root at a time, and two roots at most, so two windows on each CPU, and those
//! of a fault that interrupts, are enough.
//!
//! # How translations are forgotten
//!
//! Every flush of the whole system goes through [`Machine::invalidate`]. It names the root and the pages, not the CPUs: which
//! CPUs may have cached the pages of a root, the machine knows. It returns once all of them have forgotten.
//!
//! - A page of the lower half is cached only where its root is active. Activating a root forgets the pages of the one before.
//! - A page of the upper half is shared by all roots and marked global, so it may be cached everywhere.
//! - When a table was unlinked, the processor may still walk through it, and the self slot may still show it. The message says
//!   so, and the pages to forget include those at which the self slot showed the table.

#![allow(
    unsafe_code,
    reason = "the trait states what its callers owe before memory is changed behind Rust's back"
)]

use super::page::{Frame, Level, MemoryType, Page, PageRange, PageSize};

/// A processor's memory management, as far as `memory` needs it.
///
/// Methods take `&self`: there is one machine, used by all CPUs. Who edits the tables of a root holds the lock of that root.
pub(crate) trait Machine {
    /// A table that is visible as long as this value lives. Not `Send`: it may be a window of this CPU.
    type Table<'a>: Entries
    where
        Self: 'a;

    /// The entry of each root that points at the root itself, if the machine sees the tables of its active root in that way.
    /// It lies in the upper half.
    const SELF_SLOT: Option<usize>;

    /// Returns the largest leaf that the processor knows.
    fn largest_leaf(&self) -> PageSize;

    /// Returns the memory type that the processor uses when asked for `wanted`. Without a page attribute table,
    /// write-combining becomes uncached-minus.
    fn memory_type(&self, wanted: MemoryType) -> MemoryType {
        wanted
    }

    /// Makes the table at `place` visible.
    ///
    /// # Safety
    ///
    /// 1. The frame of `place` is a table, `place` tells the truth about where it is linked, and nobody else edits it as long
    ///    as the returned value lives.
    /// 2. What the caller stores into the entries maps only frames whose owner agreed, at pages whose owner agreed.
    unsafe fn open(&self, place: Place) -> Self::Table<'_>;

    /// Fills a frame with zeros.
    ///
    /// # Safety
    ///
    /// 1. The frame belongs to the caller alone.
    unsafe fn zero(&self, frame: Frame);

    /// Copies the content of a frame to another one.
    ///
    /// # Safety
    ///
    /// 1. The frame `to` belongs to the caller alone, and is not `from`.
    /// 2. The frame `from` is not written to meanwhile.
    unsafe fn copy(&self, from: Frame, to: Frame);

    /// Makes temporary mappings that nobody uses show nothing. A frame that is about to be mapped as another memory type than
    /// write-back must not be seen as both.
    fn hide_idle(&self) {}

    /// Makes a root the one that this CPU translates by. Pages of the lower half that it cached are forgotten.
    ///
    /// # Safety
    ///
    /// 1. The root maps the code that runs, its stack, and everything else that is in use, at the same pages as before.
    /// 2. It stays a root, and keeps its upper half, for as long as it is active.
    unsafe fn activate(&self, root: Frame);

    /// Returns the root that this CPU translates by.
    fn active(&self) -> Frame;

    /// Makes every CPU forget what it cached about the pages, and waits for it.
    fn invalidate(&self, stale: &Invalidation);
}

/// The 512 entries of a visible table, as plain numbers. Indices are below 512.
pub(crate) trait Entries {
    /// Reads an entry.
    fn load(&self, index: usize) -> u64;

    /// Writes an entry that the processor cannot be about to change: one that is not present, or that points to a table.
    fn store(&self, index: usize, value: u64);

    /// Writes an entry if it still is `current`, in one step; otherwise answers what it is. The processor sets the accessed
    /// and dirty bits of leaves at any time, even on another CPU.
    fn exchange(&self, index: usize, current: u64, new: u64) -> Result<(), u64>;
}

/// A table, and where it is linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The frame that holds the table.
    pub(crate) frame: Frame,
    /// From where it can be walked to.
    pub(crate) link: Link,
}

/// From where a table can be walked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// The walk of this CPU, from its active root to `page`, passes through the table at `level`.
    Active {
        /// The level of the table.
        level: Level,
        /// Any page that the table covers.
        page: Page,
    },
    /// From a root that this CPU does not translate by, or from nowhere: it is not linked yet, or no longer.
    Elsewhere,
}

/// Pages that CPUs may have cached as they are no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Invalidation {
    /// The root that was changed.
    pub(crate) root: Frame,
    /// The pages whose translation changed are among these.
    pub(crate) pages: PageRange,
    /// Whether tables on the way to the pages are no longer linked.
    pub(crate) tables: Tables,
}

/// What became of the tables on the way to pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tables {
    /// All are linked as before.
    Kept,
    /// Some are no longer linked.
    Unlinked,
}

impl Invalidation {
    /// Returns the ranges of pages that are to be forgotten: the pages themselves, and where the self slot showed tables that
    /// are gone. Whoever finds them to be too many forgets everything instead.
    pub(crate) fn ranges(&self, self_slot: Option<usize>) -> impl Iterator<Item = PageRange> {
        let map = match self.tables {
            Tables::Kept => None,
            Tables::Unlinked => self_slot.map(SelfMap::new),
        };
        let pages = self.pages;
        let tables = [Level::One, Level::Two, Level::Three]
            .into_iter()
            .filter_map(move |level| map?.tables_over(level, pages));
        core::iter::once(pages).chain(tables)
    }
}

/// Where the self slot shows the tables of the active root.
///
/// A root whose entry S points at the root itself makes every walk that passes through S end one level early, on a table
/// instead of a page:
///
/// ```text
///   page with indices S a b c   -> the table of level 1 on the way to pages a b c *
///   page with indices S S a b   -> the table of level 2 on the way to pages a b * *
///   page with indices S S S a   -> the table of level 3 on the way to pages a * * *
///   page with indices S S S S   -> the root
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SelfMap {
    slot: usize,
}

impl SelfMap {
    /// Makes the map that the self slot `slot` gives.
    #[must_use]
    pub(crate) const fn new(slot: usize) -> Self {
        Self { slot }
    }

    /// Returns the page that shows the table of `level` on the way to `page`.
    #[must_use]
    #[inline(always)]
    pub(crate) const fn table(self, level: Level, page: Page) -> Page {
        // The self slot once for each level, and what is left of the four indices of the page.
        const PASSES: [u64; 5] = [
            0,
            1 << 27,
            1 << 27 | 1 << 18,
            1 << 27 | 1 << 18 | 1 << 9,
            1 << 27 | 1 << 18 | 1 << 9 | 1,
        ];
        let passes = PASSES[level as usize] * self.slot as u64;
        let number = passes | page.number() >> (9 * level as u32);
        match Page::from_number(number & Page::LAST.number()) {
            Some(page) => page,
            None => panic!("a number of four indices is a page"),
        }
    }

    /// Returns the pages that show the tables of `level` on the way to `pages`; nothing without pages.
    #[must_use]
    pub(crate) fn tables_over(self, level: Level, pages: PageRange) -> Option<PageRange> {
        let first = self.table(level, pages.start());
        let last = self.table(level, pages.last()?);
        PageRange::try_new(first, last.number() - first.number() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::address::VirtAddr;

    fn page(address: u64) -> Page {
        Page::containing(VirtAddr::new(address))
    }

    /// Proves M27.
    #[test]
    fn the_self_slot_shows_each_table_at_the_address_of_the_manual() {
        let map = SelfMap::new(510);
        let of = |level, address| map.table(level, page(address)).start().as_u64();

        assert_eq!(of(Level::One, 0), 0xffff_ff00_0000_0000);
        assert_eq!(of(Level::One, 0x20_0000), 0xffff_ff00_0000_1000);
        assert_eq!(of(Level::Two, 0), 0xffff_ff7f_8000_0000);
        assert_eq!(of(Level::Three, 0), 0xffff_ff7f_bfc0_0000);
        assert_eq!(of(Level::Four, 0), 0xffff_ff7f_bfdf_e000);
        assert_eq!(
            of(Level::Four, 0xffff_ffff_ffff_f000),
            0xffff_ff7f_bfdf_e000
        );
        assert_eq!(
            of(Level::Three, 0xffff_ffff_ffff_f000),
            0xffff_ff7f_bfdf_f000
        );
    }

    /// Proves M27, M123: gopher-os flushed another address than the one at which its self slot showed the table.
    #[test]
    fn unlinked_tables_are_forgotten_where_the_self_slot_showed_them() {
        let mut stale = Invalidation {
            root: Frame::new(1),
            pages: PageRange::new(page(0x3f_f000), 2),
            tables: Tables::Kept,
        };
        assert_eq!(stale.ranges(Some(510)).collect::<Vec<_>>(), [stale.pages]);

        stale.tables = Tables::Unlinked;

        let shown = [
            PageRange::new(page(0xffff_ff00_0000_1000), 2),
            PageRange::one(page(0xffff_ff7f_8000_0000)),
            PageRange::one(page(0xffff_ff7f_bfc0_0000)),
        ];
        assert_eq!(
            stale.ranges(Some(510)).collect::<Vec<_>>(),
            [&[stale.pages][..], &shown].concat()
        );
        assert_eq!(stale.ranges(None).collect::<Vec<_>>(), [stale.pages]);
    }
}
