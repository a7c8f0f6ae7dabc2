//! The device may write at any time.

use unikernel::memory::{MemoryType, Region};

fn main() {
    let buffer = Region::builder()
        .len_pages(4)
        .dma(MemoryType::WriteBack)
        .unwrap();
    let _bytes = buffer.as_slice();
}
