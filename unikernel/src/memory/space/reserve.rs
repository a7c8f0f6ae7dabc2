//! New regions, and their end.

use super::{AddressSpace, Locked, ReserveError, SpaceError, page_at};
use crate::memory::frame::{CountError, FrameMemory, FramePool, OwnedFrame, Use};
use crate::memory::machine::Machine;
use crate::memory::object::{Mapping, ObjectId};
use crate::memory::page::{Frame, FrameRange, MemoryType, Page, PageRange, PageSize, Rights};
use crate::memory::region::{Commitment, Counters, Kind, Name, Region, Sections, Sharing};
use crate::memory::table::entry::{Attributes, Marks};
use crate::memory::table::error::MapError;
use crate::memory::table::runs::Run;
use crate::memory::table::source::PageFrames;

/// What is asked of a space.
pub(crate) struct Request {
    /// How many pages.
    pub(crate) len_pages: u64,
    /// Where.
    pub(crate) place: Place,
    /// What may be done with them.
    pub(crate) rights: Rights,
    /// What they hold.
    pub(crate) kind: Kind,
    /// What a fork does.
    pub(crate) sharing: Sharing,
    /// What the region is called in reports.
    pub(crate) name: Name,
}

/// Where a region is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Exactly there.
    At(Page),
    /// There, or the first free range above, or the first anywhere.
    Near(Page),
    /// The first free range whose start is a multiple of this size.
    Anywhere(PageSize),
}

impl<M: Machine, H: FrameMemory> AddressSpace<M, H> {
    /// Makes a region. Lazy ones cost neither frames nor tables, whatever their size. Returns its pages.
    ///
    /// # Errors
    ///
    /// When there is no room, or the request contradicts itself, or memory is missing for what is not lazy.
    pub(crate) fn reserve(&self, request: Request) -> Result<PageRange, ReserveError> {
        check_sharing(&request)?;
        let mut locked = self.lock();
        let range = locked.find_place(&request)?;
        let region = Region::new(
            range,
            request.rights,
            request.kind,
            request.sharing,
            request.name,
        )?;
        locked.add(region)?;
        Ok(range)
    }

    /// Makes a region of zeroed frames side by side, for a device. Returns its pages and frames.
    ///
    /// # Errors
    ///
    /// As [`reserve`](Self::reserve), and when there are not so many free frames side by side.
    pub(crate) fn reserve_dma(
        &self,
        len_frames: u32,
        memory_type: MemoryType,
        name: Name,
    ) -> Result<(PageRange, FrameRange), ReserveError> {
        let pool = self.memory().pool;
        let frames = pool
            .allocate_run(len_frames, Use::User)?
            .zeroed()
            .into_entries();
        let reserved = self.reserve(Request {
            len_pages: u64::from(len_frames),
            place: Place::Anywhere(PageSize::Kib4),
            rights: Rights::READ_WRITE,
            kind: Kind::Dma {
                first: frames.start(),
                memory_type,
            },
            sharing: Sharing::Shared,
            name,
        });
        match reserved {
            Ok(range) => Ok((range, frames)),
            Err(error) => {
                frames.iter().for_each(|frame| uncount(pool, frame));
                Err(error)
            }
        }
    }

    /// Makes a region of sections of `section_pages` pages each, with guards between them. Returns its pages.
    ///
    /// # Errors
    ///
    /// When there is no room, or no heap to keep account of so many sections.
    pub(crate) fn reserve_sections(
        &self,
        section_pages: u64,
        count: u32,
        name: Name,
    ) -> Result<PageRange, ReserveError> {
        let sections = Sections::new(section_pages, count)?;
        self.reserve(Request {
            len_pages: sections.len_pages(),
            place: Place::Anywhere(PageSize::Kib4),
            rights: Rights::READ_WRITE,
            kind: Kind::Guarded(sections),
            sharing: Sharing::Private,
            name,
        })
    }

    /// Takes a section of the guarded region that starts at a page. Returns its pages.
    ///
    /// # Errors
    ///
    /// When no such region starts there, or all its sections are in use.
    pub(crate) fn take_section(&self, region: Page) -> Result<PageRange, SpaceError> {
        let mut locked = self.lock();
        let found = locked.regions.find_mut(region);
        let found = found.ok_or(SpaceError::NoRegion(region))?;
        Ok(found.take_section()?)
    }

    /// Gives the section back whose first page this is. Its frames are free, and touching it is refused from now on.
    ///
    /// # Errors
    ///
    /// When no section in use begins there.
    pub(crate) fn give_section_back(&self, first: Page) -> Result<(), SpaceError> {
        let mut locked = self.lock();
        let found = locked.regions.find_mut(first);
        let section = found
            .ok_or(SpaceError::NoRegion(first))?
            .give_back_section(first)?;
        locked.clear(section, Counted::Frames);
        Ok(())
    }

    /// Ends all promises about a range, whatever regions it covers or cuts; holes are as good. Returns how many pages had been
    /// promised. Frames that nobody else uses are free.
    ///
    /// # Errors
    ///
    /// When a region is cut that cannot be, or memory is missing to keep the rest of one.
    pub(crate) fn unmap(&self, range: PageRange) -> Result<u64, SpaceError> {
        self.write_back(range);
        let shown = self.lock().end_promises(range);
        self.memory().drop_ended();
        shown
    }

    /// Ends all regions.
    pub(super) fn release_all(&self) {
        let bounds = self.lock().regions.bounds();
        self.write_back(bounds);
        let mut locked = self.lock();
        while let Some(start) = locked
            .regions
            .first_in(bounds)
            .map(|region| region.range().start())
        {
            locked.remove(start);
        }
        drop(locked);
        self.memory().drop_ended();
    }
}

impl<M: Machine, H: FrameMemory> Locked<'_, M, H> {
    fn find_place(&self, request: &Request) -> Result<PageRange, ReserveError> {
        let len = request.len_pages;
        let regions = &self.regions;
        let lowest = regions.bounds().start();
        let start = match request.place {
            Place::At(page) => Some(page),
            Place::Near(page) => regions.find_near(len, page, 1),
            Place::Anywhere(size) => regions.find_free(len, lowest, size.pages()),
        };
        start
            .and_then(|start| PageRange::try_new(start, len))
            .ok_or(ReserveError::NoRoom { wanted_pages: len })
    }

    /// Makes a promise, and keeps at once what is not to be kept lazily.
    pub(super) fn add(&mut self, region: Region) -> Result<(), ReserveError> {
        let range = region.range();
        let eager = eager(&region);
        // First the place: what follows is undone by page, and must not meet the pages of another region.
        self.regions.insert(region).map_err(|(_, error)| error)?;
        let kept = self.keep(range, eager);
        if kept.is_err() {
            self.regions.remove(range.start());
        }
        kept
    }

    fn keep(&self, range: PageRange, eager: Eager) -> Result<(), ReserveError> {
        match eager {
            Eager::Nothing => Ok(()),
            Eager::Frames(first, attributes) => {
                let frames = FrameRange::new(first, range.len() as u32);
                let mut tables = self.tables();
                Ok(tables.map(range.start(), frames, attributes, PageSize::Gib1)?)
            }
            Eager::Zeros(attributes) => self.commit_new(range, attributes),
            Eager::Object(object, offset_pages, is_written) => {
                let mut objects = self.memory().objects.lock();
                if is_written {
                    objects.check_writable(object)?;
                }
                Ok(objects.attach(object, self.mapping(range, offset_pages))?)
            }
        }
    }

    /// Gives every page of a range that shows nothing yet a zeroed frame, 2 MiB at a time where possible.
    pub(super) fn commit_new(
        &self,
        range: PageRange,
        attributes: Attributes,
    ) -> Result<(), ReserveError> {
        let mut done = 0;
        while done < range.len() {
            let rest = PageRange::new(page_at(range, done), range.len() - done);
            match self.commit_some(rest, attributes) {
                Ok(pages) => done += pages,
                Err(error) => {
                    self.clear(PageRange::new(range.start(), done), Counted::Frames);
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }

    /// Commits the pages up to the next border of 2 MiB, or the 2 MiB that begin here. Returns how many.
    pub(super) fn commit_some(
        &self,
        rest: PageRange,
        attributes: Attributes,
    ) -> Result<u64, MapError> {
        const LARGE: u64 = PageSize::Mib2.pages();
        let start = rest.start();
        if start.is_aligned(PageSize::Mib2) && rest.len() >= LARGE {
            let run = self.pool().allocate_run(LARGE as u32, Use::User);
            if let Ok(run) = run {
                let frames = run.zeroed().into_entries();
                let map = self.tables().map(start, frames, attributes, PageSize::Mib2);
                if map.is_err() {
                    frames.iter().for_each(|frame| uncount(self.pool(), frame));
                }
                return map.map(|()| LARGE);
            }
        }
        let to_border = LARGE - start.number() % LARGE;
        let pages = to_border.min(rest.len());
        let mut frames = Zeroed(self.pool());
        self.tables()
            .fill(PageRange::new(start, pages), attributes, &mut frames)?;
        Ok(pages)
    }

    /// Ends all promises about a range. Returns how many pages had been promised.
    pub(super) fn end_promises(&mut self, range: PageRange) -> Result<u64, SpaceError> {
        self.isolate(range)?;
        let mut pages = 0;
        while let Some(start) = self
            .regions
            .first_in(range)
            .map(|region| region.range().start())
        {
            pages += self.remove(start);
        }
        Ok(pages)
    }

    /// Makes regions, back references and leaves end where the range begins and ends. Changes nothing that anybody can see.
    pub(super) fn isolate(&mut self, range: PageRange) -> Result<(), SpaceError> {
        let Some(last_page) = range.last() else {
            return Ok(());
        };
        let (first, last) = self.cut_regions(range)?;
        let cuts = [first, last].into_iter().flatten().count();
        self.regions.prepare(cuts)?;
        // Whether a region is cut or not: an object knows neighbours as one mapping.
        let objects = [range.start(), last_page].map(|page| {
            let region = self.regions.find(page)?;
            mapping_of(region, region.range()).map(|(object, _)| object)
        });
        for object in objects.into_iter().flatten() {
            self.memory().objects.lock().prepare_split(object)?;
        }
        self.tables().split_at_ends(range)?;
        let end = Page::from_number(range.end_number());
        for (start, at) in [(first, Some(range.start())), (last, end)] {
            if let (Some(_), Some(at)) = (start, at) {
                self.split_region(at);
            }
        }
        Ok(())
    }

    /// Returns the starts of the regions that begin before the range and reach into it, and that reach beyond its end.
    fn cut_regions(&self, range: PageRange) -> Result<(Option<Page>, Option<Page>), SpaceError> {
        let cut_at = |at: Page| {
            let region = self.regions.find(at)?;
            (region.range().start() != at).then_some(region)
        };
        let first = cut_at(range.start());
        let last = Page::from_number(range.end_number()).and_then(cut_at);
        for region in [first, last].into_iter().flatten() {
            if !region.is_divisible() {
                return Err(SpaceError::NotPossible(region.range().start()));
            }
        }
        Ok((
            first.map(|region| region.range().start()),
            last.map(|region| region.range().start()),
        ))
    }

    fn split_region(&mut self, at: Page) {
        let start = self.regions.find(at).map(|region| region.range().start());
        if let Some(start) = start.filter(|&start| start != at) {
            self.regions
                .split(start, at, Counters::NONE)
                .expect("S8: room was made, and the region is divisible");
        }
    }

    /// Ends a region. Returns how many pages it had.
    fn remove(&mut self, start: Page) -> u64 {
        let region = self.regions.remove(start);
        let region = region.expect("S8: the caller found the region there");
        let range = region.range();
        self.clear(range, Counted::of(&region));
        if let Some((id, offset_pages)) = mapping_of(&region, range) {
            let mapping = self.mapping(range, offset_pages);
            (self.memory().object_repairs().detach)(self.memory(), id, mapping);
        }
        range.len()
    }

    /// Takes out what the pages of a range show, after no leaf lies across its ends. Returns how many pages showed something.
    pub(super) fn clear(&self, range: PageRange, counted: Counted) -> u64 {
        let pool = self.pool();
        let mut give_back = |run: Run| {
            run.frames()
                .iter()
                .for_each(|frame| counted.uncount(pool, frame));
        };
        self.tables()
            .unmap_range(range, &mut give_back)
            .expect("S8: no leaf lies across an end of the range")
    }

    pub(super) fn mapping(&self, pages: PageRange, offset_pages: u64) -> Mapping {
        Mapping {
            space: self.space.number,
            pages,
            offset_pages,
        }
    }
}

/// Whether the frames that a region shows are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    /// They are.
    Frames,
    /// Those are that the pool knows; an object may show others.
    FramesOfPool,
    /// They are a device's.
    Nothing,
}

impl Counted {
    pub(super) fn of(region: &Region) -> Self {
        match region.kind() {
            Kind::Fixed { .. } => Self::Nothing,
            Kind::Object { .. } => Self::FramesOfPool,
            _ => Self::Frames,
        }
    }

    /// Counts one page more that shows a frame, if it is to be counted.
    pub(super) fn count<H: FrameMemory>(
        self,
        pool: &FramePool<H>,
        frame: Frame,
    ) -> Result<(), CountError> {
        match self {
            Self::Frames => pool.add_mapping(frame).map(drop),
            Self::FramesOfPool if pool.map_count(frame).is_ok() => {
                pool.add_mapping(frame).map(drop)
            }
            Self::FramesOfPool | Self::Nothing => Ok(()),
        }
    }

    /// Counts one page less that shows a frame, if it was counted.
    pub(super) fn uncount<H: FrameMemory>(self, pool: &FramePool<H>, frame: Frame) {
        match self {
            Self::Frames => uncount(pool, frame),
            Self::FramesOfPool if pool.map_count(frame).is_ok() => uncount(pool, frame),
            Self::FramesOfPool | Self::Nothing => {}
        }
    }
}

/// What a new region shows from the beginning.
enum Eager {
    Nothing,
    /// Nothing, but the object learns of it: from this page of it on, and whether it is written through it.
    Object(ObjectId, u64, bool),
    Frames(Frame, Attributes),
    Zeros(Attributes),
}

fn eager(region: &Region) -> Eager {
    match *region.kind() {
        Kind::Fixed { first, memory_type } | Kind::Dma { first, memory_type } => {
            let attributes = Attributes::new(region.rights()).with_type(memory_type);
            Eager::Frames(first, attributes)
        }
        Kind::Object {
            object,
            offset_pages,
        } => {
            let is_shared = region.sharing() == Sharing::Shared;
            let is_written = is_shared && region.rights().contains(Rights::WRITE);
            Eager::Object(object, offset_pages, is_written)
        }
        _ => committed(region).map_or(Eager::Nothing, Eager::Zeros),
    }
}

/// Returns how a region shows the frames that all its pages have, if they do.
pub(super) fn committed(region: &Region) -> Option<Attributes> {
    let is_committed = matches!(
        region.kind(),
        Kind::Anonymous {
            commitment: Commitment::Committed,
        }
    );
    is_committed.then(|| owned(region.rights()))
}

/// Refuses to share a space's own zeros (S4), and rings that are not shared: both halves show the same frames.
fn check_sharing(request: &Request) -> Result<(), ReserveError> {
    let wanted = match request.kind {
        Kind::Fixed { .. } | Kind::Object { .. } => return Ok(()),
        Kind::Ring | Kind::Dma { .. } => Sharing::Shared,
        Kind::Anonymous { .. } | Kind::Guarded(_) | Kind::Stack | Kind::Heap => Sharing::Private,
    };
    if request.sharing == wanted {
        Ok(())
    } else {
        Err(ReserveError::Sharing)
    }
}

/// Returns what the entry of a page's own frame says.
pub(super) const fn owned(rights: Rights) -> Attributes {
    Attributes::new(rights).with_marks(Marks::OWNED)
}

/// Returns the object that a part of a region shows, and from which page of it on.
pub(super) fn mapping_of(region: &Region, part: PageRange) -> Option<(ObjectId, u64)> {
    match *region.kind() {
        Kind::Object {
            object,
            offset_pages,
        } => {
            let before = part.start().number() - region.range().start().number();
            Some((object, offset_pages + before))
        }
        _ => None,
    }
}

/// Counts one page less that shows a frame.
pub(super) fn uncount<H: FrameMemory>(pool: &FramePool<H>, frame: Frame) {
    pool.remove_mapping(frame)
        .unwrap_or_else(|error| panic!("S3: a page showed the frame: {error}"));
}

/// Zeroed frames, counted as shown once.
struct Zeroed<H: FrameMemory + 'static>(&'static FramePool<H>);

impl<H: FrameMemory> PageFrames for Zeroed<H> {
    fn take(&mut self, _page: Page) -> Option<Frame> {
        self.0
            .allocate_zeroed(Use::User)
            .ok()
            .map(OwnedFrame::into_entry)
    }

    fn take_back(&mut self, _page: Page, frame: Frame) {
        uncount(self.0, frame);
    }
}
