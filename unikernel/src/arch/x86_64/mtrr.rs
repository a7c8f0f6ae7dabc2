//! What the memory type range registers say about an address: pure. Together with what the page's entry says it gives the type in
//! effect (`memory::table::memory_type`).

use core::fmt;

use crate::memory::table::memory_type::RangeType;

/// Variable ranges that are kept; processors have at most so many.
const MOST_RANGES: usize = 32;

/// A pair of variable range registers as read (SDM 3A, 12.11.2.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct VariableRange {
    /// IA32_MTRR_PHYSBASEn: type in bits 7:0, base from bit 12.
    pub(crate) base: u64,
    /// IA32_MTRR_PHYSMASKn: valid in bit 11, mask from bit 12.
    pub(crate) mask: u64,
}

/// The fixed range registers as read: eight ranges each, the lowest in the lowest byte (SDM 3A, 12.11.2.2, table 12-9).
///
/// ```text
///   1 register    8 ranges of 64 KiB from 0
///   2 registers  16 ranges of 16 KiB from 0x8_0000
///   8 registers  64 ranges of  4 KiB from 0xc_0000, up to 1 MiB
/// ```
pub(crate) type FixedRanges = [u64; 11];

/// The memory type range registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RangeTypes {
    default: u64,
    /// Nothing on a processor without them.
    fixed: Option<FixedRanges>,
    variable: [VariableRange; MOST_RANGES],
}

/// In IA32_MTRR_DEF_TYPE: the registers have effect.
const ENABLED: u64 = 1 << 11;
/// In IA32_MTRR_DEF_TYPE: so have the fixed ranges.
const FIXED_ENABLED: u64 = 1 << 10;

fn type_of(number: u64) -> RangeType {
    match number & 0xff {
        1 => RangeType::WriteCombining,
        4 => RangeType::WriteThrough,
        5 => RangeType::WriteProtected,
        6 => RangeType::WriteBack,
        _ => RangeType::Uncached,
    }
}

/// Returns which of the fixed ranges holds an address; nothing from 1 MiB on.
const fn fixed_range(address: u64) -> Option<usize> {
    match address {
        0..0x8_0000 => Some((address >> 16) as usize),
        0x8_0000..0xc_0000 => Some(8 + ((address - 0x8_0000) >> 14) as usize),
        0xc_0000..0x10_0000 => Some(24 + ((address - 0xc_0000) >> 12) as usize),
        _ => None,
    }
}

impl RangeTypes {
    /// Takes the default type register, the fixed ranges if there are any, and all variable ranges.
    pub(crate) fn new(
        default: u64,
        fixed: Option<FixedRanges>,
        ranges: impl Iterator<Item = VariableRange>,
    ) -> Self {
        let mut variable = [VariableRange::default(); MOST_RANGES];
        for (slot, range) in variable.iter_mut().zip(ranges) {
            *slot = range;
        }
        Self {
            default,
            fixed: fixed.filter(|_| default & FIXED_ENABLED != 0),
            variable,
        }
    }

    /// Returns whether fixed ranges have effect.
    pub(crate) const fn has_fixed(&self) -> bool {
        self.fixed.is_some() && self.default & ENABLED != 0
    }

    /// Returns the type of the memory at a physical address. In the first MiB the fixed ranges decide alone. Where others overlap,
    /// uncached wins, then write-through (SDM 3A, 12.11.4.1).
    pub(crate) fn at(&self, address: u64) -> RangeType {
        if self.default & ENABLED == 0 {
            return RangeType::Uncached;
        }
        if let (Some(fixed), Some(range)) = (&self.fixed, fixed_range(address)) {
            return type_of(fixed[range / 8] >> (8 * (range % 8)));
        }
        let holds = |range: &&VariableRange| {
            let mask = range.mask & !0xfff;
            range.mask & ENABLED != 0 && address & mask == range.base & mask
        };
        let types = self
            .variable
            .iter()
            .filter(holds)
            .map(|range| type_of(range.base));
        types.reduce(stronger).unwrap_or(type_of(self.default))
    }
}

impl fmt::Display for RangeTypes {
    /// As in `WriteBack; fixed ranges below 1 MiB; base 0xc0000000 mask 0xffc0000000 Uncached`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.default & ENABLED == 0 {
            return f.write_str("off, all memory is uncached");
        }
        write!(f, "{:?}", type_of(self.default))?;
        if self.fixed.is_some() {
            f.write_str("; fixed ranges below 1 MiB")?;
        }
        let used = |range: &&VariableRange| range.mask & ENABLED != 0;
        self.variable.iter().filter(used).try_for_each(|range| {
            let (base, mask) = (range.base & !0xfff, range.mask & !0xfff);
            let kind = type_of(range.base);
            write!(f, "; base {base:#x} mask {mask:#x} {kind:?}")
        })
    }
}

fn stronger(one: RangeType, other: RangeType) -> RangeType {
    use RangeType::{Uncached, WriteThrough};
    match (one, other) {
        (Uncached, _) | (_, Uncached) => Uncached,
        (WriteThrough, _) | (_, WriteThrough) => WriteThrough,
        (first, _) => first,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As on the emulated PC: write-back up to 640 KiB, the old screen uncached, then the firmware's write-protected memory.
    const FIXED: FixedRanges = {
        let mut fixed = [0x0505_0505_0505_0505; 11];
        (fixed[0], fixed[1], fixed[2]) = (0x0606_0606_0606_0606, 0x0606_0606_0606_0606, 0);
        fixed
    };

    /// As on the emulated PC of 512 MiB: write-back by default, the hole below 4 GiB uncached.
    fn of_a_pc() -> RangeTypes {
        let hole = VariableRange {
            base: 0xc000_0000,
            mask: 0xff_c000_0800,
        };
        RangeTypes::new(0xc06, Some(FIXED), [hole].into_iter())
    }

    /// Proves M111.
    #[test]
    fn memory_is_of_the_default_type_where_no_range_holds_it() {
        assert_eq!(of_a_pc().at(0x20_0000), RangeType::WriteBack);
        assert_eq!(of_a_pc().at(0xc000_0000), RangeType::Uncached);
        assert_eq!(of_a_pc().at(0xffff_ffff), RangeType::Uncached);
        assert_eq!(of_a_pc().at(0x1_0000_0000), RangeType::WriteBack);
    }

    /// Proves M111.
    #[test]
    fn while_the_registers_are_off_all_memory_is_uncached() {
        assert_eq!(
            RangeTypes::new(0x006, None, core::iter::empty()).at(0x20_0000),
            RangeType::Uncached
        );
    }

    /// Proves M111.
    #[test]
    fn where_ranges_overlap_uncached_wins_and_then_write_through() {
        let range = |kind| VariableRange {
            base: kind,
            mask: 0xff_0000_0800,
        };
        let types =
            |kinds: [u64; 2]| RangeTypes::new(0xc06, None, kinds.into_iter().map(range)).at(0x1000);

        assert_eq!(types([6, 0]), RangeType::Uncached);
        assert_eq!(types([6, 4]), RangeType::WriteThrough);
        assert_eq!(types([4, 0]), RangeType::Uncached);
        assert_eq!(types([6, 6]), RangeType::WriteBack);
    }

    /// Proves M111.
    #[test]
    fn in_the_first_mib_the_fixed_ranges_decide() {
        let table = [
            (0, RangeType::WriteBack),
            (0x9_ffff, RangeType::WriteBack),
            (0xa_0000, RangeType::Uncached),
            (0xb_ffff, RangeType::Uncached),
            (0xc_0000, RangeType::WriteProtected),
            (0xf_ffff, RangeType::WriteProtected),
            (0x10_0000, RangeType::WriteBack),
        ];

        for (address, expected) in table {
            assert_eq!(of_a_pc().at(address), expected, "{address:#x}");
        }
    }

    /// Proves M111: each of the 88 ranges has a byte of its own, in the order of addresses.
    #[test]
    fn each_fixed_range_is_found_from_its_first_byte_to_its_last() {
        let sizes = [(8, 0x1_0000), (16, 0x4000), (64, 0x1000)];
        let sizes = sizes
            .into_iter()
            .flat_map(|(count, size)| core::iter::repeat_n(size, count));
        let mut start = 0;

        for (range, size) in sizes.enumerate() {
            let mut fixed = [0; 11];
            fixed[range / 8] = 6 << (8 * (range % 8));
            let types = RangeTypes::new(0xc00, Some(fixed), core::iter::empty());
            let is_it = |address: u64| types.at(address) == RangeType::WriteBack;
            assert!(is_it(start) && is_it(start + size - 1), "range {range}");
            assert!(!is_it(start + size), "range {range}");
            assert!(start == 0 || !is_it(start - 1), "range {range}");
            start += size;
        }

        assert_eq!(start, 0x10_0000);
    }

    /// Proves M111.
    #[test]
    fn fixed_ranges_that_are_off_leave_the_first_mib_to_the_others() {
        let types = RangeTypes::new(0x806, Some([0; 11]), core::iter::empty());

        assert_eq!(types.at(0xa_0000), RangeType::WriteBack);
    }

    /// Proves M111.
    #[test]
    fn the_registers_are_shown_in_one_line() {
        assert_eq!(
            of_a_pc().to_string(),
            "WriteBack; fixed ranges below 1 MiB; base 0xc0000000 mask 0xffc0000000 Uncached"
        );
        let off = RangeTypes::new(0, None, core::iter::empty());
        assert_eq!(off.to_string(), "off, all memory is uncached");
    }
}
