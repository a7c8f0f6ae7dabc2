//! The kernel's own tables, which exist from boot on, and what they take frames from.

use super::address::{PhysAddr, VirtAddr};
use super::fault::{Fault, Ring, Violation};
use super::frame::FramePool;
use super::machine::Machine;
use super::page::{
    Access, ENTRIES, Frame, FrameRange, Level, MemoryType, Page, PageRange, PageSize, Rights,
};
use super::region::Name;
use super::root::first_write;
use super::space::SpaceError;
use super::table::PageTable;
use super::table::entry::Attributes;
use super::table::error::MapError;
use super::table::runs::Run;
use super::{FRAMES, MEMORY};
use crate::arch::machine::frames::PoolMemory;
use crate::arch::machine::paging::{Paging, kernel_root};
use crate::arch::machine::windows;

/// Tables on the machine.
pub(crate) type Tables = PageTable<'static, Paging, FramePool<PoolMemory>>;

/// Returns the reserved zero frame.
#[inline]
pub(crate) fn zero_frame() -> Option<Frame> {
    FRAMES.zero_frame().ok().map(|zero| zero.frame())
}

/// Edits the tables under `root` alone: under the lock of the kernel's space, once that is there. Before, there is one CPU.
#[inline(always)]
pub(crate) fn edit<T>(root: Frame, edit: impl FnOnce(&mut Tables) -> T) -> T {
    let mut tables = PageTable::at(&Paging, &FRAMES, root);
    match MEMORY.kernel() {
        Some(kernel) => kernel.alone(|| edit(&mut tables)),
        None => edit(&mut tables),
    }
}

/// Makes the space of the kernel, whose regions are all of the lower half but the first 64 KiB, where only null pointers lead.
pub(crate) fn create_space() -> Result<(), SpaceError> {
    const NULL_PAGES: u64 = 16;
    let lower = Tables::lower_half();
    let first = lower.get(NULL_PAGES).expect("the half is larger");
    let bounds = PageRange::new(first, lower.len() - NULL_PAGES);
    MEMORY.create_kernel(kernel_root(), bounds).map(drop)
}

/// Makes an access possible that the processor refused: as the region there promises, or where there is none, as
/// [`Root::reserve`](super::Root::reserve) did.
pub(crate) fn repair(address: u64, access: Access, by: Ring) -> Result<(), Violation> {
    let address = VirtAddr::try_new(address).map_err(|_| Violation::Unmapped)?;
    let fault = Fault {
        address,
        access,
        by,
    };
    match MEMORY.resolve(fault) {
        Err(Violation::Unmapped) if access == Access::Write && first_write(address) => Ok(()),
        resolved => resolved,
    }
}

/// Returns the name of the region that an address lies in; nothing while somebody on this CPU changes regions.
pub(crate) fn region_name(address: u64) -> Option<Name> {
    let page = Page::containing(VirtAddr::try_new(address).ok()?);
    MEMORY.name_at(page)
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
