//! The 64 bits of an entry: SDM volume 3A, section 4.5.4, tables 4-15 to 4-20.
//!
//! ```text
//!   63  62     52 51                12 11    10    9   8 7   6 5 4   3   2 1 0
//!  | NX | used   |  frame             |dying|own |cow|G|S/P|D|A|PCD|PWT|U|W|P|
//!          |                            \____________/    |
//!          |                             ours: ignored    in a leaf of level 1: PAT; above: this is a leaf (S), and
//!          |                             by the processor PAT is bit 12
//!          in an entry that points to a table: how many entries of that table are used (ours)
//! ```
//!
//! An entry is one of:
//!
//! - *absent*: all zero;
//! - a *table*: where the walk goes on, writable, and for ring 3 and executable if anything below is;
//! - a *leaf*: maps memory. A leaf that nobody may even read is *withdrawn*: not present, and all else is kept;
//! - *dying*: a table or leaf on its way out. It is not present, and its frame comes out after the flush.
//!
//! The count of used entries lives in the entry above because there it costs neither memory nor a lookup, and the processor
//! ignores it. An empty table is thus noticed without being searched. The root has no entry above it, and those of the upper
//! half are shared between roots; they keep no count, and their tables stay even if empty.

use core::fmt;

use bitflags::bitflags;

use super::memory_type::{from_slot, slot};
use crate::memory::page::{Frame, Level, MemoryType, PageSize, Rights};

const PRESENT: u64 = 1 << 0;
const WRITE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const WRITE_THROUGH: u64 = 1 << 3;
const CACHE_DISABLE: u64 = 1 << 4;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
/// Above level 1: the entry is a leaf.
const LARGE: u64 = 1 << 7;
/// In a leaf of level 1. The same bit as `LARGE`.
const PAT_SMALL: u64 = 1 << 7;
const GLOBAL: u64 = 1 << 8;
const COPY_ON_WRITE: u64 = 1 << 9;
const OWNED: u64 = 1 << 10;
const DYING: u64 = 1 << 11;
/// In a dying leaf: it was present, not withdrawn.
const WAS_PRESENT: u64 = 1 << 52;
/// In a leaf above level 1.
const PAT_LARGE: u64 = 1 << 12;
const NO_EXECUTE: u64 = 1 << 63;

const FRAME_SHIFT: u32 = 12;
const FRAME: u64 = 0x000f_ffff_ffff_f000;
/// Where the count of used entries starts.
pub(super) const USED_SHIFT: u32 = 52;
const USED: u64 = 0x3ff << USED_SHIFT;

/// What rights become in a leaf: present, writable, user, no-execute.
const RIGHTS: u64 = PRESENT | WRITE | USER | NO_EXECUTE;

bitflags! {
    /// What the system notes about a leaf; the processor ignores it.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Marks: u8 {
        /// The frame belongs to the address space: freed when that ends, copied when it forks.
        const OWNED = 1 << 0;
        /// The frame is shared, and a write gets a copy of its own. Never together with the right to write.
        const COPY_ON_WRITE = 1 << 1;
    }
}

bitflags! {
    /// What the processor noted about a leaf.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Touched: u8 {
        /// It was used in some way. It may have been cached even without.
        const ACCESSED = 1 << 0;
        /// It was written to.
        const DIRTY = 1 << 1;
    }
}

/// What a leaf allows, how its memory is cached, and what is noted about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    rights: Rights,
    memory_type: MemoryType,
    marks: Marks,
}

impl Attributes {
    /// Makes attributes of ordinary memory with these rights and no marks.
    #[must_use]
    pub const fn new(rights: Rights) -> Self {
        Self {
            rights,
            memory_type: MemoryType::WriteBack,
            marks: Marks::empty(),
        }
    }

    /// Returns the same with another memory type.
    #[must_use]
    pub const fn with_type(self, memory_type: MemoryType) -> Self {
        Self {
            memory_type,
            ..self
        }
    }

    /// Returns the same with other marks.
    #[must_use]
    pub const fn with_marks(self, marks: Marks) -> Self {
        Self { marks, ..self }
    }

    /// Returns the same with other rights.
    #[must_use]
    pub const fn with_rights(self, rights: Rights) -> Self {
        Self { rights, ..self }
    }

    /// Returns whether the reserved zero frame may be mapped so: copied before it is written, and nobody's.
    #[inline(always)]
    pub(super) const fn suit_zero(self) -> bool {
        self.marks.bits() == Marks::COPY_ON_WRITE.bits()
    }

    /// Returns whether these are attributes of ordinary memory that can be read, for pages of a half, and make sense together.
    /// Others may make sense too.
    #[inline(always)]
    pub(super) const fn are_plain(self, half: Half) -> bool {
        let in_the_way = match half {
            Half::Lower => Rights::empty(),
            Half::Upper => Rights::USER,
        };
        let in_the_way = if self.marks.contains(Marks::COPY_ON_WRITE) {
            in_the_way.union(Rights::WRITE)
        } else {
            in_the_way
        };
        matches!(self.memory_type, MemoryType::WriteBack)
            && self.rights.contains(Rights::READ)
            && !self.rights.intersects(in_the_way)
    }

    /// Returns what may be done with the memory.
    #[must_use]
    pub const fn rights(self) -> Rights {
        self.rights
    }

    /// Returns how the memory is cached.
    #[must_use]
    pub const fn memory_type(self) -> MemoryType {
        self.memory_type
    }

    /// Returns what is noted about the memory.
    #[must_use]
    pub const fn marks(self) -> Marks {
        self.marks
    }
}

impl fmt::Display for Attributes {
    /// As in `rw-u WB owned`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.rights, self.memory_type)?;
        for (mark, name) in [
            (Marks::OWNED, " owned"),
            (Marks::COPY_ON_WRITE, " copy-on-write"),
        ] {
            if self.marks.contains(mark) {
                f.write_str(name)?;
            }
        }
        Ok(())
    }
}

/// What a leaf maps, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The first frame.
    pub frame: Frame,
    /// How much is mapped.
    pub size: PageSize,
    /// How it is mapped.
    pub attributes: Attributes,
    /// What the processor noted.
    pub touched: Touched,
}

/// The half of the address space in which a leaf lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    Lower,
    /// Shared by all roots, so its leaves are global.
    Upper,
}

/// 64 bits of a table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry(u64);

impl Entry {
    pub(super) const ABSENT: Self = Self(0);
    /// What the processor notes in a leaf.
    pub(super) const TOUCHED: u64 = ACCESSED | DIRTY;
    /// That the processor used a leaf somehow.
    pub(super) const ACCESSED: u64 = ACCESSED;

    pub(super) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(super) const fn bits(self) -> u64 {
        self.0
    }

    /// Makes the entry that points to an empty table. It lets writes through from the beginning: through the self slot the
    /// table is written as a page, and this entry is the leaf.
    pub(super) const fn table(frame: Frame) -> Self {
        Self(frame.start().as_u64() | PRESENT | WRITE | NO_EXECUTE)
    }

    /// Makes the entry of a root that points at the root itself: through it, tables are data.
    pub(super) const fn self_slot(root: Frame) -> Self {
        Self(root.start().as_u64() | PRESENT | WRITE | NO_EXECUTE)
    }

    /// Makes the entry that points to a table shared by all roots. Its copies could not all be widened later, so it never
    /// stands in the way of a right, except for ring 3.
    pub(super) const fn shared_table(frame: Frame) -> Self {
        Self(frame.start().as_u64() | PRESENT | WRITE)
    }

    pub(super) const fn is_absent(self) -> bool {
        self.0 == 0
    }

    pub(super) const fn is_present(self) -> bool {
        self.0 & PRESENT != 0
    }

    /// Returns whether the entry counts as used: it is there, and not on its way out.
    pub(super) const fn is_used(self) -> bool {
        self.0 != 0 && self.0 & DYING == 0
    }

    pub(super) const fn is_dying(self) -> bool {
        self.0 & DYING != 0
    }

    /// Returns whether the entry points to a table, of one that is not absent.
    pub(super) fn is_table(self, level: Level) -> bool {
        level != Level::One && self.0 & LARGE == 0
    }

    /// Returns whether a walk goes on at the table that the entry points to, of an entry above level 1.
    #[inline]
    pub(super) const fn leads_on(self) -> bool {
        self.0 & (PRESENT | LARGE) == PRESENT
    }

    /// Returns whether the entry is a leaf, present or withdrawn or dying.
    pub(super) fn is_leaf(self, level: Level) -> bool {
        !self.is_absent() && !self.is_table(level)
    }

    pub(super) const fn is_global(self) -> bool {
        self.0 & GLOBAL != 0
    }

    /// Returns the frame that an entry points to, of a table or a leaf of level 1.
    pub(super) const fn frame(self) -> Frame {
        Frame::new(((self.0 & FRAME) >> FRAME_SHIFT) as u32)
    }

    /// Returns the entry, which points to a table, on its way out: no walk passes through it.
    pub(super) const fn dying_table(self) -> Self {
        Self(self.0 & !PRESENT | DYING)
    }

    /// Returns the leaf on its way out: no walk ends there.
    pub(super) const fn dying_leaf(self) -> Self {
        Self(self.0 & !PRESENT | DYING | (self.0 & PRESENT) << WAS_PRESENT.trailing_zeros())
    }

    /// Returns a leaf as it was before it was on its way out, if it is.
    #[inline]
    pub(super) const fn as_it_was(self) -> Self {
        let present = (self.0 & WAS_PRESENT) >> WAS_PRESENT.trailing_zeros();
        Self(self.0 & !(DYING | WAS_PRESENT) | present)
    }

    /// Returns the same with what the processor noted in a leaf while it went from `before` to `now`.
    pub(super) const fn with_news(self, before: Self, now: Self) -> Self {
        if self.is_absent() {
            return self;
        }
        Self(self.0 | now.0 & !before.0 & (ACCESSED | DIRTY))
    }

    /// Returns how many entries of the table are used, of an entry that points to one.
    pub(super) const fn used(self) -> u32 {
        ((self.0 & USED) >> USED_SHIFT) as u32
    }

    /// Returns the same with the count of used entries changed.
    #[inline(always)]
    pub(super) const fn with_used_changed(self, by: i32) -> Self {
        let used = self.used().wrapping_add_signed(by);
        debug_assert!(used <= 512, "T2: a table has 0 to 512 used entries");
        // So nothing is carried into the bits above.
        Self(self.0.wrapping_add_signed((by as i64) << USED_SHIFT))
    }

    /// Returns the same, of an entry that points to a table, letting through what leaves with these rights need.
    pub(super) const fn widened(self, rights: Rights) -> Self {
        let bits = leaf_rights(rights);
        Self((self.0 | bits & USER) & (!NO_EXECUTE | bits))
    }

    /// Returns what a table or leaf lets through by itself.
    #[inline]
    pub(super) const fn rights(self) -> Rights {
        // The other way round than in `leaf_rights`.
        let execute = (!self.0 & NO_EXECUTE) >> 61;
        let bits = self.0 & (PRESENT | WRITE) | (self.0 & USER) << 1 | execute;
        Rights::from_bits_truncate(bits as u8)
    }

    /// Tells what a leaf maps.
    #[inline(always)]
    pub(super) fn leaf(self, size: PageSize) -> Leaf {
        let address_bits = if size == PageSize::Kib4 {
            FRAME
        } else {
            FRAME & !PAT_LARGE
        };
        Leaf {
            frame: Frame::new(((self.0 & address_bits) >> FRAME_SHIFT) as u32),
            size,
            attributes: Attributes {
                rights: self.rights(),
                memory_type: from_slot(self.slot(size)),
                marks: self.marks(),
            },
            touched: self.touched(),
        }
    }

    const fn marks(self) -> Marks {
        // The two bits lie side by side, the other way round.
        let owned = (self.0 & OWNED) >> 10;
        let copy_on_write = (self.0 & COPY_ON_WRITE) >> 8;
        Marks::from_bits_truncate((owned | copy_on_write) as u8)
    }

    const fn touched(self) -> Touched {
        Touched::from_bits_truncate((self.0 >> 5 & 0b11) as u8)
    }

    const fn slot(self, size: PageSize) -> u8 {
        let low = (self.0 >> 3 & 0b11) as u8;
        if self.0 & pat_bit(size) == 0 {
            low
        } else {
            low | 0b100
        }
    }

    /// Returns the leaf, one level smaller, that maps the part of this large leaf from `offset` frames on.
    pub(super) const fn part(self, size: PageSize, offset: u64) -> Self {
        let pat = self.0 & PAT_LARGE;
        let moved = (self.0 & !PAT_LARGE) + (offset << FRAME_SHIFT);
        match size {
            PageSize::Gib1 => Self(moved | pat),
            _ if pat != 0 => Self(moved | PAT_SMALL),
            _ => Self(moved & !LARGE),
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({:#x})", self.0)
    }
}

/// Everything of a leaf but its frame, ready to be combined with one frame after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LeafBits {
    small: u64,
}

impl LeafBits {
    /// Encodes attributes for leaves in one half. The rights and marks make sense together.
    #[inline]
    pub(super) const fn new(attributes: Attributes, half: Half) -> Self {
        let slot = slot(attributes.memory_type) as u64;
        let marks = attributes.marks.bits() as u64;
        let mut bits = leaf_rights(attributes.rights);
        // Write-through and cache-disable lie side by side as in the slot; the two marks do the other way round.
        bits |= (slot & 0b011) << WRITE_THROUGH.trailing_zeros();
        bits |= (slot >> 2) << PAT_SMALL.trailing_zeros();
        bits |= (marks & 0b01) << OWNED.trailing_zeros();
        bits |= (marks >> 1) << COPY_ON_WRITE.trailing_zeros();
        if matches!(half, Half::Upper) {
            bits |= GLOBAL;
        }
        Self { small: bits }
    }

    /// Makes the leaf of a size that maps memory from `frame` on.
    #[inline]
    pub(super) const fn leaf(self, frame: Frame, size: PageSize) -> Entry {
        let address = frame.start().as_u64();
        match size {
            PageSize::Kib4 => Entry(self.small | address),
            _ if self.small & PAT_SMALL != 0 => Entry(self.small | PAT_LARGE | address),
            _ => Entry(self.small | LARGE | address),
        }
    }
}

const fn pat_bit(size: PageSize) -> u64 {
    match size {
        PageSize::Kib4 => PAT_SMALL,
        PageSize::Mib2 | PageSize::Gib1 => PAT_LARGE,
    }
}

/// Returns the bits of rights. Without the right to read there is no other either.
#[inline]
const fn leaf_rights(rights: Rights) -> u64 {
    if !rights.contains(Rights::READ) {
        return NO_EXECUTE;
    }
    let rights = rights.bits() as u64;
    // To read and to write have the places of present and writable; the other two move.
    let user = (rights & Rights::USER.bits() as u64) >> 1;
    let no_execute = (!rights & Rights::EXECUTE.bits() as u64) << 61;
    rights & (PRESENT | WRITE) | user | no_execute
}

const _: () = assert!(
    Rights::READ_WRITE.bits() as u64 == PRESENT | WRITE
        && (Rights::USER.bits() as u64) >> 1 == USER
        && (Rights::EXECUTE.bits() as u64) << 61 == NO_EXECUTE
);

/// What the entries above a leaf let through together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    /// As in the bits of a leaf, but no-execute is the other way round: a bit that is set lets through.
    open: u64,
}

impl Way {
    /// Returns what three entries that point to tables let through.
    #[inline]
    pub(super) const fn through(entries: [Entry; 3]) -> Self {
        let [first, second, third] = entries;
        let open = (first.0 ^ NO_EXECUTE) & (second.0 ^ NO_EXECUTE) & (third.0 ^ NO_EXECUTE);
        Self { open }
    }

    /// Returns whether all that a leaf allows is let through.
    #[inline]
    pub(super) const fn is_enough_for(self, leaf: Entry) -> bool {
        (leaf.0 ^ NO_EXECUTE) & RIGHTS & !self.open == 0
    }

    /// Returns whether rights are let through.
    #[inline]
    pub(super) const fn lets_through(self, rights: Rights) -> bool {
        self.is_enough_for(Entry(leaf_rights(rights)))
    }
}

/// A change to leaves that keeps their frames, as masks.
///
/// It cannot take the mark copy-on-write away, and gives no right to write where that mark is: only a frame of one's own,
/// put in by `replace`, ends copy-on-write. So no change can make the reserved zero frame writable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// Only leaves with these bits are changed.
    only: u64,
    clear: u64,
    set: u64,
    rights: Option<Rights>,
}

impl Change {
    /// Changes nothing.
    pub(crate) const NOTHING: Self = Self {
        only: 0,
        clear: 0,
        set: 0,
        rights: None,
    };

    /// Gives leaves these rights and takes all others. Without the right to read, leaves are withdrawn: kept, but not present.
    #[must_use]
    pub(crate) const fn rights(rights: Rights) -> Self {
        Self {
            only: 0,
            clear: RIGHTS,
            set: leaf_rights(rights),
            rights: Some(rights),
        }
    }

    /// Takes all rights but these, and gives none. Without the right to read, leaves are withdrawn: kept, but not present.
    #[must_use]
    pub(crate) const fn restrict(rights: Rights) -> Self {
        let kept = leaf_rights(rights);
        Self {
            only: 0,
            clear: RIGHTS & !NO_EXECUTE & !kept,
            set: kept & NO_EXECUTE,
            rights: None,
        }
    }

    /// Makes owned leaves copy-on-write: what a fork does to both sides. Leaves that are not owned stay as they are.
    #[must_use]
    pub(crate) const fn share_owned() -> Self {
        Self {
            only: OWNED,
            clear: WRITE,
            set: COPY_ON_WRITE,
            rights: None,
        }
    }

    /// Takes the right to write, and all other rights stay.
    #[must_use]
    pub(crate) const fn read_only() -> Self {
        Self {
            only: 0,
            clear: WRITE,
            set: 0,
            rights: None,
        }
    }

    /// Forgets that leaves were written to, to find out whether they will be again.
    #[must_use]
    pub(crate) const fn clean() -> Self {
        Self {
            only: 0,
            clear: DIRTY,
            set: 0,
            rights: None,
        }
    }

    /// Returns the rights that every leaf gets, if the change is about rights.
    pub(super) const fn granted(&self) -> Option<Rights> {
        self.rights
    }

    /// Applies the change to a leaf.
    #[inline]
    pub(super) const fn apply(&self, leaf: Entry) -> Entry {
        if leaf.0 & self.only != self.only {
            return leaf;
        }
        let bits = leaf.0 & !self.clear | self.set;
        // The bit for writing, moved to where the mark is, and back.
        let forbidden = bits >> COPY_ON_WRITE.trailing_zeros() << WRITE.trailing_zeros() & WRITE;
        Entry(bits & !forbidden)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::page::PAGE_SIZE;

    const TYPES: [MemoryType; 5] = [
        MemoryType::WriteBack,
        MemoryType::WriteThrough,
        MemoryType::UncachedMinus,
        MemoryType::Uncached,
        MemoryType::WriteCombining,
    ];

    fn leaf(attributes: Attributes, size: PageSize) -> Entry {
        LeafBits::new(attributes, Half::Lower).leaf(Frame::new(0x4_0000), size)
    }

    /// Proves M18, M19.
    #[test]
    fn each_right_and_mark_has_its_bit_and_no_execute_is_the_absence_of_execute() {
        let bits = |rights, marks| {
            LeafBits::new(Attributes::new(rights).with_marks(marks), Half::Lower).small
        };
        let table = [
            (Rights::READ, Marks::empty(), PRESENT | NO_EXECUTE),
            (
                Rights::READ_WRITE,
                Marks::empty(),
                PRESENT | WRITE | NO_EXECUTE,
            ),
            (Rights::READ_EXECUTE, Marks::empty(), PRESENT),
            (
                Rights::READ | Rights::USER,
                Marks::empty(),
                PRESENT | USER | NO_EXECUTE,
            ),
            (
                Rights::READ,
                Marks::COPY_ON_WRITE,
                PRESENT | 1 << 9 | NO_EXECUTE,
            ),
            (
                Rights::READ_WRITE,
                Marks::OWNED,
                PRESENT | WRITE | 1 << 10 | NO_EXECUTE,
            ),
            (Rights::empty(), Marks::OWNED, 1 << 10 | NO_EXECUTE),
        ];

        for (rights, marks, expected) in table {
            assert_eq!(bits(rights, marks), expected, "{rights} {marks:?}");
        }
    }

    /// Proves M18.
    #[test]
    fn leaves_of_the_upper_half_are_global() {
        let attributes = Attributes::new(Rights::READ);

        assert_eq!(
            LeafBits::new(attributes, Half::Upper).small & GLOBAL,
            GLOBAL
        );
        assert_eq!(LeafBits::new(attributes, Half::Lower).small & GLOBAL, 0);
    }

    /// Proves M109.
    #[test]
    fn memory_types_have_the_bits_of_the_manual_in_small_and_large_leaves() {
        let expected = [0b000, 0b001, 0b010, 0b011, 0b111];

        for (memory_type, slot) in TYPES.into_iter().zip(expected) {
            for (size, pat) in [
                (PageSize::Kib4, 7),
                (PageSize::Mib2, 12),
                (PageSize::Gib1, 12),
            ] {
                let bits = leaf(Attributes::new(Rights::READ).with_type(memory_type), size).bits();
                let found = bits >> 3 & 0b11 | (bits >> pat & 1) << 2;
                assert_eq!(found, slot, "{memory_type} {size}");
                assert_eq!(bits & LARGE != 0, size != PageSize::Kib4 || slot == 0b111);
            }
        }
    }

    /// Proves M18, M81, M109.
    #[test]
    fn what_is_encoded_is_decoded_for_every_combination() {
        for size in PageSize::UP {
            for memory_type in TYPES {
                for rights in (0..16).map(Rights::from_bits_truncate) {
                    for marks in (0..4).map(Marks::from_bits_truncate) {
                        let attributes = Attributes::new(rights)
                            .with_type(memory_type)
                            .with_marks(marks);
                        let decoded = leaf(attributes, size).leaf(size);

                        let kept = if rights.contains(Rights::READ) {
                            rights
                        } else {
                            Rights::empty()
                        };
                        assert_eq!(decoded.attributes, attributes.with_rights(kept));
                        assert_eq!((decoded.frame, decoded.size), (Frame::new(0x4_0000), size));
                        assert_eq!(decoded.touched, Touched::empty());
                    }
                }
            }
        }
    }

    /// Proves M37, M109: the bit of the page attribute table moves when a leaf is split.
    #[test]
    fn a_part_of_a_large_leaf_maps_its_part_with_equal_attributes() {
        for memory_type in TYPES {
            let attributes = Attributes::new(Rights::READ_WRITE)
                .with_type(memory_type)
                .with_marks(Marks::OWNED);
            let large = leaf(attributes, PageSize::Mib2);
            let huge = leaf(attributes, PageSize::Gib1);

            let small = large.part(PageSize::Mib2, 511).leaf(PageSize::Kib4);
            let middle = huge.part(PageSize::Gib1, 512 * 511).leaf(PageSize::Mib2);

            assert_eq!(
                (small.attributes, middle.attributes),
                (attributes, attributes)
            );
            assert_eq!(small.frame, Frame::new(0x4_0000 + 511));
            assert_eq!(middle.frame, Frame::new(0x4_0000 + 512 * 511));
        }
    }

    /// Proves M20.
    #[test]
    fn an_entry_above_is_widened_and_never_narrowed() {
        let table = Entry::table(Frame::new(5));

        let wide = table
            .widened(Rights::READ | Rights::USER)
            .widened(Rights::READ_EXECUTE);

        assert_eq!(wide.bits(), (5 * PAGE_SIZE) | PRESENT | WRITE | USER);
        assert_eq!(wide.widened(Rights::READ), wide);
        assert_eq!(wide.widened(Rights::empty()), wide);
        assert_eq!(table.widened(Rights::READ_WRITE), table);
    }

    #[test]
    fn the_count_of_used_entries_leaves_all_other_bits_alone() {
        let table = Entry::table(Frame::new(u32::MAX)).widened(Rights::READ_WRITE);

        let full = table.with_used_changed(512);

        assert_eq!(full.used(), 512);
        assert_eq!(full.frame(), Frame::new(u32::MAX));
        assert_eq!(full.with_used_changed(-512), table);
    }

    /// Proves M21.
    #[test]
    fn no_change_makes_a_copy_on_write_leaf_writable() {
        let shared = leaf(
            Attributes::new(Rights::READ).with_marks(Marks::COPY_ON_WRITE),
            PageSize::Kib4,
        );

        let changed = Change::rights(Rights::READ_WRITE | Rights::USER).apply(shared);

        let attributes = changed.leaf(PageSize::Kib4).attributes;
        assert_eq!(attributes.rights(), Rights::READ | Rights::USER);
        assert_eq!(attributes.marks(), Marks::COPY_ON_WRITE);
    }

    /// Proves M82 as far as entries go.
    #[test]
    fn sharing_touches_owned_leaves_only() {
        let of = |marks| {
            leaf(
                Attributes::new(Rights::READ_WRITE).with_marks(marks),
                PageSize::Kib4,
            )
        };

        let owned = Change::share_owned()
            .apply(of(Marks::OWNED))
            .leaf(PageSize::Kib4);
        let lent = Change::share_owned().apply(of(Marks::empty()));

        assert_eq!(owned.attributes.rights(), Rights::READ);
        assert_eq!(owned.attributes.marks(), Marks::all());
        assert_eq!(lent, of(Marks::empty()));
    }

    #[test]
    fn a_withdrawn_leaf_is_not_present_and_comes_back_as_it_was() {
        let attributes = Attributes::new(Rights::READ_WRITE)
            .with_type(MemoryType::WriteCombining)
            .with_marks(Marks::OWNED);
        let before = leaf(attributes, PageSize::Mib2);

        let withdrawn = Change::rights(Rights::empty()).apply(before);

        assert!(!withdrawn.is_present() && withdrawn.is_used());
        assert_eq!(Change::rights(Rights::READ_WRITE).apply(withdrawn), before);
    }

    #[test]
    fn attributes_are_shown_in_one_line() {
        let attributes = Attributes::new(Rights::READ | Rights::USER).with_marks(Marks::all());

        assert_eq!(attributes.to_string(), "r--u WB owned copy-on-write");
    }
}
