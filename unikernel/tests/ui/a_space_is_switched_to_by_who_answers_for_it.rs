//! What the program uses may lie elsewhere there.

use unikernel::memory::Space;

fn main() {
    let space = Space::new().unwrap();
    space.switch().unwrap();
}
