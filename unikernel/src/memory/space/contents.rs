//! Faults on pages of objects, and what else only objects need of spaces.
//!
//! ```text
//!   resolve_by_object --> look, under the locks of the space and of the objects --> done
//!      ^                                            |
//!      +--------------------------------------------+--> a pager is asked             no lock held
//!                                                   +--> others are to look again     one other space locked at a time
//! ```
//!
//! All of this is reached through [`ObjectRepairs`], which are there once somebody has asked for the objects: the image of a program
//! that never does has none of it.

use super::reserve::Counted;
use super::resolve::read_only;
use super::{AddressSpace, Locked, Memory};
use crate::memory::fault::{Fault, Repair, Violation, decide};
use crate::memory::frame::{AllocateError, FrameMemory, SharedFrame, Use};
use crate::memory::machine::Machine;
use crate::memory::object::{
    Found, InPlace, Mapping, ObjectId, Others, PageIn, PagerError, Written,
};
use crate::memory::page::{Access, Frame, Page, PageRange, Rights};
use crate::memory::region::{Region, Sharing};
use crate::memory::table::entry::Attributes;

/// What spaces do with objects while a fault is resolved or a region ends.
pub(super) struct ObjectRepairs<M: Machine + 'static, H: FrameMemory + 'static> {
    /// Resolves a fault on a page of an object.
    pub(super) resolve: fn(&AddressSpace<M, H>, Fault) -> Result<Step, Violation>,
    /// Pages out up to so many pages, and returns how many frames are free because of it.
    pub(super) page_out: fn(&Memory<M, H>, usize) -> usize,
    /// Notes that pages do not show an object any more.
    pub(super) detach: fn(&Memory<M, H>, ObjectId, Mapping),
    /// Drops the pagers of objects that have ended.
    pub(super) drop_ended: fn(&Memory<M, H>),
    /// Writes back what was changed through pages that are about to show nothing.
    pub(super) write_back: fn(&AddressSpace<M, H>, PageRange),
}

/// How far an object came with a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The access is possible now, or will be when it is repeated.
    Done,
    /// Something was done, and the fault has to be looked at again.
    LookAgain,
}

/// What is to be done without a lock before a fault is looked at again.
enum First {
    /// Nothing: the access is possible now.
    Nothing,
    /// A pager is to be asked.
    Ask(PageIn),
    /// Those who still show what the object held before have to look again.
    Others(ObjectId, u64),
}

/// No frame is left.
const NO_FRAME: Violation =
    Violation::OutOfFrames(AllocateError::OutOfFrames { wanted: 1, free: 0 });

/// What a page may show, by its region.
#[derive(Clone, Copy)]
struct Promise {
    rights: Rights,
    sharing: Sharing,
}

impl Promise {
    fn of(region: &Region) -> Self {
        Self {
            rights: region.rights(),
            sharing: region.sharing(),
        }
    }

    /// Returns what the entry of a frame says that is not the space's: private regions copy it before they write, and shared ones
    /// write to it once the object says so.
    fn foreign(self, writable: InPlace) -> Attributes {
        match (self.sharing, writable) {
            (Sharing::Private, _) => read_only(self.rights),
            (Sharing::Shared, InPlace::Yes) => Attributes::new(self.rights),
            (Sharing::Shared, InPlace::No) => {
                Attributes::new(self.rights.difference(Rights::WRITE))
            }
        }
    }
}

impl<M: Machine, H: FrameMemory> Memory<M, H> {
    /// Lets somebody use the objects. No space is locked from in there.
    pub(crate) fn with_objects<T>(
        &self,
        use_them: impl FnOnce(&mut crate::memory::object::Objects<H>) -> T,
    ) -> T {
        self.object_repairs.call_once(|| ObjectRepairs {
            resolve: AddressSpace::resolve_by_object,
            page_out: Memory::page_out_objects,
            detach: |memory, object, mapping| memory.objects.lock().detach(object, mapping),
            drop_ended: Memory::drop_ended_pagers,
            write_back: AddressSpace::write_back_objects,
        });
        let result = use_them(&mut self.objects.lock());
        self.drop_ended_pagers();
        result
    }

    /// Drops the pagers of objects that have ended, one by one, with no lock held: what they have may be memory that shows objects.
    fn drop_ended_pagers(&self) {
        let take = || self.objects.lock().take_ended();
        while let Some(pager) = take() {
            drop(pager);
        }
    }

    /// Does the same if there are objects at all. Whoever ends regions calls this when it holds no lock any more.
    pub(super) fn drop_ended(&self) {
        if let Some(repairs) = self.object_repairs.get() {
            (repairs.drop_ended)(self);
        }
    }

    /// Returns what objects do for spaces.
    pub(super) fn object_repairs(&self) -> &ObjectRepairs<M, H> {
        self.object_repairs
            .get()
            .expect("S11: whoever made an object has asked for the objects")
    }

    /// Makes room by paging out up to so many pages of objects. Returns how many frames are free because of it.
    pub(super) fn page_out(&self, most: usize) -> usize {
        let repairs = self.object_repairs.get();
        repairs.map_or(0, |repairs| (repairs.page_out)(self, most))
    }
}

impl<M: Machine, H: FrameMemory> AddressSpace<M, H> {
    /// Lets objects write back what was changed through pages of this range, before these show nothing.
    pub(super) fn write_back(&self, range: PageRange) {
        if let Some(repairs) = self.memory().object_repairs.get() {
            (repairs.write_back)(self, range);
        }
    }

    /// Resolves a fault on a page of an object. A pager that needs more time counts as success: the access asks again.
    fn resolve_by_object(&self, fault: Fault) -> Result<Step, Violation> {
        let first = self.lock().look_at_object(fault)?;
        match first {
            First::Nothing => Ok(Step::Done),
            First::Others(object, offset) => {
                self.memory().hide_everywhere(object, offset);
                Ok(Step::LookAgain)
            }
            First::Ask(request) => match self.ask(&request) {
                Ok(()) => Ok(Step::LookAgain),
                Err(PagerError::NotYet) => Ok(Step::Done),
                Err(PagerError::Failed(reason)) => Err(Violation::Pager(reason)),
                Err(PagerError::OutOfMemory) => Err(NO_FRAME),
            },
        }
    }

    /// Asks a pager for a page, with no lock held, and gives it to the object.
    fn ask(&self, request: &PageIn) -> Result<(), PagerError> {
        let pool = self.memory().pool;
        let frame = pool
            .allocate(Use::PageCache)
            .map_err(|_| PagerError::OutOfMemory)?;
        let mut answer = Ok(());
        pool.host().edit(frame.frame(), &mut |page| {
            answer = request.pager().page_in(request.offset_pages(), page);
        });
        answer?;
        // Somebody may have been faster, or the object may be gone; the next round sees.
        let _ = self.memory().objects.lock().fill(request, frame);
        Ok(())
    }
}

impl<M: Machine, H: FrameMemory> Locked<'_, M, H> {
    fn look_at_object(&self, fault: Fault) -> Result<First, Violation> {
        let page = Page::containing(fault.address);
        let region = self.regions.find_for_fault(page);
        let region = region.ok_or(Violation::Unmapped)?;
        let promise = Promise::of(region);
        match decide(fault, page, region, self.shown(page))? {
            Repair::ReadObject(object, offset) => self.read_object(page, (object, offset), promise),
            Repair::WriteObject(object, offset) => {
                self.write_object(page, (object, offset), promise)
            }
            Repair::CopyObject(object, offset) => self.copy_object(page, (object, offset), promise),
            // Somebody else has changed things meanwhile; the access tells what is left to do.
            _ => Ok(First::Nothing),
        }
    }

    fn read_object(
        &self,
        page: Page,
        (object, offset): (ObjectId, u64),
        promise: Promise,
    ) -> Result<First, Violation> {
        let objects = self.memory().objects.lock();
        match objects.read(object, offset) {
            Found::Frame { frame, writable } => {
                let share = self.share(frame)?;
                drop(objects);
                let attributes = promise.foreign(writable);
                self.show(page, share.frame(), attributes)?;
                share.into_entry();
            }
            Found::Zero => {
                drop(objects);
                self.show_zeros(page, promise.rights)?;
            }
            Found::Elsewhere {
                frame,
                memory_type,
                writable,
            } => {
                drop(objects);
                let attributes = promise.foreign(writable).with_type(memory_type);
                self.show(page, frame, attributes)?;
            }
            Found::Absent(request) => return Ok(First::Ask(request)),
            Found::OutOfRange => return Err(Violation::BeyondObject),
        }
        Ok(First::Nothing)
    }

    fn write_object(
        &self,
        page: Page,
        (object, offset): (ObjectId, u64),
        promise: Promise,
    ) -> Result<First, Violation> {
        let mut objects = self.memory().objects.lock();
        let new = match objects.write(object, offset) {
            Written::InPlace(frame) => {
                let share = self.share(frame)?;
                drop(objects);
                if self.show_instead(page, frame, Attributes::new(promise.rights))? {
                    share.into_entry();
                }
                return Ok(First::Nothing);
            }
            Written::Elsewhere { frame, memory_type } => {
                drop(objects);
                let attributes = Attributes::new(promise.rights).with_type(memory_type);
                self.show_instead(page, frame, attributes)?;
                return Ok(First::Nothing);
            }
            Written::Copy { from } => {
                let _share = self.share_counted(from)?;
                drop(objects);
                self.pool().allocate_copy(from, Use::User)
            }
            Written::Zero => {
                drop(objects);
                self.pool().allocate_zeroed(Use::User)
            }
            Written::Absent(request) => return Ok(First::Ask(request)),
            Written::OutOfRange => return Err(Violation::BeyondObject),
            Written::Refused => return Err(Violation::Forbidden(Access::Write)),
        };
        let new = new.map_err(Violation::OutOfFrames)?.share();
        let inserted = self.memory().objects.lock().insert(object, offset, new);
        match inserted {
            Ok(Others::MayShowIt) => Ok(First::Others(object, offset)),
            Ok(Others::Nobody) => self.write_object(page, (object, offset), promise),
            Err(_) => Err(Violation::BeyondObject),
        }
    }

    /// Gives the page of a private region a copy of what an object holds.
    fn copy_object(
        &self,
        page: Page,
        (object, offset): (ObjectId, u64),
        promise: Promise,
    ) -> Result<First, Violation> {
        let objects = self.memory().objects.lock();
        let copy = match objects.read(object, offset) {
            Found::Frame { frame, .. } | Found::Elsewhere { frame, .. } => {
                let _share = self.share_counted(frame)?;
                drop(objects);
                self.pool().allocate_copy(frame, Use::User)
            }
            Found::Zero => {
                drop(objects);
                self.pool().allocate_zeroed(Use::User)
            }
            Found::Absent(request) => return Ok(First::Ask(request)),
            Found::OutOfRange => return Err(Violation::BeyondObject),
        };
        self.give(page, None, copy, promise.rights)?;
        Ok(First::Nothing)
    }

    /// Returns a share of a frame of an object. It is taken before the objects are unlocked: from then on the frame may leave its
    /// object, and would be somebody else's.
    fn share(&self, frame: Frame) -> Result<SharedFrame<'static, H>, Violation> {
        let frame = self.count(frame)?;
        SharedFrame::from_entry(self.pool(), frame).map_err(|_| NO_FRAME)
    }

    /// Returns a share of a frame, unless it is one that nobody counts.
    fn share_counted(&self, frame: Frame) -> Result<Option<SharedFrame<'static, H>>, Violation> {
        let is_counted = self.pool().map_count(frame).is_ok();
        is_counted.then(|| self.share(frame)).transpose()
    }

    /// Shows a frame, in the place of what the page shows, if that is something else. Returns whether it did not show it before.
    fn show_instead(
        &self,
        page: Page,
        frame: Frame,
        attributes: Attributes,
    ) -> Result<bool, Violation> {
        let Some(before) = self.shown(page) else {
            return self.show(page, frame, attributes).map(|()| true);
        };
        if before.frame == frame {
            return self.grant(page, attributes.rights()).map(|()| false);
        }
        let replaced = self.tables().replace_and_flush(page, frame, attributes);
        replaced.map_err(|error| self.map_violation(error))?;
        Counted::FramesOfPool.uncount(self.pool(), before.frame);
        Ok(true)
    }
}
