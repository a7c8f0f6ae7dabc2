//! The right to a frame, apart from its name.
//!
//! A [`Frame`] is a number that anybody may copy. Who may use the frame's memory is said by a *handle*, which moves, and gives
//! the frame back when it is dropped:
//!
//! | handle | says | dropped |
//! |---|---|---|
//! | [`OwnedFrame`] | nobody else uses the frame | the frame is free |
//! | [`OwnedRun`] | the same, of frames side by side | all are free |
//! | [`SharedFrame`] | one of as many users as the map count says | the last one frees it |
//! | [`ZeroFrame`] | the frame is zero and stays so | nothing, it is for good |
//!
//! ```text
//!   allocate --> OwnedFrame --share--> SharedFrame --into_entry--> an entry of a table
//!                    ^                   |    ^                          |
//!                    +--try_into_owned---+    +-------from_entry---------+  cleared and flushed
//! ```
//!
//! An entry of a table holds 64 bits and no handle. So the count moves into the entry and out of it by name; who copies an
//! entry adds a mapping, who clears one removes a mapping, without ever building the handle.

use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::Range;

use super::error::{AllocateError, CountError, FreeError};
use super::host::{FrameMemory, PoolHost};
use super::pool::FramePool;
use super::totals::Use;
use super::{frame, number, range_of};
use crate::memory::page::{Frame, FrameRange};

/// A frame that nobody else uses: not mapped, not shared. Free again when dropped.
#[must_use = "dropping the handle frees the frame"]
pub(crate) struct OwnedFrame<'p, H: PoolHost> {
    pool: &'p FramePool<H>,
    frame: Frame,
}

/// Frames side by side that nobody else uses. As an iterator it gives them one by one; those left are free when it is dropped.
#[must_use = "dropping the handle frees the frames"]
pub(crate) struct OwnedRun<'p, H: PoolHost> {
    pool: &'p FramePool<H>,
    frames: Range<u32>,
}

/// One share of a frame: counted in its map count, free when the last one is dropped.
#[must_use = "dropping the handle gives up the share"]
pub(crate) struct SharedFrame<'p, H: PoolHost> {
    pool: &'p FramePool<H>,
    frame: Frame,
}

/// The one frame that is zero and stays so. There is no way from here to a handle that may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ZeroFrame(Frame);

impl<H: PoolHost> FramePool<H> {
    /// Takes a frame with any contents.
    ///
    /// # Errors
    ///
    /// When none is free.
    #[inline]
    pub(crate) fn allocate(&self, purpose: Use) -> Result<OwnedFrame<'_, H>, AllocateError> {
        let frame = self.take(purpose)?;
        Ok(OwnedFrame { pool: self, frame })
    }

    /// Takes a frame of zeroes.
    ///
    /// # Errors
    ///
    /// When none is free.
    pub(crate) fn allocate_zeroed(&self, purpose: Use) -> Result<OwnedFrame<'_, H>, AllocateError> {
        let frame = self.take_zeroed(purpose)?;
        Ok(OwnedFrame { pool: self, frame })
    }

    /// Takes a frame with the contents of another, which nobody writes to meanwhile.
    ///
    /// # Errors
    ///
    /// When none is free.
    pub(crate) fn allocate_copy(
        &self,
        from: Frame,
        purpose: Use,
    ) -> Result<OwnedFrame<'_, H>, AllocateError>
    where
        H: FrameMemory,
    {
        let copy = self.allocate(purpose)?;
        self.host().copy(from, copy.frame);
        Ok(copy)
    }

    /// Takes exactly `len` frames side by side, with any contents. Where `len` is a power of two, the first one's number is a
    /// multiple of it.
    ///
    /// # Errors
    ///
    /// When there are not so many side by side, or never are.
    pub(crate) fn allocate_run(
        &self,
        len: u32,
        purpose: Use,
    ) -> Result<OwnedRun<'_, H>, AllocateError> {
        let frames = self.take_run(len, purpose)?;
        Ok(OwnedRun { pool: self, frames })
    }

    /// Takes up to `len` frames side by side, with any contents: at least one, and fewer only if there is no block of so many.
    ///
    /// # Errors
    ///
    /// When none is free.
    pub(crate) fn allocate_up_to(
        &self,
        len: u32,
        purpose: Use,
    ) -> Result<OwnedRun<'_, H>, AllocateError> {
        let frames = self.take_up_to(len, purpose)?;
        Ok(OwnedRun { pool: self, frames })
    }

    /// Takes the frame that stays zero, the first time; returns the same one ever after.
    ///
    /// # Errors
    ///
    /// When none is free.
    pub(crate) fn zero_frame(&self) -> Result<ZeroFrame, AllocateError> {
        if let Some(zero) = self.known_zero_frame() {
            return Ok(ZeroFrame(zero));
        }
        let owned = self.allocate_zeroed(Use::Kernel)?;
        // Another CPU may have been faster; then its frame it is, and this one goes back.
        Ok(match self.keep_zero(owned.frame) {
            Ok(kept) => {
                let _for_good = ManuallyDrop::new(owned);
                self.host().keep_zero(kept);
                ZeroFrame(kept)
            }
            Err(theirs) => ZeroFrame(theirs),
        })
    }

    /// Makes a handle of the name of a frame that is allocated and not mapped, such as one the early allocator handed out, or
    /// one that was [given a name](OwnedFrame::into_frame).
    ///
    /// # Errors
    ///
    /// When nobody owns this frame, or somebody maps it.
    pub(crate) fn claim(&self, frame: Frame) -> Result<OwnedFrame<'_, H>, FreeError> {
        self.check_owned(frame)?;
        Ok(OwnedFrame { pool: self, frame })
    }
}

impl<'p, H: PoolHost> OwnedFrame<'p, H> {
    /// Returns the frame's name.
    pub(crate) const fn frame(&self) -> Frame {
        self.frame
    }

    /// Gives up the handle but not the frame: it stays allocated, under its name, until [`FramePool::give_back`] or
    /// [`FramePool::claim`].
    pub(crate) fn into_frame(self) -> Frame {
        ManuallyDrop::new(self).frame
    }

    /// Makes it a frame that can have several users; this is the first.
    pub(crate) fn share(self) -> SharedFrame<'p, H> {
        let owned = ManuallyDrop::new(self);
        owned.pool.record(owned.frame).count_first();
        SharedFrame {
            pool: owned.pool,
            frame: owned.frame,
        }
    }

    /// Moves the frame into an entry: it is mapped once, and free when [no mapping](FramePool::remove_mapping) is left.
    pub(crate) fn into_entry(self) -> Frame {
        self.share().into_entry()
    }
}

impl<H: PoolHost> Drop for OwnedFrame<'_, H> {
    #[inline]
    fn drop(&mut self) {
        self.pool
            .give_back(self.frame)
            .unwrap_or_else(|error| panic!("F1: an owned frame is allocated: {error}"));
    }
}

impl<H: PoolHost> OwnedRun<'_, H> {
    /// Returns the frames' names.
    pub(crate) fn frames(&self) -> FrameRange {
        range_of(self.frames.start, self.len_frames())
    }

    /// Returns how many frames there are.
    pub(crate) fn len_frames(&self) -> u32 {
        self.frames.end - self.frames.start
    }

    /// Fills all frames with zeroes.
    pub(crate) fn zeroed(self) -> Self {
        for number in self.frames.clone() {
            self.pool.host().zero(frame(number));
        }
        self
    }

    /// Moves the frames into entries, or into one large one: each is mapped once, and free when
    /// [no mapping](FramePool::remove_mapping) is left.
    pub(crate) fn into_entries(self) -> FrameRange {
        for number in self.frames.clone() {
            self.pool.record(frame(number)).count_first();
        }
        self.into_frames()
    }

    /// Gives up the handle but not the frames, each of which stays allocated under its name.
    pub(crate) fn into_frames(self) -> FrameRange {
        ManuallyDrop::new(self).frames()
    }
}

impl<'p, H: PoolHost> Iterator for OwnedRun<'p, H> {
    type Item = OwnedFrame<'p, H>;

    fn next(&mut self) -> Option<OwnedFrame<'p, H>> {
        let frame = frame(self.frames.next()?);
        Some(OwnedFrame {
            pool: self.pool,
            frame,
        })
    }
}

impl<H: PoolHost> Drop for OwnedRun<'_, H> {
    fn drop(&mut self) {
        self.pool
            .give_run_back(self.frames.clone())
            .unwrap_or_else(|error| panic!("F1: an owned frame is allocated: {error}"));
    }
}

impl<'p, H: PoolHost> SharedFrame<'p, H> {
    /// Takes over the count of an entry that was cleared, and is in no TLB any more.
    ///
    /// # Errors
    ///
    /// When no entry can have held this frame.
    pub(crate) fn from_entry(pool: &'p FramePool<H>, frame: Frame) -> Result<Self, CountError> {
        match pool.map_count(frame)? {
            0 => Err(CountError::NotMapped(frame)),
            _ => Ok(Self { pool, frame }),
        }
    }

    /// Moves this share into an entry.
    pub(crate) fn into_entry(self) -> Frame {
        ManuallyDrop::new(self).frame
    }

    /// Returns the frame's name.
    pub(crate) const fn frame(&self) -> Frame {
        self.frame
    }

    /// Returns one more share.
    ///
    /// # Errors
    ///
    /// When there are too many to count.
    pub(crate) fn try_clone(&self) -> Result<Self, CountError> {
        self.pool.add_mapping(self.frame)?;
        Ok(Self {
            pool: self.pool,
            frame: self.frame,
        })
    }

    /// Returns the frame as owned if this is its only share, else the share as it was.
    pub(crate) fn try_into_owned(self) -> Result<OwnedFrame<'p, H>, Self> {
        if !self.pool.record(self.frame).count_last() {
            return Err(self);
        }
        let shared = ManuallyDrop::new(self);
        Ok(OwnedFrame {
            pool: shared.pool,
            frame: shared.frame,
        })
    }
}

impl<H: PoolHost> Drop for SharedFrame<'_, H> {
    fn drop(&mut self) {
        self.pool
            .remove_mapping(self.frame)
            .unwrap_or_else(|error| panic!("F3: a share is counted: {error}"));
    }
}

impl ZeroFrame {
    /// Returns the frame's name.
    pub(crate) const fn frame(self) -> Frame {
        self.0
    }

    /// Returns whether this is the name of the frame that stays zero.
    pub(crate) fn is(self, frame: Frame) -> bool {
        number(self.0) == number(frame)
    }
}

impl<H: PoolHost> fmt::Debug for OwnedFrame<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnedFrame").field(&self.frame).finish()
    }
}

impl<H: PoolHost> fmt::Debug for OwnedRun<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnedRun").field(&self.frames).finish()
    }
}

impl<H: PoolHost> fmt::Debug for SharedFrame<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedFrame").field(&self.frame).finish()
    }
}
