//! The page tables of boot: the image mapped with each section's own rights, pages added to the kernel half, and the
//! identity map of the loader taken away.
//!
//! Tables of the active root are seen through the *recursive slot*: the root's entry 510 points at the root itself, so a walk
//! that passes through it ends one level early, on a table instead of a page. Frames that are not yet part of anything are
//! reached through one *window*, a page whose table lies in the image. Nothing ever maps all of memory.

use core::cell::UnsafeCell;
use core::sync::atomic::AtomicU64;

use x86_64::instructions::tlb;
use x86_64::structures::paging::PageTableFlags as Flags;

pub(super) use super::address::RECURSIVE_SLOT;
use super::address::{IMAGE_BASE, KERNEL_SLOTS, LOADED_AT, PAGE, RECURSIVE_BASE};
use super::identity::IdentityMap;
use super::image::{self, Rights, Section};
use super::memory_functions::clear_page;
use super::stacks;
use super::windows::Window;
use crate::memory::address::PhysAddr;
use crate::memory::frame::{EarlyFrames, Use};
use crate::memory::page::Frame;
#[cfg(unikernel_test)]
use crate::test::probe::PageRights;

/// What `entry` fills: tables in the order of the numbers below.
#[repr(C, align(4096))]
pub(super) struct BootTables(UnsafeCell<[[u64; 512]; BOOT_TABLES]>);

// SAFETY: the processor reads the tables; they are written by the entry code before Rust starts, and afterwards only
// through `write`, each entry by whoever it belongs to: a window's by its CPU, the rest during boot.
unsafe impl Sync for BootTables {}

pub(super) static BOOT_TABLES_MEMORY: BootTables =
    BootTables(UnsafeCell::new([[0; 512]; BOOT_TABLES]));

const ROOT: usize = 0;
/// The table of the slot of low memory, as it is during boot.
pub(super) const LOW: usize = 1;
/// The first of its four directories.
pub(super) const LOW_DIRECTORIES: usize = 2;
/// The table of the last slot.
pub(super) const HIGH: usize = 6;
/// The directory of the image.
pub(super) const IMAGE_DIRECTORY: usize = 7;
/// The directory whose last table is that of the windows.
pub(super) const WINDOW_DIRECTORY: usize = 8;
/// The table of the windows.
pub(super) const WINDOW_TABLE: usize = 9;
const BOOT_TABLES: usize = 10;

const LARGE_PAGE: usize = 1 << 21;

/// One used entry, in the count that an entry which points to a table keeps (`memory::table::entry`).
const ONE_USED: u64 = 1 << 52;

const TABLE: Flags = Flags::PRESENT.union(Flags::WRITABLE);

/// No frame was left for a page or for a table on the way to it. What was mapped before stays mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfFrames;

/// Serves frames, by physical address, for tables.
pub(crate) type FrameSource<'a> = &'a mut dyn FnMut() -> Option<u64>;

/// Rights of a page in the kernel half.
pub(crate) const READ_ONLY: Flags = Flags::PRESENT.union(Flags::NO_EXECUTE);
/// Rights of a page in the kernel half.
pub(crate) const READ_WRITE: Flags = READ_ONLY.union(Flags::WRITABLE);

/// Maps the page at `address`, in the kernel half, onto the frame at `frame`; both are multiples of 4 KiB.
///
/// # Safety
///
/// 1. Nothing is mapped at the page, and nobody else maps anything there meanwhile. 2. Nobody uses the frame in a way that the
///    mapping breaks. 3. What `frames` serves is memory, and nobody's.
pub(crate) unsafe fn map(
    address: usize,
    frame: u64,
    rights: Flags,
    frames: FrameSource<'_>,
) -> Result<(), OutOfFrames> {
    for level in [4, 3, 2] {
        let entry = entry_of(address, level);
        if read(entry) & Flags::PRESENT.bits() == 0 {
            let table = frames().ok_or(OutOfFrames)?;
            // SAFETY: 1. by the caller's 3.
            unsafe { clear_frame(frame_at(table)) };
            write(entry, table | TABLE.bits());
            count_use(address, level);
        }
    }
    let entry = entry_of(address, 1);
    debug_assert!(
        read(entry) & Flags::PRESENT.bits() == 0,
        "T1: {address:#x} is already mapped"
    );
    write(entry, frame | (rights | Flags::GLOBAL).bits());
    count_use(address, 1);
    Ok(())
}

/// Takes a frame for a table from the early allocator, which serves each once, and fills it with zeros.
fn new_table(frames: &mut EarlyFrames) -> Result<u64, OutOfFrames> {
    let frame = frames.allocate(Use::PageTable).ok_or(OutOfFrames)?;
    let table = frame.start().as_u64();
    // SAFETY: 1. the early allocator serves memory that nobody has (E1).
    unsafe { clear_frame(frame_at(table)) };
    Ok(table)
}

/// Counts an entry that `level` has gained on the way to `address`, where the table layer looks for it: in the entry above. The
/// root and the tables right below it keep no count.
fn count_use(address: usize, level: u8) {
    if level < 3 {
        let above = entry_of(address, level + 1);
        write(above, read(above) + ONE_USED);
    }
}

/// Returns whether a page is mapped at `address`, in pages of 4 KiB.
pub(super) fn is_mapped(address: usize) -> bool {
    [4, 3, 2, 1]
        .into_iter()
        .all(|level| read(entry_of(address, level)) & Flags::PRESENT.bits() != 0)
}

/// Gives every section of the image its own rights in 4 KiB pages, leaves the guards of all stacks out, and unmaps whatever
/// else the entry code's large pages covered.
///
/// # Panics
///
/// The second time: the large pages are gone.
pub(crate) fn map_image(frames: &mut EarlyFrames) -> Result<(), OutOfFrames> {
    let sections = image::sections();
    assert!(
        sections[0].range.start == IMAGE_BASE + LOADED_AT,
        "T4: the image lies where the entry code believes it to lie"
    );
    let mut spans = 0;
    for slot in 0..512 {
        let span = IMAGE_BASE + slot * LARGE_PAGE;
        let entry = boot_entry(IMAGE_DIRECTORY, slot);
        if !sections
            .iter()
            .any(|section| section.range.start < span + LARGE_PAGE && span < section.range.end)
        {
            write(entry, 0);
            continue;
        }
        let large = Flags::from_bits_truncate(read(entry));
        assert!(
            large.contains(Flags::HUGE_PAGE),
            "T2: the image is mapped by sections once"
        );
        let load = read(entry) & !(LARGE_PAGE as u64 - 1);
        let table = new_table(frames)?;
        let used = fill_image_table(table, &sections, span, load);
        write(entry, table | TABLE.bits() | (used * ONE_USED));
        spans += 1;
    }
    // The directories of the image and of the windows, and the table of the windows, in which one entry is always used.
    for (table, index, used) in [
        (HIGH, 510, spans),
        (HIGH, 511, 1),
        (WINDOW_DIRECTORY, 511, 1),
    ] {
        let entry = boot_entry(table, index);
        write(entry, read(entry) + used * ONE_USED);
    }
    tlb::flush_all();
    Ok(())
}

/// Fills the empty table for the 2 MiB from `span`, which are loaded at `load`. Returns how many entries it uses.
fn fill_image_table(table: u64, sections: &[Section], span: usize, load: u64) -> u64 {
    let window = Window::open(frame_at(table));
    let entries = window.pointer::<u64>();
    let mut used = 0;
    let entry_for = |address: usize| entries.wrapping_add((address - span) / PAGE);
    for section in sections {
        let rights = match section.rights {
            Rights::Execute => Flags::PRESENT,
            Rights::Read => READ_ONLY,
            Rights::Write => READ_WRITE,
        };
        let rights = (rights | Flags::GLOBAL).bits();
        let (start, end) = (
            section.range.start.max(span),
            section.range.end.min(span + LARGE_PAGE),
        );
        for address in (start..end).step_by(PAGE) {
            write(
                entry_for(address),
                (load + (address - span) as u64) | rights,
            );
            used += 1;
        }
    }
    for stack in
        stacks::all().filter(|stack| (span..span + LARGE_PAGE).contains(&stack.guard.start))
    {
        write(entry_for(stack.guard.start), 0);
        used -= 1;
    }
    used
}

/// Makes the tables right below the root for the whole kernel half, so that whatever is mapped there later appears under every
/// root that is ever made.
///
/// # Panics
///
/// The second time: what is mapped there by then would be lost.
pub(crate) fn prepare_kernel_half(frames: &mut EarlyFrames) -> Result<(), OutOfFrames> {
    for slot in KERNEL_SLOTS {
        let entry = boot_entry(ROOT, slot);
        assert!(read(entry) == 0, "T3: the kernel half is empty at first");
        write(entry, new_table(frames)? | TABLE.bits());
    }
    Ok(())
}

/// Takes the entry code's map of low memory away, and forbids execution through the recursive slot.
pub(crate) fn leave_identity_map(_nobody_reads_it_any_more: IdentityMap) {
    let recursive = boot_entry(ROOT, RECURSIVE_SLOT);
    write(recursive, read(recursive) | Flags::NO_EXECUTE.bits());
    write(boot_entry(ROOT, 0), 0);
    tlb::flush_all();
}

/// Returns the rights of the page that holds `address`, together with those of every table above it; nothing where nothing
/// is mapped.
#[cfg(unikernel_test)]
#[must_use]
pub fn rights_at(address: usize) -> Option<PageRights> {
    let mut rights = PageRights {
        write: true,
        execute: true,
        user: true,
    };
    for level in [4, 3, 2, 1] {
        let entry = Flags::from_bits_truncate(read(entry_of(address, level)));
        if !entry.contains(Flags::PRESENT) {
            return None;
        }
        rights.write &= entry.contains(Flags::WRITABLE);
        rights.execute &= !entry.contains(Flags::NO_EXECUTE);
        rights.user &= entry.contains(Flags::USER_ACCESSIBLE);
        if entry.contains(Flags::HUGE_PAGE) && level > 1 {
            break;
        }
    }
    Some(rights)
}

/// Returns where the recursive slot shows the entry that translates `address` at `level`.
fn entry_of(address: usize, level: u8) -> *mut u64 {
    let mut at = address;
    for _ in 0..level {
        at = RECURSIVE_BASE | (at >> 9 & 0x0000_007f_ffff_fff8);
    }
    core::ptr::with_exposed_provenance_mut(at)
}

#[inline(always)]
fn boot_entry(table: usize, index: usize) -> *mut u64 {
    BOOT_TABLES_MEMORY
        .0
        .get()
        .cast::<u64>()
        .wrapping_add(table * 512 + index)
}

/// Returns an entry of a table that is visible: `entry` comes from `boot_entry`, from `entry_of` after the levels above were seen
/// present, or from an open window.
fn read(entry: *mut u64) -> u64 {
    // SAFETY: each of the three is an aligned word of a table, which no Rust reference leads to and the processor writes only
    // to note what it used. All callers are in this file.
    unsafe { entry.read_volatile() }
}

/// Changes an entry that `read` could return. What it then maps is its caller's.
fn write(entry: *mut u64, value: u64) {
    // SAFETY: as in `read`. That the mapping breaks nothing is what `map` asks of its callers; the other functions here map the
    // image, tables that nobody has yet, and windows.
    unsafe { entry.write_volatile(value) }
}

/// Fills a frame with zeros.
///
/// # Safety
///
/// 1. The frame is memory, and nobody's.
pub(super) unsafe fn clear_frame(frame: Frame) {
    let window = Window::open(frame);
    // SAFETY: the window maps the whole frame, which is nobody else's by 1.
    unsafe { clear_page(window.pointer()) }
}

/// Returns the frame at a physical address that a source of frames gave.
fn frame_at(address: u64) -> Frame {
    Frame::containing(PhysAddr::new(address)).expect("sources of frames name frames")
}

/// Returns an entry of the table that all windows share. A slot's is its CPU's.
#[inline(always)]
pub(super) fn window_entry(index: usize) -> &'static AtomicU64 {
    debug_assert!(index < 512, "a table has 512 entries");
    let entry = boot_entry(WINDOW_TABLE, index);
    // SAFETY: it lies in the static, and entries of this table are used as atomics only.
    unsafe { AtomicU64::from_ptr(entry) }
}

/// Returns the frame of the root that the entry code made, in the image.
pub(super) fn boot_root() -> Frame {
    let address = BOOT_TABLES_MEMORY.0.get().addr() - IMAGE_BASE;
    Frame::containing(PhysAddr::new(address as u64))
        .expect("the image lies where frames can name it")
}
