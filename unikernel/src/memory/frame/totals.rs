//! How many frames there are, and what they are for.

use core::fmt;

/// What an allocated frame is for.
// Numbered from 1, so that no use is 0, and a pool without memory is all zero and takes no room in the image file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// The kernel itself: stacks, buffers, what has no other word.
    Kernel = 1,
    /// A page table.
    PageTable = 2,
    /// Records of frames.
    Records = 3,
    /// The managed heap.
    Heap = 4,
    /// Contents of regions: the application's own memory.
    User = 5,
    /// Contents that are also somewhere else, and could be read again.
    PageCache = 6,
}

impl Use {
    /// Every use, in the order of its number.
    pub(crate) const ALL: [Self; 6] = [
        Self::Kernel,
        Self::PageTable,
        Self::Records,
        Self::Heap,
        Self::User,
        Self::PageCache,
    ];

    /// Returns the use with a number.
    pub(super) fn from_bits(bits: u64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|purpose| *purpose as u64 == bits)
    }
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kernel => "kernel",
            Self::PageTable => "page tables",
            Self::Records => "frame records",
            Self::Heap => "heap",
            Self::User => "user",
            Self::PageCache => "page cache",
        })
    }
}

/// The number of a use, as a record holds it, without asking which one it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct UseIndex(usize);

impl UseIndex {
    #[inline]
    pub(super) const fn from_bits(bits: u64) -> Self {
        Self(bits as usize % SLOTS)
    }

    #[inline]
    pub(super) const fn of(purpose: Use) -> Self {
        Self(purpose as usize % SLOTS)
    }
}

/// A power of two, so that an index is a mask and never out of bounds.
const SLOTS: usize = 8;

const _: () = assert!(Use::ALL.len() < SLOTS && SLOTS.is_power_of_two());

/// Frames allocated, by use. A part may be below zero (who gives back is not always who took), which is why it wraps; the
/// sum of all parts never is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts([u64; SLOTS]);

impl Counts {
    pub(super) const fn new() -> Self {
        Self([0; SLOTS])
    }

    #[inline]
    pub(super) fn add(&mut self, purpose: Use, frames: u64) {
        let count = &mut self.0[UseIndex::of(purpose).0];
        *count = count.wrapping_add(frames);
    }

    #[inline]
    pub(super) fn subtract(&mut self, purpose: UseIndex, frames: u64) {
        let count = &mut self.0[purpose.0];
        *count = count.wrapping_sub(frames);
    }

    pub(super) const fn of(&self, purpose: Use) -> u64 {
        self.0[UseIndex::of(purpose).0]
    }

    pub(super) fn sum(&self) -> u64 {
        self.0.iter().fold(0, |sum, count| sum.wrapping_add(*count))
    }

    pub(super) fn add_all(&mut self, other: &Self) {
        for purpose in Use::ALL {
            self.add(purpose, other.of(purpose));
        }
    }
}

/// How many frames there are, at one moment. It always sums: `total` is `free` and `reserved` and all that is allocated, and
/// that is the sum over all [uses](Use).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    total: u64,
    reserved: u64,
    used: Counts,
}

impl Totals {
    pub(super) const fn new(total: u64, reserved: u64, used: Counts) -> Self {
        Self {
            total,
            reserved,
            used,
        }
    }

    /// Returns the frames that the machine has as usable memory.
    pub(crate) const fn total(&self) -> u64 {
        self.total
    }

    /// Returns the frames that are never handed out.
    pub(crate) const fn reserved(&self) -> u64 {
        self.reserved
    }

    /// Returns the frames that are handed out, for whatever use.
    pub(crate) fn allocated(&self) -> u64 {
        self.used.sum()
    }

    /// Returns the frames that are handed out for one use.
    pub(crate) const fn used_for(&self, purpose: Use) -> u64 {
        self.used.of(purpose)
    }

    /// Returns the frames that can be handed out.
    pub(crate) fn free(&self) -> u64 {
        self.total - self.reserved - self.allocated()
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} frames: {} free, {} reserved, {} allocated",
            self.total,
            self.free(),
            self.reserved,
            self.allocated()
        )?;
        for (index, purpose) in Use::ALL.into_iter().enumerate() {
            let separator = if index == 0 { " (" } else { ", " };
            write!(f, "{separator}{} {purpose}", self.used_for(purpose))?;
        }
        f.write_str(")")
    }
}
