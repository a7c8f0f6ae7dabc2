//! Segments, the task state with its interrupt stacks, and the interrupt descriptor table.
//!
//! Every vector has a gate, and every gate names an interrupt stack, for two reasons: precompiled code keeps data in the
//! 128 bytes below the stack pointer (the System V red zone), which an interrupt on the same stack would overwrite; and a
//! stack that has overflowed cannot hold the report about it.

use alloc::boxed::Box;

use x86_64::VirtAddr;
use x86_64::instructions::segmentation::{CS, DS, ES, SS, Segment};
use x86_64::instructions::tables::{lidt, load_tss};
use x86_64::registers::segmentation::SegmentSelector;
use x86_64::structures::DescriptorTablePointer;
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable};
use x86_64::structures::tss::TaskStateSegment;

use super::{interrupts, nesting, stacks};

/// Selectors of the segments below, in the order they are made; the user's ask for ring 3.
pub(super) const KERNEL_CODE: u16 = 0x08;
pub(super) const KERNEL_DATA: u16 = 0x10;
pub(super) const USER_DATA: u16 = 0x1b;
pub(super) const USER_CODE: u16 = 0x23;

const DOUBLE_FAULT: u8 = 8;
const PAGE_FAULT: u8 = 14;
const FIRST_INTERRUPT: u8 = 32;

/// Which interrupt stack a vector runs on: an index into [`stacks::INTERRUPT_STACK_NAMES`]. Exceptions that can occur while
/// another one is being handled have their own.
fn interrupt_stack(vector: u8) -> u8 {
    match vector {
        PAGE_FAULT => 0,
        DOUBLE_FAULT => 1,
        2 => 2,
        18 => 3,
        1 | 3 => 4,
        0..FIRST_INTERRUPT => 5,
        FIRST_INTERRUPT.. => 6,
    }
}

/// A 64-bit interrupt gate: interrupts are off in the handler (SDM 3A, 6.14.1).
#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Gate([u64; 2]);

impl Gate {
    fn new(handler: u64, selector: SegmentSelector, stack: u8) -> Self {
        const PRESENT_INTERRUPT_GATE: u64 = 0x8e00 << 32;
        let stack = u64::from(stack + 1) << 32;
        let low = (handler & 0xffff) | u64::from(selector.0) << 16;
        Self([
            low | stack | PRESENT_INTERRUPT_GATE | (handler & 0xffff_0000) << 32,
            handler >> 32,
        ])
    }
}

/// Loads all three tables on this CPU. They stay for good.
pub(super) fn load() {
    let mut tss = Box::new(TaskStateSegment::new());
    tss.interrupt_stack_table =
        core::array::from_fn(|index| VirtAddr::new(stacks::interrupt_top(index) as u64));
    let mut gdt = Box::new(GlobalDescriptorTable::new());
    let code = gdt.append(Descriptor::kernel_code_segment());
    let data = gdt.append(Descriptor::kernel_data_segment());
    let user_data = gdt.append(Descriptor::user_data_segment());
    let user_code = gdt.append(Descriptor::user_code_segment());
    assert_eq!(
        [code.0, data.0, user_data.0, user_code.0],
        [KERNEL_CODE, KERNEL_DATA, USER_DATA, USER_CODE],
        "D1: selectors are where traps expect them"
    );
    let tss = Box::leak(tss);
    nesting::remember(tss);
    let task = gdt.append(Descriptor::tss_segment(tss));
    Box::leak(gdt).load();
    // SAFETY: the table just loaded holds a 64-bit ring-0 code segment there.
    unsafe { CS::set_reg(code) };
    // SAFETY: and a writable data segment there.
    unsafe { SS::set_reg(data) };
    // SAFETY: as above; 64-bit mode ignores it, ring 0 has no other use for it.
    unsafe { DS::set_reg(data) };
    // SAFETY: as above.
    unsafe { ES::set_reg(data) };
    // SAFETY: and the task state, which is never freed, there.
    unsafe { load_tss(task) };
    load_gates(code);
}

fn load_gates(code: SegmentSelector) {
    let gate = |vector: u8| Gate::new(interrupts::stub(vector), code, interrupt_stack(vector));
    let gates: &'static [Gate] = Box::leak((0..=255).map(gate).collect());
    let pointer = DescriptorTablePointer {
        limit: (size_of_val(gates) - 1) as u16,
        base: VirtAddr::from_ptr(gates.as_ptr()),
    };
    // SAFETY: 256 valid gates that are never freed, each to a stub for its vector on a committed stack.
    unsafe { lidt(&pointer) };
}
