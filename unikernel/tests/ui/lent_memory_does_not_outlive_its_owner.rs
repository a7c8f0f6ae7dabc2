//! It is unmapped with its owner.

use unikernel::memory::Region;

fn main() {
    let lent = {
        let mut region = Region::builder().len_pages(4).lazy().unwrap();
        region.lend(..).unwrap()
    };
    lent.counters();
}
