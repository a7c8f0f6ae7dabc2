//! What the pool of frames needs of the machine: which CPU this is, a frame zeroed, and memory for the records of frames.
//!
//! The record of frame n lies at a fixed address, [`RECORDS_BASE`] + 16 n, for every frame there could be; pages are mapped there
//! only for the zones that the pool opens.

use core::sync::atomic::Ordering;

use super::address::{PAGE, RECORDS_BASE};
use super::{cpu, tables};
use crate::memory::frame::{FrameRecord, PoolHost, SpareFrames, Use};
use crate::memory::page::{Frame, FrameRange};

/// The machine as the pool sees it.
pub(crate) struct PoolMemory;

impl PoolHost for PoolMemory {
    fn cpu(&self) -> usize {
        cpu::current().id.load(Ordering::Relaxed) as usize
    }

    fn zero(&self, frame: Frame) {
        // SAFETY: 1. the pool, whose host this is, gives the frame to nobody meanwhile.
        unsafe { tables::clear_frame(frame) };
    }

    fn open(
        &self,
        frames: FrameRange,
        spare: &mut SpareFrames<'_>,
    ) -> Option<&'static [FrameRecord]> {
        let start = RECORDS_BASE + size_of::<FrameRecord>() * frames.start().number() as usize;
        let end = start + size_of::<FrameRecord>() * frames.len() as usize;
        for page in (start - start % PAGE..end).step_by(PAGE) {
            // An earlier attempt may have come so far before frames ran out.
            if !tables::is_mapped(page) {
                map_record_page(page, spare)?;
            }
        }
        let records = core::ptr::with_exposed_provenance::<FrameRecord>(start);
        // SAFETY: the pages are mapped for good, zeroed, and belong to the records of these frames alone; a record is made of
        // atomics, and zero is a valid value of each.
        Some(unsafe { core::slice::from_raw_parts(records, frames.len() as usize) })
    }
}

fn map_record_page(page: usize, spare: &mut SpareFrames<'_>) -> Option<()> {
    let frame = spare.allocate(Use::Records)?;
    // SAFETY: 1. the frame has just been handed out.
    unsafe { tables::clear_frame(frame) };
    let mut table = || {
        spare
            .allocate(Use::PageTable)
            .map(|frame| frame.start().as_u64())
    };
    let address = frame.start().as_u64();
    // SAFETY: 1. the pool's lock is held, which keeps others from the slot of the records, and the page was seen not to be mapped;
    // 2. and 3. the frames have just been handed out.
    unsafe { tables::map(page, address, tables::READ_WRITE, &mut table) }.ok()
}
