//! The entry stubs of all 256 vectors: save everything, call [`trap`](super::trap::unikernel_trap), restore, return.
//!
//! The image is built for baseline x86-64, so xmm0-15 and MXCSR are all the vector state a handler can change: instructions
//! without a VEX prefix leave the upper halves of wider registers alone (SDM 1, 14.1).

use core::arch::global_asm;
use core::mem::offset_of;

use super::trap::Frame;

/// Bytes from one stub to the next.
const STUB: u64 = 16;

// The frame as the stubs push it: vectors and MXCSR lowest, on a 16-byte boundary as `movaps` needs it; then fifteen registers, the
// first pushed the highest; then what each stub and the processor push.
const _: () = {
    assert!(offset_of!(Frame, vectors) == 0 && offset_of!(Frame, control) == 16 * 16);
    assert!(offset_of!(Frame, r15) == offset_of!(Frame, control) + 16);
    assert!(offset_of!(Frame, rax) == offset_of!(Frame, r15) + 14 * 8);
    assert!(offset_of!(Frame, rbp) == offset_of!(Frame, rax) - 6 * 8);
    assert!(offset_of!(Frame, vector) == offset_of!(Frame, rax) + 8);
    assert!(offset_of!(Frame, error) == offset_of!(Frame, vector) + 8);
    assert!(offset_of!(Frame, rip) == offset_of!(Frame, error) + 8);
    assert!(size_of::<Frame>() == offset_of!(Frame, rip) + 5 * 8);
    assert!(size_of::<Frame>().is_multiple_of(16));
};

// Entry contract: an interrupt gate on an interrupt stack; the processor has aligned the stack to 16 bytes and pushed SS, RSP,
// RFLAGS, CS, RIP and, for some vectors, an error code (SDM 3A, 6.13 and 6.14.2). Each stub evens this out to error code and
// vector. Exit contract: every register as in the frame, which the handler may have changed.
global_asm!(
    r#"
    .text
    .balign {stub}
unikernel_stubs:
    .set vector, 0
    .rept 256
    .balign {stub}
    .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
    push    0
    .endif
    push    vector
    jmp     .Lcommon_trap
    .set vector, vector + 1
    .endr

.Lcommon_trap:
    push    rax
    push    rbx
    push    rcx
    push    rdx
    push    rsi
    push    rdi
    push    rbp
    push    r8
    push    r9
    push    r10
    push    r11
    push    r12
    push    r13
    push    r14
    push    r15
    sub     rsp, {saved}
    movaps  [rsp], xmm0
    movaps  [rsp + 16], xmm1
    movaps  [rsp + 32], xmm2
    movaps  [rsp + 48], xmm3
    movaps  [rsp + 64], xmm4
    movaps  [rsp + 80], xmm5
    movaps  [rsp + 96], xmm6
    movaps  [rsp + 112], xmm7
    movaps  [rsp + 128], xmm8
    movaps  [rsp + 144], xmm9
    movaps  [rsp + 160], xmm10
    movaps  [rsp + 176], xmm11
    movaps  [rsp + 192], xmm12
    movaps  [rsp + 208], xmm13
    movaps  [rsp + 224], xmm14
    movaps  [rsp + 240], xmm15
    stmxcsr [rsp + {control}]
    mov     dword ptr [rsp + {control} + 4], 0x1f80   // all floating-point exceptions masked: the state after reset
    ldmxcsr [rsp + {control} + 4]
    cld
    mov     rdi, rsp
    xor     ebp, ebp
    call    {trap}
    ldmxcsr [rsp + {control}]
    movaps  xmm0, [rsp]
    movaps  xmm1, [rsp + 16]
    movaps  xmm2, [rsp + 32]
    movaps  xmm3, [rsp + 48]
    movaps  xmm4, [rsp + 64]
    movaps  xmm5, [rsp + 80]
    movaps  xmm6, [rsp + 96]
    movaps  xmm7, [rsp + 112]
    movaps  xmm8, [rsp + 128]
    movaps  xmm9, [rsp + 144]
    movaps  xmm10, [rsp + 160]
    movaps  xmm11, [rsp + 176]
    movaps  xmm12, [rsp + 192]
    movaps  xmm13, [rsp + 208]
    movaps  xmm14, [rsp + 224]
    movaps  xmm15, [rsp + 240]
    add     rsp, {saved}
    pop     r15
    pop     r14
    pop     r13
    pop     r12
    pop     r11
    pop     r10
    pop     r9
    pop     r8
    pop     rbp
    pop     rdi
    pop     rsi
    pop     rdx
    pop     rcx
    pop     rbx
    pop     rax
    add     rsp, 16
    iretq
    "#,
    trap = sym super::trap::unikernel_trap,
    stub = const STUB,
    saved = const offset_of!(Frame, r15),
    control = const offset_of!(Frame, control),
);

unsafe extern "C" {
    safe static unikernel_stubs: u8;
}

/// Returns the address of the stub for `vector`.
pub(super) fn stub(vector: u8) -> u64 {
    core::ptr::from_ref(&unikernel_stubs).addr() as u64 + STUB * u64::from(vector)
}
