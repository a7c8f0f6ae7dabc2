//! A space like another one: private pages are copied, at once or with the first write; shared ones show the same.
//!
//! | region | by copy-on-write | eagerly |
//! |---|---|---|
//! | private, own frames | both sides show them read-only, counted once more | copied |
//! | private, frames of an object | both sides show them read-only, counted once more | the child looks again |
//! | shared, of an object | the child looks again | the child looks again |
//! | a ring | the same frames, of which it gets all now | the same frames, of which it gets all now |
//! | shared, others | the same frames | the same frames |
//! | a runtime's heap | refused | refused |
//!
//! The new space is nobody's until all is done. If something fails it is dropped like any other, and the old one is as before:
//! its pages lose the right to write last, when nothing can fail any more.

use alloc::sync::Arc;

use super::reserve::{Counted, mapping_of, uncount};
use super::{AddressSpace, ForkError, Locked, SpaceError};
use crate::memory::frame::{FrameMemory, FramePool, Use};
use crate::memory::machine::Machine;
use crate::memory::page::{Frame, Page};
use crate::memory::region::{Content, Kind, Region, Sharing};
use crate::memory::table::entry::{Change, Leaf, Marks};
use crate::memory::table::error::{MapError, OutOfFrames};
use crate::memory::table::runs::Run;
use crate::memory::table::source::{CopyCounts, PageFrames};

/// When private pages are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fork {
    /// With the first write.
    CopyOnWrite,
    /// At once.
    Eager,
}

impl<M: Machine, H: FrameMemory> AddressSpace<M, H> {
    /// Makes a space with the same regions and contents.
    ///
    /// # Errors
    ///
    /// When a region is of one space only, or memory is missing; then this space is as before.
    pub(crate) fn fork(&self, how: Fork) -> Result<Arc<Self>, ForkError> {
        let child = self.memory().create(self)?;
        let (parent, into) = self.lock_pair(&child);
        let mut into = into.expect("S9: a new space has a number of its own");
        let copied = parent.copy_to(&mut into, how);
        if copied.is_ok() && how == Fork::CopyOnWrite {
            parent.share_owned();
        }
        drop((parent, into));
        copied.map(|()| child)
    }
}

impl<M: Machine, H: FrameMemory> Locked<'_, M, H> {
    fn copy_to(&self, child: &mut Self, how: Fork) -> Result<(), ForkError> {
        child
            .regions
            .prepare(self.regions.len())
            .map_err(SpaceError::from)?;
        for region in self.regions.iter().filter(|region| !region.is_locked()) {
            if matches!(region.kind(), Kind::Heap) {
                return Err(ForkError::Untracked(region.range()));
            }
            child.promise_again(region)?;
            self.complete_ring(region)?;
            match (region.sharing(), how) {
                (Sharing::Private, Fork::Eager) => self.copy_frames(child, region)?,
                (Sharing::Shared, _) if matches!(region.kind(), Kind::Object { .. }) => {}
                (sharing, _) => self.copy_entries(child, region, sharing)?,
            }
        }
        Ok(())
    }

    /// Makes the same promise in this space.
    fn promise_again(&mut self, region: &Region) -> Result<(), ForkError> {
        let range = region.range();
        let copy = region.fork().map_err(SpaceError::from)?;
        if let Some((id, offset_pages)) = mapping_of(region, range) {
            let mapping = self.mapping(range, offset_pages);
            self.memory().objects.lock().attach(id, mapping)?;
        }
        let inserted = self.regions.insert(copy);
        assert!(inserted.is_ok(), "S9: room was made in an empty space");
        Ok(())
    }

    /// Gives every page of a ring its frame, so that both spaces show the same also where nobody wrote yet. If the fork fails later,
    /// they stay: they hold zeros, as they did.
    fn complete_ring(&self, region: &Region) -> Result<(), ForkError> {
        for page in region.range().iter() {
            let Content::Twin(twin) = region.content(page) else {
                return Ok(());
            };
            if self.shown(page).is_none() {
                self.show_twin(page, twin, region.rights())
                    .map_err(|_| SpaceError::OutOfFrames)?;
            }
        }
        Ok(())
    }

    /// Shows the same frames in the child, counted once more.
    fn copy_entries(
        &self,
        child: &Self,
        region: &Region,
        sharing: Sharing,
    ) -> Result<(), ForkError> {
        let change = match sharing {
            Sharing::Private => Change::share_owned(),
            Sharing::Shared => Change::NOTHING,
        };
        let mut counts = Counts {
            pool: self.pool(),
            counted: Counted::of(region),
        };
        child
            .tables()
            .copy(&self.tables(), region.range(), change, &mut counts)
            .map_err(no_frames)
    }

    /// Gives the child copies of the frames that this space owns. What it does not own, the child looks up again.
    fn copy_frames(&self, child: &Self, region: &Region) -> Result<(), ForkError> {
        let mut copied = Ok(());
        self.tables().runs(region.range(), &mut |run| {
            let is_owned = run.leaf.attributes.marks().contains(Marks::OWNED);
            if copied.is_ok() && is_owned {
                let mut frames = Copies {
                    pool: self.pool(),
                    run,
                };
                let rights = run.leaf.attributes.with_marks(Marks::OWNED);
                copied = child.tables().fill(run.pages, rights, &mut frames);
            }
        });
        copied.map_err(no_frames)
    }

    /// Takes the right to write from all pages that the child shows as well.
    fn share_owned(&self) {
        for region in self.regions.iter() {
            if region.sharing() == Sharing::Private {
                self.tables()
                    .change(region.range(), &Change::share_owned())
                    .expect("S8: no leaf lies across an end of a region")
                    .flush();
            }
        }
    }
}

fn no_frames(error: MapError) -> ForkError {
    match error {
        MapError::OutOfFrames(_) => ForkError::Space(SpaceError::OutOfFrames),
        other => panic!("S1: a new space shows nothing: {other}"),
    }
}

/// Counts pages of the child.
struct Counts<H: FrameMemory + 'static> {
    pool: &'static FramePool<H>,
    counted: Counted,
}

impl<H: FrameMemory> CopyCounts for Counts<H> {
    fn copied(&mut self, _page: Page, leaf: Leaf) -> Result<(), OutOfFrames> {
        for (done, frame) in frames_of(leaf).enumerate() {
            if self.counted.count(self.pool, frame).is_err() {
                let before = frames_of(leaf).take(done);
                before.for_each(|frame| self.counted.uncount(self.pool, frame));
                return Err(OutOfFrames);
            }
        }
        Ok(())
    }

    fn take_back(&mut self, _page: Page, leaf: Leaf) {
        frames_of(leaf).for_each(|frame| self.counted.uncount(self.pool, frame));
    }
}

fn frames_of(leaf: Leaf) -> impl Iterator<Item = Frame> {
    let first = leaf.frame.number();
    (first..first + leaf.size.pages() as u32).map(Frame::new)
}

/// Copies of the frames of a run.
struct Copies<H: FrameMemory + 'static> {
    pool: &'static FramePool<H>,
    run: Run,
}

impl<H: FrameMemory> PageFrames for Copies<H> {
    fn take(&mut self, page: Page) -> Option<Frame> {
        let from = self.run.frame(page)?;
        let copy = self.pool.allocate_copy(from, Use::User).ok()?;
        Some(copy.into_entry())
    }

    fn take_back(&mut self, _page: Page, frame: Frame) {
        uncount(self.pool, frame);
    }
}
