//! Stories about memory, told once, and true on every machine: host tests tell them to the simulator, tests inside the kernel
//! to the real one.
//!
//! A story gets a [`Stage`], uses only the pages that this offers, and leaves as many free frames as it found.

use super::address::VirtAddr;
use super::machine::Machine;
use super::page::{Frame, FrameRange, PAGE_SIZE, Page, PageRange, PageSize, Rights};
use super::table::entry::{Attributes, Change, Marks};
use super::table::error::MapError;
use super::table::{PageTable, TableFrames};

/// The processor refused an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused;

/// A machine that a story can be told to.
pub(crate) trait Stage {
    /// Its hardware.
    type M: Machine;
    /// Its frames.
    type F: TableFrames;

    /// Returns the hardware.
    fn machine(&self) -> &Self::M;

    /// Returns where tables get their frames.
    fn frames(&self) -> &Self::F;

    /// Returns the page from which on 2 GiB of the lower half are unused in the active root. It is a multiple of 1 GiB.
    fn unused(&self) -> Page;

    /// Takes a frame for a page.
    fn take_frame(&self) -> Frame;

    /// Gives a frame back.
    fn give_back_frame(&self, frame: Frame);

    /// Returns how many frames are free.
    fn count_free(&self) -> usize;

    /// Activates a root that shares the upper half with the active one.
    fn activate(&self, table: &PageTable<'_, Self::M, Self::F>);

    /// Reads eight bytes as the kernel does.
    fn read(&self, address: VirtAddr) -> Result<u64, Refused>;

    /// Writes eight bytes as the kernel does.
    fn write(&self, address: VirtAddr, value: u64) -> Result<(), Refused>;
}

type Table<'a, S> = PageTable<'a, <S as Stage>::M, <S as Stage>::F>;

/// A story with its name.
pub(crate) type Story<S> = (&'static str, fn(&S));

/// Returns all stories.
pub(crate) fn all<S: Stage>() -> [Story<S>; 7] {
    [
        (
            "a page is there from mapping to unmapping",
            a_page_is_there_from_mapping_to_unmapping,
        ),
        (
            "a right that is taken is gone at once",
            a_right_that_is_taken_is_gone_at_once,
        ),
        (
            "a page whose tables went gets new ones",
            a_page_whose_tables_went_gets_new_ones,
        ),
        (
            "a reserved range reads as zeros",
            a_reserved_range_reads_as_zeros,
        ),
        (
            "shared pages are copied by their first write",
            shared_pages_are_copied_by_their_first_write,
        ),
        (
            "a root is filled while it is not active",
            a_root_is_filled_while_it_is_not_active,
        ),
        (
            "a failed mapping leaves nothing behind",
            a_failed_mapping_leaves_nothing_behind,
        ),
    ]
}

/// Tells a story, and checks that it lost no frame.
pub(crate) fn tell<S: Stage>(stage: &S, (name, story): Story<S>) {
    let before = stage.count_free();
    story(stage);
    assert_eq!(stage.count_free(), before, "{name}: frames were lost");
}

fn active<S: Stage>(stage: &S) -> Table<'_, S> {
    PageTable::at(stage.machine(), stage.frames(), stage.machine().active())
}

fn page<S: Stage>(stage: &S, number: u64) -> Page {
    stage
        .unused()
        .checked_add(number)
        .expect("2 GiB are unused")
}

fn map<S: Stage>(table: &mut Table<'_, S>, page: Page, frame: Frame, rights: Rights) {
    table
        .map(
            page,
            FrameRange::one(frame),
            Attributes::new(rights),
            PageSize::Kib4,
        )
        .unwrap_or_else(|error| panic!("{error}"));
}

/// Unmaps a page and gives its frame back.
fn free<S: Stage>(stage: &S, table: &mut Table<'_, S>, page: Page) {
    let leaf = table
        .unmap(page)
        .unwrap_or_else(|error| panic!("{error}"))
        .flush();
    stage.give_back_frame(leaf.frame);
}

fn a_page_is_there_from_mapping_to_unmapping<S: Stage>(stage: &S) {
    let mut table = active(stage);
    let at = page(stage, 0);
    assert_eq!(stage.read(at.start()), Err(Refused));

    map::<S>(&mut table, at, stage.take_frame(), Rights::READ_WRITE);
    assert_eq!(stage.write(at.start(), 7), Ok(()));
    assert_eq!(stage.read(at.start()), Ok(7));
    free(stage, &mut table, at);

    assert_eq!(stage.read(at.start()), Err(Refused));
}

fn a_right_that_is_taken_is_gone_at_once<S: Stage>(stage: &S) {
    let mut table = active(stage);
    let at = page(stage, 0);
    map::<S>(&mut table, at, stage.take_frame(), Rights::READ_WRITE);
    assert_eq!(stage.write(at.start(), 7), Ok(()));

    for (rights, read, write) in [
        (Rights::READ, Ok(7), Err(Refused)),
        (Rights::empty(), Err(Refused), Err(Refused)),
        (Rights::READ_WRITE, Ok(7), Ok(())),
    ] {
        let stale = table.protect(PageRange::one(at), rights);
        assert_eq!(stale.map(super::table::stale::Stale::flush), Ok(1));
        assert_eq!(
            (stage.read(at.start()), stage.write(at.start(), 7)),
            (read, write)
        );
    }
    free(stage, &mut table, at);
}

fn a_page_whose_tables_went_gets_new_ones<S: Stage>(stage: &S) {
    let mut table = active(stage);
    let at = page(stage, 0);
    for value in 0..4 {
        map::<S>(&mut table, at, stage.take_frame(), Rights::READ_WRITE);
        assert_eq!(stage.write(at.start(), value), Ok(()));
        assert_eq!(stage.read(at.start()), Ok(value));
        // The next tables are other frames than those that go now.
        let other = stage.take_frame();
        free(stage, &mut table, at);
        stage.give_back_frame(other);
    }
}

fn a_reserved_range_reads_as_zeros<S: Stage>(stage: &S) {
    let mut table = active(stage);
    let range = PageRange::new(page(stage, 500), 30);
    table
        .reserve(range, Rights::READ_WRITE)
        .unwrap_or_else(|error| panic!("{error}"));

    for page in range.iter() {
        assert_eq!(stage.read(page.start()), Ok(0));
        assert_eq!(stage.write(page.start(), 1), Err(Refused));
    }

    assert_eq!(table.unmap_range(range, &mut |_| ()), Ok(30));
}

fn shared_pages_are_copied_by_their_first_write<S: Stage>(stage: &S) {
    let mut table = active(stage);
    let [first, second] = [0, 1].map(|number| page(stage, number));
    let [shared, own] = [stage.take_frame(), stage.take_frame()];
    let owned = Attributes::new(Rights::READ_WRITE).with_marks(Marks::OWNED);
    let mapped = table.map(first, FrameRange::one(shared), owned, PageSize::Kib4);
    assert_eq!(mapped, Ok(()));
    assert_eq!(stage.write(first.start(), 7), Ok(()));

    let count = table.change(PageRange::one(first), &Change::share_owned());
    assert_eq!(count.map(super::table::stale::Stale::flush), Ok(1));
    map::<S>(&mut table, second, shared, Rights::READ);
    assert_eq!(stage.write(first.start(), 8), Err(Refused));
    let displaced = table
        .replace(first, own, owned)
        .map(super::table::stale::Stale::flush);
    assert_eq!(
        displaced.map(|leaf| leaf.map(|leaf| leaf.frame)),
        Ok(Some(shared))
    );
    assert_eq!(stage.write(first.start(), 9), Ok(()));

    assert_eq!(
        (stage.read(first.start()), stage.read(second.start())),
        (Ok(9), Ok(7))
    );
    for page in [first, second] {
        free(stage, &mut table, page);
    }
}

fn a_root_is_filled_while_it_is_not_active<S: Stage>(stage: &S) {
    const PAGES: u64 = 1000;
    let kernel = active(stage);
    let mut other = kernel
        .create_sharing()
        .unwrap_or_else(|error| panic!("{error}"));
    let start = page(stage, 300);
    // Values are written through a page of the active root, since the other is not active.
    let mut writer = active(stage);
    let at = page(stage, 0);
    for number in 0..PAGES {
        let frame = stage.take_frame();
        map::<S>(&mut writer, at, frame, Rights::READ_WRITE);
        assert_eq!(stage.write(at.start(), number), Ok(()));
        let _leaf = writer
            .unmap(at)
            .unwrap_or_else(|error| panic!("{error}"))
            .flush();
        map::<S>(&mut other, page(stage, 300 + number), frame, Rights::READ);
    }

    assert_eq!(stage.read(start.start()), Err(Refused));
    stage.activate(&other);
    for number in 0..PAGES {
        let address = VirtAddr::new(start.start().as_u64() + number * PAGE_SIZE);
        assert_eq!(stage.read(address), Ok(number));
    }
    stage.activate(&kernel);
    assert_eq!(stage.read(start.start()), Err(Refused));

    let freed = other.destroy(&mut |run| {
        run.frames()
            .iter()
            .for_each(|frame| stage.give_back_frame(frame));
    });
    assert!(freed.is_ok(), "it is not active");
}

fn a_failed_mapping_leaves_nothing_behind<S: Stage>(stage: &S) {
    let mut table = active(stage);
    let blocker = page(stage, 515);
    map::<S>(&mut table, blocker, stage.take_frame(), Rights::READ);
    let before = stage.count_free();

    let range = PageRange::new(page(stage, 500), 30);
    let refused = table.reserve(range, Rights::READ);

    assert_eq!(refused, Err(MapError::AlreadyMapped(blocker)));
    assert_eq!(stage.count_free(), before);
    assert!(
        range
            .iter()
            .all(|page| page == blocker || stage.read(page.start()) == Err(Refused))
    );
    free(stage, &mut table, blocker);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::sim::{Ring, Sim, SimFrames};

    struct OnSim<'a> {
        sim: &'a Sim,
        frames: SimFrames<'a>,
    }

    #[allow(
        unsafe_code,
        reason = "nothing of the host runs by the tables of the simulator"
    )]
    impl<'a> Stage for OnSim<'a> {
        type M = Sim;
        type F = SimFrames<'a>;

        fn machine(&self) -> &Sim {
            self.sim
        }

        fn frames(&self) -> &SimFrames<'a> {
            &self.frames
        }

        fn unused(&self) -> Page {
            Page::containing(VirtAddr::new(0x4000_0000_0000))
        }

        fn take_frame(&self) -> Frame {
            self.frames.take_any().expect("there are frames")
        }

        fn give_back_frame(&self, frame: Frame) {
            self.frames.give_back_any(frame);
        }

        fn count_free(&self) -> usize {
            self.frames.count_free()
        }

        fn activate(&self, table: &PageTable<'_, Sim, SimFrames<'a>>) {
            // SAFETY:
            // 1. The simulated CPU runs no code.
            // 2. Stories destroy no active root.
            unsafe { self.sim.activate(table.root()) }
        }

        fn read(&self, address: VirtAddr) -> Result<u64, Refused> {
            self.sim.read(address, Ring::Kernel).map_err(|_| Refused)
        }

        fn write(&self, address: VirtAddr, value: u64) -> Result<(), Refused> {
            self.sim
                .write(address, value, Ring::Kernel)
                .map_err(|_| Refused)
        }
    }

    /// Proves M122.
    #[test]
    fn every_story_is_true_on_the_simulator() {
        let sim = Sim::new(1200);
        let stage = OnSim {
            sim: &sim,
            frames: SimFrames::new(&sim),
        };
        stage.frames.reserve_zero();
        let table = PageTable::create_first(&sim, &stage.frames).expect("there are frames");
        stage.activate(&table);

        for story in all::<OnSim<'_>>() {
            tell(&stage, story);
        }
    }
}
