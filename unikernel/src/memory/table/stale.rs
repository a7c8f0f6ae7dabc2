//! A change that processors may not have noticed yet.

use super::TableFrames;
use crate::memory::machine::{Invalidation, Machine, Tables};
use crate::memory::page::Frame;

/// The result of a change to a page table, which comes out only by flushing.
///
/// Until then a processor may still use the translation from before: a frame that was displaced may still be read and
/// written. So the frame is in here, and so are the tables that became empty.
///
/// Dropping it flushes as well, but then nobody learns what was displaced.
#[must_use = "processors may still use the old translation: call `flush`, which also gives the displaced frame"]
pub(crate) struct Stale<'a, M: Machine, F: TableFrames, T> {
    pub(super) machine: &'a M,
    pub(super) frames: &'a F,
    /// What to forget; nothing if no processor can know it.
    pub(super) invalidation: Option<Invalidation>,
    /// Tables that are empty and no longer linked.
    pub(super) tables: [Option<Frame>; 3],
    /// Gone once flushed.
    pub(super) value: Option<T>,
}

impl<M: Machine, F: TableFrames, T> Stale<'_, M, F, T> {
    /// Makes every processor forget the translation from before, and returns the result.
    pub(crate) fn flush(mut self) -> T {
        self.forget();
        self.value
            .take()
            .expect("only `flush` takes the value, and it takes itself")
    }

    /// Adds tables that are no longer linked.
    pub(super) fn unlinked(&mut self, tables: [Option<Frame>; 3]) {
        self.tables = tables;
        if let Some(invalidation) = &mut self.invalidation {
            invalidation.tables = Tables::Unlinked;
        }
    }

    fn forget(&mut self) {
        if let Some(invalidation) = self.invalidation.take() {
            self.machine.invalidate(&invalidation);
        }
        for table in self.tables.iter_mut().filter_map(Option::take) {
            self.frames.give_back(table);
        }
    }
}

impl<M: Machine, F: TableFrames, T> Drop for Stale<'_, M, F, T> {
    fn drop(&mut self) {
        self.forget();
    }
}
