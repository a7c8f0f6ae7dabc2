//! What can go wrong with spaces and their regions. No error needs memory to be told, and after each nothing has changed.

use core::error::Error;
use core::fmt;

use crate::memory::address::VirtAddr;
use crate::memory::fault::Violation;
use crate::memory::frame::AllocateError;
use crate::memory::object::ObjectError;
use crate::memory::page::{Page, PageRange};
use crate::memory::region::RegionError;
use crate::memory::table::error::{ChangeError, MapError, UnmapError};

/// Why a region was not changed, or a space not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpaceError {
    /// There is no memory to manage: on the host.
    Unmanaged,
    /// No heap is left for the bookkeeping.
    OutOfMemory,
    /// No frame is left.
    OutOfFrames,
    /// No region lies at the page.
    NoRegion(Page),
    /// The region at the page is of a kind with which this cannot be done.
    NotPossible(Page),
    /// The pages behind the region are taken.
    NoRoom {
        /// The region.
        region: PageRange,
        /// How many pages it was to have.
        wanted_pages: u64,
    },
    /// The space of the kernel was to be destroyed.
    Kernel,
    /// The regions refuse.
    Region(RegionError),
    /// The object refuses.
    Object(ObjectError),
}

/// Why pages were not reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReserveError {
    /// There is no memory to manage: on the host.
    Unmanaged,
    /// There is no free range of so many pages.
    NoRoom {
        /// How many were asked for.
        wanted_pages: u64,
    },
    /// No frame is left.
    OutOfFrames,
    /// A space's own zeros were to be shared, or a ring was to be private.
    Sharing,
    /// Something is mapped there that belongs to no region.
    AlreadyMapped(Page),
    /// The regions refuse.
    Region(RegionError),
    /// The object refuses.
    Object(ObjectError),
}

/// Why a space was not forked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForkError {
    /// A region is of one space only.
    Untracked(PageRange),
    /// No frame or no heap is left.
    Space(SpaceError),
    /// The object refuses.
    Object(ObjectError),
}

/// Why not all bytes were transferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferError {
    /// How many bytes were.
    pub transferred: u64,
    /// Where it ended.
    pub address: VirtAddr,
    /// Why.
    pub violation: Violation,
}

impl From<RegionError> for SpaceError {
    fn from(error: RegionError) -> Self {
        match error {
            RegionError::OutOfMemory => Self::OutOfMemory,
            other => Self::Region(other),
        }
    }
}

impl From<ObjectError> for SpaceError {
    fn from(error: ObjectError) -> Self {
        Self::Object(error)
    }
}

impl From<UnmapError> for SpaceError {
    fn from(error: UnmapError) -> Self {
        match error {
            UnmapError::OutOfFrames(_) => Self::OutOfFrames,
            UnmapError::NotMapped(page) => Self::NoRegion(page),
        }
    }
}

impl From<ChangeError> for SpaceError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::OutOfFrames(_) => Self::OutOfFrames,
            ChangeError::Attributes(page, _) => Self::NotPossible(page),
        }
    }
}

impl From<RegionError> for ReserveError {
    fn from(error: RegionError) -> Self {
        Self::Region(error)
    }
}

/// Why pages were not committed.
impl From<ReserveError> for SpaceError {
    fn from(error: ReserveError) -> Self {
        match error {
            ReserveError::AlreadyMapped(page) => Self::NotPossible(page),
            _ => Self::OutOfFrames,
        }
    }
}

impl From<ObjectError> for ReserveError {
    fn from(error: ObjectError) -> Self {
        Self::Object(error)
    }
}

impl From<AllocateError> for ReserveError {
    fn from(_: AllocateError) -> Self {
        Self::OutOfFrames
    }
}

impl From<MapError> for ReserveError {
    fn from(error: MapError) -> Self {
        match error {
            MapError::AlreadyMapped(page) => Self::AlreadyMapped(page),
            MapError::OutOfFrames(_) => Self::OutOfFrames,
            other => panic!("S2: regions promise only what entries can hold: {other}"),
        }
    }
}

impl From<SpaceError> for ForkError {
    fn from(error: SpaceError) -> Self {
        Self::Space(error)
    }
}

impl From<ObjectError> for ForkError {
    fn from(error: ObjectError) -> Self {
        Self::Object(error)
    }
}

impl fmt::Display for SpaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmanaged => f.write_str("space: the host has none"),
            Self::OutOfMemory => f.write_str("space: no heap is left for its bookkeeping"),
            Self::OutOfFrames => f.write_str("space: no frame is left"),
            Self::NoRegion(page) => write!(f, "space: no region at {}", page.start()),
            Self::NotPossible(page) => {
                write!(f, "space: not possible with the region at {}", page.start())
            }
            Self::NoRoom {
                region,
                wanted_pages,
            } => write!(
                f,
                "space: no room for {wanted_pages} pages at {}",
                region.start().start()
            ),
            Self::Kernel => f.write_str("space: the kernel's is not destroyed"),
            Self::Region(error) => write!(f, "{error}"),
            Self::Object(error) => write!(f, "{error}"),
        }
    }
}

impl fmt::Display for ReserveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmanaged => f.write_str("space: the host has none"),
            Self::NoRoom { wanted_pages } => {
                write!(f, "space: no {wanted_pages} free pages side by side")
            }
            Self::OutOfFrames => f.write_str("space: no frame is left"),
            Self::Sharing => f.write_str("space: zeros are not shared, and rings are not private"),
            Self::AlreadyMapped(page) => {
                write!(f, "space: {} is mapped, but in no region", page.start())
            }
            Self::Region(error) => write!(f, "{error}"),
            Self::Object(error) => write!(f, "{error}"),
        }
    }
}

impl fmt::Display for ForkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untracked(range) => write!(
                f,
                "space: the region at {} is of one space only",
                range.start().start()
            ),
            Self::Space(error) => write!(f, "{error}"),
            Self::Object(error) => write!(f, "{error}"),
        }
    }
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "space: {} bytes transferred, then at {}: {}",
            self.transferred, self.address, self.violation
        )
    }
}

impl Error for SpaceError {}
impl Error for ReserveError {}
impl Error for ForkError {}
impl Error for TransferError {}
