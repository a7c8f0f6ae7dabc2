//! Addresses that are known to be possible: [`VirtAddr`] and [`PhysAddr`].
//!
//! Both are checked where they are made and never again. Arithmetic that would leave the possible addresses answers `None`, or
//! panics with the address, by the name of the function; it never wraps and never saturates.
//!
//! ```text
//!                63         48 47                        12 11         0
//!   VirtAddr    | copies of 47 |       page number         |   offset    |   canonical, SDM volume 1, 3.3.7.1
//!   PhysAddr    |  0   | 51            frame number        |   offset    |   52 bits, SDM volume 3A, 4.1.4
//! ```

use core::error::Error;
use core::fmt;

/// Bits of an address inside a page.
pub(crate) const PAGE_SHIFT: u32 = 12;
/// Bytes of a page and of a frame.
pub const PAGE_SIZE: u64 = 1 << PAGE_SHIFT;

/// Bits of a virtual address that are not copies of others.
const VIRT_BITS: u32 = 48;
/// Bits of a physical address.
const PHYS_BITS: u32 = 52;

/// A virtual address that exists: bits 63 to 48 equal bit 47.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VirtAddr(u64);

/// A physical address that can exist: below 2^52.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhysAddr(u64);

/// A number that is no address of the kind asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// Bits 63 to 48 are not copies of bit 47.
    NonCanonical(u64),
    /// The physical address needs more than 52 bits.
    TooLarge(u64),
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NonCanonical(value) => write!(f, "address: {value:#x} is not canonical"),
            Self::TooLarge(value) => {
                write!(
                    f,
                    "address: {value:#x} is no physical address, it needs more than 52 bits"
                )
            }
        }
    }
}

impl Error for AddressError {}

impl VirtAddr {
    /// Makes an address from a number that is known to be one.
    ///
    /// # Panics
    ///
    /// If the number is not canonical.
    #[must_use]
    pub const fn new(value: u64) -> Self {
        match Self::try_new(value) {
            Ok(address) => address,
            Err(_) => not_canonical(value),
        }
    }

    /// Makes an address if the number is canonical.
    pub const fn try_new(value: u64) -> Result<Self, AddressError> {
        if value.cast_signed() << (64 - VIRT_BITS) >> (64 - VIRT_BITS) == value.cast_signed() {
            Ok(Self(value))
        } else {
            Err(AddressError::NonCanonical(value))
        }
    }

    /// Makes an address of the lowest 48 bits of the number, its highest bits filled in.
    #[must_use]
    pub const fn truncate(value: u64) -> Self {
        Self((value.cast_signed() << (64 - VIRT_BITS) >> (64 - VIRT_BITS)).cast_unsigned())
    }

    /// Returns the number.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// Returns whether the address lies in the upper half, which is the kernel's in every space.
    #[must_use]
    pub const fn is_upper_half(self) -> bool {
        self.0.cast_signed() < 0
    }

    /// Returns the distance from the start of the page of 4 KiB.
    #[must_use]
    pub const fn page_offset(self) -> u64 {
        self.0 % PAGE_SIZE
    }

    /// Returns whether the address is a multiple of `align`, a power of two.
    #[must_use]
    pub const fn is_aligned(self, align: u64) -> bool {
        self.0 & mask(align) == 0
    }

    /// Returns the highest multiple of `align`, a power of two, that is not above the address.
    #[must_use]
    pub const fn align_down(self, align: u64) -> Self {
        Self::truncate(self.0 & !mask(align))
    }

    /// Returns the lowest multiple of `align`, a power of two, that is not below the address; nothing where there is none in
    /// the same half.
    #[must_use]
    pub const fn align_up(self, align: u64) -> Option<Self> {
        match self.0 & mask(align) {
            0 => Some(self),
            over => self.checked_add(align - over),
        }
    }

    /// Adds bytes, as long as the sum lies in the same half.
    #[must_use]
    pub const fn checked_add(self, bytes: u64) -> Option<Self> {
        match self.0.checked_add(bytes) {
            Some(sum) => self.in_same_half(sum),
            None => None,
        }
    }

    /// Subtracts bytes, as long as the difference lies in the same half.
    #[must_use]
    pub const fn checked_sub(self, bytes: u64) -> Option<Self> {
        match self.0.checked_sub(bytes) {
            Some(difference) => self.in_same_half(difference),
            None => None,
        }
    }

    /// Returns how many bytes lie between `start` and this address; nothing if `start` is above it or in the other half.
    #[must_use]
    pub const fn checked_offset_from(self, start: Self) -> Option<u64> {
        if self.is_upper_half() == start.is_upper_half() {
            self.0.checked_sub(start.0)
        } else {
            None
        }
    }

    const fn in_same_half(self, value: u64) -> Option<Self> {
        match Self::try_new(value) {
            Ok(address) if address.is_upper_half() == self.is_upper_half() => Some(address),
            _ => None,
        }
    }
}

impl PhysAddr {
    /// Makes an address from a number that is known to be one.
    ///
    /// # Panics
    ///
    /// If the number needs more than 52 bits.
    #[must_use]
    pub const fn new(value: u64) -> Self {
        match Self::try_new(value) {
            Ok(address) => address,
            Err(_) => too_large(value),
        }
    }

    /// Makes an address if the number needs no more than 52 bits.
    pub const fn try_new(value: u64) -> Result<Self, AddressError> {
        if value >> PHYS_BITS == 0 {
            Ok(Self(value))
        } else {
            Err(AddressError::TooLarge(value))
        }
    }

    /// Returns the number.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// Returns the distance from the start of the frame of 4 KiB.
    #[must_use]
    pub const fn page_offset(self) -> u64 {
        self.0 % PAGE_SIZE
    }

    /// Returns whether the address is a multiple of `align`, a power of two.
    #[must_use]
    pub const fn is_aligned(self, align: u64) -> bool {
        self.0 & mask(align) == 0
    }

    /// Returns the highest multiple of `align`, a power of two, that is not above the address.
    #[must_use]
    pub const fn align_down(self, align: u64) -> Self {
        Self(self.0 & !mask(align))
    }

    /// Returns the lowest multiple of `align`, a power of two, that is not below the address, if there is one.
    #[must_use]
    pub const fn align_up(self, align: u64) -> Option<Self> {
        match self.0 & mask(align) {
            0 => Some(self),
            over => self.checked_add(align - over),
        }
    }

    /// Adds bytes, as long as the sum is possible.
    #[must_use]
    pub const fn checked_add(self, bytes: u64) -> Option<Self> {
        match self.0.checked_add(bytes) {
            Some(sum) if sum >> PHYS_BITS == 0 => Some(Self(sum)),
            _ => None,
        }
    }

    /// Subtracts bytes, as long as the difference is possible.
    #[must_use]
    pub const fn checked_sub(self, bytes: u64) -> Option<Self> {
        match self.0.checked_sub(bytes) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
    }
}

const fn mask(align: u64) -> u64 {
    assert!(align.is_power_of_two(), "an alignment is a power of two");
    align - 1
}

#[track_caller]
const fn not_canonical(value: u64) -> ! {
    refuse(*b"address: 0x---------------- is not canonical", value)
}

#[track_caller]
const fn too_large(value: u64) -> ! {
    refuse(
        *b"address: 0x---------------- needs more than 52 bits",
        value,
    )
}

/// Panics with `text`, its dashes replaced by the digits of `value`. The compiler, which may come here for a constant, cannot
/// format numbers by itself.
#[track_caller]
const fn refuse<const LEN: usize>(mut text: [u8; LEN], value: u64) -> ! {
    const FIRST_DIGIT: usize = "address: 0x".len();
    let mut digit = 0;
    while digit < 16 {
        let nibble = value >> (60 - 4 * digit) & 0xf;
        text[FIRST_DIGIT + digit] = b"0123456789abcdef"[nibble as usize];
        digit += 1;
    }
    match core::str::from_utf8(&text) {
        Ok(text) => panic!("{}", text),
        Err(_) => unreachable!(),
    }
}

impl fmt::Debug for VirtAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VirtAddr({:#x})", self.0)
    }
}

impl fmt::Display for VirtAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Debug for PhysAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PhysAddr({:#x})", self.0)
    }
}

impl fmt::Display for PhysAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDGES: [u64; 8] = [
        0,
        0xfff,
        0x1000,
        0x0000_7fff_ffff_ffff,
        0xffff_8000_0000_0000,
        0xffff_8000_0000_0fff,
        0xffff_ffff_ffff_f000,
        u64::MAX,
    ];

    /// Proves M26.
    #[test]
    fn canonical_numbers_of_both_halves_are_addresses_and_come_back_unchanged() {
        for value in EDGES {
            assert_eq!(VirtAddr::try_new(value).map(VirtAddr::as_u64), Ok(value));
            assert_eq!(VirtAddr::truncate(value), VirtAddr::new(value));
        }
    }

    /// Proves M26.
    #[test]
    fn numbers_in_the_hole_between_the_halves_are_refused_with_the_number() {
        for value in [
            0x0000_8000_0000_0000,
            0x0001_0000_0000_0000,
            0x8000_0000_0000_0000,
            0xffff_7fff_ffff_ffff,
        ] {
            assert_eq!(
                VirtAddr::try_new(value),
                Err(AddressError::NonCanonical(value))
            );
        }
    }

    #[test]
    #[should_panic(expected = "address: 0x0000800000000000 is not canonical")]
    fn an_address_that_is_known_to_be_canonical_and_is_not_panics() {
        let _address = VirtAddr::new(1 << 47);
    }

    #[test]
    #[should_panic(expected = "address: 0x0010000000000000 needs more than 52 bits")]
    fn a_physical_address_that_cannot_exist_panics() {
        let _address = PhysAddr::new(1 << 52);
    }

    #[test]
    fn physical_addresses_have_52_bits() {
        assert_eq!(
            PhysAddr::try_new((1 << 52) - 1).map(PhysAddr::as_u64),
            Ok((1 << 52) - 1)
        );
        assert_eq!(
            PhysAddr::try_new(1 << 52),
            Err(AddressError::TooLarge(1 << 52))
        );
        assert_eq!(PhysAddr::new((1 << 52) - 1).checked_add(1), None);
        assert_eq!(PhysAddr::new(0).checked_sub(1), None);
        assert_eq!(PhysAddr::new((1 << 52) - 1).align_up(PAGE_SIZE), None);
    }

    #[test]
    fn arithmetic_never_crosses_from_one_half_to_the_other() {
        let last_of_lower = VirtAddr::new(0x0000_7fff_ffff_ffff);
        let first_of_upper = VirtAddr::new(0xffff_8000_0000_0000);

        assert_eq!(last_of_lower.checked_add(1), None);
        assert_eq!(last_of_lower.checked_add(0xffff_0000_0000_0001), None);
        assert_eq!(first_of_upper.checked_sub(1), None);
        assert_eq!(VirtAddr::new(u64::MAX).checked_add(1), None);
        assert_eq!(last_of_lower.align_up(PAGE_SIZE), None);
        assert_eq!(first_of_upper.checked_offset_from(last_of_lower), None);
    }

    #[test]
    fn alignment_goes_down_and_up_to_the_multiple() {
        let address = VirtAddr::new(0xffff_8000_0020_1234);

        assert_eq!(address.page_offset(), 0x234);
        assert_eq!(
            address.align_down(PAGE_SIZE).as_u64(),
            0xffff_8000_0020_1000
        );
        assert_eq!(address.align_down(1 << 21).as_u64(), 0xffff_8000_0020_0000);
        assert_eq!(
            address.align_up(PAGE_SIZE),
            Some(VirtAddr::new(0xffff_8000_0020_2000))
        );
        assert_eq!(
            address.align_up(1 << 21),
            Some(VirtAddr::new(0xffff_8000_0040_0000))
        );
        assert_eq!(
            PhysAddr::new(0x5001).align_up(PAGE_SIZE),
            Some(PhysAddr::new(0x6000))
        );
        assert_eq!(
            PhysAddr::new(0x5000).align_up(PAGE_SIZE),
            Some(PhysAddr::new(0x5000))
        );
    }

    #[test]
    fn addresses_are_shown_in_hexadecimal() {
        assert_eq!(VirtAddr::new(0x1000).to_string(), "0x1000");
        assert_eq!(
            format!("{:?}", PhysAddr::new(0xb_8000)),
            "PhysAddr(0xb8000)"
        );
        assert_eq!(
            AddressError::NonCanonical(1 << 47).to_string(),
            "address: 0x800000000000 is not canonical"
        );
    }
}
