//! Physical memory as the loader left it, readable while the first 4 GiB are still mapped as they are.

use core::sync::atomic::{AtomicBool, Ordering};

use crate::boot::PhysicalMemory;

/// The end of what the entry code maps.
pub(super) const MAPPED: u64 = 4 << 30;

/// The identity map of boot. Exists until [`leave_identity_map`](super::tables::leave_identity_map) takes it.
pub(crate) struct IdentityMap(());

impl IdentityMap {
    /// Takes hold of the map that the entry code made.
    ///
    /// # Panics
    ///
    /// The second time: by then it is gone.
    pub(crate) fn take() -> Self {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        // Relaxed: the machine boots once, on one CPU.
        let taken = TAKEN.swap(true, Ordering::Relaxed);
        assert!(
            !taken,
            "I1: there is one identity map, for the time of boot"
        );
        Self(())
    }
}

impl PhysicalMemory for IdentityMap {
    fn bytes(&self, address: u64, len: usize) -> Option<&[u8]> {
        let end = address.checked_add(len as u64)?;
        // Address 0 cannot be a reference in Rust, and nothing a loader leaves is there.
        if address == 0 || end > MAPPED {
            return None;
        }
        let start = core::ptr::with_exposed_provenance::<u8>(address as usize);
        // SAFETY: the range is mapped as long as this value lives, which the slice does not outlive; bytes have no invalid values, and
        // during boot nothing runs that would write what a loader left.
        Some(unsafe { core::slice::from_raw_parts(start, len) })
    }
}
