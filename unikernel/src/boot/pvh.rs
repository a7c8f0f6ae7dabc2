//! Bytes in, boot information out: what a PVH loader leaves (QEMU's `-kernel`, Firecracker, Cloud Hypervisor).
//!
//! ```text
//! start info                      module (32 bytes each)      memory range (24 bytes each)
//!  0 magic   u32                   0 address       u64         0 address  u64
//!  4 version u32                   8 length        u64         8 length   u64
//!  8 flags   u32                  16 command line  u64        16 kind     u32
//! 12 modules u32                  24 reserved      u64        20 reserved u32
//! 16 module list    u64
//! 24 command line   u64
//! 32 ACPI pointer   u64
//! 40 memory map     u64 ┐
//! 48 memory ranges  u32 ├ from version 1 on
//! 52 reserved       u32 ┘
//! ```
//!
//! All addresses are physical, and zero stands for "none". A single module that is a cpio archive stands for the files in
//! it, which stay where they are.
//!
//! See `xen/include/public/arch-x86/hvm/start_info.h` in the sources of Xen.

use alloc::string::String;
use alloc::vec::Vec;

use super::archive;
use super::bytes::{u32_at, u64_at};
use super::error::{BootError, Part};
use super::memory_map::{MOST_ENTRIES, MemoryRange, PhysicalRange};
use super::{Findings, PhysicalMemory, acpi, copy, module_name, module_range, push, text};

/// The number that the start info begins with.
pub(super) const MAGIC: u32 = 0x336e_c578;

/// The length of the start info in version 0, and from version 1 on.
const FIRST_LEN: usize = 40;
const LEN: usize = 56;

/// The length of an entry in the list of modules.
const MODULE_LEN: usize = 32;

/// The length of an entry in the memory map.
const RANGE_LEN: usize = 24;

/// More modules than any loader passes.
const MOST_MODULES: usize = 1024;

/// A text that has no end after this many bytes has none.
const LONGEST_TEXT: u64 = 4096;

/// What the loader is called, for it does not tell its name.
const LOADER: &str = "PVH";

/// Reads the start info at the physical address `info`.
pub(super) fn read(info: u64, memory: &impl PhysicalMemory) -> Result<Findings, BootError> {
    let start_info = StartInfo::read(info, memory)?;
    let mut reader = Reader {
        memory,
        findings: Findings::default(),
    };
    reader.findings.occupy(
        PhysicalRange::new(info, start_info.len as u64),
        Part::BootInformation,
    )?;
    reader.findings.loader = Some(copy(LOADER, Part::LoaderName)?);
    reader.findings.acpi = acpi::root_at(start_info.acpi_pointer, memory);
    reader.read_command_line(&start_info)?;
    reader.read_memory_map(&start_info)?;
    reader.read_modules(&start_info)?;
    Ok(reader.findings)
}

/// The fields of the start info.
struct StartInfo {
    len: usize,
    module_list: u64,
    modules: u32,
    command_line: u64,
    acpi_pointer: u64,
    memory_map: u64,
    memory_ranges: u32,
}

impl StartInfo {
    fn read(info: u64, memory: &impl PhysicalMemory) -> Result<Self, BootError> {
        let bytes = |len: usize| readable(memory, info, len as u64, Part::BootInformation);
        let first = bytes(FIRST_LEN)?;
        if number_at(first, 0) != MAGIC {
            return Err(BootError::UnknownSignature(number_at(first, 0)));
        }
        let len = if number_at(first, 4) == 0 {
            FIRST_LEN
        } else {
            LEN
        };
        let fields = bytes(len)?;
        Ok(Self {
            len,
            modules: number_at(fields, 12),
            module_list: address_at(fields, 16),
            command_line: address_at(fields, 24),
            acpi_pointer: address_at(fields, 32),
            memory_map: address_at(fields, 40),
            memory_ranges: number_at(fields, 48),
        })
    }
}

/// Adds one part after the other to the findings.
struct Reader<'a, M> {
    memory: &'a M,
    findings: Findings,
}

impl<'a, M: PhysicalMemory> Reader<'a, M> {
    fn read_command_line(&mut self, start_info: &StartInfo) -> Result<(), BootError> {
        if start_info.command_line == 0 {
            return Ok(());
        }
        let line = self.text_at(start_info.command_line, Part::CommandLine)?;
        self.findings.command_line = Some(copy(line, Part::CommandLine)?);
        Ok(())
    }

    fn read_memory_map(&mut self, start_info: &StartInfo) -> Result<(), BootError> {
        if start_info.memory_map == 0 {
            return Ok(());
        }
        let list = List {
            part: Part::MemoryMap,
            entry_len: RANGE_LEN,
            most: MOST_ENTRIES,
        };
        let mut claims = Vec::new();
        for range in self
            .list_at(start_info.memory_map, start_info.memory_ranges, list)?
            .chunks_exact(RANGE_LEN)
        {
            let (start, len) = (address_at(range, 0), address_at(range, 8));
            push(
                &mut claims,
                MemoryRange::claimed(start, len, number_at(range, 16)),
                Part::MemoryMap,
            )?;
        }
        self.findings.memory = Some(claims);
        Ok(())
    }

    fn read_modules(&mut self, start_info: &StartInfo) -> Result<(), BootError> {
        if start_info.modules == 0 {
            return Ok(());
        }
        let list = List {
            part: Part::ModuleList,
            entry_len: MODULE_LEN,
            most: MOST_MODULES,
        };
        let modules = self.list_at(start_info.module_list, start_info.modules, list)?;
        for (index, module) in modules.chunks_exact(MODULE_LEN).enumerate() {
            let range = module_range(index, address_at(module, 0), address_at(module, 8))?;
            self.findings.occupy(range, Part::ModuleContents(index))?;
            if start_info.modules == 1 && self.is_archive(range) {
                self.read_archive(range)?;
            } else {
                let name = self.module_name_at(address_at(module, 16), index)?;
                self.findings.add_module(index, name, range)?;
            }
        }
        Ok(())
    }

    /// Returns whether the module in `range` is an archive.
    fn is_archive(&self, range: PhysicalRange) -> bool {
        let start = self.memory.bytes(range.start(), archive::MAGIC.len());
        start.is_some_and(|start| start == archive::MAGIC)
    }

    /// Adds each file of the archive in `range` as a module, in place.
    fn read_archive(&mut self, range: PhysicalRange) -> Result<(), BootError> {
        let bytes = readable(
            self.memory,
            range.start(),
            range.len_bytes(),
            Part::ModuleContents(0),
        )?;
        for (index, entry) in archive::entries(bytes).enumerate() {
            let entry = entry.map_err(BootError::Archive)?;
            let name = copy(entry.name, Part::ModuleName(index))?;
            let place = PhysicalRange::new(range.start() + entry.offset as u64, entry.len as u64);
            self.findings.add_module(index, name, place)?;
        }
        Ok(())
    }

    /// Returns the name of a module whose command line is at `address`.
    fn module_name_at(&mut self, address: u64, index: usize) -> Result<String, BootError> {
        let words = if address == 0 {
            ""
        } else {
            self.text_at(address, Part::ModuleName(index))?
        };
        module_name(words, index)
    }

    /// Returns a list of `count` entries and notes the memory it occupies.
    fn list_at(&mut self, address: u64, count: u32, list: List) -> Result<&'a [u8], BootError> {
        let (part, count, most) = (list.part, u64::from(count), list.most as u64);
        if count > most {
            return Err(BootError::TooMany { part, count, most });
        }
        let len = count * list.entry_len as u64;
        let bytes = readable(self.memory, address, len, part)?;
        self.findings
            .occupy(PhysicalRange::new(address, len), part)?;
        Ok(bytes)
    }

    /// Returns the text at `address`, which ends before a zero byte, and notes the memory it occupies.
    fn text_at(&mut self, address: u64, part: Part) -> Result<&'a str, BootError> {
        let mut len = 0;
        while readable(self.memory, address.saturating_add(len), 1, part)? != [0] {
            len += 1;
            if len == LONGEST_TEXT {
                return Err(BootError::NotTerminated(part));
            }
        }
        self.findings
            .occupy(PhysicalRange::new(address, len + 1), part)?;
        text(readable(self.memory, address, len, part)?, part)
    }
}

/// What is known of a list before it is read.
struct List {
    part: Part,
    entry_len: usize,
    most: usize,
}

/// Returns bytes of physical memory, or which `part` could not be read.
fn readable(
    memory: &impl PhysicalMemory,
    address: u64,
    len: u64,
    part: Part,
) -> Result<&[u8], BootError> {
    let bytes = usize::try_from(len)
        .ok()
        .and_then(|len| memory.bytes(address, len));
    bytes.ok_or(BootError::Unreadable { part, address, len })
}

/// Returns a number of the start info or of a list; one that a version does not have is zero.
fn number_at(bytes: &[u8], offset: usize) -> u32 {
    u32_at(bytes, offset).unwrap_or(0)
}

/// Returns an address or length of the start info or of a list; one that a version does not have is zero.
fn address_at(bytes: &[u8], offset: usize) -> u64 {
    u64_at(bytes, offset).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::captured::{Memory, Piece, QEMU_PVH};
    use super::super::{ArchiveError, BootInfo, MemoryMapError};
    use super::*;

    /// The pieces of the capture, in their order.
    const START_INFO: usize = 0;
    const COMMAND_LINE: usize = 1;
    const MODULE_LIST: usize = 2;
    const MODULE: usize = 3;

    /// Reads the capture after `change`.
    fn read_changed(change: impl FnOnce(&mut Vec<Piece>)) -> Result<BootInfo, BootError> {
        let mut memory = Memory::load(QEMU_PVH);
        change(&mut memory.pieces);
        memory.boot_info(MAGIC)
    }

    fn put(piece: &mut Piece, offset: usize, bytes: &[u8]) {
        piece.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    /// Makes one module of the capture two of eight bytes, the second with a command line.
    fn two_modules(pieces: &mut Vec<Piece>) {
        put(&mut pieces[START_INFO], 12, &2_u32.to_le_bytes());
        let start = pieces[MODULE].address;
        let numbers = [start, 8, 0, 0, start + 8, 8, 0x5000, 0];
        pieces[MODULE_LIST].bytes = numbers.map(u64::to_le_bytes).concat();
        pieces.push(Piece {
            address: 0x5000,
            bytes: b"\"my notes\"\0".to_vec(),
        });
    }

    /// Proves T12.
    #[test]
    fn another_signature_is_an_error_that_shows_it() {
        let error = read_changed(|pieces| put(&mut pieces[START_INFO], 0, b"HVM!"))
            .expect_err("it is not PVH");

        assert_eq!(error, BootError::UnknownSignature(0x214d_5648));
    }

    /// Proves T12.
    #[test]
    fn the_first_version_has_no_memory_map() {
        let error = read_changed(|pieces| {
            put(&mut pieces[START_INFO], 4, &[0]);
            pieces[START_INFO].bytes.truncate(FIRST_LEN);
        });

        assert_eq!(error, Err(BootError::MemoryMap(MemoryMapError::Missing)));
    }

    #[test]
    fn a_later_version_is_read_like_the_one_that_is_known() {
        assert_eq!(
            read_changed(|pieces| put(&mut pieces[START_INFO], 4, &[9])),
            read_changed(|_| {})
        );
    }

    #[test]
    fn what_is_at_address_zero_is_not_there() {
        let info = read_changed(|pieces| {
            put(&mut pieces[START_INFO], 12, &[0; 4]);
            put(&mut pieces[START_INFO], 24, &[0; 16]);
        });

        let info = info.expect("nothing of that is needed");
        assert_eq!(
            (info.command_line(), info.modules().len(), info.acpi()),
            ("", 0, None)
        );
    }

    #[test]
    fn several_modules_are_named_by_their_command_line_or_place() {
        let info = read_changed(two_modules).expect("two modules are fine");

        let names: Vec<_> = info.modules().iter().map(|module| module.name()).collect();
        assert_eq!(names, ["module0", "my notes"]);
        assert_eq!(info.modules()[1].start(), info.modules()[0].start() + 8);
    }

    #[test]
    fn one_module_that_is_no_archive_stays_one() {
        let info =
            read_changed(|pieces| put(&mut pieces[MODULE], 0, b"?")).expect("any module is fine");

        assert_eq!(
            (info.modules()[0].name(), info.modules()[0].len_bytes()),
            ("module0", 416)
        );
    }

    /// Proves T12.
    #[test]
    fn a_damaged_archive_is_an_error() {
        let error = read_changed(|pieces| put(&mut pieces[MODULE], 6, b"+")).map(|_| ());
        assert_eq!(error, Ok(()), "the inode number does not matter");

        let error =
            read_changed(|pieces| put(&mut pieces[MODULE], 14, b"+")).expect_err("the mode does");
        assert_eq!(
            error,
            BootError::Archive(ArchiveError::BadNumber { offset: 0 })
        );
    }

    /// Proves T12.
    #[test]
    fn a_command_line_without_an_end_is_an_error() {
        let long = |len| read_changed(|pieces| pieces[COMMAND_LINE].bytes = vec![b'x'; len]);

        assert_eq!(long(5000), Err(BootError::NotTerminated(Part::CommandLine)));
        assert!(matches!(
            long(10),
            Err(BootError::Unreadable {
                part: Part::CommandLine,
                len: 1,
                ..
            })
        ));
    }

    /// Proves T12.
    #[test]
    fn lists_longer_than_any_loader_writes_are_errors() {
        let with = |offset, count: u32| {
            read_changed(|pieces| put(&mut pieces[START_INFO], offset, &count.to_le_bytes()))
        };

        assert!(matches!(
            with(12, u32::MAX),
            Err(BootError::TooMany {
                part: Part::ModuleList,
                ..
            })
        ));
        assert!(matches!(
            with(48, 1025),
            Err(BootError::TooMany {
                part: Part::MemoryMap,
                ..
            })
        ));
        assert!(matches!(
            with(48, 1024),
            Err(BootError::Unreadable {
                part: Part::MemoryMap,
                ..
            })
        ));
    }
}
