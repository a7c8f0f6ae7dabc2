//! Whether promises, tables, objects and counts agree: the invariants S1 to S5, recounted from nothing. For tests, and for the
//! moment when something is strange.

use alloc::collections::BTreeMap;

use super::reserve::{Counted, mapping_of};
use super::{AddressSpace, Memory};
use crate::memory::frame::FrameMemory;
use crate::memory::machine::Machine;
use crate::memory::page::{Frame, PageRange, Rights};
use crate::memory::region::{Content, Counters, Kind, Region, Sharing};
use crate::memory::table::entry::Marks;
use crate::memory::table::runs::Run;

/// How often frames are used, as it was counted anew.
type Uses = BTreeMap<Frame, u32>;

impl<M: Machine, H: FrameMemory> Memory<M, H> {
    /// Checks everything that spaces and objects promise each other.
    ///
    /// # Panics
    ///
    /// With the invariant that is broken.
    pub(crate) fn check_invariants(&self) {
        let mut uses = Uses::new();
        for space in self.spaces() {
            space.check(&mut uses);
        }
        self.with_objects(|objects| {
            objects.check_invariants();
            for frame in objects.frames() {
                *uses.entry(frame).or_default() += 1;
            }
        });
        for (frame, count) in uses {
            let counted = self.pool.map_count(frame);
            assert_eq!(counted, Ok(count), "S3: {frame} is used {count} times");
        }
        self.pool.check_invariants();
        self.check_unlocked();
    }

    /// Checks that nobody holds a lock, as between two operations of one CPU.
    pub(super) fn check_unlocked(&self) {
        let is_free = self.objects.try_lock().is_some()
            && self.spaces.try_lock().is_some()
            && self
                .current
                .iter()
                .all(|current| current.try_lock().is_some())
            && self
                .spaces()
                .all(|space| space.regions.try_lock().is_some());
        assert!(is_free, "S10: a lock was kept");
    }
}

impl<M: Machine, H: FrameMemory> AddressSpace<M, H> {
    /// Checks one space, and adds the frames that it shows.
    fn check(&self, uses: &mut Uses) {
        let zero = self
            .memory()
            .pool
            .zero_frame()
            .ok()
            .map(|zero| zero.frame());
        self.inspect(|regions, tables| {
            regions.check_invariants();
            for region in regions.iter() {
                let range = region.range();
                tables.runs(range, &mut |run| {
                    check_run(region, &run, zero);
                    let is_counted = Counted::of(region) != Counted::Nothing;
                    for frame in run.frames().iter().filter(|&frame| Some(frame) != zero) {
                        let is_managed = self.memory().pool.map_count(frame).is_ok();
                        if is_counted && is_managed {
                            *uses.entry(frame).or_default() += 1;
                        }
                    }
                });
                self.check_known(region);
            }
            if !self.is_kernel() {
                tables.check_invariants(&mut |_| {});
            }
        });
        self.check_nothing_between();
    }

    /// Checks S1, except in the kernel's space, where pages can be mapped without a region.
    fn check_nothing_between(&self) {
        let mut in_regions = 0;
        let mut in_all = 0;
        self.inspect(|regions, tables| {
            for region in regions.iter() {
                tables.runs(region.range(), &mut |run| in_regions += run.pages.len());
            }
            tables.runs(regions.bounds(), &mut |run| in_all += run.pages.len());
        });
        assert!(
            self.is_kernel() || in_regions == in_all,
            "S1: {} pages show something that nobody promised",
            in_all - in_regions
        );
    }

    /// Checks S5.
    fn check_known(&self, region: &Region) {
        let Some((object, offset_pages)) = mapping_of(region, region.range()) else {
            return;
        };
        let known: u64 = self.memory().with_objects(|objects| {
            let parts = objects.mappings(object).filter_map(|mapping| {
                let part = mapping.pages.intersection(region.range())?;
                let shown = |pages: PageRange, offset: u64| {
                    offset + part.start().number() - pages.start().number()
                };
                let is_same = shown(mapping.pages, mapping.offset_pages)
                    == shown(region.range(), offset_pages);
                (mapping.space == self.number() && is_same).then_some(part.len())
            });
            parts.sum()
        });
        let range = region.range();
        assert_eq!(
            known,
            range.len(),
            "S5: pages of {range:?} that {object} knows"
        );
    }

    /// Returns how many pages of a region are what: its own, those of an object, and those to be copied before they are written.
    pub(crate) fn counters(&self, start: crate::memory::page::Page) -> Option<Counters> {
        self.inspect(|regions, tables| {
            let region = regions.find(start)?;
            let mut counters = Counters::default();
            tables.runs(region.range(), &mut |run| {
                count_run(&mut counters, region, &run);
            });
            Some(counters)
        })
    }
}

/// Adds a run to the counters: seeds' table of private and shared, read and written pages.
pub(super) fn count_run(counters: &mut Counters, region: &Region, run: &Run) {
    let pages = run.pages.len();
    let marks = run.leaf.attributes.marks();
    let is_object = matches!(region.kind(), Kind::Object { .. });
    if is_object && !marks.contains(Marks::OWNED) {
        counters.cached += pages;
    }
    if marks.contains(Marks::COPY_ON_WRITE) {
        counters.copy_on_write += pages;
    } else {
        counters.regular += pages;
    }
}

/// Checks S2 and S4, and that guards show nothing.
fn check_run(region: &Region, run: &Run, zero: Option<Frame>) {
    let (attributes, range) = (run.leaf.attributes, region.range());
    let (rights, marks) = (attributes.rights(), attributes.marks());
    let allowed = region.rights() | Rights::READ;
    assert!(
        allowed.contains(rights),
        "S2: {run:?} allows more than {range:?}"
    );
    let is_private = region.sharing() == Sharing::Private;
    assert!(
        is_private || !marks.contains(Marks::OWNED),
        "S4: {run:?} is owned in {range:?}, which is shared"
    );
    let is_zero = Some(run.leaf.frame) == zero;
    assert!(
        is_private || is_zero || !marks.contains(Marks::COPY_ON_WRITE),
        "S4: {run:?} would be copied in {range:?}, which is shared"
    );
    for page in ends(run.pages) {
        let is_guard = matches!(region.content(page), Content::Nothing(_));
        assert!(!is_guard, "S1: {page:?} is a guard and shows something");
    }
}

fn ends(pages: PageRange) -> impl Iterator<Item = crate::memory::page::Page> {
    [Some(pages.start()), pages.last()].into_iter().flatten()
}
