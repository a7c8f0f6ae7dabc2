//! No instruction reads 16 bytes of a device at once.

use unikernel::memory::Device;

fn main() {
    fn identity(device: &Device) -> u128 {
        device.read(0).unwrap()
    }
}
