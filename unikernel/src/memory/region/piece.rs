//! What a range of pages takes of each region it meets.
//!
//! ```text
//!   range          |=========================|
//!   regions     |-------|    |-----|    |--------|          Middle:      |=======|
//!                  Tail       Whole      Head                        |---------------|
//! ```

use super::Region;
use super::error::RegionError;
use crate::memory::page::{Page, PageRange};

/// Which part of a region lies in the range, and so, what stays of it when that part goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// All of it: nothing stays.
    Whole,
    /// Its head: the tail stays, and starts later.
    Head,
    /// Its tail: the head stays.
    Tail,
    /// The middle: head and tail stay, as two regions.
    Middle,
}

/// A region, or the part of it, that lies in a range of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Where the region starts.
    pub region: Page,
    /// The part inside the range.
    pub range: PageRange,
    /// Which part that is.
    pub cut: Cut,
}

impl Piece {
    /// Returns the part of a region that lies in the range; nothing if none does.
    #[must_use]
    pub(crate) fn of(region: &Region, range: PageRange) -> Option<Self> {
        let whole = region.range();
        let inside = whole.intersection(range)?;
        let has_head = inside.start() == whole.start();
        let has_tail = inside.end_number() == whole.end_number();
        Some(Self {
            region: whole.start(),
            range: inside,
            cut: match (has_head, has_tail) {
                (true, true) => Cut::Whole,
                (true, false) => Cut::Head,
                (false, true) => Cut::Tail,
                (false, false) => Cut::Middle,
            },
        })
    }

    /// Checks that the region may be treated so.
    pub(super) fn check(region: &Region, range: PageRange) -> Result<(), RegionError> {
        let Some(piece) = Self::of(region, range) else {
            return Ok(());
        };
        if region.is_locked() {
            return Err(RegionError::Locked(region.range()));
        }
        if piece.cut != Cut::Whole && !region.is_divisible() {
            return Err(RegionError::Indivisible(region.range()));
        }
        Ok(())
    }
}
