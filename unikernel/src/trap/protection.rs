//! Protection faults: a selector that is not valid, or an address the instruction used.
//!
//! An error code that is not zero names a selector: SDM volume 3A, section 6.13 "Error Code", figure 6-7. With zero the
//! processor says nothing at all, and CR2 is not set (*M104*); then the instruction is asked which addresses it touches.
//! Of those, one that is not canonical is the cause (volume 3A, section 6.15, "Interrupt 13", and "Interrupt 12" for an
//! address on the stack), or one that a vector instruction needs aligned (volume 1, section 4.1.1).

use core::fmt;

use super::operand::{self, Touched};
use super::{Exception, Name, is_canonical};

/// The error code of a fault that is about a selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SelectorError(pub(crate) u64);

impl SelectorError {
    const EXTERNAL: u64 = 1 << 0;
    const IDT: u64 = 1 << 1;
    const LDT: u64 = 1 << 2;

    const fn index(self) -> u64 {
        self.0 >> 3 & 0x1fff
    }
}

impl fmt::Display for SelectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 & Self::IDT != 0 {
            write!(f, "vector {} of the IDT", self.index())?;
        } else {
            let table = if self.0 & Self::LDT != 0 {
                "LDT"
            } else {
                "GDT"
            };
            write!(f, "selector {:#x} of the {table}", self.index() << 3)?;
        }
        if self.0 & Self::EXTERNAL != 0 {
            f.write_str(", while an interrupt or another exception was delivered")?;
        }
        Ok(())
    }
}

/// What a protection fault is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Protection {
    /// Which of the protection faults it is.
    pub(crate) name: Name,
    /// What was wrong.
    pub(crate) reason: Reason,
}

/// What was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// A selector.
    Selector(SelectorError),
    /// An address of data, which is not canonical.
    NonCanonical(u64),
    /// An address of code, which is not canonical.
    NonCanonicalJump(u64),
    /// An address of data, which is not a multiple of what the instruction needs.
    Misaligned {
        /// The address.
        address: u64,
        /// What it must be a multiple of.
        alignment: u64,
    },
    /// None of these: a privileged instruction, a reserved bit in a register, and the like.
    Other,
}

impl Protection {
    /// Finds out what was wrong.
    pub(super) fn of(exception: &Exception<'_>) -> Self {
        let reason = match exception.error {
            0 => reason(exception),
            error => Reason::Selector(SelectorError(error)),
        };
        Self {
            name: exception.name(),
            reason,
        }
    }
}

/// Returns the first address that cannot have worked.
fn reason(exception: &Exception<'_>) -> Reason {
    let registers = &exception.registers;
    if !is_canonical(registers.rip) {
        return Reason::NonCanonicalJump(registers.rip);
    }
    let Some(touched) = operand::touched(exception.instruction, registers) else {
        return Reason::Other;
    };
    let non_canonical_data = touched
        .data()
        .find(|address| !is_canonical(*address))
        .map(Reason::NonCanonical);
    let non_canonical_jump = || {
        touched
            .jump
            .filter(|address| !is_canonical(*address))
            .map(Reason::NonCanonicalJump)
    };
    non_canonical_data
        .or_else(non_canonical_jump)
        .or_else(|| misaligned(&touched))
        .unwrap_or(Reason::Other)
}

/// Returns the operand of an instruction that needs it aligned, if it is not.
fn misaligned(touched: &Touched) -> Option<Reason> {
    let (address, alignment) = (touched.operand?, touched.alignment?);
    (!address.is_multiple_of(alignment)).then_some(Reason::Misaligned { address, alignment })
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mnemonic = self.name.mnemonic();
        match self.reason {
            Reason::Selector(error) => write!(f, "{}: {error}", self.name),
            Reason::NonCanonical(address) => {
                write!(
                    f,
                    "access to non-canonical address {address:#x} ({mnemonic})"
                )
            }
            Reason::NonCanonicalJump(address) => {
                write!(f, "jump to non-canonical address {address:#x} ({mnemonic})")
            }
            Reason::Misaligned { address, alignment } => {
                write!(
                    f,
                    "access to address {address:#x}, which is not aligned to {alignment} bytes ({mnemonic})"
                )
            }
            Reason::Other => write!(f, "{}: the instruction is not allowed here", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Cause, Registers};
    use super::*;

    const GENERAL_PROTECTION: u8 = 13;
    const STACK: u8 = 12;
    const TOP_BIT: u64 = 1 << 63;

    fn text(vector: u8, instruction: &[u8], registers: Registers) -> String {
        let exception = Exception {
            vector,
            instruction,
            registers,
            ..Exception::default()
        };
        exception.cause(|_| None).to_string()
    }

    fn selector(vector: u8, error: u64) -> String {
        Exception {
            vector,
            error,
            ..Exception::default()
        }
        .cause(|_| None)
        .to_string()
    }

    /// Proves M104.
    #[test]
    fn a_selector_is_told_with_its_table_and_whether_the_cause_came_from_outside() {
        assert_eq!(
            selector(13, 0x10),
            "general protection fault (#GP): selector 0x10 of the GDT"
        );
        assert_eq!(
            selector(13, 0x2c),
            "general protection fault (#GP): selector 0x28 of the LDT"
        );
        assert_eq!(
            selector(13, 0x402),
            "general protection fault (#GP): vector 128 of the IDT"
        );
        assert_eq!(
            selector(11, 0x10a),
            "segment not present (#NP): vector 33 of the IDT"
        );
        assert_eq!(
            selector(10, 0x28),
            "invalid task state segment (#TS): selector 0x28 of the GDT"
        );
        assert_eq!(
            selector(12, 0x19),
            "stack segment fault (#SS): selector 0x18 of the GDT, while an interrupt or another exception was delivered"
        );
    }

    /// Proves M104.
    #[test]
    fn each_of_the_first_65536_codes_tells_its_bits() {
        for error in 1..0x1_0000_u64 {
            let text = SelectorError(error).to_string();
            let table = ["GDT", "IDT", "LDT", "IDT"][(error >> 1 & 3) as usize];
            assert!(text.contains(table), "{error:#x}: {text}");
            assert_eq!(text.contains("while"), error & 1 != 0, "{error:#x}: {text}");
        }
    }

    /// Proves M98.
    #[test]
    fn a_non_canonical_operand_is_the_cause() {
        let registers = Registers {
            rax: TOP_BIT,
            ..Registers::default()
        };

        // mov (%rax), %rcx
        let text = text(GENERAL_PROTECTION, &[0x48, 0x8b, 0x08], registers);

        assert_eq!(
            text,
            "access to non-canonical address 0x8000000000000000 (#GP)"
        );
    }

    /// Proves M98.
    #[test]
    fn a_non_canonical_stack_is_the_cause() {
        let registers = Registers {
            rsp: TOP_BIT + 8,
            ..Registers::default()
        };

        // push %rbp
        let text = text(STACK, &[0x55], registers);

        assert_eq!(
            text,
            "access to non-canonical address 0x8000000000000000 (#SS)"
        );
    }

    /// Proves M98.
    #[test]
    fn a_jump_to_a_non_canonical_address_is_the_cause_before_and_after_it_is_taken() {
        let expected = "jump to non-canonical address 0x8000000000000000 (#GP)";

        // call *%rax
        let before = Registers {
            rax: TOP_BIT,
            rsp: 0x8000,
            ..Registers::default()
        };
        assert_eq!(text(GENERAL_PROTECTION, &[0xff, 0xd0], before), expected);
        let after = Registers {
            rip: TOP_BIT,
            ..Registers::default()
        };
        assert_eq!(text(GENERAL_PROTECTION, &[], after), expected);
    }

    #[test]
    fn a_vector_on_an_odd_address_is_the_cause() {
        let registers = Registers {
            rsp: 0x1008,
            ..Registers::default()
        };

        // movaps %xmm0, (%rsp)
        let text = text(GENERAL_PROTECTION, &[0x0f, 0x29, 0x04, 0x24], registers);

        assert_eq!(
            text,
            "access to address 0x1008, which is not aligned to 16 bytes (#GP)"
        );
    }

    #[test]
    fn without_an_address_that_is_wrong_the_instruction_is_the_cause() {
        let expected = "general protection fault (#GP): the instruction is not allowed here";

        // hlt; mov (%rax), %rcx with rax = 0x1000; nothing that can be read
        for instruction in [[0xf4].as_slice(), &[0x48, 0x8b, 0x08], &[]] {
            let registers = Registers {
                rax: 0x1000,
                ..Registers::default()
            };
            assert_eq!(text(GENERAL_PROTECTION, instruction, registers), expected);
        }
    }

    /// Proves M104.
    #[test]
    fn cr2_is_not_looked_at() {
        let exception = Exception {
            vector: GENERAL_PROTECTION,
            address: TOP_BIT,
            ..Exception::default()
        };

        let cause = exception.cause(|_| None);

        assert!(matches!(
            cause,
            Cause::Protection(Protection {
                reason: Reason::Other,
                ..
            })
        ));
    }
}
