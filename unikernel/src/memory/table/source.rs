//! Where the leaves of a mapping come from.

use super::cursor::{At, Cursor};
use super::entry::{Attributes, Change, Entry, Half, Leaf, LeafBits, Marks};
use super::error::{AttributesError, OutOfFrames};
use super::{node, runs};
use crate::memory::machine::{Machine, Place};
use crate::memory::page::{
    ENTRIES, Frame, FrameRange, Level, MemoryType, Page, PageRange, PageSize, Rights,
};

/// What belongs at an entry that is to be mapped.
pub(super) enum Supply {
    /// This leaf.
    Leaf(Entry),
    /// Something smaller, below a table.
    Below(Rights),
    /// Nothing.
    Nothing,
    /// A frame, but there is none left.
    OutOfFrames,
    /// The reserved zero frame, as it must not be mapped.
    ZeroFrame,
}

/// Says what belongs at each entry of a range, in ascending order.
pub(super) trait Source {
    /// Returns what belongs at an entry. An entry above is asked for before those below it.
    fn at(&mut self, at: At) -> Supply;

    /// Takes back a leaf that was supplied, since the mapping failed later. It is no longer mapped.
    fn take_back(&mut self, page: Page, leaf: Leaf);
}

/// Frames for pages, one at a time: what [`PageTable::fill`](super::PageTable::fill) maps.
pub(crate) trait PageFrames {
    /// Returns the frame for a page; nothing if there is none left.
    fn take(&mut self, page: Page) -> Option<Frame>;

    /// Takes back the frame for a page, since a later page failed. It is no longer mapped.
    fn take_back(&mut self, page: Page, frame: Frame);
}

/// Attributes that are known to make sense, and the frame they must not be used for.
#[derive(Clone, Copy)]
pub(super) struct Checked {
    bits: LeafBits,
    rights: Rights,
    /// The number of the zero frame if it must not be mapped like this, otherwise more than any.
    forbidden: u64,
}

impl Checked {
    /// Checks attributes for pages of one half.
    pub(super) fn new<M: Machine>(
        machine: &M,
        attributes: Attributes,
        half: Half,
        zero: Option<Frame>,
    ) -> Result<Self, AttributesError> {
        let rights = attributes.rights();
        check_rights(rights, half)?;
        let is_shared = attributes.marks().contains(Marks::COPY_ON_WRITE);
        if is_shared && rights.contains(Rights::WRITE) {
            return Err(AttributesError::WritableCopyOnWrite);
        }
        let suits_zero = attributes.marks() == Marks::COPY_ON_WRITE
            && attributes.memory_type() == MemoryType::WriteBack;
        let possible = attributes.with_type(machine.memory_type(attributes.memory_type()));
        Ok(Self {
            bits: LeafBits::new(possible, half),
            rights,
            forbidden: match zero {
                Some(frame) if !suits_zero => u64::from(frame.number()),
                _ => u64::MAX,
            },
        })
    }

    /// Makes a leaf, unless it would map the zero frame as that must not be mapped.
    #[inline]
    pub(super) fn leaf(&self, frame: Frame, size: PageSize) -> Supply {
        if self.forbidden.wrapping_sub(u64::from(frame.number())) < size.pages() {
            Supply::ZeroFrame
        } else {
            Supply::Leaf(self.bits.leaf(frame, size))
        }
    }
}

/// Checks that rights can be given at all, and in that half.
#[inline]
pub(super) fn check_rights(rights: Rights, half: Half) -> Result<(), AttributesError> {
    let some = rights.intersects(Rights::WRITE.union(Rights::EXECUTE));
    if some && !rights.contains(Rights::READ) {
        Err(AttributesError::Unreadable(rights))
    } else if rights.contains(Rights::USER) && half == Half::Upper {
        Err(AttributesError::UserInUpperHalf)
    } else {
        Ok(())
    }
}

/// A run of frames for a run of pages, by the largest leaves that fit.
pub(super) struct FrameRun {
    pub(super) attributes: Checked,
    pub(super) frames: FrameRange,
    pub(super) first: Page,
    pub(super) largest: PageSize,
}

impl Source for FrameRun {
    #[inline(always)]
    fn at(&mut self, at: At) -> Supply {
        let offset = at.page().number() - self.first.number();
        let frame = Frame::new(self.frames.start().number() + offset as u32);
        match at.level.leaf_size() {
            Some(PageSize::Kib4) => self.attributes.leaf(frame, PageSize::Kib4),
            Some(size) if size <= self.largest && at.is_whole() && frame.is_aligned(size) => {
                self.attributes.leaf(frame, size)
            }
            _ => Supply::Below(self.attributes.rights),
        }
    }

    fn take_back(&mut self, _page: Page, _leaf: Leaf) {}
}

/// A frame for each page, from somebody who has them.
pub(super) struct Each<'a, P> {
    pub(super) attributes: Checked,
    pub(super) frames: &'a mut P,
}

impl<P: PageFrames> Source for Each<'_, P> {
    #[inline(always)]
    fn at(&mut self, at: At) -> Supply {
        if at.level != Level::One {
            return Supply::Below(self.attributes.rights);
        }
        match self.frames.take(at.page()) {
            None => Supply::OutOfFrames,
            Some(frame) => match self.attributes.leaf(frame, PageSize::Kib4) {
                Supply::ZeroFrame => {
                    self.frames.take_back(at.page(), frame);
                    Supply::ZeroFrame
                }
                supply => supply,
            },
        }
    }

    fn take_back(&mut self, page: Page, leaf: Leaf) {
        self.frames.take_back(page, leaf.frame);
    }
}

/// The same frame at each page.
pub(super) struct Same {
    pub(super) leaf: Entry,
    pub(super) rights: Rights,
}

impl Source for Same {
    #[inline(always)]
    fn at(&mut self, at: At) -> Supply {
        if at.level == Level::One {
            Supply::Leaf(self.leaf)
        } else {
            Supply::Below(self.rights)
        }
    }

    fn take_back(&mut self, _page: Page, _leaf: Leaf) {}
}

/// Counts the users of frames while leaves are copied from one space to another.
pub(crate) trait CopyCounts {
    /// Counts a leaf that is about to be mapped a second time: `pages` pages of it, from the page on. Refusing ends the copy.
    fn copied(&mut self, page: Page, leaf: Leaf) -> Result<(), OutOfFrames>;

    /// Takes the count back, since the copy failed later.
    fn take_back(&mut self, page: Page, leaf: Leaf);
}

/// The leaves of another root. Its tables are followed in step with the walk, so that a part of the range where the other root
/// has no table gets none here either.
pub(super) struct Other<'a, 'm, M: Machine, C> {
    pub(super) cursor: Cursor<'m, M>,
    pub(super) change: Change,
    pub(super) counts: &'a mut C,
    /// For each level, the table on the way to the entry asked for last.
    places: [Option<Place>; 4],
    /// The last page that is asked for.
    last: Option<Page>,
    /// The table of level 1 in use, and the number of its first page. It is closed with the last entry that is asked for,
    /// while the walk still holds its own table open: windows on tables are closed in the reverse order.
    open: Option<(u64, node::Node<M::Table<'m>>)>,
    /// A large leaf of which only parts are wanted.
    large: Option<(Page, Entry, PageSize)>,
}

impl<'a, 'm, M: Machine, C: CopyCounts> Other<'a, 'm, M, C> {
    pub(super) fn new(
        cursor: Cursor<'m, M>,
        range: PageRange,
        change: Change,
        counts: &'a mut C,
    ) -> Self {
        Self {
            last: range.last(),
            cursor,
            change,
            counts,
            places: [None; 4],
            open: None,
            large: None,
        }
    }

    #[inline]
    fn entry(&mut self, at: At) -> Entry {
        let entry = self.entry_of(at);
        let is_last_of_table = at.page().index(Level::One) == ENTRIES - 1;
        if is_last_of_table || Some(at.page()) == self.last {
            self.open = None;
        }
        entry
    }

    #[inline]
    fn entry_of(&mut self, at: At) -> Entry {
        let index = at.page().index(at.level);
        if at.level == Level::One {
            let table = at.page().align_down(Level::Two).number();
            if let Some((open, node)) = &self.open
                && *open == table
            {
                return node.load(index);
            }
        }
        self.entry_after_opening(at, index)
    }

    fn entry_after_opening(&mut self, at: At, index: usize) -> Entry {
        self.open = None;
        let place = match at.level {
            Level::Four => Some(self.cursor.place(self.cursor.root, Level::Four, at.page())),
            level => self.places[level as usize - 1],
        };
        let Some(place) = place else {
            return self.part(at);
        };
        let node = node::open(self.cursor.machine, place);
        let entry = node.load(index);
        self.note_below(at, entry);
        if at.level == Level::One {
            self.open = Some((at.page().align_down(Level::Two).number(), node));
        }
        entry
    }

    /// Notes how to go on below an entry.
    fn note_below(&mut self, at: At, entry: Entry) {
        let Some(below) = at.level.below() else {
            return;
        };
        let is_table = entry.is_present() && entry.is_table(at.level);
        self.places[below as usize - 1] =
            is_table.then(|| self.cursor.place(entry.frame(), below, at.page()));
        if let Some(size) = at.level.leaf_size().filter(|_| entry.is_leaf(at.level)) {
            self.large = Some((at.page().align_down(at.level), entry, size));
        }
    }

    /// Tells whether there is something to copy below a table. If the whole table is to be copied there is: none is empty.
    fn below(&self, at: At, table: Entry) -> Supply {
        if at.is_whole() || runs::first(&self.cursor, at.pages).is_some() {
            Supply::Below(table.rights())
        } else {
            Supply::Nothing
        }
    }

    /// Returns the part of a large leaf that belongs at an entry below it.
    fn part(&mut self, at: At) -> Entry {
        if let Some(below) = at.level.below() {
            self.places[below as usize - 1] = None;
        }
        let (start, leaf, size) = self
            .large
            .expect("there is no table only below a large leaf");
        let offset = at.page().align_down(at.level).number() - start.number();
        let (whole, rest) = (offset & !511, offset & 511);
        match (size, at.level) {
            (PageSize::Gib1, Level::Two) => leaf.part(size, whole),
            (PageSize::Gib1, _) => leaf.part(size, whole).part(PageSize::Mib2, rest),
            _ => leaf.part(size, offset),
        }
    }
}

impl<M: Machine, C: CopyCounts> Source for Other<'_, '_, M, C> {
    #[inline(always)]
    fn at(&mut self, at: At) -> Supply {
        let entry = self.entry(at);
        if !entry.is_used() {
            return Supply::Nothing;
        }
        if entry.is_table(at.level) {
            return self.below(at, entry);
        }
        if !at.is_whole() {
            return Supply::Below(entry.rights());
        }
        let copy = self.change.apply(entry);
        let size = at.level.leaf_size().expect("a leaf is not in the root");
        match self.counts.copied(at.page(), copy.leaf(size)) {
            Ok(()) => Supply::Leaf(copy),
            Err(OutOfFrames) => {
                // The walk ends here.
                self.open = None;
                Supply::OutOfFrames
            }
        }
    }

    fn take_back(&mut self, page: Page, leaf: Leaf) {
        self.counts.take_back(page, leaf);
    }
}
