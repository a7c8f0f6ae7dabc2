//! All regions of an address space, in order.
//!
//! A page fault starts with a look into this map, so looking up is a walk of a few instructions a step through a
//! [tree](super::tree) that holds only numbers; the regions lie beside it. Eight regions need no heap, which is how the kernel's
//! own regions can be there before the heap that is one of them.
//!
//! A region that takes more than one step to make is *reserved* first: it holds its place, nobody else gets it, and faults see
//! nothing. Then it is *published*, or *abandoned*.
//!
//! The map knows nothing of what is mapped. Who takes pages off a region, or cuts it, has unmapped and counted them, and says
//! which part of the counters is above the cut.
//!
//! What could fail is checked before anything is changed. Who has to be sure that a change will succeed, because something else
//! cannot be undone, calls [`RegionMap::prepare`] first.

use super::error::RegionError;
use super::piece::Piece;
use super::slab::{INLINE, Slab};
use super::tree::{Tree, Wanted};
use super::{Counters, Region, Stage};
use crate::memory::page::{Page, PageRange};

/// The regions of an address space, or of a part of one.
#[derive(Debug)]
pub(crate) struct RegionMap {
    bounds: PageRange,
    tree: Tree,
    /// What the spans of the tree stand for, under the same index.
    regions: Slab<Option<Region>>,
}

impl RegionMap {
    /// Makes a map without regions, for these pages.
    #[must_use]
    pub(crate) const fn new(bounds: PageRange) -> Self {
        Self {
            bounds,
            tree: Tree::new(),
            regions: Slab::new([const { None }; INLINE]),
        }
    }

    /// Returns the pages that regions can have.
    #[must_use]
    pub(crate) const fn bounds(&self) -> PageRange {
        self.bounds
    }

    /// Returns how many regions there are.
    #[must_use]
    pub(crate) const fn len(&self) -> usize {
        self.tree.len()
    }

    /// Returns whether there is no region.
    #[must_use]
    pub(crate) const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sees to it that the next `more` regions need no memory.
    pub(crate) fn prepare(&mut self, more: usize) -> Result<(), RegionError> {
        let slots = self.tree.slots_for(more)?;
        // In this order no slot of the tree is ever without a place for its region, even if the second step fails.
        self.regions.grow(slots, || None)?;
        self.tree.prepare(slots)
    }

    /// Returns the region that has the page.
    #[inline]
    #[must_use]
    pub(crate) fn find(&self, page: Page) -> Option<&Region> {
        let index = self.tree.find(page.number())?;
        self.regions.as_slice().get(index as usize)?.as_ref()
    }

    /// Returns the region that has the page, to change it where it is.
    #[inline]
    #[must_use]
    pub(crate) fn find_mut(&mut self, page: Page) -> Option<&mut Region> {
        let index = self.tree.find(page.number())?;
        let regions = self.regions.as_mut_slice();
        regions.get_mut(index as usize)?.as_mut()
    }

    /// Returns the region that has the page, unless it is still being made.
    #[inline]
    #[must_use]
    pub(crate) fn find_for_fault(&self, page: Page) -> Option<&Region> {
        self.find(page).filter(|region| !region.is_locked())
    }

    /// Returns the region that has the page, unless it is still being made, to count what the fault maps.
    #[inline]
    #[must_use]
    pub(crate) fn find_for_fault_mut(&mut self, page: Page) -> Option<&mut Region> {
        self.find_mut(page).filter(|region| !region.is_locked())
    }

    /// Returns the lowest region that has pages in the range.
    #[must_use]
    pub(crate) fn first_in(&self, range: PageRange) -> Option<&Region> {
        self.iter_in(range).next()
    }

    /// Returns all regions, from the lowest up.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Region> {
        self.iter_in(self.bounds)
    }

    /// Returns the regions that have pages in the range, from the lowest up: none if it is empty.
    pub(crate) fn iter_in(&self, range: PageRange) -> impl Iterator<Item = &Region> {
        let mut from = range.start().number();
        core::iter::from_fn(move || {
            let index = self.tree.first_from(from)?;
            let span = self.tree.span(index);
            from = span.end;
            let meets = !range.is_empty() && span.start < range.end_number();
            meets.then(|| self.region(index))
        })
    }

    /// Returns what the range takes of each region it meets, from the lowest up. It is refused when that would divide what
    /// cannot be divided, or touch what is still being made.
    pub(crate) fn pieces(
        &self,
        range: PageRange,
    ) -> Result<impl Iterator<Item = Piece>, RegionError> {
        self.iter_in(range)
            .try_for_each(|region| Piece::check(region, range))?;
        Ok(self
            .iter_in(range)
            .filter_map(move |region| Piece::of(region, range)))
    }

    /// Returns the lowest page at or above `from`, a multiple of `align_pages`, from which `len_pages` pages are free.
    ///
    /// Every gap counts: before the first region, between two, and after the last. Without alignment this takes as long as
    /// looking up; with it, gaps that are long enough but lie badly are passed one by one.
    #[must_use]
    pub(crate) fn find_free(&self, len_pages: u64, from: Page, align_pages: u64) -> Option<Page> {
        if len_pages == 0 || self.bounds.is_empty() {
            return None;
        }
        let wanted = Wanted {
            len: len_pages,
            from: from.number(),
            align: align_pages.max(1),
        };
        let bounds = self.bounds.start().number()..self.bounds.end_number();
        Page::from_number(self.tree.find_room(wanted, bounds)?)
    }

    /// Returns the hint if `len_pages` pages are free there, else the first room above it, else the first room anywhere.
    #[must_use]
    pub(crate) fn find_near(&self, len_pages: u64, hint: Page, align_pages: u64) -> Option<Page> {
        self.find_free(len_pages, hint, align_pages)
            .or_else(|| self.find_free(len_pages, self.bounds.start(), align_pages))
    }

    /// Adds a region, or gives it back with the reason why not.
    #[expect(
        clippy::result_large_err,
        reason = "a region that is not added still owns what it is made of; it is refused rarely"
    )]
    pub(crate) fn insert(&mut self, region: Region) -> Result<(), (Region, RegionError)> {
        match self.check_insert(region.range()) {
            Ok(()) => {
                self.add(region);
                Ok(())
            }
            Err(error) => Err((region, error)),
        }
    }

    /// Adds a region that is still being made: it holds its place, but no fault sees it.
    #[expect(
        clippy::result_large_err,
        reason = "a region that is not added still owns what it is made of; it is refused rarely"
    )]
    pub(crate) fn reserve(&mut self, mut region: Region) -> Result<(), (Region, RegionError)> {
        region.stage = Stage::Reserved;
        self.insert(region)
    }

    /// Ends the making of a region: from now on, faults see it.
    pub(crate) fn publish(&mut self, start: Page) -> Result<(), RegionError> {
        let index = self.reserved_at(start)?;
        self.region_mut(index).stage = Stage::Published;
        Ok(())
    }

    /// Gives up making a region.
    pub(crate) fn abandon(&mut self, start: Page) -> Result<Region, RegionError> {
        let index = self.reserved_at(start)?;
        Ok(self.take(index))
    }

    /// Removes the region that starts at `start`, made or not.
    pub(crate) fn remove(&mut self, start: Page) -> Option<Region> {
        let index = self.index_at(start).ok()?;
        Some(self.take(index))
    }

    /// Returns how many pages are free right after the region that starts at `start`; 0 if there is no such region.
    #[must_use]
    pub(crate) fn room_after(&self, start: Page) -> u64 {
        self.index_at(start)
            .map_or(0, |index| self.room_after_index(index))
    }

    /// Gives the region that starts at `start` another end.
    pub(crate) fn resize(&mut self, start: Page, len_pages: u64) -> Result<(), RegionError> {
        let index = self.published_at(start)?;
        let range = self.region(index).range();
        if !self.region(index).is_resizable() {
            return Err(RegionError::NotResizable(range));
        }
        let most = range.len() + self.room_after_index(index);
        if len_pages > most {
            return Err(RegionError::NoRoom { len_pages, most });
        }
        self.region_mut(index).set_len(len_pages)?;
        self.follow(index);
        Ok(())
    }

    /// Takes pages off the start of the region that starts at `start`. What the others show stays.
    pub(crate) fn shrink_from_start(&mut self, start: Page, pages: u64) -> Result<(), RegionError> {
        let index = self.published_at(start)?;
        self.region_mut(index).shrink_from_start(pages)?;
        self.follow(index);
        Ok(())
    }

    /// Takes pages off the end of the region that starts at `start`.
    pub(crate) fn shrink_from_end(&mut self, start: Page, pages: u64) -> Result<(), RegionError> {
        let index = self.published_at(start)?;
        self.region_mut(index).shrink_from_end(pages)?;
        self.follow(index);
        Ok(())
    }

    /// Cuts the region that starts at `start` in two before the page `at`. `upper` are the counters of the upper part.
    pub(crate) fn split(
        &mut self,
        start: Page,
        at: Page,
        upper: Counters,
    ) -> Result<(), RegionError> {
        let index = self.published_at(start)?;
        self.region(index).check_cut(at)?;
        self.prepare(1)?;
        let above = self.region_mut(index).split(at, upper)?;
        self.follow(index);
        self.add(above);
        Ok(())
    }

    /// Joins the region that starts at `start` with its neighbours, as far as no page notices. Returns where the region that
    /// has its pages now starts.
    pub(crate) fn join_around(&mut self, start: Page) -> Page {
        self.join_next(start);
        let before = self.tree.last_before(start.number());
        let before = before.map(|index| self.region(index).range().start());
        match before {
            Some(before) if self.join_next(before) => before,
            _ => start,
        }
    }

    /// Checks that regions are in order, and each is what it can be.
    ///
    /// # Panics
    ///
    /// If something is wrong.
    pub(crate) fn check_invariants(&self) {
        self.tree.check_invariants();
        assert_eq!(self.iter().count(), self.len(), "R1: regions out of bounds");
        for region in self.iter() {
            let range = region.range();
            assert_eq!(
                self.bounds.intersection(range),
                Some(range),
                "R1: {range:?}"
            );
            let found = self.find(range.start()).map(Region::range);
            assert_eq!(found, Some(range), "R1: a region is not where its span is");
            region.check_invariants();
        }
        let held = self.regions.as_slice().iter().flatten().count();
        assert_eq!(held, self.len(), "R1: a region without a span");
    }

    fn check_insert(&mut self, range: PageRange) -> Result<(), RegionError> {
        if self.bounds.intersection(range) != Some(range) {
            return Err(RegionError::OutOfBounds(range));
        }
        if let Some(other) = self.first_in(range) {
            return Err(RegionError::Overlaps(other.range()));
        }
        self.prepare(1)
    }

    fn add(&mut self, region: Region) {
        let range = region.range();
        let index = self.tree.insert(range.start().number()..range.end_number());
        self.regions.as_mut_slice()[index as usize] = Some(region);
    }

    fn take(&mut self, index: u32) -> Region {
        self.tree.remove(index);
        self.regions.as_mut_slice()[index as usize]
            .take()
            .expect("R1: every span stands for a region")
    }

    /// Makes the tree know the extent that a region has now.
    fn follow(&mut self, index: u32) {
        let range = self.region(index).range();
        self.tree
            .set_span(index, range.start().number()..range.end_number());
    }

    fn region(&self, index: u32) -> &Region {
        self.regions.as_slice()[index as usize]
            .as_ref()
            .expect("R1: every span stands for a region")
    }

    fn region_mut(&mut self, index: u32) -> &mut Region {
        self.regions.as_mut_slice()[index as usize]
            .as_mut()
            .expect("R1: every span stands for a region")
    }

    fn index_at(&self, start: Page) -> Result<u32, RegionError> {
        self.tree
            .find(start.number())
            .filter(|&index| self.tree.span(index).start == start.number())
            .ok_or(RegionError::NoRegion(start))
    }

    fn published_at(&self, start: Page) -> Result<u32, RegionError> {
        let index = self.index_at(start)?;
        let region = self.region(index);
        if region.is_locked() {
            return Err(RegionError::Locked(region.range()));
        }
        Ok(index)
    }

    fn reserved_at(&self, start: Page) -> Result<u32, RegionError> {
        let index = self.index_at(start)?;
        let region = self.region(index);
        if !region.is_locked() {
            return Err(RegionError::NotLocked(region.range()));
        }
        Ok(index)
    }

    fn room_after_index(&self, index: u32) -> u64 {
        let end = self.tree.span(index).end;
        let next = self.tree.first_from(end);
        next.map_or(self.bounds.end_number(), |next| self.tree.span(next).start) - end
    }

    /// Joins the region that starts at `start` with the next one, if no page notices.
    fn join_next(&mut self, start: Page) -> bool {
        let Ok(index) = self.index_at(start) else {
            return false;
        };
        let Some(next) = self.tree.first_from(self.tree.span(index).end) else {
            return false;
        };
        if !self.region(index).can_join(self.region(next)) {
            return false;
        }
        let next = self.take(next);
        self.region_mut(index).join(next);
        self.follow(index);
        true
    }
}

#[cfg(test)]
impl RegionMap {
    /// Returns how many regions there can be without more memory.
    pub(super) const fn slots(&self) -> usize {
        self.tree.slots()
    }

    /// Returns how many regions a look-up meets at most.
    pub(super) fn steps(&self) -> u32 {
        self.tree.steps()
    }
}
