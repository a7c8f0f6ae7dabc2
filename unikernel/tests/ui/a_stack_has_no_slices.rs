//! Who runs on it writes it all the time.

use unikernel::memory::Region;

fn main() {
    let mut stack = Region::builder().len_pages(4).stack().unwrap();
    stack.as_mut_slice::<u8>().unwrap();
}
