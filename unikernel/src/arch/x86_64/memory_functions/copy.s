# memcpy, memmove(destination: rdi, source: rsi, size: rdx) -> rax = destination
#
# One routine for both: up to 128 bytes everything is loaded before anything is stored, and above
# that the check for overlap costs four instructions. A memcpy that forgives overlap is worth them.
# The head of memory_functions.rs states what may be clobbered and what `strategy` means.

    .balign 16
.Lcopy:
    mov     rax, rdi
    cmp     rdx, 16
    jb      .Lcopy_below_16
    cmp     rdx, 32
    ja      .Lcopy_above_32
    movups  xmm0, [rsi]
    movups  xmm1, [rsi + rdx - 16]
    movups  [rdi], xmm0
    movups  [rdi + rdx - 16], xmm1
    ret

.Lcopy_above_32:
    cmp     rdx, 64
    ja      .Lcopy_above_64
    movups  xmm0, [rsi]
    movups  xmm1, [rsi + 16]
    movups  xmm2, [rsi + rdx - 32]
    movups  xmm3, [rsi + rdx - 16]
    movups  [rdi], xmm0
    movups  [rdi + 16], xmm1
    movups  [rdi + rdx - 32], xmm2
    movups  [rdi + rdx - 16], xmm3
    ret

.Lcopy_above_64:
    cmp     rdx, 128
    ja      .Lcopy_above_128
    movups  xmm0, [rsi]
    movups  xmm1, [rsi + 16]
    movups  xmm2, [rsi + 32]
    movups  xmm3, [rsi + 48]
    movups  xmm4, [rsi + rdx - 64]
    movups  xmm5, [rsi + rdx - 48]
    movups  xmm6, [rsi + rdx - 32]
    movups  xmm7, [rsi + rdx - 16]
    movups  [rdi], xmm0
    movups  [rdi + 16], xmm1
    movups  [rdi + 32], xmm2
    movups  [rdi + 48], xmm3
    movups  [rdi + rdx - 64], xmm4
    movups  [rdi + rdx - 48], xmm5
    movups  [rdi + rdx - 32], xmm6
    movups  [rdi + rdx - 16], xmm7
    ret

.Lcopy_below_16:
    cmp     edx, 8
    jb      .Lcopy_below_8
    mov     rcx, [rsi]
    mov     r8, [rsi + rdx - 8]
    mov     [rdi], rcx
    mov     [rdi + rdx - 8], r8
    ret
.Lcopy_below_8:
    cmp     edx, 4
    jb      .Lcopy_below_4
    mov     ecx, [rsi]
    mov     r8d, [rsi + rdx - 4]
    mov     [rdi], ecx
    mov     [rdi + rdx - 4], r8d
    ret
.Lcopy_below_4:
    cmp     edx, 1
    jb      .Lcopy_nothing
    movzx   ecx, byte ptr [rsi]
    je      .Lcopy_one
    movzx   r8d, word ptr [rsi + rdx - 2]
    mov     [rdi + rdx - 2], r8w
.Lcopy_one:
    mov     [rdi], cl
.Lcopy_nothing:
    ret

    # The first 16 and the last 64 bytes are loaded now and stored last, so that the loop in between
    # may start at an aligned destination, move whole blocks, and stop up to 63 bytes short.
.Lcopy_above_128:
    mov     rcx, rdi
    sub     rcx, rsi
    cmp     rcx, rdx
    jb      .Lcopy_backward
    cmp     byte ptr [rip + {strategy}], {fast_strings}
    ja      .Lcopy_words
    je      .Lcopy_bytes
.Lcopy_forward:
    movups  xmm8, [rsi]
    movups  xmm9, [rsi + rdx - 64]
    movups  xmm10, [rsi + rdx - 48]
    movups  xmm11, [rsi + rdx - 32]
    movups  xmm12, [rsi + rdx - 16]
    add     rsi, rdx
    lea     r8, [rdi + rdx]
    lea     rcx, [rdi + 15]
    and     rcx, -16
    sub     rcx, r8
    # Now rcx counts up from minus the bytes left; rsi and r8 are the two ends.
    add     rcx, 256
    jg      .Lcopy_forward_rest
.Lcopy_forward_256:
    .irp block, 0, 64, 128, 192
    movups  xmm0, [rsi + rcx + \block - 256]
    movups  xmm1, [rsi + rcx + \block - 240]
    movups  xmm2, [rsi + rcx + \block - 224]
    movups  xmm3, [rsi + rcx + \block - 208]
    movaps  [r8 + rcx + \block - 256], xmm0
    movaps  [r8 + rcx + \block - 240], xmm1
    movaps  [r8 + rcx + \block - 224], xmm2
    movaps  [r8 + rcx + \block - 208], xmm3
    .endr
    add     rcx, 256
    jle     .Lcopy_forward_256
.Lcopy_forward_rest:
    add     rcx, 64 - 256
    jg      .Lcopy_forward_ends
.Lcopy_forward_64:
    movups  xmm0, [rsi + rcx - 64]
    movups  xmm1, [rsi + rcx - 48]
    movups  xmm2, [rsi + rcx - 32]
    movups  xmm3, [rsi + rcx - 16]
    movaps  [r8 + rcx - 64], xmm0
    movaps  [r8 + rcx - 48], xmm1
    movaps  [r8 + rcx - 32], xmm2
    movaps  [r8 + rcx - 16], xmm3
    add     rcx, 64
    jle     .Lcopy_forward_64
.Lcopy_forward_ends:
    movups  [r8 - 64], xmm9
    movups  [r8 - 48], xmm10
    movups  [r8 - 32], xmm11
    movups  [r8 - 16], xmm12
    movups  [rdi], xmm8
    ret

    # The last 8 bytes are loaded first and stored last, as they may overlap the words.
.Lcopy_words:
    mov     r8, [rsi + rdx - 8]
    lea     r9, [rdi + rdx - 8]
    mov     rcx, rdx
    shr     rcx, 3
    rep movsq
    mov     [r9], r8
    ret

    # A CPU is slow at `rep movsb` when the destination follows its source closely.
.Lcopy_bytes:
    cmp     rdx, 2048
    jb      .Lcopy_forward
    neg     rcx
    cmp     rcx, 64
    jb      .Lcopy_forward
    mov     rcx, rdx
    rep movsb
    ret

    # The mirror image: the last 16 and the first 64 bytes are stored last, rdx counts down.
.Lcopy_backward:
    movups  xmm8, [rsi + rdx - 16]
    movups  xmm9, [rsi]
    movups  xmm10, [rsi + 16]
    movups  xmm11, [rsi + 32]
    movups  xmm12, [rsi + 48]
    lea     r8, [rdi + rdx]
    mov     rdx, r8
    and     rdx, -16
    sub     rdx, rdi
    sub     rdx, 256
    jb      .Lcopy_backward_rest
.Lcopy_backward_256:
    .irp block, 192, 128, 64, 0
    movups  xmm0, [rsi + rdx + \block + 48]
    movups  xmm1, [rsi + rdx + \block + 32]
    movups  xmm2, [rsi + rdx + \block + 16]
    movups  xmm3, [rsi + rdx + \block]
    movaps  [rdi + rdx + \block + 48], xmm0
    movaps  [rdi + rdx + \block + 32], xmm1
    movaps  [rdi + rdx + \block + 16], xmm2
    movaps  [rdi + rdx + \block], xmm3
    .endr
    sub     rdx, 256
    jae     .Lcopy_backward_256
.Lcopy_backward_rest:
    add     rdx, 256 - 64
    jnc     .Lcopy_backward_ends
.Lcopy_backward_64:
    movups  xmm0, [rsi + rdx + 48]
    movups  xmm1, [rsi + rdx + 32]
    movups  xmm2, [rsi + rdx + 16]
    movups  xmm3, [rsi + rdx]
    movaps  [rdi + rdx + 48], xmm0
    movaps  [rdi + rdx + 32], xmm1
    movaps  [rdi + rdx + 16], xmm2
    movaps  [rdi + rdx], xmm3
    sub     rdx, 64
    jae     .Lcopy_backward_64
.Lcopy_backward_ends:
    movups  [rdi], xmm9
    movups  [rdi + 16], xmm10
    movups  [rdi + 32], xmm11
    movups  [rdi + 48], xmm12
    movups  [r8 - 16], xmm8
    ret
.Lcopy_end:
