//! Registers are read and written one by one.

use unikernel::memory::Device;

fn main() {
    fn registers(device: &Device) -> &[u32] {
        device.as_slice().unwrap()
    }
}
