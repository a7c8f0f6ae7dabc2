//! What makes an ELF file an image: read once, refused with the reason.
//!
//! ```text
//! ELF header, program headers
//! text     PT_LOAD   within the first 32 KiB: the Multiboot2 header, for GRUB
//! ...
//! symbols  PT_LOAD   the last one: "UKSYMTAB", the names of functions, for backtraces
//! note     PT_NOTE   the PVH entry, for `qemu -kernel`
//! ```
//!
//! Cargo's file has an empty table in the last segment; the [finishing pass](crate::finish) fills it.

use std::fmt;

use object::LittleEndian as LE;
use object::elf::{EM_X86_64, FileHeader64, NoteType, PT_LOAD, PT_NOTE, ProgramHeader64};
use object::read::elf::{FileHeader, ProgramHeader};

/// What the table of function names begins with.
pub(crate) const SYMBOLS_MAGIC: &[u8; 8] = b"UKSYMTAB";
/// Magic, length, count: the whole table while it is empty.
pub(crate) const SYMBOLS_HEADER_LEN: usize = 16;

const MULTIBOOT2_MAGIC: u32 = 0xe852_50d6;
const MULTIBOOT2_SEARCH_LEN: usize = 32 << 10;
const PVH_NOTE_TYPE: NoteType = NoteType(18);

/// What a file lacks to be an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageFault {
    /// It is no ELF file at all.
    NotElf,
    /// It is an ELF file for another machine.
    NotX86_64,
    /// It is cut: a segment lies beyond its end.
    Cut,
    /// GRUB could not start it.
    NoMultiboot2Header,
    /// QEMU could not start it directly.
    NoPvhNote,
    /// Its last segment is not the table of function names.
    NoSymbols,
}

impl fmt::Display for ImageFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotElf => "it is not an ELF file",
            Self::NotX86_64 => "it is an ELF file for another machine than x86-64",
            Self::Cut => "the end of the file is missing",
            Self::NoMultiboot2Header => {
                "it has no Multiboot2 header (was it built by `cargo build` instead of `cargo unikernel build`?)"
            }
            Self::NoPvhNote => "it has no PVH note",
            Self::NoSymbols => "its last segment is not a table of function names",
        })
    }
}

/// An ELF file that is an image, finished or not.
pub(crate) struct Elf<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) header: &'a FileHeader64<LE>,
    pub(crate) segments: &'a [ProgramHeader64<LE>],
}

impl<'a> Elf<'a> {
    /// Reads an image.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, ImageFault> {
        let header = FileHeader64::<LE>::parse(bytes).map_err(|_| ImageFault::NotElf)?;
        if header.e_machine(LE) != EM_X86_64 {
            return Err(ImageFault::NotX86_64);
        }
        let segments = header
            .program_headers(LE, bytes)
            .map_err(|_| ImageFault::Cut)?;
        let image = Self {
            bytes,
            header,
            segments,
        };
        image.check()?;
        Ok(image)
    }

    /// Returns the segments that are loaded, in the file's order.
    pub(crate) fn loads(&self) -> impl Iterator<Item = &'a ProgramHeader64<LE>> {
        self.segments
            .iter()
            .filter(|segment| segment.p_type(LE) == PT_LOAD)
    }

    /// Returns the bytes of a segment that are in the file.
    pub(crate) fn contents(&self, segment: &ProgramHeader64<LE>) -> &'a [u8] {
        segment.data(LE, self.bytes).unwrap_or_default()
    }

    /// Returns whether the table of function names was filled already.
    pub(crate) fn is_finished(&self) -> bool {
        let symbols = self.loads().last().map(|segment| self.contents(segment));
        symbols.is_some_and(|table| word(table, 8) as usize > SYMBOLS_HEADER_LEN)
    }

    /// Returns the first physical address after the image.
    pub(crate) fn physical_end(&self) -> u64 {
        let end =
            |segment: &ProgramHeader64<LE>| segment.p_paddr(LE).saturating_add(segment.p_memsz(LE));
        self.loads().map(end).max().unwrap_or(0)
    }

    fn check(&self) -> Result<(), ImageFault> {
        if self
            .segments
            .iter()
            .any(|segment| segment.data(LE, self.bytes).is_err())
        {
            return Err(ImageFault::Cut);
        }
        if !self.has_multiboot2_header() {
            return Err(ImageFault::NoMultiboot2Header);
        }
        if !self.has_pvh_note() {
            return Err(ImageFault::NoPvhNote);
        }
        let last = self.loads().last().ok_or(ImageFault::NoSymbols)?;
        let is_table = self.contents(last).starts_with(SYMBOLS_MAGIC);
        let is_whole = self.contents(last).len() >= SYMBOLS_HEADER_LEN;
        if is_table && is_whole {
            Ok(())
        } else {
            Err(ImageFault::NoSymbols)
        }
    }

    /// Multiboot2 specification 3.1.1: 8-byte aligned, its four words sum up to zero.
    fn has_multiboot2_header(&self) -> bool {
        let start = &self.bytes[..self.bytes.len().min(MULTIBOOT2_SEARCH_LEN)];
        let sum = |at: usize| {
            (0..4).fold(0u32, |sum, index| {
                sum.wrapping_add(word(start, at + index * 4))
            })
        };
        (0..start.len())
            .step_by(8)
            .any(|at| word(start, at) == MULTIBOOT2_MAGIC && sum(at) == 0)
    }

    fn has_pvh_note(&self) -> bool {
        let notes = self
            .segments
            .iter()
            .filter(|segment| segment.p_type(LE) == PT_NOTE);
        notes
            .filter_map(|segment| segment.notes(LE, self.bytes).ok().flatten())
            .any(|mut notes| {
                std::iter::from_fn(|| notes.next().ok().flatten())
                    .any(|note| note.name() == b"Xen" && note.n_type(LE) == PVH_NOTE_TYPE)
            })
    }
}

/// Returns the little-endian word at `at`, 0 beyond the end.
fn word(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk());
    word.map_or(0, |word| u32::from_le_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Probe;

    #[test]
    fn the_probe_is_an_image_that_is_not_finished() {
        let bytes = Probe::new().exit(0).image();

        let image = Elf::parse(&bytes).unwrap();

        assert!(!image.is_finished());
        assert_eq!(image.physical_end() >> 12, 0x201);
    }

    #[test]
    fn each_thing_an_image_needs_is_missed_by_its_name() {
        let good = Probe::new().exit(0).image();
        let without = |needle: &[u8]| {
            let mut bytes = good.clone();
            let at = bytes
                .windows(needle.len())
                .position(|window| window == needle)
                .unwrap();
            bytes[at] ^= 0xff;
            Elf::parse(&bytes).err()
        };

        assert_eq!(without(b"\x7fELF"), Some(ImageFault::NotElf));
        assert_eq!(
            without(&EM_X86_64.0.to_le_bytes()),
            Some(ImageFault::NotX86_64)
        );
        assert_eq!(
            without(&MULTIBOOT2_MAGIC.to_le_bytes()),
            Some(ImageFault::NoMultiboot2Header)
        );
        assert_eq!(without(b"Xen\0"), Some(ImageFault::NoPvhNote));
        assert_eq!(without(SYMBOLS_MAGIC), Some(ImageFault::NoSymbols));
    }

    #[test]
    fn a_file_cut_anywhere_is_refused_without_a_panic() {
        let good = Probe::new().exit(0).image();

        for len in 0..good.len() {
            assert!(Elf::parse(&good[..len]).is_err(), "cut at {len}");
        }
    }
}
