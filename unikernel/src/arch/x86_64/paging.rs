//! The real machine behind the table layer: tables through the recursive slot or a window, one function for every flush.

use core::arch::x86_64::__cpuid;
use core::sync::atomic::{AtomicU64, Ordering};

use spin::Once;
use x86_64::instructions::tlb;
use x86_64::registers::control::{Cr3, Cr3Flags, Cr4, Cr4Flags};
use x86_64::structures::paging::PhysFrame;
use x86_64::{PhysAddr as RawPhysAddr, VirtAddr as RawVirtAddr};

use super::cpu;
use super::memory_functions::copy_page;
use super::memory_types::has_pat;
use super::tables::RECURSIVE_SLOT;
use super::windows::{self, Window};
use crate::memory::machine::{Entries, Invalidation, Link, Machine, Place, SelfMap, Tables};
use crate::memory::page::{Frame, MemoryType, Page, PageSize};

/// More pages than this are forgotten by forgetting everything: a flush of one page costs about a tenth of that.
const MOST_SINGLE_FLUSHES: u64 = 32;

/// The processor's memory management.
pub(crate) struct Paging;

impl Machine for Paging {
    type Table<'a> = View;

    const SELF_SLOT: Option<usize> = Some(RECURSIVE_SLOT);

    fn largest_leaf(&self) -> PageSize {
        static LARGEST: Once<PageSize> = Once::new();
        *LARGEST.call_once(largest_leaf)
    }

    fn memory_type(&self, wanted: MemoryType) -> MemoryType {
        match wanted {
            MemoryType::WriteCombining if !has_pat() => MemoryType::UncachedMinus,
            known => known,
        }
    }

    #[inline(always)]
    unsafe fn open(&self, place: Place) -> View {
        match place.link {
            Link::Active { level, page } => {
                let shown = SelfMap::new(RECURSIVE_SLOT).table(level, page).start();
                View {
                    first: core::ptr::with_exposed_provenance_mut(shown.as_u64() as usize),
                    window: None,
                }
            }
            Link::Elsewhere => View::through_window(place.frame),
        }
    }

    unsafe fn zero(&self, frame: Frame) {
        // SAFETY: 1. by the caller's 1.
        unsafe { super::tables::clear_frame(frame) };
    }

    unsafe fn copy(&self, from: Frame, to: Frame) {
        let (from, to) = (Window::open(from), Window::open(to));
        // SAFETY: the caller vouches for both frames; windows are whole, aligned pages, and two of them.
        unsafe { copy_page(to.pointer(), from.pointer()) }
    }

    fn hide_idle(&self) {
        windows::hide_idle();
    }

    unsafe fn activate(&self, root: Frame) {
        let frame = PhysFrame::containing_address(RawPhysAddr::new(root.start().as_u64()));
        let cpu = cpu::stay();
        // SAFETY: the caller vouches that everything in use is mapped alike by this root.
        unsafe { Cr3::write(frame, Cr3Flags::empty()) }
        cpu.root.store(root.number(), Ordering::Relaxed);
        cpu.may_go();
    }

    #[inline]
    fn active(&self) -> Frame {
        Frame::new(cpu::current().root.load(Ordering::Relaxed))
    }

    #[inline]
    fn invalidate(&self, stale: &Invalidation) {
        if stale.tables == Tables::Kept && stale.pages.len() == 1 {
            forget(stale.pages.start());
        } else {
            forget_ranges(stale);
        }
    }
}

fn forget(page: Page) {
    tlb::flush(RawVirtAddr::new_truncate(page.start().as_u64()));
}

#[inline(never)]
fn forget_ranges(stale: &Invalidation) {
    let ranges = || stale.ranges(Paging::SELF_SLOT);
    if ranges().map(|range| range.len()).sum::<u64>() > MOST_SINGLE_FLUSHES {
        flush_everything();
    } else {
        ranges().flat_map(|range| range.iter()).for_each(forget);
    }
}

/// Returns the largest leaf of this CPU. CPUID 8000_0001h, EDX bit 26: pages of 1 GiB (SDM 2A, CPUID).
fn largest_leaf() -> PageSize {
    if __cpuid(0x8000_0001).edx >> 26 & 1 == 1 {
        PageSize::Gib1
    } else {
        PageSize::Mib2
    }
}

/// Returns the root that boot made.
pub(crate) fn kernel_root() -> Frame {
    super::tables::boot_root()
}

/// Forgets every translation, global ones included: a change of CR4.PGE does that (SDM 3A, 4.10.4.1).
pub(super) fn flush_everything() {
    let flags = Cr4::read();
    // SAFETY: global pages are an optimisation; for a moment there are none.
    unsafe { Cr4::write(flags.difference(Cr4Flags::PAGE_GLOBAL)) };
    // SAFETY: as it was.
    unsafe { Cr4::write(flags) };
}

/// A table that is visible: where the recursive slot shows it, or through a window of this CPU.
pub(crate) struct View {
    first: *mut u64,
    window: Option<Window>,
}

impl Drop for View {
    #[inline(always)]
    fn drop(&mut self) {
        if self.window.is_some() {
            close(self.window.take());
        }
    }
}

/// Closes a window, out of the way of those who have none.
#[inline(never)]
fn close(_window: Option<Window>) {}

impl View {
    #[inline(never)]
    fn through_window(table: Frame) -> Self {
        let window = Window::open_to_stay(table);
        Self {
            first: window.pointer(),
            window: Some(window),
        }
    }

    #[inline(always)]
    fn entry(&self, index: usize) -> &AtomicU64 {
        // SAFETY: a table has 512 entries and the seam's indices are below that; the view keeps the table mapped; entries are
        // changed as atomics only, by us and by the processor.
        unsafe { AtomicU64::from_ptr(self.first.wrapping_add(index)) }
    }
}

impl Entries for View {
    #[inline]
    fn load(&self, index: usize) -> u64 {
        self.entry(index).load(Ordering::Relaxed)
    }

    #[inline]
    fn store(&self, index: usize, value: u64) {
        // Release: what the entry leads to was made before the processor can walk there.
        self.entry(index).store(value, Ordering::Release);
    }

    #[inline]
    fn exchange(&self, index: usize, current: u64, new: u64) -> Result<(), u64> {
        let entry = self.entry(index);
        entry
            .compare_exchange(current, new, Ordering::AcqRel, Ordering::Relaxed)
            .map(|_| ())
    }
}
