//! Sections: pieces of equal size in one region, each between two guard pages, handed out one by one. Stacks are made of them.
//!
//! ```text
//!   offset   0   1 .. n   n+1   n+2 .. 2n+1   2n+2           count x (n+1)
//!          | G | section 0 | G |   section 1   | G |   ...   | G |
//!            ^               ^                                 ^
//!            what overflows section 0 downwards                the last guard: nothing ends without one
//!                            section 1 downwards, section 0 upwards
//! ```
//!
//! A section that is not in use is as forbidden as a guard, so that who keeps a pointer into a stack that ended is found out.
//! Which sections are free is known to a list that is as long as there are sections and made with them: taking one and giving
//! one back never needs memory. The section that came back last goes out first, because its page tables are still there.
//!
//! Invariants:
//!
//! - G1: each section is free and on the list once, or in use and not on it, or has never been handed out.
//! - G2: no page belongs to two sections, and between two sections lies a guard.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use super::error::{RegionError, ShapeError};

/// Marks a section in use.
const USED: u32 = u32::MAX;
/// Ends the list of free sections.
const END: u32 = u32::MAX - 1;

/// The most pages that a region has: half an address space.
const MOST_PAGES: u64 = 1 << 35;

/// Which sections of a region are in use.
#[derive(Debug)]
pub(crate) struct Sections {
    /// Usable pages of a section.
    section_pages: u64,
    /// For each section: in use, or else the next one that is free.
    next: Box<[u32]>,
    /// The first free section among those that were in use once.
    free: u32,
    /// Sections below this one were handed out once.
    fresh: u32,
    used: u32,
}

/// What lies at a page of a guarded region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SectionState {
    /// The guard below the section with this index; above the last section, the number of sections.
    Guard(u32),
    /// A section that is not in use.
    Free(u32),
    /// A section in use.
    Used(u32),
    /// Nothing: the page is past the last guard.
    Outside,
}

impl Sections {
    /// Makes `count` sections of `section_pages` usable pages each, none of them in use.
    pub(crate) fn new(section_pages: u64, count: u32) -> Result<Self, RegionError> {
        let fits = section_pages
            .checked_add(1)
            .and_then(|stride| stride.checked_mul(u64::from(count)))
            .is_some_and(|pages| pages < MOST_PAGES);
        if !fits || section_pages == 0 || count == 0 || count >= END {
            return Err(ShapeError::Sections {
                section_pages,
                count,
            }
            .into());
        }
        Ok(Self {
            section_pages,
            next: list_of(count as usize)?,
            free: END,
            fresh: 0,
            used: 0,
        })
    }

    /// Returns how many pages the sections and their guards need.
    #[must_use]
    pub(crate) fn len_pages(&self) -> u64 {
        u64::from(self.count()) * self.stride() + 1
    }

    /// Returns the usable pages of a section.
    #[must_use]
    pub(crate) const fn section_pages(&self) -> u64 {
        self.section_pages
    }

    /// Returns how many sections there are.
    #[must_use]
    pub(crate) const fn count(&self) -> u32 {
        self.next.len() as u32
    }

    /// Returns how many sections are in use.
    #[must_use]
    pub(crate) const fn used(&self) -> u32 {
        self.used
    }

    /// Takes a section into use and returns where its usable pages are, counted from the start of the region; nothing if all
    /// are in use.
    #[must_use = "a section that nobody knows is never given back"]
    pub(crate) fn take(&mut self) -> Option<Range<u64>> {
        let index = self.pop()?;
        self.next[index as usize] = USED;
        self.used += 1;
        Some(self.pages_of(index))
    }

    /// Takes back the section in use whose first usable page is `offset` pages after the start of the region, and returns its
    /// usable pages; nothing if there is none.
    pub(crate) fn give_back(&mut self, offset: u64) -> Option<Range<u64>> {
        let SectionState::Used(index) = self.at(offset) else {
            return None;
        };
        let pages = self.pages_of(index);
        if pages.start != offset {
            return None;
        }
        self.next[index as usize] = self.free;
        self.free = index;
        self.used -= 1;
        Some(pages)
    }

    /// Returns what lies `offset` pages after the start of the region.
    #[must_use]
    pub(crate) fn at(&self, offset: u64) -> SectionState {
        if offset >= self.len_pages() {
            return SectionState::Outside;
        }
        let index = (offset / self.stride()) as u32;
        if offset.is_multiple_of(self.stride()) {
            return SectionState::Guard(index);
        }
        if self.next[index as usize] == USED {
            SectionState::Used(index)
        } else {
            SectionState::Free(index)
        }
    }

    /// Makes the same sections again, for another space.
    pub(super) fn try_clone(&self) -> Result<Self, RegionError> {
        let mut next = list_of(self.next.len())?;
        next.copy_from_slice(&self.next);
        Ok(Self { next, ..*self })
    }

    /// Checks that every section is where it has to be.
    ///
    /// # Panics
    ///
    /// If one is not.
    pub(super) fn check_invariants(&self) {
        let mut listed = 0;
        let mut index = self.free;
        while index != END {
            assert!(index < self.fresh, "G1: section {index} was never in use");
            assert!(
                listed < self.fresh,
                "G1: the list of free sections is a ring"
            );
            listed += 1;
            index = self.next[index as usize];
        }
        let used = self.next.iter().filter(|&&next| next == USED).count();
        assert_eq!(used, self.used as usize, "G1: sections in use");
        assert_eq!(listed + self.used, self.fresh, "G1: sections are lost");
    }

    fn pop(&mut self) -> Option<u32> {
        if self.free != END {
            let index = self.free;
            self.free = self.next[index as usize];
            return Some(index);
        }
        if self.fresh == self.count() {
            return None;
        }
        self.fresh += 1;
        Some(self.fresh - 1)
    }

    const fn stride(&self) -> u64 {
        self.section_pages + 1
    }

    fn pages_of(&self, index: u32) -> Range<u64> {
        let start = u64::from(index) * self.stride() + 1;
        start..start + self.section_pages
    }
}

impl fmt::Display for Sections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (used, count, pages) = (self.used, self.count(), self.section_pages);
        write!(f, "guarded {used} of {count} x {pages} pages")
    }
}

/// Makes a list of `len` sections that are not in use, or says that there is no memory for it.
fn list_of(len: usize) -> Result<Box<[u32]>, RegionError> {
    let mut next = Vec::new();
    next.try_reserve_exact(len)
        .map_err(|_| RegionError::OutOfMemory)?;
    next.resize(len, END);
    Ok(next.into_boxed_slice())
}
