//! One page at a time: the short way, for what a page fault does.
//!
//! Most pages lie in a table of level 1 that is there already, with a way to it that lets enough through, and most edits are of the
//! active root. Then nothing is made, split, given back or opened, and four loads and two stores do. Everything else takes the
//! walk.

use super::cursor::{Cursor, Found};
use super::entry::{Attributes, Change, Entry, Leaf, LeafBits, Way};
use super::error::{MapError, UnmapError};
use super::root::half;
use super::{PageTable, TableFrames, node};
use crate::memory::address::{PhysAddr, VirtAddr};
use crate::memory::machine::Machine;
use crate::memory::page::{Frame, Level, Page, PageRange, PageSize, Rights};

/// What an address translates to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// Where it is in physical memory.
    pub address: PhysAddr,
    /// The leaf that maps it.
    pub leaf: Leaf,
    /// How far it is from the start of the leaf, in bytes.
    pub offset: u64,
}

impl Translation {
    /// Translates an address that a leaf maps, if it lets anybody read.
    #[inline(always)]
    fn of(address: VirtAddr, leaf: Leaf) -> Option<Self> {
        let offset = address.as_u64() & (leaf.size.bytes() - 1);
        let is_readable = leaf.attributes.rights().contains(Rights::READ);
        let address = leaf.frame.start().checked_add(offset)?;
        is_readable.then_some(Self {
            address,
            leaf,
            offset,
        })
    }
}

impl<'a, M: Machine, F: TableFrames> PageTable<'a, M, F> {
    /// Returns the leaf that maps a page, and the first page of that leaf; nothing if there is none.
    #[must_use]
    #[inline(always)]
    pub(crate) fn query(&self, page: Page) -> Option<(Page, Leaf)> {
        match self.small_leaf(page) {
            Some(leaf) => Some((page, leaf)),
            None => self.query_any(page),
        }
    }

    #[inline(never)]
    fn query_any(&self, page: Page) -> Option<(Page, Leaf)> {
        let Found { level, entry, .. } = self.cursor().find(page);
        let size = level.leaf_size().filter(|_| entry.is_used())?;
        Some((page.align_down(level), entry.leaf(size)))
    }

    /// Translates an address, as the processor would for somebody who may read it; nothing where it could not.
    #[must_use]
    #[inline(always)]
    pub(crate) fn translate(&self, address: VirtAddr) -> Option<Translation> {
        match self.small_leaf(Page::containing(address)) {
            Some(leaf) => Translation::of(address, leaf),
            None => self.translate_any(address),
        }
    }

    #[inline(never)]
    fn translate_any(&self, address: VirtAddr) -> Option<Translation> {
        let (_, leaf) = self.query_any(Page::containing(address))?;
        Translation::of(address, leaf)
    }

    /// Returns the leaf of 4 KiB that maps a page under the active root, found in a few instructions.
    #[inline(always)]
    fn small_leaf(&self, page: Page) -> Option<Leaf> {
        Slot::find(self.cursor(), page)?.leaf()
    }

    /// Maps a frame at a page, whatever is mapped there, and flushes. Returns what was there.
    #[inline(always)]
    pub(crate) fn replace_and_flush(
        &mut self,
        page: Page,
        frame: Frame,
        attributes: Attributes,
    ) -> Result<Option<Leaf>, MapError> {
        if let Some(leaf) = self.plain_leaf(page, frame, attributes)
            && let Some(slot) = Slot::find(self.cursor(), page)
            && let Some(old) = slot.replace(leaf)
        {
            let displaced = Some(old.leaf(PageSize::Kib4));
            return Ok(self.stale(Some(PageRange::one(page)), displaced).flush());
        }
        Ok(self.replace(page, frame, attributes)?.flush())
    }

    /// Unmaps one page of 4 KiB, and flushes. Returns what was mapped there.
    #[inline(always)]
    pub(crate) fn unmap_and_flush(&mut self, page: Page) -> Result<Leaf, UnmapError> {
        if let Some(slot) = Slot::find(self.cursor(), page)
            && let Some(old) = slot.take()
        {
            let leaf = old.leaf(PageSize::Kib4);
            return Ok(self.stale(Some(PageRange::one(page)), leaf).flush());
        }
        Ok(self.unmap(page)?.flush())
    }

    /// Finds the short way to a page, if there is one.
    #[inline(always)]
    pub(crate) fn slot(&self, page: Page) -> Option<Slot<'a, M>> {
        Slot::find(self.cursor(), page)
    }

    /// Maps a frame at a page that the short way leads to, if nothing is mapped there, and the way lets it through; says whether
    /// it did.
    #[inline(always)]
    pub(crate) fn put(&self, slot: &Slot<'a, M>, frame: Frame, attributes: Attributes) -> bool {
        let leaf = self.plain_leaf(slot.page, frame, attributes);
        leaf.is_some_and(|leaf| slot.put(leaf))
    }

    /// Maps a frame at a page that the short way leads to, in the place of what is mapped there, and flushes; says whether it did.
    #[inline(always)]
    pub(crate) fn exchange(
        &self,
        slot: &Slot<'a, M>,
        frame: Frame,
        attributes: Attributes,
    ) -> bool {
        let leaf = self.plain_leaf(slot.page, frame, attributes);
        let is_exchanged = leaf.and_then(|leaf| slot.replace(leaf)).is_some();
        if is_exchanged {
            self.stale(Some(PageRange::one(slot.page)), ()).flush();
        }
        is_exchanged
    }

    /// Maps a frame at a page, if that is possible the short way; says whether it was.
    #[inline(always)]
    pub(super) fn map_shortly(&mut self, page: Page, frame: Frame, attributes: Attributes) -> bool {
        match self.plain_leaf(page, frame, attributes) {
            Some(leaf) => Slot::find(self.cursor(), page).is_some_and(|slot| slot.put(leaf)),
            None => false,
        }
    }

    /// Returns the leaf that maps a frame of ordinary memory at a page, if nothing about it has to be looked at twice.
    #[inline(always)]
    fn plain_leaf(&self, page: Page, frame: Frame, attributes: Attributes) -> Option<Entry> {
        let half = half(page);
        let is_right = !self.frames.is_zero_frame(frame) || attributes.suit_zero();
        if !is_right || !attributes.are_plain(half) {
            return None;
        }
        Some(LeafBits::new(attributes, half).leaf(frame, PageSize::Kib4))
    }
}

/// The entry of a page, in a table of level 1 that is there, under the active root.
pub(crate) struct Slot<'a, M> {
    cursor: Cursor<'a, M>,
    page: Page,
    /// The table of level 2.
    above: Frame,
    /// The entry that points to the table of level 1, and the entry of the page.
    link: Entry,
    entry: Entry,
    /// What the entries on the way let through.
    way: Way,
}

impl<'a, M: Machine> Slot<'a, M> {
    /// Finds the entry of a page, unless the root is not active, a table is missing, or a large leaf maps the page.
    #[inline(always)]
    pub(super) fn find(cursor: Cursor<'a, M>, page: Page) -> Option<Self> {
        if !cursor.is_active() || Some(page.index(Level::Four)) == M::SELF_SLOT {
            return None;
        }
        let load = |frame, level| {
            let place = cursor.place(frame, level, page);
            node::open(cursor.machine, place).load(page.index(level))
        };
        let four = Some(load(cursor.root, Level::Four)).filter(|entry| entry.leads_on())?;
        let three = Some(load(four.frame(), Level::Three)).filter(|entry| entry.leads_on())?;
        let two = Some(load(three.frame(), Level::Two)).filter(|entry| entry.leads_on())?;
        let one = load(two.frame(), Level::One);
        Some(Self {
            page,
            above: three.frame(),
            link: two,
            entry: one,
            way: Way::through([four, three, two]),
            cursor,
        })
    }

    /// Puts a leaf in if nothing is there. Returns whether it did.
    #[inline(always)]
    pub(super) fn put(&self, leaf: Entry) -> bool {
        let is_possible = self.entry.is_absent() && self.way.is_enough_for(leaf);
        if is_possible {
            self.open().store(self.page.index(Level::One), leaf);
            self.count(1);
        }
        is_possible
    }

    /// Puts a leaf in the place of another one, which it returns.
    #[inline(always)]
    pub(super) fn replace(&self, leaf: Entry) -> Option<Entry> {
        let is_possible = self.entry.is_used() && self.way.is_enough_for(leaf);
        is_possible.then(|| self.exchange(leaf))
    }

    /// Takes a leaf out, and returns it, unless that leaves the table empty.
    #[inline(always)]
    pub(super) fn take(&self) -> Option<Entry> {
        if !self.entry.is_used() || self.link.used() <= 1 {
            return None;
        }
        let taken = self.exchange(Entry::ABSENT);
        self.count(-1);
        Some(taken)
    }

    /// Applies a change to the leaf, if there is one and the way need not be widened. Returns whether the leaf is different.
    #[inline(always)]
    pub(super) fn change(&self, change: &Change) -> Option<bool> {
        let rights = change.granted().unwrap_or(Rights::empty());
        if !self.entry.is_used() || !self.way.lets_through(rights) {
            return None;
        }
        let changed = change.apply(self.entry);
        if changed != self.entry {
            self.exchange(changed);
        }
        Some(changed != self.entry)
    }

    /// Returns the leaf, if there is one.
    #[inline(always)]
    pub(crate) fn leaf(&self) -> Option<Leaf> {
        self.entry
            .is_used()
            .then(|| self.entry.leaf(PageSize::Kib4))
    }

    #[inline(always)]
    fn exchange(&self, new: Entry) -> Entry {
        self.open()
            .replace(self.page.index(Level::One), self.entry, new)
    }

    #[inline(always)]
    fn count(&self, by: i32) {
        let place = self.cursor.place(self.above, Level::Two, self.page);
        let above = node::open(self.cursor.machine, place);
        above.store(self.page.index(Level::Two), self.link.with_used_changed(by));
    }

    #[inline(always)]
    fn open(&self) -> node::Node<M::Table<'a>> {
        let table = self.link.frame();
        let place = self.cursor.place(table, Level::One, self.page);
        node::open(self.cursor.machine, place)
    }
}
