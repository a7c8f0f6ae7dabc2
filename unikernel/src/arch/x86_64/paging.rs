//! The real machine behind the table layer: tables through the recursive slot or a window, one function for every flush.

use core::sync::atomic::{AtomicU64, Ordering};

use x86_64::instructions::tlb;
use x86_64::registers::control::{Cr3, Cr3Flags, Cr4, Cr4Flags};
use x86_64::structures::paging::PhysFrame;
use x86_64::{PhysAddr as RawPhysAddr, VirtAddr as RawVirtAddr};

use super::memory_functions::copy_page;
use super::memory_types::has_pat;
use super::tables::RECURSIVE_SLOT;
use super::windows::{self, Window};
use crate::memory::address::PhysAddr;
use crate::memory::machine::{Entries, Invalidation, Link, Machine, Place, SelfMap};
use crate::memory::page::{Frame, MemoryType, PageSize};

/// More pages than this are forgotten by forgetting everything: a flush of one page costs about a tenth of that.
const MOST_SINGLE_FLUSHES: u64 = 32;

/// The processor's memory management.
pub(crate) struct Paging;

impl Machine for Paging {
    type Table<'a> = View;

    const SELF_SLOT: Option<usize> = Some(RECURSIVE_SLOT);

    fn largest_leaf(&self) -> PageSize {
        // CPUID 8000_0001h, EDX bit 26: pages of 1 GiB (SDM 2A, CPUID).
        let features = core::arch::x86_64::__cpuid(0x8000_0001);
        if features.edx >> 26 & 1 == 1 {
            PageSize::Gib1
        } else {
            PageSize::Mib2
        }
    }

    fn memory_type(&self, wanted: MemoryType) -> MemoryType {
        match wanted {
            MemoryType::WriteCombining if !has_pat() => MemoryType::UncachedMinus,
            known => known,
        }
    }

    unsafe fn open(&self, place: Place) -> View {
        match place.link {
            Link::Linked { root, level, page } if root == self.active() => {
                let shown = SelfMap::new(RECURSIVE_SLOT).table(level, page).start();
                View::Recursive(core::ptr::with_exposed_provenance_mut(
                    shown.as_u64() as usize
                ))
            }
            _ => View::Window(Window::open_to_stay(place.frame)),
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
        // SAFETY: the caller vouches that everything in use is mapped alike by this root.
        unsafe { Cr3::write(frame, Cr3Flags::empty()) }
    }

    fn active(&self) -> Frame {
        let address = PhysAddr::new(Cr3::read().0.start_address().as_u64());
        Frame::containing(address).expect("P1: roots lie in memory that frames can name")
    }

    fn invalidate(&self, stale: &Invalidation) {
        FLUSHES.fetch_add(1, Ordering::Relaxed);
        let pages: u64 = stale.ranges(Self::SELF_SLOT).map(|range| range.len()).sum();
        if pages > MOST_SINGLE_FLUSHES {
            flush_everything();
            return;
        }
        for page in stale.ranges(Self::SELF_SLOT).flat_map(|range| range.iter()) {
            tlb::flush(RawVirtAddr::new(page.start().as_u64()));
        }
    }
}

/// Returns the root that boot made.
pub(crate) fn kernel_root() -> Frame {
    super::tables::boot_root()
}

/// How often somebody had pages forgotten.
static FLUSHES: AtomicU64 = AtomicU64::new(0);

/// Forgets every translation, global ones included: a change of CR4.PGE does that (SDM 3A, 4.10.4.1).
pub(super) fn flush_everything() {
    let flags = Cr4::read();
    // SAFETY: global pages are an optimisation; for a moment there are none.
    unsafe { Cr4::write(flags.difference(Cr4Flags::PAGE_GLOBAL)) };
    // SAFETY: as it was.
    unsafe { Cr4::write(flags) };
}

/// A table that is visible.
pub(crate) enum View {
    /// Where the recursive slot shows it.
    Recursive(*mut u64),
    /// Through a window of this CPU.
    Window(Window),
}

impl View {
    #[inline]
    fn entry(&self, index: usize) -> &AtomicU64 {
        let first = match self {
            Self::Recursive(first) => *first,
            Self::Window(window) => window.pointer(),
        };
        // SAFETY: a table has 512 entries and the seam's indices are below that; the view keeps the table mapped; entries are
        // changed as atomics only, by us and by the processor.
        unsafe { AtomicU64::from_ptr(first.wrapping_add(index)) }
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
