//! Files in a cpio archive of the format "newc", read in place.
//!
//! A PVH loader passes one module only, so several travel in one archive:
//!
//! ```text
//! | header: 110 characters | name, NUL | fill | contents | fill | header | ... | header | TRAILER!!! |
//! └── starts at a multiple of 4 ───────┘      └ likewise ┘
//! ```
//!
//! A header is the magic number and thirteen numbers of eight hexadecimal digits each; see the manual page `cpio(5)` of
//! FreeBSD, "New ASCII Format". Only ordinary files become entries; what follows the trailer is not looked at.

use super::error::ArchiveError;

/// What a header starts with, and thereby an archive.
pub(super) const MAGIC: &[u8] = b"070701";

/// The length of a header, in bytes.
const HEADER_LEN: usize = 110;

/// Headers and contents start at multiples of this many bytes.
const ALIGNMENT: usize = 4;

/// The name of the entry behind the last.
const TRAILER: &[u8] = b"TRAILER!!!";

/// The places of the numbers that matter, counted from the magic number on.
const MODE: usize = 1;
const FILE_LEN: usize = 6;
const NAME_LEN: usize = 11;

/// Which bits of the mode tell the type of a file, and what they are for an ordinary one.
const TYPE_MASK: u32 = 0o170_000;
const ORDINARY: u32 = 0o100_000;

/// An ordinary file in an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// Where its contents start, counted from the start of the archive.
    pub(super) offset: usize,
    /// The length of its contents, in bytes.
    pub(super) len: usize,
}

/// Returns the ordinary files of an archive. After an error there are no more.
pub(super) fn entries(archive: &[u8]) -> impl Iterator<Item = Result<Entry<'_>, ArchiveError>> {
    Entries {
        archive,
        next: Some(0),
    }
    .filter_map(|found| match found {
        Ok(found) => found.is_ordinary.then_some(Ok(found.entry)),
        Err(error) => Some(Err(error)),
    })
}

/// All entries of an archive, directories and links included.
struct Entries<'a> {
    archive: &'a [u8],
    /// Where the next entry starts; none after the trailer or an error.
    next: Option<usize>,
}

/// Any entry.
struct Found<'a> {
    entry: Entry<'a>,
    is_ordinary: bool,
}

impl<'a> Entries<'a> {
    /// Returns the entry that starts at `start`, or `None` for the trailer.
    fn entry_at(&mut self, start: usize) -> Result<Option<Found<'a>>, ArchiveError> {
        let truncated = ArchiveError::Truncated { offset: start };
        let header = self
            .archive
            .get(start..start + HEADER_LEN)
            .ok_or(truncated)?;
        if !header.starts_with(MAGIC) {
            return Err(ArchiveError::NoEntry { offset: start });
        }
        let number = |place| number(header, place).ok_or(ArchiveError::BadNumber { offset: start });
        let (mode, len, name_len) = (
            number(MODE)?,
            number(FILE_LEN)? as usize,
            number(NAME_LEN)? as usize,
        );

        let name_end = start + HEADER_LEN + name_len;
        let name = self
            .archive
            .get(start + HEADER_LEN..name_end)
            .ok_or(truncated)?;
        let name = name
            .strip_suffix(b"\0")
            .ok_or(ArchiveError::BadName { offset: start })?;
        if name == TRAILER {
            return Ok(None);
        }
        let offset = name_end.next_multiple_of(ALIGNMENT);
        self.archive.get(offset..offset + len).ok_or(truncated)?;
        let name = valid_name(name).ok_or(ArchiveError::BadName { offset: start })?;
        self.next = Some((offset + len).next_multiple_of(ALIGNMENT));
        Ok(Some(Found {
            entry: Entry { name, offset, len },
            is_ordinary: mode & TYPE_MASK == ORDINARY,
        }))
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Found<'a>, ArchiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.next.take()?;
        self.entry_at(start).transpose()
    }
}

/// Returns the number at `place` in a header.
fn number(header: &[u8], place: usize) -> Option<u32> {
    let start = MAGIC.len() + 8 * place;
    let digits = core::str::from_utf8(header.get(start..start + 8)?).ok()?;
    // `from_str_radix` alone would take a sign as well.
    let is_hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if is_hexadecimal {
        u32::from_str_radix(digits, 16).ok()
    } else {
        None
    }
}

/// Returns a name as text, if it is one.
fn valid_name(name: &[u8]) -> Option<&str> {
    core::str::from_utf8(name)
        .ok()
        .filter(|name| !name.is_empty() && !name.contains('\0'))
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn fill(archive: &mut Vec<u8>) {
        archive.resize(archive.len().next_multiple_of(ALIGNMENT), 0);
    }

    fn add(archive: &mut Vec<u8>, name: &[u8], mode: u32, contents: &[u8]) {
        let mut numbers = [0; 13];
        numbers[FILE_LEN] = contents.len();
        numbers[NAME_LEN] = name.len() + 1;
        numbers[MODE] = mode as usize;
        archive.extend(MAGIC);
        archive.extend(
            numbers
                .map(|number| format!("{number:08x}"))
                .concat()
                .bytes(),
        );
        archive.extend(name);
        archive.push(0);
        fill(archive);
        archive.extend(contents);
        fill(archive);
    }

    fn two_files() -> Vec<u8> {
        let mut archive = Vec::new();
        add(&mut archive, b"docs", 0o040_755, b"");
        add(&mut archive, b"docs/a.txt", 0o100_644, b"hello");
        add(&mut archive, b"b", 0o100_600, b"");
        add(&mut archive, TRAILER, 0, b"");
        archive
    }

    fn read(archive: &[u8]) -> Result<Vec<(&str, &[u8])>, ArchiveError> {
        let contents = |entry: Entry<'_>| &archive[entry.offset..entry.offset + entry.len];
        entries(archive)
            .map(|entry| entry.map(|entry| (entry.name, contents(entry))))
            .collect()
    }

    #[test]
    fn ordinary_files_are_found_in_order_with_their_contents() {
        let archive = two_files();

        let expected: [(&str, &[u8]); 2] = [("docs/a.txt", b"hello"), ("b", b"")];

        assert_eq!(read(&archive), Ok(expected.to_vec()));
    }

    #[test]
    fn bytes_behind_the_trailer_are_not_looked_at() {
        let mut archive = two_files();
        archive.extend([0xff; 600]);

        assert_eq!(read(&archive).map(|files| files.len()), Ok(2));
    }

    /// Proves T12.
    #[test]
    fn an_archive_that_ends_early_is_an_error_at_every_length() {
        let archive = two_files();
        let trailer_end = archive.len() - (archive.len() - TRAILER.len() - 1) % ALIGNMENT;

        for len in 0..trailer_end - ALIGNMENT {
            assert!(
                matches!(read(&archive[..len]), Err(ArchiveError::Truncated { .. })),
                "{len}"
            );
        }
    }

    /// Proves T12.
    #[test]
    fn damage_is_told_with_the_place_of_the_entry() {
        let second = {
            let mut archive = Vec::new();
            add(&mut archive, b"docs", 0o040_755, b"");
            archive.len()
        };
        let damaged = |place: usize, byte: u8| {
            let mut archive = two_files();
            archive[second + place] = byte;
            read(&archive).map(|files| files.len())
        };

        assert_eq!(
            damaged(0, b'1'),
            Err(ArchiveError::NoEntry { offset: second })
        );
        assert_eq!(
            damaged(6 + 8 * FILE_LEN, b'+'),
            Err(ArchiveError::BadNumber { offset: second })
        );
        assert_eq!(
            damaged(6 + 8 * FILE_LEN, b'f'),
            Err(ArchiveError::Truncated { offset: second })
        );
        assert_eq!(
            damaged(HEADER_LEN, 0xff),
            Err(ArchiveError::BadName { offset: second })
        );
        assert_eq!(
            damaged(HEADER_LEN + 10, b'x'),
            Err(ArchiveError::BadName { offset: second })
        );
    }
}
