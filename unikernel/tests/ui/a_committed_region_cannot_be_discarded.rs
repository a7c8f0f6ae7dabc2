//! Committed memory has its frames for as long as it lives.

use unikernel::memory::Region;

fn main() {
    let mut region = Region::builder().len_pages(4).committed().unwrap();
    region.discard(..).unwrap();
}
