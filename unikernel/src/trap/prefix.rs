//! What comes before the opcode of an instruction.
//!
//! ```text
//! any of 66 67 F0 F2 F3 26 2E 36 3E 64 65, then one of
//!     4x, then nothing or 0F or 0F 38 or 0F 3A     REX: four bits for operand size and register numbers
//!     C5 and a byte                                VEX: the same, inverted, and what REX has after it
//!     C4 and two bytes
//! ```
//!
//! Only 64-bit mode; SDM volume 2A, sections 2.1.1 "Instruction Prefixes", 2.2.1 "REX Prefixes" and 2.3.5 "The VEX Prefix".
//! The encodings of AVX-512 (62) and of later extensions (D5) are not known here.

use super::opcode::Map;

/// The bytes of an instruction, and how many have been read.
pub(super) struct Code<'a> {
    bytes: &'a [u8],
    len: usize,
}

impl<'a> Code<'a> {
    /// Returns the instruction at the start of `bytes`.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, len: 0 }
    }

    /// Returns how many bytes have been read.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.len).copied()
    }

    /// Reads a byte.
    pub(super) fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.len += 1;
        Some(byte)
    }

    /// Reads a little-endian number of this many bytes, at most 8, and extends its sign.
    pub(super) fn signed(&mut self, bytes: u32) -> Option<u64> {
        let mut number = 0;
        for place in 0..bytes {
            number |= u64::from(self.next()?) << (8 * place);
        }
        let unused = u64::BITS - 8 * bytes;
        Some((number.cast_signed() << unused >> unused).cast_unsigned())
    }
}

/// What precedes the opcode.
#[derive(Clone, Copy)]
pub(super) struct Prefixes {
    /// Operands have 16 bits (66).
    pub(super) is_operand_16: bool,
    /// Addresses have 32 bits (67).
    pub(super) is_address_32: bool,
    /// Addresses are relative to a base that is not known here (64, 65).
    pub(super) has_unknown_base: bool,
    /// The instruction is in the encoding of AVX.
    pub(super) is_vex: bool,
    /// Operands have 64 bits.
    pub(super) w: bool,
    /// The fourth bit of the register number in each field: the middle one of ModRM, the index, and the base.
    pub(super) r: u8,
    pub(super) x: u8,
    pub(super) b: u8,
    /// Which table the opcode is looked up in.
    pub(super) map: Map,
}

impl Prefixes {
    /// Reads everything up to the opcode; `None` for an encoding that is not known.
    pub(super) fn read(code: &mut Code<'_>) -> Option<Self> {
        let mut prefixes = Self {
            is_operand_16: false,
            is_address_32: false,
            has_unknown_base: false,
            is_vex: false,
            w: false,
            r: 0,
            x: 0,
            b: 0,
            map: Map::One,
        };
        prefixes.read_legacy(code)?;
        match code.peek()? {
            0x62 => return None,
            first @ (0xc4 | 0xc5) => prefixes.read_vex(first, code)?,
            rex @ 0x40..=0x4f => {
                code.next();
                prefixes.set_rex(rex);
                prefixes.read_map(code)?;
            }
            _ => prefixes.read_map(code)?,
        }
        Some(prefixes)
    }

    /// Reads the prefixes that may come in any number and order.
    fn read_legacy(&mut self, code: &mut Code<'_>) -> Option<()> {
        loop {
            match code.peek()? {
                0x66 => self.is_operand_16 = true,
                0x67 => self.is_address_32 = true,
                0x64 | 0x65 => self.has_unknown_base = true,
                // lock, repne, rep, and segments that have no base in 64-bit mode.
                0xf0 | 0xf2 | 0xf3 | 0x26 | 0x2e | 0x36 | 0x3e => {}
                _ => return Some(()),
            }
            code.next();
        }
    }

    fn set_rex(&mut self, rex: u8) {
        self.w = rex & 8 != 0;
        (self.r, self.x, self.b) = (rex << 1 & 8, rex << 2 & 8, rex << 3 & 8);
    }

    /// Reads the bytes that select another map than the first.
    fn read_map(&mut self, code: &mut Code<'_>) -> Option<()> {
        if code.peek()? != 0x0f {
            return Some(());
        }
        code.next();
        self.map = match code.peek()? {
            0x38 => Map::Three38,
            0x3a => Map::Three3A,
            _ => {
                self.map = Map::Two;
                return Some(());
            }
        };
        code.next();
        Some(())
    }

    /// Reads a VEX prefix, which holds the inverted bits of REX and the map (SDM 2A, section 2.3.5).
    fn read_vex(&mut self, first: u8, code: &mut Code<'_>) -> Option<()> {
        code.next();
        self.is_vex = true;
        let second = code.next()?;
        if first == 0xc5 {
            self.map = Map::Two;
            self.r = !second >> 4 & 8;
            return Some(());
        }
        (self.r, self.x, self.b) = (!second >> 4 & 8, !second >> 3 & 8, !second >> 2 & 8);
        self.map = match second & 0x1f {
            1 => Map::Two,
            2 => Map::Three38,
            3 => Map::Three3A,
            _ => return None,
        };
        self.w = code.next()? & 0x80 != 0;
        Some(())
    }

    /// Returns the address, cut to as many bits as addresses have.
    pub(super) fn cut(self, address: u64) -> u64 {
        if self.is_address_32 {
            address & 0xffff_ffff
        } else {
            address
        }
    }

    /// Returns the address in the segment that the prefixes select, if its base is known.
    pub(super) fn in_segment(self, address: u64) -> Option<u64> {
        (!self.has_unknown_base).then(|| self.cut(address))
    }

    /// Returns how many bytes an operand has that is no vector.
    pub(super) const fn operand_len(self) -> u8 {
        match (self.w, self.is_operand_16) {
            (true, _) => 8,
            (false, true) => 2,
            (false, false) => 4,
        }
    }
}
