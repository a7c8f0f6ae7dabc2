//! What the pool knows of a frame by its name: how often it is mapped, whose contents it holds.
//!
//! These are for layers that keep frames in entries of tables. A name proves nothing, so each call checks the record, and a
//! wrong name is an error; a *wrong use* of a right name (removing a mapping that somebody else made) is found when the other
//! one is removed. No call here touches the memory of a frame: for that a mapping is needed, and that is where `unsafe` is.

use core::sync::atomic::Ordering;

use super::error::{CountError, FreeError};
use super::host::PoolHost;
use super::pool::FramePool;
use super::record::{Contents, FrameInfo, FrameRecord, NONE, Owner, State};
use super::{frame, number, numbers};
use crate::memory::page::{Frame, FrameRange};

impl<H: PoolHost> FramePool<H> {
    /// Counts one more mapping of a frame that is mapped or shared already, and returns how many there are. The frame that
    /// stays zero is not counted, and is mapped 0 times.
    ///
    /// # Errors
    ///
    /// When the frame is not mapped: the first mapping comes from who owns it ([`OwnedFrame::into_entry`]).
    ///
    /// [`OwnedFrame::into_entry`]: super::handle::OwnedFrame::into_entry
    #[inline]
    pub(crate) fn add_mapping(&self, frame: Frame) -> Result<u32, CountError> {
        let counted = self
            .zones
            .find(number(frame))
            .and_then(FrameRecord::count_up);
        counted.map_or_else(|| self.not_counted(frame), Ok)
    }

    /// Counts one mapping less, and returns how many are left; the frame is free when that is 0. Only after the mapping is gone
    /// from the table and from every TLB.
    ///
    /// # Errors
    ///
    /// When the frame is not mapped.
    #[inline]
    pub(crate) fn remove_mapping(&self, frame: Frame) -> Result<u32, CountError> {
        let counted = self
            .zones
            .find(number(frame))
            .and_then(FrameRecord::count_down);
        if counted == Some(0) {
            self.give_back(frame)
                .unwrap_or_else(|error| panic!("F3: a frame with mappings is allocated: {error}"));
        }
        counted.map_or_else(|| self.not_counted(frame), Ok)
    }

    /// Returns how often a frame is mapped or shared.
    ///
    /// # Errors
    ///
    /// When the frame is not allocated.
    #[inline]
    pub(crate) fn map_count(&self, frame: Frame) -> Result<u32, CountError> {
        Ok(self.counted(frame)?.map_or(0, FrameRecord::map_count))
    }

    /// Notes whose contents a frame holds.
    ///
    /// # Errors
    ///
    /// When the frame is not allocated.
    pub(crate) fn set_owner(&self, frame: Frame, owner: Owner) -> Result<(), CountError> {
        if let Some(record) = self.counted(frame)? {
            record.set_owner(owner);
        }
        Ok(())
    }

    /// Notes whether the contents of a frame were changed, and returns what was noted before.
    ///
    /// # Errors
    ///
    /// When the frame is not allocated.
    pub(crate) fn set_contents(
        &self,
        frame: Frame,
        contents: Contents,
    ) -> Result<Contents, CountError> {
        let record = self.counted(frame)?;
        Ok(record.map_or(Contents::Clean, |record| record.set_contents(contents)))
    }

    /// Returns what is known about a frame; nothing where the pool has no record.
    pub(crate) fn info(&self, frame: Frame) -> Option<FrameInfo> {
        self.zones.find(number(frame)).map(FrameRecord::info)
    }

    /// Returns whether any frame in a range is, or will be, the pool's to hand out.
    pub(crate) fn holds_any(&self, range: FrameRange) -> bool {
        let is_held = |record: &FrameRecord| record.state() != State::Reserved;
        self.with_all(|_, store| {
            store.early.holds_any(range)
                || numbers(range).any(|number| self.zones.find(number).is_some_and(is_held))
        })
    }

    /// Returns why a mapping was not counted: an error, unless the frame is the one that stays zero.
    #[cold]
    fn not_counted(&self, frame: Frame) -> Result<u32, CountError> {
        match self.counted(frame)?.map(FrameRecord::map_count) {
            None => Ok(0),
            Some(0) => Err(CountError::NotMapped(frame)),
            Some(_) => Err(CountError::TooManyMappings(frame)),
        }
    }

    /// Returns the record of an allocated frame, or nothing for the frame that stays zero.
    #[inline]
    fn counted(&self, frame: Frame) -> Result<Option<&'static FrameRecord>, CountError> {
        let record = self.zones.find(number(frame));
        let record = record.ok_or(CountError::Unmanaged(frame))?;
        match record.state() {
            State::Allocated => Ok(Some(record)),
            State::Zero => Ok(None),
            _ => Err(CountError::NotAllocated(frame)),
        }
    }

    /// Returns the record of a frame that somebody has a handle of.
    pub(super) fn record(&self, frame: Frame) -> &'static FrameRecord {
        self.zones.record(number(frame))
    }

    pub(super) fn check_owned(&self, frame: Frame) -> Result<(), FreeError> {
        match self.info(frame) {
            Some(info) if info.state == State::Allocated && info.map_count == 0 => Ok(()),
            _ => Err(self.refusal(frame)),
        }
    }

    /// Returns whether this is the frame that stays zero.
    #[inline]
    pub(crate) fn is_zero_frame(&self, frame: Frame) -> bool {
        self.zero.load(Ordering::Relaxed) == number(frame)
    }

    pub(super) fn known_zero_frame(&self) -> Option<Frame> {
        let number = self.zero.load(Ordering::Acquire);
        (number != NONE).then(|| frame(number))
    }

    /// Makes an allocated frame of zeroes the one that stays so, unless there is one; then returns that.
    pub(super) fn keep_zero(&self, zero: Frame) -> Result<Frame, Frame> {
        // AcqRel: who sees the number (the Acquire above) sees the frame zeroed.
        self.zero
            .compare_exchange(NONE, number(zero), Ordering::AcqRel, Ordering::Acquire)
            .map_err(frame)?;
        self.record(zero).set_zero();
        Ok(zero)
    }
}
