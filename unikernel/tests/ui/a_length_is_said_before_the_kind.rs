//! How much memory is it?

use unikernel::memory::Region;

fn main() {
    let region = Region::builder().name("endless").lazy();
}
