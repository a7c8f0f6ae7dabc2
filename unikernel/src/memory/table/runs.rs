//! Leaves side by side, told as one.

use super::cursor::{At, Cursor, Step, Visitor};
use super::entry::{Entry, Leaf};
use crate::memory::machine::Machine;
use crate::memory::page::{Frame, FrameRange, Level, PAGE_SIZE, Page, PageRange};

/// Leaves of one size that map frames side by side at pages side by side in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The pages, all of them.
    pub pages: PageRange,
    /// The first leaf; where the range began inside a large one, from there on.
    pub leaf: Leaf,
}

impl Run {
    /// Returns the frames that are mapped.
    #[must_use]
    pub fn frames(&self) -> FrameRange {
        let len = u32::try_from(self.pages.len()).expect("there are not more frames than 2^32");
        FrameRange::new(self.leaf.frame, len)
    }

    /// Returns the frame that is mapped at a page of the run.
    #[must_use]
    pub fn frame(&self, page: Page) -> Option<Frame> {
        let offset = page.number().checked_sub(self.pages.start().number())?;
        self.frames().get(u32::try_from(offset).ok()?)
    }
}

/// Joins leaves to runs.
pub(super) struct Join<'a> {
    sink: &'a mut dyn FnMut(Run),
    /// Which bits do not have to be equal.
    ignored: u64,
    first: Option<(Page, Entry, Level)>,
    /// What continues the run: the number of a page, and the bits of its entry.
    next_page: u64,
    next_bits: u64,
    /// How many pages went through.
    pub(super) pages: u64,
}

impl<'a> Join<'a> {
    pub(super) const fn new(sink: &'a mut dyn FnMut(Run), ignored: u64) -> Self {
        Self {
            sink,
            ignored,
            first: None,
            next_page: 0,
            next_bits: 0,
            pages: 0,
        }
    }

    /// Adds a leaf, above all that were added before.
    #[inline]
    pub(super) fn add(&mut self, at: At, leaf: Entry) {
        let bits = leaf.bits() | self.ignored;
        let page = at.page().number();
        if page != self.next_page || bits != self.next_bits || !self.has_level(at.level) {
            self.finish();
            self.first = Some((at.page(), leaf, at.level));
        }
        self.next_page = page + at.pages.len();
        self.next_bits = bits + at.level.entry_pages() * PAGE_SIZE;
        self.pages += at.pages.len();
    }

    #[inline]
    fn has_level(&self, level: Level) -> bool {
        matches!(self.first, Some((_, _, first)) if first == level)
    }

    /// Tells the last run.
    pub(super) fn finish(&mut self) {
        let Some((page, entry, level)) = self.first.take() else {
            return;
        };
        let pages = PageRange::new(page, self.next_page - page.number());
        let size = level.leaf_size().expect("a leaf is not in the root");
        let mut leaf = entry.leaf(size);
        // The range may have begun inside a large leaf.
        let inside = page.number() - page.align_down(level).number();
        leaf.frame = Frame::new(leaf.frame.number() + inside as u32);
        (self.sink)(Run { pages, leaf });
    }
}

/// Reads leaves.
struct Read<'a>(Join<'a>);

impl Visitor for Read<'_> {
    #[inline(always)]
    fn visit(&mut self, at: At, entry: Entry) -> Step {
        if !entry.is_used() {
            return Step::Keep;
        }
        if entry.is_table(at.level) {
            return Step::Through(entry);
        }
        self.0.add(at, entry);
        Step::Keep
    }
}

/// Tells the sink every run of leaves in the range, in ascending order. What the processor noted does not keep runs apart.
pub(super) fn read<M: Machine>(
    cursor: &Cursor<'_, M>,
    range: PageRange,
    sink: &mut dyn FnMut(Run),
) {
    let mut read = Read(Join::new(sink, Entry::TOUCHED));
    cursor.walk_seldom(range, &mut read);
    read.0.finish();
}

/// Looks for a leaf.
struct First(Option<Page>);

impl Visitor for First {
    fn visit(&mut self, at: At, entry: Entry) -> Step {
        if !entry.is_used() {
            return Step::Keep;
        }
        if entry.is_table(at.level) {
            return Step::Through(entry);
        }
        self.0 = Some(at.page());
        Step::Stop
    }
}

/// Returns the first page in the range that is mapped.
pub(super) fn first<M: Machine>(cursor: &Cursor<'_, M>, range: PageRange) -> Option<Page> {
    let mut first = First(None);
    cursor.walk_seldom(range, &mut first);
    first.0
}
