//! Temporary mappings: a frame made visible for as long as a [`Window`] lives. The policy is `memory::window`'s; here are the
//! pages, the entries and the flushes.
//!
//! ```text
//! 0xffffffff_ffe00000  +-----------------------+
//!                      | 16 slots of CPU 0     |   a frame's home is the slot that its number names
//!                      | 16 slots of CPU 1     |
//!                      |  …                    |
//! 0xffffffff_fffe0000  | the zero frame, read  |   for good: a page of zeros to compare with
//!                      | nothing               |
//! 0xffffffff_fffff000  +-----------------------+
//! ```
//!
//! While a window is open, what runs stays on its CPU: whoever switches between tasks asks that CPU first. Interrupts
//! may come, and open no windows; faults may, and take other slots.
//!
//! A frame is hidden when its last window is closed, unless one was [opened to stay](Window::open_to_stay): then it stays shown, for
//! the next window of the same frame, until the slot is needed for another. Tables of roots that are not active do, and whose
//! owner can [hide](hide) them before they are free.
//!
//! All slots share one table, which lies in the image, so a hit is a look at an entry and a count.

use core::arch::x86_64::{_mm_clflush, _mm_mfence};
use core::marker::PhantomData;
use core::sync::atomic::{AtomicU64, Ordering};

use x86_64::VirtAddr;
use x86_64::instructions::tlb;

use super::address::PAGE;
use super::cpu::{self, PerCpu};
use super::tables::{self, READ_ONLY};
use crate::memory::FRAMES;
use crate::memory::frame::MOST_CPUS;
#[cfg(unikernel_test)]
use crate::memory::frame::State;
use crate::memory::page::{Frame, MemoryType};
use crate::memory::window::{self, SLOTS, Shown, WindowError, WindowHost};

/// The page that the first entry of the window table maps.
const BASE: usize = 0usize.wrapping_sub(1 << 21);
/// The entry that shows the zero frame. The very last page stays free: no object ends at the end of the address space.
const ZERO_ENTRY: usize = 480;

const _: () = assert!(SLOTS.is_power_of_two() && SLOTS * MOST_CPUS <= ZERO_ENTRY);

/// The slots of one CPU.
struct Slots {
    cpu: &'static PerCpu,
    /// The first one, among those of all CPUs.
    first: usize,
}

impl Slots {
    #[inline(always)]
    fn of(cpu: &'static PerCpu) -> Self {
        let first = cpu.id.load(Ordering::Relaxed) as usize * SLOTS;
        Self { cpu, first }
    }

    #[inline(always)]
    fn entry(&self, slot: usize) -> &'static AtomicU64 {
        tables::window_entry(self.first | slot)
    }

    /// Returns the address of the page of a slot.
    #[inline(always)]
    const fn page(&self, slot: usize) -> usize {
        BASE + (self.first | slot) * PAGE
    }
}

impl WindowHost for Slots {
    #[inline(always)]
    fn load(&self, slot: usize) -> Shown {
        Shown::from_bits(self.entry(slot).load(Ordering::Relaxed))
    }

    #[inline(always)]
    fn store(&self, slot: usize, shown: Shown) {
        self.entry(slot).store(shown.bits(), Ordering::Relaxed);
    }

    #[inline(always)]
    fn forget(&self, slot: usize) {
        tlb::flush(VirtAddr::new_truncate(self.page(slot) as u64));
    }

    #[inline(always)]
    fn guests(&self) -> u32 {
        self.cpu.guests.load(Ordering::Relaxed)
    }

    fn set_guests(&self, guests: u32) {
        self.cpu.guests.store(guests, Ordering::Relaxed);
    }

    #[inline(always)]
    fn is_zero_frame(&self, frame: Frame) -> bool {
        FRAMES.is_zero_frame(frame)
    }
}

/// A frame that is visible and writable. Not `Send`: it belongs to the CPU that opened it.
#[must_use = "the frame is visible only as long as this value lives"]
#[derive(Debug)]
pub(crate) struct Window {
    page: usize,
    stay: Stay,
    not_send: PhantomData<*mut ()>,
}

/// What becomes of a frame when its last window is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stay {
    /// It is hidden.
    Hidden,
    /// It stays shown. Whoever frees it hides it.
    Shown,
}

impl Window {
    /// Makes a frame of ordinary memory visible. It is hidden again when this window is closed.
    ///
    /// # Panics
    ///
    /// If there is no slot, or it is the zero frame: nobody nests so deep, or looks for something to change there.
    #[inline(always)]
    pub(crate) fn open(frame: Frame) -> Self {
        let mut window = Self::open_to_stay(frame);
        window.stay = Stay::Hidden;
        window
    }

    /// Makes a frame of ordinary memory visible, and lets it be shown afterwards. Whoever frees it [hides](hide) it before.
    ///
    /// # Panics
    ///
    /// As [`open`](Self::open).
    #[inline(always)]
    pub(crate) fn open_to_stay(frame: Frame) -> Self {
        let slots = Slots::of(cpu::stay());
        match window::open_at_home(&slots, frame) {
            Some(slot) => Self::at(&slots, slot),
            None => Self::open_somewhere(frame),
        }
    }

    /// Makes a frame visible as a memory type. It is hidden again when this window is closed.
    pub(crate) fn try_open(frame: Frame, memory_type: MemoryType) -> Result<Self, WindowError> {
        let slots = Slots::of(cpu::stay());
        let at_home = match memory_type {
            MemoryType::WriteBack => window::open_at_home(&slots, frame),
            _ => None,
        };
        let slot = at_home
            .map_or_else(|| window::open(&slots, frame, memory_type), Ok)
            .inspect_err(|_| slots.cpu.may_go())?;
        if memory_type != MemoryType::WriteBack {
            write_lines_back(slots.page(slot));
        }
        let mut window = Self::at(&slots, slot);
        window.stay = Stay::Hidden;
        Ok(window)
    }

    /// Returns the frame's memory.
    #[inline(always)]
    pub(crate) fn pointer<T>(&self) -> *mut T {
        core::ptr::with_exposed_provenance_mut(self.page)
    }

    #[inline(always)]
    fn at(slots: &Slots, slot: usize) -> Self {
        Self {
            page: slots.page(slot),
            stay: Stay::Shown,
            not_send: PhantomData,
        }
    }

    /// Opens a window where that is not easy, on a CPU that what runs stays on.
    #[cold]
    #[inline(never)]
    fn open_somewhere(frame: Frame) -> Self {
        let slots = Slots::of(cpu::current());
        let slot = window::open(&slots, frame, MemoryType::WriteBack);
        Self::at(&slots, slot.unwrap_or_else(|error| panic!("{error}")))
    }

    #[inline(always)]
    fn place(&self) -> (Slots, usize) {
        let index = (self.page - BASE) / PAGE;
        let (cpu, first) = (cpu::current(), index & !(SLOTS - 1));
        (Slots { cpu, first }, index % SLOTS)
    }
}

impl Drop for Window {
    #[inline(always)]
    fn drop(&mut self) {
        let (slots, slot) = self.place();
        window::close(&slots, slot);
        if self.stay == Stay::Hidden {
            window::empty(&slots, slot);
        }
        slots.cpu.may_go();
    }
}

/// Writes what caches hold of a page to memory: whoever looks past them sees what was written before (SDM 3A, 12.12.4).
#[cold]
fn write_lines_back(page: usize) {
    const LINE: usize = 64;
    for line in (page..page + PAGE).step_by(LINE) {
        // SAFETY: the line is mapped; what it holds stays the same.
        unsafe { _mm_clflush(core::ptr::with_exposed_provenance(line)) };
    }
    // SAFETY: waits for the writes above.
    unsafe { _mm_mfence() };
}

/// Makes this CPU hide a frame that is about to be free.
#[inline]
pub(crate) fn hide(frame: Frame) {
    let slots = Slots::of(cpu::stay());
    window::hide(&slots, frame);
    slots.cpu.may_go();
}

/// Makes all idle slots of this CPU show nothing.
pub(crate) fn hide_idle() {
    let slots = Slots::of(cpu::stay());
    window::hide_idle(&slots);
    slots.cpu.may_go();
}

/// Closes the windows of code on this CPU that was given up.
pub(crate) fn close_all() {
    let slots = Slots::of(cpu::current());
    window::close_all(&slots);
    slots.cpu.forget_stays();
}

/// Returns what a window of this CPU shows. Where nobody is in the middle of using one, it was forgotten.
pub(crate) fn first_used() -> Option<(Frame, MemoryType)> {
    window::first_used(&Slots::of(cpu::current()))
}

/// Returns how many frames the slots of this CPU show.
#[cfg(unikernel_test)]
pub(crate) fn count_shown() -> usize {
    window::shown(&Slots::of(cpu::current())).count()
}

/// Checks that nobody forgot a window, and that no free frame is shown.
///
/// # Panics
///
/// With the invariant that is broken, and the frame.
#[cfg(unikernel_test)]
pub(crate) fn check_idle() {
    assert_eq!(first_used(), None, "W3: a window was forgotten");
    for frame in window::shown(&Slots::of(cpu::current())) {
        let state = FRAMES.info(frame).map(|info| info.state);
        assert_eq!(state, Some(State::Allocated), "W4: {frame} is shown");
    }
}

/// Shows the zero frame, given by its physical address, for good.
pub(crate) fn show_zero_frame(frame: u64) {
    const GLOBAL_COPY_ON_WRITE: u64 = (1 << 8) | (1 << 9);
    let entry = frame | READ_ONLY.bits() | GLOBAL_COPY_ON_WRITE;
    tables::window_entry(ZERO_ENTRY).store(entry, Ordering::Relaxed);
}

/// Returns what the zero frame holds, if it has been asked for. All of it is zero, or somebody broke a promise.
#[cfg(unikernel_test)]
pub(crate) fn zero_frame_contents() -> Option<&'static [u64; 512]> {
    let page = BASE + ZERO_ENTRY * PAGE;
    if !tables::is_mapped(page) {
        return None;
    }
    // SAFETY: the page is mapped for good, and nobody may write the frame.
    Some(unsafe { &*core::ptr::with_exposed_provenance::<[u64; 512]>(page) })
}
