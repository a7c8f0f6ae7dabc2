//! What a region is made of, and what that means for its pages.

use core::fmt;

use super::guarded::Sections;
use crate::memory::object::ObjectId;
use crate::memory::page::{Frame, MemoryType, Page};

/// When memory that is zeros at first gets its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Commitment {
    /// One at a time, with the first write to a page.
    Lazy,
    /// All at once, when the region is made.
    Committed,
}

/// What a fork does with a region. Said once, when it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Each side has its own contents from then on.
    Private,
    /// Both sides see the same contents.
    Shared,
}

/// What a region is made of.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Zeros until written.
    Anonymous {
        /// When frames come.
        commitment: Commitment,
    },
    /// A run of frames: page i of the region is frame `first + i`. They are never counted nor freed.
    Fixed {
        /// The frame of the first page.
        first: Frame,
        /// How they are cached.
        memory_type: MemoryType,
    },
    /// A window on an object, from page `offset_pages` of it on.
    Object {
        /// The object.
        object: ObjectId,
        /// Where in the object the region starts.
        offset_pages: u64,
    },
    /// Sections of equal size, each with a guard page on both sides, handed out one by one.
    Guarded(Sections),
    /// A stack: pages come from the top downwards, and the lowest page is a guard.
    Stack,
    /// Twice the same frames side by side: page i and page i + n are one frame.
    Ring,
    /// Contiguous frames that a device knows by address; they are freed with the region.
    Dma {
        /// The frame of the first page.
        first: Frame,
        /// How they are cached.
        memory_type: MemoryType,
    },
    /// The heap of a language runtime: zeros until written, in one space only.
    Heap,
}

/// What lies at a page of a region, before anything is mapped there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Nothing, on purpose.
    Nothing(Absence),
    /// Zeros, until they are written.
    Zeros,
    /// This frame, which nobody counts.
    Frame(Frame, MemoryType),
    /// This page of an object.
    Object(ObjectId, u64),
    /// The same as at this other page; zeros, if nothing is there yet either.
    Twin(Page),
}

/// Why nothing lies at a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absence {
    /// The guard below a stack.
    StackGuard,
    /// The guard below the section with this index, and above the one before it.
    SectionGuard(u32),
    /// The section with this index is not in use.
    FreeSection(u32),
    /// The page is not in the region.
    Outside,
}

impl Kind {
    /// Returns whether parts of such a region are regions too.
    pub(super) const fn is_divisible(&self) -> bool {
        !matches!(self, Self::Guarded(_) | Self::Ring | Self::Dma { .. })
    }

    /// Returns whether such a region may get a new end.
    pub(super) const fn is_resizable(&self) -> bool {
        self.is_divisible() && !matches!(self, Self::Fixed { .. })
    }

    /// Returns what the part of such a region that starts `pages` pages further up is made of.
    ///
    /// The upper part of a stack is memory without a guard of its own: a page that held data never becomes one.
    pub(super) fn advanced(&self, pages: u64) -> Self {
        match *self {
            Self::Anonymous { commitment } => Self::Anonymous { commitment },
            Self::Fixed { first, memory_type } => Self::Fixed {
                first: frame_after(first, pages),
                memory_type,
            },
            Self::Object {
                object,
                offset_pages,
            } => Self::Object {
                object,
                offset_pages: offset_pages + pages,
            },
            Self::Stack => Self::Anonymous {
                commitment: Commitment::Lazy,
            },
            Self::Heap => Self::Heap,
            Self::Guarded(_) | Self::Ring | Self::Dma { .. } => {
                unreachable!("R4: parts of what cannot be divided: {self}")
            }
        }
    }

    /// Returns whether `next` goes on where `len_pages` pages of this kind end.
    pub(super) fn goes_on(&self, len_pages: u64, next: &Self) -> bool {
        match (self, next) {
            (Self::Anonymous { commitment }, Self::Anonymous { commitment: other }) => {
                commitment == other
            }
            // What was above a stack when it was split comes back to it.
            (
                Self::Stack,
                Self::Anonymous {
                    commitment: Commitment::Lazy,
                },
            )
            | (Self::Heap, Self::Heap) => true,
            (
                Self::Fixed { first, memory_type },
                Self::Fixed {
                    first: next,
                    memory_type: other,
                },
            ) => {
                memory_type == other
                    && u64::from(first.number()) + len_pages == u64::from(next.number())
            }
            (
                Self::Object {
                    object,
                    offset_pages,
                },
                Self::Object {
                    object: other,
                    offset_pages: next,
                },
            ) => object == other && offset_pages + len_pages == *next,
            _ => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous { commitment } => f.pad(match commitment {
                Commitment::Lazy => "lazy",
                Commitment::Committed => "committed",
            }),
            Self::Fixed { first, memory_type } => write!(f, "fixed {first} {memory_type}"),
            Self::Object {
                object,
                offset_pages,
            } => write!(f, "object {object} from page {offset_pages}"),
            Self::Guarded(sections) => sections.fmt(f),
            Self::Stack => f.pad("stack"),
            Self::Ring => f.pad("ring"),
            Self::Dma { first, memory_type } => write!(f, "dma {first} {memory_type}"),
            Self::Heap => f.pad("heap"),
        }
    }
}

impl fmt::Display for Sharing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Private => "private",
            Self::Shared => "shared",
        })
    }
}

/// Returns the frame `pages` pages after the first of a run that is known to be so long.
pub(super) fn frame_after(first: Frame, pages: u64) -> Frame {
    u32::try_from(pages)
        .ok()
        .and_then(|frames| first.checked_add(frames))
        .expect("R3: a run of frames is as long as its region")
}
