//! Memory that somebody else changes as well, value by value.

#![allow(
    unsafe_code,
    reason = "what a device reads and writes is not Rust's to see as references"
)]

use super::device::Device;
use super::dma::Dma;
use super::error::ViewError;
use super::object::Shared;
use super::reserved::Reserved;
use super::view::{allow, part_of};
use crate::memory::page::Access;

/// Values that the processor reads and writes at once: `u8`, `u16`, `u32`, `u64`.
pub trait Register: sealed::Sealed {}

mod sealed {
    /// Only the sizes of the processor's own accesses.
    pub trait Sealed: bytemuck::Pod {}
}

macro_rules! registers {
    ($($integer:ty)*) => {
        $(
            impl sealed::Sealed for $integer {}
            impl Register for $integer {}
        )*
    };
}

registers!(u8 u16 u32 u64);

/// Memory that is read and written value by value, each exactly as often as asked.
///
/// # Safety
///
/// 1. The pages are mapped as long as the value lives. 2. Rust sees none of them by reference, except by functions whose callers
///    promise that nobody writes meanwhile.
pub(super) unsafe trait Volatile {
    /// Returns the pages.
    fn reserved(&self) -> &Reserved;
}

// SAFETY: 1. the frames are mapped when it is made, until it is dropped; 2. it has no views.
unsafe impl Volatile for Device {
    fn reserved(&self) -> &Reserved {
        &self.reserved
    }
}

// SAFETY: 1. as above; 2. its views are unsafe, and their callers promise that.
unsafe impl Volatile for Dma {
    fn reserved(&self) -> &Reserved {
        &self.reserved
    }
}

// SAFETY: 1. the object is promised as long as the value lives; 2. it has no views.
unsafe impl Volatile for Shared {
    fn reserved(&self) -> &Reserved {
        &self.reserved
    }
}

/// Reads the value at `offset` bytes.
pub(super) fn read<T: Register>(memory: &impl Volatile, offset: u64) -> Result<T, ViewError> {
    let pointer = checked::<T>(memory.reserved(), offset, Access::Read)?;
    // SAFETY: the value lies in mapped pages, aligned, any bits are one, and nobody has a reference to it.
    Ok(unsafe { pointer.read_volatile() })
}

/// Writes the value at `offset` bytes.
pub(super) fn write<T: Register>(
    memory: &mut impl Volatile,
    offset: u64,
    value: T,
) -> Result<(), ViewError> {
    let pointer = checked::<T>(memory.reserved(), offset, Access::Write)?;
    // SAFETY: as above, and `memory` is borrowed mutably.
    unsafe { pointer.write_volatile(value) };
    Ok(())
}

fn checked<T>(reserved: &Reserved, offset: u64, access: Access) -> Result<*mut T, ViewError> {
    let pages = reserved.range();
    let end = offset.saturating_add(size_of::<T>() as u64);
    let bytes = part_of::<T>(pages, offset..end)?;
    allow(reserved.space(), pages, &bytes, access)?;
    let address = pages.start().start().as_u64() + offset;
    Ok(core::ptr::with_exposed_provenance_mut(address as usize))
}

impl Dma {
    /// Returns all of it as bytes.
    ///
    /// # Safety
    ///
    /// 1. The device writes none of it while the slice is borrowed.
    #[must_use]
    pub unsafe fn as_slice(&self) -> &[u8] {
        let (start, len) = self.extent();
        // SAFETY: the frames are memory, mapped as long as `self` lives; nobody writes them, as the caller's 1. says.
        unsafe { core::slice::from_raw_parts(start, len) }
    }

    /// Returns all of it as bytes that can be written.
    ///
    /// # Safety
    ///
    /// 1. The device neither reads nor writes any of it while the slice is borrowed.
    #[must_use]
    pub unsafe fn as_mut_slice(&mut self) -> &mut [u8] {
        let (start, len) = self.extent();
        // SAFETY: as above, and `self` is borrowed mutably.
        unsafe { core::slice::from_raw_parts_mut(start, len) }
    }

    fn extent(&self) -> (*mut u8, usize) {
        let start = self.reserved.range().start().start().as_u64();
        let pointer = core::ptr::with_exposed_provenance_mut(start as usize);
        (pointer, self.reserved.len_bytes() as usize)
    }
}

/// The accesses to what a device uses as well, as methods.
macro_rules! accesses {
    () => {
        /// Reads the value at `offset` bytes from the start: once, and now.
        ///
        /// # Errors
        ///
        /// [`ViewError`]: it would reach beyond the end, its offset is no multiple of its size, or it must not be read.
        pub fn read<T: Register>(&self, offset: u64) -> Result<T, ViewError> {
            volatile::read(self, offset)
        }

        /// Writes the value at `offset` bytes from the start: once, and now.
        ///
        /// # Errors
        ///
        /// [`ViewError`]: it would reach beyond the end, its offset is no multiple of its size, or it must not be written.
        pub fn write<T: Register>(&mut self, offset: u64, value: T) -> Result<(), ViewError> {
            volatile::write(self, offset, value)
        }
    };
}

pub(super) use accesses;
