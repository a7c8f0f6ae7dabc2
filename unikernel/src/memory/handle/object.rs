//! Objects, as an application holds them: contents that outlive the memory that shows them.

use alloc::sync::Arc;
use core::fmt;

use super::builder::RegionBuilder;
use super::counters::PageCounts;
use super::error::{AlterError, ViewError};
use super::region::{Private, Region};
use super::reserved::{Reserved, tell};
use super::volatile::{self, Register, accesses};
use crate::arch::machine::frames::PoolMemory;
use crate::arch::machine::paging::Paging;
use crate::memory::MEMORY;
use crate::memory::address::{PAGE_SIZE, VirtAddr};
use crate::memory::fault::{Ring, Violation};
use crate::memory::object::pager::{Bytes, Pager, PagerError, Zeros};
use crate::memory::object::{ObjectError, ObjectId};
use crate::memory::page::{PageRange, Rights};
use crate::memory::region::{Kind, Name, Sharing};
use crate::memory::space::transfer;
use crate::memory::space::{ReserveError, SpaceError, TransferError};

/// Bytes of a space of the machine.
type MachineBytes<'a> = transfer::Bytes<'a, Paging, PoolMemory>;

/// Contents with a life of their own: they last as long as a value of this type, or memory that shows them.
///
/// Where they come from, and where changes go, says a [`Pager`]. Memory shows them *shared*, so that all who show them see every
/// change, or *privately*, as they were when that memory was made.
///
/// ```no_run
/// use unikernel::memory::{Object, Region};
///
/// let object = Object::zeros(1 << 20)?;
/// let mut here = Region::builder().shared(&object)?;
/// here.write(0, 1_u64).expect("it is in the object");
///
/// let before = object.snapshot()?;
/// here.write(0, 2_u64).expect("it is in the object");
///
/// let there = Region::builder().private(&before)?;
/// assert_eq!(there.get::<u64>(0), Ok(1));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub struct Object(ObjectId);

impl Object {
    /// Makes an object of `len_bytes`, and as many more as make the last page whole. Costs 8 bytes of heap for each page, all of
    /// them now, and frames later, as pages are used.
    ///
    /// # Errors
    ///
    /// [`ObjectError`]: there is no heap for it, or its size is 0.
    pub fn new(len_bytes: u64, pager: impl Pager + 'static) -> Result<Self, ObjectError> {
        Self::create(len_bytes, Arc::new(pager), None)
    }

    /// Makes an object of zeros.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn zeros(len_bytes: u64) -> Result<Self, ObjectError> {
        Self::new(len_bytes, Zeros)
    }

    /// Makes an object of constant bytes, such as a boot module: pages are copied as they are first read.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn bytes(bytes: &'static [u8]) -> Result<Self, ObjectError> {
        Self::new(bytes.len() as u64, Bytes::new(bytes))
    }

    /// Makes an object that others [open](Self::open) by its name, of which the first 23 bytes count.
    ///
    /// # Errors
    ///
    /// [`ObjectError::NameTaken`], or as [`new`](Self::new).
    pub fn named(
        name: &str,
        len_bytes: u64,
        pager: impl Pager + 'static,
    ) -> Result<Self, ObjectError> {
        Self::create(len_bytes, Arc::new(pager), Some(name))
    }

    /// Opens the object with a name. It ends when the last value and the last memory that have it are gone, whoever made it.
    ///
    /// # Errors
    ///
    /// [`ObjectError::NoName`]: none is called so.
    pub fn open(name: &str) -> Result<Self, ObjectError> {
        MEMORY.with_objects(|objects| objects.open(name)).map(Self)
    }

    /// Makes an object with the same contents as this one has now. What is written to either from then on, the other does not show.
    /// Costs 8 or 16 bytes of heap for each page now, and a frame with each page that is written later.
    ///
    /// # Errors
    ///
    /// [`SpaceError`]: there is no heap for it.
    pub fn snapshot(&self) -> Result<Self, SpaceError> {
        MEMORY.snapshot(self.0).map(Self)
    }

    /// Writes back what was changed since the last time, to where the contents come from. Returns how many pages.
    ///
    /// # Errors
    ///
    /// [`PagerError`]: what the pager says to the first page that it refuses.
    pub fn sync(&self) -> Result<u64, PagerError> {
        MEMORY.sync(self.0)
    }

    /// Gives the object another size, to the next whole page. Frames of pages that go are free. Returns how many bytes there were.
    ///
    /// # Errors
    ///
    /// [`ObjectError`]: memory shows pages that were to go, a snapshot shares its pages, or there is no heap for the new size.
    pub fn resize(&self, len_bytes: u64) -> Result<u64, ObjectError> {
        let len_pages = len_bytes.div_ceil(PAGE_SIZE);
        let before = MEMORY.with_objects(|objects| objects.resize(self.0, len_pages));
        before.map(|pages| pages * PAGE_SIZE)
    }

    /// Returns how many bytes it has, a multiple of 4096.
    #[must_use]
    pub fn len_bytes(&self) -> u64 {
        self.len_pages() * PAGE_SIZE
    }

    fn create(
        len_bytes: u64,
        pager: Arc<dyn Pager>,
        name: Option<&str>,
    ) -> Result<Self, ObjectError> {
        let len_pages = len_bytes.div_ceil(PAGE_SIZE);
        MEMORY
            .with_objects(|objects| objects.create(len_pages, pager, name))
            .map(Self)
    }

    fn len_pages(&self) -> u64 {
        let pages = MEMORY.with_objects(|objects| objects.len_pages(self.0));
        pages.expect("O6: a handle keeps its object")
    }

    /// Returns what private memory shows: something that nobody changes.
    fn unchanging(&self) -> Result<Self, ReserveError> {
        let is_constant = MEMORY
            .with_objects(|objects| objects.check_writable(self.0))
            .is_err();
        if is_constant {
            MEMORY.with_objects(|objects| objects.add_handle(self.0))?;
            return Ok(Self(self.0));
        }
        self.snapshot().map_err(|error| match error {
            SpaceError::Object(error) => ReserveError::Object(error),
            other => unreachable!("O6: a snapshot needs nothing of a space: {other}"),
        })
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        MEMORY.drop_handle(self.0);
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Object({})", self.0)
    }
}

/// Memory that shows an object, and every change of it. Others see what is written here, at any time, so it is read and written
/// value by value, or copied.
#[derive(Debug)]
#[must_use = "the memory is given back when this value is dropped"]
pub struct Shared {
    pub(super) reserved: Reserved,
}

impl Shared {
    tell!();

    accesses!();

    /// Copies bytes from `offset` bytes on.
    ///
    /// # Errors
    ///
    /// [`TransferError`]: where the memory ends or must not be read, and how many bytes were copied before.
    pub fn copy_out(&self, offset: u64, to: &mut [u8]) -> Result<(), TransferError> {
        self.bytes_at(offset, to.len())?.read(to)
    }

    /// Copies bytes to `offset` bytes on.
    ///
    /// # Errors
    ///
    /// [`TransferError`]: where the memory ends or must not be written, and how many bytes were copied before.
    pub fn copy_in(&mut self, offset: u64, from: &[u8]) -> Result<(), TransferError> {
        self.bytes_at(offset, from.len())?.write(from)
    }

    /// Gives all of it other rights.
    ///
    /// # Errors
    ///
    /// [`AlterError`]: the object cannot be written, the rights make no sense or let ring 3 in.
    pub fn protect(&mut self, rights: Rights) -> Result<(), AlterError> {
        self.reserved.protect(.., rights)
    }

    /// Returns bytes of this memory, and of no other.
    fn bytes_at(&self, offset: u64, len: usize) -> Result<MachineBytes<'_>, TransferError> {
        let end = offset.saturating_add(len as u64);
        let address = self.start().checked_add(offset);
        match address.filter(|_| end <= self.len_bytes()) {
            Some(address) => Ok(MachineBytes {
                space: self.reserved.space(),
                address,
                by: Ring::Kernel,
            }),
            None => Err(TransferError {
                transferred: 0,
                address: self.start(),
                violation: Violation::BeyondObject,
            }),
        }
    }
}

impl<L> RegionBuilder<L> {
    /// Reserves memory that shows all of an object, and every change of it.
    ///
    /// # Errors
    ///
    /// [`ReserveError`]: there is no room, no heap for the bookkeeping, or the object cannot be written and the rights say so.
    pub fn shared(self, object: &Object) -> Result<Shared, ReserveError> {
        self.shows(object, Sharing::Shared)
            .map(|reserved| Shared { reserved })
    }

    /// Reserves memory that shows all of an object as it is now. What is written here, nobody else sees; pages that are only read cost
    /// no frame besides those of the object.
    ///
    /// A page that the pager cannot bring ends the task that touches it, with a report.
    ///
    /// # Errors
    ///
    /// [`ReserveError`]: there is no room, or no heap for the bookkeeping.
    pub fn private(self, object: &Object) -> Result<Region<Private>, ReserveError> {
        let unchanging = object.unchanging()?;
        self.shows(&unchanging, Sharing::Private).map(Region::new)
    }

    fn shows(self, object: &Object, sharing: Sharing) -> Result<Reserved, ReserveError> {
        let kind = Kind::Object {
            object: object.0,
            offset_pages: 0,
        };
        Reserved::in_kernel(self.request(object.len_pages(), kind, sharing))
    }
}
