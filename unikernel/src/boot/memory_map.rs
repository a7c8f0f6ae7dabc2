//! Which physical memory there is, and what it is good for.
//!
//! Firmware lists ranges in any order, lets them overlap, and leaves holes. [`normalise`] makes of that a list that is
//! *sorted, disjoint and merged*; where two entries claim the same byte, the less usable kind wins:
//!
//! ```text
//! claimed     |------- usable -------|          |--- usable ---|
//!                      |-- reserved --|
//! normalised  | usable | reserved    |   hole   |--- usable ---|
//! ```
//!
//! What may be handed out is less than what is called usable: only whole pages, and none below 1 MiB ([`usable_frames`]).

use alloc::vec::Vec;
use core::fmt;

use super::error::{BootError, MemoryMapError, Part};

/// The length of a page, in bytes.
const PAGE_LEN: u64 = 4096;

/// Memory below belongs to the firmware, to interrupt vectors and to starting other processors, whatever the map says.
const FIRST_MIB: u64 = 1 << 20;

/// Physical addresses have at most 52 bits (Intel SDM volume 3A, section 4.1.4, "MAXPHYADDR").
pub(super) const PHYSICAL_END: u64 = 1 << 52;

/// More entries than any firmware lists; a larger number is damage.
pub(super) const MOST_ENTRIES: usize = 1024;

/// A range of physical memory, in bytes: from its start to just before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PhysicalRange {
    start: u64,
    end: u64,
}

impl PhysicalRange {
    /// Returns the range of `len` bytes at `start`, cut at the highest address there is.
    #[must_use]
    pub const fn new(start: u64, len: u64) -> Self {
        Self {
            start,
            end: start.saturating_add(len),
        }
    }

    /// Returns the address of the first byte.
    #[must_use]
    pub const fn start(self) -> u64 {
        self.start
    }

    /// Returns the address after the last byte.
    #[must_use]
    pub const fn end(self) -> u64 {
        self.end
    }

    /// Returns the number of bytes.
    #[must_use]
    pub const fn len_bytes(self) -> u64 {
        self.end - self.start
    }

    /// Returns the whole pages at 1 MiB and above that lie within, if there is one.
    fn frames(self) -> Option<Self> {
        let start = self
            .start
            .max(FIRST_MIB)
            .checked_next_multiple_of(PAGE_LEN)?;
        let end = self.end - self.end % PAGE_LEN;
        (start < end).then_some(Self { start, end })
    }
}

impl fmt::Display for PhysicalRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}..{:#x}", self.start, self.end)
    }
}

/// What a range of physical memory is good for, from the most to the least usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemoryKind {
    /// Free for any use.
    Usable,
    /// Holds ACPI tables; usable once they are no longer needed.
    AcpiReclaimable,
    /// Belongs to ACPI and must survive sleep.
    AcpiNvs,
    /// A kind of the firmware's own, with its number.
    Other(u32),
    /// Not to be touched.
    Reserved,
    /// Broken.
    Defective,
}

impl MemoryKind {
    /// Returns the kind that the firmware gives this number (ACPI 6.5, section 15, table 15.374; PVH uses the same).
    pub(super) const fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Usable,
            2 => Self::Reserved,
            3 => Self::AcpiReclaimable,
            4 => Self::AcpiNvs,
            5 => Self::Defective,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for MemoryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usable => f.write_str("usable"),
            Self::AcpiReclaimable => f.write_str("ACPI tables"),
            Self::AcpiNvs => f.write_str("ACPI non-volatile"),
            Self::Other(number) => write!(f, "kind {number}"),
            Self::Reserved => f.write_str("reserved"),
            Self::Defective => f.write_str("defective"),
        }
    }
}

/// A range of physical memory and what it is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRange {
    range: PhysicalRange,
    kind: MemoryKind,
}

impl MemoryRange {
    /// Returns `len` bytes at `start` that the firmware gives the kind `number`.
    pub(super) const fn claimed(start: u64, len: u64, number: u32) -> Self {
        Self {
            range: PhysicalRange::new(start, len),
            kind: MemoryKind::from_number(number),
        }
    }

    /// Returns where it lies.
    #[must_use]
    pub const fn range(&self) -> PhysicalRange {
        self.range
    }

    /// Returns what it is good for.
    #[must_use]
    pub const fn kind(&self) -> MemoryKind {
        self.kind
    }
}

impl fmt::Display for MemoryRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.range, self.kind)
    }
}

/// Returns the firmware's `claims` sorted, disjoint and merged.
///
/// Takes time in the square of the number of claims, of which there are some tens and at most [`MOST_ENTRIES`].
pub(super) fn normalise(claims: &[MemoryRange]) -> Result<Vec<MemoryRange>, BootError> {
    check(claims)?;
    let mut ranges = with_capacity(2 * claims.len())?;
    for pair in edges(claims)?.windows(2) {
        let range = PhysicalRange {
            start: pair[0],
            end: pair[1],
        };
        if let Some(kind) = kind_of(range, claims) {
            append(&mut ranges, MemoryRange { range, kind });
        }
    }
    Ok(ranges)
}

/// Returns the whole pages of usable memory from 1 MiB on, in `ranges` that are sorted and disjoint.
pub(super) fn usable_frames(ranges: &[MemoryRange]) -> impl Iterator<Item = PhysicalRange> {
    ranges
        .iter()
        .filter(|range| range.kind == MemoryKind::Usable)
        .filter_map(|range| range.range.frames())
}

/// Returns whether every byte of `wanted` is usable memory, in `ranges` that are sorted, disjoint and merged.
pub(super) fn is_usable(wanted: PhysicalRange, ranges: &[MemoryRange]) -> bool {
    ranges
        .iter()
        .filter(|range| range.kind == MemoryKind::Usable)
        .any(|range| range.range.start <= wanted.start && wanted.end <= range.range.end)
}

/// Refuses a list that is too long, and memory that cannot exist.
fn check(claims: &[MemoryRange]) -> Result<(), BootError> {
    if claims.len() > MOST_ENTRIES {
        return Err(BootError::TooMany {
            part: Part::MemoryMap,
            count: claims.len() as u64,
            most: MOST_ENTRIES as u64,
        });
    }
    match claims
        .iter()
        .find(|claim| claim.kind == MemoryKind::Usable && claim.range.end > PHYSICAL_END)
    {
        None => Ok(()),
        Some(claim) => Err(BootError::MemoryMap(
            MemoryMapError::BeyondPhysicalAddresses {
                start: claim.range.start,
                len: claim.range.len_bytes(),
            },
        )),
    }
}

/// Returns every address at which some claim starts or ends, in order; between two neighbours nothing changes.
fn edges(claims: &[MemoryRange]) -> Result<Vec<u64>, BootError> {
    let mut edges = with_capacity(2 * claims.len())?;
    edges.extend(
        claims
            .iter()
            .flat_map(|claim| [claim.range.start, claim.range.end]),
    );
    sort(&mut edges);
    edges.dedup();
    Ok(edges)
}

/// Returns the least usable kind that is claimed for `range`, which no claim covers in part.
fn kind_of(range: PhysicalRange, claims: &[MemoryRange]) -> Option<MemoryKind> {
    let covers =
        |claim: &&MemoryRange| claim.range.start <= range.start && range.end <= claim.range.end;
    claims.iter().filter(covers).map(|claim| claim.kind).max()
}

/// Adds a range after the last one, or to the last one where they touch and are of one kind.
fn append(ranges: &mut Vec<MemoryRange>, next: MemoryRange) {
    match ranges.last_mut() {
        Some(last) if last.kind == next.kind && last.range.end == next.range.start => {
            last.range.end = next.range.end;
        }
        _ => ranges.push(next),
    }
}

/// Returns an empty vector that can take `len` items.
fn with_capacity<T>(len: usize) -> Result<Vec<T>, BootError> {
    let mut items = Vec::new();
    items
        .try_reserve_exact(len)
        .map_err(|_| BootError::OutOfMemory(Part::MemoryMap))?;
    Ok(items)
}

/// Sorts a list in place by insertion. The lists of a loader are short and nearly sorted; the library's sort, which is fast for
/// long ones, would add some 10 KiB to every image.
pub(super) fn sort<T: Ord>(items: &mut [T]) {
    for end in 1..items.len() {
        let mut at = end;
        while at > 0 && items[at] < items[at - 1] {
            items.swap(at, at - 1);
            at -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claim(start: u64, end: u64, number: u32) -> MemoryRange {
        MemoryRange::claimed(start, end - start, number)
    }

    fn frames(claims: &[MemoryRange]) -> Vec<(u64, u64)> {
        let ranges = normalise(claims).expect("the claims are few and possible");
        usable_frames(&ranges)
            .map(|range| (range.start(), range.end()))
            .collect()
    }

    #[test]
    fn claims_in_any_order_come_out_sorted_and_merged() {
        let claims = [
            claim(0x30_0000, 0x40_0000, 1),
            claim(0x10_0000, 0x20_0000, 1),
            claim(0x20_0000, 0x30_0000, 1),
        ];

        let ranges = normalise(&claims);

        assert_eq!(ranges, Ok(vec![claim(0x10_0000, 0x40_0000, 1)]));
    }

    #[test]
    fn an_overlap_belongs_to_the_less_usable_kind() {
        let claims = [
            claim(0x10_0000, 0x50_0000, 1),
            claim(0x20_0000, 0x30_0000, 2),
        ];

        let ranges = normalise(&claims);

        let expected = vec![
            claim(0x10_0000, 0x20_0000, 1),
            claim(0x20_0000, 0x30_0000, 2),
            claim(0x30_0000, 0x50_0000, 1),
        ];
        assert_eq!(ranges, Ok(expected));
    }

    #[test]
    fn the_kinds_are_ordered_from_the_most_to_the_least_usable() {
        let numbers = [1, 3, 4, 20, 2, 5].map(MemoryKind::from_number);

        assert!(numbers.is_sorted());
    }

    #[test]
    fn empty_claims_and_holes_leave_no_range() {
        let claims = [
            claim(0, 0, 1),
            claim(0x20_0000, 0x21_0000, 1),
            claim(0x30_0000, 0x31_0000, 1),
        ];

        let ranges = normalise(&claims);

        assert_eq!(ranges, Ok(claims[1..].to_vec()));
    }

    /// Proves M1.
    #[test]
    fn usable_memory_is_rounded_inwards_to_whole_pages() {
        assert_eq!(
            frames(&[claim(0x10_0001, 0x10_4fff, 1)]),
            [(0x10_1000, 0x10_4000)]
        );
    }

    /// Proves M1.
    #[test]
    fn usable_memory_without_a_whole_page_is_ignored() {
        assert_eq!(
            frames(&[
                claim(0x10_0001, 0x10_1fff, 1),
                claim(0x20_0000, 0x20_0fff, 1)
            ]),
            []
        );
    }

    /// Proves M1.
    #[test]
    fn only_usable_memory_gives_frames() {
        let claims =
            [2, 3, 4, 5, 6, 7, 20, u32::MAX].map(|number| claim(0x10_0000, 0x20_0000, number));

        assert_eq!(frames(&claims), []);
    }

    /// Proves M2.
    #[test]
    fn the_first_mib_gives_no_frames() {
        assert_eq!(frames(&[claim(0, 0x20_0000, 1)]), [(0x10_0000, 0x20_0000)]);
        assert_eq!(frames(&[claim(0, 0x9_fc00, 1)]), []);
    }

    /// Proves T12.
    #[test]
    fn usable_memory_that_no_processor_can_address_is_refused() {
        let claims = [MemoryRange::claimed(0x10_0000, u64::MAX, 1)];

        let error = normalise(&claims).expect_err("the claim passes 52 bits");

        assert!(matches!(
            error,
            BootError::MemoryMap(MemoryMapError::BeyondPhysicalAddresses { .. })
        ));
    }

    /// Proves T12.
    #[test]
    fn more_entries_than_any_firmware_lists_are_refused() {
        let claims = vec![claim(0x10_0000, 0x20_0000, 1); MOST_ENTRIES + 1];

        assert!(matches!(
            normalise(&claims),
            Err(BootError::TooMany { count: 1025, .. })
        ));
    }

    proptest! {
        /// Compares with asking all claims about each page on its own.
        #[test]
        fn every_page_has_the_least_usable_kind_claimed_for_it(
            claims in prop::collection::vec((0_u64..64, 0_u64..32, 1_u32..8), 0..12),
        ) {
            let claims: Vec<_> =
                claims.iter().map(|&(start, len, number)| MemoryRange::claimed(start, len, number)).collect();

            let ranges = normalise(&claims).expect("the claims are few and possible");

            prop_assert!(ranges.windows(2).all(|pair| pair[0].range.end <= pair[1].range.start));
            for byte in 0..100 {
                let holds = |range: &&MemoryRange| range.range.start <= byte && byte < range.range.end;
                let expected = claims.iter().filter(holds).map(|claim| claim.kind).max();
                prop_assert_eq!(ranges.iter().find(holds).map(|range| range.kind), expected);
            }
        }
    }
}
