//! How memory is cached: the page attribute table, programmed alike on every CPU, and the memory type range registers, read.
//!
//! The page attribute table keeps its meaning after reset (SDM 3A, table 12-12), except for its last slot, which becomes
//! write-combining: so a page entry written by somebody who knows only the old meanings still means what they meant.

use core::arch::asm;
use core::arch::x86_64::__cpuid;

use spin::Once;
use x86_64::registers::control::{Cr0, Cr0Flags};
use x86_64::registers::model_specific::Msr;

use super::mtrr::{RangeTypes, VariableRange};
use super::paging::flush_everything;
use crate::memory::table::memory_type::PAGE_ATTRIBUTE_TABLE;

/// IA32_PAT (SDM 4, table 2-2).
const PAT: u32 = 0x277;

const MTRR_CAPABILITIES: u32 = 0xfe;
const MTRR_DEFAULT: u32 = 0x2ff;
const MTRR_FIRST_VARIABLE: u32 = 0x200;
/// In ascending order of the memory they are about.
const MTRR_FIXED: [u32; 11] = [
    0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f,
];

/// Returns whether this CPU has a page attribute table (CPUID 1, EDX bit 16).
pub(crate) fn has_pat() -> bool {
    static HAS_PAT: Once<bool> = Once::new();
    *HAS_PAT.call_once(|| __cpuid(1).edx >> 16 & 1 == 1)
}

/// Programs this CPU's page attribute table. On a CPU without one nothing happens, and write-combining becomes uncached-minus.
///
/// The sequence is the one for any change of memory types (SDM 3A, 12.11.8, referred to by 12.12.4): no interrupts, caches off
/// and written back, translations forgotten, before and after.
pub(crate) fn program_pat() {
    if !has_pat() {
        return;
    }
    let control = Cr0::read();
    let caches_off = (control | Cr0Flags::CACHE_DISABLE).difference(Cr0Flags::NOT_WRITE_THROUGH);
    // SAFETY: caches are an optimisation; interrupts are off during boot.
    unsafe { Cr0::write(caches_off) };
    write_back_caches();
    flush_everything();
    // SAFETY: the value holds valid memory types only, and no mapping uses the slot that changes.
    unsafe { Msr::new(PAT).write(PAGE_ATTRIBUTE_TABLE) };
    write_back_caches();
    flush_everything();
    // SAFETY: as it was.
    unsafe { Cr0::write(control) };
}

fn write_back_caches() {
    // SAFETY: writes modified lines back and empties the caches; nothing is lost.
    unsafe { asm!("wbinvd", options(nostack, preserves_flags)) }
}

/// Returns the page attribute table as this CPU has it.
pub(crate) fn pat() -> Option<u64> {
    // SAFETY: the register exists where the CPU says so.
    has_pat().then(|| unsafe { Msr::new(PAT).read() })
}

/// Returns the memory type range registers, which the firmware set and nobody changes; nothing on a CPU without them (CPUID 1, EDX
/// bit 12).
pub(crate) fn range_types() -> Option<&'static RangeTypes> {
    static READ: Once<Option<RangeTypes>> = Once::new();
    READ.call_once(|| (__cpuid(1).edx >> 12 & 1 == 1).then(read_range_types))
        .as_ref()
}

fn read_range_types() -> RangeTypes {
    const HAS_FIXED: u64 = 1 << 8;
    // SAFETY: the registers exist, as the caller and the capabilities say; reading them changes nothing.
    let read = |register| unsafe { Msr::new(register).read() };
    let capabilities = read(MTRR_CAPABILITIES);
    let fixed = (capabilities & HAS_FIXED != 0).then(|| MTRR_FIXED.map(read));
    let count = (capabilities & 0xff) as u32;
    let variable = (0..count).map(|index| {
        let register = MTRR_FIRST_VARIABLE + 2 * index;
        VariableRange {
            base: read(register),
            mask: read(register + 1),
        }
    });
    RangeTypes::new(read(MTRR_DEFAULT), fixed, variable)
}
