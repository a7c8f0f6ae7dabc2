//! The names of an image's functions, for backtraces inside the guest.
//!
//! ```text
//! "UKSYMTAB"   total length: u32   count: u32
//! count × { start: u32, size: u32, name: u32 }     sorted by start; start counts from the image base,
//!                                                   name from the start of the table
//! names: length: u8, UTF-8 bytes                    equal ones are stored once
//! ```

use std::collections::BTreeMap;
use std::collections::HashMap;

use object::elf::{FileHeader64, SHF_EXECINSTR, SHT_SYMTAB, STT_FUNC, STT_NOTYPE, Sym64};
use object::read::elf::{FileHeader, SectionHeader, SectionTable, Sym};
use object::{LittleEndian as LE, SectionIndex};

use crate::elf::{SYMBOLS_HEADER_LEN, SYMBOLS_MAGIC};

const IMAGE_BASE: u64 = 0xffff_ffff_8000_0000;
const ENTRY_LEN: usize = 12;
const LONGEST_NAME: usize = 255;

/// A function: where it begins, counted from the image base, how long it is, and its demangled name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) start: u32,
    pub(crate) size: u32,
    pub(crate) name: String,
}

/// Returns the functions of a file sorted by address, or `None` if its sections cannot be read.
///
/// A label of assembly code has no size: it reaches to the next function or to the end of its section.
pub(crate) fn functions(file: &[u8]) -> Option<Vec<Function>> {
    let header = FileHeader64::<LE>::parse(file).ok()?;
    let sections = header.sections(LE, file).ok()?;
    let symbols = sections.symbols(LE, file, SHT_SYMTAB).ok()?;

    let mut found = BTreeMap::new();
    for symbol in symbols.iter() {
        let name = symbol.name(LE, symbols.strings()).ok()?;
        if let Some(candidate) = candidate(symbol, name, &sections) {
            found
                .entry(candidate.start)
                .and_modify(|known: &mut Candidate| known.prefer(candidate))
                .or_insert(candidate);
        }
    }
    Some(with_sizes(&found.into_values().collect::<Vec<_>>()))
}

/// Returns the table for the given functions, which are sorted by address.
pub(crate) fn table(functions: &[Function]) -> Vec<u8> {
    let names_at = SYMBOLS_HEADER_LEN + functions.len() * ENTRY_LEN;
    let mut names: Vec<u8> = Vec::new();
    let mut known: HashMap<&str, usize> = HashMap::new();
    let mut entries = Vec::new();
    for function in functions {
        let name = shortened(&function.name);
        let at = *known.entry(name).or_insert_with(|| {
            let at = names_at + names.len();
            names.push(name.len() as u8);
            names.extend(name.as_bytes());
            at
        });
        entries.extend([function.start, function.size, at as u32]);
    }

    let mut table = SYMBOLS_MAGIC.to_vec();
    table.extend(((names_at + names.len()) as u32).to_le_bytes());
    table.extend((functions.len() as u32).to_le_bytes());
    table.extend(entries.into_iter().flat_map(u32::to_le_bytes));
    table.extend(names);
    table
}

/// A symbol that may name a function.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    start: u32,
    size: u32,
    section_end: u32,
    name: &'a [u8],
}

impl Candidate<'_> {
    /// Keeps the better of two names for one address: the one that has a size.
    fn prefer(&mut self, other: Self) {
        if other.size > self.size {
            *self = other;
        }
    }
}

fn candidate<'a>(
    symbol: &Sym64<LE>,
    name: &'a [u8],
    sections: &SectionTable<'_, FileHeader64<LE>>,
) -> Option<Candidate<'a>> {
    let section = sections.section(section_of(symbol)?).ok()?;
    let is_code = section.sh_flags(LE).contains(SHF_EXECINSTR);
    let is_label =
        symbol.st_type() == STT_NOTYPE && !name.starts_with(b".") && !name.starts_with(b"$");
    if name.is_empty() || !is_code || !(symbol.st_type() == STT_FUNC || is_label) {
        return None;
    }
    let from_base = |address: u64| u32::try_from(address.wrapping_sub(IMAGE_BASE)).ok();
    Some(Candidate {
        start: from_base(symbol.st_value(LE))?,
        size: u32::try_from(symbol.st_size(LE)).ok()?,
        section_end: from_base(section.sh_addr(LE) + section.sh_size(LE))?,
        name,
    })
}

/// Returns the section a symbol is defined in, if it is.
fn section_of(symbol: &Sym64<LE>) -> Option<SectionIndex> {
    symbol
        .st_shndx(LE)
        .index()
        .map(|index| SectionIndex(index.into()))
}

/// Gives each label the space up to the next function; one at the very end of its section is none.
fn with_sizes(candidates: &[Candidate<'_>]) -> Vec<Function> {
    let next = candidates
        .iter()
        .skip(1)
        .map(|candidate| candidate.start)
        .chain([u32::MAX]);
    let sized = candidates.iter().zip(next).map(|(candidate, next)| {
        let room = next
            .min(candidate.section_end)
            .saturating_sub(candidate.start);
        let size = if candidate.size == 0 {
            room
        } else {
            candidate.size
        };
        Function {
            start: candidate.start,
            size,
            name: demangled(candidate.name),
        }
    });
    sized.filter(|function| function.size > 0).collect()
}

fn demangled(name: &[u8]) -> String {
    let name = format!(
        "{:#}",
        rustc_demangle::demangle(&String::from_utf8_lossy(name))
    );
    without_inner_paths(&name)
}

/// Shortens what stands in angle brackets to its last words: `<a::b::C<d::E> as f::G>::h` becomes `<C<E> as G>::h`. What is left says
/// which function it is, and takes a third less of every image.
fn without_inner_paths(name: &str) -> String {
    let mut short = String::with_capacity(name.len());
    // Where the path segment at the end of `short` begins, and how many brackets are open.
    let (mut segment, mut depth) = (0, 0_usize);
    let mut rest = name.chars().peekable();
    while let Some(next) = rest.next() {
        match next {
            '-' if rest.peek() == Some(&'>') => {
                short.extend([next, '>']);
                rest.next();
            }
            '<' | '>' => {
                depth = if next == '<' {
                    depth + 1
                } else {
                    depth.saturating_sub(1)
                };
                short.push(next);
            }
            ':' if depth > 0 && rest.peek() == Some(&':') && !short[segment..].is_empty() => {
                rest.next();
                short.truncate(segment);
                continue;
            }
            _ => short.push(next),
        }
        let is_word = next.is_alphanumeric() || next == '_';
        if !is_word {
            segment = short.len();
        }
    }
    short
}

/// Cuts a name to what a length byte can say.
fn shortened(name: &str) -> &str {
    &name[..name.floor_char_boundary(LONGEST_NAME)]
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns a file with sections appended: code at the image base, and a symbol for each `(name, start, size)`.
    pub(crate) fn with_functions(file: &[u8], functions: &[(&str, u64, u64)]) -> Vec<u8> {
        let mut names = vec![0];
        let mut symbols = vec![0; 24];
        for (name, start, size) in functions {
            let kind = if *size == 0 { STT_NOTYPE } else { STT_FUNC };
            symbols.extend((names.len() as u32).to_le_bytes());
            symbols.extend([kind.0, 0, 1, 0]);
            symbols.extend((IMAGE_BASE + start).to_le_bytes());
            symbols.extend(size.to_le_bytes());
            names.extend(name.bytes().chain([0]));
        }
        let section = |kind: u32,
                       flags: u64,
                       address: u64,
                       offset: usize,
                       len: usize,
                       link: u32,
                       entry: u64| {
            let mut bytes = [0, kind].map(u32::to_le_bytes).concat();
            bytes.extend(
                [flags, address, offset as u64, len as u64]
                    .map(u64::to_le_bytes)
                    .concat(),
            );
            bytes.extend([link, 1].map(u32::to_le_bytes).concat());
            bytes.extend([8, entry].map(u64::to_le_bytes).concat());
            bytes
        };

        let mut out = file.to_vec();
        out.resize(out.len().next_multiple_of(8), 0);
        let (symbols_at, names_at) = (out.len(), out.len() + symbols.len());
        out.extend(&symbols);
        out.extend(&names);
        out.resize(out.len().next_multiple_of(8), 0);
        let sections_at = out.len() as u64;
        out.extend(section(0, 0, 0, 0, 0, 0, 0));
        out.extend(section(1, 6, IMAGE_BASE, 0x1000, 0x100, 0, 0));
        out.extend(section(2, 0, 0, symbols_at, symbols.len(), 3, 24));
        out.extend(section(3, 0, 0, names_at, names.len(), 0, 0));
        out[40..48].copy_from_slice(&sections_at.to_le_bytes());
        out[58..64].copy_from_slice(&[64, 0, 4, 0, 3, 0]);
        out
    }

    /// Returns where the functions of a host program begin whose name contains `part`.
    pub(crate) fn addresses_of(program: &[u8], part: &str) -> Vec<u64> {
        let header = FileHeader64::<LE>::parse(program).unwrap();
        let sections = header.sections(LE, program).unwrap();
        let symbols = sections.symbols(LE, program, SHT_SYMTAB).unwrap();
        let is_wanted = |symbol: &&Sym64<LE>| {
            let name = symbol.name(LE, symbols.strings()).unwrap_or_default();
            symbol.st_type() == STT_FUNC && String::from_utf8_lossy(name).contains(part)
        };
        symbols
            .iter()
            .filter(is_wanted)
            .map(|symbol| symbol.st_value(LE))
            .collect()
    }

    fn named(functions: &[(&str, u64, u64)]) -> Vec<Function> {
        let file = with_functions(&crate::probe::Probe::new().image(), functions);
        super::functions(&file).unwrap()
    }

    fn function(name: &str, start: u32, size: u32) -> Function {
        Function {
            start,
            size,
            name: name.to_owned(),
        }
    }

    /// Proves T8.
    #[test]
    fn paths_in_brackets_are_as_short_as_can_be() {
        let table = [
            ("a::b::c", "a::b::c"),
            ("<a::b::C as d::E>::f", "<C as E>::f"),
            ("<a::b::C<d::E, f::G> as h::I>::j", "<C<E, G> as I>::j"),
            (
                "a::b::<impl c::D for e::F>::g::{{closure}}",
                "a::b::<impl D for F>::g::{{closure}}",
            ),
            ("<fn(a::B) -> c::D>::e", "<fn(B) -> D>::e"),
            ("<&a::b::C as d::E>::f", "<&C as E>::f"),
        ];
        for (long, short) in table {
            assert_eq!(without_inner_paths(long), short);
        }
    }

    #[test]
    fn functions_come_demangled_and_sorted() {
        let found = named(&[
            ("_ZN3app5count17h0123456789abcdefE", 0x40, 8),
            ("main", 0x10, 4),
        ]);

        assert_eq!(
            found,
            [function("main", 0x10, 4), function("app::count", 0x40, 8)]
        );
    }

    #[test]
    fn a_label_reaches_to_the_next_function_or_the_end() {
        let found = named(&[
            ("label", 0x10, 0),
            ("main", 0x40, 8),
            ("last", 0xf0, 0),
            ("end", 0x100, 0),
        ]);

        assert_eq!(
            found,
            [
                function("label", 0x10, 0x30),
                function("main", 0x40, 8),
                function("last", 0xf0, 0x10)
            ]
        );
    }

    #[test]
    fn a_local_label_is_none_and_a_function_wins_over_a_label() {
        let found = named(&[
            (".Lloop", 0x10, 0),
            ("$d", 0x14, 0),
            ("start", 0x20, 0),
            ("main", 0x20, 8),
        ]);

        assert_eq!(found, [function("main", 0x20, 8)]);
    }

    #[test]
    fn equal_names_are_stored_once() {
        let table = table(&[
            function("same", 0, 1),
            function("same", 1, 1),
            function("other", 2, 1),
        ]);

        assert_eq!(table.len(), SYMBOLS_HEADER_LEN + 3 * ENTRY_LEN + 5 + 6);
        assert_eq!(table[24..28], table[36..40]);
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let name = "ä".repeat(200);

        assert_eq!(shortened(&name).len(), 254);
        assert_eq!(shortened("short"), "short");
    }
}
