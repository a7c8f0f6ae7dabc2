//! What can go wrong with frames. No error needs memory to be told.

use core::error::Error;
use core::fmt;

use crate::memory::page::Frame;

/// Why no frames were handed out. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllocateError {
    /// There are not so many free frames, or not side by side.
    OutOfFrames {
        /// How many were asked for.
        wanted: u32,
        /// How many are free, anywhere.
        free: u64,
    },
    /// No run is ever that long.
    TooLong {
        /// How many frames were asked for.
        wanted: u32,
        /// The longest run there can be.
        most: u32,
    },
    /// A run of no frames was asked for.
    NoFrames,
}

/// Why a frame was not taken back. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreeError {
    /// The pool has never heard of this frame: no memory is there, or none that it may touch.
    Unmanaged(Frame),
    /// The frame is free already.
    AlreadyFree(Frame),
    /// The frame is reserved, or the one that stays zero; it is never free.
    Reserved(Frame),
    /// Somebody still maps the frame.
    StillMapped {
        /// The frame.
        frame: Frame,
        /// How often it is mapped.
        count: u32,
    },
}

/// Why the map count of a frame stays as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CountError {
    /// The pool has never heard of this frame.
    Unmanaged(Frame),
    /// The frame is not allocated.
    NotAllocated(Frame),
    /// The count is 0: it can neither fall, nor rise without the one who owns the frame.
    NotMapped(Frame),
    /// The count has reached its end.
    TooManyMappings(Frame),
}

/// Why a range was not reserved. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReserveError {
    /// A frame in the range belongs to somebody.
    InUse(Frame),
}

impl fmt::Display for AllocateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfFrames { wanted: 1, free } => {
                write!(f, "frames: out of memory, {free} frames free")
            }
            Self::OutOfFrames { wanted, free } => write!(
                f,
                "frames: out of memory, no {wanted} frames side by side among {free} free ones"
            ),
            Self::TooLong { wanted, most } => {
                write!(
                    f,
                    "frames: {wanted} frames asked for, a run has at most {most}"
                )
            }
            Self::NoFrames => f.write_str("frames: a run of no frames asked for"),
        }
    }
}

impl fmt::Display for FreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmanaged(frame) => write!(f, "frames: the frame at {frame} is not managed"),
            Self::AlreadyFree(frame) => write!(f, "frames: the frame at {frame} is free already"),
            Self::Reserved(frame) => write!(f, "frames: the frame at {frame} is reserved"),
            Self::StillMapped { frame, count } => {
                write!(
                    f,
                    "frames: the frame at {frame} is still mapped, {count} times"
                )
            }
        }
    }
}

impl fmt::Display for CountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmanaged(frame) => write!(f, "frames: the frame at {frame} is not managed"),
            Self::NotAllocated(frame) => write!(f, "frames: the frame at {frame} is not allocated"),
            Self::NotMapped(frame) => write!(f, "frames: the frame at {frame} is not mapped"),
            Self::TooManyMappings(frame) => {
                write!(f, "frames: the frame at {frame} is mapped too often")
            }
        }
    }
}

impl fmt::Display for ReserveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(frame) => write!(f, "frames: the frame at {frame} is in use"),
        }
    }
}

impl Error for AllocateError {}
impl Error for FreeError {}
impl Error for CountError {}
impl Error for ReserveError {}
