//! Little-endian numbers out of bytes of which nothing is known yet, not even how many there are.
//!
//! Every reader answers `None` past the end, so that no parser above needs an index that could panic.

/// Returns the 16-bit number at `offset`.
pub(super) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    array_at(bytes, offset).map(u16::from_le_bytes)
}

/// Returns the 32-bit number at `offset`.
pub(super) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    array_at(bytes, offset).map(u32::from_le_bytes)
}

/// Returns the 64-bit number at `offset`.
pub(super) fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    array_at(bytes, offset).map(u64::from_le_bytes)
}

/// Returns the `N` bytes at `offset`.
fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::{u16_at, u32_at, u64_at};

    const BYTES: [u8; 9] = [1, 2, 3, 4, 5, 6, 7, 8, 9];

    #[test]
    fn numbers_are_little_endian() {
        assert_eq!(u16_at(&BYTES, 0), Some(0x0201));
        assert_eq!(u32_at(&BYTES, 1), Some(0x0504_0302));
        assert_eq!(u64_at(&BYTES, 1), Some(0x0908_0706_0504_0302));
    }

    #[test]
    fn a_number_that_passes_the_end_is_none() {
        assert_eq!(u16_at(&BYTES, 8), None);
        assert_eq!(u32_at(&BYTES, 9), None);
        assert_eq!(u64_at(&BYTES, usize::MAX), None);
    }
}
