//! Memory that is where it is: of a device, or set aside by firmware.

use super::{Keeping, Pager, PagerError, Supply};
use crate::memory::page::{FrameRange, MemoryType};

/// A run of frames. Mapping the object maps them; they are never counted, freed or paged out.
#[derive(Clone, Copy, Debug)]
pub struct Physical {
    frames: FrameRange,
    memory_type: MemoryType,
}

impl Physical {
    /// Makes a pager of frames, mapped as a memory type.
    ///
    /// # Safety
    ///
    /// 1. The frames are no memory that the machine hands out, such as that of a device. 2. Whoever maps the object may use them.
    #[allow(
        unsafe_code,
        reason = "whose memory the frames are, the caller knows; nothing here touches it"
    )]
    #[must_use]
    pub const unsafe fn new(frames: FrameRange, memory_type: MemoryType) -> Self {
        Self {
            frames,
            memory_type,
        }
    }
}

impl Pager for Physical {
    fn name(&self) -> &'static str {
        "physical"
    }

    fn supply(&self, offset_pages: u64) -> Supply {
        let frame = u32::try_from(offset_pages)
            .ok()
            .and_then(|offset| self.frames.get(offset));
        frame.map_or(Supply::Beyond, |frame| {
            Supply::Frame(frame, self.memory_type)
        })
    }

    fn page_in(&self, _offset_pages: u64, _page: &mut [u8; 4096]) -> Result<(), PagerError> {
        Err(PagerError::Failed("the memory is there already"))
    }

    fn page_out(&self, _offset_pages: u64, _page: &[u8; 4096]) -> Result<(), PagerError> {
        Err(PagerError::Failed("the memory stays where it is"))
    }

    fn keeping(&self) -> Keeping {
        Keeping::InMemory
    }
}
