//! Temporary mappings: a frame made visible for as long as a [`Window`] lives.
//!
//! ```text
//! 0xffffffff_ffe00000  +-----------------------+
//!                      | 16 windows of CPU 0   |   innermost use last
//!                      | 16 windows of CPU 1   |
//!                      |  …                    |
//! 0xffffffff_fffe0000  | the zero frame, read  |   for good: a page of zeros to compare with
//!                      | nothing               |
//! 0xffffffff_fffff000  +-----------------------+
//! ```
//!
//! The windows of a CPU are a stack: a fault handler in the middle of another use takes the next one and gives it back before
//! the interrupted use goes on. Interrupts are off while a window is open, so nothing else runs in between. A window that is
//! closed maps nothing: no frame stays visible after its use.
//!
//! All windows share one table, which lies in the image, so opening one is a store, and closing one a store and a flush.

use core::marker::PhantomData;
use core::sync::atomic::Ordering;

use x86_64::VirtAddr;
use x86_64::instructions::tlb;

use super::address::PAGE;
use super::cpu::{self, WereOn};
use super::tables::{self, READ_ONLY, READ_WRITE};

/// Windows of each CPU: two roots being edited, two frames being copied, and the same again for each fault in between.
const PER_CPU: u32 = 16;
/// The page that the first entry of the window table maps.
const BASE: usize = 0usize.wrapping_sub(1 << 21);
/// The entry that shows the zero frame. The very last page stays free: no object ends at the end of the address space.
const ZERO_ENTRY: usize = 480;

/// A frame that is visible and writable. Not `Send`: it belongs to the CPU that opened it.
#[must_use = "the frame is visible only as long as this value lives"]
#[derive(Debug)]
pub(crate) struct Window {
    slot: usize,
    interrupts: WereOn,
    not_send: PhantomData<*mut ()>,
}

impl Window {
    /// Makes a frame, given by its physical address, visible.
    pub(crate) fn open(frame: u64) -> Self {
        let interrupts = cpu::interrupts_off();
        let cpu = cpu::current();
        let depth = cpu.windows.load(Ordering::Relaxed);
        assert!(
            depth < PER_CPU,
            "W1: no use of windows nests deeper than {PER_CPU}"
        );
        cpu.windows.store(depth + 1, Ordering::Relaxed);
        let slot = (cpu.id.load(Ordering::Relaxed) * PER_CPU + depth) as usize;
        // A closed window is in no TLB, so there is nothing to flush.
        tables::set_window_entry(slot, frame | READ_WRITE.bits());
        Self {
            slot,
            interrupts,
            not_send: PhantomData,
        }
    }

    /// Returns where the frame is seen.
    pub(super) fn address(&self) -> usize {
        BASE + self.slot * PAGE
    }

    /// Returns the frame's memory.
    pub(crate) fn pointer<T>(&self) -> *mut T {
        core::ptr::with_exposed_provenance_mut(self.address())
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        tables::set_window_entry(self.slot, 0);
        tlb::flush(VirtAddr::new(self.address() as u64));
        let depth = &cpu::current().windows;
        let innermost = depth.load(Ordering::Relaxed) - 1;
        depth.store(innermost, Ordering::Relaxed);
        let is_innermost = self.slot as u32 % PER_CPU == innermost;
        cpu::interrupts_restore(&self.interrupts);
        debug_assert!(
            is_innermost,
            "W2: windows are closed in the reverse order of opening"
        );
    }
}

/// Shows the zero frame, given by its physical address, for good.
pub(crate) fn show_zero_frame(frame: u64) {
    const GLOBAL_COPY_ON_WRITE: u64 = (1 << 8) | (1 << 9);
    tables::set_window_entry(ZERO_ENTRY, frame | READ_ONLY.bits() | GLOBAL_COPY_ON_WRITE);
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
