//! Running a function on another stack, and abandoning it.
//!
//! A test that panics, faults or hangs is given up in the middle: nothing on its stack is unwound, execution goes on where
//! the test was started, and only its windows are closed. Tasks will die the same way.

use core::arch::global_asm;
use core::sync::atomic::Ordering;

use super::cpu;
use super::descriptors::{KERNEL_CODE, KERNEL_DATA};
use super::nesting;
use super::stacks;
use super::trap::Frame;
use super::windows;
use crate::arch::End;

/// The stack pointer under which the starter's callee-saved registers lie.
#[repr(C)]
pub(crate) struct Recovery {
    stack_pointer: usize,
}

// unikernel_enter(recovery, stack top, function): saves the callee-saved registers and control words (System V ABI 3.2.1 to 3.2.3)
// below `recovery`, calls `function` on the other stack, which must be 16-byte aligned, and returns 0.
// unikernel_abandon(recovery, code): returns `code` from the `unikernel_enter` that filled `recovery`, with interrupts off and the
// floating-point state that function was entered with, whatever the abandoned code did to flags and control words.
global_asm!(
    r#"
    .text
    .global unikernel_enter
unikernel_enter:
    push    rbp
    push    rbx
    push    r12
    push    r13
    push    r14
    push    r15
    sub     rsp, 8
    stmxcsr [rsp]
    fnstcw  [rsp + 4]
    mov     [rdi], rsp
    mov     rbx, rdi
    mov     rsp, rsi
    xor     ebp, ebp
    call    rdx
    mov     rdi, rbx
    xor     esi, esi
    .global unikernel_abandon
unikernel_abandon:
    cli
    cld
    mov     rsp, [rdi]
    mov     rax, rsi
    fninit
    fldcw   [rsp + 4]
    ldmxcsr [rsp]
    add     rsp, 8
    pop     r15
    pop     r14
    pop     r13
    pop     r12
    pop     rbx
    pop     rbp
    ret
    "#
);

unsafe extern "C" {
    fn unikernel_enter(recovery: *mut Recovery, stack_top: usize, function: extern "C" fn())
    -> u64;
    fn unikernel_abandon(recovery: *mut Recovery, code: u64) -> !;
}

/// Runs `function` on the test stack until it returns or is abandoned. Not nested, and not while holding a lock.
pub(crate) fn run(function: extern "C" fn()) -> End {
    let mut recovery = Recovery { stack_pointer: 0 };
    let cpu = cpu::current();
    cpu.recovery.store(&raw mut recovery, Ordering::Relaxed);
    // SAFETY: the test stack is in nobody's use, as `run` is not nested; `recovery` outlives the call, and is forgotten
    // below before it goes.
    let code = unsafe { unikernel_enter(&raw mut recovery, stacks::test_top(), function) };
    cpu.recovery.store(core::ptr::null_mut(), Ordering::Relaxed);
    cpu.trap_depth.store(0, Ordering::Relaxed);
    cpu.panics.store(0, Ordering::Relaxed);
    cpu.set_hook(None);
    let end = end_from(code);
    if end != End::Returned {
        windows::close_all();
        nesting::forget_all();
    }
    end
}

fn end_from(code: u64) -> End {
    [End::Returned, End::Panicked, End::Faulted, End::TimedOut][code as usize]
}

/// Gives up what runs on this CPU, if it was started by [`run`] and holds no lock. Returns if not.
pub(crate) fn abandon(end: End) {
    if let Some(recovery) = abandonable() {
        // SAFETY: `recovery` is that of a `run` still waiting on this CPU, and what ran on the stack above it is never resumed.
        unsafe { unikernel_abandon(recovery, end as u64) }
    }
}

/// Makes the interrupted code in `frame` be given up as soon as the trap returns; says whether it will be.
pub(super) fn abandon_interrupted(frame: &mut Frame, end: End) -> bool {
    let Some(recovery) = abandonable() else {
        return false;
    };
    const NOTHING_SET: u64 = 0x2; // bit 1 is always 1: no interrupts, no single-stepping, no reversed direction
    frame.rflags = NOTHING_SET;
    // Whatever ring the code was in, this one goes on.
    frame.cs = u64::from(KERNEL_CODE);
    frame.ss = u64::from(KERNEL_DATA);
    frame.rip = unikernel_abandon as *const () as u64;
    frame.rdi = recovery.addr() as u64;
    frame.rsi = end as u64;
    true
}

/// Returns whether what runs on this CPU can be given up.
pub(super) fn can_abandon() -> bool {
    abandonable().is_some()
}

fn abandonable() -> Option<*mut Recovery> {
    let cpu = cpu::current();
    let recovery = cpu.recovery.load(Ordering::Relaxed);
    let holds_no_lock = cpu.locks_held.load(Ordering::Relaxed) == 0;
    (!recovery.is_null() && holds_no_lock).then_some(recovery)
}
