//! The guards would be gone.

use unikernel::memory::Region;

fn main() {
    let guarded = Region::builder().guarded(4, 10).unwrap();
    let mut section = guarded.take().unwrap();
    drop(guarded);
    section.set(0, 1u8).unwrap();
}
