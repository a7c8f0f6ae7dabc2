//! How many pages of a region are mapped, and in which way.
//!
//! What moves them:
//!
//! | contents | a read maps a page | a write maps a page | a write to a page that a read mapped | fork |
//! |---|---|---|---|---|
//! | private, of an object | cached and copy-on-write + 1 | regular + 1 | regular + 1, the others - 1 | regular becomes copy-on-write |
//! | shared, of an object | cached and regular + 1 | the same | nothing | nothing |
//! | private, zeros | copy-on-write + 1 | regular + 1 | regular + 1, copy-on-write - 1 | regular becomes copy-on-write |
//!
//! So every mapped page is counted once as regular or as copy-on-write, and those that show a page of an object are counted as
//! cached besides.

use core::fmt;
use core::ops::{AddAssign, SubAssign};

/// Pages of a region that are mapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Pages that may be written as far as the region's rights go.
    pub regular: u64,
    /// Pages that show a page of an object.
    pub cached: u64,
    /// Pages that a write has to copy first.
    pub copy_on_write: u64,
}

impl Counters {
    /// No page is mapped.
    pub(crate) const NONE: Self = Self {
        regular: 0,
        cached: 0,
        copy_on_write: 0,
    };

    /// Returns how many pages are mapped.
    #[must_use]
    pub(crate) const fn mapped(&self) -> u64 {
        self.regular + self.copy_on_write
    }

    /// Returns what becomes of the counters of private memory when a fork makes all of it copy-on-write.
    #[must_use]
    pub(crate) const fn forked(self) -> Self {
        Self {
            regular: 0,
            cached: self.cached,
            copy_on_write: self.regular + self.copy_on_write,
        }
    }

    /// Returns whether a region of `len_pages` pages can have such counters.
    pub(super) const fn fit(&self, len_pages: u64) -> bool {
        self.mapped() <= len_pages && self.cached <= self.mapped()
    }
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (regular, cached, copy_on_write) = (self.regular, self.cached, self.copy_on_write);
        write!(
            f,
            "{regular} regular {cached} cached {copy_on_write} copy-on-write"
        )
    }
}

impl AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        self.regular += other.regular;
        self.cached += other.cached;
        self.copy_on_write += other.copy_on_write;
    }
}

impl SubAssign for Counters {
    /// Takes away what a part of the region had.
    ///
    /// # Panics
    ///
    /// If the part had more than the whole.
    #[track_caller]
    fn sub_assign(&mut self, part: Self) {
        let less = |whole: u64, part: u64| {
            whole
                .checked_sub(part)
                .unwrap_or_else(|| panic!("R7: {part} of {whole} pages cannot be in one part"))
        };
        self.regular = less(self.regular, part.regular);
        self.cached = less(self.cached, part.cached);
        self.copy_on_write = less(self.copy_on_write, part.copy_on_write);
    }
}
