//! Where the record of a frame is.
//!
//! Physical memory has holes (a machine of 64 GiB has one below 4 GiB), and most of it is not needed soon. So it is cut into
//! *zones* of 1 GiB, as large as the largest block and aligned like it. A zone has records for the frames from the first one
//! that is memory to the last, and only from the moment it is opened:
//!
//! ```text
//! zone        |   0    |   1    |   2    |   3    |   4    |   5    |
//! memory      |########|########|######  |        |########|###     |
//! records     |########|######## ....... not opened yet ............|
//! ```
//!
//! Invariant Z1: once a zone is open, its records stay where they are for good.

use core::ops::Range;

use spin::Once;

use super::record::{FrameRecord, MAX_ORDER};

/// A zone has 2^18 frames.
pub(super) const ZONE_SHIFT: u32 = MAX_ORDER as u32;

/// Memory up to 1 TiB is used; what lies above is left out.
pub(super) const MOST_ZONES: usize = 1024;

/// The number after the last frame that can be in a zone.
pub(super) const ZONES_END: u32 = (MOST_ZONES as u32) << ZONE_SHIFT;

#[derive(Debug)]
struct Zone {
    first: u32,
    records: &'static [FrameRecord],
}

/// The records of all zones that are open.
#[derive(Debug)]
pub(super) struct Zones {
    slots: [Once<Zone>; MOST_ZONES],
}

impl Zones {
    pub(super) const fn new() -> Self {
        Self {
            slots: [const { Once::new() }; MOST_ZONES],
        }
    }

    /// Opens the zone that `frames` are in, with one record for each.
    pub(super) fn open(&self, frames: &Range<u32>, records: &'static [FrameRecord]) {
        assert_eq!(
            records.len(),
            frames.len(),
            "Z1: one record for each frame of {frames:?}"
        );
        let slot = &self.slots[(frames.start >> ZONE_SHIFT) as usize];
        assert!(!slot.is_completed(), "Z1: {frames:?} have records already");
        slot.call_once(|| Zone {
            first: frames.start,
            records,
        });
    }

    /// Returns the record of a frame, if it has one.
    #[inline]
    pub(super) fn find(&self, number: u32) -> Option<&'static FrameRecord> {
        let zone = self.slots.get((number >> ZONE_SHIFT) as usize)?.get()?;
        zone.records.get(number.wrapping_sub(zone.first) as usize)
    }

    /// Returns the record of a frame that has one.
    #[inline]
    pub(super) fn record(&self, number: u32) -> &'static FrameRecord {
        self.find(number)
            .unwrap_or_else(|| panic!("Z1: frame {number:#x} has no record"))
    }

    /// Returns the frames that have records, zone by zone.
    pub(super) fn opened(&self) -> impl Iterator<Item = Range<u32>> {
        self.slots
            .iter()
            .filter_map(Once::get)
            .map(|zone| zone.first..zone.first + zone.records.len() as u32)
    }
}
