//! Address spaces: promises about pages, and the tables that keep them.
//!
//! ```text
//!   AddressSpace                     one lock
//!     regions: RegionMap             what was promised
//!     root: Frame                    what the processor sees; catches up with the promises, one fault at a time
//!   Memory
//!     objects: Objects               contents that outlive a mapping
//!     spaces                         all spaces, to find those that map an object
//!     current, previous              of each CPU
//! ```
//!
//! | file | what it does |
//! |---|---|
//! | `reserve.rs` | new regions, and their end |
//! | `alter.rs` | rights, sizes, pages given back |
//! | `resolve.rs` | page faults: carries out what [`decide`](super::fault::decide) says |
//! | `contents.rs` | page faults on pages of objects |
//! | `fork.rs` | a space like another one |
//! | `transfer.rs` | bytes from one space to another, whatever is or is not there |
//! | `share.rs` | what changes of an object mean for those who map it |
//! | `switch.rs` | which space a CPU is in |
//! | `look.rs` | looking without waiting |
//! | `check.rs` | whether all of this agrees |
//!
//! # Frames and counts
//!
//! A frame that a region of a space shows is counted once for each page that shows it, except frames of devices and the zero frame.
//! The mark OWNED says that the frame belongs to the space; then nobody but spaces that forked from each other shows it, and
//! the count says how many of them still do. A frame of an object is not OWNED; the object has a share of its own.
//!
//! # Invariants
//!
//! - S1: every page that shows something lies in a region, and shows what the region promises.
//! - S2: no page allows more than its region.
//! - S3: the map count of a frame is the number of pages that show it, and one more if an object holds it.
//! - S4: a page is OWNED only in regions that are private, and COPY_ON_WRITE only there.
//! - S5: an object knows every region that maps it.
//! - S10: no lock is kept beyond the operation that took it, whatever comes out of that.
//!
//! # Locks
//!
//! First spaces (two of them in the order of their numbers), then the objects, then what is below. A pager is never called with
//! a lock held.

mod alter;
pub(crate) mod check;
mod contents;
mod error;
mod fork;
mod look;
mod reserve;
mod resolve;
mod share;
mod switch;
#[cfg(test)]
mod tests;
pub(crate) mod transfer;

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

pub use self::error::{ForkError, ReserveError, SpaceError, TransferError};
pub use self::fork::Fork;
pub(crate) use self::look::{Busy, View};
pub(crate) use self::reserve::{Place, Request};
pub(crate) use self::switch::Target;

use spin::Once;

use self::contents::ObjectRepairs;
use self::switch::Elsewhere;
use super::frame::{FrameMemory, FramePool, MOST_CPUS};
use super::machine::Machine;
use super::object::Objects;
use super::page::{Frame, Page, PageRange};
use super::region::{Name, Region, RegionMap};
use super::table::PageTable;
use super::table::error::OutOfFrames;
use crate::sync::{SpinLock, SpinLockGuard, lock_pair};

/// All spaces and objects on one machine.
pub(crate) struct Memory<M: Machine + 'static, H: FrameMemory + 'static> {
    pub(crate) machine: &'static M,
    pub(crate) pool: &'static FramePool<H>,
    objects: SpinLock<Objects<H>>,
    object_repairs: Once<ObjectRepairs<M, H>>,
    spaces: SpinLock<Spaces<M, H>>,
    kernel: Once<&'static Arc<AddressSpace<M, H>>>,
    elsewhere: Once<Elsewhere<M, H>>,
    current: [SpinLock<switch::Current<M, H>>; MOST_CPUS],
}

/// Spaces by number. A number is used again once its space is gone.
struct Spaces<M: Machine + 'static, H: FrameMemory + 'static> {
    list: Vec<Option<Weak<AddressSpace<M, H>>>>,
}

/// Regions and the tables that show them.
pub(crate) struct AddressSpace<M: Machine + 'static, H: FrameMemory + 'static> {
    memory: &'static Memory<M, H>,
    number: u32,
    root: Frame,
    is_kernel: bool,
    regions: SpinLock<RegionMap>,
}

/// A space while its lock is held.
struct Locked<'a, M: Machine + 'static, H: FrameMemory + 'static> {
    space: &'a AddressSpace<M, H>,
    regions: SpinLockGuard<'a, RegionMap>,
}

/// Tables of a space.
type Tables<M, H> = PageTable<'static, M, FramePool<H>>;

impl<M: Machine, H: FrameMemory> Memory<M, H> {
    /// Makes what knows no space and no object yet.
    pub(crate) const fn new(machine: &'static M, pool: &'static FramePool<H>) -> Self {
        Self {
            machine,
            pool,
            objects: SpinLock::new(Objects::new(pool)),
            object_repairs: Once::new(),
            kernel: Once::new(),
            elsewhere: Once::new(),
            spaces: SpinLock::new(Spaces { list: Vec::new() }),
            current: [const { SpinLock::new(switch::Current::NONE) }; MOST_CPUS],
        }
    }

    /// Makes the space of the kernel, whose root exists already. Once, before any other. Regions are placed in `bounds`.
    ///
    /// # Errors
    ///
    /// When there is no heap left for it.
    pub(crate) fn create_kernel(
        &'static self,
        root: Frame,
        bounds: PageRange,
    ) -> Result<&'static Arc<AddressSpace<M, H>>, SpaceError> {
        let number = self.take_number()?;
        let kernel = self.enter(AddressSpace {
            memory: self,
            number,
            root,
            is_kernel: true,
            regions: SpinLock::new(RegionMap::new(bounds)),
        });
        // Held for good: it never ends.
        let kernel: &'static _ = Box::leak(Box::new(kernel));
        Ok(self.kernel.call_once(|| kernel))
    }

    /// Returns the space of the kernel, once there is one.
    #[inline]
    pub(crate) fn kernel(&self) -> Option<&'static Arc<AddressSpace<M, H>>> {
        self.kernel.get().copied()
    }

    /// Makes an empty space, whose upper half is that of `kernel`.
    ///
    /// # Errors
    ///
    /// When no frame is left for its root, or no heap for itself.
    pub(crate) fn create(
        &'static self,
        kernel: &AddressSpace<M, H>,
    ) -> Result<Arc<AddressSpace<M, H>>, SpaceError> {
        let number = self.take_number()?;
        let locked = kernel.lock();
        let bounds = locked.regions.bounds();
        let created = locked.tables().create_sharing();
        drop(locked);
        let root = created.inspect_err(|_| self.free_number(number))?.root();
        Ok(self.enter(AddressSpace {
            memory: self,
            number,
            root,
            is_kernel: false,
            regions: SpinLock::new(RegionMap::new(bounds)),
        }))
    }

    /// Takes a number that no space has, also none that is ending right now: objects know spaces by their numbers.
    fn take_number(&self) -> Result<u32, SpaceError> {
        let mut spaces = self.spaces.lock();
        let list = &mut spaces.list;
        let free = list.iter().position(Option::is_none);
        let number = free.unwrap_or(list.len());
        if number == list.len() {
            list.try_reserve(1).map_err(|_| SpaceError::OutOfMemory)?;
            list.push(None);
        }
        list[number] = Some(Weak::new());
        Ok(number as u32)
    }

    /// Enters a space under its number.
    fn enter(&self, space: AddressSpace<M, H>) -> Arc<AddressSpace<M, H>> {
        let number = space.number as usize;
        let space = Arc::new(space);
        self.spaces.lock().list[number] = Some(Arc::downgrade(&space));
        space
    }

    /// Lets the number of a space that has ended be used again.
    fn free_number(&self, number: u32) {
        let mut spaces = self.spaces.lock();
        if let Some(place) = spaces.list.get_mut(number as usize) {
            *place = None;
        }
    }

    /// Returns the space with a number, if it is still there.
    fn space(&self, number: u32) -> Option<Arc<AddressSpace<M, H>>> {
        let spaces = self.spaces.lock();
        spaces.list.get(number as usize)?.as_ref()?.upgrade()
    }

    /// Returns every space there is, one after the other.
    pub(crate) fn spaces(&self) -> impl Iterator<Item = Arc<AddressSpace<M, H>>> {
        let count = self.spaces.lock().list.len() as u32;
        (0..count).filter_map(|number| self.space(number))
    }
}

impl<M: Machine, H: FrameMemory> AddressSpace<M, H> {
    /// Returns the number that no other space has at the same time.
    pub(crate) const fn number(&self) -> u32 {
        self.number
    }

    /// Returns the top of its tables.
    pub(crate) const fn root(&self) -> Frame {
        self.root
    }

    /// Returns whether it is the kernel's, which is never destroyed.
    pub(crate) const fn is_kernel(&self) -> bool {
        self.is_kernel
    }

    /// Returns what all spaces share.
    pub(crate) const fn memory(&self) -> &'static Memory<M, H> {
        self.memory
    }

    /// Lets somebody look at the regions, or at the tables, while nobody changes them.
    pub(crate) fn inspect<T>(&self, look: impl FnOnce(&RegionMap, &Tables<M, H>) -> T) -> T {
        let locked = self.lock();
        look(&locked.regions, &locked.tables())
    }

    /// Returns the name of the region at a page, unless somebody changes the regions right now.
    pub(crate) fn name_at(&self, page: Page) -> Option<Name> {
        self.regions.try_lock()?.find(page).map(Region::name)
    }

    /// Does something while nobody else edits the tables of this space.
    pub(crate) fn alone<T>(&self, act: impl FnOnce() -> T) -> T {
        let _locked = self.lock();
        act()
    }

    fn lock(&self) -> Locked<'_, M, H> {
        Locked {
            space: self,
            regions: self.regions.lock(),
        }
    }

    /// Locks two spaces, the one with the lower number first; if they are one, one lock does.
    fn lock_pair<'a>(&'a self, other: &'a Self) -> (Locked<'a, M, H>, Option<Locked<'a, M, H>>) {
        let (mine, theirs) =
            lock_pair((self.number, &self.regions), (other.number, &other.regions));
        let mine = Locked {
            space: self,
            regions: mine,
        };
        let theirs = theirs.map(|regions| Locked {
            space: other,
            regions,
        });
        (mine, theirs)
    }
}

impl<M: Machine, H: FrameMemory> Locked<'_, M, H> {
    fn memory(&self) -> &'static Memory<M, H> {
        self.space.memory
    }

    fn pool(&self) -> &'static FramePool<H> {
        self.space.memory.pool
    }

    fn tables(&self) -> Tables<M, H> {
        PageTable::at(
            self.space.memory.machine,
            self.space.memory.pool,
            self.space.root,
        )
    }
}

impl<M: Machine, H: FrameMemory> Drop for AddressSpace<M, H> {
    /// Ends all regions and gives back all tables. No CPU is in this space: one that is holds it.
    fn drop(&mut self) {
        if self.is_kernel {
            return;
        }
        self.release_all();
        let tables = PageTable::at(self.memory.machine, self.memory.pool, self.root);
        let destroyed = tables.destroy(&mut |run| panic!("S1: {run:?} lies in no region"));
        assert!(destroyed.is_ok(), "S6: a CPU that is in a space holds it");
        self.memory.free_number(self.number);
    }
}

impl From<OutOfFrames> for SpaceError {
    fn from(_: OutOfFrames) -> Self {
        Self::OutOfFrames
    }
}

/// Returns the page that lies `pages` above the start of a range.
fn page_at(range: PageRange, pages: u64) -> Page {
    range
        .start()
        .checked_add(pages)
        .expect("S7: the page lies in a range, or ends it below the end of the half")
}
