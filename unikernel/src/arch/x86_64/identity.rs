//! Physical memory as the loader left it, readable while the first 4 GiB are still mapped as they are.

use crate::boot::PhysicalMemory;

/// The end of what the entry code maps.
const MAPPED: u64 = 4 << 30;

/// The identity map of boot. Exists until [`leave_identity_map`](super::tables::leave_identity_map).
pub(crate) struct IdentityMap;

impl PhysicalMemory for IdentityMap {
    fn bytes(&self, address: u64, len: usize) -> Option<&[u8]> {
        let end = address.checked_add(len as u64)?;
        // Address 0 cannot be a reference in Rust, and nothing a loader leaves is there.
        if address == 0 || end > MAPPED {
            return None;
        }
        let start = core::ptr::with_exposed_provenance::<u8>(address as usize);
        // SAFETY: the range is mapped, bytes have no invalid values, and during boot nothing runs that would write it.
        Some(unsafe { core::slice::from_raw_parts(start, len) })
    }
}

/// Returns the memory of a device that boot has mapped for good at `address`, for one owner.
pub(crate) fn device_memory(address: usize, len: usize) -> &'static mut [u8] {
    let start = core::ptr::with_exposed_provenance_mut::<u8>(address);
    // SAFETY: the caller has mapped the range, for this purpose alone; what a device's memory holds is bytes.
    unsafe { core::slice::from_raw_parts_mut(start, len) }
}

/// Returns bytes that boot has mapped for good, read-only, at `address`.
pub(crate) fn mapped_for_good(address: usize, len: usize) -> &'static [u8] {
    let start = core::ptr::with_exposed_provenance::<u8>(address);
    // SAFETY: the caller has mapped the range onto frames that are never handed out, without write access.
    unsafe { core::slice::from_raw_parts(start, len) }
}
