//! Somebody else is using it.

use unikernel::memory::Region;

fn main() {
    let mut region = Region::builder().len_pages(4).lazy().unwrap();
    let mut lent = region.lend(..).unwrap();
    region.resize(4096).unwrap();
    lent.set(0, 1u8).unwrap();
}
