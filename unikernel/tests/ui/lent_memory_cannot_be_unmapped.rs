//! Who borrows it uses it, and no more.

use unikernel::memory::{Region, Rights};

fn main() {
    let mut region = Region::builder().len_pages(4).lazy().unwrap();
    let mut lent = region.lend(..).unwrap();
    lent.discard(..).unwrap();
    lent.protect(.., Rights::READ).unwrap();
}
