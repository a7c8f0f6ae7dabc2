//! Why a handle refuses. Whatever is refused, nothing has changed, and no error needs memory to be told.

use core::error::Error;
use core::fmt;

use crate::memory::page::{Access, PAGE_SIZE, Page};
use crate::memory::space::SpaceError;

/// Why memory cannot be seen so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewError {
    /// The part reaches beyond the memory, or ends before it starts.
    OutOfBounds {
        /// Where the part ends, in bytes from the start of the memory.
        end: u64,
        /// How many bytes the memory has.
        len: u64,
    },
    /// The part starts where no such value can lie.
    Misaligned {
        /// Where it starts, in bytes from the start of the memory.
        offset: u64,
        /// Of what it has to be a multiple.
        align: u64,
    },
    /// The part is not a whole number of such values, or they have no size.
    Uneven {
        /// How many bytes the part has.
        len: u64,
        /// How many bytes a value has.
        item: u64,
    },
    /// A page of the part does not allow the access.
    Forbidden {
        /// What is not allowed.
        access: Access,
        /// Where.
        page: Page,
    },
}

/// Why memory was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlterError {
    /// The part reaches beyond the memory, or ends before it starts.
    OutOfBounds {
        /// Where the part ends, in bytes from the start of the memory.
        end: u64,
        /// How many bytes the memory has.
        len: u64,
    },
    /// The part does not start and end between pages: this is not a multiple of 4096.
    NotWholePages(u64),
    /// The space refuses.
    Space(SpaceError),
}

impl From<SpaceError> for AlterError {
    fn from(error: SpaceError) -> Self {
        Self::Space(error)
    }
}

impl fmt::Display for ViewError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::OutOfBounds { end, len } => out_of_bounds(f, end, len),
            Self::Misaligned { offset, align } => {
                write!(f, "memory: {offset} is no multiple of {align}")
            }
            Self::Uneven { len, item } => {
                write!(
                    f,
                    "memory: {len} bytes are not whole values of {item} bytes"
                )
            }
            Self::Forbidden { access, page } => {
                let verb = match access {
                    Access::Read => "read",
                    Access::Write => "written",
                    Access::Execute => "executed",
                };
                write!(f, "memory: {page} must not be {verb}")
            }
        }
    }
}

impl fmt::Display for AlterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::OutOfBounds { end, len } => out_of_bounds(f, end, len),
            Self::NotWholePages(offset) => {
                write!(f, "memory: {offset} is no multiple of {PAGE_SIZE}")
            }
            Self::Space(error) => error.fmt(f),
        }
    }
}

fn out_of_bounds(f: &mut fmt::Formatter<'_>, end: u64, len: u64) -> fmt::Result {
    write!(f, "memory: no part of {len} bytes ends at {end}")
}

impl Error for ViewError {}
impl Error for AlterError {}
