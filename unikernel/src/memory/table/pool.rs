//! Where tables of spaces get their frames: from the pool.

use super::TableFrames;
use crate::memory::frame::{FramePool, OwnedFrame, PoolHost, Use};
use crate::memory::page::Frame;

impl<H: PoolHost> TableFrames for FramePool<H> {
    fn take(&self) -> Option<Frame> {
        self.allocate_zeroed(Use::PageTable)
            .ok()
            .map(OwnedFrame::into_frame)
    }

    fn give_back(&self, frame: Frame) {
        self.host().hide(frame);
        self.give_back_zeroed(frame)
            .unwrap_or_else(|error| panic!("T7: a table's frame goes back once: {error}"));
    }

    fn zero_frame(&self) -> Option<Frame> {
        FramePool::zero_frame(self).ok().map(|zero| zero.frame())
    }

    #[inline]
    fn is_zero_frame(&self, frame: Frame) -> bool {
        FramePool::is_zero_frame(self, frame)
    }
}
