//! The kernel's own tables, which exist from boot on, and what they take frames from.

use spin::Once;

use super::FRAMES;
use super::address::{PhysAddr, VirtAddr};
use super::frame::{OwnedFrame, Use};
use super::machine::Machine;
use super::page::{
    ENTRIES, Frame, FrameRange, Level, MemoryType, Page, PageRange, PageSize, Rights,
};
use super::table::entry::Attributes;
use super::table::error::MapError;
use super::table::runs::Run;
use super::table::{PageTable, TableFrames};
use crate::arch::machine::paging::{Paging, kernel_root};
use crate::arch::machine::windows;
use crate::sync::SpinLock;

/// The page tables' side of the pool of frames.
pub(crate) struct PoolTables;

impl TableFrames for PoolTables {
    fn take(&self) -> Option<Frame> {
        FRAMES
            .allocate_zeroed(Use::PageTable)
            .ok()
            .map(OwnedFrame::into_frame)
    }

    fn give_back(&self, frame: Frame) {
        windows::hide(frame);
        FRAMES
            .give_back_zeroed(frame)
            .expect("K1: a table's frame came from the pool and goes back once");
    }

    fn zero_frame(&self) -> Option<Frame> {
        zero_frame()
    }
}

/// Returns the reserved zero frame, which the first call sets aside and shows where it can be checked.
pub(crate) fn zero_frame() -> Option<Frame> {
    static SHOWN: Once<()> = Once::new();
    let frame = FRAMES.zero_frame().ok()?.frame();
    SHOWN.call_once(|| windows::show_zero_frame(frame.start().as_u64()));
    Some(frame)
}

/// Tables on the machine.
pub(crate) type Tables = PageTable<'static, Paging, PoolTables>;

/// Held by whoever edits tables that another CPU, or a fault on this one, might edit as well.
static EDITING: SpinLock<()> = SpinLock::new(());

/// Edits the tables under `root` alone.
pub(crate) fn edit<T>(root: Frame, edit: impl FnOnce(&mut Tables) -> T) -> T {
    let _alone = EDITING.lock();
    edit(&mut PageTable::at(&Paging, &PoolTables, root))
}

/// Maps the memory of a device for good, at the address `at` and as a memory type, for the kernel alone. Returns where its first
/// byte is. The frames are no memory of the machine's, so they are never counted nor freed.
pub(crate) fn map_device(
    physical: u64,
    len_bytes: u64,
    at: usize,
    memory_type: MemoryType,
) -> Result<usize, MapError> {
    let page = Page::containing(VirtAddr::new(at as u64));
    let start = PhysAddr::new(physical);
    let frames = FrameRange::covering(start, len_bytes).ok_or(MapError::OutOfPages {
        start: page,
        pages: len_bytes >> 12,
    })?;
    let attributes = Attributes::new(Rights::READ | Rights::WRITE).with_type(memory_type);
    edit(kernel_root(), |tables| {
        tables.map(page, frames, attributes, PageSize::Mib2)
    })?;
    Ok(at + start.page_offset() as usize)
}

/// Tells `sink` every run of leaves of the kernel's root, in ascending order, without the tables that the self slot shows.
pub(crate) fn kernel_runs(mut sink: impl FnMut(Run)) {
    let slots = (0..ENTRIES).filter(|&slot| Some(slot) != Paging::SELF_SLOT);
    for slot in slots {
        let first = Page::from_indices([slot, 0, 0, 0]).expect("a slot has a first page");
        let range = PageRange::new(first, Level::Four.entry_pages());
        edit(kernel_root(), |tables| tables.runs(range, &mut sink));
    }
}

/// Fills `batch` with the runs of leaves of the kernel's root from `from` on, as many as it holds, and returns how many those
/// are. Unlike in [`kernel_runs`], who uses them may do so without a lock.
pub(crate) fn next_runs(from: Page, batch: &mut [Option<Run>]) -> usize {
    let mut len = 0;
    let mut take = |run| {
        if let Some(place) = batch.get_mut(len) {
            *place = Some(run);
            len += 1;
        }
    };
    let first = from.index(Level::Four);
    for slot in (first..ENTRIES).filter(|&slot| Some(slot) != Paging::SELF_SLOT) {
        let start = Page::from_indices([slot, 0, 0, 0]).expect("a slot has a first page");
        let all = PageRange::new(start, Level::Four.entry_pages());
        let skipped = from.number().saturating_sub(start.number());
        if let Some(start) = all.get(skipped) {
            let range = PageRange::new(start, all.len() - skipped);
            edit(kernel_root(), |tables| tables.runs(range, &mut take));
        }
    }
    len
}

/// Checks every table of the kernel's root.
///
/// # Panics
///
/// With the invariant that is broken.
pub(crate) fn check_kernel_tables() {
    // The table of the windows counts the page that shows it.
    let _shown = zero_frame();
    // What idle slots show is counted by nobody.
    windows::hide_idle();
    edit(kernel_root(), |tables| tables.check_invariants(&mut |_| {}));
}
