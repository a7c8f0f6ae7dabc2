//! The kernel's own pages: each section of the image with its own rights, and pages reserved below it before there is a map of
//! regions.

use core::error::Error;
use core::fmt;

use super::entry::Attributes;
use super::error::MapError;
use super::{PageTable, TableFrames};
use crate::memory::address::{PhysAddr, VirtAddr};
use crate::memory::machine::Machine;
use crate::memory::page::{FrameRange, PAGE_SIZE, PageRange, PageSize, Rights};

/// A part of the image with rights of its own. It need neither begin nor end with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    /// Where it is linked.
    pub(crate) start: VirtAddr,
    /// Where it was loaded.
    pub(crate) loaded: PhysAddr,
    /// How long it is.
    pub(crate) bytes: u64,
    /// What may be done with it.
    pub(crate) rights: Rights,
}

/// Why a section was not mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SectionError {
    /// It is linked and loaded at different distances from the start of a page.
    Offset(Section),
    /// It leaves its half of the address space, or the memory that there can be.
    TooLong(Section),
    /// Its pages could not be mapped. If they are mapped already, it shares one with another section, whose rights it would
    /// get.
    Map(MapError),
}

impl fmt::Display for SectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offset(section) => write!(
                f,
                "section: linked at {} and loaded at {}, which no page can map",
                section.start, section.loaded
            ),
            Self::TooLong(section) => {
                write!(
                    f,
                    "section: no room for {} bytes at {}",
                    section.bytes, section.start
                )
            }
            Self::Map(error) => write!(f, "section: {error}"),
        }
    }
}

impl Error for SectionError {}

impl<M: Machine, F: TableFrames> PageTable<'_, M, F> {
    /// Maps every page that a section touches, the first and the last included, in pages of 4 KiB.
    pub(crate) fn map_section(&mut self, section: &Section) -> Result<(), SectionError> {
        if section.start.page_offset() != section.loaded.page_offset() {
            return Err(SectionError::Offset(*section));
        }
        let pages = PageRange::covering(section.start, section.bytes);
        let frames = FrameRange::covering(section.loaded, section.bytes);
        let (Some(pages), Some(frames)) = (pages, frames) else {
            return Err(SectionError::TooLong(*section));
        };
        let attributes = Attributes::new(section.rights);
        self.map(pages.start(), frames, attributes, PageSize::Kib4)
            .map_err(SectionError::Map)
    }
}

/// Pages handed out downward from an end, and never taken back: before there is a map of regions.
#[derive(Debug)]
pub(crate) struct EarlyPages {
    left: PageRange,
}

/// There are not so many bytes left to reserve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfEarlyPages {
    /// How many were asked for.
    pub(crate) bytes: u64,
    /// How many are left.
    pub(crate) left: u64,
}

impl fmt::Display for OutOfEarlyPages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "section: {} bytes to reserve, but {} left",
            self.bytes, self.left
        )
    }
}

impl Error for OutOfEarlyPages {}

impl EarlyPages {
    /// Hands out these pages, the last one first.
    #[must_use]
    pub(crate) const fn new(pages: PageRange) -> Self {
        Self { left: pages }
    }

    /// Reserves pages for so many bytes, rounded up, just below what was reserved before.
    pub(crate) fn reserve(&mut self, bytes: u64) -> Result<PageRange, OutOfEarlyPages> {
        let len = bytes.div_ceil(PAGE_SIZE);
        let rest = self.left.len().checked_sub(len).ok_or(OutOfEarlyPages {
            bytes,
            left: self.left.len() * PAGE_SIZE,
        })?;
        let start = self
            .left
            .start()
            .checked_add(rest)
            .unwrap_or(self.left.start());
        self.left = PageRange::new(self.left.start(), rest);
        Ok(PageRange::new(start, len))
    }
}
