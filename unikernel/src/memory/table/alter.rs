//! Changing leaves in place.

use super::cursor::{At, Step, Visitor};
use super::entry::{Change, Entry};
use crate::memory::page::{Page, PageRange};

/// Applies a change to every leaf.
pub(super) struct Alter<'a> {
    change: &'a Change,
    /// How many pages changed.
    pub(super) pages: u64,
    /// The first page that changed, and the end of the last.
    first: Option<Page>,
    end: u64,
}

impl<'a> Alter<'a> {
    pub(super) const fn new(change: &'a Change) -> Self {
        Self {
            change,
            pages: 0,
            first: None,
            end: 0,
        }
    }

    /// Returns a range with every page that changed, if any did.
    pub(super) fn changed(&self) -> Option<PageRange> {
        self.first
            .map(|first| PageRange::new(first, self.end - first.number()))
    }

    #[inline(always)]
    fn note(&mut self, at: At) {
        if self.first.is_none() {
            self.first = Some(at.page());
        }
        self.end = at.pages.end_number();
    }
}

impl Visitor for Alter<'_> {
    #[inline(always)]
    fn visit(&mut self, at: At, entry: Entry) -> Step {
        if !entry.is_used() {
            return Step::Keep;
        }
        if entry.is_table(at.level) {
            return Step::Through(match self.change.granted() {
                Some(rights) if !at.is_shared() => {
                    let wide = entry.widened(rights);
                    if wide != entry {
                        self.note(at);
                    }
                    wide
                }
                _ => entry,
            });
        }
        debug_assert!(
            at.is_whole(),
            "large leaves are split before a part is changed"
        );
        let changed = self.change.apply(entry);
        if changed == entry {
            return Step::Keep;
        }
        self.note(at);
        self.pages += at.pages.len();
        Step::Change(changed)
    }
}
