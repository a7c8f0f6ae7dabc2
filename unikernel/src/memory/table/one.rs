//! One page at a time: the short way, for what a page fault does.
//!
//! Most pages lie in a table of level 1 that is there already, with a way to it that lets enough through. Then nothing is made,
//! split or given back, and four loads and two stores do. Everything else takes the walk.

use super::cursor::Cursor;
use super::entry::{Change, Entry};
use super::node;
use crate::memory::machine::{Machine, Place};
use crate::memory::page::{Level, Page, Rights};

/// The entry of a page, in a table of level 1 that is there.
pub(super) struct Slot<'a, M> {
    machine: &'a M,
    page: Page,
    /// The table of level 1, and that of level 2.
    table: Place,
    above: Place,
    /// The entry that points to the table of level 1, and the entry of the page.
    link: Entry,
    entry: Entry,
    /// What the entries on the way let through.
    way: Rights,
}

impl<'a, M: Machine> Slot<'a, M> {
    /// Finds the entry of a page, unless a table is missing or a large leaf maps the page.
    pub(super) fn find(cursor: &Cursor<'a, M>, page: Page) -> Option<Self> {
        if Some(page.index(Level::Four)) == M::SELF_SLOT {
            return None;
        }
        let mut table = cursor.place(cursor.root, Level::Four, page);
        let mut above = table;
        let mut link = Entry::ABSENT;
        let mut way = Rights::all();
        for level in [Level::Four, Level::Three, Level::Two] {
            link = node::open(cursor.machine, table).load(page.index(level));
            if !link.is_present() || !link.is_table(level) {
                return None;
            }
            way = way.intersection(link.rights());
            above = table;
            table = cursor.place(link.frame(), level.below()?, page);
        }
        let entry = node::open(cursor.machine, table).load(page.index(Level::One));
        let machine = cursor.machine;
        Some(Self {
            machine,
            page,
            table,
            above,
            link,
            entry,
            way,
        })
    }

    /// Puts a leaf in if nothing is there. Returns whether it did.
    pub(super) fn put(&self, leaf: Entry, rights: Rights) -> bool {
        let is_possible = self.entry.is_absent() && self.way.contains(rights);
        if is_possible {
            self.open().store(self.page.index(Level::One), leaf);
            self.count(1);
        }
        is_possible
    }

    /// Puts a leaf in the place of another one, which it returns.
    pub(super) fn replace(&self, leaf: Entry, rights: Rights) -> Option<Entry> {
        let is_possible = self.entry.is_used() && self.way.contains(rights);
        is_possible.then(|| self.exchange(leaf))
    }

    /// Takes a leaf out, and returns it, unless that leaves the table empty.
    pub(super) fn take(&self) -> Option<Entry> {
        if !self.entry.is_used() || self.link.used() <= 1 {
            return None;
        }
        let taken = self.exchange(Entry::ABSENT);
        self.count(-1);
        Some(taken)
    }

    /// Applies a change to the leaf, if there is one and the way need not be widened. Returns whether the leaf is different.
    pub(super) fn change(&self, change: &Change) -> Option<bool> {
        let rights = change.granted().unwrap_or(Rights::empty());
        if !self.entry.is_used() || !self.way.contains(rights) {
            return None;
        }
        let changed = change.apply(self.entry);
        if changed != self.entry {
            self.exchange(changed);
        }
        Some(changed != self.entry)
    }

    fn exchange(&self, new: Entry) -> Entry {
        self.open()
            .replace(self.page.index(Level::One), self.entry, new)
    }

    fn count(&self, by: i32) {
        let above = node::open(self.machine, self.above);
        above.store(self.page.index(Level::Two), self.link.with_used_changed(by));
    }

    fn open(&self) -> node::Node<M::Table<'a>> {
        node::open(self.machine, self.table)
    }
}
