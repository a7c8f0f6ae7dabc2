//! One table of 512 entries, held open: the only place where entries are read and written.
//!
//! The functions here are safe for the rest of `table`, which keeps the two promises that [`Machine::open`] wants:
//!
//! 1. A `PageTable` is borrowed mutably by whoever edits it, so nobody else edits its tables; places come from `Cursor`, which
//!    found them by walking from the root, or from a table that was just allocated or just unlinked.
//! 2. What is stored comes from the callers of `table`, who own the pages and frames they name. All of them are inside
//!    `memory`; what is offered to applications is `unsafe` where it has to be.

#![allow(
    unsafe_code,
    reason = "opening a table is unsafe at the seam, and safe for this module's neighbours for the reasons above"
)]

use super::entry::Entry;
use crate::memory::machine::{Entries, Machine, Place};
use crate::memory::page::ENTRIES;

/// An open table.
pub(super) struct Node<T> {
    entries: T,
}

/// Opens the table at a place.
#[inline]
pub(super) fn open<M: Machine>(machine: &M, place: Place) -> Node<M::Table<'_>> {
    // SAFETY:
    // 1. The head of this file says why the place is right and nobody else edits the table.
    // 2. It says too who answers for what is stored.
    let entries = unsafe { machine.open(place) };
    Node { entries }
}

impl<T: Entries> Node<T> {
    #[inline]
    pub(super) fn load(&self, index: usize) -> Entry {
        debug_assert!(index < ENTRIES, "an index has nine bits");
        Entry::from_bits(self.entries.load(index))
    }

    /// Replaces the entry `old`, which was loaded from there. What the processor notes in a leaf meanwhile is kept, unless
    /// the new entry is absent. Returns the entry that was replaced.
    #[inline]
    pub(super) fn replace(&self, index: usize, mut old: Entry, mut new: Entry) -> Entry {
        if !old.is_present() {
            self.store(index, new);
            return old;
        }
        while let Err(now) = self.entries.exchange(index, old.bits(), new.bits()) {
            let now = Entry::from_bits(now);
            new = new.with_news(old, now);
            old = now;
        }
        old
    }

    /// Replaces the entry if it still is `old`; otherwise answers what it is.
    pub(super) fn exchange(&self, index: usize, old: Entry, new: Entry) -> Result<(), Entry> {
        self.entries
            .exchange(index, old.bits(), new.bits())
            .map_err(Entry::from_bits)
    }

    /// Writes an entry that the processor does not change: what was there is not a present leaf.
    #[inline]
    pub(super) fn store(&self, index: usize, entry: Entry) {
        self.entries.store(index, entry.bits());
    }
}
