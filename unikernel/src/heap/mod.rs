//! The managed heap: `alloc` for the image, on `talc`.
//!
//! It starts on an arena inside the image, so that `Vec` and `String` work from the first line of Rust on, and then grows into
//! its own part of the address space in wired steps. Exhaustion is an ordinary failure: `try_reserve` returns an error, a
//! plain `Vec::push` ends its task with the size that was asked for.
//!
//! ```
//! let before = unikernel::heap::stats();
//! let words = vec![0u64; 1000];
//! let after = unikernel::heap::stats();
//! assert!(after.peak_bytes() >= after.allocated_bytes());
//! # drop((before, words));
//! ```

#[cfg(unikernel)]
mod arena;

/// What the heap holds, in bytes, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeapStats {
    allocated: usize,
    peak: usize,
    reserved: usize,
}

impl HeapStats {
    /// Returns the bytes in live allocations, as they were asked for.
    #[must_use]
    pub const fn allocated_bytes(&self) -> usize {
        self.allocated
    }

    /// Returns the most bytes that were ever live at once.
    #[must_use]
    pub const fn peak_bytes(&self) -> usize {
        self.peak
    }

    /// Returns the bytes of memory the heap has taken from the machine.
    #[must_use]
    pub const fn reserved_bytes(&self) -> usize {
        self.reserved
    }
}

/// Returns what the heap holds now. On the host, where there is no such heap, all figures are 0.
#[must_use]
pub fn stats() -> HeapStats {
    #[cfg(unikernel)]
    return arena::stats();
    #[cfg(not(unikernel))]
    HeapStats::default()
}
