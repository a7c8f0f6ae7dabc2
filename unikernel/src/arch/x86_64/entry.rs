//! From the loader's hands to Rust: the Multiboot2 header, 32-bit entry, long mode, the high half.
//!
//! Both loaders enter in 32-bit protected mode without paging: Multiboot2 (Multiboot2 specification 2.0, 3.3: EAX holds
//! the magic 0x36d76289, EBX the address of the boot information) and PVH (Xen x86/HVM direct boot ABI: EBX holds the
//! address of `hvm_start_info`). Both have placed the image where `linker.ld` says, which [`image`](super::image) relies on later;
//! neither promises a stack. The linker knows virtual addresses only, which 32-bit code cannot use; so the code first finds itself by
//! call and pop, using the first word of the loader's information as its stack and mending it at once, and addresses everything else
//! by its distance from there. No 64-bit absolute address occurs in the text.
//!
//! It leaves these tables (zeroed by the loader, in `.bss`), which [`tables`](super::tables) refines:
//!
//! ```text
//! root ─┬─ 0    ─► low  ─► 4 directories     first 4 GiB as they are, until boot is over
//!       ├─ 510  ─► root                      the recursive slot
//!       └─ 511  ─► high ─┬─ 510 ─► image     the image at -2 GiB
//!                        └─ 511 ─► window    one table for temporary mappings, at the very top
//! ```

#![expect(
    bad_asm_style,
    reason = "a difference of symbols can be written in AT&T syntax only, everything else reads better in Intel's"
)]

use core::arch::global_asm;

use super::address::{IMAGE_BASE, LOADED_AT, PAGE, RECURSIVE_SLOT, WINDOWS};
use super::console::{COM1, LINE_STATUS, MOST_LOOKS, READY};
use super::exit::{EXIT_PORT, FIRST_CODE};
use super::identity::MAPPED;
use super::stacks::{BOOT_STACK, BOOT_STACK_PAGES};
use super::tables::{HIGH, IMAGE_DIRECTORY, LOW, LOW_DIRECTORIES, WINDOW_DIRECTORY, WINDOW_TABLE};
use crate::exit::ExitCode;

// What the code below takes for granted of the tables and addresses it is given.
const _: () = {
    // `.Lentry_link` goes on to the next table: four directories for the low map, two for the high one.
    assert!(MAPPED == 4 << 30 && LOW_DIRECTORIES + 4 <= HIGH);
    assert!(WINDOW_DIRECTORY == IMAGE_DIRECTORY + 1);
    // The image's directory is the last but one of the last slot, that of the windows the last, and so is their table.
    assert!(IMAGE_BASE >> 39 & 511 == 511 && IMAGE_BASE >> 30 & 511 == 510);
    assert!(WINDOWS.start >> 21 == usize::MAX >> 21);
    // A sign-extended 32-bit number reaches the text.
    assert!((IMAGE_BASE + LOADED_AT) as i32 as usize == IMAGE_BASE + LOADED_AT);
};

/// The stand-in for a magic number that the entry passes on for PVH, which has none in a register: the magic that
/// `hvm_start_info` itself begins with.
const PVH_MAGIC: u32 = 0x336e_c578;

// Entry contract: 32-bit protected mode, flat segments, paging and interrupts off, EBX = information.
// Exit contract: `unikernel_boot(magic, information)` in the high half, on BOOT_STACK, stack 16-byte aligned before the
// call, RBP = 0 so that backtraces end here, SSE usable, NX and write protection on, interrupts off.
global_asm!(
    r#"
    // \register = the physical address of \symbol, from .Lentry_here in EBP; only AT&T syntax can write a difference of symbols.
    .macro  find register, symbol
    .att_syntax prefix
    lea     \symbol - .Lentry_here(%ebp), %\register
    .intel_syntax noprefix
    .endm

    .section .boot.header, "a"
    .balign 8
.Lentry_header:
    .long 0xe85250d6
    .long 0
    .long .Lentry_header_end - .Lentry_header
    .long -(0xe85250d6 + (.Lentry_header_end - .Lentry_header))
    .short 6, 0                     // modules start on page boundaries
    .long 8
    .short 5, 1                     // a framebuffer of 32 bits, of any size, if there can be one
    .long 20, 0, 0, 32, 0
    .short 0, 0                     // end of tags
    .long 8
.Lentry_header_end:

    .section .boot.text, "ax"
    .code32
    .global unikernel_start_multiboot2
unikernel_start_multiboot2:
    jmp     .Lentry_common
    .global unikernel_start_pvh
unikernel_start_pvh:
    mov     eax, {pvh_magic}
.Lentry_common:
    cli
    cld
    mov     esi, eax                // magic
    mov     edx, [ebx]              // borrow the first word as a stack
    lea     esp, [ebx + 4]
    call    .Lentry_here
.Lentry_here:
    pop     ebp                     // physical address of .Lentry_here
    mov     [ebx], edx
    find    esp, "{stack} + {stack_size}"

    rdtsc
    find    edi, {entry_ticks}
    mov     [edi], eax
    mov     [edi + 4], edx

    mov     eax, 0x80000001         // AMD64 APM 3, CPUID 8000_0001h: EDX 29 long mode, EDX 20 no-execute
    push    ebx
    cpuid
    pop     ebx
    and     edx, 0x20100000
    cmp     edx, 0x20100000
    find    edi, .Lentry_old_processor
    jne     .Lentry_refuse

    find    edi, {tables}
    lea     eax, [edi + {low} + 3]     // present, writable
    mov     [edi], eax
    lea     eax, [edi + 0x0003]
    mov     [edi + {recursive_slot} * 8], eax
    lea     eax, [edi + {high} + 3]
    mov     [edi + {image_slot} * 8], eax
    lea     eax, [edi + {low_directories} + 3]
    lea     ecx, [edi + {low}]
    call    .Lentry_link
    call    .Lentry_link
    call    .Lentry_link
    call    .Lentry_link
    lea     eax, [edi + {image_directory} + 3]
    lea     ecx, [edi + {high} + {image_index} * 8]
    call    .Lentry_link
    call    .Lentry_link
    lea     eax, [edi + {window_table} + 3]
    mov     [edi + {window_directory} + 511 * 8], eax

    lea     ecx, [edi + {low_directories}] // the first 4 GiB as they are, in 2 MiB pages
    mov     eax, 0x83
    mov     edx, {identity_pages}
    call    .Lentry_fill
    lea     ecx, [edi + {image_directory}] // the 1 GiB at -2 GiB, 2 MiB below the image
    find    eax, unikernel_text_start
    add     eax, 0x83 - {loaded_at}
    mov     edx, 512
    call    .Lentry_fill

    mov     cr3, edi
    mov     eax, 0x6e0              // PAE, MCE, PGE, OSFXSR, OSXMMEXCPT and nothing a loader left (SDM 3A, 2.5)
    mov     cr4, eax
    mov     ecx, 0xc0000080
    rdmsr
    or      eax, 0x900              // EFER: LME, NXE (SDM 3A, 2.2.1)
    wrmsr
    mov     eax, cr0
    and     eax, 0xfffffff3         // EM, TS off
    or      eax, 0x80010022         // PG, WP, NE, MP
    mov     cr0, eax

    find    eax, .Lentry_gdt
    mov     word ptr [esp - 6], 23
    mov     [esp - 4], eax
    lgdt    [esp - 6]
    find    eax, .Lentry_long
    push    8
    push    eax
    retf

.Lentry_link:                             // [ecx] = eax; both to the next table
    mov     [ecx], eax
    add     ecx, 8
    add     eax, 0x1000
    ret

.Lentry_fill:                             // edx entries from ecx, 2 MiB apart, starting with eax
    mov     [ecx], eax
    add     ecx, 8
    add     eax, 0x200000
    dec     edx
    jnz     .Lentry_fill
    ret

.Lentry_refuse:                           // say why on the serial line, leave by the exit device
    mov     bl, [edi]
    inc     edi
    test    bl, bl
    jz      .Lentry_stop
    mov     ecx, {most_looks}
    mov     dx, {line_status}
.Lentry_wait:
    in      al, dx
    test    al, {ready}
    jnz     .Lentry_ready
    dec     ecx
    jnz     .Lentry_wait
.Lentry_ready:
    mov     al, bl
    mov     dx, {com1}
    out     dx, al
    jmp     .Lentry_refuse
.Lentry_stop:
    mov     eax, {no_boot}
    mov     dx, {exit_port}
    out     dx, eax
    hlt
    jmp     .Lentry_stop
.Lentry_old_processor:
    .asciz  "unikernel: cannot boot: this processor has no long mode with no-execute\r\n"

    .balign 8
.Lentry_gdt:
    .quad   0, 0x00af9b000000ffff, 0x00cf93000000ffff

    .code64
.Lentry_long:
    mov     eax, 16
    mov     ds, eax
    mov     es, eax
    mov     ss, eax
    xor     eax, eax
    mov     fs, eax
    mov     gs, eax
    lea     rax, [rip + unikernel_start_high] // physical here; the same distance from the image's start in the high half
    lea     rcx, [rip + unikernel_text_start]
    sub     rax, rcx
    mov     rcx, {text_start}
    add     rax, rcx
    jmp     rax
unikernel_start_high:                     // a name of its own: it ends every backtrace, whichever way the loader came
    lea     rsp, [rip + {stack} + {stack_size}]
    xor     ebp, ebp
    mov     edi, esi
    mov     esi, ebx
    call    {boot}
    ud2
    .text
    "#,
    pvh_magic = const PVH_MAGIC,
    stack = sym BOOT_STACK,
    stack_size = const size_of::<super::stacks::Guarded<BOOT_STACK_PAGES>>(),
    entry_ticks = sym super::time::ENTRY_TICKS,
    tables = sym super::tables::BOOT_TABLES_MEMORY,
    boot = sym crate::boot::start::boot,
    recursive_slot = const RECURSIVE_SLOT,
    image_slot = const IMAGE_BASE >> 39 & 511,
    image_index = const IMAGE_BASE >> 30 & 511,
    low = const LOW * PAGE,
    low_directories = const LOW_DIRECTORIES * PAGE,
    high = const HIGH * PAGE,
    image_directory = const IMAGE_DIRECTORY * PAGE,
    window_directory = const WINDOW_DIRECTORY * PAGE,
    window_table = const WINDOW_TABLE * PAGE,
    identity_pages = const MAPPED >> 21,
    loaded_at = const LOADED_AT,
    text_start = const (IMAGE_BASE + LOADED_AT) as i32,
    com1 = const COM1,
    line_status = const COM1 + LINE_STATUS,
    ready = const READY,
    most_looks = const MOST_LOOKS,
    no_boot = const ExitCode::NO_BOOT.to_u8() + FIRST_CODE,
    exit_port = const EXIT_PORT,
);
