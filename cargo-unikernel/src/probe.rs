//! The smallest images there are: a few hand-assembled instructions with both boot headers.
//!
//! They measure an accelerator, and they test the machine runner without a compiler: a probe can speak, spin, hang,
//! reset and exit. A probe runs in 32-bit protected mode, as every loader leaves the machine, and needs no stack.

const BASE: u32 = 0x20_0000;
const CODE_OFFSET: u32 = 0x1000;
const HEADER_LEN: u16 = 64;
const SEGMENT_LEN: u16 = 56;
/// The kind of a segment, and its alignment.
const LOAD: (u32, u64) = (1, 0x1000);
const NOTE: (u32, u64) = (4, 4);

/// A program under construction.
///
/// ```
/// use cargo_unikernel::probe::Probe;
///
/// let image = Probe::new().say("hello\n").exit(7).image();
/// assert_eq!(&image[..4], b"\x7fELF");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Probe {
    code: Vec<u8>,
}

impl Probe {
    /// Returns a program that does nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes text to the first serial port.
    #[must_use]
    pub fn say(mut self, text: &str) -> Self {
        self.code.extend([0x66, 0xba, 0xf8, 0x03]); // mov dx, 0x3f8
        self.code
            .extend(text.bytes().flat_map(|byte| [0xb0, byte, 0xee])); // mov al, byte; out dx, al
        self
    }

    /// Waits for a byte on the first serial port and writes it back.
    #[must_use]
    pub fn echo(mut self) -> Self {
        self.code.extend([0x66, 0xba, 0xfd, 0x03]); // mov dx, 0x3fd
        self.code.extend([0xec, 0xa8, 0x01, 0x74, 0xfb]); // again: in al, dx; test al, 1; jz again
        self.code.extend([0x66, 0xba, 0xf8, 0x03, 0xec, 0xee]); // mov dx, 0x3f8; in al, dx; out dx, al
        self
    }

    /// Runs two instructions `count` times.
    #[must_use]
    pub fn spin(mut self, count: u32) -> Self {
        self.code.push(0xb9); // mov ecx, count
        self.code.extend(count.to_le_bytes());
        self.code.extend([0x49, 0x75, 0xfd]); // dec ecx; jnz -3
        self
    }

    /// Ends the machine with a code, which is at most 110.
    #[must_use]
    pub fn exit(mut self, code: u8) -> Self {
        self.code
            .extend([0x66, 0xba, 0xf4, 0x00, 0xb0, code + 0x10, 0xee]); // mov dx, 0xf4; mov al, ..; out dx, al
        self.hang()
    }

    /// Never ends.
    #[must_use]
    pub fn hang(mut self) -> Self {
        self.code.extend([0xeb, 0xfe]); // jmp here
        self
    }

    /// Resets the machine by a triple fault: an interrupt without an interrupt table.
    #[must_use]
    pub fn triple_fault(mut self) -> Self {
        self.code.extend([0x0f, 0x01, 0x1d]); // lidt [six zero bytes]
        self.code.extend((BASE + Self::ZEROES).to_le_bytes());
        self.code.push(0xcc); // int3
        self
    }

    /// Returns the program as an ELF file that boots by Multiboot2 and PVH.
    #[must_use]
    pub fn image(&self) -> Vec<u8> {
        let text = self.text();
        let len = u32::try_from(text.len()).expect("a probe is small");
        let symbols_offset = (CODE_OFFSET + len).next_multiple_of(0x1000);
        let mut file = header();
        file.extend(segment(LOAD, CODE_OFFSET, len));
        file.extend(segment(LOAD, symbols_offset, 16));
        file.extend(segment(NOTE, CODE_OFFSET + Self::NOTE, 24));
        file.resize(CODE_OFFSET as usize, 0);
        file.extend(text);
        file.resize(symbols_offset as usize, 0);
        file.extend(b"UKSYMTAB\x10\0\0\0\0\0\0\0");
        file
    }

    const NOTE: u32 = 24;
    const ZEROES: u32 = 48;
    const ENTRY: u32 = 56;

    /// Multiboot2 header, PVH note, eight zero bytes, code.
    fn text(&self) -> Vec<u8> {
        let magic = 0xe852_50d6_u32;
        let header_len = 24_u32;
        let checksum = 0_u32.wrapping_sub(magic).wrapping_sub(header_len);
        let mut text = words(&[magic, 0, header_len, checksum, 0, 8]);
        text.extend(words(&[
            4,
            8,
            18,
            u32::from_le_bytes(*b"Xen\0"),
            BASE + Self::ENTRY,
            0,
        ]));
        text.extend([0; 8]);
        text.extend(&self.code);
        text
    }
}

fn header() -> Vec<u8> {
    let mut header = b"\x7fELF\x02\x01\x01".to_vec();
    header.resize(16, 0);
    header.extend([2, 0, 62, 0, 1, 0, 0, 0]); // an executable for x86-64
    header.extend(u64::from(BASE + Probe::ENTRY).to_le_bytes());
    header.extend(u64::from(HEADER_LEN).to_le_bytes());
    header.extend([0; 12]); // no sections, no flags
    for half in [HEADER_LEN, SEGMENT_LEN, 3, 64, 0, 0] {
        header.extend(half.to_le_bytes());
    }
    header
}

fn segment((kind, alignment): (u32, u64), offset: u32, len: u32) -> Vec<u8> {
    let address = u64::from(BASE + offset - CODE_OFFSET);
    let mut segment = words(&[kind, 5]);
    for value in [
        u64::from(offset),
        address,
        address,
        len.into(),
        len.into(),
        alignment,
    ] {
        segment.extend(value.to_le_bytes());
    }
    segment
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}
