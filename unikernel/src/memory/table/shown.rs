//! The entry of a slot for temporary mappings: what the slot shows, and how many windows use it.
//!
//! A slot has no other record than its entry of level 1, so nothing can disagree with what the processor translates by. The
//! windows are counted in bits that the processor ignores, where an entry above counts used entries.
//!
//! ```text
//!   63  62     52 51          12 11   0
//!  | 1  | windows |  frame      | rights and memory type, accessed and dirty from the beginning |
//! ```
//!
//! Bit 63 forbids execution, and stands behind the count: one window too many would carry out of it.

use super::entry::{Attributes, Entry, Half, LeafBits, USED_SHIFT};
use crate::memory::page::{Frame, MemoryType, PageSize, Rights};

/// One window in the count.
const ONE: u64 = 1 << USED_SHIFT;
const COUNT: u64 = MOST_WINDOWS << USED_SHIFT;

/// The most windows that show one frame at a time.
const MOST_WINDOWS: u64 = (1 << 11) - 1;

/// What a slot shows, and how many windows use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shown(u64);

impl Shown {
    /// A slot that shows nothing.
    pub(crate) const NOTHING: Self = Self(0);

    /// Makes the entry that shows a frame, readable and writable for the kernel alone. No window uses it yet.
    #[inline]
    pub(crate) const fn new(frame: Frame, memory_type: MemoryType) -> Self {
        let attributes = Attributes::new(Rights::READ_WRITE).with_type(memory_type);
        let leaf = LeafBits::new(attributes, Half::Upper).leaf(frame, PageSize::Kib4);
        // What the processor would note is noted already, so it never writes here.
        Self(leaf.bits() | Entry::TOUCHED)
    }

    /// Takes up an entry that was made here.
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Returns the 64 bits of the entry.
    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    /// Returns whether no frame is shown.
    #[inline]
    pub(crate) const fn is_nothing(self) -> bool {
        self.0 == 0
    }

    /// Returns whether a window uses the slot.
    #[inline]
    pub(crate) const fn is_used(self) -> bool {
        self.0 & COUNT != 0
    }

    /// Returns whether this shows what `wanted` does, whoever uses it.
    #[inline]
    pub(crate) const fn is_as(self, wanted: Self) -> bool {
        (self.0 ^ wanted.0) << (u64::BITS - USED_SHIFT) == 0
    }

    /// Returns the same, which no window uses yet, with a first one.
    #[inline]
    pub(crate) const fn with_first(self) -> Self {
        Self(self.0 | ONE)
    }

    /// Returns the same with one window more; nothing if that is too many to count. Something is shown.
    #[inline]
    pub(crate) const fn with_one_more(self) -> Option<Self> {
        match self.0.checked_add(ONE) {
            Some(bits) => Some(Self(bits)),
            None => None,
        }
    }

    /// Returns the same with one window less.
    #[inline]
    pub(crate) const fn with_one_less(self) -> Self {
        debug_assert!(self.is_used(), "W3: a window is counted");
        Self(self.0 - ONE)
    }

    /// Returns the frame that is shown, unless it is nothing.
    #[inline]
    pub(crate) const fn frame(self) -> Frame {
        Entry::from_bits(self.0).frame()
    }

    /// Returns how the frame is shown, unless it is nothing.
    pub(crate) fn memory_type(self) -> MemoryType {
        let leaf = Entry::from_bits(self.0).leaf(PageSize::Kib4);
        leaf.attributes.memory_type()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Frame = Frame::new(u32::MAX);

    /// Proves M18, M109 as far as windows go.
    #[test]
    fn the_entry_of_a_slot_is_a_leaf_for_the_kernel_alone_whatever_the_count() {
        for memory_type in [MemoryType::WriteBack, MemoryType::WriteCombining] {
            let wanted = Shown::new(FRAME, memory_type);
            let mut shown = wanted;
            for _ in 0..MOST_WINDOWS {
                shown = shown.with_one_more().expect("it can be counted");
                let entry = Entry::from_bits(shown.bits());
                let leaf = entry.leaf(PageSize::Kib4);
                assert_eq!((shown.frame(), shown.memory_type()), (FRAME, memory_type));
                assert_eq!(leaf.attributes.rights(), Rights::READ_WRITE);
                assert!(entry.is_global() && !entry.is_dying());
                assert!(shown.is_as(wanted) && shown.is_used());
            }
            assert_eq!(shown.with_one_more(), None);
            let back = (0..MOST_WINDOWS).fold(shown, |shown, _| shown.with_one_less());
            assert_eq!(back, wanted);
        }
    }

    #[test]
    fn another_frame_another_type_and_nothing_are_not_what_is_wanted() {
        let wanted = Shown::new(Frame::new(0), MemoryType::WriteBack);

        assert!(!Shown::new(FRAME, MemoryType::WriteBack).is_as(wanted));
        assert!(!Shown::new(Frame::new(0), MemoryType::Uncached).is_as(wanted));
        assert!(!Shown::NOTHING.is_as(wanted) && Shown::NOTHING.is_nothing());
    }
}
