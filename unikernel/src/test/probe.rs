//! What the library's own suite sees of the machine: page routines, and a fault that is survived. Not for applications.

#[cfg(not(unikernel_test))]
use alloc::vec::Vec;

/// A page of memory.
#[repr(C, align(4096))]
#[derive(Debug)]
pub struct Page(pub [u8; 4096]);

/// What a survived fault cost, in differences of ticks.
#[derive(Clone, Copy, Debug)]
pub struct FaultTicks {
    /// From the faulting instruction to the first instruction of the handler that was set for it.
    pub to_handler: u64,
    /// From the faulting instruction to the one after it.
    pub roundtrip: u64,
}

/// What may be done with a page, by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRights {
    /// It may be written.
    pub write: bool,
    /// It may be executed.
    pub execute: bool,
    /// Ring 3 may do so as well.
    pub user: bool,
}

/// A part of the image: its name, its addresses, and the rights each of its pages is to have; `None` for a guard.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its name in reports.
    pub name: &'static str,
    /// Its addresses.
    pub range: core::ops::Range<usize>,
    /// The rights of its pages.
    pub rights: Option<PageRights>,
}

/// How many frames there are, and what has become of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameCounts {
    /// All frames of usable memory.
    pub total: u64,
    /// Those nobody has.
    pub free: u64,
    /// Those somebody has.
    pub allocated: u64,
    /// Those nobody may have.
    pub reserved: u64,
}

/// Returns how many frames there are. On the host there are none.
#[must_use]
pub fn frame_counts() -> FrameCounts {
    #[cfg(unikernel_test)]
    {
        let totals = crate::memory::FRAMES.totals();
        let (total, reserved) = (totals.total(), totals.reserved());
        FrameCounts {
            total,
            free: totals.free(),
            allocated: totals.allocated(),
            reserved,
        }
    }
    #[cfg(not(unikernel_test))]
    FrameCounts::default()
}

/// Lets the nth allocation of a frame from now on fail; 0 lets none.
pub fn fail_nth_frame(nth: u32) {
    #[cfg(unikernel_test)]
    crate::memory::FRAMES.fail_nth(nth);
    #[cfg(not(unikernel_test))]
    let _ = nth;
}

/// Zeroes up to so many free frames ahead of need, as idle time will. Returns how many.
#[must_use]
pub fn fill_zeroed(budget: u32) -> u32 {
    #[cfg(unikernel_test)]
    return crate::memory::FRAMES.fill_zeroed(budget);
    #[cfg(not(unikernel_test))]
    return budget;
}

/// Returns whether the failure that was asked for is still to come.
#[must_use]
pub fn frame_failure_pending() -> bool {
    #[cfg(unikernel_test)]
    return crate::memory::FRAMES.failure_pending();
    #[cfg(not(unikernel_test))]
    return false;
}

#[cfg(unikernel_test)]
pub use crate::arch::machine::ring3::enter as enter_ring_3;
#[cfg(unikernel_test)]
pub use crate::arch::machine::stage::tell_all_stories;

/// Leaves for ring 3; on the host there is no way there.
///
/// # Safety
///
/// 1. None is needed for a panic.
#[cfg(not(unikernel_test))]
#[allow(
    unsafe_code,
    reason = "the machine's own is unsafe, and both must look alike"
)]
pub unsafe fn enter_ring_3(_code: u64, _argument: u64) -> ! {
    panic!("ring 3 is entered in a machine only")
}

/// Tells the stories about memory; on the host the simulator is their stage, in unit tests.
#[cfg(not(unikernel_test))]
#[must_use]
pub fn tell_all_stories() -> usize {
    0
}

/// Checks every table of the kernel's root, and panics with the invariant that is broken.
pub fn check_tables() {
    #[cfg(unikernel_test)]
    crate::memory::check_kernel_tables();
}

/// Returns the frame that a window of this CPU shows, if there is one. Where none is in use, it was forgotten.
#[must_use]
pub fn forgotten_window() -> Option<crate::memory::Frame> {
    #[cfg(unikernel_test)]
    return crate::arch::machine::windows::first_used().map(|(frame, _)| frame);
    #[cfg(not(unikernel_test))]
    return None;
}

/// Returns what a memory type comes to at a physical address, as the dump tells it.
#[must_use]
pub fn type_in_effect(
    physical: u64,
    memory_type: crate::memory::MemoryType,
) -> Option<impl core::fmt::Debug> {
    let in_effect = crate::arch::machine::places::InEffect::read();
    in_effect.of(physical, memory_type)
}

/// Returns whether the firmware says for ranges of memory how they are cached, those below 1 MiB included.
#[must_use]
pub fn has_fixed_ranges() -> bool {
    #[cfg(unikernel_test)]
    return crate::arch::machine::memory_types::range_types()
        .is_some_and(|ranges| ranges.has_fixed());
    #[cfg(not(unikernel_test))]
    return false;
}

/// Returns where the framebuffer is mapped, if there is one.
#[must_use]
pub fn framebuffer() -> Option<crate::memory::Page> {
    #[cfg(unikernel_test)]
    return {
        let base = crate::arch::machine::address::FRAMEBUFFER_BASE as u64;
        let page = crate::memory::Page::containing(crate::memory::VirtAddr::new(base));
        crate::memory::Root::kernel().query(page).map(|_| page)
    };
    #[cfg(not(unikernel_test))]
    return None;
}

/// Returns how many frames the slots for windows of this CPU show.
#[must_use]
pub fn shown_frames() -> usize {
    #[cfg(unikernel_test)]
    return crate::arch::machine::windows::count_shown();
    #[cfg(not(unikernel_test))]
    return 0;
}

/// Closes all windows of this CPU, which nobody may be using.
pub fn close_windows() {
    #[cfg(unikernel_test)]
    crate::arch::machine::windows::close_all();
}

/// Returns how many pages of the kernel's root map a frame.
#[must_use]
pub fn pages_that_map(frame: crate::memory::Frame) -> u64 {
    let mut count = 0;
    crate::memory::kernel_runs(|run| count += u64::from(run.frames().contains(frame)));
    count
}

/// Returns how many bytes the kernel's root maps.
#[must_use]
pub fn mapped_bytes() -> u64 {
    let mut pages = 0;
    crate::memory::kernel_runs(|run| pages += run.pages.len());
    pages * crate::memory::PAGE_SIZE
}

/// Takes `len` frames and gives them back, one by one; says whether there were so many.
#[must_use]
pub fn take_frames(len: usize) -> bool {
    #[cfg(unikernel_test)]
    return {
        let take = || {
            crate::memory::FRAMES
                .allocate(crate::memory::frame::Use::Kernel)
                .ok()
        };
        core::iter::repeat_with(take)
            .take(len)
            .collect::<Option<alloc::vec::Vec<_>>>()
            .is_some()
    };
    #[cfg(not(unikernel_test))]
    return len == 0;
}

/// Takes a frame and gives it back.
pub fn cycle_frame() {
    #[cfg(unikernel_test)]
    drop(crate::memory::FRAMES.allocate(crate::memory::frame::Use::Kernel));
}

#[cfg(unikernel_test)]
pub use crate::arch::machine::bench::{
    clear_page, copy_page, image_parts, rights_at, survive_a_fault, vector_state_after_a_fault,
};

/// Returns the rights of a page. On the host there are none to see.
#[cfg(not(unikernel_test))]
#[must_use]
pub fn rights_at(_address: usize) -> Option<PageRights> {
    None
}

/// Returns the parts of the image. On the host there is none.
#[cfg(not(unikernel_test))]
#[must_use]
pub fn image_parts() -> Vec<Part> {
    Vec::new()
}

/// Fills a page with zeros.
#[cfg(not(unikernel_test))]
pub fn clear_page(page: &mut Page) {
    page.0.fill(0);
}

/// Copies a page.
#[cfg(not(unikernel_test))]
pub fn copy_page(to: &mut Page, from: &Page) {
    to.0.copy_from_slice(&from.0);
}

/// Writes to a guard page and goes on after it. On the host there is none.
#[cfg(not(unikernel_test))]
#[must_use]
pub fn survive_a_fault() -> FaultTicks {
    FaultTicks {
        to_handler: 0,
        roundtrip: 0,
    }
}

/// Returns the vector state after a fault whose handler changed it. On the host there is none.
#[cfg(not(unikernel_test))]
#[must_use]
pub fn vector_state_after_a_fault() -> ([[u64; 2]; 16], u32) {
    ([[0; 2]; 16], 0)
}
