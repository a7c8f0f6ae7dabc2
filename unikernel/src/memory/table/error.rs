//! What can be wrong with a request to a page table. Whatever is, nothing has changed.

use core::error::Error;
use core::fmt;

use super::entry::Attributes;
use crate::memory::page::{Page, Rights};

/// Why pages were not mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// Something is mapped at the page already.
    AlreadyMapped(Page),
    /// No frame was left for the page, or for a table on the way to it.
    OutOfFrames(Page),
    /// There are not so many pages from this one on.
    OutOfPages {
        /// The first page asked for.
        start: Page,
        /// How many.
        pages: u64,
    },
    /// The attributes contradict each other, or the place.
    Attributes(Page, AttributesError),
    /// The table for this part of the upper half was not made at boot, so a mapping there would be missing in other spaces.
    UnpreparedSlot(Page),
    /// The page shows a table through the self slot.
    SelfSlot(Page),
}

/// Why attributes were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributesError {
    /// Rights without the right to read: no leaf can say that.
    Unreadable(Rights),
    /// Both writable and copy-on-write.
    WritableCopyOnWrite,
    /// For ring 3, but in the upper half.
    UserInUpperHalf,
    /// The reserved zero frame is only ever mapped read-only, copy-on-write, not owned, and write-back.
    ZeroFrame(Attributes),
}

/// Why a page was not unmapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnmapError {
    /// Nothing is mapped there.
    NotMapped(Page),
    /// The page is a part of a large leaf, and no frame was left for the table to split it.
    OutOfFrames(Page),
}

/// Why leaves were not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeError {
    /// The range ends within a large leaf, and no frame was left for the table to split it.
    OutOfFrames(Page),
    /// The rights contradict each other, or the place.
    Attributes(Page, AttributesError),
}

/// No frame was left for a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfFrames;

/// The root translates for a CPU right now, so it cannot be destroyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StillActive;

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyMapped(page) => write!(f, "table: something is mapped at {page} already"),
            Self::OutOfFrames(page) => write!(f, "table: no frame left to map {page}"),
            Self::OutOfPages { start, pages } => {
                write!(f, "table: there are no {pages} pages from {start} on")
            }
            Self::Attributes(page, error) => write!(f, "table: {page} cannot be mapped: {error}"),
            Self::UnpreparedSlot(page) => {
                write!(f, "table: the upper half has no shared table at {page}")
            }
            Self::SelfSlot(page) => write!(f, "table: {page} shows page tables"),
        }
    }
}

impl fmt::Display for AttributesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(rights) => write!(f, "rights {rights} without the one to read"),
            Self::WritableCopyOnWrite => f.write_str("both writable and copy-on-write"),
            Self::UserInUpperHalf => f.write_str("for ring 3, in the upper half"),
            Self::ZeroFrame(attributes) => write!(f, "the zero frame as {attributes}"),
        }
    }
}

impl fmt::Display for UnmapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotMapped(page) => write!(f, "table: nothing is mapped at {page}"),
            Self::OutOfFrames(page) => {
                write!(f, "table: no frame left to split the leaf at {page}")
            }
        }
    }
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfFrames(page) => {
                write!(f, "table: no frame left to split the leaf at {page}")
            }
            Self::Attributes(page, error) => write!(f, "table: {page} cannot change: {error}"),
        }
    }
}

impl fmt::Display for OutOfFrames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("table: no frame left for a table")
    }
}

impl fmt::Display for StillActive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("table: an active root cannot be destroyed")
    }
}

impl Error for MapError {}
impl Error for AttributesError {}
impl Error for UnmapError {}
impl Error for ChangeError {}
impl Error for OutOfFrames {}
impl Error for StillActive {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves M121.
    #[test]
    fn each_error_names_its_module_and_the_offending_value() {
        let page = Page::from_indices([0, 0, 0, 0x123]).expect("the indices are small");
        let zero = AttributesError::ZeroFrame(Attributes::new(Rights::READ_WRITE));
        let table: [(&dyn Error, &str); 9] = [
            (
                &MapError::AlreadyMapped(page),
                "table: something is mapped at 0x123000 already",
            ),
            (
                &MapError::OutOfFrames(page),
                "table: no frame left to map 0x123000",
            ),
            (
                &MapError::OutOfPages {
                    start: page,
                    pages: 1 << 40,
                },
                "table: there are no 1099511627776 pages from 0x123000 on",
            ),
            (
                &MapError::Attributes(page, AttributesError::WritableCopyOnWrite),
                "table: 0x123000 cannot be mapped: both writable and copy-on-write",
            ),
            (
                &MapError::UnpreparedSlot(page),
                "table: the upper half has no shared table at 0x123000",
            ),
            (
                &UnmapError::NotMapped(page),
                "table: nothing is mapped at 0x123000",
            ),
            (
                &ChangeError::Attributes(page, AttributesError::Unreadable(Rights::WRITE)),
                "table: 0x123000 cannot change: rights -w-- without the one to read",
            ),
            (
                &MapError::Attributes(page, zero),
                "table: 0x123000 cannot be mapped: the zero frame as rw-- WB",
            ),
            (&StillActive, "table: an active root cannot be destroyed"),
        ];

        for (error, text) in table {
            assert_eq!(error.to_string(), text);
        }
    }
}
