//! The memory of a device is not ours to give back.

use unikernel::memory::Device;

fn main() {
    fn forget(mut device: Device) {
        device.discard(..).unwrap();
    }
}
