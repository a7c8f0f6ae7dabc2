//! What the memory type range registers say about an address: pure. Together with what the page's entry says it gives the type in
//! effect (`memory::table::memory_type`).

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

/// The memory type range registers, without the fixed ranges of the first MiB, where nothing of ours lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RangeTypes {
    default: u64,
    variable: [VariableRange; MOST_RANGES],
}

fn type_of(number: u64) -> RangeType {
    match number & 0xff {
        1 => RangeType::WriteCombining,
        4 => RangeType::WriteThrough,
        5 => RangeType::WriteProtected,
        6 => RangeType::WriteBack,
        _ => RangeType::Uncached,
    }
}

impl RangeTypes {
    /// Takes the default type register and all variable ranges.
    pub(crate) fn new(default: u64, ranges: impl Iterator<Item = VariableRange>) -> Self {
        let mut variable = [VariableRange::default(); MOST_RANGES];
        for (slot, range) in variable.iter_mut().zip(ranges) {
            *slot = range;
        }
        Self { default, variable }
    }

    /// Returns the type of the memory at a physical address above 1 MiB. Where ranges overlap, uncached wins, then write-through
    /// (SDM 3A, 12.11.4.1).
    pub(crate) fn at(&self, address: u64) -> RangeType {
        const ENABLED: u64 = 1 << 11;
        if self.default & ENABLED == 0 {
            return RangeType::Uncached;
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

    /// As on the emulated PC of 512 MiB: write-back by default, the hole below 4 GiB uncached.
    fn of_a_pc() -> RangeTypes {
        let hole = VariableRange {
            base: 0xc000_0000,
            mask: 0xff_c000_0800,
        };
        RangeTypes::new(0xc06, [hole].into_iter())
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
            RangeTypes::new(0x006, core::iter::empty()).at(0x20_0000),
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
            |kinds: [u64; 2]| RangeTypes::new(0xc06, kinds.into_iter().map(range)).at(0x1000);

        assert_eq!(types([6, 0]), RangeType::Uncached);
        assert_eq!(types([6, 4]), RangeType::WriteThrough);
        assert_eq!(types([4, 0]), RangeType::Uncached);
        assert_eq!(types([6, 6]), RangeType::WriteBack);
    }
}
