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
        to_handler: handler - start,
        roundtrip: end - start,
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

/// Changes every vector register and MXCSR, and goes on where RAX points.
fn clobber_and_go_on(frame: &mut Frame) -> bool {
    const ROUND_TO_ZERO: u32 = 0x7f80;
    // SAFETY: the stubs have saved all of these.
    unsafe {
        asm!(
            "ldmxcsr [{0}]",
            "pcmpeqd xmm0, xmm0", "movaps xmm1, xmm0", "movaps xmm2, xmm0", "movaps xmm3, xmm0", "movaps xmm4, xmm0",
            "movaps xmm5, xmm0", "movaps xmm6, xmm0", "movaps xmm7, xmm0", "movaps xmm8, xmm0", "movaps xmm9, xmm0",
            "movaps xmm10, xmm0", "movaps xmm11, xmm0", "movaps xmm12, xmm0", "movaps xmm13, xmm0", "movaps xmm14, xmm0",
            "movaps xmm15, xmm0",
            in(reg) &ROUND_TO_ZERO,
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _, out("xmm5") _, out("xmm6") _,
            out("xmm7") _, out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _, out("xmm12") _, out("xmm13") _,
            out("xmm14") _, out("xmm15") _,
        );
    }
    frame.rip = frame.rax;
    true
}

/// Returns xmm0 to xmm15 and MXCSR as they are after a fault whose handler changed them all; before it, each xmm holds its number
/// in both halves, plus one, and MXCSR rounds up.
#[must_use]
pub fn vector_state_after_a_fault() -> ([[u64; 2]; 16], u32) {
    const ROUND_UP: u32 = 0x5f80;
    let mut registers: [[u64; 2]; 16] = core::array::from_fn(|index| [index as u64 + 1; 2]);
    let mut control = [ROUND_UP, 0x1f80];
    cpu::current().set_hook(Some(clobber_and_go_on));
    // SAFETY: loads all registers from memory, faults, stores them all; MXCSR is put back to what Rust expects.
    unsafe {
        asm!(
            "ldmxcsr [{control}]",
            "movups xmm0, [{all}]", "movups xmm1, [{all} + 16]", "movups xmm2, [{all} + 32]", "movups xmm3, [{all} + 48]",
            "movups xmm4, [{all} + 64]", "movups xmm5, [{all} + 80]", "movups xmm6, [{all} + 96]",
            "movups xmm7, [{all} + 112]", "movups xmm8, [{all} + 128]", "movups xmm9, [{all} + 144]",
            "movups xmm10, [{all} + 160]", "movups xmm11, [{all} + 176]", "movups xmm12, [{all} + 192]",
            "movups xmm13, [{all} + 208]", "movups xmm14, [{all} + 224]", "movups xmm15, [{all} + 240]",
            "lea rax, [rip + 2f]", "mov byte ptr [{guard}], 1", "2:",
            "movups [{all}], xmm0", "movups [{all} + 16], xmm1", "movups [{all} + 32], xmm2", "movups [{all} + 48], xmm3",
            "movups [{all} + 64], xmm4", "movups [{all} + 80], xmm5", "movups [{all} + 96], xmm6",
            "movups [{all} + 112], xmm7", "movups [{all} + 128], xmm8", "movups [{all} + 144], xmm9",
            "movups [{all} + 160], xmm10", "movups [{all} + 176], xmm11", "movups [{all} + 192], xmm12",
            "movups [{all} + 208], xmm13", "movups [{all} + 224], xmm14", "movups [{all} + 240], xmm15",
            "stmxcsr [{control}]",
            "ldmxcsr [{control} + 4]",
            control = in(reg) control.as_mut_ptr(),
            all = in(reg) registers.as_mut_ptr(),
            guard = in(reg) stacks::test_guard(),
            out("rax") _,
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _, out("xmm5") _, out("xmm6") _,
            out("xmm7") _, out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _, out("xmm12") _, out("xmm13") _,
            out("xmm14") _, out("xmm15") _,
        );
    }
    cpu::current().set_hook(None);
    (registers, control[0])
}
