//! What the pool of frames needs of the machine: which CPU this is, a frame zeroed, and memory for the records of frames.
//!
//! The record of frame n lies at a fixed address, [`RECORDS_BASE`] + 16 n, for every frame there could be; pages are mapped there
//! only for the zones that the pool opens.

use core::sync::atomic::Ordering;

use super::address::{PAGE, RECORDS_BASE};
use super::memory_functions::copy_page;
use super::nesting::Deeper;
use super::windows::{self, Window};
use super::{cpu, tables};
use crate::memory::FRAMES;
use crate::memory::frame::{FrameMemory, FrameRecord, PoolHost, SpareFrames, Use};
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

    fn keep_zero(&self, frame: Frame) {
        windows::show_zero_frame(frame.start().as_u64());
    }

    fn hide(&self, frame: Frame) {
        windows::hide(frame);
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

impl FrameMemory for PoolMemory {
    fn copy(&self, from: Frame, to: Frame) {
        let from = Window::open(from);
        let to = Window::open(to);
        // SAFETY: windows are whole, aligned pages, and two of them; nobody else uses `to`, and any bytes are a copy.
        unsafe { copy_page(to.pointer(), from.pointer()) }
    }

    fn edit(&self, frame: Frame, edit: &mut dyn FnMut(&mut [u8; 4096])) {
        let _may_fault = Deeper::new();
        let window = Window::open(frame);
        // SAFETY: a window is a whole page, and nobody else uses the frame.
        edit(unsafe { &mut *window.pointer::<[u8; 4096]>() });
    }

    fn read(&self, frame: Frame, offset: usize, to: &mut [u8]) {
        assert!(offset + to.len() <= PAGE, "P2: the bytes lie in one frame");
        if FRAMES.is_zero_frame(frame) {
            // No window shows that one (W1).
            to.fill(0);
            return;
        }
        let window = Window::open(frame);
        let from = window.pointer::<u8>().wrapping_add(offset);
        // SAFETY: the bytes lie in the window; whoever writes them meanwhile decides what is read.
        unsafe { core::ptr::copy_nonoverlapping(from, to.as_mut_ptr(), to.len()) }
    }

    fn write(&self, frame: Frame, offset: usize, from: &[u8]) {
        assert!(
            offset + from.len() <= PAGE,
            "P2: the bytes lie in one frame"
        );
        let window = Window::open(frame);
        let to = window.pointer::<u8>().wrapping_add(offset);
        // SAFETY: the bytes lie in the window, and their owner asked for it.
        unsafe { core::ptr::copy_nonoverlapping(from.as_ptr(), to, from.len()) }
    }

    fn copy_bytes(&self, from: (Frame, usize), to: (Frame, usize), len: usize) {
        let most = from.1.max(to.1) + len;
        assert!(most <= PAGE, "P2: the bytes lie in one frame");
        if FRAMES.is_zero_frame(from.0) {
            clear_bytes(to, len);
            return;
        }
        let source = Window::open(from.0);
        let target = Window::open(to.0);
        let from = source.pointer::<u8>().wrapping_add(from.1);
        let to = target.pointer::<u8>().wrapping_add(to.1);
        // SAFETY: the bytes lie in the windows, and their owners asked for it. Both may show one frame: at two addresses, and
        // the bytes are copied upwards, as from one buffer to another that overlaps it.
        unsafe { core::ptr::copy(from, to, len) }
    }
}

/// Makes `len` bytes of a frame zero that lie in it.
fn clear_bytes((frame, offset): (Frame, usize), len: usize) {
    let window = Window::open(frame);
    let to = window.pointer::<u8>().wrapping_add(offset);
    // SAFETY: the bytes lie in the window, as the caller says, and their owner asked for it.
    unsafe { to.write_bytes(0, len) }
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
