//! Not every eight bytes are a reference.

use unikernel::memory::Region;

fn main() {
    let region = Region::builder().len_pages(4).lazy().unwrap();
    let names = region.as_slice::<&str>().unwrap();
}
