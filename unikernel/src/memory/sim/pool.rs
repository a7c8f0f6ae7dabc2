//! The pool of frames on a simulated machine: the real one, over simulated memory.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{FIRST_FRAME, Sim};
use crate::memory::frame::{
    EarlyFrames, FrameMemory, FramePool, FrameRecord, PoolHost, SpareFrames, Use,
};
use crate::memory::page::{Frame, FrameRange, PAGE_SIZE};

/// What the pool needs, from a simulated machine.
pub(crate) struct SimMemory(&'static Sim);

/// Makes a pool of all frames of a machine. It lives as long as the test does.
pub(crate) fn pool_over(sim: &'static Sim) -> &'static FramePool<SimMemory> {
    let pool = Box::leak(Box::new(FramePool::new(SimMemory(sim))));
    let first = u64::from(FIRST_FRAME) * PAGE_SIZE;
    let memory = first..first + sim.all_frames().count() as u64 * PAGE_SIZE;
    pool.take_over(EarlyFrames::new(core::iter::once(memory), &[]));
    pool
}

impl PoolHost for SimMemory {
    fn cpu(&self) -> usize {
        self.0.current.get()
    }

    fn zero(&self, frame: Frame) {
        self.0.fill(frame, 0);
    }

    fn open(
        &self,
        frames: FrameRange,
        spare: &mut SpareFrames<'_>,
    ) -> Option<&'static [FrameRecord]> {
        let bytes = frames.len() as usize * size_of::<FrameRecord>();
        for _ in 0..bytes.div_ceil(PAGE_SIZE as usize) {
            spare.allocate(Use::Records)?;
        }
        let records = core::iter::repeat_with(FrameRecord::new).take(frames.len() as usize);
        Some(Vec::leak(records.collect()))
    }
}

impl FrameMemory for SimMemory {
    fn copy(&self, from: Frame, to: Frame) {
        for index in 0..512 {
            self.0.set_word(to, index, self.0.word(from, index));
        }
    }

    fn edit(&self, frame: Frame, edit: &mut dyn FnMut(&mut [u8; 4096])) {
        let mut page = [0; 4096];
        self.read(frame, 0, &mut page);
        edit(&mut page);
        self.write(frame, 0, &page);
    }

    fn read(&self, frame: Frame, offset: usize, to: &mut [u8]) {
        for (at, byte) in (offset..).zip(to) {
            *byte = self.0.word(frame, at / 8).to_le_bytes()[at % 8];
        }
    }

    fn write(&self, frame: Frame, offset: usize, from: &[u8]) {
        for (at, byte) in (offset..).zip(from) {
            let mut word = self.0.word(frame, at / 8).to_le_bytes();
            word[at % 8] = *byte;
            self.0.set_word(frame, at / 8, u64::from_le_bytes(word));
        }
    }

    fn copy_bytes(&self, from: (Frame, usize), to: (Frame, usize), len: usize) {
        let mut bytes = alloc::vec![0; len];
        self.read(from.0, from.1, &mut bytes);
        self.write(to.0, to.1, &bytes);
    }
}
