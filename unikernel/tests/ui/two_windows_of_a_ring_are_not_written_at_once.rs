//! They may show the same bytes.

use unikernel::memory::Region;

fn main() {
    let mut ring = Region::builder().len_pages(4).ring().unwrap();
    let first = ring.window_mut(0, 4096).unwrap();
    let again = ring.window_mut(4 * 4096, 4096).unwrap();
    first[0] = again[0];
}
