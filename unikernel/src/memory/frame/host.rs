//! What the pool needs from where it runs: the machine, or a test.

use super::record::FrameRecord;
use super::store::SpareFrames;
use crate::memory::page::{Frame, FrameRange};

/// The most CPUs that allocate frames.
pub(crate) const MOST_CPUS: usize = 16;

/// What the pool needs from where it runs.
pub(crate) trait PoolHost: Sync {
    /// Returns the index of the CPU this runs on, below [`MOST_CPUS`]. A wrong one costs speed only: each CPU's frames have a
    /// lock.
    fn cpu(&self) -> usize;

    /// Fills a frame with zeroes. The pool holds no lock, and gives nobody else the frame meanwhile.
    fn zero(&self, frame: Frame);

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
