//! Bytes from one space to another, whatever is or is not there: pages come in, and copies are made, as if the owner had used
//! them. The kernel never follows an address of somebody else's itself.

use core::error::Error;
use core::fmt;

use super::{AddressSpace, Locked, Memory, TransferError};
use crate::memory::address::VirtAddr;
use crate::memory::fault::{Fault, Ring, Violation};
use crate::memory::frame::FrameMemory;
use crate::memory::machine::Machine;
use crate::memory::page::{Access, Frame, PAGE_SIZE, Page};

/// How often a page that somebody else takes away again is asked for.
const MOST_TRIES: u32 = 16;

/// Bytes at an address of a space.
pub(crate) struct Bytes<'a, M: Machine + 'static, H: FrameMemory + 'static> {
    /// The space.
    pub(crate) space: &'a AddressSpace<M, H>,
    /// Where they begin.
    pub(crate) address: VirtAddr,
    /// On whose behalf.
    pub(crate) by: Ring,
}

/// Why there is no string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StringError {
    /// It does not end within so many bytes.
    TooLong(u64),
    /// It cannot be read.
    Transfer(TransferError),
}

impl<M: Machine, H: FrameMemory> Memory<M, H> {
    /// Copies `len` bytes from one space to another, or within one. Neither has to be active, and nothing has to be aligned.
    ///
    /// # Errors
    ///
    /// Where an address may not be used so, and how many bytes were copied before.
    pub(crate) fn copy(
        &self,
        from: &Bytes<'_, M, H>,
        to: &Bytes<'_, M, H>,
        len: u64,
    ) -> Result<(), TransferError> {
        let mut done = 0;
        while done < len {
            let source = from.at(done)?;
            let target = to.at(done)?;
            let pages_end = rest_of_page(source).min(rest_of_page(target));
            let part = pages_end.min(len - done);
            self.copy_part((from, source), (to, target), part).map_err(
                |(address, violation)| TransferError {
                    transferred: done,
                    address,
                    violation,
                },
            )?;
            done += part;
        }
        Ok(())
    }

    /// Copies bytes of one page to one page.
    fn copy_part(
        &self,
        (from, source): (&Bytes<'_, M, H>, VirtAddr),
        (to, target): (&Bytes<'_, M, H>, VirtAddr),
        len: u64,
    ) -> Result<(), (VirtAddr, Violation)> {
        for _ in 0..MOST_TRIES {
            let (from_locked, to_locked) = from.space.lock_pair(to.space);
            let read = from_locked.usable(source, Access::Read, from.by);
            let written =
                to_locked
                    .as_ref()
                    .unwrap_or(&from_locked)
                    .usable(target, Access::Write, to.by);
            if let (Some(read), Some(written)) = (read, written) {
                let offsets = (source.page_offset() as usize, target.page_offset() as usize);
                let host = self.pool.host();
                host.copy_bytes((read, offsets.0), (written, offsets.1), len as usize);
                return Ok(());
            }
            drop((to_locked, from_locked));
            from.fault(source, Access::Read)?;
            to.fault(target, Access::Write)?;
        }
        Err((source, Violation::NoProgress))
    }
}

impl<M: Machine, H: FrameMemory> Bytes<'_, M, H> {
    /// Reads as many bytes as `to` has room for.
    ///
    /// # Errors
    ///
    /// Where an address may not be read, and how many bytes were read before.
    pub(crate) fn read(&self, to: &mut [u8]) -> Result<(), TransferError> {
        let host = self.space.memory().pool.host();
        self.each_part(to.len(), Access::Read, |(frame, offset), part| {
            host.read(frame, offset, &mut to[part]);
        })
    }

    /// Writes all bytes of `from`.
    ///
    /// # Errors
    ///
    /// Where an address may not be written, and how many bytes were written before.
    pub(crate) fn write(&self, from: &[u8]) -> Result<(), TransferError> {
        let host = self.space.memory().pool.host();
        self.each_part(from.len(), Access::Write, |(frame, offset), part| {
            host.write(frame, offset, &from[part]);
        })
    }

    /// Makes `len` bytes usable, so that they cost no faults later, as far as nobody takes them away again.
    ///
    /// # Errors
    ///
    /// Where an address may not be used so, and how many bytes come before.
    pub(crate) fn prefault(&self, len: usize, access: Access) -> Result<(), TransferError> {
        self.each_part(len, access, |_, _| {})
    }

    /// Reads a string that ends with a zero byte, and returns its length without that.
    ///
    /// # Errors
    ///
    /// When there is no zero byte among as many bytes as `to` has room for, or an address may not be read.
    pub(crate) fn read_string(&self, to: &mut [u8]) -> Result<usize, StringError> {
        let mut done = 0;
        while done < to.len() {
            let address = self.at(done as u64).map_err(StringError::Transfer)?;
            let part = (rest_of_page(address) as usize).min(to.len() - done);
            let rest = Bytes { address, ..*self };
            let read = rest.read(&mut to[done..done + part]);
            read.map_err(|error| {
                StringError::Transfer(TransferError {
                    transferred: done as u64,
                    ..error
                })
            })?;
            if let Some(end) = to[done..done + part].iter().position(|&byte| byte == 0) {
                return Ok(done + end);
            }
            done += part;
        }
        Err(StringError::TooLong(to.len() as u64))
    }

    /// Does something with each part of the bytes that lies in one page, while it is usable.
    fn each_part(
        &self,
        len: usize,
        access: Access,
        mut act: impl FnMut((Frame, usize), core::ops::Range<usize>),
    ) -> Result<(), TransferError> {
        let mut done = 0;
        while done < len {
            let address = self.at(done as u64)?;
            let part = (rest_of_page(address) as usize).min(len - done);
            self.with_page(address, access, |frame| {
                act((frame, address.page_offset() as usize), done..done + part);
            })
            .map_err(|violation| TransferError {
                transferred: done as u64,
                address,
                violation,
            })?;
            done += part;
        }
        Ok(())
    }

    fn with_page(
        &self,
        address: VirtAddr,
        access: Access,
        act: impl FnOnce(Frame),
    ) -> Result<(), Violation> {
        for _ in 0..MOST_TRIES {
            let locked = self.space.lock();
            if let Some(frame) = locked.usable(address, access, self.by) {
                act(frame);
                return Ok(());
            }
            drop(locked);
            self.fault(address, access)
                .map_err(|(_, violation)| violation)?;
        }
        Err(Violation::NoProgress)
    }

    /// Returns the address of the byte at `offset`.
    fn at(&self, offset: u64) -> Result<VirtAddr, TransferError> {
        let address = self.address.checked_add(offset);
        address.ok_or(TransferError {
            transferred: offset,
            address: self.address,
            violation: Violation::Unmapped,
        })
    }

    fn fault(&self, address: VirtAddr, access: Access) -> Result<(), (VirtAddr, Violation)> {
        let fault = Fault {
            address,
            access,
            by: self.by,
        };
        self.space
            .resolve(fault)
            .map_err(|violation| (address, violation))
    }
}

impl<M: Machine, H: FrameMemory> Locked<'_, M, H> {
    /// Returns the frame behind an address, if it may be used so right now.
    fn usable(&self, address: VirtAddr, access: Access, by: Ring) -> Option<Frame> {
        let page = Page::containing(address);
        let region = self.regions.find_for_fault(page)?;
        let shown = self.shown(page)?;
        let is_allowed = region.rights().allow(access)
            && shown.rights.allow(access)
            && (by == Ring::Kernel || region.rights().contains(crate::memory::page::Rights::USER));
        is_allowed.then_some(shown.frame)
    }
}

fn rest_of_page(address: VirtAddr) -> u64 {
    PAGE_SIZE - address.page_offset()
}

impl fmt::Display for StringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(most) => write!(f, "space: no string ends within {most} bytes"),
            Self::Transfer(error) => write!(f, "{error}"),
        }
    }
}

impl Error for StringError {}
