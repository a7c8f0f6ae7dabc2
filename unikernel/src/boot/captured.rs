//! What loaders really left, for tests: memory that holds a capture and nothing else.
//!
//! A capture is a list of pieces of physical memory; `captured/README.md` tells the format, and how it was taken.

use alloc::vec::Vec;

use super::bytes::u64_at;
use super::{BootError, BootInfo, PhysicalMemory};

/// GRUB 2.06 on a BIOS, with two modules.
pub(super) const GRUB_BIOS: &[u8] = include_bytes!("captured/grub_bios.bin");

/// GRUB 2.06 on UEFI firmware, with two modules.
pub(super) const GRUB_UEFI: &[u8] = include_bytes!("captured/grub_uefi.bin");

/// QEMU 7.2 with `-kernel`, and an archive of two files as the one module.
pub(super) const QEMU_PVH: &[u8] = include_bytes!("captured/qemu_pvh.bin");

/// A few pieces of physical memory; everything else cannot be read.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    pub(super) pieces: Vec<Piece>,
}

/// A piece of physical memory.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) address: u64,
    pub(super) bytes: Vec<u8>,
}

impl Memory {
    /// Returns the memory that a capture holds.
    pub(super) fn load(mut capture: &[u8]) -> Self {
        let mut pieces = Vec::new();
        while let (Some(address), Some(len)) = (u64_at(capture, 0), u64_at(capture, 8)) {
            let (bytes, rest) = capture[16..].split_at(len as usize);
            pieces.push(Piece {
                address,
                bytes: bytes.to_vec(),
            });
            capture = rest;
        }
        assert!(capture.is_empty(), "a capture ends with a whole piece");
        Self { pieces }
    }

    /// Returns one piece of this content.
    pub(super) fn of(address: u64, bytes: &[u8]) -> Self {
        Self {
            pieces: vec![Piece {
                address,
                bytes: bytes.to_vec(),
            }],
        }
    }

    /// Reads what the loader left in the first piece.
    pub(super) fn boot_info(&self, magic: u32) -> Result<BootInfo, BootError> {
        BootInfo::from_loader(magic, self.pieces[0].address, self)
    }
}

impl PhysicalMemory for Memory {
    fn bytes(&self, address: u64, len: usize) -> Option<&[u8]> {
        self.pieces.iter().find_map(|piece| {
            let start = usize::try_from(address.checked_sub(piece.address)?).ok()?;
            piece.bytes.get(start..start.checked_add(len)?)
        })
    }
}

mod tests {
    use super::super::{
        AcpiRoot, ColorField, MemoryKind, PhysicalRange, PixelFormat, acpi, command_line,
        multiboot2, pvh,
    };
    use super::*;

    /// Each capture with the number its loader passes, and how many of its pieces the boot information takes.
    const CAPTURES: [(&[u8], u32, usize); 3] = [
        (GRUB_BIOS, multiboot2::MAGIC, 1),
        (GRUB_UEFI, multiboot2::MAGIC, 1),
        (QEMU_PVH, pvh::MAGIC, 6),
    ];

    fn read(capture: &[u8], magic: u32) -> BootInfo {
        Memory::load(capture)
            .boot_info(magic)
            .expect("a real loader left it")
    }

    /// Returns start, end and kind of all memory.
    fn memory_of(info: &BootInfo) -> Vec<(u64, u64, MemoryKind)> {
        info.memory()
            .iter()
            .map(|memory| (memory.range().start(), memory.range().end(), memory.kind()))
            .collect()
    }

    fn frames_of(info: &BootInfo) -> Vec<(u64, u64)> {
        info.usable_frames()
            .map(|range| (range.start(), range.end()))
            .collect()
    }

    /// Asserts that the two files are there, under their names and with their bytes.
    fn assert_modules(info: &BootInfo, memory: &Memory) {
        let contents = |module: &super::super::Module| {
            let bytes = memory
                .bytes(module.start(), module.len_bytes() as usize)
                .expect("it was captured");
            (module.name().to_owned(), bytes.to_owned())
        };
        let expected = [
            ("README.md".into(), b"hello unikernel\n".to_vec()),
            (
                "my notes.txt".into(),
                b"one two two\nthree three three\n".to_vec(),
            ),
        ];
        assert_eq!(
            info.modules().iter().map(contents).collect::<Vec<_>>(),
            expected
        );
    }

    #[test]
    fn grub_on_a_bios_is_understood() {
        let info = read(GRUB_BIOS, multiboot2::MAGIC);

        let expected = [
            (0, 0x9_fc00, MemoryKind::Usable),
            (0x9_fc00, 0xa_0000, MemoryKind::Reserved),
            (0xf_0000, 0x10_0000, MemoryKind::Reserved),
            (0x10_0000, 0x1ffe_0000, MemoryKind::Usable),
            (0x1ffe_0000, 0x2000_0000, MemoryKind::Reserved),
            (0xfffc_0000, 0x1_0000_0000, MemoryKind::Reserved),
            (0xfd_0000_0000, 0x100_0000_0000, MemoryKind::Reserved),
        ];
        assert_eq!(memory_of(&info), expected);
        assert_eq!(frames_of(&info), [(0x10_0000, 0x1ffe_0000)]);
        assert_eq!(info.loader(), "GRUB 2.06-13+deb12u2");
        assert_eq!(info.acpi(), Some(AcpiRoot::Rsdt(0x1ffe_1a71)));
        let occupied = [(0x10_0160, 1720), (0x10_1000, 16), (0x10_2000, 30)];
        assert_eq!(
            info.occupied(),
            occupied.map(|(start, len)| PhysicalRange::new(start, len))
        );
        assert_modules(&info, &Memory::load(GRUB_BIOS));
    }

    #[test]
    fn grub_on_uefi_is_understood() {
        let info = read(GRUB_UEFI, multiboot2::MAGIC);

        let memory = memory_of(&info);
        assert_eq!(memory.len(), 19);
        assert!(memory.contains(&(0x1f9e_d000, 0x1fae_d000, MemoryKind::Other(20))));
        assert!(memory.contains(&(0x1fb6_d000, 0x1fb7_f000, MemoryKind::AcpiReclaimable)));
        assert!(memory.contains(&(0x1fb7_f000, 0x1fbf_f000, MemoryKind::AcpiNvs)));
        assert_eq!(frames_of(&info)[0], (0x10_0000, 0x80_0000));
        assert_eq!(info.acpi(), Some(AcpiRoot::Xsdt(0x1fb7_d0e8)));
        assert_modules(&info, &Memory::load(GRUB_UEFI));
    }

    #[test]
    fn the_framebuffer_that_grub_set_up_is_understood() {
        let framebuffer = read(GRUB_UEFI, multiboot2::MAGIC)
            .framebuffer()
            .expect("the header asked for one");

        assert_eq!(
            (
                framebuffer.width,
                framebuffer.height,
                framebuffer.bits_per_pixel
            ),
            (1024, 768, 32)
        );
        assert_eq!(
            (framebuffer.address, framebuffer.pitch_bytes),
            (0x8000_0000, 4096)
        );
        let at = |position| ColorField { position, size: 8 };
        assert_eq!(
            framebuffer.format,
            PixelFormat::Rgb {
                red: at(16),
                green: at(8),
                blue: at(0)
            }
        );
    }

    #[test]
    fn the_command_line_that_grub_rewrote_has_the_words_of_the_menu_entry() {
        let info = read(GRUB_BIOS, multiboot2::MAGIC);

        let line =
            command_line::CommandLine::parse(info.command_line()).expect("a test has memory");

        // The empty word is lost: GRUB writes nothing for it.
        let words = [
            "--top",
            "5",
            "two words",
            "say \"hi\"",
            "it's",
            "back\\slash",
            "a\ttab",
            "ünï",
            "end",
        ];
        assert_eq!(line.arguments(), words);
        assert_eq!(line.options().log_level(), log::LevelFilter::Info);
    }

    #[test]
    fn qemu_by_pvh_is_understood() {
        let info = read(QEMU_PVH, pvh::MAGIC);

        assert_eq!(frames_of(&info), [(0x10_0000, 0x1ffe_0000)]);
        assert_eq!(
            info.command_line(),
            "unikernel.log=info --top 5 \"two words\" 'x' end"
        );
        assert_eq!(info.acpi(), Some(AcpiRoot::Rsdt(0x1ffe_1a7d)));
        assert_eq!(info.loader(), "PVH");
        let starts: Vec<_> = info.occupied().iter().map(|range| range.start()).collect();
        assert_eq!(starts, [0x5a8, 0x11c0, 0x21c0, 0x21e0, 0x1ffd_7000]);
        assert_modules(&info, &Memory::load(QEMU_PVH));
    }

    #[test]
    fn both_firmwares_tell_how_to_power_off() {
        for (capture, port) in [(GRUB_BIOS, 0x604), (GRUB_UEFI, 0xb004)] {
            let memory = Memory::load(capture);
            let root = memory
                .boot_info(multiboot2::MAGIC)
                .expect("a real loader left it")
                .acpi();
            let found = root.and_then(|root| acpi::power_off(root, &memory));
            assert_eq!(
                found,
                Some(acpi::PowerOff {
                    port,
                    value: 1 << 13
                })
            );
        }
    }

    /// Reads changed memory and asserts that the answer is sound, whichever it is.
    fn assert_sound(memory: &Memory, magic: u32) {
        match memory.boot_info(magic) {
            Ok(info) => info.check_invariants(),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }

    /// Returns a capture that is followed by readable noise, so that a length that is too large is not noticed by accident.
    fn noisy(capture: &[u8]) -> Memory {
        let mut memory = Memory::load(capture);
        let mut random = Random(0x5eed);
        for piece in &mut memory.pieces {
            piece.bytes.extend((0..512).map(|_| random.next() as u8));
        }
        memory
    }

    /// Numbers that look random and are the same in each run (Marsaglia, "Xorshift RNGs", 2003).
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        fn below(&mut self, end: usize) -> usize {
            (self.next() % end as u64) as usize
        }
    }

    /// Proves T12. These are 95,000 blocks, each with one wrong byte.
    #[test]
    fn no_single_wrong_byte_does_harm() {
        for (capture, magic, pieces) in CAPTURES {
            let lens: Vec<_> = Memory::load(capture)
                .pieces
                .iter()
                .map(|piece| piece.bytes.len())
                .collect();
            let mut memory = noisy(capture);
            for (piece, len) in lens.into_iter().enumerate().take(pieces) {
                for place in 0..len {
                    let right = memory.pieces[piece].bytes[place];
                    let flipped = (0..8).map(|bit| right ^ 1 << bit);
                    for wrong in flipped.chain([0x00, 0xff]) {
                        memory.pieces[piece].bytes[place] = wrong;
                        assert_sound(&memory, magic);
                    }
                    memory.pieces[piece].bytes[place] = right;
                }
            }
        }
    }

    /// Proves T12. Each piece ends early, at each length.
    #[test]
    fn no_block_that_ends_early_does_harm() {
        for (capture, magic, pieces) in CAPTURES {
            for piece in 0..pieces {
                let mut memory = Memory::load(capture);
                while memory.pieces[piece].bytes.pop().is_some() {
                    assert_sound(&memory, magic);
                }
            }
        }
    }

    /// Proves T12. These are 15,000 blocks, each with up to 64 wrong bytes.
    #[test]
    fn no_combination_of_wrong_bytes_does_harm() {
        const SEED: u64 = 0x1dea_2026;
        let mut random = Random(SEED);
        for (capture, magic, pieces) in CAPTURES {
            let original = noisy(capture);
            for _ in 0..5_000 {
                let mut memory = original.clone();
                for _ in 0..=random.below(64) {
                    let piece = &mut memory.pieces[random.below(pieces)].bytes;
                    let place = random.below(piece.len());
                    piece[place] = random.next() as u8;
                }
                assert_sound(&memory, magic);
            }
        }
    }

    /// Proves T12. The tests above would notice a reader that believes a block.
    #[test]
    #[should_panic(expected = "B2")]
    fn a_module_outside_memory_would_be_noticed() {
        let mut info = read(GRUB_BIOS, multiboot2::MAGIC);
        info.modules[0].range = PhysicalRange::new(0xfffc_0000, 1);

        info.check_invariants();
    }
}
