//! What is being read would read as zeros.

use unikernel::memory::Region;

fn main() {
    let mut region = Region::builder().len_pages(4).lazy().unwrap();
    let bytes = region.as_slice::<u8>().unwrap();
    region.discard(..).unwrap();
    assert_eq!(bytes[0], 0);
}
