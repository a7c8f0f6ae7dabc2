//! There are guards in it; each section can be seen.

use unikernel::memory::Region;

fn main() {
    let guarded = Region::builder().guarded(4, 10).unwrap();
    let bytes: &[u8] = guarded.as_slice().unwrap();
}
