//! Memory functions: the six C routines that compiled code calls by name, and two for whole pages.
//!
//! An image links no C library, yet `core` and the code generator call `memcpy`, `memmove`, `memset`,
//! `memcmp`, `bcmp` and `strlen`. They live here as assembly, because a compiler that meets such a
//! loop written in Rust may turn it into a call of the very function it implements.
//!
//! # Contract of every routine
//!
//! - Entry: System V ABI (arguments in `rdi`, `rsi`, `rdx`; result in `rax`), direction flag clear,
//!   any alignment unless the routine says otherwise. A size of zero touches no memory.
//! - Exit: direction flag still clear. Clobbered at most: `rax`, `rcx`, `rdx`, `rsi`, `rdi`, `r8`, `r9`,
//!   `xmm0`-`xmm12` and the arithmetic flags. Nothing wider than `xmm` is used: entry stubs save no more.
//! - The stack is never touched: at every instruction in [`contains`] the return address is at `[rsp]`,
//!   so a backtrace that starts here still finds the caller.
//! - Position independent: the only memory operand that is not an argument is relative to `rip`.
//!
//! # How sizes are handled
//!
//! ```text
//! 0 ..= 16     general registers, two overlapping moves (single bytes below four)
//! 17 ..= 128   2, 4 or 8 overlapping 16-byte moves, no loop
//! above        16-byte moves to an aligned destination, 256 or 512 bytes per iteration, then 64;
//!              the ragged ends are covered by unaligned moves that overlap the loop's
//! ```
//!
//! That is [`Strategy::Vector`], right everywhere. Where [`select_for_this_cpu`] found better, large sizes
//! use string instructions instead. They are not the default, and never the byte-wise ones under emulation,
//! because an emulator executes them element by element: under QEMU's TCG 4 KiB of `rep stosb` take 14,400
//! cycles and 4,108 counted instructions, `rep stosq` 1,875 and 524, and unrolled 16-byte stores need fewer
//! of both. TCG's `max` CPU announces ERMS all the same, so the hypervisor's name decides first.
//!
//! In an image the six have their C names. On the host they carry the prefix `unikernel_`, so that tests
//! run this very code beside the host's own C library.

#![allow(
    unsafe_code,
    reason = "memory functions are assembly; page routines and the section's bounds are foreign items"
)]

use core::arch::global_asm;
use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::ptr::addr_of;
use core::sync::atomic::{AtomicU8, Ordering};

/// How large sizes are moved, filled and compared.
///
/// The assembly compares with [`Strategy::FastStrings`]: below, equal, above.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Strategy {
    /// 16-byte moves for every size.
    Vector = 0,
    /// `rep movsb` and `rep stosb` from 2 KiB on: a CPU with ERMS moves whole cache lines by them.
    FastStrings = 1,
    /// `rep movsq` and `repe cmpsq` for all that would need a loop: the fewest instructions and cycles
    /// under TCG, where a 16-byte load costs more than two 8-byte ones. Fills stay with 16-byte stores.
    Emulator = 2,
}

/// The [`Strategy`] in use, read by the assembly.
static STRATEGY: AtomicU8 = AtomicU8::new(Strategy::Vector as u8);

/// One page of memory as the page routines take it.
pub(crate) type PageBytes = [u8; 4096];

unsafe extern "C" {
    /// Fills one page with zeros.
    ///
    /// # Safety
    ///
    /// 1. `page` is mapped writable and nothing else reads or writes it during the call.
    /// 2. `page` is a multiple of 16.
    #[link_name = "unikernel_clear_page"]
    pub(crate) fn clear_page(page: *mut PageBytes);

    /// Copies one page.
    ///
    /// # Safety
    ///
    /// 1. `source` is mapped readable and nothing writes it during the call.
    /// 2. `destination` is mapped writable and nothing else reads or writes it during the call.
    /// 3. Both are multiples of 16, and the two pages do not overlap.
    #[link_name = "unikernel_copy_page"]
    pub(crate) fn copy_page(destination: *mut PageBytes, source: *const PageBytes);

    #[link_name = "unikernel_memory_functions_start"]
    static START: u8;
    #[link_name = "unikernel_memory_functions_end"]
    static END: u8;
}

/// Returns whether the instruction at `address` belongs to a memory function.
pub(crate) fn contains(address: u64) -> bool {
    (addr_of!(START).addr() as u64..addr_of!(END).addr() as u64).contains(&address)
}

/// Chooses the fastest way for large sizes on this CPU.
///
/// Called once while booting; before that every size takes 16-byte moves.
pub(crate) fn select_for_this_cpu() {
    let strategy = if is_emulated() {
        Strategy::Emulator
    } else if has_fast_strings() {
        Strategy::FastStrings
    } else {
        Strategy::Vector
    };
    use_strategy(strategy);
}

fn use_strategy(strategy: Strategy) {
    // Relaxed: every strategy is correct at any time, so nothing is ordered against this store.
    STRATEGY.store(strategy as u8, Ordering::Relaxed);
}

/// Returns whether the CPU announces enhanced `rep movsb/stosb`: leaf 7, EBX bit 9 (Intel SDM 2A, CPUID).
fn has_fast_strings() -> bool {
    let highest_leaf = __cpuid(0).eax;
    highest_leaf >= 7 && __cpuid_count(7, 0).ebx & 1 << 9 != 0
}

/// Returns whether the CPU is QEMU's TCG, known by its signature in the first hypervisor leaf.
///
/// That leaf means something only where a hypervisor is present (leaf 1, ECX bit 31).
fn is_emulated() -> bool {
    const HYPERVISOR_LEAF: u32 = 0x4000_0000;
    if __cpuid(1).ecx & 1 << 31 == 0 {
        return false;
    }
    let signature = __cpuid(HYPERVISOR_LEAF);
    let emulator = [b"TCGT", b"CGTC", b"GTCG"].map(|part| u32::from_le_bytes(*part));
    [signature.ebx, signature.ecx, signature.edx] == emulator
}

/// Expands to what precedes the C names: nothing in an image, a prefix on the host.
#[cfg(unikernel)]
macro_rules! c_prefix {
    () => {
        ""
    };
}

/// Expands to what precedes the C names: nothing in an image, a prefix on the host.
#[cfg(not(unikernel))]
macro_rules! c_prefix {
    () => {
        "unikernel_"
    };
}

// All routines share one page (a test counts): TCG looks a block of code up anew each time when it
// crosses into another page, which doubles the cost of an unlucky loop.
global_asm!(
    ".macro function symbol, code",
    ".globl \\symbol",
    ".type \\symbol, @function",
    ".set \\symbol, .L\\code",
    ".size \\symbol, .L\\code\\()_end - .L\\code",
    ".endm",
    ".pushsection .text.memory_functions, \"ax\", @progbits",
    ".balign 4096",
    ".globl unikernel_memory_functions_start",
    "unikernel_memory_functions_start:",
    include_str!("memory_functions/copy.s"),
    include_str!("memory_functions/fill.s"),
    include_str!("memory_functions/compare.s"),
    include_str!("memory_functions/page.s"),
    ".globl unikernel_memory_functions_end",
    "unikernel_memory_functions_end:",
    concat!("function ", c_prefix!(), "memcpy, copy"),
    concat!("function ", c_prefix!(), "memmove, copy"),
    concat!("function ", c_prefix!(), "memset, fill"),
    concat!("function ", c_prefix!(), "memcmp, compare"),
    concat!("function ", c_prefix!(), "bcmp, compare"),
    concat!("function ", c_prefix!(), "strlen, string"),
    "function unikernel_clear_page, clear_page",
    "function unikernel_copy_page, copy_page",
    ".popsection",
    ".purgem function",
    strategy = sym STRATEGY,
    fast_strings = const Strategy::FastStrings as u8,
);

#[cfg(all(test, not(miri)))]
mod tests;
