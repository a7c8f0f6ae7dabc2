//! What changes of an object mean for those who map it.
//!
//! An object knows its mappings, and a mapping its space. Here spaces are locked one at a time, never under the lock of the
//! objects: between two looks anything may change, so each page is looked at again under the lock of its space.

use super::alter::rest_after;
use super::reserve::{Counted, mapping_of};
use super::{AddressSpace, Locked, Memory, SpaceError};
use crate::memory::frame::FrameMemory;
use crate::memory::machine::Machine;
use crate::memory::object::{Mapping, ObjectId, PageOut, PagerError};
use crate::memory::page::{Page, PageRange};
use crate::memory::region::{Region, Sharing};
use crate::memory::table::entry::{Change, Marks};

impl<M: Machine, H: FrameMemory> Memory<M, H> {
    /// Makes a second object with the same contents as this one has now. Whatever is written to either from now on, the other
    /// does not show.
    ///
    /// # Errors
    ///
    /// When no heap is left, or there is no such object.
    pub(crate) fn snapshot(&self, object: ObjectId) -> Result<ObjectId, SpaceError> {
        let snapshot = self.objects.lock().snapshot(object)?;
        self.each_mapping(object, |locked, mapping| {
            locked.seal(object, mapping.pages);
        });
        Ok(snapshot)
    }

    /// Makes everybody who shows this page of an object look again.
    pub(super) fn hide_everywhere(&self, object: ObjectId, offset: u64) {
        self.each_mapping(object, |locked, mapping| {
            let pages = offset
                .checked_sub(mapping.offset_pages)
                .and_then(|pages| mapping.pages.get(pages));
            if let Some(page) = pages {
                locked.hide(object, page);
            }
        });
    }

    /// Writes back what was changed since the last time to where the object's contents come from, if they come from somewhere.
    /// Returns how many pages.
    ///
    /// # Errors
    ///
    /// What the pager says of the first page that it refuses; that page and those behind it are still to be written back.
    pub(crate) fn sync(&self, object: ObjectId) -> Result<u64, PagerError> {
        if !self.objects.lock().is_written_back(object) {
            return Ok(0);
        }
        let (mut offset, mut written) = (0, 0);
        while let Some(dirty) = self.next_dirty(object, offset) {
            let taken = self.objects.lock().take_dirty(object, dirty);
            if let Some(page) = taken {
                // In this order: who writes before this is in what goes out, who writes after makes the page dirty again.
                self.seal_page(object, dirty);
                let answer = self.send(&page);
                self.objects.lock().written_back(&page, answer)?;
                written += 1;
            }
            offset = dirty + 1;
        }
        Ok(written)
    }

    /// Writes back what was changed, unless it is a snapshot. What the pager refuses stays changed, as long as the object lives.
    fn sync_before_end(&self, object: ObjectId) {
        if self.objects.lock().is_written_back_at_end(object) {
            let _ = self.sync(object);
        }
    }

    /// Takes a handle of an object away. Before the last one goes, what was changed is written back: later nobody could ask for it.
    pub(crate) fn drop_handle(&self, object: ObjectId) {
        let is_last = self.objects.lock().handles(object) == Some(1);
        if is_last {
            self.sync_before_end(object);
        }
        self.with_objects(|objects| objects.drop_handle(object));
    }

    /// Makes room by paging out up to so many pages. Returns how many frames are free because of it.
    pub(super) fn page_out_objects(&self, most: usize) -> usize {
        let mut freed = 0;
        for _ in 0..most {
            let Some((object, offset)) = self.objects.lock().choose_victim() else {
                break;
            };
            self.hide_everywhere(object, offset);
            let taken = self.objects.lock().evict(object, offset);
            if let Some(page) = taken {
                let answer = if page.is_changed() {
                    self.send(&page)
                } else {
                    Ok(())
                };
                freed += usize::from(self.objects.lock().paged_out(&page, answer));
            }
        }
        freed
    }

    /// Lets the pager take a page, with no lock held.
    fn send(&self, page: &PageOut) -> Result<(), PagerError> {
        let mut answer = Ok(());
        self.pool.host().edit(page.frame(), &mut |contents| {
            answer = page.pager().page_out(page.offset_pages(), contents);
        });
        answer
    }

    fn next_dirty(&self, object: ObjectId, from: u64) -> Option<u64> {
        self.objects.lock().next_dirty(object, from)
    }

    /// Takes the right to write to a page of an object from everybody.
    fn seal_page(&self, object: ObjectId, offset: u64) {
        self.each_mapping(object, |locked, mapping| {
            let pages = offset
                .checked_sub(mapping.offset_pages)
                .and_then(|pages| mapping.pages.get(pages));
            if let Some(page) = pages {
                locked.seal(object, PageRange::one(page));
            }
        });
    }

    /// Does something with each mapping of an object, under the lock of its space. Mappings may come and go between two of them;
    /// what was mapped all the time is met.
    fn each_mapping(&self, object: ObjectId, act: impl Fn(&Locked<'_, M, H>, &Mapping)) {
        let mut from = (0, 0);
        while let Some(mapping) = self.mapping_from(object, from) {
            if let Some(space) = self.space(mapping.space) {
                act(&space.lock(), &mapping);
            }
            from = (mapping.space, mapping.pages.end_number());
        }
    }

    fn mapping_from(&self, object: ObjectId, from: (u32, u64)) -> Option<Mapping> {
        self.objects.lock().mapping_from(object, from)
    }
}

impl<M: Machine, H: FrameMemory> AddressSpace<M, H> {
    /// Writes back what was changed in the shared objects of a range.
    pub(super) fn write_back_objects(&self, range: PageRange) {
        let mut rest = range;
        while let Some((object, behind)) = self.shared_object_in(rest) {
            self.memory().sync_before_end(object);
            rest = behind;
        }
    }

    /// Returns the first object that is shared in a range, and the part of the range behind its region.
    fn shared_object_in(&self, range: PageRange) -> Option<(ObjectId, PageRange)> {
        let locked = self.lock();
        locked.regions.iter_in(range).find_map(|region| {
            let (object, _) = mapping_of(region, region.range())?;
            let behind = rest_after(range, region.range());
            (region.sharing() == Sharing::Shared).then_some((object, behind))
        })
    }
}

impl<M: Machine, H: FrameMemory> Locked<'_, M, H> {
    /// Returns whether a region at the page still shows the object.
    fn shows(&self, object: ObjectId, page: Page) -> bool {
        self.regions.find(page).and_then(shown_by) == Some(object)
    }

    /// Makes a page show nothing, unless what it shows is a copy of its own.
    fn hide(&self, object: ObjectId, page: Page) {
        let shown = self.shown(page).filter(|_| self.shows(object, page));
        let Some(shown) = shown.filter(|shown| !shown.marks.contains(Marks::OWNED)) else {
            return;
        };
        let unmapped = self.tables().unmap_and_flush(page);
        unmapped.expect("S1: the page shows something, by a small leaf");
        Counted::FramesOfPool.uncount(self.pool(), shown.frame);
    }

    /// Takes the right to write from pages that show the object itself.
    fn seal(&self, object: ObjectId, pages: PageRange) {
        for region in self.regions.iter_in(pages) {
            let part = region.range().intersection(pages);
            let part = part.filter(|_| {
                shown_by(region) == Some(object) && region.sharing() == Sharing::Shared
            });
            if let Some(part) = part {
                self.tables()
                    .change(part, &Change::read_only())
                    .expect("S8: leaves of objects are small")
                    .flush();
            }
        }
    }
}

/// Returns the object that a region shows.
fn shown_by(region: &Region) -> Option<ObjectId> {
    mapping_of(region, region.range()).map(|(object, _)| object)
}
