//! Why the loader's information could not be used: one variant per complete thought, one line each on the serial port.

use core::fmt;

/// Why the machine cannot start with the information its loader left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootError {
    /// The number the loader passed is neither the one of Multiboot2 nor the one of PVH.
    UnknownMagic(u32),
    /// The number at the start of the PVH start info is not the one of PVH.
    UnknownSignature(u32),
    /// The address of the boot information is not a multiple of eight.
    Misaligned(u64),
    /// Something lies where no memory can be read.
    Unreadable {
        /// What was to be read.
        part: Part,
        /// Its physical address.
        address: u64,
        /// Its length in bytes.
        len: u64,
    },
    /// The boot information gives itself a length that no loader would write.
    SizeOutOfRange {
        /// The length it gives itself, in bytes.
        len: u32,
        /// The least that makes sense.
        least: u32,
        /// The most that is accepted.
        most: u32,
    },
    /// There are more of these than any loader would list.
    TooMany {
        /// What there is too much of.
        part: Part,
        /// How many there are.
        count: u64,
        /// How many are accepted.
        most: u64,
    },
    /// A text has no end.
    NotTerminated(Part),
    /// A text is not UTF-8.
    NotUtf8 {
        /// Which text.
        part: Part,
        /// The offset of the first byte that is not UTF-8.
        offset: usize,
    },
    /// No memory is left to keep a copy.
    OutOfMemory(Part),
    /// The list of Multiboot2 tags is damaged.
    Tag(TagError),
    /// The memory map is missing or of no use.
    MemoryMap(MemoryMapError),
    /// A module cannot be where the loader says it is.
    Module {
        /// The place of the module in the loader's list.
        index: usize,
        /// What is wrong with it.
        error: ModuleError,
    },
    /// The one module is a cpio archive, but a damaged one.
    Archive(ArchiveError),
}

/// A part of what the loader leaves, for naming it in an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The block that all others are found through.
    BootInformation,
    /// The kernel's command line.
    CommandLine,
    /// The name of the loader.
    LoaderName,
    /// The memory map.
    MemoryMap,
    /// The list of modules.
    ModuleList,
    /// The name of the module with this place in the list.
    ModuleName(usize),
    /// The bytes of the module with this place in the list.
    ModuleContents(usize),
}

/// What is wrong with a list of Multiboot2 tags. Offsets count from the start of the boot information.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagError {
    /// A tag is too short for what its kind has to hold.
    TooShort {
        /// The kind of the tag.
        kind: u32,
        /// Where the tag starts.
        offset: usize,
        /// The length the tag gives itself, in bytes.
        len: usize,
        /// The least a tag of this kind takes.
        least: usize,
    },
    /// A tag passes the end of the boot information.
    BeyondEnd {
        /// The kind of the tag.
        kind: u32,
        /// Where the tag starts.
        offset: usize,
        /// The length the tag gives itself, in bytes.
        len: usize,
        /// The length of the boot information, in bytes.
        total: usize,
    },
    /// The list stops without the tag that ends it.
    NoEnd {
        /// The length of the boot information, in bytes.
        total: usize,
    },
}

/// What is wrong with a memory map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryMapError {
    /// The loader left none.
    Missing,
    /// Its entries do not have the layout that is known.
    Layout {
        /// The length of all entries together, in bytes.
        len: usize,
        /// The length of one, in bytes.
        entry_len: u32,
    },
    /// It calls memory usable that no x86-64 processor can address.
    BeyondPhysicalAddresses {
        /// Where the entry starts.
        start: u64,
        /// Its length in bytes.
        len: u64,
    },
    /// Not one page above the first MiB is usable.
    NothingUsable {
        /// How many entries the map has.
        entries: usize,
    },
}

/// What is wrong with the place of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModuleError {
    /// It ends before it starts.
    EndsBeforeStart {
        /// Where it starts.
        start: u64,
        /// Where it ends.
        end: u64,
    },
    /// It lies, at least partly, outside the memory that the memory map calls usable.
    OutsideMemory {
        /// Where it starts.
        start: u64,
        /// Its length in bytes.
        len: u64,
    },
}

/// What is wrong with a cpio archive. Offsets count from the start of the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveError {
    /// The archive ends within the entry that starts here.
    Truncated {
        /// Where the entry starts.
        offset: usize,
    },
    /// No entry starts here, although the one before ended here.
    NoEntry {
        /// Where the entry was expected.
        offset: usize,
    },
    /// A number in the header of the entry that starts here is not eight hexadecimal digits.
    BadNumber {
        /// Where the entry starts.
        offset: usize,
    },
    /// The name of the entry that starts here is empty, not terminated, or not UTF-8.
    BadName {
        /// Where the entry starts.
        offset: usize,
    },
}

impl core::error::Error for BootError {}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownMagic(found) => {
                write!(
                    f,
                    "the loader passed {found:#010x}, the number of neither Multiboot2 nor PVH"
                )
            }
            Self::UnknownSignature(found) => {
                write!(
                    f,
                    "the PVH start info begins with {found:#010x} instead of 0x336ec578"
                )
            }
            Self::Misaligned(address) => {
                write!(
                    f,
                    "the boot information at {address:#x} is not aligned to 8 bytes"
                )
            }
            Self::Unreadable { part, address, len } => {
                write!(
                    f,
                    "{part} ({len} bytes at {address:#x}) is not in readable memory"
                )
            }
            Self::SizeOutOfRange { len, least, most } => {
                write!(
                    f,
                    "the boot information claims {len} bytes, not within {least} to {most}"
                )
            }
            Self::TooMany { part, count, most } => {
                write!(
                    f,
                    "{part} has {count} entries, more than the accepted {most}"
                )
            }
            Self::NotTerminated(part) => write!(f, "{part} is not terminated"),
            Self::NotUtf8 { part, offset } => {
                write!(f, "{part} is not UTF-8 from byte {offset} on")
            }
            Self::OutOfMemory(part) => write!(f, "no memory is left to copy {part}"),
            Self::Tag(error) => write!(f, "{error}"),
            Self::MemoryMap(error) => write!(f, "{error}"),
            Self::Module { index, error } => write!(f, "module {index} {error}"),
            Self::Archive(error) => write!(f, "the module is a damaged cpio archive: {error}"),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BootInformation => f.write_str("the boot information"),
            Self::CommandLine => f.write_str("the command line"),
            Self::LoaderName => f.write_str("the name of the loader"),
            Self::MemoryMap => f.write_str("the memory map"),
            Self::ModuleList => f.write_str("the list of modules"),
            Self::ModuleName(index) => write!(f, "the name of module {index}"),
            Self::ModuleContents(index) => write!(f, "the contents of module {index}"),
        }
    }
}

impl fmt::Display for TagError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort {
                kind,
                offset,
                len,
                least,
            } => write!(
                f,
                "tag {kind} at offset {offset} of the boot information has {len} bytes, but needs {least}"
            ),
            Self::BeyondEnd {
                kind,
                offset,
                len,
                total,
            } => write!(
                f,
                "tag {kind} at offset {offset} of the boot information has {len} bytes and passes the end at {total}"
            ),
            Self::NoEnd { total } => {
                write!(f, "the {total} bytes of boot information have no end tag")
            }
        }
    }
}

impl fmt::Display for MemoryMapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("the loader left no memory map"),
            Self::Layout { len, entry_len } => write!(
                f,
                "the memory map has {len} bytes in entries of {entry_len}, but only entries of 24 are known"
            ),
            Self::BeyondPhysicalAddresses { start, len } => write!(
                f,
                "the memory map calls {len:#x} bytes at {start:#x} usable, more than can be addressed"
            ),
            Self::NothingUsable { entries } => write!(
                f,
                "none of the {entries} entries of the memory map holds a usable page above 1 MiB"
            ),
        }
    }
}

impl fmt::Display for ModuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EndsBeforeStart { start, end } => {
                write!(f, "ends at {end:#x}, before its start at {start:#x}")
            }
            Self::OutsideMemory { start, len } => {
                write!(f, "({len} bytes at {start:#x}) is not in usable memory")
            }
        }
    }
}

impl fmt::Display for ArchiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { offset } => write!(f, "it ends within the entry at offset {offset}"),
            Self::NoEntry { offset } => write!(f, "no entry starts at offset {offset}"),
            Self::BadNumber { offset } => {
                write!(
                    f,
                    "the entry at offset {offset} has a number that is not hexadecimal"
                )
            }
            Self::BadName { offset } => {
                write!(f, "the entry at offset {offset} has no valid name")
            }
        }
    }
}
