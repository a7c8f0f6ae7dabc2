# memset(destination: rdi, byte: sil, size: rdx) -> rax = destination
#
# The head of memory_functions.rs states what may be clobbered and what `strategy` means.

    .balign 16
.Lfill:
    mov     rax, rdi
    cmp     rdx, 16
    jbe     .Lfill_up_to_16
    movd    xmm0, esi
    punpcklbw xmm0, xmm0
    pshuflw xmm0, xmm0, 0
    punpcklqdq xmm0, xmm0
    cmp     rdx, 128
    ja      .Lfill_above_128
    movups  [rdi], xmm0
    movups  [rdi + rdx - 16], xmm0
    cmp     edx, 32
    jbe     .Lfill_done
    movups  [rdi + 16], xmm0
    movups  [rdi + rdx - 32], xmm0
    cmp     edx, 64
    jbe     .Lfill_done
    movups  [rdi + 32], xmm0
    movups  [rdi + 48], xmm0
    movups  [rdi + rdx - 64], xmm0
    movups  [rdi + rdx - 48], xmm0
.Lfill_done:
    ret

.Lfill_up_to_16:
    movzx   esi, sil
    movabs  rcx, 0x0101010101010101
    imul    rcx, rsi
    cmp     edx, 8
    jb      .Lfill_below_8
    mov     [rdi], rcx
    mov     [rdi + rdx - 8], rcx
    ret
.Lfill_below_8:
    cmp     edx, 4
    jb      .Lfill_below_4
    mov     [rdi], ecx
    mov     [rdi + rdx - 4], ecx
    ret
.Lfill_below_4:
    cmp     edx, 1
    jb      .Lfill_done
    mov     [rdi], cl
    je      .Lfill_done
    mov     [rdi + rdx - 2], cx
    ret

    # The ragged ends first, then whole blocks from the first aligned address on.
.Lfill_above_128:
    cmp     byte ptr [rip + {strategy}], {fast_strings}
    je      .Lfill_bytes
.Lfill_blocks:
    movups  [rdi], xmm0
    lea     r8, [rdi + rdx]
    movups  [r8 - 64], xmm0
    movups  [r8 - 48], xmm0
    movups  [r8 - 32], xmm0
    movups  [r8 - 16], xmm0
    lea     rcx, [rdi + 15]
    and     rcx, -16
    sub     rcx, r8
    # Now rcx counts up from minus the bytes left; r8 is the end.
    add     rcx, 512
    jg      .Lfill_rest
.Lfill_512:
    .irp block, 0, 64, 128, 192, 256, 320, 384, 448
    movaps  [r8 + rcx + \block - 512], xmm0
    movaps  [r8 + rcx + \block - 496], xmm0
    movaps  [r8 + rcx + \block - 480], xmm0
    movaps  [r8 + rcx + \block - 464], xmm0
    .endr
    add     rcx, 512
    jle     .Lfill_512
.Lfill_rest:
    add     rcx, 64 - 512
    jg      .Lfill_done
.Lfill_64:
    movaps  [r8 + rcx - 64], xmm0
    movaps  [r8 + rcx - 48], xmm0
    movaps  [r8 + rcx - 32], xmm0
    movaps  [r8 + rcx - 16], xmm0
    add     rcx, 64
    jle     .Lfill_64
    ret

.Lfill_bytes:
    cmp     rdx, 2048
    jb      .Lfill_blocks
    mov     r8, rdi
    mov     eax, esi
    mov     rcx, rdx
    rep stosb
    mov     rax, r8
    ret
.Lfill_end:
