//! Memory types: how entries name them, and what becomes of them together with the range registers.
//!
//! An entry has three bits that select one of eight slots of the page attribute table: SDM volume 3A, section 12.12. We keep the
//! meaning that the slots have after reset, so that nothing breaks before the table is written, and change only slot 7, which
//! nobody used:
//!
//! | slot | PAT PCD PWT | type |
//! |---|---|---|
//! | 0, 4 | `000` `100` | write-back |
//! | 1, 5 | `001` `101` | write-through |
//! | 2, 6 | `010` `110` | uncached-minus |
//! | 3 | `011` | uncached |
//! | 7 | `111` | write-combining; uncached after reset |

use crate::memory::page::MemoryType;

/// The value of the page attribute table that every CPU has: a byte for each slot.
pub(crate) const PAGE_ATTRIBUTE_TABLE: u64 = with_write_combining(0x0007_0406_0007_0406);

/// Returns a page attribute table with slot 7 write-combining and all others as they were.
#[must_use]
pub(crate) const fn with_write_combining(table: u64) -> u64 {
    const WRITE_COMBINING: u64 = 1;
    table & !(0xff << 56) | WRITE_COMBINING << 56
}

/// Returns the slot that entries name for a type.
pub(super) const fn slot(memory_type: MemoryType) -> u8 {
    match memory_type {
        MemoryType::WriteBack => 0,
        MemoryType::WriteThrough => 1,
        MemoryType::UncachedMinus => 2,
        MemoryType::Uncached => 3,
        MemoryType::WriteCombining => 7,
    }
}

/// Returns the type that a slot stands for.
pub(super) const fn from_slot(slot: u8) -> MemoryType {
    match slot & 0b111 {
        0 | 4 => MemoryType::WriteBack,
        1 | 5 => MemoryType::WriteThrough,
        2 | 6 => MemoryType::UncachedMinus,
        3 => MemoryType::Uncached,
        _ => MemoryType::WriteCombining,
    }
}

/// What the range registers say about a physical address, and what the processor does with one in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RangeType {
    /// Not cached.
    Uncached,
    /// Not cached, writes are collected.
    WriteCombining,
    /// Writing goes to memory at once.
    WriteThrough,
    /// Writing is not cached at all.
    WriteProtected,
    /// Cached.
    WriteBack,
}

/// Returns what becomes of a page's type at an address for which the range registers say `range`: SDM volume 3A, table 12-7.
#[must_use]
pub(crate) const fn effective(range: RangeType, page: MemoryType) -> RangeType {
    use RangeType as R;
    match (page, range) {
        (MemoryType::Uncached, _) => R::Uncached,
        (MemoryType::WriteCombining, _) => R::WriteCombining,
        (MemoryType::UncachedMinus, R::WriteCombining | R::WriteProtected) => R::WriteCombining,
        (MemoryType::UncachedMinus, _) => R::Uncached,
        (MemoryType::WriteThrough, R::Uncached | R::WriteCombining) => R::Uncached,
        (MemoryType::WriteThrough, _) => R::WriteThrough,
        (MemoryType::WriteBack, _) => range,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves M108.
    #[test]
    fn only_slot_7_differs_from_what_it_is_after_reset() {
        let slots = PAGE_ATTRIBUTE_TABLE.to_le_bytes();

        assert_eq!(slots, [6, 4, 7, 0, 6, 4, 7, 1]);
        assert_eq!(
            with_write_combining(PAGE_ATTRIBUTE_TABLE),
            PAGE_ATTRIBUTE_TABLE
        );
    }

    /// Proves M108, M109.
    #[test]
    fn entries_name_the_slot_that_holds_the_type() {
        let encodings = [
            (MemoryType::WriteBack, 6),
            (MemoryType::WriteThrough, 4),
            (MemoryType::UncachedMinus, 7),
            (MemoryType::Uncached, 0),
            (MemoryType::WriteCombining, 1),
        ];

        for (memory_type, byte) in encodings {
            let slots = PAGE_ATTRIBUTE_TABLE.to_le_bytes();
            assert_eq!(slots[usize::from(slot(memory_type))], byte, "{memory_type}");
            for number in (0..8).filter(|&number| slots[usize::from(number)] == byte) {
                assert_eq!(from_slot(number), memory_type);
            }
        }
    }

    /// Proves M111.
    #[test]
    fn the_range_registers_and_the_page_together_give_the_type_of_the_manual() {
        use RangeType as R;
        let ranges = [
            R::Uncached,
            R::WriteCombining,
            R::WriteThrough,
            R::WriteProtected,
            R::WriteBack,
        ];
        let (uc, wc, wt) = (R::Uncached, R::WriteCombining, R::WriteThrough);
        let table = [
            (MemoryType::Uncached, [uc; 5]),
            (MemoryType::UncachedMinus, [uc, wc, uc, wc, uc]),
            (MemoryType::WriteCombining, [wc; 5]),
            (MemoryType::WriteThrough, [uc, uc, wt, wt, wt]),
            (MemoryType::WriteBack, ranges),
        ];

        for (page, expected) in table {
            assert_eq!(
                ranges.map(|range| effective(range, page)),
                expected,
                "{page}"
            );
        }
    }
}
