//! Memory of ring 3.

use super::counters::PageCounts;
use super::error::AlterError;
use super::reserved::{Reserved, tell, whole_pages};
use super::space::bytes_at;
use core::ops::RangeBounds;

use crate::memory::address::VirtAddr;
use crate::memory::fault::Violation;
use crate::memory::page::{PageRange, Rights};
use crate::memory::region::Name;
use crate::memory::space::TransferError;
use crate::memory::space::transfer::StringError;

/// Memory of a space for ring 3.
///
/// Ring 3 changes it whenever it runs, and may be hostile: so the kernel never follows an address into it. It copies in and
/// out, as if ring 3 had done it: with its rights, and whether or not its space is active.
///
/// ```no_run
/// use unikernel::memory::{Region, Space};
///
/// let space = Space::new()?;
/// let mut memory = Region::builder().len_pages(4).user_owned(&space)?;
/// memory.copy_in(100, b"hello").expect("there are frames");
/// let mut greeting = [0; 5];
/// memory.copy_out(100, &mut greeting).expect("it was written");
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "the memory is given back when this value is dropped"]
pub struct UserOwned {
    pub(super) reserved: Reserved,
}

impl UserOwned {
    tell!();

    /// Copies bytes in, `offset` bytes from the start on.
    ///
    /// # Errors
    ///
    /// [`TransferError`]: where ring 3 must not write, where the memory ends, or where no frame is left; and how many bytes were
    /// copied before. If the end would be passed, none are.
    pub fn copy_in(&mut self, offset: u64, from: &[u8]) -> Result<(), TransferError> {
        let start = self.address(offset, from.len() as u64)?;
        bytes_at(self.reserved.space(), start).write(from)
    }

    /// Copies bytes out, from `offset` bytes from the start on.
    ///
    /// # Errors
    ///
    /// [`TransferError`]: as [`copy_in`](Self::copy_in), for reading.
    pub fn copy_out(&self, offset: u64, to: &mut [u8]) -> Result<(), TransferError> {
        let start = self.address(offset, to.len() as u64)?;
        bytes_at(self.reserved.space(), start).read(to)
    }

    /// Copies a string out that ends with a zero byte, and returns its length without that.
    ///
    /// # Errors
    ///
    /// [`StringError`]: `to` was full before the zero byte, or as [`copy_out`](Self::copy_out).
    pub fn copy_string_out(&self, offset: u64, to: &mut [u8]) -> Result<usize, StringError> {
        let start = self.address(offset, 0).map_err(StringError::Transfer)?;
        let rest = self.reserved.len_bytes() - offset;
        let most = to.len().min(rest as usize);
        bytes_at(self.reserved.space(), start).read_string(&mut to[..most])
    }

    /// Gives pages other rights, for ring 3.
    ///
    /// # Errors
    ///
    /// [`AlterError`]: the part reaches beyond the end or is not of whole pages, the rights make no sense, or memory is missing.
    pub fn protect(
        &mut self,
        part: impl RangeBounds<u64>,
        rights: Rights,
    ) -> Result<(), AlterError> {
        let pages = whole_pages(self.reserved.range(), part)?;
        let space = self.reserved.space();
        Ok(space.protect(pages, rights | Rights::USER)?)
    }

    /// Gives back the frames of a part, which reads as zeros again. Returns how many pages had shown something.
    ///
    /// # Errors
    ///
    /// [`AlterError`]: the part reaches beyond the end or is not of whole pages, or no frame is left to part a large page.
    pub fn discard(&mut self, part: impl RangeBounds<u64>) -> Result<u64, AlterError> {
        self.reserved.discard(part)
    }

    /// Returns the address of a byte, if `len` bytes from there on are within the memory.
    fn address(&self, offset: u64, len: u64) -> Result<VirtAddr, TransferError> {
        let start = self.start();
        let fits = offset
            .checked_add(len)
            .is_some_and(|end| end <= self.len_bytes());
        let address = start.checked_add(offset).filter(|_| fits);
        address.ok_or(TransferError {
            transferred: 0,
            address: start,
            violation: Violation::Unmapped,
        })
    }
}
