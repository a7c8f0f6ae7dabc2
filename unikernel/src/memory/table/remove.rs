//! Unmapping.
//!
//! Many pages go in two passes with one flush between them, so that no frame comes out while a processor may still use it,
//! however many there are, and without memory to note them in:
//!
//! ```text
//!   1. Withdraw   leaves, and whole tables where the range covers them, become dying: no longer present, all else kept
//!      flush
//!   2. Collect    frames come out, entries become absent, empty tables are given back
//! ```
//!
//! A table that the range covers is one entry to the first pass. The second finds its leaves as the processor left them,
//! dirty bits included. One page goes in one pass ([`TakeOne`]), and comes out of a `Stale`.

use super::TableFrames;
use super::cursor::{At, Step, Visitor};
use super::entry::{Entry, Leaf};
use super::runs::{Join, Run};
use crate::memory::machine::Tables;
use crate::memory::page::Frame;

/// First pass: nothing in the range is present any more.
pub(super) struct Withdraw {
    /// Whether there was anything that a processor may have cached.
    pub(super) is_stale: bool,
    pub(super) tables: Tables,
}

impl Withdraw {
    pub(super) const fn new() -> Self {
        Self {
            is_stale: false,
            tables: Tables::Kept,
        }
    }

    fn unlink(&mut self, table: Entry) -> Entry {
        self.is_stale = true;
        self.tables = Tables::Unlinked;
        table.dying_table()
    }
}

impl Visitor for Withdraw {
    #[inline(always)]
    fn visit(&mut self, at: At, entry: Entry) -> Step {
        if !entry.is_used() {
            return Step::Keep;
        }
        if !entry.is_table(at.level) {
            debug_assert!(
                at.is_whole(),
                "large leaves are split before a part is unmapped"
            );
            self.is_stale |= entry.is_present();
            return Step::Take(entry.dying_leaf());
        }
        if at.is_whole() && !at.is_shared() {
            return Step::Take(self.unlink(entry));
        }
        Step::Through(entry)
    }

    fn leave(&mut self, at: At, entry: Entry) -> Entry {
        if entry.used() == 0 && !at.is_shared() {
            self.unlink(entry)
        } else {
            entry
        }
    }
}

/// Second pass: what is dying comes out.
pub(super) struct Collect<'a, F> {
    frames: &'a F,
    pub(super) leaves: Join<'a>,
    /// How many dying tables the walk is inside of. All of what they hold goes.
    dying: u32,
}

impl<'a, F> Collect<'a, F> {
    pub(super) const fn new(frames: &'a F, sink: &'a mut dyn FnMut(Run)) -> Self {
        Self {
            frames,
            leaves: Join::new(sink, Entry::ACCESSED),
            dying: 0,
        }
    }
}

impl<F: TableFrames> Visitor for Collect<'_, F> {
    #[inline(always)]
    fn visit(&mut self, at: At, entry: Entry) -> Step {
        if entry.is_absent() {
            return Step::Keep;
        }
        if entry.is_table(at.level) {
            self.dying += u32::from(entry.is_dying());
            return Step::Through(entry);
        }
        self.leaves.add(at, entry.as_it_was());
        Step::Clear
    }

    fn leave(&mut self, _at: At, entry: Entry) -> Entry {
        if self.dying == 0 {
            return entry;
        }
        self.dying -= u32::from(entry.is_dying());
        self.frames.give_back(entry.frame());
        Entry::ABSENT
    }
}

/// Takes out one page of 4 KiB, and the tables that this leaves empty.
pub(super) struct TakeOne {
    pub(super) leaf: Option<Leaf>,
    pub(super) tables: [Option<Frame>; 3],
    /// The page is a part of a large leaf, and nothing was taken.
    pub(super) is_part: bool,
}

impl TakeOne {
    pub(super) const fn new() -> Self {
        Self {
            leaf: None,
            tables: [None; 3],
            is_part: false,
        }
    }
}

impl Visitor for TakeOne {
    fn visit(&mut self, at: At, entry: Entry) -> Step {
        if !entry.is_used() {
            Step::Keep
        } else if entry.is_table(at.level) {
            Step::Through(entry)
        } else if at.is_whole() {
            Step::Take(Entry::ABSENT)
        } else {
            self.is_part = true;
            Step::Stop
        }
    }

    fn replaced(&mut self, at: At, old: Entry) {
        self.leaf = at.level.leaf_size().map(|size| old.leaf(size));
    }

    fn leave(&mut self, at: At, entry: Entry) -> Entry {
        if entry.used() > 0 || at.is_shared() {
            return entry;
        }
        // Three levels have entries that point to tables.
        self.tables[at.level as usize - 2] = Some(entry.frame());
        Entry::ABSENT
    }
}
