# The routines that only read. The head of memory_functions.rs states what may be clobbered and what
# `strategy` means.

# memcmp, bcmp(left: rdi, right: rsi, size: rdx) -> eax below, equal to or above zero

    .balign 16
.Lcompare:
    cmp     rdx, 16
    ja      .Lcompare_above_16
    cmp     edx, 8
    jb      .Lcompare_below_8
    mov     rax, [rdi]
    mov     rcx, [rsi]
    cmp     rax, rcx
    jne     .Lcompare_words
    mov     rax, [rdi + rdx - 8]
    mov     rcx, [rsi + rdx - 8]
    cmp     rax, rcx
    jne     .Lcompare_words
    xor     eax, eax
    ret
.Lcompare_below_8:
    cmp     edx, 4
    jb      .Lcompare_below_4
    mov     eax, [rdi]
    mov     ecx, [rsi]
    cmp     eax, ecx
    jne     .Lcompare_words
    mov     eax, [rdi + rdx - 4]
    mov     ecx, [rsi + rdx - 4]
    cmp     eax, ecx
    jne     .Lcompare_words
.Lcompare_equal:
    xor     eax, eax
    ret
    # The first byte, then the last two as a big-endian number.
.Lcompare_below_4:
    test    edx, edx
    je      .Lcompare_equal
    movzx   eax, byte ptr [rdi]
    movzx   ecx, byte ptr [rsi]
    sub     eax, ecx
    jne     .Lcompare_done
    dec     edx
    je      .Lcompare_done
    movzx   eax, word ptr [rdi + rdx - 1]
    movzx   ecx, word ptr [rsi + rdx - 1]
    rol     ax, 8
    rol     cx, 8
    sub     eax, ecx
.Lcompare_done:
    ret
    # The lowest address decides, so the words are compared as big-endian numbers.
.Lcompare_words:
    bswap   rax
    bswap   rcx
    cmp     rax, rcx
    sbb     eax, eax
    or      eax, 1
    ret

    # Whole words first, then the last 8 bytes, which may overlap the words.
.Lcompare_by_words:
    lea     r8, [rdi + rdx - 8]
    lea     r9, [rsi + rdx - 8]
    mov     rcx, rdx
    shr     rcx, 3
    repe cmpsq
    jne     .Lcompare_word_found
    mov     rax, [r8]
    mov     rcx, [r9]
    cmp     rax, rcx
    jne     .Lcompare_words
    xor     eax, eax
    ret
.Lcompare_word_found:
    mov     rax, [rdi - 8]
    mov     rcx, [rsi - 8]
    jmp     .Lcompare_words

    # r8 is the offset of the last 16 bytes, r9 of the last block of 64 before them.
.Lcompare_above_16:
    cmp     byte ptr [rip + {strategy}], {fast_strings}
    ja      .Lcompare_by_words
    xor     ecx, ecx
    lea     r8, [rdx - 16]
    lea     r9, [rdx - 80]
    test    r9, r9
    js      .Lcompare_16
.Lcompare_64:
    movups  xmm0, [rdi + rcx]
    movups  xmm1, [rdi + rcx + 16]
    movups  xmm2, [rdi + rcx + 32]
    movups  xmm3, [rdi + rcx + 48]
    movups  xmm4, [rsi + rcx]
    movups  xmm5, [rsi + rcx + 16]
    movups  xmm6, [rsi + rcx + 32]
    movups  xmm7, [rsi + rcx + 48]
    pcmpeqb xmm0, xmm4
    pcmpeqb xmm1, xmm5
    pcmpeqb xmm2, xmm6
    pcmpeqb xmm3, xmm7
    pand    xmm0, xmm1
    pand    xmm2, xmm3
    pand    xmm0, xmm2
    pmovmskb eax, xmm0
    cmp     eax, 0xffff
    jne     .Lcompare_16
    add     rcx, 64
    cmp     rcx, r9
    jle     .Lcompare_64
.Lcompare_16:
    cmp     rcx, r8
    cmova   rcx, r8
    movups  xmm0, [rdi + rcx]
    movups  xmm1, [rsi + rcx]
    pcmpeqb xmm0, xmm1
    pmovmskb eax, xmm0
    xor     eax, 0xffff
    jne     .Lcompare_found
    add     rcx, 16
    cmp     rcx, rdx
    jb      .Lcompare_16
    ret
.Lcompare_found:
    bsf     eax, eax
    add     rcx, rax
    movzx   eax, byte ptr [rdi + rcx]
    movzx   ecx, byte ptr [rsi + rcx]
    sub     eax, ecx
    ret
.Lcompare_end:

# strlen(string: rdi) -> rax = bytes before the first zero
#
# Aligned loads only: they reach outside the string, but never into a page it does not touch.

    .balign 16
.Lstring:
    mov     ecx, edi
    and     ecx, 15
    mov     rax, rdi
    and     rax, -16
    pxor    xmm0, xmm0
    movdqa  xmm1, [rax]
    pcmpeqb xmm1, xmm0
    pmovmskb edx, xmm1
    shr     edx, cl
    test    edx, edx
    jne     .Lstring_ends_first
.Lstring_16:
    add     rax, 16
    movdqa  xmm1, [rax]
    pcmpeqb xmm1, xmm0
    pmovmskb edx, xmm1
    test    edx, edx
    je      .Lstring_16
    bsf     edx, edx
    add     rax, rdx
    sub     rax, rdi
    ret
.Lstring_ends_first:
    bsf     eax, edx
    ret
.Lstring_end:
