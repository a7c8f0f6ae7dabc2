//! Names of functions inside the guest, from the compact table that the tool appends to an image.
//!
//! ```text
//! "UKSYMTAB"   total length: u32   count: u32
//! count × { start: u32, size: u32, name: u32 }     sorted by start; start counts from the image base,
//!                                                   name from the start of the table
//! names: length: u8, UTF-8 bytes
//! ```
//!
//! Everything is little endian. A table that is cut or corrupt gives fewer names, never a panic: it is read in the middle
//! of one.

/// A function found by an address within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Symbol<'a> {
    /// Its demangled name.
    pub(crate) name: &'a str,
    /// The distance of the address from its first instruction, in bytes.
    pub(crate) offset: usize,
}

/// A table of function names.
#[derive(Clone, Copy)]
pub(crate) struct Symbols<'a> {
    bytes: &'a [u8],
    image_base: usize,
}

const HEADER: usize = 16;
const ENTRY: usize = 12;

impl<'a> Symbols<'a> {
    /// Reads a table whose addresses count from `image_base`.
    pub(crate) fn new(bytes: &'a [u8], image_base: usize) -> Self {
        let bytes = if bytes.starts_with(b"UKSYMTAB") {
            bytes
        } else {
            &[]
        };
        Self { bytes, image_base }
    }

    /// Returns the function that `address` lies in.
    pub(crate) fn find(&self, address: usize) -> Option<Symbol<'a>> {
        let target = u32::try_from(address.checked_sub(self.image_base)?).ok()?;
        let (mut low, mut high) = (0, self.word(12)? as usize);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.entry(middle)?.0 <= target {
                low = middle + 1
            } else {
                high = middle
            }
        }
        let (start, size, name) = self.entry(low.checked_sub(1)?)?;
        (target - start < size).then_some(())?;
        Some(Symbol {
            name: self.name(name as usize)?,
            offset: (target - start) as usize,
        })
    }

    fn entry(&self, index: usize) -> Option<(u32, u32, u32)> {
        let at = HEADER + index * ENTRY;
        Some((self.word(at)?, self.word(at + 4)?, self.word(at + 8)?))
    }

    fn word(&self, at: usize) -> Option<u32> {
        let bytes = self.bytes.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    fn name(&self, at: usize) -> Option<&'a str> {
        let len = usize::from(*self.bytes.get(at)?);
        core::str::from_utf8(self.bytes.get(at + 1..at + 1 + len)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: usize = 0xffff_ffff_8000_0000;

    fn table() -> Vec<u8> {
        let names = ["first", "app::count"];
        let mut bytes = b"UKSYMTAB".to_vec();
        let name_start = HEADER as u32 + 2 * ENTRY as u32;
        for word in [0, 2, 0x100, 0x10, name_start, 0x200, 0x20, name_start + 6] {
            bytes.extend(u32::to_le_bytes(word));
        }
        for name in names {
            bytes.push(name.len() as u8);
            bytes.extend(name.as_bytes());
        }
        bytes
    }

    #[test]
    fn an_address_inside_a_function_finds_its_name_and_offset() {
        let bytes = table();
        let symbols = Symbols::new(&bytes, BASE);

        for (address, expected) in [
            (BASE + 0xff, None),
            (BASE + 0x100, Some(("first", 0))),
            (BASE + 0x10f, Some(("first", 0xf))),
            (BASE + 0x110, None),
            (BASE + 0x21f, Some(("app::count", 0x1f))),
            (BASE + 0x220, None),
            (8, None),
            (usize::MAX, None),
        ] {
            assert_eq!(
                symbols
                    .find(address)
                    .map(|symbol| (symbol.name, symbol.offset)),
                expected,
                "{address:#x}"
            );
        }
    }

    #[test]
    fn a_cut_or_foreign_table_gives_no_names_and_no_panic() {
        let bytes = table();

        for len in 0..bytes.len() - 11 {
            let _ = Symbols::new(&bytes[..len], BASE).find(BASE + 0x100);
            assert_eq!(
                Symbols::new(&bytes[..len], BASE).find(BASE + 0x208),
                None,
                "cut at {len}"
            );
        }
        assert_eq!(Symbols::new(b"something else", BASE).find(BASE), None);
    }
}
