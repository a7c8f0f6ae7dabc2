//! Page faults: what was accessed, how, and why that failed.
//!
//! The error code tells how: SDM volume 3A, section 4.7 "Page-Fault Exceptions", figure 4-12. The address tells what; what
//! lies there, the caller knows. The first of these that fits is the cause:
//!
//! 1. an address that is not canonical, or a damaged table: nothing else can be believed;
//! 2. user code at a kernel address: it is not told what lies there;
//! 3. the first 64 KiB, which are never mapped: a null pointer;
//! 4. what the region there says, if memory management was asked and knows one;
//! 5. a guard that is not present: of a stack, it overflowed;
//! 6. a page that is present and refused the access, by the kind of access;
//! 7. a page that is not present.

use core::fmt;

use super::{Place, PlaceKind, is_canonical};
use crate::memory::fault::Violation;
use crate::memory::page::Access;

/// Addresses below are never mapped, so that a null pointer is noticed, with some offset as well.
const NULL_END: u64 = 64 << 10;

/// The error code of a page fault, which `Display` tells in words, whatever bits are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ErrorCode(pub(crate) u64);

impl ErrorCode {
    const PRESENT: u64 = 1 << 0;
    const WRITE: u64 = 1 << 1;
    const USER: u64 = 1 << 2;
    const RESERVED: u64 = 1 << 3;
    const FETCH: u64 = 1 << 4;
    const PROTECTION_KEY: u64 = 1 << 5;
    const SHADOW_STACK: u64 = 1 << 6;
    const HLAT: u64 = 1 << 7;
    const SGX: u64 = 1 << 15;

    /// The bits that add to the sentence, and what they add.
    const REMARKS: [(u64, &'static str); 5] = [
        (Self::RESERVED, ", with a reserved bit set in a table entry"),
        (Self::PROTECTION_KEY, ", by its protection key"),
        (Self::SHADOW_STACK, ", as part of a shadow stack"),
        (Self::HLAT, ", in tables of the hypervisor"),
        (Self::SGX, ", by the rules of SGX"),
    ];

    /// All bits with a meaning.
    const KNOWN: u64 = 0xff | Self::SGX;

    const fn has(self, bit: u64) -> bool {
        self.0 & bit != 0
    }

    /// Returns how memory was accessed. A processor never sets both bits; if it did, fetching is the rarer thing to ask.
    const fn access(self) -> Access {
        if self.has(Self::FETCH) {
            Access::Execute
        } else if self.has(Self::WRITE) {
            Access::Write
        } else {
            Access::Read
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = if self.has(Self::USER) {
            "user"
        } else {
            "kernel"
        };
        let access = match (self.has(Self::WRITE), self.has(Self::FETCH)) {
            (false, false) => "read of",
            (true, false) => "write to",
            (false, true) => "fetch from",
            (true, true) => "write to and fetch from (which is impossible)",
        };
        let state = if self.has(Self::PRESENT) {
            "present but forbids it"
        } else {
            "not present"
        };
        write!(f, "{who} {access} a page that is {state}")?;
        for (bit, remark) in Self::REMARKS {
            if self.has(bit) {
                f.write_str(remark)?;
            }
        }
        match self.0 & !Self::KNOWN {
            0 => Ok(()),
            unknown => write!(f, ", unknown bits {unknown:#x}"),
        }
    }
}

/// How memory was accessed, as the beginning of a sentence.
struct Doing(Access);

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Access::Read => "read of",
            Access::Write => "write to",
            Access::Execute => "execution of",
        })
    }
}

/// What went wrong at which address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageFault<'a> {
    /// The address that was accessed.
    pub(crate) address: u64,
    /// How it was accessed.
    pub(crate) access: Access,
    /// Why that failed.
    pub(crate) reason: Reason,
    /// What lies there.
    pub(crate) place: Option<Place<'a>>,
}

/// Why an access failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The address cannot exist.
    NonCanonical,
    /// A reserved bit is set in an entry of a table.
    DamagedTable,
    /// User code used an address of the kernel.
    KernelAddress,
    /// The address is one that only a null pointer leads to.
    Null,
    /// The address is in the guard below a stack.
    StackOverflow,
    /// The address is in a guard that is not a stack's.
    Guard,
    /// The rights of the page's protection key forbid it.
    ProtectionKey,
    /// A shadow stack was accessed by other means, or other memory as a shadow stack.
    ShadowStack,
    /// The rules of SGX forbid it.
    Sgx,
    /// The page is present, but not for this access.
    Forbidden,
    /// No page is present.
    Unmapped,
    /// The access is allowed, and memory management failed to make it possible.
    Failed(Violation),
}

impl<'a> PageFault<'a> {
    /// Finds out what went wrong.
    pub(super) fn of(
        address: u64,
        error: ErrorCode,
        refusal: Option<Violation>,
        place_of: impl Fn(u64) -> Option<Place<'a>>,
    ) -> Self {
        let place = if is_canonical(address) {
            place_of(address)
        } else {
            None
        };
        Self {
            address,
            access: error.access(),
            reason: reason(address, error, place, refusal),
            place,
        }
    }
}

/// Returns the first reason that fits, in the order of the head of this file.
fn reason(
    address: u64,
    error: ErrorCode,
    place: Option<Place<'_>>,
    refusal: Option<Violation>,
) -> Reason {
    let is_present = error.has(ErrorCode::PRESENT);
    let is_kernel_address = address.cast_signed() < 0;
    match place.map(|place| place.kind) {
        _ if !is_canonical(address) => Reason::NonCanonical,
        _ if error.has(ErrorCode::RESERVED) => Reason::DamagedTable,
        _ if error.has(ErrorCode::USER) && is_kernel_address => Reason::KernelAddress,
        _ if address < NULL_END => Reason::Null,
        _ if refusal.is_some_and(|refusal| refusal != Violation::Unmapped) => of_region(refusal),
        Some(PlaceKind::StackGuard) if !is_present => Reason::StackOverflow,
        Some(PlaceKind::Guard) if !is_present => Reason::Guard,
        _ if !is_present => Reason::Unmapped,
        _ if error.has(ErrorCode::PROTECTION_KEY) => Reason::ProtectionKey,
        _ if error.has(ErrorCode::SHADOW_STACK) => Reason::ShadowStack,
        _ if error.has(ErrorCode::SGX) => Reason::Sgx,
        _ => Reason::Forbidden,
    }
}

/// Returns why a region refused.
fn of_region(refusal: Option<Violation>) -> Reason {
    match refusal {
        Some(Violation::StackOverflow) => Reason::StackOverflow,
        Some(Violation::Guard) => Reason::Guard,
        Some(Violation::Forbidden(_) | Violation::Supervisor) => Reason::Forbidden,
        None | Some(Violation::Unmapped) => Reason::Unmapped,
        Some(failure) => Reason::Failed(failure),
    }
}

impl fmt::Display for PageFault<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            address,
            access,
            reason,
            place,
        } = *self;
        let name = place.map_or("an unnamed place", |place| place.name);
        let kind = access;
        let access = Doing(access);
        match reason {
            Reason::NonCanonical => write!(f, "access to non-canonical address {address:#x}"),
            Reason::DamagedTable => {
                write!(
                    f,
                    "reserved bit set in a page table ({access} address {address:#x})"
                )
            }
            Reason::KernelAddress => write!(f, "user-mode {access} kernel address {address:#x}"),
            Reason::Null => write!(
                f,
                "null pointer dereference ({access} address {address:#x})"
            ),
            Reason::StackOverflow => {
                write!(
                    f,
                    "stack overflow of {name} ({access} address {address:#x} in its guard)"
                )
            }
            Reason::Guard => write!(f, "{access} address {address:#x} in the guard of {name}"),
            Reason::ProtectionKey => {
                write!(
                    f,
                    "{access} address {address:#x}, which its protection key forbids{}",
                    In(place)
                )
            }
            Reason::ShadowStack => write!(
                f,
                "shadow-stack violation at address {address:#x}{}",
                In(place)
            ),
            Reason::Sgx => write!(
                f,
                "{access} address {address:#x}, which SGX forbids{}",
                In(place)
            ),
            Reason::Forbidden => {
                let memory = match kind {
                    Access::Read => "inaccessible memory",
                    Access::Write => "read-only memory",
                    Access::Execute => "non-executable memory",
                };
                write!(f, "{access} {memory} at address {address:#x}{}", In(place))
            }
            Reason::Failed(failure) => {
                write!(f, "{access} address {address:#x}{}: {failure}", In(place))
            }
            Reason::Unmapped => write!(f, "{access} unmapped address {address:#x}{}", In(place)),
        }
    }
}

/// Ends a sentence with the place it is about, if that has a name.
struct In<'a>(Option<Place<'a>>);

impl fmt::Display for In<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(place) if place.kind == PlaceKind::Used => write!(f, ", in {}", place.name),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const TEXT: u64 = 0xffff_ffff_8020_0000;

    fn place_of(address: u64) -> Option<Place<'static>> {
        let (name, kind) = match address {
            TEXT..0xffff_ffff_8021_0000 => ("text", PlaceKind::Used),
            0xffff_ffff_8021_0000..0xffff_ffff_8022_0000 => ("data", PlaceKind::Used),
            0xffff_ffff_8030_0000..0xffff_ffff_8030_1000 => {
                ("the boot stack", PlaceKind::StackGuard)
            }
            0xffff_ffff_8040_0000..0xffff_ffff_8040_1000 => ("module README.md", PlaceKind::Guard),
            _ => return None,
        };
        Some(Place { name, kind })
    }

    fn text(address: u64, error: u64) -> String {
        PageFault::of(address, ErrorCode(error), None, place_of).to_string()
    }

    /// Proves M96. These are all 512 combinations of the bits with a meaning, with and without an unknown one.
    #[test]
    fn every_combination_of_bits_has_a_text_of_its_own() {
        let bits = |number: u64| number & 0xff | number >> 8 << 15;
        let codes = (0..512).map(bits).flat_map(|code| [code, code | 1 << 20]);

        let texts: BTreeMap<_, _> = codes
            .map(|code| (ErrorCode(code).to_string(), code))
            .collect();

        assert_eq!(texts.len(), 1024);
        for (text, code) in texts {
            let words = [
                (0, "present but", "not present"),
                (1, "write", ""),
                (2, "user", "kernel"),
                (3, "reserved", ""),
                (4, "fetch", ""),
                (5, "protection key", ""),
                (6, "shadow stack", ""),
                (7, "hypervisor", ""),
                (15, "SGX", ""),
                (20, "unknown bits 0x100000", ""),
            ];
            for (bit, set, clear) in words {
                let is_set = code & 1 << bit != 0;
                assert_eq!(text.contains(set), is_set, "{code:#x}: {text}");
                assert!(is_set || text.contains(clear), "{code:#x}: {text}");
            }
        }
    }

    /// Proves M96.
    #[test]
    fn the_common_combinations_read_well() {
        let table = [
            (0x00, "kernel read of a page that is not present"),
            (0x02, "kernel write to a page that is not present"),
            (
                0x03,
                "kernel write to a page that is present but forbids it",
            ),
            (0x05, "user read of a page that is present but forbids it"),
            (0x06, "user write to a page that is not present"),
            (
                0x11,
                "kernel fetch from a page that is present but forbids it",
            ),
            (0x14, "user fetch from a page that is not present"),
            (
                0x09,
                "kernel read of a page that is present but forbids it, with a reserved bit set in a table entry",
            ),
            (
                0x27,
                "user write to a page that is present but forbids it, by its protection key",
            ),
            (
                0x100,
                "kernel read of a page that is not present, unknown bits 0x100",
            ),
        ];

        for (code, expected) in table {
            assert_eq!(ErrorCode(code).to_string(), expected);
        }
    }

    /// Proves M98.
    #[test]
    fn the_first_64_kib_are_a_null_pointer() {
        assert_eq!(
            text(0x8, 0),
            "null pointer dereference (read of address 0x8)"
        );
        assert_eq!(
            text(0x0, 2),
            "null pointer dereference (write to address 0x0)"
        );
        assert_eq!(
            text(0x0, 0x10),
            "null pointer dereference (execution of address 0x0)"
        );
        assert_eq!(
            text(0xffff, 4),
            "null pointer dereference (read of address 0xffff)"
        );
        assert_eq!(text(0x1_0000, 0), "read of unmapped address 0x10000");
    }

    /// Proves M98, M101.
    #[test]
    fn the_guard_below_a_stack_is_an_overflow_of_that_stack() {
        let expected =
            "stack overflow of the boot stack (write to address 0xffffffff80300ff8 in its guard)";

        assert_eq!(text(0xffff_ffff_8030_0ff8, 2), expected);
    }

    /// Proves M98.
    #[test]
    fn another_guard_is_told_by_what_it_guards() {
        let expected = "read of address 0xffffffff80400000 in the guard of module README.md";

        assert_eq!(text(0xffff_ffff_8040_0000, 0), expected);
    }

    /// Proves M98.
    #[test]
    fn a_right_that_is_missing_is_told_with_the_place() {
        assert_eq!(
            text(TEXT, 3),
            "write to read-only memory at address 0xffffffff80200000, in text"
        );
        assert_eq!(
            text(0xffff_ffff_8021_0010, 0x11),
            "execution of non-executable memory at address 0xffffffff80210010, in data"
        );
        assert_eq!(
            text(0x50_0000, 1),
            "read of inaccessible memory at address 0x500000"
        );
    }

    /// Proves M98.
    #[test]
    fn an_address_without_a_page_is_unmapped() {
        assert_eq!(text(0xdead_beef, 0), "read of unmapped address 0xdeadbeef");
        assert_eq!(
            text(0xdead_beef, 0x10),
            "execution of unmapped address 0xdeadbeef"
        );
        assert_eq!(
            text(0xffff_ffff_8021_0010, 2),
            "write to unmapped address 0xffffffff80210010, in data"
        );
    }

    /// Proves M98.
    #[test]
    fn a_reserved_bit_is_a_damaged_table_whatever_lies_there() {
        let expected = "reserved bit set in a page table (write to address 0x8)";

        assert_eq!(text(0x8, 0xb), expected);
    }

    /// Proves M98.
    #[test]
    fn user_code_at_a_kernel_address_is_not_told_what_lies_there() {
        for address in [TEXT, 0xffff_ffff_8030_0ff8, 0xffff_8000_0000_0000] {
            for error in [4, 5] {
                assert_eq!(
                    text(address, error),
                    format!("user-mode read of kernel address {address:#x}")
                );
            }
        }
        assert_eq!(
            text(0x50_0000, 7),
            "write to read-only memory at address 0x500000"
        );
    }

    /// Proves M98.
    #[test]
    fn an_address_that_cannot_exist_is_told_whatever_the_code() {
        for error in 0..256 {
            assert_eq!(
                text(1 << 63, error),
                "access to non-canonical address 0x8000000000000000"
            );
        }
    }

    #[test]
    fn rarer_refusals_are_told_by_who_refused() {
        assert_eq!(
            text(TEXT, 0x21),
            "read of address 0xffffffff80200000, which its protection key forbids, in text"
        );
        assert_eq!(
            text(TEXT, 0x43),
            "shadow-stack violation at address 0xffffffff80200000, in text"
        );
        assert_eq!(
            text(0x50_0000, 0x8005),
            "read of address 0x500000, which SGX forbids"
        );
    }

    /// Proves M96, M107. Each code at each kind of address.
    #[test]
    fn any_code_at_any_address_has_one_line() {
        for address in [
            0,
            0x1_0000,
            TEXT,
            0xffff_ffff_8030_0000,
            0xffff_ffff_8040_0000,
            1 << 63,
            u64::MAX,
        ] {
            for error in (0..512).chain([1 << 15, 0xffff_ffff, u64::MAX]) {
                let text = text(address, error);
                assert!(
                    !text.is_empty() && !text.contains('\n'),
                    "{address:#x} {error:#x}: {text}"
                );
            }
        }
    }
}
