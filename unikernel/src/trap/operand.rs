//! Which addresses an instruction touches, computed the way the processor does.
//!
//! ```text
//! prefixes | opcode | ModRM | SIB | displacement | constants
//!                     └── base + index * scale + displacement, or rip + displacement
//! ```
//!
//! Only 64-bit mode; SDM volume 2A, chapter 2 "Instruction Format". What comes before the opcode is read in
//! [`prefix`](super::prefix), what an opcode does with the operand is in [`opcode`](super::opcode).
//!
//! Left out, because the registers do not tell: operands relative to `fs` or `gs`, gathers through vector registers, and
//! instructions of AVX-512. They yield no address, never a wrong one.

use super::Registers;
use super::opcode::{Implicit, Opcode};
use super::prefix::{Code, Prefixes};

/// The numbers that the encoding gives `rsp` and `rbp`, where they stand for something else.
const RSP: u8 = 4;
const RBP: u8 = 5;

/// What an instruction touches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Touched {
    /// The address of the operand in memory.
    pub(super) operand: Option<u64>,
    /// What the operand's address must be a multiple of.
    pub(super) alignment: Option<u64>,
    /// Other addresses: of the stack, or of strings.
    pub(super) implicit: [Option<u64>; 2],
    /// Where it jumps, if a register says so.
    pub(super) jump: Option<u64>,
}

impl Touched {
    /// Returns every address at which data is touched, the operand first.
    pub(super) fn data(&self) -> impl Iterator<Item = u64> {
        self.operand
            .into_iter()
            .chain(self.implicit.into_iter().flatten())
    }
}

/// Returns what the instruction at the start of `bytes` touches, or `None` if it is cut off or not known.
pub(super) fn touched(bytes: &[u8], registers: &Registers) -> Option<Touched> {
    let mut code = Code::new(bytes);
    let prefixes = Prefixes::read(&mut code)?;
    let opcode = Opcode {
        map: prefixes.map,
        byte: code.next()?,
    };
    let instruction = Instruction {
        prefixes,
        opcode,
        registers,
    };
    if opcode.has_modrm() {
        let modrm = ModRm(code.next()?);
        instruction.touched_by_modrm(modrm, &mut code)
    } else {
        let implicit = instruction.implicit(0, &mut code)?;
        Some(Touched {
            implicit,
            ..Touched::default()
        })
    }
}

/// The byte that names the operands.
#[derive(Clone, Copy)]
struct ModRm(u8);

impl ModRm {
    const fn mode(self) -> u8 {
        self.0 >> 6
    }

    /// Returns the middle field: a register, or a part of the opcode.
    const fn field(self) -> u8 {
        self.0 >> 3 & 7
    }

    const fn base(self) -> u8 {
        self.0 & 7
    }

    const fn is_register(self) -> bool {
        self.mode() == 3
    }
}

/// An instruction up to its opcode.
struct Instruction<'a> {
    prefixes: Prefixes,
    opcode: Opcode,
    registers: &'a Registers,
}

impl Instruction<'_> {
    fn touched_by_modrm(&self, modrm: ModRm, code: &mut Code<'_>) -> Option<Touched> {
        let field = modrm.field();
        let implicit = self.implicit(field, code)?;
        if modrm.is_register() {
            let target = self.registers.numbered(modrm.base() | self.prefixes.b);
            let jump = self.opcode.is_indirect_jump(field).then_some(target);
            return Some(Touched {
                implicit,
                jump,
                ..Touched::default()
            });
        }
        let address = self.effective_address(modrm, code)?;
        let is_gather = self.prefixes.is_vex && self.opcode.is_gather();
        let is_touched = self.opcode.touches_operand(field) && !is_gather;
        let operand = if is_touched {
            self.prefixes.in_segment(address)
        } else {
            None
        };
        let alignment = if self.prefixes.is_vex {
            None
        } else {
            self.opcode.alignment(field)
        };
        Some(Touched {
            operand,
            alignment,
            implicit,
            jump: None,
        })
    }

    /// Reads the rest of the operand and returns its address, before the segment's base.
    fn effective_address(&self, modrm: ModRm, code: &mut Code<'_>) -> Option<u64> {
        let (base, index) = if modrm.base() == RSP {
            let sib = code.next()?;
            (sib & 7, self.scaled_index(sib))
        } else {
            (modrm.base(), 0)
        };
        let has_base = modrm.mode() != 0 || base != RBP;
        let displacement = match modrm.mode() {
            0 if has_base => 0,
            1 => code.signed(1)?,
            _ => code.signed(4)?,
        };
        let base = if has_base {
            self.registers.numbered(base | self.prefixes.b)
        } else if modrm.base() == RBP {
            self.next_instruction(modrm, code)
        } else {
            0
        };
        let address = base.wrapping_add(index).wrapping_add(displacement);
        Some(address.wrapping_add(self.bit_string_offset(modrm)))
    }

    /// Returns the index register of a SIB byte times its scale; the number of `rsp` stands for no index.
    fn scaled_index(&self, sib: u8) -> u64 {
        match sib >> 3 & 7 | self.prefixes.x {
            RSP => 0,
            number => self.registers.numbered(number) << (sib >> 6),
        }
    }

    /// Returns the address of the instruction behind this one, of which all but the constants has been read.
    fn next_instruction(&self, modrm: ModRm, code: &Code<'_>) -> u64 {
        let constants = match self.opcode.immediate_len(modrm.field()) {
            4 => usize::from(self.prefixes.operand_len().min(4)),
            len => len,
        };
        self.registers
            .rip
            .wrapping_add((code.len() + constants) as u64)
    }

    /// Returns how far the bit that is meant lies from the operand, in whole operands (SDM 2A, "BT").
    fn bit_string_offset(&self, modrm: ModRm) -> u64 {
        if !self.opcode.is_bit_string() {
            return 0;
        }
        let bits = self
            .registers
            .numbered(modrm.field() | self.prefixes.r)
            .cast_signed();
        let offset = match self.prefixes.operand_len() {
            8 => (bits >> 6) * 8,
            4 => i64::from(bits as i32 >> 5) * 4,
            _ => i64::from(bits as i16 >> 4) * 2,
        };
        offset.cast_unsigned()
    }

    /// Returns what is touched besides the operand, reading what belongs to it.
    fn implicit(&self, field: u8, code: &mut Code<'_>) -> Option<[Option<u64>; 2]> {
        let registers = self.registers;
        let slot = if self.prefixes.is_operand_16 { 2 } else { 8 };
        let source = self.prefixes.in_segment(registers.rsi);
        // The destination of a string is never relative to another segment.
        let destination = Some(self.prefixes.cut(registers.rdi));
        Some(match self.opcode.implicit(field) {
            Implicit::Nothing => [None, None],
            Implicit::Push => [Some(registers.rsp.wrapping_sub(slot)), None],
            Implicit::Pop => [Some(registers.rsp), None],
            Implicit::Leave => [Some(registers.rbp), None],
            Implicit::Source => [source, None],
            Implicit::Destination => [destination, None],
            Implicit::SourceAndDestination => [source, destination],
            Implicit::Table => [
                self.prefixes
                    .in_segment(registers.rbx.wrapping_add(registers.rax & 0xff)),
                None,
            ],
            Implicit::Offset => {
                let offset = code.signed(if self.prefixes.is_address_32 { 4 } else { 8 })?;
                [self.prefixes.in_segment(offset), None]
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::is_canonical;
    use super::*;

    /// Each register has a value of its own, which no sum of a few others equals.
    const fn value(number: u64) -> u64 {
        (number + 1) * 0x1_0000_0100
    }

    const RAX: u64 = value(0);
    const RCX: u64 = value(1);
    const RDX: u64 = value(2);
    const RBX: u64 = value(3);
    const RSP: u64 = value(4);
    const RBP: u64 = value(5);
    const RSI: u64 = value(6);
    const RDI: u64 = value(7);
    const R8: u64 = value(8);
    const R9: u64 = value(9);
    const R10: u64 = value(10);
    const R12: u64 = value(12);
    const R13: u64 = value(13);
    const R14: u64 = value(14);
    const R15: u64 = value(15);
    const RIP: u64 = 0xffff_ffff_8020_0000;

    const REGISTERS: Registers = Registers {
        rax: RAX,
        rcx: RCX,
        rdx: RDX,
        rbx: RBX,
        rsp: RSP,
        rbp: RBP,
        rsi: RSI,
        rdi: RDI,
        r8: R8,
        r9: R9,
        r10: R10,
        r11: value(11),
        r12: R12,
        r13: R13,
        r14: R14,
        r15: R15,
        rip: RIP,
        rflags: 0,
        cs: 0,
        ss: 0,
    };

    /// Instructions as the GNU assembler writes them, its encoding, and the addresses of the data they touch.
    #[rustfmt::skip]
    const TABLE: &[(&str, &str, &[u64])] = &[
        ("mov (%rax), %rcx", "488b08", &[RAX]),
        ("mov %rcx, (%rdx)", "48890a", &[RDX]),
        ("mov (%r8), %r9", "4d8b08", &[R8]),
        ("movb $1, (%rax)", "c60001", &[RAX]),
        ("mov 0x10(%rbx), %eax", "8b4310", &[RBX + 0x10]),
        ("mov -8(%rbp), %rax", "488b45f8", &[RBP - 8]),
        ("mov -0x1000(%rsi), %rax", "488b8600f0ffff", &[RSI - 0x1000]),
        ("mov (%rsp), %rax", "488b0424", &[RSP]),
        ("mov 8(%rsp), %rax", "488b442408", &[RSP + 8]),
        ("mov (%r12), %rax", "498b0424", &[R12]),
        ("mov (%rbp), %rax", "488b4500", &[RBP]),
        ("mov (%r13), %rax", "498b4500", &[R13]),
        ("mov (%rax,%rcx,8), %rdx", "488b14c8", &[RAX + RCX * 8]),
        ("mov 0x20(%r9,%r10,4), %rdx", "4b8b549120", &[R9 + R10 * 4 + 0x20]),
        ("mov 0x1000(,%rax,2), %rdx", "488b144500100000", &[RAX * 2 + 0x1000]),
        ("mov (%rax,%r12,1), %rdx", "4a8b1420", &[RAX + R12]),
        ("mov 0x7000, %eax", "8b042500700000", &[0x7000]),
        ("mov 0x1000(%rip), %rax", "488b0500100000", &[RIP + 0x1007]),
        ("movl $5, 0x1000(%rip)", "c7050010000005000000", &[RIP + 0x100a]),
        ("movw $5, 0x1000(%rip)", "66c705001000000500", &[RIP + 0x1009]),
        ("cmpb $5, -0x20(%rip)", "803de0ffffff05", &[RIP - 0x19]),
        ("testl $5, 0x1000(%rip)", "f7050010000005000000", &[RIP + 0x100a]),
        ("notl 0x1000(%rip)", "f71500100000", &[RIP + 0x1006]),
        ("mov (%eax), %rcx", "67488b08", &[RAX & 0xffff_ffff]),
        ("movabs 0x8000_0000_0000_0000, %rax", "48a10000000000000080", &[1 << 63]),
        ("lea (%rax,%rcx,8), %rdx", "488d14c8", &[]),
        ("nopw 0x0(%rax,%rax,1)", "660f1f0400", &[]),
        ("prefetchnta (%rax)", "0f1800", &[]),
        ("invlpg (%rax)", "0f0138", &[]),
        ("push %rbx", "53", &[RSP - 8]),
        ("push $0x10", "6a10", &[RSP - 8]),
        ("push (%rcx)", "ff31", &[RCX, RSP - 8]),
        ("pushw %ax", "6650", &[RSP - 2]),
        ("pop %r15", "415f", &[RSP]),
        ("pop (%rdx)", "8f02", &[RDX, RSP]),
        ("call .+0x100", "e8fb000000", &[RSP - 8]),
        ("call *(%rax)", "ff10", &[RAX, RSP - 8]),
        ("jmp *0x18(%rax)", "ff6018", &[RAX + 0x18]),
        ("ret", "c3", &[RSP]),
        ("leave", "c9", &[RBP]),
        ("iretq", "48cf", &[RSP]),
        ("rep movsb", "f3a4", &[RSI, RDI]),
        ("movsq", "48a5", &[RSI, RDI]),
        ("rep stosq", "f348ab", &[RDI]),
        ("lodsb", "ac", &[RSI]),
        ("repne scasb", "f2ae", &[RDI]),
        ("repe cmpsb", "f3a6", &[RSI, RDI]),
        ("xlat", "d7", &[RBX + (RAX & 0xff)]),
        ("movaps %xmm0, (%rsp)", "0f290424", &[RSP]),
        ("movdqu 0x40(%rdi), %xmm9", "f3440f6f4f40", &[RDI + 0x40]),
        ("movss (%r14), %xmm1", "f3410f100e", &[R14]),
        ("pshufb (%rcx), %xmm0", "660f380001", &[RCX]),
        ("pshufd $3, 0x1000(%rip), %xmm0", "660f70050010000003", &[RIP + 0x1009]),
        ("pextrd $1, %xmm0, 0x1000(%rip)", "660f3a16050010000001", &[RIP + 0x100a]),
        ("maskmovdqu %xmm1, %xmm0", "660ff7c1", &[RDI]),
        ("lock cmpxchg16b (%r15)", "f0490fc70f", &[R15]),
        ("lock xadd %eax, (%rdi)", "f00fc107", &[RDI]),
        ("fldl 8(%rax)", "dd4008", &[RAX + 8]),
        ("fxsave (%rax)", "0fae00", &[RAX]),
        ("movzbl (%rsi,%rdi), %eax", "0fb6043e", &[RSI + RDI]),
        ("bt %rax, (%rdx)", "480fa302", &[RDX + ((RAX >> 6) * 8)]),
        ("btsl $3, 0x1000(%rip)", "0fba2d0010000003", &[RIP + 0x1008]),
        ("vmovdqu (%rax), %ymm0", "c5fe6f00", &[RAX]),
        ("vmovups (%r9,%r10,4), %xmm3", "c48178101c91", &[R9 + R10 * 4]),
        ("vpermq $1, 0x1000(%rip), %ymm0", "c4e3fd00050010000001", &[RIP + 0x100a]),
        ("vpgatherdd %ymm1, (%rax,%ymm2,4), %ymm0", "c4e275900490", &[]),
        ("mov %fs:0x28, %rax", "64488b042528000000", &[]),
        ("mov %gs:(%rax), %rcx", "65488b08", &[]),
        ("add %rax, %rcx", "4801c1", &[]),
        ("hlt", "f4", &[]),
        ("wrmsr", "0f30", &[]),
        ("jne .+0x20", "751e", &[]),
    ];

    fn bytes_of(hexadecimal: &str) -> Vec<u8> {
        let digits = hexadecimal.as_bytes().chunks(2);
        digits
            .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    fn touched_by(hexadecimal: &str) -> Touched {
        touched(&bytes_of(hexadecimal), &REGISTERS).expect("the encoding is known")
    }

    #[test]
    fn the_addresses_that_an_instruction_touches_are_found() {
        for (text, encoding, expected) in TABLE {
            let bytes = bytes_of(encoding);
            let found = touched(&bytes, &REGISTERS).unwrap_or_default();
            assert_eq!(
                found.data().collect::<Vec<_>>(),
                *expected,
                "{text} = {encoding}"
            );
        }
    }

    #[test]
    fn bytes_behind_an_instruction_change_nothing() {
        for (text, encoding, _) in TABLE {
            let bytes = bytes_of(encoding);
            let longer = [bytes.as_slice(), &[0xcc; 8]].concat();
            assert_eq!(
                touched(&longer, &REGISTERS),
                touched(&bytes, &REGISTERS),
                "{text}"
            );
        }
    }

    #[test]
    fn an_instruction_that_is_cut_off_has_no_operand() {
        for (text, encoding, _) in TABLE {
            let bytes = bytes_of(encoding);
            for len in 0..bytes.len() {
                let operand =
                    touched(&bytes[..len], &REGISTERS).and_then(|touched| touched.operand);
                let whole = touched_by(encoding).operand;
                assert!(operand.is_none() || operand == whole, "{text}, {len} bytes");
            }
        }
    }

    #[test]
    fn a_jump_through_a_register_tells_where_it_goes() {
        assert_eq!(touched_by("ffd0").jump, Some(RAX));
        assert_eq!(touched_by("41ffe4").jump, Some(R12));
        assert_eq!(touched_by("ff20").jump, None);
        assert_eq!(touched_by("ff30").jump, None);
    }

    #[test]
    fn instructions_that_need_an_aligned_operand_are_known() {
        let table = [
            ("0f290424", Some(16)),
            ("0fae00", Some(16)),
            ("480fae20", Some(64)),
            ("488b08", None),
        ];

        for (encoding, expected) in table {
            assert_eq!(touched_by(encoding).alignment, expected, "{encoding}");
        }
    }

    #[test]
    fn an_encoding_that_is_not_known_yields_nothing() {
        for encoding in [
            "62f1fd48280",
            "c4e40000",
            "",
            "66",
            "0f",
            "0f38",
            "666666666666666666666666666666",
        ] {
            assert_eq!(
                touched(&bytes_of(&encoding[..encoding.len() & !1]), &REGISTERS),
                None,
                "{encoding}"
            );
        }
    }

    #[test]
    fn no_bytes_are_too_strange() {
        let wild = Registers {
            rax: u64::MAX,
            rsp: 0,
            rsi: 1 << 63,
            r12: 1 << 47,
            ..REGISTERS
        };
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                for third in [0, 0x04, 0x25, 0x38, 0x84, 0xc0, 0xff] {
                    let bytes = [
                        first, second, third, 0xff, 0x80, 0xff, 0x7f, 0x80, 1, 2, 3, 4, 5, 6, 7,
                    ];
                    let found = touched(&bytes, &wild).unwrap_or_default();
                    let _ = found
                        .data()
                        .filter(|address| is_canonical(*address))
                        .count();
                }
            }
        }
    }
}
