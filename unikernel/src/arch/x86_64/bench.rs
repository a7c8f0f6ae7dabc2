//! Counting what an operation costs, and operations that only the machine has.

use alloc::vec::Vec;
use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

use super::image::{self, Rights};
use super::trap::Frame;
use super::{cpu, memory_functions, stacks};
use crate::test::probe::{FaultTicks, Page, PageRights, Part};

/// Returns the time stamp counter once everything before has been executed; under `-icount` it counts guest instructions.
///
/// `lfence` waits for earlier instructions (SDM 2B, RDTSC), and counts as one.
#[inline(always)]
pub(crate) fn ticks() -> u64 {
    let low: u32;
    let high: u32;
    // SAFETY: reads a counter.
    unsafe {
        asm!("lfence", "rdtsc", out("eax") low, out("edx") high, options(nostack, preserves_flags))
    };
    u64::from(high) << 32 | u64::from(low)
}

/// Fills a page with zeros.
pub fn clear_page(page: &mut Page) {
    // SAFETY: the page is writable, nobody else's, and aligned by its type.
    unsafe { memory_functions::clear_page(&raw mut page.0) }
}

/// Copies a page.
pub fn copy_page(to: &mut Page, from: &Page) {
    // SAFETY: both are mapped and aligned by their type; a mutable reference overlaps nothing.
    unsafe { memory_functions::copy_page(&raw mut to.0, &raw const from.0) }
}

static HANDLER_TICKS: AtomicU64 = AtomicU64::new(0);

/// Notes the time and goes on where RAX points.
fn note_and_go_on(frame: &mut Frame) -> bool {
    HANDLER_TICKS.store(ticks(), Ordering::Relaxed);
    frame.rip = frame.rax;
    true
}

/// Writes to a guard page and goes on after it.
#[must_use]
pub fn survive_a_fault() -> FaultTicks {
    let guard = stacks::test_guard();
    let overhead = {
        let start = ticks();
        ticks() - start
    };
    cpu::current().set_hook(Some(note_and_go_on));
    let start = ticks();
    // SAFETY: the write faults, and the hook continues behind it; RAX is all that changes.
    unsafe {
        asm!("lea rax, [rip + 2f]", "mov byte ptr [{}], 1", "2:", in(reg) guard, out("rax") _)
    };
    let end = ticks();
    cpu::current().set_hook(None);
    let handler = HANDLER_TICKS.load(Ordering::Relaxed);
    FaultTicks {
        to_handler: handler - start - overhead,
        roundtrip: end - start - overhead,
    }
}

pub use super::tables::rights_at;

/// Returns every section of the image, and every guard page in it.
#[must_use]
pub fn image_parts() -> Vec<Part> {
    let sections = image::sections().into_iter().map(|section| Part {
        name: section.name,
        range: section.range,
        rights: Some(PageRights {
            write: section.rights == Rights::Write,
            execute: section.rights == Rights::Execute,
            user: false,
        }),
    });
    let guards = stacks::all().map(|stack| Part {
        name: stack.name,
        range: stack.guard,
        rights: None,
    });
    sections.chain(guards).collect()
}
