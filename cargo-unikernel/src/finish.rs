//! The finishing pass: cargo's ELF file becomes the one that boots.
//!
//! ```text
//!   cargo's file                          the image
//!   headers                               headers, for PT_LOAD and PT_NOTE only
//!   text rodata relro data     ────────>  text rodata relro data
//!   symbols: 16 bytes, empty              symbols: the names of all functions
//!   debug information, symbols,           nothing: GRUB refuses what looks like relocations
//!   relocation sections
//! ```
//!
//! A segment keeps its address, its rights and its offset within a page; nothing follows the symbols segment in memory, so
//! it may grow.

use object::elf::{FileHeader64, PT_LOAD, PT_NOTE, ProgramHeader64, SHN_UNDEF};
use object::pod::bytes_of;
use object::read::elf::ProgramHeader;
use object::{LittleEndian as LE, U16, U64};

use crate::elf::{Elf, ImageFault};
use crate::symbols;

const PAGE: usize = 0x1000;

/// Returns the bootable image for a file from cargo; an image that is finished already comes back as it is.
pub(crate) fn finish(file: &[u8]) -> Result<Vec<u8>, ImageFault> {
    let elf = Elf::parse(file)?;
    if elf.is_finished() {
        return Ok(file.to_vec());
    }
    let table = symbols::table(&symbols::functions(file).ok_or(ImageFault::Cut)?);
    Ok(rebuild(&elf, &table))
}

/// Lays the kept segments out anew, the table in place of the last one.
fn rebuild(elf: &Elf<'_>, table: &[u8]) -> Vec<u8> {
    let loads: Vec<_> = elf.loads().copied().collect();
    let notes: Vec<_> = elf
        .segments
        .iter()
        .filter(|segment| segment.p_type(LE) == PT_NOTE)
        .copied()
        .collect();
    let headers_len = size_of::<FileHeader64<LE>>()
        + (loads.len() + notes.len()) * size_of::<ProgramHeader64<LE>>();

    let mut body = Vec::new();
    let mut placed = Vec::new();
    for (index, load) in loads.iter().enumerate() {
        let is_symbols = index + 1 == loads.len();
        let contents = if is_symbols {
            table
        } else {
            elf.contents(load)
        };
        placed.push(place(*load, contents, headers_len, &mut body));
    }
    let moved: Vec<_> = notes
        .iter()
        .map(|note| follow(*note, &loads, &placed))
        .collect();
    placed.extend(moved);

    let mut image = bytes_of(&stripped_header(elf.header, placed.len())).to_vec();
    image.extend(placed.iter().flat_map(bytes_of));
    image.extend(body);
    image
}

/// Appends a segment's bytes at an offset that agrees with its address, and returns its new header.
fn place(
    mut segment: ProgramHeader64<LE>,
    contents: &[u8],
    headers_len: usize,
    body: &mut Vec<u8>,
) -> ProgramHeader64<LE> {
    let end = headers_len + body.len();
    let wanted = segment.p_vaddr(LE) as usize % PAGE;
    let offset = end + (PAGE + wanted - end % PAGE) % PAGE;
    body.resize(offset - headers_len, 0);
    body.extend(contents);
    let grown = (contents.len() as u64).max(segment.p_memsz(LE));
    segment.p_offset = U64::new(LE, offset as u64);
    segment.p_filesz = U64::new(LE, contents.len() as u64);
    segment.p_memsz = U64::new(LE, grown);
    segment
}

/// Returns the header of a note that lies within a loaded segment, moved with it.
fn follow(
    mut note: ProgramHeader64<LE>,
    before: &[ProgramHeader64<LE>],
    after: &[ProgramHeader64<LE>],
) -> ProgramHeader64<LE> {
    let at = note.p_offset(LE);
    let holds = |load: &ProgramHeader64<LE>| {
        let start = load.p_offset(LE);
        load.p_type(LE) == PT_LOAD && (start..start + load.p_filesz(LE)).contains(&at)
    };
    if let Some(index) = before.iter().position(holds) {
        let moved = after[index].p_offset(LE) + (at - before[index].p_offset(LE));
        note.p_offset = U64::new(LE, moved);
    }
    note
}

/// Returns the file header without sections and with `segments` program headers right behind it.
fn stripped_header(header: &FileHeader64<LE>, segments: usize) -> FileHeader64<LE> {
    let count = u16::try_from(segments).expect("an image has a handful of segments");
    let mut header = *header;
    header.e_phoff = U64::new(LE, size_of::<FileHeader64<LE>>() as u64);
    header.e_phnum = U16::new(LE, count);
    header.e_shoff = U64::new(LE, 0);
    header.e_shnum = U16::new(LE, 0);
    header.e_shstrndx = U16::new(LE, SHN_UNDEF);
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Probe;
    use crate::symbols::tests::with_functions;

    fn file() -> Vec<u8> {
        with_functions(
            &Probe::new().exit(0).image(),
            &[("first", 0x10, 8), ("second", 0x20, 4)],
        )
    }

    #[test]
    fn a_finished_file_has_no_sections_and_all_its_segments() {
        let file = file();

        let image = finish(&file).unwrap();

        let (before, after) = (Elf::parse(&file).unwrap(), Elf::parse(&image).unwrap());
        assert_eq!(after.header.e_shoff.get(LE), 0);
        assert_eq!(after.header.e_shnum.get(LE), 0);
        assert_eq!(after.segments.len(), before.segments.len());
        assert_eq!(
            after.contents(&after.segments[0]),
            before.contents(&before.segments[0]),
            "the text is untouched"
        );
        assert!(image.len() < file.len());
    }

    #[test]
    fn the_symbols_segment_holds_the_table_and_has_grown() {
        let image = finish(&file()).unwrap();

        let elf = Elf::parse(&image).unwrap();
        let last = elf.loads().last().unwrap();
        let table = elf.contents(last);
        assert!(elf.is_finished());
        assert_eq!(
            u32::from_le_bytes(table[8..12].try_into().unwrap()) as usize,
            table.len()
        );
        assert_eq!(u32::from_le_bytes(table[12..16].try_into().unwrap()), 2);
        assert_eq!(last.p_memsz(LE), table.len() as u64);
    }

    #[test]
    fn every_segment_lies_at_an_offset_that_agrees_with_its_address() {
        let image = finish(&file()).unwrap();

        for segment in Elf::parse(&image).unwrap().loads() {
            assert_eq!(segment.p_offset(LE) % 0x1000, segment.p_vaddr(LE) % 0x1000);
        }
    }

    #[test]
    fn finishing_twice_changes_nothing() {
        let once = finish(&file()).unwrap();

        assert_eq!(finish(&once).unwrap(), once);
    }
}
