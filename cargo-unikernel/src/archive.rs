//! Boot modules packed into one file: a cpio archive in the "newc" format, as PVH knows only one module.
//!
//! ```text
//! for each module:  "070701", 13 numbers of 8 hexadecimal digits, name, 0, padding, bytes, padding
//! at the end:       the same, with the name "TRAILER!!!"
//! ```
//!
//! Header with name, and bytes, are each padded to four. Numbers: inode, mode, user, group, links, time, length, four of
//! devices, length of the name with its zero, checksum.

use std::fs::File;
use std::io::{self, Read, Write};

use crate::module::Module;

const TRAILER: &str = "TRAILER!!!";
const REGULAR_FILE: u32 = 0o100_444;

/// Writes an archive of the given modules.
pub(crate) fn write(out: &mut impl Write, modules: &[Module]) -> io::Result<()> {
    for (index, module) in modules.iter().enumerate() {
        let len = u32::try_from(module.len).map_err(|_| io::ErrorKind::FileTooLarge)?;
        write_header(out, index as u32 + 1, &module.name, len)?;
        let copied = io::copy(&mut File::open(&module.path)?.take(module.len), out)?;
        if copied != module.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        pad(out, module.len)?;
    }
    write_header(out, 0, TRAILER, 0)
}

fn write_header(out: &mut impl Write, inode: u32, name: &str, len: u32) -> io::Result<()> {
    let mode = if inode == 0 { 0 } else { REGULAR_FILE };
    let name_len = u32::try_from(name.len() + 1).map_err(|_| io::ErrorKind::InvalidFilename)?;
    let mut header = "070701".to_owned();
    for number in [inode, mode, 0, 0, 1, 0, len, 0, 0, 0, 0, name_len, 0] {
        header += &format!("{number:08x}");
    }
    header.push_str(name);
    header.push('\0');
    out.write_all(header.as_bytes())?;
    pad(out, header.len() as u64)
}

fn pad(out: &mut impl Write, written: u64) -> io::Result<()> {
    let missing = written.next_multiple_of(4) - written;
    out.write_all(&[0; 4][..missing as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(contents: &[(&str, &[u8])]) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let modules: Vec<Module> = contents
            .iter()
            .enumerate()
            .map(|(index, (name, bytes))| {
                let path = folder.path().join(index.to_string());
                std::fs::write(&path, bytes).unwrap();
                Module {
                    name: (*name).to_owned(),
                    path,
                    len: bytes.len() as u64,
                }
            })
            .collect();
        let mut archive = Vec::new();
        write(&mut archive, &modules).unwrap();
        archive
    }

    /// Reads an archive the simple way.
    fn unpacked(mut rest: &[u8]) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        loop {
            assert_eq!(&rest[..6], b"070701");
            let number = |index: usize| {
                let digits = std::str::from_utf8(&rest[6 + index * 8..][..8]).unwrap();
                usize::from_str_radix(digits, 16).unwrap()
            };
            let (len, name_len) = (number(6), number(11));
            let name = String::from_utf8(rest[110..][..name_len - 1].to_vec()).unwrap();
            let start = (110 + name_len).next_multiple_of(4);
            if name == TRAILER {
                return found;
            }
            found.push((name, rest[start..start + len].to_vec()));
            rest = &rest[start + len.next_multiple_of(4)..];
        }
    }

    /// Proves T5.
    #[test]
    fn what_is_packed_comes_out_by_name() {
        let contents: [(&str, &[u8]); 4] = [
            ("README.md", b"hello"),
            ("empty", b""),
            ("a name with spaces", &[0, 1, 2, 3]),
            ("ä", &[255; 1001]),
        ];

        let archive = packed(&contents);

        let expected: Vec<_> = contents
            .iter()
            .map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec()))
            .collect();
        assert_eq!(unpacked(&archive), expected);
    }

    #[test]
    fn no_modules_make_an_archive_of_just_the_end() {
        assert_eq!(packed(&[]).len(), 124);
    }
}
