//! How to power off a machine by ACPI, found in its tables without interpreting their byte code.
//!
//! ```text
//! pointer ── RSDT or XSDT ── FADT ─┬─ PM1a control port
//!                                  └─ DSDT ── Name (_S5_, Package { SLP_TYPa, ... })
//!
//! power off = write SLP_TYPa << 10 | SLP_EN to the port
//! ```
//!
//! Every table is used only if its checksum is right, and every address only if memory can be read there. What cannot be
//! found is `None`: the machine then needs another way off.
//!
//! Left out: machines without that port (the *hardware-reduced* ones), and handing the port over from the firmware
//! (`SMI_CMD`), which emulators and UEFI firmware have done.
//!
//! See the ACPI Specification 6.5, sections 5.2.5 (pointer), 5.2.7 (RSDT), 5.2.8 (XSDT), 5.2.9 (FADT), 4.8.3.2 (PM1 control)
//! and 7.4.2 (`_Sx`).

use super::PhysicalMemory;
use super::bytes::{u16_at, u32_at, u64_at};

/// The table that lists all others, by its physical address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcpiRoot {
    /// A list of 32-bit addresses.
    Rsdt(u64),
    /// A list of 64-bit addresses.
    Xsdt(u64),
}

/// What to write where, to power off the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PowerOff {
    /// The I/O port, for a write of 16 bits.
    pub(crate) port: u16,
    /// The value.
    pub(crate) value: u16,
}

/// The first version of the pointer has this many bytes, and the second this many.
const FIRST_POINTER_LEN: usize = 20;
const POINTER_LEN: usize = 36;

/// The length of the header that all tables have.
const HEADER_LEN: usize = 36;

/// Longer than any table; a larger length is damage.
const MOST_LEN: u32 = 16 << 20;

/// Starts the transition to the sleep state whose number is beside it.
const SLP_EN: u16 = 1 << 13;

/// The place of the sleep state's number in the PM1 control register, which leaves it three bits.
const SLP_TYP_SHIFT: u16 = 10;
const SLP_TYP_MOST: u8 = 7;

/// Returns where the tables start, as told by the pointer in `bytes`.
pub(super) fn root(bytes: &[u8]) -> Option<AcpiRoot> {
    let first = bytes.get(..FIRST_POINTER_LEN)?;
    if !first.starts_with(b"RSD PTR ") || !sums_to_zero(first) {
        return None;
    }
    let rsdt = || {
        u32_at(first, 16)
            .filter(|address| *address != 0)
            .map(|address| AcpiRoot::Rsdt(address.into()))
    };
    xsdt(bytes).or_else(rsdt)
}

/// Returns where the tables start, as told by the pointer at the physical `address`; at zero there is none.
pub(super) fn root_at(address: u64, memory: &impl PhysicalMemory) -> Option<AcpiRoot> {
    if address == 0 {
        return None;
    }
    let bytes = memory
        .bytes(address, POINTER_LEN)
        .or_else(|| memory.bytes(address, FIRST_POINTER_LEN))?;
    root(bytes)
}

/// Finds out how to power off the machine.
pub(crate) fn power_off(root: AcpiRoot, memory: &impl PhysicalMemory) -> Option<PowerOff> {
    let fadt = find_table(root, *b"FACP", memory)?;
    let dsdt = table(dsdt_address(fadt)?, *b"DSDT", memory)?;
    let sleep_type = sleep_type(dsdt.get(HEADER_LEN..)?)?;
    Some(PowerOff {
        port: control_port(fadt)?,
        value: u16::from(sleep_type) << SLP_TYP_SHIFT | SLP_EN,
    })
}

/// Returns the XSDT of a pointer of the second version, if there is one and it can be believed.
fn xsdt(pointer: &[u8]) -> Option<AcpiRoot> {
    let revision = *pointer.get(15)?;
    let len = u32_at(pointer, 20)? as usize;
    if revision < 2 || len < POINTER_LEN || !sums_to_zero(pointer.get(..len)?) {
        return None;
    }
    u64_at(pointer, 24)
        .filter(|address| *address != 0)
        .map(AcpiRoot::Xsdt)
}

/// Returns the first table with this signature that can be read.
fn find_table(root: AcpiRoot, signature: [u8; 4], memory: &impl PhysicalMemory) -> Option<&[u8]> {
    match root {
        AcpiRoot::Rsdt(address) => {
            let addresses = table(address, *b"RSDT", memory)?
                .get(HEADER_LEN..)?
                .chunks_exact(4);
            addresses
                .filter_map(|entry| u32_at(entry, 0))
                .find_map(|entry| table(entry.into(), signature, memory))
        }
        AcpiRoot::Xsdt(address) => {
            let addresses = table(address, *b"XSDT", memory)?
                .get(HEADER_LEN..)?
                .chunks_exact(8);
            addresses
                .filter_map(|entry| u64_at(entry, 0))
                .find_map(|entry| table(entry, signature, memory))
        }
    }
}

/// Returns the table at `address`, if it has this signature and its checksum is right.
fn table(address: u64, signature: [u8; 4], memory: &impl PhysicalMemory) -> Option<&[u8]> {
    let header = memory.bytes(address, HEADER_LEN)?;
    let len = u32_at(header, 4).filter(|len| *len <= MOST_LEN)? as usize;
    if !header.starts_with(&signature) || len < HEADER_LEN {
        return None;
    }
    memory
        .bytes(address, len)
        .filter(|table| sums_to_zero(table))
}

/// Returns whether the sum of all bytes is zero, which is what makes a checksum right.
fn sums_to_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)) == 0
}

/// Returns the address of the DSDT: the 64-bit field of newer tables, else the 32-bit field.
fn dsdt_address(fadt: &[u8]) -> Option<u64> {
    let newer = u64_at(fadt, 140).filter(|address| *address != 0);
    newer
        .or_else(|| u32_at(fadt, 40).map(u64::from))
        .filter(|address| *address != 0)
}

/// Returns the PM1a control port: the generic address of newer tables if it names a port, else the 32-bit field.
fn control_port(fadt: &[u8]) -> Option<u16> {
    const SYSTEM_IO: u8 = 1;
    let newer = u64_at(fadt, 176).filter(|port| fadt.get(172) == Some(&SYSTEM_IO) && *port != 0);
    let port = newer
        .or_else(|| u32_at(fadt, 64).map(u64::from))
        .filter(|port| *port != 0)?;
    u16::try_from(port).ok()
}

/// Returns the number of the sleep state "off": the first item of the package that `_S5_` names.
///
/// The byte code is searched, not interpreted: the definition is a constant in practice, and its encoding (section 20.2)
/// is unlike anything else that could hold those four letters.
fn sleep_type(byte_code: &[u8]) -> Option<u8> {
    let places = byte_code
        .windows(4)
        .enumerate()
        .filter(|(_, name)| name == b"_S5_");
    places
        .filter_map(|(place, _)| package_start(byte_code, place))
        .find_map(small_number)
}

/// Returns the bytes from the first item on, if a package with at least one item is named at `place`.
fn package_start(byte_code: &[u8], place: usize) -> Option<&[u8]> {
    const NAME: u8 = 0x08;
    const PACKAGE: u8 = 0x12;
    let before = byte_code.get(..place)?;
    let is_definition = before.ends_with(&[NAME]) || before.ends_with(&[NAME, b'\\']);
    let (package, behind) = byte_code.get(place + 4..)?.split_first()?;
    if !is_definition || *package != PACKAGE {
        return None;
    }
    // The top two bits of a length's first byte tell how many more it has (section 20.2.4).
    let more = usize::from(behind.first()? >> 6);
    let (items, first) = behind.get(1 + more..)?.split_first()?;
    (*items > 0).then_some(first)
}

/// Returns the small number that is encoded at the start of `code`, if it is the number of a sleep state.
fn small_number(code: &[u8]) -> Option<u8> {
    let number = match *code {
        [number @ (0x00 | 0x01), ..] => number,
        [0x0a, number, ..] => number,
        [0x0b, ..] => u8::try_from(u16_at(code, 1)?).ok()?,
        _ => return None,
    };
    (number <= SLP_TYP_MOST).then_some(number)
}

#[cfg(test)]
pub(super) mod tests {
    use alloc::vec::Vec;

    use super::super::captured::{Memory, Piece};
    use super::*;

    /// Returns a pointer of this revision, with its checksums.
    pub(in super::super) fn pointer(revision: u8, rsdt: u32, xsdt: u64) -> Vec<u8> {
        let mut pointer = b"RSD PTR \0UNIKRN".to_vec();
        pointer.push(revision);
        pointer.extend(rsdt.to_le_bytes());
        pointer.extend(36_u32.to_le_bytes());
        pointer.extend(xsdt.to_le_bytes());
        pointer.extend([0; 4]);
        pointer[8] = missing(&pointer[..FIRST_POINTER_LEN]);
        pointer[32] = missing(&pointer);
        pointer
    }

    /// Returns what makes the sum of all bytes zero.
    fn missing(bytes: &[u8]) -> u8 {
        0_u8.wrapping_sub(bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte)))
    }

    /// Returns a table at `address`, with length and checksum.
    fn piece(address: u64, signature: &[u8], content: &[u8]) -> Piece {
        let mut bytes = signature.to_vec();
        bytes.extend((HEADER_LEN as u32 + content.len() as u32).to_le_bytes());
        bytes.resize(HEADER_LEN, 0);
        bytes.extend(content);
        bytes[9] = missing(&bytes);
        Piece { address, bytes }
    }

    /// Returns a FADT of `len` bytes with these fields.
    fn fadt(len: usize, fields: &[(usize, &[u8])]) -> Piece {
        let mut content = vec![0; len - HEADER_LEN];
        for (offset, field) in fields {
            content[offset - HEADER_LEN..][..field.len()].copy_from_slice(field);
        }
        piece(0x2000, b"FACP", &content)
    }

    /// Returns byte code that names a package of four numbers, of which 5 is the first.
    fn byte_code() -> Vec<u8> {
        [
            b"\x5b\x80junk\x08_S5_\x12\x07\x04\x0a\x05".as_slice(),
            &[0; 4],
        ]
        .concat()
    }

    /// Returns a machine with an RSDT, a short FADT that names port 0x604, and a DSDT.
    fn machine() -> Memory {
        let tables = [0x9_9999_u32, 0x2000].map(u32::to_le_bytes).concat();
        let fadt = fadt(116, &[(40, &[0, 0x30]), (64, &[4, 6])]);
        Memory {
            pieces: vec![
                piece(0x1000, b"RSDT", &tables),
                fadt,
                piece(0x3000, b"DSDT", &byte_code()),
            ],
        }
    }

    const ROOT: AcpiRoot = AcpiRoot::Rsdt(0x1000);
    const OFF: PowerOff = PowerOff {
        port: 0x604,
        value: 5 << 10 | 1 << 13,
    };

    #[test]
    fn a_pointer_of_the_first_version_tells_the_rsdt() {
        assert_eq!(
            root(&pointer(0, 0x1234, 0x5678)[..20]),
            Some(AcpiRoot::Rsdt(0x1234))
        );
        assert_eq!(
            root(&pointer(0, 0x1234, 0x5678)),
            Some(AcpiRoot::Rsdt(0x1234))
        );
    }

    #[test]
    fn a_pointer_of_a_later_version_tells_the_xsdt_if_it_has_one() {
        assert_eq!(
            root(&pointer(2, 0x1234, 0x5678)),
            Some(AcpiRoot::Xsdt(0x5678))
        );
        assert_eq!(root(&pointer(2, 0x1234, 0)), Some(AcpiRoot::Rsdt(0x1234)));
        assert_eq!(root(&pointer(2, 0, 0)), None);
    }

    #[test]
    fn damage_in_the_newer_half_of_a_pointer_leaves_the_older() {
        for place in FIRST_POINTER_LEN..POINTER_LEN {
            let mut damaged = pointer(2, 0x1234, 0x5678);
            damaged[place] ^= 0x40;
            assert_eq!(root(&damaged), Some(AcpiRoot::Rsdt(0x1234)), "{place}");
        }
    }

    #[test]
    fn damage_in_the_older_half_of_a_pointer_or_its_end_leaves_nothing() {
        for place in 0..FIRST_POINTER_LEN {
            let mut damaged = pointer(2, 0x1234, 0x5678);
            damaged[place] ^= 0x40;
            assert_eq!(root(&damaged), None, "{place}");
            assert_eq!(root(&damaged[..place]), None, "{place}");
        }
    }

    #[test]
    fn port_and_value_are_found_through_the_rsdt_past_a_table_that_cannot_be_read() {
        assert_eq!(power_off(ROOT, &machine()), Some(OFF));
    }

    #[test]
    fn port_and_value_are_found_through_the_xsdt_and_the_newer_fields() {
        let mut machine = machine();
        machine.pieces[0] = piece(0x1000, b"XSDT", &0x2000_u64.to_le_bytes());
        let generic_port = [1, 16, 0, 2, 4, 6, 0, 0];
        machine.pieces[1] = fadt(
            244,
            &[
                (40, &[9]),
                (64, &[9]),
                (140, &[0, 0x30]),
                (172, &generic_port),
            ],
        );

        assert_eq!(power_off(AcpiRoot::Xsdt(0x1000), &machine), Some(OFF));
    }

    #[test]
    fn a_register_in_memory_is_not_taken_for_a_port() {
        let mut machine = machine();
        machine.pieces[1] = fadt(244, &[(40, &[0, 0x30]), (172, &[0, 16, 0, 2, 4, 6])]);

        assert_eq!(power_off(ROOT, &machine), None);
    }

    #[test]
    fn one_wrong_bit_in_any_table_is_noticed() {
        for table in 0..3 {
            for place in 0..machine().pieces[table].bytes.len() {
                let mut machine = machine();
                machine.pieces[table].bytes[place] ^= 0x10;
                assert_eq!(
                    power_off(ROOT, &machine),
                    None,
                    "table {table}, byte {place}"
                );
            }
        }
    }

    #[test]
    fn the_sleep_type_is_found_in_each_encoding() {
        let table: [(&[u8], Option<u8>); 11] = [
            (b"\x08_S5_\x12\x06\x04\x00\x00\x00\x00", Some(0)),
            (b"\x08_S5_\x12\x06\x04\x01\x00\x00\x00", Some(1)),
            (b"\x08\\_S5_\x12\x07\x04\x0a\x07\x00\x00", Some(7)),
            (b"\x08_S5_\x12\x48\x00\x04\x0a\x03\x00\x00", Some(3)),
            (b"\x08_S5_\x12\x06\x04\x0b\x05\x00\x00\x00", Some(5)),
            (b"call _S5_ then \x08_S5_\x12\x06\x04\x01", Some(1)),
            (b"\x08_S5_\x12\x07\x04\x0a\x08", None),
            (b"\x08_S5_\x12\x02\x00", None),
            (b"\x08_S5_\x0a\x05", None),
            (b"_S5_\x12\x06\x04\x01", None),
            (b"\x08_S4_\x12\x06\x04\x01", None),
        ];

        for (byte_code, expected) in table {
            assert_eq!(sleep_type(byte_code), expected, "{byte_code:x?}");
        }
    }

    #[test]
    fn byte_code_that_ends_anywhere_or_has_any_wrong_byte_is_harmless() {
        let byte_code = byte_code();
        for place in 0..byte_code.len() {
            let _ = sleep_type(&byte_code[..place]);
            for byte in 0..=u8::MAX {
                let mut damaged = byte_code.clone();
                damaged[place] = byte;
                assert!(sleep_type(&damaged).is_none_or(|number| number <= SLP_TYP_MOST));
            }
        }
    }
}
