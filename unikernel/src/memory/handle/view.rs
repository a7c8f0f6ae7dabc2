//! Plain memory seen as slices of values.
//!
//! Whether a view is possible is decided when it is asked for: the part has to lie in the memory, fit the values, and allow the
//! access on every page. From then on the borrow keeps it so, since whatever could change it borrows the memory mutably.
//!
//! A view of lazy memory costs no frame. Reading a page that nobody has written shows zeros; the first write to one takes a frame, and where none is
//! left that ends the task, with a report. Who wants an error instead asks for the frames before:
//! [`Region::commit`](super::Region::commit).

#![allow(
    unsafe_code,
    reason = "pages become slices here; the trait `Plain` says of which handles, and why"
)]

use core::ops::{Range, RangeBounds};

use super::error::ViewError;
use super::guarded::Section;
use super::lent::Lent;
use super::region::Region;
use super::reserved::{MachineSpace, bytes_of};
use crate::memory::Pod;
use crate::memory::page::{Access, PAGE_SIZE, PageRange};

/// Memory that may be seen as slices.
///
/// # Safety
///
/// 1. The pages lie in the kernel's space, are mapped or promised at least as long as the value lives, and are memory: none is
///    a guard, or a device's. 2. No other value gives access to them meanwhile, and no page is the same memory as another.
///    3. Their rights, and what they hold, change by nothing that does not borrow the value mutably.
pub(super) unsafe trait Plain {
    /// Returns the pages.
    fn pages(&self) -> PageRange;

    /// Returns the space that they lie in.
    fn space(&self) -> &MachineSpace;
}

// SAFETY: 1. only the builder makes regions, of zeros or of what an object holds, in the kernel's space, and they end in `drop`;
// 2. reserved pages overlap with no others, and what is lent or seen borrows the region; what the pages of an object show before
// they are written is constant, or a snapshot that nobody else has; 3. `protect`, `discard` and `resize` borrow mutably, and
// `commit` changes nothing that can be seen.
unsafe impl<K> Plain for Region<K> {
    fn pages(&self) -> PageRange {
        self.reserved.range()
    }

    fn space(&self) -> &MachineSpace {
        self.reserved.space()
    }
}

// SAFETY: 1. a section in use lies between guards of a guarded region, which it borrows; 2. no section is handed out twice;
// 3. nothing changes a section but giving it back, in `drop`.
unsafe impl Plain for Section<'_> {
    fn pages(&self) -> PageRange {
        self.pages
    }

    fn space(&self) -> &MachineSpace {
        self.owner.space()
    }
}

// SAFETY: 1. it is a part of a region, which it borrows mutably, or which is there for good; 2. and 3. so nobody else uses the
// region, and parts of a lent part are made by splitting it.
unsafe impl Plain for Lent<'_> {
    fn pages(&self) -> PageRange {
        self.pages
    }

    fn space(&self) -> &MachineSpace {
        &self.space
    }
}

/// Returns values that can be read.
pub(super) fn shared<T: Pod>(
    plain: &impl Plain,
    part: impl RangeBounds<u64>,
) -> Result<&[T], ViewError> {
    let (first, len) = checked(plain, part, Access::Read)?;
    // SAFETY: `checked` says that these are whole, aligned values in the memory, and any bytes are values of `T`; `Plain` says
    // that they can be read as long as `plain` is borrowed, and that nobody changes them.
    Ok(unsafe { core::slice::from_raw_parts(first, len) })
}

/// Returns values that can be written.
pub(super) fn exclusive<T: Pod>(
    plain: &mut impl Plain,
    part: impl RangeBounds<u64>,
) -> Result<&mut [T], ViewError> {
    let (first, len) = checked(plain, part, Access::Write)?;
    // SAFETY: as above, and `plain` is borrowed mutably, so nobody else uses them.
    Ok(unsafe { core::slice::from_raw_parts_mut(first, len) })
}

impl<'a> Lent<'a> {
    /// Turns all of it into a slice that lives as long as the owner is lent out.
    ///
    /// # Errors
    ///
    /// [`ViewError`]: `T` does not fit, or a page must not be written.
    pub fn into_slice<T: Pod>(mut self) -> Result<&'a mut [T], ViewError> {
        let slice: *mut [T] = exclusive(&mut self, ..)?;
        // SAFETY: the region is borrowed for `'a`, or there for good, and this was the only way to these pages.
        Ok(unsafe { &mut *slice })
    }
}

/// Returns the first of the values in a part and how many there are, after checking that the part lies in the memory, that they
/// fit into it, and that the access is allowed.
fn checked<T: Pod>(
    plain: &impl Plain,
    part: impl RangeBounds<u64>,
    access: Access,
) -> Result<(*mut T, usize), ViewError> {
    let pages = plain.pages();
    let bytes = part_of::<T>(pages, part)?;
    allow(plain.space(), pages, &bytes, access)?;
    let start = pages.start().start().as_u64() + bytes.start;
    let count = (bytes.end - bytes.start) / size_of::<T>() as u64;
    Ok((
        core::ptr::with_exposed_provenance_mut(start as usize),
        count as usize,
    ))
}

/// Returns the bytes of a part of these pages, if whole, aligned values fill it.
pub(super) fn part_of<T>(
    pages: PageRange,
    part: impl RangeBounds<u64>,
) -> Result<Range<u64>, ViewError> {
    let len = pages.len() * PAGE_SIZE;
    let bytes = bytes_of(part, len).map_err(|end| ViewError::OutOfBounds { end, len })?;
    let (item, align) = (size_of::<T>() as u64, align_of::<T>() as u64);
    let (offset, len) = (bytes.start, bytes.end - bytes.start);
    if item == 0 || !len.is_multiple_of(item) {
        return Err(ViewError::Uneven { len, item });
    }
    let start = pages.start().start().as_u64() + offset;
    if !start.is_multiple_of(align) {
        return Err(ViewError::Misaligned { offset, align });
    }
    Ok(bytes)
}

/// Refuses an access that a page of the part does not allow.
pub(super) fn allow(
    space: &MachineSpace,
    pages: PageRange,
    bytes: &Range<u64>,
    access: Access,
) -> Result<(), ViewError> {
    let start = pages.start().start().checked_add(bytes.start);
    let touched = start.and_then(|start| PageRange::covering(start, bytes.end - bytes.start));
    // An empty part behind the last byte touches nothing.
    let Some(touched) = touched else {
        return Ok(());
    };
    let forbidding = space.inspect(|regions, _| {
        let mut regions = regions.iter_in(touched);
        regions.find_map(|region| {
            let part = region.range().intersection(touched)?;
            (!region.rights().allow(access)).then_some(part.start())
        })
    });
    match forbidding {
        None => Ok(()),
        Some(page) => Err(ViewError::Forbidden { access, page }),
    }
}

/// The views of plain memory, as methods. Parts and offsets are in bytes from the start of the memory.
macro_rules! views {
    () => {
        /// Returns all of it as values that can be read.
        ///
        /// Costs no frame, however much it is: pages that nobody has written show zeros.
        ///
        /// # Errors
        ///
        /// [`ViewError`]: `T` does not fit into it, or a page must not be read.
        pub fn as_slice<T: Pod>(&self) -> Result<&[T], ViewError> {
            view::shared(self, ..)
        }

        /// Returns all of it as values that can be written.
        ///
        /// The first write to each page takes a frame. Where none is left, the write ends the task, with a report.
        ///
        /// # Errors
        ///
        /// [`ViewError`]: `T` does not fit into it, or a page must not be written.
        pub fn as_mut_slice<T: Pod>(&mut self) -> Result<&mut [T], ViewError> {
            view::exclusive(self, ..)
        }

        /// Returns a part, in bytes from the start, as values that can be read.
        ///
        /// # Errors
        ///
        /// [`ViewError`]: the part reaches beyond the end, `T` does not fit into it, or a page must not be read.
        pub fn slice<T: Pod>(&self, part: impl RangeBounds<u64>) -> Result<&[T], ViewError> {
            view::shared(self, part)
        }

        /// Returns a part, in bytes from the start, as values that can be written.
        ///
        /// # Errors
        ///
        /// [`ViewError`]: the part reaches beyond the end, `T` does not fit into it, or a page must not be written.
        pub fn slice_mut<T: Pod>(
            &mut self,
            part: impl RangeBounds<u64>,
        ) -> Result<&mut [T], ViewError> {
            view::exclusive(self, part)
        }

        /// Returns the value that lies `offset` bytes from the start.
        ///
        /// # Errors
        ///
        /// [`ViewError`]: it would reach beyond the end, its offset is no multiple of its alignment, or the page must not be
        /// read.
        pub fn get<T: Pod>(&self, offset: u64) -> Result<T, ViewError> {
            let end = offset.saturating_add(size_of::<T>() as u64);
            view::shared(self, offset..end).map(|values| values[0])
        }

        /// Puts a value `offset` bytes from the start.
        ///
        /// # Errors
        ///
        /// [`ViewError`]: it would reach beyond the end, its offset is no multiple of its alignment, or the page must not be
        /// written.
        pub fn set<T: Pod>(&mut self, offset: u64, value: T) -> Result<(), ViewError> {
            let end = offset.saturating_add(size_of::<T>() as u64);
            view::exclusive(self, offset..end).map(|values| values[0] = value)
        }
    };
}

pub(super) use views;
