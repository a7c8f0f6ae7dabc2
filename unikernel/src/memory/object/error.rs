//! What can go wrong with objects. No error needs memory to be told, and after each nothing has changed.

use core::error::Error;
use core::fmt;

use super::name::ObjectId;
use crate::memory::page::PageRange;
use crate::memory::region::Name;

/// Why an object was not made or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectError {
    /// There is no such object, or none any more.
    NoObject(ObjectId),
    /// No heap is left for so many pages, or so many mappings.
    OutOfMemory {
        /// For how many pages.
        len_pages: u64,
    },
    /// An object of no pages was asked for, or one of more than an address space holds.
    Size(u64),
    /// An object has this name already.
    NameTaken(Name),
    /// No object has this name.
    NoName(Name),
    /// The mapping reaches beyond the end of the object.
    BeyondEnd {
        /// The pages that were to show the object.
        pages: PageRange,
        /// From which page of it on.
        offset_pages: u64,
        /// How many it has.
        len_pages: u64,
    },
    /// The object cannot be written.
    ReadOnly(ObjectId),
    /// The object has snapshots, or is one, and keeps its size.
    Shared(ObjectId),
    /// A mapping shows pages that were to go.
    Mapped(ObjectId),
}

impl fmt::Display for ObjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoObject(id) => write!(f, "object: there is no object {id}"),
            Self::OutOfMemory { len_pages } => {
                write!(f, "object: no heap is left for {len_pages} pages")
            }
            Self::Size(pages) => write!(f, "object: no object has {pages} pages"),
            Self::NameTaken(name) => write!(f, "object: there is one called {name:?} already"),
            Self::NoName(name) => write!(f, "object: none is called {name:?}"),
            Self::BeyondEnd {
                pages,
                offset_pages,
                len_pages,
            } => write!(
                f,
                "object: {} pages from page {offset_pages} on, but it has {len_pages}",
                pages.len()
            ),
            Self::ReadOnly(id) => write!(f, "object: {id} cannot be written"),
            Self::Shared(id) => write!(f, "object: {id} shares pages with a snapshot"),
            Self::Mapped(id) => write!(f, "object: pages of {id} that were to go are mapped"),
        }
    }
}

impl Error for ObjectError {}
