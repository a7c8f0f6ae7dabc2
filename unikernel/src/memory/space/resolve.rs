//! Page faults: what [`decide`] says is carried out, and what cannot be repaired is said.
//!
//! ```text
//!   resolve --> look, under the lock --> decide --> apply --> done
//!      ^                                              |
//!      |                                              +--> an object is asked           `contents.rs`
//!      +----------------------------------------------+--> no frame left: pages go out  no lock held
//! ```
//!
//! Each round may find everything changed by somebody else; it decides anew. Nothing here allocates from the heap.

use super::contents::Step;
use super::reserve::{Counted, owned, uncount};
use super::{AddressSpace, Locked, Tables};
use crate::memory::fault::{Fault, Repair, Shown, Users, Violation, decide};
use crate::memory::frame::{AllocateError, FrameMemory, OwnedFrame, Use};
use crate::memory::machine::{Invalidation, Machine, Tables as TablesKept};
use crate::memory::page::{Frame, FrameRange, Page, PageRange, PageSize, Rights};
use crate::memory::region::Region;
use crate::memory::table::entry::{Attributes, Change, Leaf, Marks};
use crate::memory::table::error::MapError;
use crate::memory::table::one::Slot;

/// How often a fault is looked at before it is said to make no progress. Each round does something, or ends the fault.
const MOST_ROUNDS: u32 = 16;

/// Pages that are made to go out when no frame is left.
const PAGES_OUT: usize = 16;

/// How one look at a fault ended.
enum Look {
    /// The access is possible now.
    Done,
    /// It was possible already; this CPU may just not have known.
    Idle,
    /// An object knows what is to be done.
    Object,
}

/// Returns what the entry of a frame says that is copied before it is written.
pub(super) fn read_only(rights: Rights) -> Attributes {
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
        let mut last = Violation::NoProgress;
        for _ in 0..MOST_ROUNDS {
            let look = self.lock().look(fault);
            match look {
                Ok(Look::Done) => return Ok(()),
                Ok(Look::Idle) => {
                    self.forget(Page::containing(fault.address));
                    return self.memory().note_idle(fault);
                }
                Ok(Look::Object) => match (self.memory().object_repairs().resolve)(self, fault) {
                    Ok(Step::Done) => return Ok(()),
                    Ok(Step::LookAgain) => {}
                    Err(violation) => last = self.make_room(violation)?,
                },
                Err(violation) => last = self.make_room(violation)?,
            }
        }
        Err(last)
    }

    fn forget(&self, page: Page) {
        self.memory().machine.invalidate(&Invalidation {
            root: self.root(),
            pages: PageRange::one(page),
            tables: TablesKept::Kept,
        });
    }

    /// Pages out what can go, if it is frames that are missing. What goes may be what the next round needs; then there is no end, and
    /// the violation is what was the matter after all.
    #[cold]
    fn make_room(&self, violation: Violation) -> Result<Violation, Violation> {
        match violation {
            Violation::OutOfFrames(_) if self.memory().page_out(PAGES_OUT) > 0 => Ok(violation),
            _ => Err(violation),
        }
    }
}

impl<M: Machine, H: FrameMemory> Locked<'_, M, H> {
    /// Looks at a fault once.
    fn look(&self, fault: Fault) -> Result<Look, Violation> {
        let page = Page::containing(fault.address);
        let region = self.regions.find_for_fault(page);
        let region = region.ok_or(Violation::Unmapped)?;
        let tables = self.tables();
        let Some(slot) = tables.slot(page) else {
            let shown = self.shown(page);
            let repair = decide(fault, page, region, shown)?;
            return self.apply(page, region, shown, repair);
        };
        let shown = slot.leaf().map(|leaf| self.shown_by(leaf.frame, &leaf));
        let repair = decide(fault, page, region, shown)?;
        if self.apply_shortly((&tables, &slot), region.rights(), shown, repair)? {
            return Ok(Look::Done);
        }
        self.apply(page, region, shown, repair)
    }

    /// Carries out the usual repairs of a page whose table is there. Returns whether it was one of them.
    #[inline(always)]
    fn apply_shortly(
        &self,
        (tables, slot): (&Tables<M, H>, &Slot<'static, M>),
        rights: Rights,
        shown: Option<Shown>,
        repair: Repair,
    ) -> Result<bool, Violation> {
        let pool = self.pool();
        let frame = match repair {
            Repair::ShowZeros => {
                let zero = pool.zero_frame().map_err(Violation::OutOfFrames)?;
                return Ok(tables.put(slot, zero.frame(), read_only(rights)));
            }
            Repair::KeepFrame(frame) => return Ok(tables.exchange(slot, frame, owned(rights))),
            Repair::ZeroFill => pool.allocate_zeroed(Use::User),
            Repair::Copy(from) => pool.allocate_copy(from, Use::User),
            _ => return Ok(false),
        };
        let frame = frame.map_err(Violation::OutOfFrames)?.into_entry();
        let is_done = match shown {
            None => tables.put(slot, frame, owned(rights)),
            Some(_) => tables.exchange(slot, frame, owned(rights)),
        };
        match shown {
            _ if !is_done => uncount(pool, frame),
            Some(before) if before.users != Users::Zero => {
                Counted::FramesOfPool.uncount(pool, before.frame);
            }
            _ => {}
        }
        Ok(is_done)
    }

    /// Returns what a page shows.
    pub(super) fn shown(&self, page: Page) -> Option<Shown> {
        let (first, leaf) = self.tables().query(page)?;
        let frame = Frame::new(leaf.frame.number() + (page.number() - first.number()) as u32);
        Some(self.shown_by(frame, &leaf))
    }

    #[inline(always)]
    fn shown_by(&self, frame: Frame, leaf: &Leaf) -> Shown {
        Shown {
            frame,
            rights: leaf.attributes.rights(),
            marks: leaf.attributes.marks(),
            users: self.users(frame, leaf.attributes.marks()),
        }
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
    ) -> Result<Look, Violation> {
        let rights = region.rights();
        match repair {
            Repair::Nothing => return Ok(Look::Idle),
            Repair::Grant => self.grant(page, rights)?,
            Repair::GrantReading => self.grant(page, rights.difference(Rights::WRITE))?,
            Repair::ShowZeros => self.show_zeros(page, rights)?,
            Repair::ZeroFill => {
                let frame = self.pool().allocate_zeroed(Use::User);
                self.give(page, shown, frame, rights)?;
            }
            // The last user of a frame writes to it, without a copy.
            Repair::KeepFrame(frame) => self.exchange(page, frame, rights)?,
            Repair::Copy(from) => {
                let copy = self.pool().allocate_copy(from, Use::User);
                self.give(page, shown, copy, rights)?;
            }
            Repair::ShowDevice(frame, memory_type) => {
                self.show(page, frame, Attributes::new(rights).with_type(memory_type))?;
            }
            Repair::ShowTwin(twin) => self.show_twin(page, twin, rights)?,
            Repair::ReadObject(..) | Repair::WriteObject(..) | Repair::CopyObject(..) => {
                return Ok(Look::Object);
            }
        }
        Ok(Look::Done)
    }

    pub(super) fn grant(&self, page: Page, rights: Rights) -> Result<(), Violation> {
        let granted = self
            .tables()
            .change(PageRange::one(page), &Change::rights(rights));
        granted.map_err(|_| self.out_of_frames())?.flush();
        Ok(())
    }

    pub(super) fn show_zeros(&self, page: Page, rights: Rights) -> Result<(), Violation> {
        let zero = self.pool().zero_frame().map_err(Violation::OutOfFrames)?;
        self.show(page, zero.frame(), read_only(rights))
    }

    /// Shows a frame at a page that shows nothing.
    pub(super) fn show(
        &self,
        page: Page,
        frame: Frame,
        attributes: Attributes,
    ) -> Result<(), Violation> {
        let frames = FrameRange::one(frame);
        self.tables()
            .map(page, frames, attributes, PageSize::Kib4)
            .map_err(|error| self.map_violation(error))
    }

    /// Gives the page a frame of its own, in the place of what it shows.
    pub(super) fn give(
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
                Counted::FramesOfPool.uncount(self.pool(), before.frame);
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
    pub(super) fn show_twin(
        &self,
        page: Page,
        twin: Page,
        rights: Rights,
    ) -> Result<(), Violation> {
        let frame = match self.shown(twin) {
            Some(shown) => self.count(shown.frame)?,
            None => {
                let frame = self.pool().allocate_zeroed(Use::User);
                frame.map_err(Violation::OutOfFrames)?.into_entry()
            }
        };
        self.show_counted(page, frame, Attributes::new(rights))
    }

    /// Counts one page more that shows a frame.
    pub(super) fn count(&self, frame: Frame) -> Result<Frame, Violation> {
        let counted = self.pool().add_mapping(frame);
        // More than 2^20 pages showing one frame is what only somebody hostile does.
        counted.map_err(|_| self.out_of_frames())?;
        Ok(frame)
    }

    /// Shows a frame that has been counted for it.
    pub(super) fn show_counted(
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

    pub(super) fn map_violation(&self, error: MapError) -> Violation {
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
