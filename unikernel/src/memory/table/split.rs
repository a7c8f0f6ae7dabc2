//! Splitting large leaves where an operation begins or ends inside one.
//!
//! A split changes no translation: the parts map what the whole did, in the same way. All tables it needs are taken before
//! anything is changed, so it fails as a whole or not at all. Processors may go on with the translation of the whole; the flush
//! of the change that follows ends that for the part that differs.

use super::TableFrames;
use super::cursor::{Cursor, Found};
use super::entry::Entry;
use super::error::OutOfFrames;
use super::node;
use crate::memory::machine::{Link, Machine, Place};
use crate::memory::page::{ENTRIES, Frame, Level, Page, PageRange, PageSize};

/// Tables taken in advance. Each end of a range needs two at most.
struct Spare<'a, F: TableFrames> {
    frames: &'a F,
    tables: [Option<Frame>; 4],
}

impl<F: TableFrames> Spare<'_, F> {
    fn fill(&mut self, count: usize) -> Result<(), OutOfFrames> {
        for slot in &mut self.tables[..count] {
            *slot = Some(self.frames.take().ok_or(OutOfFrames)?);
        }
        Ok(())
    }

    fn take(&mut self) -> Frame {
        let table = self.tables.iter_mut().find_map(Option::take);
        table.expect("as many tables were taken as splits were counted")
    }
}

impl<F: TableFrames> Drop for Spare<'_, F> {
    fn drop(&mut self) {
        for table in self.tables.iter_mut().filter_map(Option::take) {
            self.frames.give_back(table);
        }
    }
}

/// Splits large leaves so that none lies across an end of the range.
pub(super) fn at_ends<M: Machine, F: TableFrames>(
    cursor: &Cursor<'_, M>,
    frames: &F,
    range: PageRange,
) -> Result<(), OutOfFrames> {
    let ends = [Some(range.start()), Page::from_number(range.end_number())];
    let mut needed = Needed {
        splits: [None; 4],
        count: 0,
    };
    for end in ends.into_iter().flatten() {
        needed.add_for(cursor, end);
    }
    if needed.count == 0 {
        return Ok(());
    }
    let mut spare = Spare {
        frames,
        tables: [None; 4],
    };
    spare.fill(needed.count)?;
    for end in ends.into_iter().flatten() {
        while let Some(found) = across(cursor, end) {
            split(cursor, found, end, spare.take());
        }
    }
    Ok(())
}

/// Which tables are missing: each by its level, and its position among all of that level.
struct Needed {
    splits: [Option<(Level, u64)>; 4],
    count: usize,
}

impl Needed {
    /// Adds the tables that make a leaf end where `end` begins.
    fn add_for<M: Machine>(&mut self, cursor: &Cursor<'_, M>, end: Page) {
        let mut level = across(cursor, end).map(|found| found.level);
        while let Some(above) = level.filter(|&level| end.align_down(level) != end) {
            level = above.below();
            self.add((above, end.align_down(above).number()));
        }
    }

    fn add(&mut self, split: (Level, u64)) {
        if !self.splits.contains(&Some(split)) {
            self.splits[self.count] = Some(split);
            self.count += 1;
        }
    }
}

/// Returns the large leaf that begins before `end` and reaches beyond it.
fn across<M: Machine>(cursor: &Cursor<'_, M>, end: Page) -> Option<Found> {
    if end.is_aligned(PageSize::Gib1) {
        return None;
    }
    let found = cursor.find(end);
    let is_across = found.entry.is_used() && end.align_down(found.level) != end;
    is_across.then_some(found)
}

/// Replaces the large leaf around `page` by the table, which is filled with its parts.
fn split<M: Machine>(cursor: &Cursor<'_, M>, found: Found, page: Page, table: Frame) {
    let size = found.level.leaf_size().expect("a leaf is not in the root");
    let below = found.level.below().expect("a large leaf is above level 1");
    let parts = node::open(
        cursor.machine,
        Place {
            frame: table,
            link: Link::Elsewhere,
        },
    );
    let mut leaf = found.entry;
    loop {
        for index in 0..ENTRIES {
            parts.store(index, leaf.part(size, index as u64 * below.entry_pages()));
        }
        let linked = Entry::table(table)
            .widened(leaf.rights())
            .with_used_changed(ENTRIES as i32);
        // Not `replace`: what the processor notes meanwhile is to be in the parts.
        let above = node::open(cursor.machine, found.place);
        match above.exchange(page.index(found.level), leaf, linked) {
            Ok(()) => return,
            Err(now) => leaf = now,
        }
    }
}
