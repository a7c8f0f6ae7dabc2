//! What the pool needs from where it runs: the machine, or a test.

use super::record::FrameRecord;
use super::store::SpareFrames;
use crate::memory::page::{Frame, FrameRange};

/// The most CPUs that allocate frames.
pub(crate) const MOST_CPUS: usize = 16;

/// What the pool needs from where it runs.
pub(crate) trait PoolHost {
    /// Returns the index of the CPU this runs on, below [`MOST_CPUS`]. A wrong one costs speed only: each CPU's frames have a
    /// lock.
    fn cpu(&self) -> usize;

    /// Fills a frame with zeroes. The pool holds no lock, and gives nobody else the frame meanwhile.
    fn zero(&self, frame: Frame);

    /// Learns which frame stays zero from now on.
    fn keep_zero(&self, _frame: Frame) {}

    /// Hides a frame that is about to be free from where it may still be shown, though nobody looks.
    fn hide(&self, _frame: Frame) {}

    /// Returns records for all of `frames`, one each and all zero, that stay for good; memory for them, and for the tables that
    /// map them, comes from `spare` only. When that fails the pool goes on without these frames, and may ask again.
    ///
    /// The pool's lock is held, so nothing here may allocate from the pool, or wait for somebody who does.
    fn open(
        &self,
        frames: FrameRange,
        spare: &mut SpareFrames<'_>,
    ) -> Option<&'static [FrameRecord]>;
}

/// What spaces need besides: the contents of frames, wherever they are mapped. No call waits, and none takes a lock.
pub(crate) trait FrameMemory: PoolHost {
    /// Copies a whole frame. Nobody else uses `to`.
    fn copy(&self, from: Frame, to: Frame);

    /// Lets somebody fill a frame that nobody else uses.
    fn edit(&self, frame: Frame, edit: &mut dyn FnMut(&mut [u8; 4096]));

    /// Reads bytes of a frame, from `offset` on, all within the frame. Others may write them meanwhile.
    fn read(&self, frame: Frame, offset: usize, to: &mut [u8]);

    /// Writes bytes of a frame, from `offset` on, all within the frame. Others may use them meanwhile.
    fn write(&self, frame: Frame, offset: usize, from: &[u8]);

    /// Copies bytes from one frame to another, from these offsets on, all within the frames. Others may use both meanwhile.
    fn copy_bytes(&self, from: (Frame, usize), to: (Frame, usize), len: usize);
}
