# Whole pages, both arguments aligned to 16. The head of memory_functions.rs states what may be
# clobbered and what `strategy` means.

# clear_page(page: rdi)

    .balign 16
.Lclear_page:
    cmp     byte ptr [rip + {strategy}], {fast_strings}
    je      .Lclear_page_bytes
    xorps   xmm0, xmm0
    add     rdi, 4096
    mov     rcx, -4096
.Lclear_page_512:
    .irp block, 0, 64, 128, 192, 256, 320, 384, 448
    movaps  [rdi + rcx + \block], xmm0
    movaps  [rdi + rcx + \block + 16], xmm0
    movaps  [rdi + rcx + \block + 32], xmm0
    movaps  [rdi + rcx + \block + 48], xmm0
    .endr
    add     rcx, 512
    jne     .Lclear_page_512
    ret
.Lclear_page_bytes:
    xor     eax, eax
    mov     ecx, 4096
    rep stosb
    ret
.Lclear_page_end:

# copy_page(destination: rdi, source: rsi)
#
# Under every strategy: aligned as pages are, `rep movsq` is as fast as `rep movsb` where that is fast,
# and takes half as long as 16-byte moves under TCG.

    .balign 16
.Lcopy_page:
    mov     ecx, 4096 / 8
    rep movsq
    ret
.Lcopy_page_end:
