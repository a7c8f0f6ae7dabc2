//! Page faults: what [`decide`] says is carried out, and what cannot be repaired is said.
//!
//! ```text
//!   resolve --> look, under the lock --> decide --> apply --> done
//!      ^                                              |
//!      |                                              +--> a pager is asked             no lock held
//!      +----------------------------------------------+--> others are to look again     one other space locked at a time
//!                                                     +--> no frame left: pages go out  no lock held
//! ```
//!
//! Each round may find everything changed by somebody else; it decides anew. Nothing here allocates from the heap.

use super::reserve::{owned, uncount};
use super::{AddressSpace, Locked};
use crate::memory::fault::{Fault, Repair, Shown, Users, Violation, decide};
use crate::memory::frame::{AllocateError, FrameMemory, OwnedFrame, Use};
use crate::memory::machine::{Invalidation, Machine, Tables as TablesKept};
use crate::memory::object::{Found, InPlace, ObjectId, Others, PageIn, PagerError, Written};
use crate::memory::page::{Access, Frame, FrameRange, Page, PageRange, PageSize, Rights};
use crate::memory::region::{Region, Sharing};
use crate::memory::table::entry::{Attributes, Change, Marks};
use crate::memory::table::error::MapError;

/// How often a fault is looked at before it is said to make no progress. Each round does something, or ends the fault.
const MOST_ROUNDS: u32 = 16;

/// Pages that are made to go out when no frame is left.
const PAGES_OUT: usize = 16;

/// No frame is left.
const NO_FRAME: AllocateError = AllocateError::OutOfFrames { wanted: 1, free: 0 };

/// How one look at a fault ended.
enum Round {
    /// The access is possible now.
    Done,
    /// It was possible already; this CPU may just not have known.
    Idle,
    /// First a pager has to be asked.
    Ask(PageIn),
    /// First those who still show what the object held before have to look again.
    Others(ObjectId, u64),
}

/// What a page may show, by its region.
#[derive(Clone, Copy)]
struct Promise {
    rights: Rights,
    sharing: Sharing,
}

impl Promise {
    /// Returns what the entry of a frame that is not the space's says: private regions copy it before they write.
    fn foreign(self) -> Attributes {
        match self.sharing {
            Sharing::Private => read_only(self.rights),
            Sharing::Shared => Attributes::new(self.rights),
        }
    }
}

/// Returns what the entry of a frame says that is copied before it is written.
fn read_only(rights: Rights) -> Attributes {
    Attributes::new(rights.difference(Rights::WRITE)).with_marks(Marks::COPY_ON_WRITE)
}

impl<M: Machine, H: FrameMemory> AddressSpace<M, H> {
    /// Makes an access possible that the processor refused, or says why it is not.
    ///
    /// A pager that needs more time counts as success: the access faults again, and asks again.
    ///
    /// # Errors
    ///
    /// The violation; nothing has changed.
    pub(crate) fn resolve(&self, fault: Fault) -> Result<(), Violation> {
        for _ in 0..MOST_ROUNDS {
            let round = self.lock().look(fault);
            match round {
                Ok(Round::Done) => return Ok(()),
                Ok(Round::Idle) => {
                    self.forget(Page::containing(fault.address));
                    return self.memory().note_idle(fault);
                }
                Ok(Round::Ask(request)) => match self.ask(&request) {
                    Ok(()) => {}
                    Err(PagerError::NotYet) => return Ok(()),
                    Err(PagerError::Failed(reason)) => return Err(Violation::Pager(reason)),
                    Err(PagerError::OutOfMemory) => self.make_room(NO_FRAME)?,
                },
                Ok(Round::Others(object, offset)) => {
                    self.memory().hide_everywhere(object, offset);
                }
                Err(Violation::OutOfFrames(error)) => self.make_room(error)?,
                Err(violation) => return Err(violation),
            }
        }
        Err(Violation::NoProgress)
    }

    fn forget(&self, page: Page) {
        self.memory().machine.invalidate(&Invalidation {
            root: self.root(),
            pages: PageRange::one(page),
            tables: TablesKept::Kept,
        });
    }

    /// Pages out what can go, or says that nothing can.
    fn make_room(&self, error: AllocateError) -> Result<(), Violation> {
        match self.memory().page_out(PAGES_OUT) {
            0 => Err(Violation::OutOfFrames(error)),
            _ => Ok(()),
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
    /// Looks at a fault once.
    fn look(&self, fault: Fault) -> Result<Round, Violation> {
        let page = Page::containing(fault.address);
        let region = self.regions.find_for_fault(page);
        let region = region.ok_or(Violation::Unmapped)?;
        let shown = self.shown(page);
        let repair = decide(fault, page, region, shown)?;
        self.apply(page, region, shown, repair)
    }

    /// Returns what a page shows.
    pub(super) fn shown(&self, page: Page) -> Option<Shown> {
        let (first, leaf) = self.tables().query(page)?;
        let frame = Frame::new(leaf.frame.number() + (page.number() - first.number()) as u32);
        Some(Shown {
            frame,
            rights: leaf.attributes.rights(),
            marks: leaf.attributes.marks(),
            users: self.users(frame, leaf.attributes.marks()),
        })
    }

    fn users(&self, frame: Frame, marks: Marks) -> Users {
        if !marks.contains(Marks::COPY_ON_WRITE) {
            return Users::One;
        }
        match self.pool().map_count(frame) {
            Ok(0) => Users::Zero,
            Ok(1) => Users::One,
            _ => Users::Several,
        }
    }

    fn apply(
        &self,
        page: Page,
        region: &Region,
        shown: Option<Shown>,
        repair: Repair,
    ) -> Result<Round, Violation> {
        let promise = Promise {
            rights: region.rights(),
            sharing: region.sharing(),
        };
        match repair {
            Repair::Nothing => return Ok(Round::Idle),
            Repair::Grant => self.grant(page, promise.rights)?,
            Repair::ShowZeros => self.show_zeros(page, promise.rights)?,
            Repair::ZeroFill => {
                let frame = self.pool().allocate_zeroed(Use::User);
                self.give(page, shown, frame, promise.rights)?;
            }
            // The last user of a frame writes to it, without a copy.
            Repair::KeepFrame(frame) => self.exchange(page, frame, promise.rights)?,
            Repair::Copy(from) => {
                let copy = self.pool().allocate_copy(from, Use::User);
                self.give(page, shown, copy, promise.rights)?;
            }
            Repair::ShowDevice(frame, memory_type) => {
                self.show(
                    page,
                    frame,
                    Attributes::new(promise.rights).with_type(memory_type),
                )?;
            }
            Repair::ShowTwin(twin) => self.show_twin(page, twin, promise.rights)?,
            Repair::ReadObject(object, offset) => {
                return self.read_object(page, (object, offset), promise);
            }
            Repair::WriteObject(object, offset) => {
                return self.write_object(page, (object, offset), promise);
            }
            Repair::CopyObject(object, offset) => {
                return self.copy_object(page, (object, offset), promise);
            }
        }
        Ok(Round::Done)
    }

    fn grant(&self, page: Page, rights: Rights) -> Result<(), Violation> {
        let granted = self
            .tables()
            .change(PageRange::one(page), &Change::rights(rights));
        granted.map_err(|_| self.out_of_frames())?.flush();
        Ok(())
    }

    fn show_zeros(&self, page: Page, rights: Rights) -> Result<(), Violation> {
        let zero = self.pool().zero_frame().map_err(Violation::OutOfFrames)?;
        self.show(page, zero.frame(), read_only(rights))
    }

    /// Shows a frame at a page that shows nothing.
    fn show(&self, page: Page, frame: Frame, attributes: Attributes) -> Result<(), Violation> {
        let frames = FrameRange::one(frame);
        self.tables()
            .map(page, frames, attributes, PageSize::Kib4)
            .map_err(|error| self.map_violation(error))
    }

    /// Gives the page a frame of its own, in the place of what it shows.
    fn give(
        &self,
        page: Page,
        shown: Option<Shown>,
        frame: Result<OwnedFrame<'static, H>, AllocateError>,
        rights: Rights,
    ) -> Result<(), Violation> {
        let frame = frame.map_err(Violation::OutOfFrames)?.into_entry();
        let given = match shown {
            None => self.show(page, frame, owned(rights)),
            Some(before) => self.exchange(page, frame, rights).map(|()| {
                uncount(self.pool(), before.frame);
            }),
        };
        if given.is_err() {
            uncount(self.pool(), frame);
        }
        given
    }

    /// Shows a frame of the space's own in the place of another, and waits until no CPU knows that one any more.
    fn exchange(&self, page: Page, frame: Frame, rights: Rights) -> Result<(), Violation> {
        let replaced = self.tables().replace_and_flush(page, frame, owned(rights));
        replaced
            .map(drop)
            .map_err(|error| self.map_violation(error))
    }

    /// Shows what the twin of a page shows; if that is nothing, a frame for both, of which this page is the first user.
    fn show_twin(&self, page: Page, twin: Page, rights: Rights) -> Result<(), Violation> {
        let frame = match self.shown(twin) {
            Some(shown) => self.count(shown.frame)?,
            None => {
                let frame = self.pool().allocate_zeroed(Use::User);
                frame.map_err(Violation::OutOfFrames)?.into_entry()
            }
        };
        self.show_counted(page, frame, Attributes::new(rights))
    }

    fn read_object(
        &self,
        page: Page,
        (object, offset): (ObjectId, u64),
        promise: Promise,
    ) -> Result<Round, Violation> {
        let found = self.memory().objects.lock().read(object, offset);
        match found {
            Found::Frame { frame, writable } => {
                let attributes = match (promise.sharing, writable) {
                    (Sharing::Shared, InPlace::Yes) => promise.foreign(),
                    (Sharing::Shared, InPlace::No) => {
                        Attributes::new(promise.rights.difference(Rights::WRITE))
                    }
                    (Sharing::Private, _) => read_only(promise.rights),
                };
                let frame = self.count(frame)?;
                self.show_counted(page, frame, attributes)?;
            }
            Found::Zero => self.show_zeros(page, promise.rights)?,
            Found::Elsewhere { frame, memory_type } => {
                self.show(page, frame, promise.foreign().with_type(memory_type))?;
            }
            Found::Absent(request) => return Ok(Round::Ask(request)),
            Found::OutOfRange => return Err(Violation::BeyondObject),
        }
        Ok(Round::Done)
    }

    fn write_object(
        &self,
        page: Page,
        (object, offset): (ObjectId, u64),
        promise: Promise,
    ) -> Result<Round, Violation> {
        let written = self.memory().objects.lock().write(object, offset);
        let new = match written {
            Written::InPlace(frame) => {
                self.show_instead(page, frame, Attributes::new(promise.rights))?;
                return Ok(Round::Done);
            }
            Written::Copy { from } => self.pool().allocate_copy(from, Use::User),
            Written::Zero => self.pool().allocate_zeroed(Use::User),
            Written::Absent(request) => return Ok(Round::Ask(request)),
            Written::OutOfRange => return Err(Violation::BeyondObject),
            Written::Refused => return Err(Violation::Forbidden(Access::Write)),
        };
        let new = new.map_err(Violation::OutOfFrames)?.share();
        let inserted = self.memory().objects.lock().insert(object, offset, new);
        match inserted {
            Ok(Others::MayShowIt) => Ok(Round::Others(object, offset)),
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
    ) -> Result<Round, Violation> {
        let found = self.memory().objects.lock().read(object, offset);
        let frame = match found {
            Found::Frame { frame, .. } | Found::Elsewhere { frame, .. } => {
                self.pool().allocate_copy(frame, Use::User)
            }
            Found::Zero => self.pool().allocate_zeroed(Use::User),
            Found::Absent(request) => return Ok(Round::Ask(request)),
            Found::OutOfRange => return Err(Violation::BeyondObject),
        };
        self.give(page, None, frame, promise.rights)?;
        Ok(Round::Done)
    }

    /// Shows a frame of an object, in the place of what the page shows, if that is something else.
    fn show_instead(
        &self,
        page: Page,
        frame: Frame,
        attributes: Attributes,
    ) -> Result<(), Violation> {
        let Some(before) = self.shown(page) else {
            let frame = self.count(frame)?;
            return self.show_counted(page, frame, attributes);
        };
        if before.frame == frame {
            return self.grant(page, attributes.rights());
        }
        let frame = self.count(frame)?;
        match self.tables().replace_and_flush(page, frame, attributes) {
            Ok(_) => {
                uncount(self.pool(), before.frame);
                Ok(())
            }
            Err(error) => {
                uncount(self.pool(), frame);
                Err(self.map_violation(error))
            }
        }
    }

    /// Counts one page more that shows a frame.
    fn count(&self, frame: Frame) -> Result<Frame, Violation> {
        let counted = self.pool().add_mapping(frame);
        // More than 2^20 pages showing one frame is what only somebody hostile does.
        counted.map_err(|_| self.out_of_frames())?;
        Ok(frame)
    }

    /// Shows a frame that has been counted for it.
    fn show_counted(
        &self,
        page: Page,
        frame: Frame,
        attributes: Attributes,
    ) -> Result<(), Violation> {
        let shown = self.show(page, frame, attributes);
        if shown.is_err() {
            uncount(self.pool(), frame);
        }
        shown
    }

    fn map_violation(&self, error: MapError) -> Violation {
        match error {
            MapError::OutOfFrames(_) => self.out_of_frames(),
            other => panic!("S2: the region promises what an entry can hold: {other}"),
        }
    }

    fn out_of_frames(&self) -> Violation {
        Violation::OutOfFrames(AllocateError::OutOfFrames {
            wanted: 1,
            free: self.pool().totals().free(),
        })
    }
}
