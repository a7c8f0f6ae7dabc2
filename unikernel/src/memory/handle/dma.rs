//! Memory that a device knows by its physical address.

use super::counters::PageCounts;
use super::error::ViewError;
use super::reserved::{Reserved, tell};
use super::volatile::{self, Register, accesses};
use crate::memory::FRAMES;
use crate::memory::address::{PhysAddr, VirtAddr};
use crate::memory::frame::Use;
use crate::memory::page::{Frame, FrameRange, PageRange};
use crate::memory::region::Name;
use crate::memory::space::{Request, ReserveError};

/// Frames side by side that a device uses as well.
///
/// The device may write at any time, so values are read and written one by one; slices are unsafe.
///
/// ```no_run
/// use unikernel::memory::{MemoryType, Region};
///
/// let mut buffer = Region::builder().len(1500).dma(MemoryType::WriteBack)?;
/// buffer.write(0, 0x2au8).expect("the first byte is there");
/// let address_for_the_device = buffer.physical_start();
/// # Ok::<(), unikernel::memory::ReserveError>(())
/// ```
#[derive(Debug)]
#[must_use = "the frames are given back when this value is dropped"]
pub struct Dma {
    pub(super) reserved: Reserved,
    frames: FrameRange,
}

impl Dma {
    /// Takes frames, and the pages that show them.
    pub(super) fn reserve(
        len_pages: u64,
        request: impl FnOnce(Frame, u64) -> Request,
    ) -> Result<Self, ReserveError> {
        let wanted_pages = len_pages;
        let too_long = |_| ReserveError::NoRoom { wanted_pages };
        let len = u32::try_from(len_pages).map_err(too_long)?;
        let frames = FRAMES.allocate_run(len, Use::User)?.zeroed().into_entries();
        match Reserved::in_kernel(request(frames.start(), len_pages)) {
            Ok(reserved) => Ok(Self { reserved, frames }),
            Err(error) => {
                for frame in frames.iter() {
                    let freed = FRAMES.remove_mapping(frame);
                    freed.expect("H3: the frames were counted just now");
                }
                Err(error)
            }
        }
    }

    tell!();

    accesses!();

    /// Returns the physical address of the first byte, for the device.
    #[must_use]
    pub const fn physical_start(&self) -> PhysAddr {
        self.frames.start().start()
    }

    /// Returns the frames, for the device.
    #[must_use]
    pub const fn frames(&self) -> FrameRange {
        self.frames
    }
}
