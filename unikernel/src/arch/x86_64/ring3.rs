//! A step into ring 3, for tests of what ring 3 must not do.

use core::arch::asm;

use super::descriptors::{USER_CODE, USER_DATA};

/// Leaves for ring 3, at `code`, with RDI = `argument` and interrupts off. There is no way back but an exception.
///
/// # Safety
///
/// 1. `code` is mapped for ring 3 under the active root.
/// 2. What runs there is to be given up: the caller's stack is not returned to.
pub unsafe fn enter(code: u64, argument: u64) -> ! {
    const NOTHING_SET: u64 = 0x2;
    // SAFETY: pushes what `iretq` pops (SDM 2A, IRET): SS, RSP, RFLAGS, CS, RIP; the rest is the caller's.
    unsafe {
        asm!(
            "push {data}", "push 0", "push {flags}", "push {segment}", "push {code}", "iretq",
            data = in(reg) u64::from(USER_DATA),
            flags = in(reg) NOTHING_SET,
            segment = in(reg) u64::from(USER_CODE),
            code = in(reg) code,
            in("rdi") argument,
            options(noreturn),
        )
    }
}
