//! Pages and frames: memory in pieces of 4 KiB, by number.
//!
//! A *page* is virtual, a *frame* is physical. Both are names: holding one gives no right to what it names. Rights to frames
//! are handles, which `frame/handle.rs` makes.
//!
//! ```text
//!   page number  | index at level 4 | level 3 | level 2 | level 1 |   36 bits, 9 for each level
//!                   512 GiB each      1 GiB     2 MiB     4 KiB
//! ```
//!
//! Page numbers of the upper half follow those of the lower half without the hole between the addresses, but no range lies in
//! both halves. Frame numbers have 32 bits: memory above 16 TiB is not used.

use core::fmt;

pub use self::rights::{Access, MemoryType, Rights};
pub(crate) use super::address::PAGE_SIZE;
use super::address::{PAGE_SHIFT, PhysAddr, VirtAddr};

mod rights;

/// Entries of a table, at every level.
pub(crate) const ENTRIES: usize = 512;
/// Bits of an index into a table.
const INDEX_BITS: u32 = 9;

const _: () = assert!(ENTRIES == 1 << INDEX_BITS);

/// Pages of one half of the address space.
const PAGES_OF_HALF: u64 = 1 << 35;

/// A level of tables. Level 1 is the lowest, whose entries are pages; level 4 is the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Entries of 4 KiB.
    One = 1,
    /// Entries of 2 MiB.
    Two = 2,
    /// Entries of 1 GiB.
    Three = 3,
    /// Entries of 512 GiB: the root.
    Four = 4,
}

impl Level {
    /// All levels, from the root down.
    pub const DOWN: [Self; 4] = [Self::Four, Self::Three, Self::Two, Self::One];

    /// Returns the level of the tables that entries of this level point to.
    #[must_use]
    pub const fn below(self) -> Option<Self> {
        match self {
            Self::One => None,
            Self::Two => Some(Self::One),
            Self::Three => Some(Self::Two),
            Self::Four => Some(Self::Three),
        }
    }

    /// Returns the level of the table that points to tables of this level.
    #[must_use]
    pub const fn above(self) -> Option<Self> {
        match self {
            Self::One => Some(Self::Two),
            Self::Two => Some(Self::Three),
            Self::Three => Some(Self::Four),
            Self::Four => None,
        }
    }

    /// Returns how many pages of 4 KiB one entry of this level covers.
    #[must_use]
    pub const fn entry_pages(self) -> u64 {
        1 << self.shift()
    }

    /// Returns the size of a leaf at this level; the root has none.
    #[must_use]
    pub const fn leaf_size(self) -> Option<PageSize> {
        match self {
            Self::One => Some(PageSize::Kib4),
            Self::Two => Some(PageSize::Mib2),
            Self::Three => Some(PageSize::Gib1),
            Self::Four => None,
        }
    }

    /// Returns how far the index of this level is to the left in a page number.
    const fn shift(self) -> u32 {
        (self as u32 - 1) * INDEX_BITS
    }
}

/// How much one leaf maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PageSize {
    /// 4 KiB, by an entry of level 1.
    Kib4,
    /// 2 MiB, by an entry of level 2.
    Mib2,
    /// 1 GiB, by an entry of level 3.
    Gib1,
}

impl PageSize {
    /// All sizes, from the smallest up.
    pub const UP: [Self; 3] = [Self::Kib4, Self::Mib2, Self::Gib1];

    /// Returns the level whose entries are leaves of this size.
    #[must_use]
    pub const fn level(self) -> Level {
        match self {
            Self::Kib4 => Level::One,
            Self::Mib2 => Level::Two,
            Self::Gib1 => Level::Three,
        }
    }

    /// Returns the size in pages of 4 KiB.
    #[must_use]
    pub const fn pages(self) -> u64 {
        self.level().entry_pages()
    }

    /// Returns the size in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.pages() * PAGE_SIZE
    }
}

impl fmt::Display for PageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kib4 => "4 KiB",
            Self::Mib2 => "2 MiB",
            Self::Gib1 => "1 GiB",
        })
    }
}

/// A page of 4 KiB, by its number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Page(u64);

impl Page {
    /// The last page there is.
    pub const LAST: Self = Self(2 * PAGES_OF_HALF - 1);

    /// Returns the page that holds the address.
    #[must_use]
    pub const fn containing(address: VirtAddr) -> Self {
        Self(address.as_u64() >> PAGE_SHIFT & (2 * PAGES_OF_HALF - 1))
    }

    /// Makes the page with a number; nothing if there is no such page.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        if number < 2 * PAGES_OF_HALF {
            Some(Self(number))
        } else {
            None
        }
    }

    /// Makes the page that the four indices lead to, the root's first; nothing if one of them is not below 512.
    #[must_use]
    pub fn from_indices(indices: [usize; 4]) -> Option<Self> {
        indices.iter().try_fold(Self(0), |page, &index| {
            (index < ENTRIES).then_some(Self(page.0 << INDEX_BITS | index as u64))
        })
    }

    /// Returns the number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// Returns the address of the first byte.
    #[must_use]
    pub const fn start(self) -> VirtAddr {
        VirtAddr::truncate(self.0 << PAGE_SHIFT)
    }

    /// Returns the index into the table of `level` on the way to the page.
    #[must_use]
    pub const fn index(self, level: Level) -> usize {
        (self.0 >> level.shift()) as usize % ENTRIES
    }

    /// Returns the four indices on the way to the page, the root's first.
    #[must_use]
    pub fn indices(self) -> [usize; 4] {
        Level::DOWN.map(|level| self.index(level))
    }

    /// Returns whether the page lies in the upper half, which is the kernel's in every space.
    #[must_use]
    pub const fn is_upper_half(self) -> bool {
        self.0 >= PAGES_OF_HALF
    }

    /// Returns whether a leaf of `size` can start at the page.
    #[must_use]
    pub const fn is_aligned(self, size: PageSize) -> bool {
        self.0 & (size.pages() - 1) == 0
    }

    /// Returns the first page covered by the entry of `level` that covers this page.
    #[must_use]
    pub const fn align_down(self, level: Level) -> Self {
        Self(self.0 & !(level.entry_pages() - 1))
    }

    /// Returns the page `pages` further up, as long as it lies in the same half.
    #[must_use]
    pub const fn checked_add(self, pages: u64) -> Option<Self> {
        match self.0.checked_add(pages) {
            Some(number) => self.in_same_half(number),
            None => None,
        }
    }

    /// Returns the page `pages` further down, as long as it lies in the same half.
    #[must_use]
    pub const fn checked_sub(self, pages: u64) -> Option<Self> {
        match self.0.checked_sub(pages) {
            Some(number) => self.in_same_half(number),
            None => None,
        }
    }

    const fn in_same_half(self, number: u64) -> Option<Self> {
        match Self::from_number(number) {
            Some(page) if page.is_upper_half() == self.is_upper_half() => Some(page),
            _ => None,
        }
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Page({})", self.start())
    }
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.start().fmt(f)
    }
}

/// Pages side by side, all in one half.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PageRange {
    start: Page,
    len: u64,
}

impl PageRange {
    /// Makes the range of `len` pages from `start` on.
    ///
    /// # Panics
    ///
    /// If the range would leave the half in which it starts.
    #[must_use]
    pub fn new(start: Page, len: u64) -> Self {
        Self::try_new(start, len)
            .unwrap_or_else(|| panic!("page: no half has {len} pages from {start} on"))
    }

    /// Makes the range of `len` pages from `start` on; nothing if it would leave the half in which it starts.
    #[must_use]
    pub const fn try_new(start: Page, len: u64) -> Option<Self> {
        match len {
            0 => Some(Self { start, len }),
            _ if start.checked_add(len - 1).is_some() => Some(Self { start, len }),
            _ => None,
        }
    }

    /// Makes the range of one page.
    #[must_use]
    pub const fn one(page: Page) -> Self {
        Self {
            start: page,
            len: 1,
        }
    }

    /// Makes the smallest range that holds `bytes` bytes from `start` on; nothing if they leave the half in which they start.
    #[must_use]
    pub const fn covering(start: VirtAddr, bytes: u64) -> Option<Self> {
        match bytes.checked_add(start.page_offset()) {
            Some(sum) => Self::try_new(Page::containing(start), sum.div_ceil(PAGE_SIZE)),
            None => None,
        }
    }

    /// Returns the first page.
    #[must_use]
    pub const fn start(self) -> Page {
        self.start
    }

    /// Returns how many pages there are.
    #[must_use]
    pub const fn len(self) -> u64 {
        self.len
    }

    /// Returns whether there is no page.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Returns the last page, if there is one.
    #[must_use]
    pub const fn last(self) -> Option<Page> {
        match self.len {
            0 => None,
            len => Some(Page(self.start.0 + len - 1)),
        }
    }

    /// Returns the number of the page after the last. There may be no page with this number.
    #[must_use]
    pub const fn end_number(self) -> u64 {
        self.start.0 + self.len
    }

    /// Returns whether the page is in the range.
    #[must_use]
    pub const fn contains(self, page: Page) -> bool {
        self.start.0 <= page.0 && page.0 < self.end_number()
    }

    /// Returns the pages that are in both ranges, if there are any.
    #[must_use]
    pub fn intersection(self, other: Self) -> Option<Self> {
        let start = self.start.max(other.start);
        let end = self.end_number().min(other.end_number());
        (start.0 < end).then(|| Self {
            start,
            len: end - start.0,
        })
    }

    /// Takes off the pages at the start that one entry of `level` covers; nothing if no pages are left.
    #[inline]
    pub fn pop_entry(&mut self, level: Level) -> Option<Self> {
        if self.len == 0 {
            return None;
        }
        let span = level.entry_pages();
        let start = self.start;
        let len = self.len.min(span - (start.0 & (span - 1)));
        self.start = Page(start.0 + len);
        self.len -= len;
        Some(Self { start, len })
    }

    /// Returns the page `index` pages after the first, if it is in the range.
    #[must_use]
    pub const fn get(self, index: u64) -> Option<Page> {
        if index < self.len {
            Some(Page(self.start.0 + index))
        } else {
            None
        }
    }

    /// Returns the pages from the first to the last.
    #[must_use]
    pub fn iter(self) -> impl DoubleEndedIterator<Item = Page> + use<> {
        (self.start.0..self.end_number()).map(Page)
    }
}

impl fmt::Debug for PageRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PageRange({} + {})", self.start, self.len)
    }
}

/// A frame of 4 KiB, by its number. It is a name: it can be copied, and says nothing about who may use the memory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Frame(u32);

impl Frame {
    /// Makes the frame with a number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Returns the frame that holds the address; nothing at 16 TiB and above.
    #[must_use]
    pub const fn containing(address: PhysAddr) -> Option<Self> {
        let number = address.as_u64() >> PAGE_SHIFT;
        if number >> u32::BITS == 0 {
            Some(Self(number as u32))
        } else {
            None
        }
    }

    /// Returns the number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// Returns the address of the first byte.
    #[must_use]
    pub const fn start(self) -> PhysAddr {
        PhysAddr::new((self.0 as u64) << PAGE_SHIFT)
    }

    /// Returns whether a leaf of `size` can map memory from this frame on.
    #[must_use]
    pub const fn is_aligned(self, size: PageSize) -> bool {
        self.0 as u64 & (size.pages() - 1) == 0
    }

    /// Returns the frame `frames` further up, if there is one.
    #[must_use]
    pub const fn checked_add(self, frames: u32) -> Option<Self> {
        match self.0.checked_add(frames) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// Returns the frame `frames` further down, if there is one.
    #[must_use]
    pub const fn checked_sub(self, frames: u32) -> Option<Self> {
        match self.0.checked_sub(frames) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({})", self.start())
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.start().fmt(f)
    }
}

/// Frames side by side.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FrameRange {
    start: Frame,
    len: u32,
}

impl FrameRange {
    /// Makes the range of `len` frames from `start` on.
    ///
    /// # Panics
    ///
    /// If there are not so many frames.
    #[must_use]
    pub fn new(start: Frame, len: u32) -> Self {
        Self::try_new(start, len)
            .unwrap_or_else(|| panic!("frame: there are no {len} frames from {start} on"))
    }

    /// Makes the range of `len` frames from `start` on; nothing if there are not so many.
    #[must_use]
    pub const fn try_new(start: Frame, len: u32) -> Option<Self> {
        match len {
            0 => Some(Self { start, len }),
            _ if start.checked_add(len - 1).is_some() => Some(Self { start, len }),
            _ => None,
        }
    }

    /// Makes the range of one frame.
    #[must_use]
    pub const fn one(frame: Frame) -> Self {
        Self {
            start: frame,
            len: 1,
        }
    }

    /// Makes the smallest range that holds `bytes` bytes from `start` on; nothing if they reach 16 TiB.
    #[must_use]
    pub const fn covering(start: PhysAddr, bytes: u64) -> Option<Self> {
        let (Some(frame), Some(sum)) = (
            Frame::containing(start),
            bytes.checked_add(start.page_offset()),
        ) else {
            return None;
        };
        let len = sum.div_ceil(PAGE_SIZE);
        if len >> u32::BITS == 0 {
            Self::try_new(frame, len as u32)
        } else {
            None
        }
    }

    /// Returns the first frame.
    #[must_use]
    pub const fn start(self) -> Frame {
        self.start
    }

    /// Returns how many frames there are.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.len
    }

    /// Returns whether there is no frame.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Returns the last frame, if there is one.
    #[must_use]
    pub const fn last(self) -> Option<Frame> {
        match self.len {
            0 => None,
            len => Some(Frame(self.start.0 + (len - 1))),
        }
    }

    /// Returns the number of the frame after the last. There may be no frame with this number.
    #[must_use]
    pub const fn end_number(self) -> u64 {
        self.start.0 as u64 + self.len as u64
    }

    /// Returns whether the frame is in the range.
    #[must_use]
    pub const fn contains(self, frame: Frame) -> bool {
        self.start.0 <= frame.0 && (frame.0 as u64) < self.end_number()
    }

    /// Returns the frames that are in both ranges, if there are any.
    #[must_use]
    pub fn intersection(self, other: Self) -> Option<Self> {
        let start = self.start.max(other.start);
        let end = self.end_number().min(other.end_number());
        let len = end.checked_sub(u64::from(start.0))?;
        (len > 0).then_some(Self {
            start,
            len: len as u32,
        })
    }

    /// Returns the frame `index` frames after the first, if it is in the range.
    #[must_use]
    pub const fn get(self, index: u32) -> Option<Frame> {
        if index < self.len {
            Some(Frame(self.start.0 + index))
        } else {
            None
        }
    }

    /// Returns the frames from the first to the last.
    #[must_use]
    pub fn iter(self) -> impl DoubleEndedIterator<Item = Frame> + use<> {
        (0..self.len).map(move |index| Frame(self.start.0 + index))
    }
}

impl fmt::Debug for FrameRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FrameRange({} + {})", self.start, self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDGES: [u64; 7] = [
        0,
        0x1000,
        0x0000_7fff_ffff_f000,
        0xffff_8000_0000_0000,
        0xffff_ff7f_bfdf_e000,
        0xffff_ffff_8020_0000,
        0xffff_ffff_ffff_f000,
    ];

    /// Proves M26.
    #[test]
    fn an_address_taken_apart_into_indices_comes_back_in_both_halves() {
        for address in EDGES.map(VirtAddr::new) {
            let page = Page::containing(address);

            assert_eq!(Page::from_indices(page.indices()), Some(page));
            assert_eq!(page.start(), address);
        }
    }

    /// Proves M26.
    #[test]
    fn indices_are_those_of_the_manual() {
        let address = 1 << 47 | 3 << 30 | 5 << 21 | 7 << 12 | 0xabc;
        let page = Page::containing(VirtAddr::truncate(address));

        assert_eq!(page.indices(), [256, 3, 5, 7]);
        assert_eq!(Page::from_indices([511; 4]), Some(Page::LAST));
        assert_eq!(Page::from_indices([0, 512, 0, 0]), None);
    }

    #[test]
    fn no_range_of_pages_lies_in_both_halves_or_past_the_end() {
        let last_of_lower = Page::containing(VirtAddr::new(0x0000_7fff_ffff_f000));

        assert_eq!(
            PageRange::try_new(last_of_lower, 1).map(PageRange::last),
            Some(Some(last_of_lower))
        );
        assert_eq!(PageRange::try_new(last_of_lower, 2), None);
        assert_eq!(
            PageRange::try_new(Page::LAST, 1).map(PageRange::len),
            Some(1)
        );
        assert_eq!(PageRange::try_new(Page::LAST, 2), None);
        assert_eq!(PageRange::try_new(Page::LAST, u64::MAX), None);
    }

    #[test]
    #[should_panic(expected = "no half has 2 pages from 0xfffffffffffff000 on")]
    fn a_range_that_is_known_to_exist_and_does_not_panics_with_its_start() {
        let _range = PageRange::new(Page::LAST, 2);
    }

    /// Proves M29.
    #[test]
    fn bytes_are_covered_by_whole_pages_and_frames() {
        let table = [
            (0, 0, 0),
            (0, 1, 1),
            (0xfff, 1, 1),
            (0xfff, 2, 2),
            (0x800, 0x1000, 2),
            (0, 0x2000, 2),
        ];

        for (offset, bytes, pages) in table {
            let virt = PageRange::covering(VirtAddr::new(0x5000 + offset), bytes);
            let phys = FrameRange::covering(PhysAddr::new(0x5000 + offset), bytes);
            assert_eq!(virt.map(PageRange::len), Some(pages));
            assert_eq!(phys.map(|frames| u64::from(frames.len())), Some(pages));
        }
        assert_eq!(PageRange::covering(VirtAddr::new(0x1fff), u64::MAX), None);
        assert_eq!(FrameRange::covering(PhysAddr::new(0), 1 << 52), None);
    }

    #[test]
    fn frames_reach_up_to_16_tib_and_no_further() {
        let last = PhysAddr::new((1 << 44) - 1);

        assert_eq!(Frame::containing(last), Some(Frame::new(u32::MAX)));
        assert_eq!(Frame::containing(PhysAddr::new(1 << 44)), None);
        assert_eq!(
            FrameRange::try_new(Frame::new(u32::MAX), 1).map(FrameRange::end_number),
            Some(1 << 32)
        );
        assert_eq!(FrameRange::try_new(Frame::new(u32::MAX), 2), None);
    }

    #[test]
    fn ranges_intersect_in_what_both_hold() {
        let range = |start, len| PageRange::new(Page(start), len);
        let frames = |start, len| FrameRange::new(Frame(start), len);

        assert_eq!(range(10, 5).intersection(range(12, 9)), Some(range(12, 3)));
        assert_eq!(range(10, 5).intersection(range(15, 5)), None);
        assert_eq!(
            frames(10, 5).intersection(frames(0, 11)),
            Some(frames(10, 1))
        );
        assert_eq!(frames(10, 5).intersection(frames(0, 10)), None);
        assert!(range(10, 5).contains(Page(14)) && !range(10, 5).contains(Page(15)));
    }

    #[test]
    fn sizes_follow_from_levels() {
        let bytes = PageSize::UP.map(PageSize::bytes);

        assert_eq!(bytes, [4 << 10, 2 << 20, 1 << 30]);
        for size in PageSize::UP {
            assert_eq!(size.level().leaf_size(), Some(size));
        }
    }
}
