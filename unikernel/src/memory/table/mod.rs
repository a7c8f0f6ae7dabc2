//! Page tables: what is mapped where, for the processor to read.
//!
//! A [`PageTable`] is one root and everything below. It maps *pages* to *frames* by *leaves* of 4 KiB, 2 MiB or 1 GiB, each with
//! its [`Attributes`]. Any root can be edited, active or not.
//!
//! ```text
//!   PageTable  what can be asked for                      mod.rs, root.rs, section.rs
//!     Cursor   the walk, the same for all                 cursor.rs
//!       visitors  map      build.rs, source.rs            what is done with an entry
//!                 unmap    remove.rs
//!                 change   alter.rs, split.rs
//!                 read     runs.rs, check.rs
//!     Slot     the short way for one page, and what       one.rs
//!              takes it if it can
//!     Node     one table, open                            node.rs
//!     Entry    64 bits                                    entry.rs, memory_type.rs
//!     Shown    the entry of a temporary mapping           shown.rs
//!     Stale    what processors may not have noticed       stale.rs
//! ```
//!
//! # What happens to frames
//!
//! A frame in here is a name. Mapping one takes no ownership, and unmapping it gives the name back: whoever maps counts. The
//! mark `OWNED` notes for whom a frame is to be freed; tables only keep it. Frames of tables come from [`TableFrames`] and go
//! back there.
//!
//! # What is shared
//!
//! The upper half of every root points to the same tables, made once by [`PageTable::prepare_upper_half`]: a mapping made there
//! later appears in all roots. Those tables stay when empty, and when a root ends.
//!
//! # Invariants
//!
//! - T1: nothing is mapped over something, unless that was asked for by [`PageTable::replace`].
//! - T2: the entry that points to a table knows how many entries there are used; a table without any is given back. The shared
//!   tables of the upper half are excepted from both.
//! - T3: every entry on the way to a leaf lets through what the leaf allows.
//! - T4: no leaf is both writable and copy-on-write; no leaf of the zero frame is anything but read-only, copy-on-write, not
//!   owned and write-back.
//! - T5: no frame and no table comes out before every processor forgot it, whatever the accessed bit says.
//! - T6: no leaf of the upper half is for ring 3; leaves there are global, and those of the lower half are not.
//! - T7: every table is linked once, except the shared ones, once in each root; the self slot points at the root.
//!
//! A failed operation changes nothing: no leaf, and no table more or less.

pub(crate) mod check;
pub(crate) mod entry;
pub(crate) mod error;
pub(crate) mod memory_type;
pub(crate) mod one;
pub(crate) mod root;
pub(crate) mod runs;
pub(crate) mod section;
pub(crate) mod shown;
pub(crate) mod source;
pub(crate) mod stale;

mod alter;
mod build;
mod cursor;
mod node;
mod pool;
mod remove;
mod split;

#[cfg(test)]
mod tests;

use self::alter::Alter;
use self::build::{Build, Cause, Existing};
use self::cursor::Cursor;
use self::entry::{Attributes, Change, Leaf, Marks};
use self::error::{AttributesError, ChangeError, MapError, OutOfFrames, UnmapError};
use self::one::Slot;
use self::remove::{Collect, TakeOne, Withdraw};
use self::root::half;
use self::runs::Run;
use self::source::{
    Checked, CopyCounts, Each, FrameRun, Other, PageFrames, Same, Source, Supply, check_rights,
};
use self::stale::Stale;
use super::address::VirtAddr;
use super::machine::{Invalidation, Machine};
use super::page::{Frame, FrameRange, Level, MemoryType, Page, PageRange, PageSize, Rights};

/// Where tables get their frames.
///
/// A table that is given back holds zeros only, so whoever keeps it for the next need not clear it.
pub(crate) trait TableFrames {
    /// Returns a frame that holds zeros and belongs to nobody else; nothing if there is none left.
    fn take(&self) -> Option<Frame>;

    /// Takes back a frame that holds zeros again.
    fn give_back(&self, frame: Frame);

    /// Returns the reserved zero frame; nothing before there is one.
    fn zero_frame(&self) -> Option<Frame>;

    /// Returns whether this is the reserved zero frame.
    #[inline]
    fn is_zero_frame(&self, frame: Frame) -> bool {
        self.zero_frame() == Some(frame)
    }
}

/// A root and everything below.
pub(crate) struct PageTable<'a, M, F> {
    machine: &'a M,
    frames: &'a F,
    root: Frame,
}

impl<'a, M: Machine, F: TableFrames> PageTable<'a, M, F> {
    /// Returns the frame of the root.
    #[must_use]
    pub(crate) const fn root(&self) -> Frame {
        self.root
    }

    /// Maps a run of frames at the pages from `page` on, with the largest leaves that fit and that are not larger than `largest`.
    #[inline(always)]
    pub(crate) fn map(
        &mut self,
        page: Page,
        frames: FrameRange,
        attributes: Attributes,
        largest: PageSize,
    ) -> Result<(), MapError> {
        if frames.len() == 1 && self.map_shortly(page, frames.start(), attributes) {
            return Ok(());
        }
        self.map_run(page, frames, attributes, largest)
    }

    #[inline(never)]
    fn map_run(
        &mut self,
        page: Page,
        frames: FrameRange,
        attributes: Attributes,
        largest: PageSize,
    ) -> Result<(), MapError> {
        let pages = u64::from(frames.len());
        let range =
            PageRange::try_new(page, pages).ok_or(MapError::OutOfPages { start: page, pages })?;
        let checked = self.check(page, attributes)?;
        let mut source = FrameRun {
            attributes: checked,
            frames,
            first: page,
            largest: largest.min(self.machine.largest_leaf()),
        };
        self.build(range, &mut source, attributes)
    }

    /// Maps a run of frames at the pages with equal numbers.
    pub(crate) fn map_identity(
        &mut self,
        frames: FrameRange,
        attributes: Attributes,
        largest: PageSize,
    ) -> Result<(), MapError> {
        let page = Page::containing(VirtAddr::new(frames.start().start().as_u64()));
        self.map(page, frames, attributes, largest)
    }

    /// Maps a frame at each page of a range, as they are taken from `frames`. If that fails, all are given back there.
    pub(crate) fn fill(
        &mut self,
        range: PageRange,
        attributes: Attributes,
        frames: &mut impl PageFrames,
    ) -> Result<(), MapError> {
        let attributes_checked = self.check(range.start(), attributes)?;
        let mut source = Each {
            attributes: attributes_checked,
            frames,
        };
        self.build(range, &mut source, attributes)
    }

    /// Maps the reserved zero frame at each page of a range, read-only and copy-on-write: reading gives zeros and costs no
    /// frame, and the first write is the fault handler's. Of the rights, that to write is left out.
    ///
    /// # Panics
    ///
    /// If there is no zero frame yet.
    pub(crate) fn reserve(&mut self, range: PageRange, rights: Rights) -> Result<(), MapError> {
        let zero = self
            .frames
            .zero_frame()
            .expect("the zero frame is there before anything is reserved");
        let rights = rights.difference(Rights::WRITE);
        let attributes = Attributes::new(rights).with_marks(Marks::COPY_ON_WRITE);
        let checked = self.check(range.start(), attributes)?;
        let Supply::Leaf(leaf) = checked.leaf(zero, PageSize::Kib4) else {
            unreachable!("T4: these are the attributes of the zero frame");
        };
        self.build(range, &mut Same { leaf, rights }, attributes)
    }

    /// Maps a frame at a page, whatever is mapped there. What that was comes out of the [`Stale`].
    #[inline(never)]
    pub(crate) fn replace(
        &mut self,
        page: Page,
        frame: Frame,
        attributes: Attributes,
    ) -> Result<Stale<'a, M, F, Option<Leaf>>, MapError> {
        let range = PageRange::one(page);
        let checked = self.check(page, attributes)?;
        let Supply::Leaf(leaf) = checked.leaf(frame, PageSize::Kib4) else {
            return Err(MapError::Attributes(
                page,
                AttributesError::ZeroFrame(attributes),
            ));
        };
        let rights = attributes.rights();
        self.refuse_self_slot(range)?;
        split::at_ends(&self.cursor(), self.frames, range)
            .map_err(|OutOfFrames| MapError::OutOfFrames(page))?;
        let mut source = Same { leaf, rights };
        let mut build = Build::new(self.frames, &mut source, Existing::Displace(None));
        self.cursor().walk_seldom(range, &mut build);
        let (failure, existing, widened) = (build.failure, build.existing, build.widened);
        if let Some(failure) = failure {
            self.take_out(range, &mut |_| {});
            return Err(failure.error(attributes));
        }
        let Existing::Displace(displaced) = existing else {
            unreachable!("it was made so above");
        };
        let is_stale = widened || displaced.is_some();
        Ok(self.stale(is_stale.then_some(range), displaced))
    }

    /// Unmaps one page of 4 KiB. What was mapped there comes out of the [`Stale`]. A part of a large leaf is split off first.
    #[inline(never)]
    pub(crate) fn unmap(&mut self, page: Page) -> Result<Stale<'a, M, F, Leaf>, UnmapError> {
        let range = PageRange::one(page);
        let mut taken = TakeOne::new();
        self.cursor().walk_seldom(range, &mut taken);
        if taken.is_part {
            split::at_ends(&self.cursor(), self.frames, range)
                .map_err(|OutOfFrames| UnmapError::OutOfFrames(page))?;
            taken = TakeOne::new();
            self.cursor().walk_seldom(range, &mut taken);
        }
        let leaf = taken.leaf.ok_or(UnmapError::NotMapped(page))?;
        let mut stale = self.stale(Some(range), leaf);
        if taken.tables.iter().any(Option::is_some) {
            stale.unlinked(taken.tables);
        }
        Ok(stale)
    }

    /// Unmaps everything in a range, flushes once, and then tells `sink` what was mapped, in ascending order. Returns how many
    /// pages that were. Large leaves across an end of the range are split first.
    pub(crate) fn unmap_range(
        &mut self,
        range: PageRange,
        sink: &mut dyn FnMut(Run),
    ) -> Result<u64, UnmapError> {
        split::at_ends(&self.cursor(), self.frames, range)
            .map_err(|OutOfFrames| UnmapError::OutOfFrames(range.start()))?;
        Ok(self.take_out(range, sink))
    }

    /// Changes every leaf in a range. Returns how many pages are different now. Large leaves across an end of the range are
    /// split first.
    #[inline]
    pub(crate) fn change(
        &mut self,
        range: PageRange,
        change: &Change,
    ) -> Result<Stale<'a, M, F, u64>, ChangeError> {
        let start = range.start();
        if let Some(rights) = change.granted() {
            check_rights(rights, half(start))
                .map_err(|error| ChangeError::Attributes(start, error))?;
        }
        if range.len() == 1
            && let Some(slot) = Slot::find(self.cursor(), start)
            && let Some(is_changed) = slot.change(change)
        {
            return Ok(self.stale(is_changed.then_some(range), u64::from(is_changed)));
        }
        self.change_all(range, change)
    }

    #[inline(never)]
    fn change_all(
        &mut self,
        range: PageRange,
        change: &Change,
    ) -> Result<Stale<'a, M, F, u64>, ChangeError> {
        let start = range.start();
        split::at_ends(&self.cursor(), self.frames, range)
            .map_err(|OutOfFrames| ChangeError::OutOfFrames(start))?;
        let mut alter = Alter::new(change);
        self.cursor().walk(range, &mut alter);
        Ok(self.stale(alter.changed(), alter.pages))
    }

    /// Gives every leaf in a range these rights and takes all others. Copy-on-write leaves do not become writable by that.
    pub(crate) fn protect(
        &mut self,
        range: PageRange,
        rights: Rights,
    ) -> Result<Stale<'a, M, F, u64>, ChangeError> {
        self.change(range, &Change::rights(rights))
    }

    /// Returns the first page in a range that is mapped.
    pub(crate) fn first(&self, range: PageRange) -> Option<Page> {
        runs::first(&self.cursor(), range)
    }

    /// Splits large leaves so that none lies across an end of the range. No translation changes.
    pub(crate) fn split_at_ends(&mut self, range: PageRange) -> Result<(), UnmapError> {
        split::at_ends(&self.cursor(), self.frames, range)
            .map_err(|OutOfFrames| UnmapError::OutOfFrames(range.start()))
    }

    /// Tells `sink` every run of leaves in a range, in ascending order.
    pub(crate) fn runs(&self, range: PageRange, sink: &mut dyn FnMut(Run)) {
        runs::read(&self.cursor(), range, sink);
    }

    /// Maps what another root maps in a range of the lower half, with `change` applied on this side only. Nothing may be mapped
    /// in the range here. `counts` learns of every leaf that gets a second user.
    ///
    /// A part of the range where the other root has no tables gets none here.
    pub(crate) fn copy(
        &mut self,
        from: &PageTable<'_, M, F>,
        range: PageRange,
        change: Change,
        counts: &mut impl CopyCounts,
    ) -> Result<(), MapError> {
        if let Some(page) = runs::first(&self.cursor(), range) {
            return Err(MapError::AlreadyMapped(page));
        }
        let mut source = Other::new(from.cursor(), range, change, counts);
        self.build(range, &mut source, Attributes::new(Rights::READ))
    }

    /// Puts in what a source supplies, or nothing at all.
    fn build(
        &mut self,
        range: PageRange,
        source: &mut impl Source,
        attributes: Attributes,
    ) -> Result<(), MapError> {
        self.refuse_self_slot(range)?;
        let mut build = Build::new(self.frames, source, Existing::Refuse);
        self.cursor().walk(range, &mut build);
        let (failure, widened) = (build.failure, build.widened);
        if let Some(failure) = failure {
            let done = failure.page.number() - range.start().number();
            // What is at the failing page, if it is something, is somebody else's.
            let own = u64::from(failure.cause != Cause::AlreadyMapped);
            self.take_back(PageRange::new(range.start(), done + own), source);
            return Err(failure.error(attributes));
        }
        if widened {
            self.stale(Some(PageRange::one(range.start())), ()).flush();
        }
        Ok(())
    }

    /// Takes out what a source supplied.
    fn take_back(&mut self, range: PageRange, source: &mut impl Source) {
        self.take_out(range, &mut |run: Run| {
            let size = run.leaf.size.pages();
            for offset in (0..run.pages.len()).step_by(size as usize) {
                let page = run
                    .pages
                    .get(offset)
                    .expect("the offset is below the length");
                let frame = run.frame(page).expect("each page of a run has a frame");
                source.take_back(page, Leaf { frame, ..run.leaf });
            }
        });
    }

    /// Unmaps a range without a large leaf across its ends. Returns how many pages were mapped.
    fn take_out(&mut self, range: PageRange, sink: &mut dyn FnMut(Run)) -> u64 {
        let mut withdraw = Withdraw::new();
        self.cursor().walk(range, &mut withdraw);
        if withdraw.is_stale {
            self.machine.invalidate(&Invalidation {
                root: self.root,
                pages: range,
                tables: withdraw.tables,
            });
        }
        let mut collect = Collect::new(self.frames, sink);
        self.cursor().walk(range, &mut collect);
        collect.leaves.finish();
        collect.leaves.pages
    }

    fn check(&self, page: Page, attributes: Attributes) -> Result<Checked, MapError> {
        if attributes.memory_type() != MemoryType::WriteBack {
            self.machine.hide_idle();
        }
        let zero = self.frames.zero_frame();
        Checked::new(self.machine, attributes, half(page), zero)
            .map_err(|error| MapError::Attributes(page, error))
    }

    /// Refuses a range in which the self slot shows tables.
    fn refuse_self_slot(&self, range: PageRange) -> Result<(), MapError> {
        if !range.start().is_upper_half() {
            return Ok(());
        }
        let shown = M::SELF_SLOT
            .and_then(|slot| Page::from_indices([slot, 0, 0, 0]))
            .map(|page| PageRange::new(page, Level::Four.entry_pages()));
        match shown.and_then(|shown| shown.intersection(range)) {
            Some(both) => Err(MapError::SelfSlot(both.start())),
            None => Ok(()),
        }
    }

    #[inline(always)]
    fn stale<T>(&self, pages: Option<PageRange>, value: T) -> Stale<'a, M, F, T> {
        Stale::new((self.machine, self.frames), self.root, pages, value)
    }

    #[inline(always)]
    fn cursor(&self) -> Cursor<'a, M> {
        Cursor::new(self.machine, self.root)
    }
}
