//! Where the parts of the running image lie, from the symbols of `linker.ld`.

use core::ops::Range;

use super::address::{IMAGE_BASE, PAGE};

/// What may be done with a part of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rights {
    /// Read and execute.
    Execute,
    /// Read only.
    Read,
    /// Read and write.
    Write,
}

/// A part of the image with rights of its own.
pub(crate) struct Section {
    /// Its name as reports show it.
    pub(crate) name: &'static str,
    /// Its addresses, widened to whole pages at the end.
    pub(crate) range: Range<usize>,
    /// What may be done with it.
    pub(crate) rights: Rights,
}

unsafe extern "C" {
    safe static unikernel_text_start: u8;
    safe static unikernel_text_end: u8;
    safe static unikernel_rodata_start: u8;
    safe static unikernel_rodata_end: u8;
    safe static unikernel_relro_start: u8;
    safe static unikernel_relro_end: u8;
    safe static unikernel_data_start: u8;
    safe static unikernel_data_end: u8;
    safe static unikernel_symbols_start: u8;
}

// What the tool replaces by the names of all functions: magic, total length 16, no entries. See `symbols`.
core::arch::global_asm!(
    r#"
    .section .symbols, "ax"
    .ascii  "UKSYMTAB"
    .long   16, 0
    .text
    "#
);

fn address(symbol: &'static u8) -> usize {
    core::ptr::from_ref(symbol).addr()
}

/// Returns the parts of the image in the order of their addresses.
pub(crate) fn sections() -> [Section; 5] {
    let symbols = symbol_table();
    let start = symbols.as_ptr().addr();
    let section = |name, start: usize, end: usize, rights| Section {
        name,
        range: start..end.next_multiple_of(PAGE),
        rights,
    };
    [
        section(
            "text",
            address(&unikernel_text_start),
            address(&unikernel_text_end),
            Rights::Execute,
        ),
        section(
            "read-only data",
            address(&unikernel_rodata_start),
            address(&unikernel_rodata_end),
            Rights::Read,
        ),
        section(
            "relocated read-only data",
            address(&unikernel_relro_start),
            address(&unikernel_relro_end),
            Rights::Read,
        ),
        section(
            "data",
            address(&unikernel_data_start),
            address(&unikernel_data_end),
            Rights::Write,
        ),
        section("symbols", start, start + symbols.len(), Rights::Read),
    ]
}

/// Returns the physical memory the image occupies, in whole frames.
pub(crate) fn physical() -> Range<u64> {
    let [text, .., symbols] = sections();
    (text.range.start - IMAGE_BASE) as u64..(symbols.range.end - IMAGE_BASE) as u64
}

/// Returns the table of function names, empty where the tool's finishing pass has not run.
pub(crate) fn symbol_table() -> &'static [u8] {
    let start = &raw const unikernel_symbols_start;
    let len = start.wrapping_add(8).cast::<u32>();
    // SAFETY: the segment holds at least the 16 bytes above; bytes 8..12 are its length, kept by the finishing pass.
    let len = unsafe { len.read_unaligned() };
    // SAFETY: the loader placed `len` bytes here, nothing writes them, and they stay for good.
    unsafe { core::slice::from_raw_parts(start, len as usize) }
}

/// Returns the bytes of code from `address` on, as many as one instruction can have; none outside of code.
pub(crate) fn code_at(address: usize) -> &'static [u8] {
    const LONGEST_INSTRUCTION: usize = 15;
    let [text, ..] = sections();
    if !text.range.contains(&address) {
        return &[];
    }
    let len = LONGEST_INSTRUCTION.min(text.range.end - address);
    let start = core::ptr::with_exposed_provenance::<u8>(address);
    // SAFETY: the bytes lie in the text section, which is mapped for good and never written.
    unsafe { core::slice::from_raw_parts(start, len) }
}
