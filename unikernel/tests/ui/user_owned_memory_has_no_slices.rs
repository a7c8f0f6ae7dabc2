//! Ring 3 changes it whenever it runs; the kernel copies.

use unikernel::memory::{Region, Space};

fn main() {
    let space = Space::new().unwrap();
    let memory = Region::builder().len_pages(4).user_owned(&space).unwrap();
    let bytes: &[u8] = memory.as_slice().unwrap();
}
