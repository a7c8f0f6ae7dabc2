//! Only the caller can know what lies there.

use unikernel::memory::{Device, FrameRange, MemoryType, Region};

fn main() {
    fn map(frames: FrameRange) -> Device {
        Region::builder()
            .device(frames, MemoryType::Uncached)
            .unwrap()
    }
}
