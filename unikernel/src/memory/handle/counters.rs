//! What the pages of some memory show right now, counted from the tables.

use core::fmt;
use core::ops::AddAssign;

use crate::memory::table::entry::Marks;
use crate::memory::table::runs::Run;

/// How many pages of 4 KiB show what. Pages that nobody has touched show nothing, and are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageCounts {
    /// Pages with a frame of their own. These are what the memory costs.
    pub own: u64,
    /// Pages whose frame a fork shows as well, until one side writes.
    pub copy_on_write: u64,
    /// Pages that show what is not theirs and get a frame with the first write: zeros, or what an object holds.
    pub borrowed: u64,
    /// Pages that show frames which are written where they are: of a ring, a device, or an object that is shared.
    pub direct: u64,
    /// Those among all these that are part of a leaf of 2 MiB or more.
    pub large: u64,
}

impl PageCounts {
    /// Returns how many pages show something.
    #[must_use]
    pub const fn shown(&self) -> u64 {
        self.own + self.copy_on_write + self.borrowed + self.direct
    }

    /// Counts a run of leaves as well.
    pub(super) fn add(&mut self, run: &Run) {
        let marks = run.leaf.attributes.marks();
        let is_owned = marks.contains(Marks::OWNED);
        let counted = match (is_owned, marks.contains(Marks::COPY_ON_WRITE)) {
            (true, false) => &mut self.own,
            (true, true) => &mut self.copy_on_write,
            (false, true) => &mut self.borrowed,
            (false, false) => &mut self.direct,
        };
        *counted += run.pages.len();
        if run.leaf.size.pages() > 1 {
            self.large += run.pages.len();
        }
    }
}

impl AddAssign for PageCounts {
    fn add_assign(&mut self, other: Self) {
        self.own += other.own;
        self.copy_on_write += other.copy_on_write;
        self.borrowed += other.borrowed;
        self.direct += other.direct;
        self.large += other.large;
    }
}

impl fmt::Display for PageCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} own, {} copy-on-write, {} borrowed, {} direct",
            self.own, self.copy_on_write, self.borrowed, self.direct
        )
    }
}
