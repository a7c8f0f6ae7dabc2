//! Why nothing was promised, or a promise was not changed. Whatever is wrong, nothing has changed.

use core::error::Error;
use core::fmt;

use crate::memory::page::{Frame, Page, PageRange, Rights};

/// Why there can be no such region, wherever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShapeError {
    /// A region of no pages was asked for.
    Empty(Page),
    /// Rights without the right to read.
    Unreadable(Rights),
    /// Rights for ring 3, asked for memory that is the kernel's alone.
    KernelOnly(Rights),
    /// Rights for ring 3 in the upper half, which is the kernel's.
    UserInUpperHalf(Page),
    /// A ring has two halves, so its pages are even in number.
    OddRing(u64),
    /// A stack has a guard page and at least one other.
    StackTooSmall(u64),
    /// There are not so many frames from this one on.
    OutOfFrames {
        /// The first frame.
        first: Frame,
        /// How many pages are to show frames.
        len_pages: u64,
    },
    /// No object has so many pages.
    OffsetTooLarge {
        /// Where the window on the object starts.
        offset_pages: u64,
        /// How long it is.
        len_pages: u64,
    },
    /// No sections, sections of no pages, or more than half an address space holds.
    Sections {
        /// Usable pages of each.
        section_pages: u64,
        /// How many.
        count: u32,
    },
    /// The region is not as long as its sections and their guards.
    SectionsDoNotFit {
        /// Pages of the region.
        len_pages: u64,
        /// Pages of sections and guards.
        needed_pages: u64,
    },
}

/// Why a request about regions was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegionError {
    /// There can be no such region.
    Shape(ShapeError),
    /// Another region is there.
    Overlaps(PageRange),
    /// The pages are not within the bounds of the map.
    OutOfBounds(PageRange),
    /// No memory is left for bookkeeping.
    OutOfMemory,
    /// No region starts at the page.
    NoRegion(Page),
    /// The region is still being made.
    Locked(PageRange),
    /// The region was published already.
    NotLocked(PageRange),
    /// The region is one thing: no part of it can be taken away or changed.
    Indivisible(PageRange),
    /// The region has one size for its whole life.
    NotResizable(PageRange),
    /// The cut leaves nothing on one side of it.
    NoCut {
        /// The region.
        region: PageRange,
        /// Where it was to be cut.
        page: Page,
    },
    /// The region cannot grow so far: another region, or the end of the bounds, is next.
    NoRoom {
        /// How many pages it was to have.
        len_pages: u64,
        /// How many it can have.
        most: u64,
    },
    /// The region has no sections.
    NotGuarded(PageRange),
    /// All sections are in use.
    NoSectionLeft(PageRange),
    /// No section in use starts at the page.
    NotASection(Page),
    /// The region belongs to one space for ever.
    OneSpaceOnly(PageRange),
}

impl From<ShapeError> for RegionError {
    fn from(error: ShapeError) -> Self {
        Self::Shape(error)
    }
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty(page) => write!(f, "regions: no pages asked for at {page}"),
            Self::Unreadable(rights) => write!(f, "regions: rights {rights} lack reading"),
            Self::KernelOnly(rights) => {
                write!(f, "regions: rights {rights} for memory of the kernel alone")
            }
            Self::UserInUpperHalf(page) => write!(f, "regions: {page} is not for ring 3"),
            Self::OddRing(len) => write!(f, "regions: a ring cannot have {len} pages"),
            Self::StackTooSmall(len) => write!(f, "regions: a stack cannot have {len} pages"),
            Self::OutOfFrames { first, len_pages } => {
                write!(
                    f,
                    "regions: there are no {len_pages} frames from {first} on"
                )
            }
            Self::OffsetTooLarge {
                offset_pages,
                len_pages,
            } => write!(
                f,
                "regions: no object has {len_pages} pages from page {offset_pages} on"
            ),
            Self::Sections {
                section_pages,
                count,
            } => write!(
                f,
                "regions: there cannot be {count} sections of {section_pages} pages"
            ),
            Self::SectionsDoNotFit {
                len_pages,
                needed_pages,
            } => write!(
                f,
                "regions: sections need {needed_pages} pages, not {len_pages}"
            ),
        }
    }
}

impl fmt::Display for RegionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape(error) => error.fmt(f),
            Self::OutOfMemory => f.write_str("regions: out of memory for bookkeeping"),
            Self::Overlaps(other) => write!(f, "regions: {} is taken", Shown(*other)),
            Self::OutOfBounds(range) => write!(f, "regions: {} is out of bounds", Shown(*range)),
            Self::NoRegion(page) => write!(f, "regions: none starts at {page}"),
            Self::Locked(range) => write!(f, "regions: {} is still being made", Shown(*range)),
            Self::NotLocked(range) => write!(f, "regions: {} is made already", Shown(*range)),
            Self::Indivisible(range) => write!(f, "regions: {} cannot be divided", Shown(*range)),
            Self::NotResizable(range) => write!(f, "regions: {} keeps its size", Shown(*range)),
            Self::NoCut { region, page } => {
                write!(f, "regions: no cut at {page} divides {}", Shown(*region))
            }
            Self::NoRoom { len_pages, most } => {
                write!(f, "regions: no room for {len_pages} pages, for {most} only")
            }
            Self::NotGuarded(range) => write!(f, "regions: {} has no sections", Shown(*range)),
            Self::NoSectionLeft(range) => {
                write!(f, "regions: all sections of {} are in use", Shown(*range))
            }
            Self::NotASection(page) => write!(f, "regions: no section in use starts at {page}"),
            Self::OneSpaceOnly(range) => {
                write!(f, "regions: {} is of one space only", Shown(*range))
            }
        }
    }
}

impl Error for ShapeError {}
impl Error for RegionError {}

/// A range for the eye: its first page and its length.
struct Shown(PageRange);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} + {} pages", self.0.start(), self.0.len())
    }
}
