//! Looking at spaces without waiting for anybody: for descriptions that are asked for at any time, whatever is being done.

use alloc::sync::Arc;

use super::check::count_run;
use super::{AddressSpace, Locked, Memory};
use crate::memory::frame::FrameMemory;
use crate::memory::machine::Machine;
use crate::memory::object::Description;
use crate::memory::page::PageRange;
use crate::memory::region::{Counters, Region};
use crate::memory::table::runs::Run;

/// Somebody holds a lock that one would have to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Busy;

/// A space that nobody changes as long as this value lives.
pub(crate) struct View<'a, M: Machine + 'static, H: FrameMemory + 'static>(Locked<'a, M, H>);

impl<M: Machine, H: FrameMemory> Memory<M, H> {
    /// Returns a number that is larger than that of any space.
    pub(crate) fn try_count(&self) -> Result<u32, Busy> {
        let spaces = self.spaces.try_lock().ok_or(Busy)?;
        Ok(spaces.list.len() as u32)
    }

    /// Returns the space with a number, if it is there.
    pub(crate) fn try_space(&self, number: u32) -> Result<Option<Arc<AddressSpace<M, H>>>, Busy> {
        let spaces = self.spaces.try_lock().ok_or(Busy)?;
        Ok(spaces
            .list
            .get(number as usize)
            .and_then(|place| place.as_ref()?.upgrade()))
    }

    /// Returns what there is to tell of the first object in a place or behind it, if there is one.
    pub(crate) fn try_object(&self, place: u32) -> Result<Option<Description>, Busy> {
        let objects = self.objects.try_lock().ok_or(Busy)?;
        Ok(objects.describe_next(place))
    }
}

impl<M: Machine, H: FrameMemory> AddressSpace<M, H> {
    /// Returns what there is to see, unless somebody changes it right now.
    pub(crate) fn try_view(&self) -> Result<View<'_, M, H>, Busy> {
        let regions = self.regions.try_lock().ok_or(Busy)?;
        Ok(View(Locked {
            space: self,
            regions,
        }))
    }
}

impl<M: Machine, H: FrameMemory> View<'_, M, H> {
    /// Returns the pages that regions can have.
    pub(crate) fn bounds(&self) -> PageRange {
        self.0.regions.bounds()
    }

    /// Returns the regions that have pages in the range, from the lowest up.
    pub(crate) fn regions_in(&self, range: PageRange) -> impl Iterator<Item = &Region> {
        self.0.regions.iter_in(range)
    }

    /// Returns how the pages of a region are mapped.
    pub(crate) fn counters(&self, region: &Region) -> Counters {
        let mut counters = Counters::NONE;
        self.runs(region.range(), |run| count_run(&mut counters, region, &run));
        counters
    }

    /// Tells `sink` every run of leaves in a range, in ascending order.
    pub(crate) fn runs(&self, range: PageRange, mut sink: impl FnMut(Run)) {
        self.0.tables().runs(range, &mut sink);
    }
}
