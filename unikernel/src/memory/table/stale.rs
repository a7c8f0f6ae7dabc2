//! A change that processors may not have noticed yet.

use super::TableFrames;
use crate::memory::machine::{Invalidation, Machine, Tables};
use crate::memory::page::{Frame, PageRange};

/// The result of a change to a page table, which comes out only by flushing.
///
/// Until then a processor may still use the translation from before: a frame that was displaced may still be read and
/// written. So the frame is in here, and so are the tables that became empty.
///
/// Dropping it flushes as well, but then nobody learns what was displaced.
#[must_use = "processors may still use the old translation: call `flush`, which also gives the displaced frame"]
pub(crate) struct Stale<'a, M: Machine, F: TableFrames, T> {
    pending: Pending<'a, M, F>,
    value: T,
}

/// What is to be forgotten: done when this is dropped.
struct Pending<'a, M: Machine, F: TableFrames> {
    machine: &'a M,
    frames: &'a F,
    /// Nothing if no processor can know it.
    invalidation: Option<Invalidation>,
    /// Tables that are empty and no longer linked. The invalidation says so too.
    tables: [Option<Frame>; 3],
}

impl<'a, M: Machine, F: TableFrames, T> Stale<'a, M, F, T> {
    /// Makes the result of a change to leaves of `root` at `pages`; without pages nobody can know what was there before.
    #[inline(always)]
    pub(super) fn new(
        (machine, frames): (&'a M, &'a F),
        root: Frame,
        pages: Option<PageRange>,
        value: T,
    ) -> Self {
        let invalidation = pages.map(|pages| Invalidation {
            root,
            pages,
            tables: Tables::Kept,
        });
        let pending = Pending {
            machine,
            frames,
            invalidation,
            tables: [None; 3],
        };
        Self { pending, value }
    }

    /// Makes every processor forget the translation from before, and returns the result.
    #[inline(always)]
    pub(crate) fn flush(self) -> T {
        drop(self.pending);
        self.value
    }

    /// Adds tables that are no longer linked.
    pub(super) fn unlinked(&mut self, tables: [Option<Frame>; 3]) {
        self.pending.tables = tables;
        if let Some(invalidation) = &mut self.pending.invalidation {
            invalidation.tables = Tables::Unlinked;
        }
    }
}

impl<M: Machine, F: TableFrames> Drop for Pending<'_, M, F> {
    #[inline(always)]
    fn drop(&mut self) {
        let Some(invalidation) = &self.invalidation else {
            return;
        };
        self.machine.invalidate(invalidation);
        if invalidation.tables == Tables::Unlinked {
            self.give_tables_back();
        }
    }
}

impl<M: Machine, F: TableFrames> Pending<'_, M, F> {
    #[inline(never)]
    fn give_tables_back(&self) {
        for &table in self.tables.iter().flatten() {
            self.frames.give_back(table);
        }
    }
}
