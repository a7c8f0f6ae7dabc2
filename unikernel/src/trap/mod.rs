//! What a CPU exception means: from numbers to one clear line.
//!
//! The processor tells a vector, an error code, sometimes an address; the registers and the instruction tell the rest:
//!
//! ```text
//! Exception ──┬── 14 (#PF) ──────────────── page_fault ── what was accessed, how, and why not
//!             ├── 10..=13 (#TS #NP #SS #GP)─ protection ── a selector, or a bad address
//!             │                                └─ operand ── the addresses an instruction touches
//!             └── all others ────────────── by name
//! ```
//!
//! Two texts come out. `Exception::cause` is for the person in trouble: "null pointer dereference (read of address 0x8)".
//! The exception's own `Display` is for the one who looks closer: every bit of the error code in words.
//!
//! Everything here is pure, needs no allocation (*M121*), and never shows CR2 for an exception that does not set it
//! (*M104*). Which section, stack or guard an address lies in, the caller tells by a function from address to `Place`.
//!
//! Facts are from the Intel Software Developer's Manual (SDM), volume 3A, chapter 6 "Interrupt and Exception Handling", and
//! where marked from the AMD64 Architecture Programmer's Manual (APM), volume 2, section 8.2 "Vectors".
#![cfg_attr(
    not(any(unikernel, test)),
    allow(
        dead_code,
        reason = "only an image has exceptions; other builds hold this to test it"
    )
)]

mod opcode;
mod operand;
mod page_fault;
mod prefix;
mod protection;

use core::fmt;

use self::page_fault::{ErrorCode, PageFault};
use self::protection::{Protection, SelectorError};
use crate::memory::fault::Violation;

/// The vectors that are looked into; all others are told by name.
const INVALID_OPCODE: u8 = 6;
const DOUBLE_FAULT: u8 = 8;
const INVALID_TSS: u8 = 10;
const GENERAL_PROTECTION: u8 = 13;
const PAGE_FAULT: u8 = 14;

/// The instruction that compilers put where control must never arrive.
const UD2: [u8; 2] = [0x0f, 0x0b];

/// The registers of the code that was interrupted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Registers {
    pub(crate) rax: u64,
    pub(crate) rbx: u64,
    pub(crate) rcx: u64,
    pub(crate) rdx: u64,
    pub(crate) rsi: u64,
    pub(crate) rdi: u64,
    pub(crate) rbp: u64,
    pub(crate) rsp: u64,
    pub(crate) r8: u64,
    pub(crate) r9: u64,
    pub(crate) r10: u64,
    pub(crate) r11: u64,
    pub(crate) r12: u64,
    pub(crate) r13: u64,
    pub(crate) r14: u64,
    pub(crate) r15: u64,
    pub(crate) rip: u64,
    pub(crate) rflags: u64,
    pub(crate) cs: u64,
    pub(crate) ss: u64,
}

impl Registers {
    /// Returns the general register that instructions give this number, 0 to 15 (SDM 2A table 3-1).
    const fn numbered(&self, number: u8) -> u64 {
        match number & 15 {
            0 => self.rax,
            1 => self.rcx,
            2 => self.rdx,
            3 => self.rbx,
            4 => self.rsp,
            5 => self.rbp,
            6 => self.rsi,
            7 => self.rdi,
            8 => self.r8,
            9 => self.r9,
            10 => self.r10,
            11 => self.r11,
            12 => self.r12,
            13 => self.r13,
            14 => self.r14,
            _ => self.r15,
        }
    }
}

/// An exception, as the processor raised it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Exception<'a> {
    /// The vector, 0 to 31 for exceptions.
    pub(crate) vector: u8,
    /// The error code; zero for a vector that has none.
    pub(crate) error: u64,
    /// CR2, which means something for a page fault only.
    pub(crate) address: u64,
    /// Why memory management did not repair a page fault, if it was asked.
    pub(crate) refusal: Option<Violation>,
    /// The registers of the code that was interrupted.
    pub(crate) registers: Registers,
    /// The bytes at `rip`, at most 15 of them; none if they cannot be read.
    pub(crate) instruction: &'a [u8],
}

/// A part of memory that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    /// Its name as in "in text", and of a guard the name of what it guards, as in "stack overflow of the boot stack".
    pub(crate) name: &'a str,
    /// What kind of memory it is.
    pub(crate) kind: PlaceKind,
}

/// What kind of memory a place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlaceKind {
    /// Memory that somebody uses.
    Used,
    /// Memory below a stack that nobody may touch.
    StackGuard,
    /// Memory beside something else that nobody may touch.
    Guard,
}

/// Why the processor could not go on, in one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause<'a> {
    /// An address that could not be accessed.
    PageFault(PageFault<'a>),
    /// A selector or address that is not valid.
    Protection(Protection),
    /// A fault while entering the handler of another, on a stack that had no room left.
    StackOverflow(&'a str),
    /// The instruction for code that must never run.
    Unreachable,
    /// Everything that its name explains.
    Named(Name),
}

/// The name of an exception and its abbreviation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    vector: u8,
}

impl<'a> Exception<'a> {
    /// Finds out why the processor could not go on; `place_of` tells in which named part of memory an address lies.
    pub(crate) fn cause<'p>(&self, place_of: impl Fn(u64) -> Option<Place<'p>>) -> Cause<'p> {
        match self.vector {
            INVALID_OPCODE if self.instruction.starts_with(&UD2) => Cause::Unreachable,
            DOUBLE_FAULT => match self.stack_that_is_full(place_of) {
                Some(stack) => Cause::StackOverflow(stack),
                None => Cause::Named(self.name()),
            },
            INVALID_TSS..=GENERAL_PROTECTION => Cause::Protection(Protection::of(self)),
            PAGE_FAULT => {
                let error = ErrorCode(self.error);
                Cause::PageFault(PageFault::of(self.address, error, self.refusal, place_of))
            }
            _ => Cause::Named(self.name()),
        }
    }

    /// Returns the name of this exception.
    pub(crate) fn name(&self) -> Name {
        Name {
            vector: self.vector,
        }
    }

    /// Returns the stack in whose guard the processor would push next.
    fn stack_that_is_full<'p>(
        &self,
        place_of: impl Fn(u64) -> Option<Place<'p>>,
    ) -> Option<&'p str> {
        let place = place_of(self.registers.rsp.wrapping_sub(8))?;
        (place.kind == PlaceKind::StackGuard).then_some(place.name)
    }
}

impl fmt::Display for Exception<'_> {
    /// Writes what the processor told, in words: name, address where there is one, error code where there is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = self.error;
        write!(f, "{}", self.name())?;
        match self.vector {
            PAGE_FAULT => {
                write!(
                    f,
                    " at address {:#x}, error code {error:#x}: {}",
                    self.address,
                    ErrorCode(error)
                )
            }
            INVALID_TSS..=GENERAL_PROTECTION if error != 0 => {
                write!(f, ", error code {error:#x}: {}", SelectorError(error))
            }
            _ if error != 0 => write!(f, ", error code {error:#x}"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Cause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PageFault(fault) => fault.fmt(f),
            Self::Protection(fault) => fault.fmt(f),
            Self::StackOverflow(stack) => write!(f, "stack overflow of {stack} (double fault)"),
            Self::Unreachable => f.write_str(
                "invalid opcode (#UD): the trap that marks code that must never be reached",
            ),
            Self::Named(name) if name.vector == 0 => {
                f.write_str("division by zero or overflow (#DE)")
            }
            Self::Named(name) => name.fmt(f),
        }
    }
}

impl Name {
    /// Returns the abbreviation of the manuals.
    fn mnemonic(self) -> &'static str {
        self.parts()
            .map_or("no exception", |(_, mnemonic)| mnemonic)
    }

    /// Returns the name in words and the abbreviation of the manuals (SDM 3A table 6-1; 28 to 30 are in the APM only).
    const fn parts(self) -> Option<(&'static str, &'static str)> {
        Some(match self.vector {
            0 => ("divide error", "#DE"),
            1 => ("debug exception", "#DB"),
            2 => ("non-maskable interrupt", "NMI"),
            3 => ("breakpoint", "#BP"),
            4 => ("overflow", "#OF"),
            5 => ("bound range exceeded", "#BR"),
            INVALID_OPCODE => ("invalid opcode", "#UD"),
            7 => ("floating-point or vector unit not available", "#NM"),
            DOUBLE_FAULT => ("double fault", "#DF"),
            INVALID_TSS => ("invalid task state segment", "#TS"),
            11 => ("segment not present", "#NP"),
            12 => ("stack segment fault", "#SS"),
            GENERAL_PROTECTION => ("general protection fault", "#GP"),
            PAGE_FAULT => ("page fault", "#PF"),
            16 => ("x87 floating-point error", "#MF"),
            17 => ("alignment check", "#AC"),
            18 => ("machine check", "#MC"),
            19 => ("SIMD floating-point exception", "#XM"),
            20 => ("virtualization exception", "#VE"),
            21 => ("control protection exception", "#CP"),
            28 => ("hypervisor injection exception", "#HV"),
            29 => ("VMM communication exception", "#VC"),
            30 => ("security exception", "#SX"),
            _ => return None,
        })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parts() {
            Some((name, mnemonic)) => write!(f, "{name} ({mnemonic})"),
            None if self.vector < 32 => write!(f, "reserved exception {}", self.vector),
            None => write!(f, "unexpected interrupt {}", self.vector),
        }
    }
}

/// Returns whether bits 63 to 47 of `address` are equal, as the processor demands of every address it uses.
///
/// SDM volume 1, section 3.3.7.1. That is for four levels of page tables, which is what this library uses.
const fn is_canonical(address: u64) -> bool {
    (address.cast_signed() << 16 >> 16).cast_unsigned() == address
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn nowhere(_: u64) -> Option<Place<'static>> {
        None
    }

    fn in_guard(address: u64) -> Option<Place<'static>> {
        let is_in_guard = (0x7000..0x8000).contains(&address);
        is_in_guard.then_some(Place {
            name: "the boot stack",
            kind: PlaceKind::StackGuard,
        })
    }

    fn cause_of(vector: u8) -> String {
        Exception {
            vector,
            ..Exception::default()
        }
        .cause(nowhere)
        .to_string()
    }

    #[test]
    fn exceptions_that_their_name_explains_are_told_by_name() {
        assert_eq!(cause_of(0), "division by zero or overflow (#DE)");
        assert_eq!(cause_of(2), "non-maskable interrupt (NMI)");
        assert_eq!(cause_of(3), "breakpoint (#BP)");
        assert_eq!(cause_of(6), "invalid opcode (#UD)");
        assert_eq!(cause_of(8), "double fault (#DF)");
        assert_eq!(cause_of(17), "alignment check (#AC)");
        assert_eq!(cause_of(18), "machine check (#MC)");
        assert_eq!(cause_of(19), "SIMD floating-point exception (#XM)");
        assert_eq!(cause_of(31), "reserved exception 31");
        assert_eq!(cause_of(0x80), "unexpected interrupt 128");
    }

    #[test]
    fn each_vector_has_a_text_of_its_own() {
        let causes: BTreeSet<_> = (0..=u8::MAX).map(cause_of).collect();
        let names: BTreeSet<_> = (0..=u8::MAX)
            .map(|vector| {
                Exception {
                    vector,
                    ..Exception::default()
                }
                .to_string()
            })
            .collect();

        assert_eq!((causes.len(), names.len()), (256, 256));
    }

    #[test]
    fn the_trap_for_unreachable_code_is_told_from_other_invalid_opcodes() {
        let exception = Exception {
            vector: 6,
            instruction: &[0x0f, 0x0b, 0x90],
            ..Exception::default()
        };

        let cause = exception.cause(nowhere).to_string();

        assert_eq!(
            cause,
            "invalid opcode (#UD): the trap that marks code that must never be reached"
        );
    }

    /// Proves M101.
    #[test]
    fn a_double_fault_on_a_full_stack_is_a_stack_overflow() {
        let double_fault = |rsp| {
            let registers = Registers {
                rsp,
                ..Registers::default()
            };
            Exception {
                vector: 8,
                registers,
                ..Exception::default()
            }
            .cause(in_guard)
            .to_string()
        };

        assert_eq!(
            double_fault(0x8000),
            "stack overflow of the boot stack (double fault)"
        );
        assert_eq!(double_fault(0x8008), "double fault (#DF)");
    }

    /// Proves M104.
    #[test]
    fn cr2_is_shown_for_a_page_fault_only() {
        for vector in 0..=u8::MAX {
            let exception = Exception {
                vector,
                address: 0xdead_b000,
                ..Exception::default()
            };
            let text = format!("{exception} {}", exception.cause(in_guard));
            assert_eq!(text.contains("dead"), vector == 14, "{text}");
        }
    }

    #[test]
    fn an_exception_shows_its_error_code_in_words() {
        let text = |vector, error| {
            Exception {
                vector,
                error,
                address: 8,
                ..Exception::default()
            }
            .to_string()
        };

        let page_fault = "page fault (#PF) at address 0x8, error code 0x2: kernel write to a page that is not present";
        assert_eq!(text(14, 2), page_fault);
        assert_eq!(
            text(13, 0x10),
            "general protection fault (#GP), error code 0x10: selector 0x10 of the GDT"
        );
        assert_eq!(text(13, 0), "general protection fault (#GP)");
        assert_eq!(
            text(21, 3),
            "control protection exception (#CP), error code 0x3"
        );
        assert_eq!(text(3, 0), "breakpoint (#BP)");
    }

    #[test]
    fn canonical_addresses_are_the_lowest_and_the_highest_128_tib() {
        let table = [
            (0, true),
            (0x0000_7fff_ffff_ffff, true),
            (0x0000_8000_0000_0000, false),
            (0x8000_0000_0000_0000, false),
            (0xffff_7fff_ffff_ffff, false),
            (0xffff_8000_0000_0000, true),
            (u64::MAX, true),
        ];

        for (address, expected) in table {
            assert_eq!(is_canonical(address), expected, "{address:#x}");
        }
    }
}
