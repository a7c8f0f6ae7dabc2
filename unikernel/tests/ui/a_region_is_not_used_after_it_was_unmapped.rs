//! Dropping it unmaps it.

use unikernel::memory::Region;

fn main() {
    let region = Region::builder().len_pages(4).lazy().unwrap();
    drop(region);
    let _bytes = region.as_slice::<u8>().unwrap();
}
