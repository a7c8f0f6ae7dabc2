//! Regions: promises about pages.
//!
//! A region says what an address space has at a range of pages, long before anything is mapped there. When a page is touched for
//! the first time, the fault handler looks up the region and does what it promised; frames and entries come only then. Here is
//! nothing but bookkeeping: no frame is taken, no entry written.
//!
//! ```text
//!   bounds of the space
//!   |   gap   | image: object 3 | heap: lazy          |  gap  |G| stack           | ring a | ring a |  gap  |
//!                                                              ^ a guard is part of its region
//! ```
//!
//! | file | what |
//! |---|---|
//! | `kind` | what regions are made of, and what lies at a page |
//! | `guarded` | sections with guards on both sides |
//! | `map` | all regions of a space: look up, find room, cut, join |
//! | `piece` | which regions a range of pages meets, and where it cuts them |
//! | `tree`, `slab` | how the map is kept |
//!
//! A region may be divided and joined again. Its extent is part of the map's order, so only the map does that; everybody else
//! sees regions that stay where they are.
//!
//! Invariants:
//!
//! - R1: the regions of a map lie within its bounds, do not overlap, and are found by any page of theirs.
//! - R2: what a region shows at a page does not depend on how often it was cut and joined.
//! - R3: a run of frames, or a window on an object, is as long as its region; no number in it overflows.
//! - R4: a ring, a DMA buffer and a guarded region are never divided.
//! - R5: what a fork does with a region is said when it is made, and never again.
//! - R6: no fault sees a region that is still being made.
//! - R7: the counters of the parts of a region sum up to those of the whole.
//! - R8: a name is text.

mod counters;
pub(crate) mod error;
pub(crate) mod guarded;
mod kind;
pub(crate) mod map;
mod name;
mod piece;
mod slab;
#[cfg(test)]
mod tests;
mod tree;

pub(crate) use self::counters::Counters;
pub use self::error::{RegionError, ShapeError};
pub(crate) use self::guarded::{SectionState, Sections};
pub(crate) use self::kind::{Absence, Commitment, Content, Kind, Sharing};
pub(crate) use self::map::RegionMap;
pub use self::name::Name;
pub(crate) use self::piece::{Cut, Piece};

use core::fmt;

use self::kind::frame_after;
use crate::memory::page::{Frame, Page, PageRange, Rights};

/// A promise about pages.
#[derive(Debug)]
pub(crate) struct Region {
    range: PageRange,
    kind: Kind,
    counters: Counters,
    name: Name,
    rights: Rights,
    sharing: Sharing,
    stage: Stage,
}

/// How far a region is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It holds its place, but no fault sees it.
    Reserved,
    /// It is there.
    Published,
}

impl Region {
    /// Makes a region, if there can be such a one.
    pub(crate) fn new(
        range: PageRange,
        rights: Rights,
        kind: Kind,
        sharing: Sharing,
        name: Name,
    ) -> Result<Self, RegionError> {
        check_rights(range.start(), rights)?;
        check_kind(range, &kind)?;
        Ok(Self {
            range,
            kind,
            counters: Counters::NONE,
            name,
            rights,
            sharing,
            stage: Stage::Published,
        })
    }

    /// Returns the pages.
    #[must_use]
    pub(crate) const fn range(&self) -> PageRange {
        self.range
    }

    /// Returns what may be done with them, whatever their entries say.
    #[must_use]
    pub(crate) const fn rights(&self) -> Rights {
        self.rights
    }

    /// Returns what the region is made of.
    #[must_use]
    pub(crate) const fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Returns what a fork does with the region.
    #[must_use]
    pub(crate) const fn sharing(&self) -> Sharing {
        self.sharing
    }

    /// Returns what the region is called.
    #[must_use]
    pub(crate) const fn name(&self) -> Name {
        self.name
    }

    /// Returns how many pages are mapped.
    #[must_use]
    pub(crate) const fn counters(&self) -> Counters {
        self.counters
    }

    /// Returns how many pages are mapped, for who maps and unmaps them.
    pub(crate) const fn counters_mut(&mut self) -> &mut Counters {
        &mut self.counters
    }

    /// Returns whether the region is still being made.
    #[must_use]
    pub(crate) const fn is_locked(&self) -> bool {
        matches!(self.stage, Stage::Reserved)
    }

    /// Returns whether parts of the region can be regions.
    #[must_use]
    pub(crate) const fn is_divisible(&self) -> bool {
        self.kind.is_divisible()
    }

    /// Returns whether the region may get a new end.
    #[must_use]
    pub(crate) const fn is_resizable(&self) -> bool {
        self.kind.is_resizable()
    }

    /// Allows other things from now on.
    pub(crate) fn set_rights(&mut self, rights: Rights) -> Result<(), RegionError> {
        check_rights(self.range.start(), rights)?;
        self.rights = rights;
        Ok(())
    }

    /// Returns what lies at a page.
    #[inline]
    #[must_use]
    pub(crate) fn content(&self, page: Page) -> Content {
        if !self.range.contains(page) {
            return Content::Nothing(Absence::Outside);
        }
        let offset = page.number() - self.range.start().number();
        match &self.kind {
            Kind::Anonymous { .. } | Kind::Heap => Content::Zeros,
            Kind::Stack if offset == 0 => Content::Nothing(Absence::StackGuard),
            Kind::Stack => Content::Zeros,
            Kind::Fixed { first, memory_type } | Kind::Dma { first, memory_type } => {
                Content::Frame(frame_after(*first, offset), *memory_type)
            }
            Kind::Object {
                object,
                offset_pages,
            } => Content::Object(*object, offset_pages + offset),
            Kind::Guarded(sections) => section_content(sections.at(offset)),
            Kind::Ring => Content::Twin(self.twin(offset)),
        }
    }

    /// Takes a section into use and returns its usable pages.
    pub(crate) fn take_section(&mut self) -> Result<PageRange, RegionError> {
        let range = self.range;
        let pages = self
            .sections_mut()?
            .take()
            .ok_or(RegionError::NoSectionLeft(range))?;
        Ok(part(range, pages))
    }

    /// Takes back the section whose first usable page is `page`, and returns its usable pages.
    pub(crate) fn give_back_section(&mut self, page: Page) -> Result<PageRange, RegionError> {
        let range = self.range;
        let offset = page.number().checked_sub(range.start().number());
        let sections = self.sections_mut()?;
        let pages = offset
            .and_then(|offset| sections.give_back(offset))
            .ok_or(RegionError::NotASection(page))?;
        Ok(part(range, pages))
    }

    /// Makes the region of the other side of a fork. This one's counters are not changed, since the fork may still fail.
    pub(crate) fn fork(&self) -> Result<Self, RegionError> {
        if self.is_locked() {
            return Err(RegionError::Locked(self.range));
        }
        let kind = match &self.kind {
            Kind::Heap => return Err(RegionError::OneSpaceOnly(self.range)),
            Kind::Guarded(sections) => Kind::Guarded(sections.try_clone()?),
            Kind::Ring => Kind::Ring,
            &Kind::Dma { first, memory_type } => Kind::Dma { first, memory_type },
            Kind::Stack => Kind::Stack,
            divisible => divisible.advanced(0),
        };
        let counters = match self.sharing {
            Sharing::Private => self.counters.forked(),
            Sharing::Shared => self.counters,
        };
        Ok(Self {
            kind,
            counters,
            ..*self
        })
    }

    /// Returns whether one region could be made of this one and `next`, so that no page would notice.
    #[must_use]
    pub(crate) fn can_join(&self, next: &Self) -> bool {
        self.range.end_number() == next.range.start().number()
            && self.range.start().is_upper_half() == next.range.start().is_upper_half()
            && self.rights == next.rights
            && self.sharing == next.sharing
            && self.stage == Stage::Published
            && next.stage == Stage::Published
            && self.name == next.name
            && self.kind.goes_on(self.range.len(), &next.kind)
    }

    /// Cuts the region before `page`; the upper part is returned. `upper` are its counters.
    fn split(&mut self, page: Page, upper: Counters) -> Result<Self, RegionError> {
        self.check_cut(page)?;
        let pages = page.number() - self.range.start().number();
        self.counters -= upper;
        let above = Self {
            range: PageRange::new(page, self.range.len() - pages),
            kind: self.kind.advanced(pages),
            counters: upper,
            ..*self
        };
        self.range = PageRange::new(self.range.start(), pages);
        Ok(above)
    }

    /// Checks that a cut before `page` makes two regions.
    fn check_cut(&self, page: Page) -> Result<(), RegionError> {
        if !self.range.contains(page) || page == self.range.start() {
            return Err(RegionError::NoCut {
                region: self.range,
                page,
            });
        }
        if !self.is_divisible() {
            return Err(RegionError::Indivisible(self.range));
        }
        Ok(())
    }

    /// Makes `next`, which goes on where this region ends, a part of it.
    fn join(&mut self, next: Self) {
        assert!(
            self.can_join(&next),
            "R2: {:?} does not go on with {:?}",
            self.range,
            next.range
        );
        self.range = PageRange::new(self.range.start(), self.range.len() + next.range.len());
        self.counters += next.counters;
    }

    /// Takes off pages at the start, but not all. What the others show stays.
    fn shrink_from_start(&mut self, pages: u64) -> Result<(), RegionError> {
        let left = self.check_shrink(pages)?;
        if pages > 0 {
            let start = Page::from_number(self.range.end_number() - left);
            let start = start.expect("R1: a region has a last page");
            self.range = PageRange::new(start, left);
            self.kind = self.kind.advanced(pages);
        }
        Ok(())
    }

    /// Takes off pages at the end, but not all.
    fn shrink_from_end(&mut self, pages: u64) -> Result<(), RegionError> {
        let left = self.check_shrink(pages)?;
        self.range = PageRange::new(self.range.start(), left);
        Ok(())
    }

    /// Checks that the region can do without so many pages, and returns how many are left.
    fn check_shrink(&self, pages: u64) -> Result<u64, RegionError> {
        let left = self.range.len().saturating_sub(pages);
        if left == 0 {
            return Err(ShapeError::Empty(self.range.start()).into());
        }
        if pages > 0 && !self.is_divisible() {
            return Err(RegionError::Indivisible(self.range));
        }
        Ok(left)
    }

    /// Gives the region another end, if there can be such a region.
    fn set_len(&mut self, len_pages: u64) -> Result<(), RegionError> {
        let range = PageRange::try_new(self.range.start(), len_pages)
            .ok_or(RegionError::OutOfBounds(self.range))?;
        check_kind(range, &self.kind)?;
        self.range = range;
        Ok(())
    }

    const fn sections_mut(&mut self) -> Result<&mut Sections, RegionError> {
        match &mut self.kind {
            Kind::Guarded(sections) => Ok(sections),
            _ => Err(RegionError::NotGuarded(self.range)),
        }
    }

    /// Returns the page of a ring that is the same frame as the one `offset` pages after its start.
    fn twin(&self, offset: u64) -> Page {
        let half = self.range.len() / 2;
        let other = if offset < half {
            offset + half
        } else {
            offset - half
        };
        self.range.get(other).expect("R4: a ring has two halves")
    }

    /// Checks what has to be true of a region wherever it is.
    ///
    /// # Panics
    ///
    /// If it is not.
    fn check_invariants(&self) {
        let range = self.range;
        let is_part_of_stack = matches!(self.kind, Kind::Stack) && range.len() == 1;
        assert!(
            check_kind(range, &self.kind).is_ok() || is_part_of_stack,
            "R3: {self:?}"
        );
        assert!(check_rights(range.start(), self.rights).is_ok(), "{self:?}");
        assert!(self.counters.fit(range.len()), "R7: {self:?}");
        if let Kind::Guarded(sections) = &self.kind {
            sections.check_invariants();
        }
    }
}

impl fmt::Display for Region {
    /// One line of a dump: where, how much, rights, what a fork does, what it is made of, what is mapped, and the name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (start, pages) = (self.range.start(), self.range.len());
        write!(f, "{start} {pages:>6} pages {}", self.rights)?;
        write!(f, " {:<7} {}", self.sharing, self.kind)?;
        write!(f, ", {}, {}", self.counters, self.name)?;
        f.write_str(if self.is_locked() { " (locked)" } else { "" })
    }
}

/// Checks that a region at `start` can have the rights.
pub(crate) fn check_rights(start: Page, rights: Rights) -> Result<(), ShapeError> {
    if rights.intersects(Rights::WRITE | Rights::EXECUTE) && !rights.contains(Rights::READ) {
        return Err(ShapeError::Unreadable(rights));
    }
    if rights.contains(Rights::USER) && start.is_upper_half() {
        return Err(ShapeError::UserInUpperHalf(start));
    }
    Ok(())
}

/// Checks that a region of the kind can have so many pages.
fn check_kind(range: PageRange, kind: &Kind) -> Result<(), ShapeError> {
    let len_pages = range.len();
    if len_pages == 0 {
        return Err(ShapeError::Empty(range.start()));
    }
    match kind {
        Kind::Stack if len_pages < 2 => Err(ShapeError::StackTooSmall(len_pages)),
        Kind::Ring if len_pages % 2 == 1 => Err(ShapeError::OddRing(len_pages)),
        Kind::Fixed { first, .. } | Kind::Dma { first, .. } => check_frames(*first, len_pages),
        Kind::Object { offset_pages, .. } => check_offset(*offset_pages, len_pages),
        Kind::Guarded(sections) => check_sections(sections, len_pages),
        Kind::Anonymous { .. } | Kind::Stack | Kind::Ring | Kind::Heap => Ok(()),
    }
}

const fn check_frames(first: Frame, len_pages: u64) -> Result<(), ShapeError> {
    match (first.number() as u64).checked_add(len_pages) {
        Some(end) if end <= 1 << u32::BITS => Ok(()),
        _ => Err(ShapeError::OutOfFrames { first, len_pages }),
    }
}

const fn check_offset(offset_pages: u64, len_pages: u64) -> Result<(), ShapeError> {
    match offset_pages.checked_add(len_pages) {
        Some(_) => Ok(()),
        None => Err(ShapeError::OffsetTooLarge {
            offset_pages,
            len_pages,
        }),
    }
}

fn check_sections(sections: &Sections, len_pages: u64) -> Result<(), ShapeError> {
    let needed_pages = sections.len_pages();
    if len_pages == needed_pages {
        return Ok(());
    }
    Err(ShapeError::SectionsDoNotFit {
        len_pages,
        needed_pages,
    })
}

const fn section_content(state: SectionState) -> Content {
    match state {
        SectionState::Used(_) => Content::Zeros,
        SectionState::Guard(index) => Content::Nothing(Absence::SectionGuard(index)),
        SectionState::Free(index) => Content::Nothing(Absence::FreeSection(index)),
        SectionState::Outside => Content::Nothing(Absence::Outside),
    }
}

/// Returns the pages of a region that are so many pages after its start.
fn part(range: PageRange, pages: core::ops::Range<u64>) -> PageRange {
    let start = range.get(pages.start);
    PageRange::new(
        start.expect("G2: a section lies in its region"),
        pages.end - pages.start,
    )
}
