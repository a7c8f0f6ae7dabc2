//! Bytes in, boot information out: what a Multiboot2 loader leaves.
//!
//! ```text
//! offset 0        8                                                          total
//!        | total  | kind, len, ... | kind, len, ... |  ...  | 0, 8 (end tag) |
//!                 each tag starts at a multiple of 8
//! ```
//!
//! The layout inside the tags is known by the `multiboot2` crate, which trusts them: it panics on a tag that is too short
//! for its kind, or whose entries have an unknown length. So the list is walked here, where each length is compared with
//! the block's end and with what the kind needs, and only a tag that passes is shown to the crate. That also spares the
//! crate's `unsafe` way in, because a single tag can be had from a slice. Tags of other kinds are skipped.
//!
//! See the Multiboot2 Specification version 2.0, section 3.6 "Boot information format".

use alloc::vec::Vec;

use multiboot2::{
    BootLoaderNameTag, CommandLineTag, DynSizedStructure, FramebufferColor, FramebufferField,
    FramebufferKind, FramebufferTag, FramebufferType, MaybeDynSized, MemoryArea, MemoryMapTag,
    ModuleTag, Pointee, StringError, Tag, TagHeader, TagType,
};

use super::bytes::{u16_at, u32_at};
use super::error::{BootError, MemoryMapError, ModuleError, Part, TagError};
use super::framebuffer::{ColorField, Framebuffer, PixelFormat};
use super::memory_map::{MemoryRange, PhysicalRange};
use super::{Findings, PhysicalMemory, acpi, copy, module_name, push};

/// The number that a Multiboot2 loader passes in `eax`.
pub(super) const MAGIC: u32 = multiboot2::MAGIC;

/// Tags start at multiples of this many bytes, as does the block itself.
const ALIGNMENT: usize = 8;

/// The length of the block's own header, and of the header of each tag.
const HEADER_LEN: usize = 8;

/// Where the kind of a framebuffer is in its tag, counted from the end of the tag's header.
const FRAMEBUFFER_KIND: usize = 21;

/// A block with nothing but the end tag.
const LEAST_LEN: u32 = 16;

/// Several times what the largest machines need; more is damage, and copying it would use up the memory.
const MOST_LEN: u32 = 1 << 20;

/// Reads the block at the physical address `info`.
pub(super) fn read(info: u64, memory: &impl PhysicalMemory) -> Result<Findings, BootError> {
    let block = AlignedCopy::new(block(info, memory)?)?;
    let mut findings = Findings::default();
    findings.occupy(
        PhysicalRange::new(info, block.len as u64),
        Part::BootInformation,
    )?;
    for found in Tags::new(&block) {
        found?.read_into(&mut findings)?;
    }
    Ok(findings)
}

/// Returns the block's bytes, as many as it says it has.
fn block(info: u64, memory: &impl PhysicalMemory) -> Result<&[u8], BootError> {
    if !info.is_multiple_of(ALIGNMENT as u64) {
        return Err(BootError::Misaligned(info));
    }
    let bytes = |len: usize| {
        let part = Part::BootInformation;
        memory.bytes(info, len).ok_or(BootError::Unreadable {
            part,
            address: info,
            len: len as u64,
        })
    };
    let len = u32_at(bytes(HEADER_LEN)?, 0).unwrap_or(0);
    if !(LEAST_LEN..=MOST_LEN).contains(&len) {
        return Err(BootError::SizeOutOfRange {
            len,
            least: LEAST_LEN,
            most: MOST_LEN,
        });
    }
    bytes(len as usize)
}

/// A copy of the block that starts at an address and ends after a length the crate accepts: multiples of 8.
struct AlignedCopy {
    bytes: Vec<u8>,
    /// Where in `bytes` the copy starts.
    start: usize,
    /// The length of the block, before it was filled up with zeroes.
    len: usize,
}

impl AlignedCopy {
    fn new(block: &[u8]) -> Result<Self, BootError> {
        let padded_len = block.len().next_multiple_of(ALIGNMENT);
        let mut bytes: Vec<u8> = Vec::new();
        bytes
            .try_reserve_exact(padded_len + ALIGNMENT)
            .map_err(|_| BootError::OutOfMemory(Part::BootInformation))?;
        let start = bytes.as_ptr().align_offset(ALIGNMENT);
        bytes.resize(start, 0);
        bytes.extend_from_slice(block);
        bytes.resize(start + padded_len, 0);
        Ok(Self {
            bytes,
            start,
            len: block.len(),
        })
    }

    fn aligned(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

/// The tags of a block, each checked for its place; after an error there are no more.
struct Tags<'a> {
    block: &'a AlignedCopy,
    /// Where the next tag starts; none after the end tag or an error.
    next: Option<usize>,
}

impl<'a> Tags<'a> {
    fn new(block: &'a AlignedCopy) -> Self {
        Self {
            block,
            next: Some(HEADER_LEN),
        }
    }

    /// Returns the tag that starts at `offset`, or `None` for the end tag.
    fn tag_at(&mut self, offset: usize) -> Result<Option<FoundTag<'a>>, BootError> {
        let total = self.block.len;
        let bytes = self.block.aligned();
        let (Some(kind), Some(len)) = (u32_at(bytes, offset), u32_at(bytes, offset + 4)) else {
            return Err(BootError::Tag(TagError::NoEnd { total }));
        };
        let len = len as usize;
        if len < HEADER_LEN {
            return Err(BootError::Tag(TagError::TooShort {
                kind,
                offset,
                len,
                least: HEADER_LEN,
            }));
        }
        let beyond_end = BootError::Tag(TagError::BeyondEnd {
            kind,
            offset,
            len,
            total,
        });
        if len > total.saturating_sub(offset) {
            return Err(beyond_end);
        }
        if kind == TagType::End.val() {
            return Ok(None);
        }
        let end = offset + len.next_multiple_of(ALIGNMENT);
        let tag = DynSizedStructure::ref_from_slice(&bytes[offset..end]).map_err(|_| beyond_end)?;
        self.next = Some(end);
        Ok(Some(FoundTag { offset, tag }))
    }
}

impl<'a> Iterator for Tags<'a> {
    type Item = Result<FoundTag<'a>, BootError>;

    fn next(&mut self) -> Option<Self::Item> {
        let offset = self.next.take()?;
        self.tag_at(offset).transpose()
    }
}

/// A tag that lies within its block; whether it holds what its kind needs is not known yet.
struct FoundTag<'a> {
    offset: usize,
    tag: &'a DynSizedStructure<TagHeader>,
}

impl<'a> FoundTag<'a> {
    /// Adds what this tag tells. Where a loader repeats a tag that makes sense only once, the first counts.
    fn read_into(&self, findings: &mut Findings) -> Result<(), BootError> {
        match TagType::from(self.tag.header().typ) {
            TagType::Cmdline if findings.command_line.is_none() => {
                let text = self.cast::<CommandLineTag>(0)?.cmdline();
                findings.command_line =
                    Some(copy(checked(text, Part::CommandLine)?, Part::CommandLine)?);
            }
            TagType::BootLoaderName if findings.loader.is_none() => {
                let text = self.cast::<BootLoaderNameTag>(0)?.name();
                findings.loader = Some(copy(checked(text, Part::LoaderName)?, Part::LoaderName)?);
            }
            TagType::Mmap if findings.memory.is_none() => {
                findings.memory = Some(self.memory_map()?)
            }
            TagType::Module => self.module_into(findings)?,
            TagType::Framebuffer if findings.framebuffer.is_none() => {
                findings.framebuffer = self.framebuffer()?;
            }
            // The newer pointer is preferred. A damaged one is none: a machine can run without ACPI.
            TagType::AcpiV2 => findings.acpi = acpi::root(self.tag.payload()).or(findings.acpi),
            TagType::AcpiV1 => findings.acpi = findings.acpi.or(acpi::root(self.tag.payload())),
            _ => {}
        }
        Ok(())
    }

    /// Returns this tag as the crate knows it, if it holds what that needs and `extra` bytes.
    ///
    /// Every such type ends in a list; where the list's items are bytes, no other length is wrong.
    fn cast<T>(&self, extra: usize) -> Result<&'a T, BootError>
    where
        T: Tag<IDType = TagType, Header = TagHeader> + Pointee<Metadata = usize> + ?Sized,
    {
        let (kind, len) = (T::ID.val(), self.tag.header().size as usize);
        let least = T::BASE_SIZE + extra;
        if len < least {
            return Err(BootError::Tag(TagError::TooShort {
                kind,
                offset: self.offset,
                len,
                least,
            }));
        }
        Ok(self.tag.cast())
    }

    /// Returns the claims of a memory map, of whose entries the crate knows only those of 24 bytes.
    fn memory_map(&self) -> Result<Vec<MemoryRange>, BootError> {
        let entry_len = u32_at(self.tag.payload(), 0).unwrap_or(0);
        let len = self
            .tag
            .payload()
            .len()
            .saturating_sub(MemoryMapTag::BASE_SIZE - HEADER_LEN);
        if entry_len as usize != size_of::<MemoryArea>()
            || !len.is_multiple_of(size_of::<MemoryArea>())
        {
            return Err(BootError::MemoryMap(MemoryMapError::Layout {
                len,
                entry_len,
            }));
        }
        let mut claims = Vec::new();
        for area in self.cast::<MemoryMapTag>(0)?.memory_areas() {
            let claim = MemoryRange::claimed(area.start_address(), area.size(), area.typ().val());
            push(&mut claims, claim, Part::MemoryMap)?;
        }
        Ok(claims)
    }

    /// Adds a module and the memory it occupies.
    fn module_into(&self, findings: &mut Findings) -> Result<(), BootError> {
        let index = findings.modules.len();
        let tag = self.cast::<ModuleTag>(0)?;
        let (start, end) = (u64::from(tag.start_address()), u64::from(tag.end_address()));
        let Some(len) = end.checked_sub(start) else {
            return Err(BootError::Module {
                index,
                error: ModuleError::EndsBeforeStart { start, end },
            });
        };
        let words = checked(tag.cmdline(), Part::ModuleName(index))?;
        findings.add_module(
            index,
            module_name(words, index)?,
            PhysicalRange::new(start, len),
        )?;
        findings.occupy(PhysicalRange::new(start, len), Part::ModuleContents(index))
    }

    /// Returns the framebuffer, if it is of a known kind and can be one.
    fn framebuffer(&self) -> Result<Option<Framebuffer>, BootError> {
        let tag = self.cast::<FramebufferTag>(self.framebuffer_extra())?;
        let format = match tag.buffer_type() {
            Ok(FramebufferType::Indexed { .. }) => PixelFormat::Indexed,
            Ok(FramebufferType::RGB { red, green, blue }) => PixelFormat::Rgb {
                red: field(red),
                green: field(green),
                blue: field(blue),
            },
            Ok(FramebufferType::Text) => PixelFormat::Text,
            Err(_) => return Ok(None),
        };
        let framebuffer = Framebuffer {
            address: tag.address(),
            pitch_bytes: tag.pitch(),
            width: tag.width(),
            height: tag.height(),
            bits_per_pixel: tag.bpp(),
            format,
        };
        Ok(framebuffer.is_possible().then_some(framebuffer))
    }

    /// Returns how many bytes the crate reads behind the fixed part of a framebuffer tag, which depends on its kind.
    fn framebuffer_extra(&self) -> usize {
        let payload = self.tag.payload();
        let kind = payload
            .get(FRAMEBUFFER_KIND)
            .map(|kind| FramebufferKind::from_val(*kind));
        match kind {
            Some(FramebufferKind::RGB) => 6,
            Some(FramebufferKind::Indexed) => {
                let colors = u16_at(payload, FramebufferTag::BASE_SIZE - HEADER_LEN).unwrap_or(0);
                size_of::<u16>() + usize::from(colors) * size_of::<FramebufferColor>()
            }
            _ => 0,
        }
    }
}

/// Returns the text of a tag, or what is wrong with it.
fn checked(text: Result<&str, StringError>, part: Part) -> Result<&str, BootError> {
    text.map_err(|error| match error {
        StringError::MissingNul(_) => BootError::NotTerminated(part),
        StringError::Utf8(error) => BootError::NotUtf8 {
            part,
            offset: error.valid_up_to(),
        },
    })
}

/// Returns the bits of one colour.
fn field(field: FramebufferField) -> ColorField {
    ColorField {
        position: field.position,
        size: field.size,
    }
}

#[cfg(test)]
mod tests {
    use multiboot2::{Builder, MemoryAreaType};

    use super::super::captured::Memory;
    use super::super::{AcpiRoot, BootInfo, MemoryKind};
    use super::*;

    const ADDRESS: u64 = 0x9000;

    /// Returns a tag of this kind with this payload, filled up to a multiple of 8.
    fn tag(kind: u32, payload: &[u8]) -> Vec<u8> {
        let mut tag = [kind.to_le_bytes(), (8 + payload.len() as u32).to_le_bytes()].concat();
        tag.extend(payload);
        tag.resize(tag.len().next_multiple_of(ALIGNMENT), 0);
        tag
    }

    /// Returns a memory map with one usable MiB at 1 MiB.
    fn memory_map() -> Vec<u8> {
        let numbers = [24_u32, 0, 0x10_0000, 0, 0x10_0000, 0, 1, 0];
        tag(6, &numbers.map(u32::to_le_bytes).concat())
    }

    /// Returns a block of these tags, the memory map first and the end tag last.
    fn block(tags: &[Vec<u8>]) -> Vec<u8> {
        let tags = [memory_map(), tags.concat(), tag(0, &[])].concat();
        let total = (8 + tags.len() as u32).to_le_bytes();
        [&total, &[0; 4], tags.as_slice()].concat()
    }

    fn read_bytes(bytes: &[u8]) -> Result<BootInfo, BootError> {
        Memory::of(ADDRESS, bytes).boot_info(MAGIC)
    }

    fn read_tags(tags: &[Vec<u8>]) -> Result<BootInfo, BootError> {
        read_bytes(&block(tags))
    }

    /// Returns a framebuffer tag of this kind, with `extra` behind its fixed part.
    fn framebuffer(kind: u8, extra: &[u8]) -> Vec<u8> {
        let fixed = [0xfd00_0000_u32, 0, 320, 80, 25]
            .map(u32::to_le_bytes)
            .concat();
        tag(8, &[fixed.as_slice(), &[32, kind, 0, 0], extra].concat())
    }

    #[test]
    fn what_the_crate_builds_is_read_back() {
        let built = Builder::new()
            .bootloader(BootLoaderNameTag::new("loader"))
            .cmdline(CommandLineTag::new("a b"))
            .mmap(MemoryMapTag::new(&[MemoryArea::new(
                0x10_0000,
                0x50_0000,
                MemoryAreaType::Available,
            )]))
            .add_module(ModuleTag::new(0x20_0000, 0x20_0010, "notes"))
            .build();

        let info = read_bytes(built.as_bytes()).expect("the crate builds valid blocks");

        assert_eq!((info.loader(), info.command_line()), ("loader", "a b"));
        assert_eq!(info.memory()[0].kind(), MemoryKind::Usable);
        assert_eq!(info.modules()[0].name(), "notes");
        assert_eq!(
            info.occupied().last(),
            Some(&PhysicalRange::new(0x20_0000, 16))
        );
    }

    /// Proves T12.
    #[test]
    fn unknown_tags_are_skipped() {
        let info = read_tags(&[tag(22, b"?"), tag(u32::MAX, &[]), tag(1, b"x\0")]);

        assert_eq!(info.expect("only known tags matter").command_line(), "x");
    }

    /// Proves T12.
    #[test]
    fn a_tag_that_is_too_short_for_its_kind_is_an_error() {
        let table: [(u32, &[u8]); 3] = [(3, &[0; 7]), (8, &[0; 23]), (8, &[0; 24])];

        for (kind, payload) in table {
            let error = read_tags(&[tag(kind, payload)]).expect_err("the tag is too short");
            assert!(
                matches!(error, BootError::Tag(TagError::TooShort { .. })),
                "{kind}: {error}"
            );
        }
    }

    /// Proves T12.
    #[test]
    fn a_tag_whose_length_is_impossible_is_an_error() {
        let with_len = |len: u32| {
            let mut bytes = block(&[tag(1, b"x\0")]);
            let offset = bytes.len() - 24;
            bytes[offset + 4..offset + 8].copy_from_slice(&len.to_le_bytes());
            read_bytes(&bytes).err()
        };
        let (kind, offset, total) = (1, 48, 72);

        assert_eq!(
            with_len(0),
            Some(BootError::Tag(TagError::TooShort {
                kind,
                offset,
                len: 0,
                least: 8
            }))
        );
        assert_eq!(
            with_len(25),
            Some(BootError::Tag(TagError::BeyondEnd {
                kind,
                offset,
                len: 25,
                total
            }))
        );
        let len = u32::MAX as usize;
        assert_eq!(
            with_len(u32::MAX),
            Some(BootError::Tag(TagError::BeyondEnd {
                kind,
                offset,
                len,
                total
            }))
        );
    }

    /// Proves T12.
    #[test]
    fn a_list_without_its_end_tag_is_an_error() {
        let mut bytes = block(&[]);
        bytes.truncate(bytes.len() - 8);
        let total = bytes.len();
        bytes[..4].copy_from_slice(&(total as u32).to_le_bytes());

        let error = read_bytes(&bytes).expect_err("there is no end tag");

        assert_eq!(error, BootError::Tag(TagError::NoEnd { total }));
        assert_eq!(
            error.to_string(),
            "the 48 bytes of boot information have no end tag"
        );
    }

    /// Proves T12.
    #[test]
    fn a_block_of_impossible_length_is_an_error() {
        for len in [0, 15, MOST_LEN + 1, u32::MAX] {
            let error = read_bytes(&[len.to_le_bytes(), [0; 4]].concat())
                .expect_err("the length is impossible");
            assert_eq!(
                error,
                BootError::SizeOutOfRange {
                    len,
                    least: 16,
                    most: MOST_LEN
                }
            );
        }
    }

    /// Proves T12.
    #[test]
    fn a_block_that_is_misaligned_or_not_in_memory_is_an_error() {
        let memory = Memory::of(ADDRESS, &block(&[])[..48]);
        let part = Part::BootInformation;

        let read = |address| {
            BootInfo::from_loader(MAGIC, address, &memory).expect_err("there is no block")
        };

        assert_eq!(read(ADDRESS + 4), BootError::Misaligned(ADDRESS + 4));
        assert_eq!(
            read(0),
            BootError::Unreadable {
                part,
                address: 0,
                len: 8
            }
        );
        assert_eq!(
            read(ADDRESS),
            BootError::Unreadable {
                part,
                address: ADDRESS,
                len: 56
            }
        );
    }

    /// Proves T12.
    #[test]
    fn a_memory_map_with_entries_of_an_unknown_length_is_an_error() {
        let mut longer = block(&[]);
        longer[16] = 32;
        let mut uneven = block(&[]);
        uneven[12] = 39;

        let error = |bytes: &[u8]| read_bytes(bytes).expect_err("the layout is unknown");

        let layout =
            |len, entry_len| BootError::MemoryMap(MemoryMapError::Layout { len, entry_len });
        assert_eq!(error(&longer), layout(24, 32));
        assert_eq!(error(&uneven), layout(23, 24));
    }

    /// Proves T12.
    #[test]
    fn a_text_that_has_no_end_or_is_not_utf8_is_an_error() {
        let error =
            |kind, bytes: &[u8]| read_tags(&[tag(kind, bytes)]).expect_err("the text is damaged");

        assert_eq!(error(1, b"x"), BootError::NotTerminated(Part::CommandLine));
        assert_eq!(
            error(1, b"ab\xff\0"),
            BootError::NotUtf8 {
                part: Part::CommandLine,
                offset: 2
            }
        );
        assert_eq!(
            error(2, b"\xff\0"),
            BootError::NotUtf8 {
                part: Part::LoaderName,
                offset: 0
            }
        );
        assert_eq!(
            error(3, &[[0; 8].as_slice(), b"x"].concat()),
            BootError::NotTerminated(Part::ModuleName(0))
        );
        assert_eq!(
            error(1, b"ab\xff\0").to_string(),
            "the command line is not UTF-8 from byte 2 on"
        );
    }

    /// Proves T12.
    #[test]
    fn a_module_that_ends_before_it_starts_is_an_error() {
        let range = [0x20_0000_u32, 0x1f_ffff].map(u32::to_le_bytes).concat();

        let error = read_tags(&[tag(3, &[range.as_slice(), b"x\0"].concat())])
            .expect_err("the module is impossible");

        assert_eq!(
            error.to_string(),
            "module 0 ends at 0x1fffff, before its start at 0x200000"
        );
    }

    #[test]
    fn of_a_tag_that_is_repeated_the_first_counts() {
        let info = read_tags(&[tag(1, b"first\0"), tag(1, b"second\0"), memory_map()])
            .expect("repeats are harmless");

        assert_eq!(info.command_line(), "first");
        assert_eq!(info.memory().len(), 1);
    }

    #[test]
    fn of_two_acpi_pointers_the_newer_counts_and_a_damaged_one_not() {
        let old = tag(14, &acpi::tests::pointer(0, 0x1000, 0)[..20]);
        let new = tag(15, &acpi::tests::pointer(2, 0x1000, 0x2000));
        let damaged = tag(15, &[1; 36]);
        let found = |tags: &[Vec<u8>]| read_tags(tags).expect("ACPI is no condition").acpi();

        assert_eq!(
            found(&[old.clone(), new.clone()]),
            Some(AcpiRoot::Xsdt(0x2000))
        );
        assert_eq!(found(&[new, old.clone()]), Some(AcpiRoot::Xsdt(0x2000)));
        assert_eq!(found(&[damaged.clone(), old]), Some(AcpiRoot::Rsdt(0x1000)));
        assert_eq!(found(&[damaged]), None);
    }

    #[test]
    fn a_framebuffer_is_told_by_its_kind() {
        let format =
            |tag| read_tags(&[tag]).map(|info| info.framebuffer().map(|found| found.format));
        let at = |position| ColorField { position, size: 8 };

        let colors = format(framebuffer(1, &[16, 8, 8, 8, 0, 8]));
        assert_eq!(
            colors,
            Ok(Some(PixelFormat::Rgb {
                red: at(16),
                green: at(8),
                blue: at(0)
            }))
        );
        assert_eq!(
            format(framebuffer(0, &[1, 0, 1, 2, 3])),
            Ok(Some(PixelFormat::Indexed))
        );
        assert_eq!(format(framebuffer(2, &[])), Ok(Some(PixelFormat::Text)));
        assert_eq!(format(framebuffer(3, &[])), Ok(None));
    }

    /// Proves T12.
    #[test]
    fn a_framebuffer_whose_palette_or_colours_are_cut_off_is_an_error() {
        for tag in [
            framebuffer(0, &[0]),
            framebuffer(0, &[2, 0, 1, 2, 3, 4, 5]),
            framebuffer(1, &[16, 8, 8, 8, 0]),
        ] {
            let error = read_tags(&[tag]).expect_err("the crate would panic on it");
            assert!(
                matches!(error, BootError::Tag(TagError::TooShort { kind: 8, .. })),
                "{error}"
            );
        }
    }
}
