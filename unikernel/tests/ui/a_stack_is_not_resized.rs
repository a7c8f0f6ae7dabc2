//! Its top is where its owner starts.

use unikernel::memory::Region;

fn main() {
    let mut stack = Region::builder().len_pages(4).stack().unwrap();
    stack.resize(1 << 20).unwrap();
}
