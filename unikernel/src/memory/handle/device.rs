//! Memory of devices.

use super::counters::PageCounts;
use super::error::ViewError;
use super::reserved::{Reserved, tell};
use super::volatile::{self, Register, accesses};
use crate::memory::address::VirtAddr;
use crate::memory::page::PageRange;
use crate::memory::region::Name;

/// The memory of a device, mapped. It is read and written register by register; there are no slices of it, and nothing of it
/// can be discarded.
///
/// ```no_run
/// use unikernel::memory::{Frame, FrameRange, MemoryType, PhysAddr, Region};
///
/// let timer = Frame::containing(PhysAddr::new(0xfed0_0000)).expect("it is below 16 TiB");
/// // SAFETY: 1. the event timer of a PC is there, and nobody else uses it; 2. it writes no memory.
/// let timer = unsafe {
///     Region::builder().name("timer").device(FrameRange::one(timer), MemoryType::Uncached)
/// }?;
/// let counter: u64 = timer.read(0xf0).expect("the register is within the page");
/// # Ok::<(), unikernel::memory::ReserveError>(())
/// ```
#[derive(Debug)]
#[must_use = "the device is unmapped when this value is dropped"]
pub struct Device {
    pub(super) reserved: Reserved,
}

impl Device {
    tell!();

    accesses!();
}
