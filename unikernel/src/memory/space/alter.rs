//! Rights, sizes, and pages given back or asked for ahead of need.

use super::reserve::{Counted, committed, mapping_of, owned};
use super::{AddressSpace, Locked, SpaceError, page_at};
use crate::memory::fault::Users;
use crate::memory::frame::FrameMemory;
use crate::memory::machine::Machine;
use crate::memory::page::{Page, PageRange, PageSize, Rights};
use crate::memory::region::{Content, Kind, Region, RegionError, Sharing, check_rights};
use crate::memory::table::entry::Change;

impl<M: Machine, H: FrameMemory> AddressSpace<M, H> {
    /// Gives all pages in a range these rights, over as many regions as it covers or cuts. What is lost is lost at once and on all
    /// CPUs; what is gained appears at once or with the next access.
    ///
    /// # Errors
    ///
    /// When a page in the range lies in no region, a region cannot be cut, an object refuses, or memory is missing.
    pub(crate) fn protect(&self, range: PageRange, rights: Rights) -> Result<(), SpaceError> {
        let mut locked = self.lock();
        locked.check_covered(range)?;
        locked.check_rights(range, rights)?;
        locked.isolate(range)?;
        let mut at = range;
        while let Some(part) = locked.regions.first_in(at).map(Region::range) {
            locked.set_rights(part, rights)?;
            at = rest_after(at, part);
        }
        locked.regions.join_around(range.start());
        if let Some(end) = Page::from_number(range.end_number()) {
            locked.regions.join_around(end);
        }
        Ok(())
    }

    /// Gives back the frames of a range: its pages read as when they were new. Regions stay. Returns how many pages showed something.
    ///
    /// # Errors
    ///
    /// When a page lies in no region, or in one whose contents cannot be made new: of a device, or shared.
    pub(crate) fn discard(&self, range: PageRange) -> Result<u64, SpaceError> {
        let locked = self.lock();
        locked.check_covered(range)?;
        let fixed = locked
            .regions
            .iter_in(range)
            .find(|region| !is_discardable(region));
        if let Some(region) = fixed {
            return Err(SpaceError::NotPossible(region.range().start()));
        }
        locked.tables().split_at_ends(range)?;
        Ok(locked.clear(range, Counted::FramesOfPool))
    }

    /// Gives every page of a range that has none a frame of its own ahead of need, 2 MiB at a time where possible. What was given
    /// before memory ran out stays. Returns how many pages got one.
    ///
    /// # Errors
    ///
    /// When a page lies in no region, or in one that does not hold private zeros, or no frame is left.
    pub(crate) fn commit(&self, range: PageRange) -> Result<u64, SpaceError> {
        let locked = self.lock();
        locked.check_covered(range)?;
        let mut committed = 0;
        for region in locked.regions.iter_in(range) {
            if !holds_zeros(region) {
                return Err(SpaceError::NotPossible(region.range().start()));
            }
        }
        for region in locked.regions.iter_in(range) {
            let part = region.range().intersection(range);
            let part = without_guard(region, part.expect("it is in the range"));
            committed += locked.commit_absent(part, region.rights())?;
        }
        Ok(committed)
    }

    /// Gives pages that belong to one owner another end, over as many regions as they lie in: the last region grows, or the
    /// promises about what lies behind the new end are ended.
    ///
    /// # Errors
    ///
    /// As [`resize`](Self::resize) and [`unmap`](Self::unmap).
    pub(crate) fn move_end(&self, owned: PageRange, len_pages: u64) -> Result<(), SpaceError> {
        if len_pages == owned.len() {
            return Ok(());
        }
        if len_pages < owned.len() {
            return self.unmap(skip(owned, len_pages)).map(drop);
        }
        let mut locked = self.lock();
        let last = owned.last().and_then(|page| locked.regions.find(page));
        let region = last.ok_or(SpaceError::NoRegion(owned.start()))?;
        if !region.is_resizable() {
            return Err(SpaceError::NotPossible(owned.start()));
        }
        // Joined with what lies behind, which is somebody else's.
        if region.range().end_number() != owned.end_number() {
            return Err(SpaceError::NoRoom {
                region: owned,
                wanted_pages: len_pages,
            });
        }
        let before = region.range();
        let added_pages = len_pages - owned.len();
        locked.grow(before, before.len().saturating_add(added_pages))
    }

    /// Grows or shrinks the region that starts at a page, at its end. Returns the size it had, in pages; asked for 0 pages, it
    /// only does that.
    ///
    /// # Errors
    ///
    /// When there is no such region, no room behind it, or it is of a kind with a fixed size.
    pub(crate) fn resize(&self, start: Page, len_pages: u64) -> Result<u64, SpaceError> {
        let shrinks = |region: &Region| (1..region.range().len()).contains(&len_pages);
        if self.inspect(|regions, _| regions.find(start).is_some_and(shrinks)) {
            self.write_back(PageRange::one(start));
        }
        let mut locked = self.lock();
        let region = locked
            .regions
            .find(start)
            .filter(|region| region.range().start() == start);
        let region = region.ok_or(SpaceError::NoRegion(start))?;
        let before = region.range();
        if len_pages == 0 || len_pages == before.len() {
            return Ok(before.len());
        }
        if !region.is_resizable() {
            return Err(SpaceError::NotPossible(start));
        }
        if len_pages < before.len() {
            locked.shrink(before, len_pages)?;
        } else {
            locked.grow(before, len_pages)?;
        }
        Ok(before.len())
    }
}

impl<M: Machine, H: FrameMemory> Locked<'_, M, H> {
    /// Refuses a range with a hole in it.
    fn check_covered(&self, range: PageRange) -> Result<(), SpaceError> {
        let mut at = range;
        while !at.is_empty() {
            let region = self.regions.find(at.start());
            let region = region.ok_or(SpaceError::NoRegion(at.start()))?;
            at = rest_after(at, region.range());
        }
        Ok(())
    }

    /// Refuses rights that a region or its object cannot have.
    fn check_rights(&self, range: PageRange, rights: Rights) -> Result<(), SpaceError> {
        for region in self.regions.iter_in(range) {
            check_rights(region.range().start(), rights).map_err(RegionError::from)?;
            let object = mapping_of(region, region.range());
            if let Some((object, _)) = object
                && rights.contains(Rights::WRITE)
                && region.sharing() == Sharing::Shared
            {
                self.memory().objects.lock().check_writable(object)?;
            }
        }
        Ok(())
    }

    fn set_rights(&mut self, part: PageRange, rights: Rights) -> Result<(), SpaceError> {
        let region = self.regions.find_mut(part.start());
        let region = region.expect("S8: the range is covered");
        region.set_rights(rights)?;
        // What an object's pages may do depends on the object, so they gain with the next access only.
        let change = match region.kind() {
            Kind::Object { .. } => Change::restrict(rights),
            _ => Change::rights(rights),
        };
        self.tables().change(part, &change)?.flush();
        Ok(())
    }

    fn commit_absent(&self, range: PageRange, rights: Rights) -> Result<u64, SpaceError> {
        let (mut at, mut committed) = (range, 0);
        while !at.is_empty() {
            let shown = self.tables().query(at.start());
            let pages = match shown {
                // Only read so far: the zero frame makes room for a frame of the page's own.
                Some(_) if self.shows_zeros(at.start()) => {
                    self.clear(PageRange::one(at.start()), Counted::Frames);
                    0
                }
                Some((first, leaf)) => first.number() + leaf.size.pages() - at.start().number(),
                None => {
                    let absent = self.absent(at);
                    let pages = self.commit_some(absent, owned(rights));
                    let pages = pages.map_err(|_| SpaceError::OutOfFrames)?;
                    committed += pages;
                    pages
                }
            };
            at = skip(at, pages);
        }
        Ok(committed)
    }

    fn shows_zeros(&self, page: Page) -> bool {
        self.shown(page)
            .is_some_and(|shown| shown.users == Users::Zero)
    }

    /// Returns the pages from the start of a range on that show nothing, up to 2 MiB or the next border of that size.
    fn absent(&self, range: PageRange) -> PageRange {
        const LARGE: u64 = PageSize::Mib2.pages();
        let to_border = LARGE - range.start().number() % LARGE;
        let near = PageRange::new(range.start(), range.len().min(to_border));
        let first = self.tables().first(near);
        let len = first.map_or(near.len(), |first| first.number() - near.start().number());
        PageRange::new(near.start(), len)
    }

    fn shrink(&mut self, before: PageRange, len_pages: u64) -> Result<(), SpaceError> {
        let gone = PageRange::new(page_at(before, len_pages), before.len() - len_pages);
        let region = self.regions.find(before.start());
        let object = region.and_then(|region| mapping_of(region, gone));
        if let Some((id, _)) = object {
            self.memory().objects.lock().prepare_split(id)?;
        }
        self.tables().split_at_ends(gone)?;
        self.regions.resize(before.start(), len_pages)?;
        self.clear(gone, Counted::FramesOfPool);
        if let Some((id, offset_pages)) = object {
            let mapping = self.mapping(gone, offset_pages);
            self.memory().objects.lock().detach(id, mapping);
        }
        Ok(())
    }

    fn grow(&mut self, before: PageRange, len_pages: u64) -> Result<(), SpaceError> {
        let added_pages = len_pages - before.len();
        if added_pages > self.regions.room_after(before.start()) {
            return Err(SpaceError::NoRoom {
                region: before,
                wanted_pages: len_pages,
            });
        }
        let added = PageRange::new(page_at(before, before.len()), added_pages);
        let region = self.regions.find(before.start());
        let object = region.and_then(|region| mapping_of(region, before));
        let committed = region.and_then(committed);
        if let Some((id, offset_pages)) = object {
            let mapping = self.mapping(added, offset_pages + before.len());
            self.memory().objects.lock().attach(id, mapping)?;
        }
        self.set_len(before.start(), len_pages);
        let kept = committed.map_or(Ok(()), |attributes| self.commit_new(added, attributes));
        if kept.is_err() {
            self.set_len(before.start(), before.len());
        }
        Ok(kept?)
    }

    fn set_len(&mut self, start: Page, len_pages: u64) {
        self.regions
            .resize(start, len_pages)
            .expect("S8: there is room");
    }
}

/// Returns the part of a range that lies above another.
pub(super) fn rest_after(range: PageRange, part: PageRange) -> PageRange {
    skip(
        range,
        part.end_number().saturating_sub(range.start().number()),
    )
}

/// Returns a range without its first pages; nothing is left if it has not so many.
fn skip(range: PageRange, pages: u64) -> PageRange {
    let pages = pages.min(range.len());
    match range.start().checked_add(pages) {
        Some(start) => PageRange::new(start, range.len() - pages),
        None => PageRange::new(range.start(), 0),
    }
}

/// Returns a part of a region without the page that is to show nothing.
fn without_guard(region: &Region, part: PageRange) -> PageRange {
    let is_guard = matches!(region.content(part.start()), Content::Nothing(_));
    skip(part, u64::from(is_guard))
}

fn holds_zeros(region: &Region) -> bool {
    matches!(
        region.kind(),
        Kind::Anonymous { .. } | Kind::Heap | Kind::Stack
    )
}

fn is_discardable(region: &Region) -> bool {
    holds_zeros(region)
        || matches!(region.kind(), Kind::Guarded(_))
        || matches!(region.kind(), Kind::Object { .. }) && region.sharing() == Sharing::Private
}
