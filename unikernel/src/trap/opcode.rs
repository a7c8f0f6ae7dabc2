//! What has to be known of an opcode to find the memory its instruction touches.
//!
//! Only 64-bit mode. From the opcode maps of the SDM, volume 2D, appendix A, tables, and the pages of the
//! instructions in volume 2. An opcode that is not defined raises #UD, never a protection fault, so for it any answer will
//! do.

/// Which table an opcode is looked up in; the bytes before the opcode tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Map {
    /// No byte: `opcode`.
    One,
    /// `0F opcode`.
    Two,
    /// `0F 38 opcode`.
    Three38,
    /// `0F 3A opcode`.
    Three3A,
}

/// An opcode in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opcode {
    pub(super) map: Map,
    pub(super) byte: u8,
}

/// Memory that an instruction touches without an operand that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Implicit {
    /// Nothing.
    Nothing,
    /// What is below the stack pointer.
    Push,
    /// What is at the stack pointer.
    Pop,
    /// What is at the frame pointer.
    Leave,
    /// What `rsi` points at.
    Source,
    /// What `rdi` points at.
    Destination,
    /// What both point at.
    SourceAndDestination,
    /// The byte of the table at `rbx` that `al` selects.
    Table,
    /// The address that follows the opcode.
    Offset,
}

impl Opcode {
    /// Returns whether a ModRM byte follows.
    pub(super) const fn has_modrm(self) -> bool {
        match self.map {
            Map::One => {
                matches!(
                    self.byte,
                    0x63 | 0x69 | 0x6b | 0x80 | 0x81 | 0x83..=0x8f | 0xc0 | 0xc1 | 0xc6 | 0xc7 | 0xd0..=0xd3
                        | 0xd8..=0xdf | 0xf6 | 0xf7 | 0xfe | 0xff
                ) || self.byte < 0x40 && self.byte & 7 < 4
            }
            Map::Two => !matches!(
                self.byte,
                0x04..=0x0c | 0x0e | 0x30..=0x37 | 0x77 | 0x80..=0x8f | 0xa0..=0xa2 | 0xa8..=0xaa | 0xc8..=0xcf
            ),
            Map::Three38 | Map::Three3A => true,
        }
    }

    /// Returns whether a memory operand in the ModRM byte, whose middle field is `field`, is touched at all.
    pub(super) const fn touches_operand(self, field: u8) -> bool {
        match (self.map, self.byte) {
            // lea computes an address, invlpg takes any.
            (Map::One, 0x8d) => false,
            (Map::Two, 0x01) => field != 7,
            // Prefetches and nops with an operand are hints.
            (Map::Two, 0x0d | 0x18..=0x1f) => false,
            _ => true,
        }
    }

    /// Returns how many bytes of constants follow the operand; 4 stands for 2 where the operand has 16 bits.
    pub(super) const fn immediate_len(self, field: u8) -> usize {
        match (self.map, self.byte) {
            (Map::One, 0x6b | 0x80 | 0x83 | 0xc0 | 0xc1 | 0xc6) => 1,
            (Map::One, 0x69 | 0x81 | 0xc7) => 4,
            (Map::One, 0xf6) if field < 2 => 1,
            (Map::One, 0xf7) if field < 2 => 4,
            (Map::Two, 0x70..=0x73 | 0xa4 | 0xac | 0xba | 0xc2 | 0xc4..=0xc6)
            | (Map::Three3A, _) => 1,
            _ => 0,
        }
    }

    /// Returns what is touched besides the operand; `field` is the middle field of the ModRM byte, if there is one.
    pub(super) const fn implicit(self, field: u8) -> Implicit {
        match (self.map, self.byte, field) {
            // push, pushf, call, enter; push and call with an operand; push of fs and gs.
            (Map::One, 0x50..=0x57 | 0x68 | 0x6a | 0x9c | 0xc8 | 0xe8, _)
            | (Map::One, 0xff, 2 | 3 | 6)
            | (Map::Two, 0xa0 | 0xa8, _) => Implicit::Push,
            // pop, popf, ret, iret; pop with an operand; pop of fs and gs.
            (Map::One, 0x58..=0x5f | 0x8f | 0x9d | 0xc2 | 0xc3 | 0xca | 0xcb | 0xcf, _)
            | (Map::Two, 0xa1 | 0xa9, _) => Implicit::Pop,
            (Map::One, 0xc9, _) => Implicit::Leave,
            // movs and cmps; lods and outs; stos, scas and ins.
            (Map::One, 0xa4..=0xa7, _) => Implicit::SourceAndDestination,
            (Map::One, 0xac | 0xad | 0x6e | 0x6f, _) => Implicit::Source,
            (Map::One, 0xaa | 0xab | 0xae | 0xaf | 0x6c | 0x6d, _) => Implicit::Destination,
            // maskmovq and maskmovdqu, whose ModRM byte names registers only.
            (Map::Two, 0xf7, _) => Implicit::Destination,
            (Map::One, 0xd7, _) => Implicit::Table,
            (Map::One, 0xa0..=0xa3, _) => Implicit::Offset,
            _ => Implicit::Nothing,
        }
    }

    /// Returns whether this is a jump or call to where its operand says.
    pub(super) const fn is_indirect_jump(self, field: u8) -> bool {
        matches!((self.map, self.byte, field), (Map::One, 0xff, 2 | 4))
    }

    /// Returns whether this addresses a bit string, where a register counts bits from the operand on (bt and its kin).
    pub(super) const fn is_bit_string(self) -> bool {
        matches!((self.map, self.byte), (Map::Two, 0xa3 | 0xab | 0xb3 | 0xbb))
    }

    /// Returns whether the index of the operand is a vector, if the encoding is that of AVX (the gathers).
    pub(super) const fn is_gather(self) -> bool {
        matches!((self.map, self.byte), (Map::Three38, 0x90..=0x93))
    }

    /// Returns what the operand's address must be a multiple of, if the processor may ask for it.
    ///
    /// Of the vector instructions, unaligned moves and those with a smaller operand do not ask; but they have no other
    /// reason for a protection fault than their address, so after a fault the answer is right all the same.
    pub(super) const fn alignment(self, field: u8) -> Option<u64> {
        match (self.map, self.byte, field) {
            // fxsave and fxrstor; xsave, xrstor and xsaveopt.
            (Map::Two, 0xae, 0 | 1) => Some(16),
            (Map::Two, 0xae, 4..=6) => Some(64),
            // cmpxchg16b; the saving instructions of supervisors.
            (Map::Two, 0xc7, 1) => Some(16),
            (Map::Two, 0xc7, 3..=5) => Some(64),
            (
                Map::Two,
                0x10..=0x17
                | 0x28..=0x2f
                | 0x50..=0x77
                | 0x7c..=0x7f
                | 0xc2
                | 0xc4..=0xc6
                | 0xd0..=0xff,
                _,
            ) => Some(16),
            _ => None,
        }
    }
}
