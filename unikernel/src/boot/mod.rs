//! What the loader leaves to the program: memory, modules, a command line.
//!
//! A loader (GRUB by Multiboot2, QEMU and others by PVH) leaves a block of bytes and passes a magic number and the
//! block's address. `BootInfo::from_loader` reads it once and answers an owned value that never changes:
//!
//! ```text
//! magic, address ──┬── multiboot2 ──┐
//!                  │                ├── Findings ── checked ── BootInfo
//!                  └── pvh ─────────┘   (as claimed)           (sorted, disjoint, owned)
//!                        └─ archive
//! ```
//!
//! Nothing in that block is believed. For *any* bytes the answer is a value or a [`BootError`]: no panic, no read
//! outside what `PhysicalMemory` grants, no endless loop, and running out of memory is an error as well.
//!
//! Invariants of a [`BootInfo`]:
//!
//! - *B1*: its memory ranges are sorted, disjoint and merged, and hold at least one usable page above 1 MiB.
//! - *B2*: every module lies in memory that the map calls usable.
//! - *B3*: whatever the loader left lies in [`BootInfo::occupied`], and may be handed out only when it has been copied or
//!   is no longer wanted. The value itself points nowhere: names and command line are copies.
//!
//! The meaning of the words on the command line is left to `command_line`, and powering off by ACPI to `acpi`.
#![cfg_attr(
    not(any(unikernel, test)),
    allow(
        dead_code,
        reason = "only an image boots; other builds hold this to test and to document it"
    )
)]

pub(crate) mod acpi;
mod archive;
mod bytes;
#[cfg(test)]
mod captured;
pub(crate) mod command_line;
mod error;
mod framebuffer;
mod memory_map;
mod multiboot2;
mod pvh;
#[cfg(unikernel)]
pub(crate) mod start;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

pub use self::acpi::AcpiRoot;
pub use self::error::{ArchiveError, BootError, MemoryMapError, ModuleError, Part, TagError};
pub use self::framebuffer::{ColorField, Framebuffer, PixelFormat};
pub use self::memory_map::{MemoryKind, MemoryRange, PhysicalRange};

/// Physical memory as far as it can be read.
pub(crate) trait PhysicalMemory {
    /// Returns the `len` bytes at the physical `address`, or `None` if not all of them can be read.
    fn bytes(&self, address: u64, len: usize) -> Option<&[u8]>;
}

/// What the loader left, checked and owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootInfo {
    memory: Vec<MemoryRange>,
    modules: Vec<Module>,
    command_line: String,
    loader: String,
    acpi: Option<AcpiRoot>,
    framebuffer: Option<Framebuffer>,
    occupied: Vec<PhysicalRange>,
}

impl BootInfo {
    /// Reads what the loader left at the physical address `info`; `magic` tells in which form.
    ///
    /// A PVH loader passes no magic number: its entry passes the one that the start info begins with.
    pub(crate) fn from_loader(
        magic: u32,
        info: u64,
        memory: &impl PhysicalMemory,
    ) -> Result<Self, BootError> {
        match magic {
            multiboot2::MAGIC => multiboot2::read(info, memory)?.checked(),
            pvh::MAGIC => pvh::read(info, memory)?.checked(),
            unknown => Err(BootError::UnknownMagic(unknown)),
        }
    }

    /// Asserts B1 and B2.
    #[cfg(test)]
    fn check_invariants(&self) {
        let ranges: Vec<_> = self.memory.iter().map(MemoryRange::range).collect();
        assert!(
            ranges
                .windows(2)
                .all(|pair| pair[0].end() <= pair[1].start()),
            "B1: sorted and disjoint"
        );
        assert!(self.usable_frames().next().is_some(), "B1: a usable page");
        assert_eq!(
            check_modules(&self.modules, &self.memory),
            Ok(()),
            "B2: modules in usable memory"
        );
        assert!(self.occupied.is_sorted(), "B3: sorted");
    }

    /// Returns all memory the firmware speaks of: sorted, disjoint, and merged where equal kinds touch.
    #[must_use]
    pub fn memory(&self) -> &[MemoryRange] {
        &self.memory
    }

    /// Returns the usable memory in whole pages, without the first MiB. What the loader left and the image lie within.
    pub fn usable_frames(&self) -> impl Iterator<Item = PhysicalRange> {
        memory_map::usable_frames(&self.memory)
    }

    /// Returns the modules, in the loader's order.
    #[must_use]
    pub fn modules(&self) -> &[Module] {
        &self.modules
    }

    /// Returns the command line as the loader passed it.
    #[must_use]
    pub fn command_line(&self) -> &str {
        &self.command_line
    }

    /// Returns the name of the loader.
    #[must_use]
    pub fn loader(&self) -> &str {
        &self.loader
    }

    /// Returns where the ACPI tables start, if the loader found them.
    #[must_use]
    pub fn acpi(&self) -> Option<AcpiRoot> {
        self.acpi
    }

    /// Returns the framebuffer, if the loader set one up.
    #[must_use]
    pub fn framebuffer(&self) -> Option<Framebuffer> {
        self.framebuffer
    }

    /// Returns the memory that holds what the loader left, modules included, sorted by start.
    #[must_use]
    pub fn occupied(&self) -> &[PhysicalRange] {
        &self.occupied
    }
}

/// A file that the loader placed in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    name: String,
    range: PhysicalRange,
}

impl Module {
    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the physical address of its first byte.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.range.start()
    }

    /// Returns its length in bytes.
    #[must_use]
    pub fn len_bytes(&self) -> u64 {
        self.range.len_bytes()
    }
}

/// What a loader claims, before anybody compared one claim with another.
#[derive(Default)]
struct Findings {
    memory: Option<Vec<MemoryRange>>,
    modules: Vec<Module>,
    command_line: Option<String>,
    loader: Option<String>,
    acpi: Option<AcpiRoot>,
    framebuffer: Option<Framebuffer>,
    occupied: Vec<PhysicalRange>,
}

impl Findings {
    /// Compares the claims with each other and establishes B1 and B2.
    fn checked(mut self) -> Result<BootInfo, BootError> {
        let claims = self
            .memory
            .ok_or(BootError::MemoryMap(MemoryMapError::Missing))?;
        let memory = memory_map::normalise(&claims)?;
        if memory_map::usable_frames(&memory).next().is_none() {
            return Err(BootError::MemoryMap(MemoryMapError::NothingUsable {
                entries: claims.len(),
            }));
        }
        check_modules(&self.modules, &memory)?;
        memory_map::sort(&mut self.occupied);
        Ok(BootInfo {
            memory,
            modules: self.modules,
            command_line: self.command_line.unwrap_or_default(),
            loader: self.loader.unwrap_or_default(),
            acpi: self.acpi,
            framebuffer: self.framebuffer,
            occupied: self.occupied,
        })
    }

    /// Notes that the loader left `part` in `range`.
    fn occupy(&mut self, range: PhysicalRange, part: Part) -> Result<(), BootError> {
        push(&mut self.occupied, range, part)
    }

    /// Adds the module with this place in the loader's list.
    fn add_module(
        &mut self,
        index: usize,
        name: String,
        range: PhysicalRange,
    ) -> Result<(), BootError> {
        push(
            &mut self.modules,
            Module { name, range },
            Part::ModuleContents(index),
        )
    }
}

/// Returns where the module with this place in the loader's list lies, if any memory can be there.
fn module_range(index: usize, start: u64, len: u64) -> Result<PhysicalRange, BootError> {
    let range = PhysicalRange::new(start, len);
    if range.len_bytes() == len {
        return Ok(range);
    }
    Err(BootError::Module {
        index,
        error: ModuleError::OutsideMemory { start, len },
    })
}

/// Refuses a module that is not in usable memory. One without bytes is nowhere, and that is fine.
fn check_modules(modules: &[Module], memory: &[MemoryRange]) -> Result<(), BootError> {
    let is_lost =
        |module: &&Module| module.len_bytes() > 0 && !memory_map::is_usable(module.range, memory);
    match modules
        .iter()
        .enumerate()
        .find(|(_, module)| is_lost(module))
    {
        None => Ok(()),
        Some((index, module)) => Err(BootError::Module {
            index,
            error: ModuleError::OutsideMemory {
                start: module.start(),
                len: module.len_bytes(),
            },
        }),
    }
}

/// Adds an item to a list of which `part` tells what it is, unless memory is short.
fn push<T>(items: &mut Vec<T>, item: T, part: Part) -> Result<(), BootError> {
    items
        .try_reserve(1)
        .map_err(|_| BootError::OutOfMemory(part))?;
    items.push(item);
    Ok(())
}

/// Returns the text in `bytes`, which `part` tells what it is.
fn text(bytes: &[u8], part: Part) -> Result<&str, BootError> {
    core::str::from_utf8(bytes).map_err(|error| BootError::NotUtf8 {
        part,
        offset: error.valid_up_to(),
    })
}

/// Returns a copy of `text`, which `part` tells what it is.
pub(crate) fn copy(text: &str, part: Part) -> Result<String, BootError> {
    let mut copy = String::new();
    copy.try_reserve_exact(text.len())
        .map_err(|_| BootError::OutOfMemory(part))?;
    copy.push_str(text);
    Ok(copy)
}

/// The length of `module` and the largest index, so that writing it needs no more memory than was reserved.
const LONGEST_GIVEN_NAME: usize = 26;

/// Returns the name of a module for which the loader passed `words`; a loader quotes a name that has a space.
fn module_name(words: &str, index: usize) -> Result<String, BootError> {
    let mut name = command_line::unquoted(words)?;
    if name.is_empty() {
        name.try_reserve(LONGEST_GIVEN_NAME)
            .map_err(|_| BootError::OutOfMemory(Part::ModuleName(index)))?;
        write!(name, "module{index}").expect("a string takes any text");
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(ranges: &[(u64, u64, u32)]) -> Findings {
        let memory = ranges
            .iter()
            .map(|&(start, end, number)| MemoryRange::claimed(start, end - start, number));
        Findings {
            memory: Some(memory.collect()),
            ..Findings::default()
        }
    }

    fn with_module(start: u64, len: u64) -> Result<BootInfo, BootError> {
        let mut findings = findings(&[(0, 0x20_0000, 1), (0x20_0000, 0x30_0000, 2)]);
        findings.add_module(0, String::from("README.md"), module_range(0, start, len)?)?;
        findings.checked()
    }

    /// Proves T12.
    #[test]
    fn an_unknown_magic_number_is_an_error_that_shows_it() {
        let nowhere = captured::Memory::default();

        let error =
            BootInfo::from_loader(0x2bad_b002, 0x1000, &nowhere).expect_err("that is Multiboot1");

        assert_eq!(error, BootError::UnknownMagic(0x2bad_b002));
        assert_eq!(
            error.to_string(),
            "the loader passed 0x2badb002, the number of neither Multiboot2 nor PVH"
        );
    }

    /// Proves T12.
    #[test]
    fn a_map_without_one_usable_page_above_the_first_mib_is_an_error() {
        let error = findings(&[(0, 0x10_0fff, 1), (0x20_0000, 0x40_0000, 2)])
            .checked()
            .expect_err("no page is usable");

        assert_eq!(
            error,
            BootError::MemoryMap(MemoryMapError::NothingUsable { entries: 2 })
        );
        assert_eq!(
            error.to_string(),
            "none of the 2 entries of the memory map holds a usable page above 1 MiB"
        );
    }

    /// Proves T12.
    #[test]
    fn a_missing_map_is_an_error() {
        let error = Findings::default().checked().expect_err("there is no map");

        assert_eq!(error.to_string(), "the loader left no memory map");
    }

    /// Proves T12.
    #[test]
    fn a_module_outside_usable_memory_is_an_error() {
        let error = with_module(0x1f_ffff, 2).expect_err("its second byte is reserved");

        assert_eq!(
            error.to_string(),
            "module 0 (2 bytes at 0x1fffff) is not in usable memory"
        );
        assert!(with_module(0x1f_ffff, 1).is_ok());
        assert!(with_module(u64::MAX, u64::MAX).is_err());
    }

    #[test]
    fn an_empty_module_may_be_anywhere() {
        let info = with_module(0x25_0000, 0).expect("it has no byte outside memory");

        assert_eq!(info.modules()[0].len_bytes(), 0);
    }

    #[test]
    fn occupied_memory_comes_sorted() {
        let mut findings = findings(&[(0, 0x40_0000, 1)]);
        for start in [0x3000, 0x1000, 0x2000] {
            findings
                .occupy(PhysicalRange::new(start, 16), Part::BootInformation)
                .expect("there is memory");
        }

        let info = findings.checked().expect("the claims agree");

        assert!(info.occupied().is_sorted());
    }

    #[test]
    fn a_module_without_a_name_is_named_by_its_place() {
        assert_eq!(module_name("", 3).as_deref(), Ok("module3"));
    }

    #[test]
    fn the_quotes_that_grub_adds_to_a_name_are_taken_off() {
        assert_eq!(
            module_name("\"my notes.txt\"", 0).as_deref(),
            Ok("my notes.txt")
        );
        assert_eq!(module_name("it\\'s.txt", 0).as_deref(), Ok("it's.txt"));
    }
}
