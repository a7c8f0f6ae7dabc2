//! Where the contents of an object come from, and where they go: [`Pager`].
//!
//! | pager | a page nobody wrote | page in | page out |
//! |---|---|---|---|
//! | [`Zeros`] | zeros | never asked | refused: memory that stays |
//! | [`Bytes`] | what the bytes say, zeros behind their end | copies | refused: the bytes are constant |
//! | [`Physical`] | that frame | never asked | refused: it is memory itself |
//! | [`Compressed`] | zeros | unpacks | packs |
//! | whatever you write | | | |

mod bytes;
mod compressed;
mod physical;

pub use self::bytes::Bytes;
pub use self::compressed::Compressed;
pub use self::physical::Physical;

use core::error::Error;
use core::fmt;

use crate::memory::page::{Frame, MemoryType};

/// Where the contents of an object come from.
///
/// All offsets are in pages from the start of the object. No lock is held when [`page_in`](Self::page_in) or
/// [`page_out`](Self::page_out) is called, and both may touch memory that faults in turn. Everything else is called under the
/// lock of all objects: it answers at once, touches no memory that might fault, and does not allocate. The pager itself is dropped
/// under no lock, some time after its object has ended, so it may have regions and objects of its own.
pub trait Pager: Send + Sync {
    /// Returns what it is called in dumps.
    fn name(&self) -> &'static str;

    /// Returns what a page is that nobody has written to.
    fn supply(&self, offset_pages: u64) -> Supply;

    /// Fills a page with its contents.
    ///
    /// # Errors
    ///
    /// [`PagerError`]: who touched the page gets the error as the reason of its fault, except for [`PagerError::NotYet`]: then the
    /// access is simply repeated, as often as needed.
    fn page_in(&self, offset_pages: u64, page: &mut [u8; 4096]) -> Result<(), PagerError>;

    /// Takes the changed contents of a page.
    ///
    /// # Errors
    ///
    /// [`PagerError`]: the page stays as it is, changed and in memory.
    fn page_out(&self, offset_pages: u64, page: &[u8; 4096]) -> Result<(), PagerError>;

    /// Returns what becomes of changes.
    fn keeping(&self) -> Keeping;

    /// Learns that what it keeps for a page is not needed any more.
    fn forget(&self, _offset_pages: u64) {}

    /// Learns that the object has ended.
    fn release(&self) {}
}

/// What a page is that nobody has written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supply {
    /// Zeros.
    Zeros,
    /// What [`Pager::page_in`] says.
    PageIn,
    /// Memory that is there already, and that nobody counts.
    Frame(Frame, MemoryType),
    /// Nothing: the contents end before.
    Beyond,
}

/// What becomes of changes to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// They stay in memory for as long as the object lives.
    InMemory,
    /// They are written back to where the contents come from, when somebody asks for it, when memory that shows the object is given
    /// back, and before the object ends. Those of snapshots only when somebody asks for it.
    WrittenBack,
    /// They may be paged out at any time to make room, and come back when they are needed.
    Swapped,
    /// There are none: the object cannot be written. Snapshots of it can.
    Refused,
}

/// Why a pager did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PagerError {
    /// It needs more time: ask again.
    NotYet,
    /// It failed, for a reason in words.
    Failed(&'static str),
    /// It has no room left.
    OutOfMemory,
}

impl fmt::Display for PagerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotYet => f.write_str("pager: not yet"),
            Self::Failed(reason) => write!(f, "pager: {reason}"),
            Self::OutOfMemory => f.write_str("pager: no room left"),
        }
    }
}

impl Error for PagerError {}

/// Anonymous memory that stays in memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct Zeros;

impl Pager for Zeros {
    fn name(&self) -> &'static str {
        "zeros"
    }

    fn supply(&self, _offset_pages: u64) -> Supply {
        Supply::Zeros
    }

    fn page_in(&self, _offset_pages: u64, page: &mut [u8; 4096]) -> Result<(), PagerError> {
        page.fill(0);
        Ok(())
    }

    fn page_out(&self, _offset_pages: u64, _page: &[u8; 4096]) -> Result<(), PagerError> {
        Err(PagerError::Failed("zeros keep nothing"))
    }

    fn keeping(&self) -> Keeping {
        Keeping::InMemory
    }
}
