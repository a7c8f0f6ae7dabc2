//! What memory is wanted: said step by step, so that what makes no sense cannot be said.
//!
//! ```text
//!   Region::builder() ── len ──> lazy, committed, heap, stack, ring, dma, user_owned
//!         │
//!         └────────────────────> guarded, device        (which have a length of their own)
//! ```
//!
//! Where, rights and name may be said at any time before; of two that contradict each other, the later one counts.

#![allow(
    unsafe_code,
    reason = "whoever maps a device promises what no type can; the function says what is owed"
)]

use super::device::Device;
use super::dma::Dma;
use super::guarded::Guarded;
use super::region::{Committed, Heap, Lazy, Region};
use super::reserved::Reserved;
use super::ring::Ring;
use super::space::Space;
use super::stack::Stack;
use super::user::UserOwned;
use crate::memory::address::PAGE_SIZE;
use crate::memory::page::{FrameRange, MemoryType, Page, PageSize, Rights};
use crate::memory::region::{Commitment, Kind, Name, Sections, Sharing};
use crate::memory::space::{Place, Request, ReserveError};

/// What memory is wanted. `L` is [`Length`] once that is said, and [`NoLength`] before.
#[derive(Clone, Copy, Debug)]
#[must_use = "nothing is reserved before the kind of memory is said"]
pub struct RegionBuilder<L> {
    len: L,
    place: Place,
    rights: Rights,
    name: Name,
}

/// The length was not said.
#[derive(Clone, Copy, Debug)]
pub struct NoLength;

/// The length was said.
#[derive(Clone, Copy, Debug)]
pub struct Length {
    pages: u64,
}

impl RegionBuilder<NoLength> {
    /// Begins with memory anywhere, to be read and written, without a name.
    pub(super) const fn new() -> Self {
        Self {
            len: NoLength,
            place: Place::Anywhere(PageSize::Kib4),
            rights: Rights::READ_WRITE,
            name: Name::new("unnamed"),
        }
    }

    /// As many bytes as this, and as many more as make the last page whole.
    pub const fn len(self, bytes: u64) -> RegionBuilder<Length> {
        self.len_pages(bytes.div_ceil(PAGE_SIZE))
    }

    /// As many pages of 4 KiB.
    pub const fn len_pages(self, pages: u64) -> RegionBuilder<Length> {
        RegionBuilder {
            len: Length { pages },
            place: self.place,
            rights: self.rights,
            name: self.name,
        }
    }

    /// Reserves `count` sections of `section_pages` pages each, with a guard page before, between and behind them. Costs no
    /// frame, and 4 bytes of heap for each section.
    ///
    /// # Errors
    ///
    /// [`ReserveError`]: there is no room for so much, or no heap for the list of sections; or they are none, or have no pages.
    pub fn guarded(self, section_pages: u64, count: u32) -> Result<Guarded, ReserveError> {
        let sections = Sections::new(section_pages, count)?;
        let len_pages = sections.len_pages();
        let request = self.request(len_pages, Kind::Guarded(sections), Sharing::Private);
        Reserved::in_kernel(request).map(|reserved| Guarded { reserved })
    }

    /// Maps the memory of a device, by leaves as large as fit. Its frames are not the machine's memory, so they are neither
    /// counted nor ever freed.
    ///
    /// # Errors
    ///
    /// [`ReserveError`]: there is no room, or no frame is left for tables.
    ///
    /// # Safety
    ///
    /// 1. The frames are a device's, and nobody else uses them in a way that this breaks. 2. Nothing that is written there makes
    ///    the device change memory that it was not given.
    pub unsafe fn device(
        self,
        frames: FrameRange,
        memory_type: MemoryType,
    ) -> Result<Device, ReserveError> {
        let kind = Kind::Fixed {
            first: frames.start(),
            memory_type,
        };
        let request = self.request(u64::from(frames.len()), kind, Sharing::Shared);
        Reserved::in_kernel(request).map(|reserved| Device { reserved })
    }
}

impl RegionBuilder<Length> {
    /// Reserves memory that costs neither frames nor tables, whatever its size. Untouched pages read as zeros; the first write
    /// to each takes a frame.
    ///
    /// # Errors
    ///
    /// [`ReserveError`]: there is no room, or no heap for the bookkeeping; or the length is 0, or the rights make no sense.
    pub fn lazy(self) -> Result<Region<Lazy>, ReserveError> {
        self.zeros(Commitment::Lazy).map(Region::new)
    }

    /// Reserves memory whose frames are all there from the beginning, in pages of 2 MiB where start and length allow it (see
    /// [`align`](Self::align)).
    ///
    /// # Errors
    ///
    /// [`ReserveError`]: as [`lazy`](Self::lazy), and where there are not so many frames; then none was taken.
    pub fn committed(self) -> Result<Region<Committed>, ReserveError> {
        self.zeros(Commitment::Committed).map(Region::new)
    }

    /// Reserves the heap of a language runtime: lazy, and of this space only.
    ///
    /// # Errors
    ///
    /// As [`lazy`](Self::lazy).
    pub fn heap(self) -> Result<Region<Heap>, ReserveError> {
        let request = self.request(self.len.pages, Kind::Heap, Sharing::Private);
        Reserved::in_kernel(request).map(Region::new)
    }

    /// Reserves a stack of this length, and a guard page below it.
    ///
    /// # Errors
    ///
    /// As [`lazy`](Self::lazy).
    pub fn stack(self) -> Result<Stack, ReserveError> {
        let len_pages = self.len.pages.saturating_add(1);
        let request = self.request(len_pages, Kind::Stack, Sharing::Private);
        Reserved::in_kernel(request).map(|reserved| Stack { reserved })
    }

    /// Reserves a ring of this length: lazy memory that is followed by itself, so that what crosses its end goes on at its
    /// beginning.
    ///
    /// # Errors
    ///
    /// As [`lazy`](Self::lazy).
    pub fn ring(self) -> Result<Ring, ReserveError> {
        let len_pages = self.len.pages.saturating_mul(2);
        let request = self.request(len_pages, Kind::Ring, Sharing::Shared);
        Reserved::in_kernel(request).map(|reserved| Ring { reserved })
    }

    /// Reserves zeroed frames side by side, for a device that knows memory by physical addresses. They are given back when
    /// the value is dropped, so the device has to be done with them by then.
    ///
    /// # Errors
    ///
    /// [`ReserveError`]: as [`lazy`](Self::lazy), and where there are not so many free frames side by side.
    pub fn dma(self, memory_type: MemoryType) -> Result<Dma, ReserveError> {
        Dma::reserve(self.len.pages, |first, len_pages| {
            let kind = Kind::Dma { first, memory_type };
            self.request(len_pages, kind, Sharing::Shared)
        })
    }

    /// Reserves lazy memory of a space for ring 3, with these rights. The kernel itself reaches it by copies only.
    ///
    /// # Errors
    ///
    /// As [`lazy`](Self::lazy).
    pub fn user_owned(self, space: &Space) -> Result<UserOwned, ReserveError> {
        let kind = Kind::Anonymous {
            commitment: Commitment::Lazy,
        };
        let builder = self.rights(self.rights | Rights::USER);
        let request = builder.request(self.len.pages, kind, Sharing::Private);
        Reserved::in_space(space.share(), request).map(|reserved| UserOwned { reserved })
    }

    fn zeros(self, commitment: Commitment) -> Result<Reserved, ReserveError> {
        let kind = Kind::Anonymous { commitment };
        Reserved::in_kernel(self.request(self.len.pages, kind, Sharing::Private))
    }
}

impl<L> RegionBuilder<L> {
    /// Exactly there, or not at all.
    pub fn at(self, page: Page) -> Self {
        let place = Place::At(page);
        Self { place, ..self }
    }

    /// There if that is free, else above, else anywhere.
    pub fn near(self, page: Page) -> Self {
        let place = Place::Near(page);
        Self { place, ..self }
    }

    /// Wherever there is room, at a multiple of this size: large pages are possible only there.
    pub fn align(self, size: PageSize) -> Self {
        let place = Place::Anywhere(size);
        Self { place, ..self }
    }

    /// What may be done with it; reading and writing if nothing is said. Memory of the kernel is refused to ring 3.
    pub fn rights(self, rights: Rights) -> Self {
        Self { rights, ..self }
    }

    /// What reports call it: as many whole characters as fit 23 bytes.
    pub fn name(self, name: &str) -> Self {
        let name = Name::new(name);
        Self { name, ..self }
    }

    pub(super) fn request(&self, len_pages: u64, kind: Kind, sharing: Sharing) -> Request {
        Request {
            len_pages,
            place: self.place,
            rights: self.rights,
            kind,
            sharing,
            name: self.name,
        }
    }
}
