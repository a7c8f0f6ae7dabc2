//! Spaces, as an application holds them.

#![allow(
    unsafe_code,
    reason = "switching changes what addresses mean; the functions say what is owed"
)]

use alloc::sync::Arc;
use core::fmt;

use super::counters::PageCounts;
use super::reserved::{MachineSpace, count};
use crate::arch::machine::frames::PoolMemory;
use crate::arch::machine::paging::Paging;
use crate::memory::MEMORY;
use crate::memory::address::VirtAddr;
use crate::memory::fault::Ring;
use crate::memory::space::transfer::Bytes;
use crate::memory::space::{Fork, ForkError, SpaceError, Target, TransferError};

/// An address space: regions, and the tables that show them. The upper half is the kernel's, in all of them.
///
/// It ends, with all its regions, when the last that holds it lets go: values of this type, [`UserOwned`](super::UserOwned)
/// memory in it, and CPUs that are in it.
///
/// ```no_run
/// use unikernel::memory::{Fork, Region, Space};
///
/// let parent = Space::new()?;
/// let mut memory = Region::builder().len_pages(1).user_owned(&parent)?;
/// memory.copy_in(0, b"before").expect("there are frames");
///
/// let child = parent.fork(Fork::CopyOnWrite)?;
/// child.write(memory.start(), b"after!").expect("the child has the same regions");
///
/// let mut bytes = [0; 6];
/// memory.copy_out(0, &mut bytes).expect("it was written");
/// assert_eq!(&bytes, b"before");
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub struct Space(Arc<MachineSpace>);

impl Space {
    /// Returns the space of the kernel, in which trusted code runs.
    ///
    /// # Errors
    ///
    /// [`SpaceError::Unmanaged`]: on the host there is none.
    pub fn kernel() -> Result<Self, SpaceError> {
        MEMORY
            .kernel()
            .map(|kernel| Self(Arc::clone(kernel)))
            .ok_or(SpaceError::Unmanaged)
    }

    /// Returns the space that this CPU is in.
    ///
    /// # Errors
    ///
    /// As [`kernel`](Self::kernel).
    pub fn current() -> Result<Self, SpaceError> {
        MEMORY.current().map(Self).ok_or(SpaceError::Unmanaged)
    }

    /// Makes a space without regions. Costs one frame.
    ///
    /// # Errors
    ///
    /// [`SpaceError`]: no frame or no heap is left.
    pub fn new() -> Result<Self, SpaceError> {
        let kernel = Self::kernel()?;
        MEMORY.create(&kernel.0).map(Self)
    }

    /// Makes a space with the same regions and the same contents; what either writes from now on, the other does not see.
    /// By [`Fork::CopyOnWrite`] it costs tables at first, and a frame with each page that is written later.
    ///
    /// The values that own the regions of this space own nothing in the other one; what is there ends with that space.
    ///
    /// # Errors
    ///
    /// [`ForkError`]: a region is of one space only, or memory is missing. This space is as before.
    pub fn fork(&self, how: Fork) -> Result<Self, ForkError> {
        self.0.fork(how).map(Self)
    }

    /// Puts this CPU into the space, and returns the one that it was in.
    ///
    /// # Errors
    ///
    /// As [`kernel`](Self::kernel).
    ///
    /// # Safety
    ///
    /// 1. Nothing in the lower half is in use, by anybody on this CPU, that this space does not show alike: a region of the
    ///    kernel's space is no memory of its owner's while another space is active.
    pub unsafe fn switch(&self) -> Result<Self, SpaceError> {
        // SAFETY: 1. as the caller promised.
        let before = unsafe { MEMORY.switch(&Target::Space(&self.0)) };
        before.map(Self).ok_or(SpaceError::Unmanaged)
    }

    /// Lets go of the space. A CPU that is in it goes to the kernel's first.
    ///
    /// # Errors
    ///
    /// [`SpaceError::Kernel`]: the kernel's space is not destroyed.
    ///
    /// # Safety
    ///
    /// 1. As [`switch`](Self::switch), for the kernel's space.
    pub unsafe fn destroy(self) -> Result<(), SpaceError> {
        // SAFETY: 1. as the caller promised.
        unsafe { MEMORY.destroy(self.0) }
    }

    /// Copies bytes to an address, as ring 3 would.
    ///
    /// # Errors
    ///
    /// [`TransferError`]: where ring 3 must not write, and how many bytes were copied before.
    pub fn write(&self, address: VirtAddr, from: &[u8]) -> Result<(), TransferError> {
        bytes_at(&self.0, address).write(from)
    }

    /// Copies bytes from an address, as ring 3 would.
    ///
    /// # Errors
    ///
    /// [`TransferError`]: where ring 3 must not read, and how many bytes were copied before.
    pub fn read(&self, address: VirtAddr, to: &mut [u8]) -> Result<(), TransferError> {
        bytes_at(&self.0, address).read(to)
    }

    /// Copies `len` bytes from an address here to an address in a space, as ring 3 would if it could see both. Neither has to be
    /// active, and nothing has to be aligned.
    ///
    /// # Errors
    ///
    /// [`TransferError`]: where ring 3 must not read or write, and how many bytes were copied before.
    pub fn copy(
        &self,
        from: VirtAddr,
        (to, to_address): (&Self, VirtAddr),
        len: u64,
    ) -> Result<(), TransferError> {
        let from = bytes_at(&self.0, from);
        MEMORY.copy(&from, &bytes_at(&to.0, to_address), len)
    }

    /// Counts what all pages of all its regions show.
    #[must_use]
    pub fn counters(&self) -> PageCounts {
        let bounds = self.0.inspect(|regions, _| regions.bounds());
        count(&self.0, bounds)
    }

    /// Returns the space for somebody else to hold.
    pub(super) fn share(&self) -> Arc<MachineSpace> {
        Arc::clone(&self.0)
    }
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Space({})", self.0.number())
    }
}

/// Returns bytes of a space, as ring 3 would use them.
pub(super) const fn bytes_at(
    space: &MachineSpace,
    address: VirtAddr,
) -> Bytes<'_, Paging, PoolMemory> {
    Bytes {
        space,
        address,
        by: Ring::User,
    }
}
