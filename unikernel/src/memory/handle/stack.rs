//! Stacks.

use super::counters::PageCounts;
use super::reserved::{Reserved, tell};
use crate::memory::address::{PAGE_SIZE, VirtAddr};
use crate::memory::page::PageRange;
use crate::memory::region::Name;

/// A stack: pages that get their frames as it grows downwards, and a guard below them.
///
/// It is nobody's to read as a slice, since who runs on it writes it all the time. What runs over its end is told by the name
/// of the stack.
#[derive(Debug)]
#[must_use = "the stack is given back when this value is dropped"]
pub struct Stack {
    pub(super) reserved: Reserved,
}

impl Stack {
    tell!();

    /// Returns where a stack pointer starts: the highest multiple of 16 with 16 bytes of the stack above it.
    #[must_use]
    pub const fn top(&self) -> VirtAddr {
        let start = self.reserved.range().start().start().as_u64();
        VirtAddr::truncate(start + self.reserved.len_bytes() - 16)
    }

    /// Returns the lowest address of the stack. What lies below it is the guard.
    #[must_use]
    pub const fn limit(&self) -> VirtAddr {
        let start = self.reserved.range().start().start().as_u64();
        VirtAddr::truncate(start + PAGE_SIZE)
    }
}
