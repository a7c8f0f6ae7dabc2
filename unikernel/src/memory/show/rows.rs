//! What is told of a region and of a part of the kernel's half: copies, so that no lock is held when they are written out.

use core::fmt;

use crate::memory::frame::{Totals, Use};
use crate::memory::object::ObjectId;
use crate::memory::page::{Frame, MemoryType, Page, PageRange, Rights};
use crate::memory::region::{Commitment, Counters, Kind, Name, Region, Sharing};

/// A region.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) pages: PageRange,
    pub(super) rights: Rights,
    pub(super) make: Make,
    pub(super) sharing: Sharing,
    pub(super) name: Name,
    pub(super) counters: Counters,
    pub(super) is_locked: bool,
}

/// What a region is made of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Make {
    /// A word says it all.
    Plain(&'static str),
    /// A run of frames.
    Frames(&'static str, Frame, MemoryType),
    /// An object, from a page of it on.
    Object(ObjectId, u64),
    /// Sections, of so many pages each, and how many of them are in use.
    Guarded { each: u64, count: u32, used: u32 },
}

impl Row {
    /// Copies what there is to tell of a region.
    pub(super) fn of(region: &Region, counters: Counters) -> Self {
        Self {
            pages: region.range(),
            rights: region.rights(),
            make: Make::of(region.kind()),
            sharing: region.sharing(),
            name: region.name(),
            counters,
            is_locked: region.is_locked(),
        }
    }
}

impl Make {
    fn of(kind: &Kind) -> Self {
        match kind {
            Kind::Anonymous {
                commitment: Commitment::Lazy,
            } => Self::Plain("lazy"),
            Kind::Anonymous {
                commitment: Commitment::Committed,
            } => Self::Plain("committed"),
            Kind::Stack => Self::Plain("stack"),
            Kind::Ring => Self::Plain("ring"),
            Kind::Heap => Self::Plain("heap"),
            &Kind::Fixed { first, memory_type } => Self::Frames("fixed", first, memory_type),
            &Kind::Dma { first, memory_type } => Self::Frames("dma", first, memory_type),
            &Kind::Object {
                object,
                offset_pages,
            } => Self::Object(object, offset_pages),
            Kind::Guarded(sections) => Self::Guarded {
                each: sections.section_pages(),
                count: sections.count(),
                used: sections.used(),
            },
        }
    }

    /// Returns the word for it.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Plain(word) | Self::Frames(word, ..) => word,
            Self::Object(..) => "object",
            Self::Guarded { .. } => "guarded",
        }
    }
}

impl fmt::Display for Make {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        match self {
            Self::Plain(_) => Ok(()),
            Self::Frames(_, first, memory_type) => write!(f, " {first} {memory_type}"),
            Self::Object(object, offset) => write!(f, " {object} from page {offset}"),
            Self::Guarded { each, count, used } => {
                write!(f, " {used} of {count} x {each} pages")
            }
        }
    }
}

/// Pages of the kernel's half with one name and one set of rights, with whatever lies unmapped between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) pages: PageRange,
    pub(super) mapped: u64,
    pub(super) rights: Rights,
}

impl Part {
    /// Makes a part of which all is mapped.
    pub(super) fn of(name: &'static str, pages: PageRange, rights: Rights) -> Self {
        Self {
            name,
            pages,
            mapped: pages.len(),
            rights,
        }
    }

    /// Makes the part at which tables are shown: as much of it is mapped as there are tables.
    pub(super) fn tables(name: &'static str, pages: PageRange, totals: &Totals) -> Self {
        Self {
            name,
            pages,
            mapped: totals.used_for(Use::PageTable).min(pages.len()),
            rights: Rights::READ_WRITE,
        }
    }

    /// Returns one part of two, if they are of one make and `next` lies above.
    fn and(&self, next: &Self) -> Option<Self> {
        if self.name != next.name || self.rights != next.rights {
            return None;
        }
        let len = next.pages.end_number() - self.pages.start().number();
        Some(Self {
            pages: PageRange::new(self.pages.start(), len),
            mapped: self.mapped + next.mapped,
            ..*self
        })
    }
}

/// Joins parts that come one after the other.
#[derive(Debug)]
pub(super) struct Joined(Option<Part>);

impl Joined {
    /// Makes one without a part yet.
    pub(super) const fn new() -> Self {
        Self(None)
    }

    /// Adds a part above all before it. Returns the one before, if that is complete now.
    pub(super) fn add(&mut self, part: Part) -> Option<Part> {
        if let Some(joined) = self.0.as_ref().and_then(|before| before.and(&part)) {
            self.0 = Some(joined);
            return None;
        }
        self.0.replace(part)
    }

    /// Returns the last part.
    pub(super) const fn take(&mut self) -> Option<Part> {
        self.0.take()
    }
}

/// Returns what is left of a range above some pages of it.
pub(super) fn following(range: PageRange, pages: PageRange) -> Option<PageRange> {
    let left = range.end_number().checked_sub(pages.end_number())?;
    let start = pages.last()?.checked_add(1)?;
    (left > 0).then(|| PageRange::new(start, left))
}

/// An amount of memory, in the largest unit that is exact.
pub(super) struct Size {
    pub(super) pages: u64,
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u32); 3] = [("TiB", 28), ("GiB", 18), ("MiB", 8)];
        let exact =
            |&&(_, shift): &&(&str, u32)| self.pages != 0 && self.pages.trailing_zeros() >= shift;
        match UNITS.iter().find(exact) {
            Some((unit, shift)) => write!(f, "{:>6} {unit}", self.pages >> shift),
            None => write!(f, "{:>6} KiB", self.pages * 4),
        }
    }
}

/// Returns the number of the first byte of a page.
pub(super) const fn address(page: Page) -> u64 {
    page.start().as_u64()
}
