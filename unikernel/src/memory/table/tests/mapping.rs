//! One page: what is mapped is found, by the functions and by the walker of the machine.

use super::super::entry::Marks;
use super::super::error::{MapError, UnmapError};
use super::*;
use crate::memory::machine::SelfMap;
use crate::memory::page::{Level, PAGE_SIZE};
use crate::memory::sim::Ring;

/// Proves M17, M22.
#[test]
fn a_mapped_page_is_read_and_written_through_its_address() {
    let sim = Sim::new(16);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let frame = frame_with(&sim, &frames, 7);

    map_one(&mut table, page(LOW), frame, READ_WRITE);

    assert_eq!(sim.read(VirtAddr::new(LOW), Ring::Kernel), Ok(7));
    assert_eq!(sim.write(VirtAddr::new(LOW + 8), 9, Ring::Kernel), Ok(()));
    assert_eq!(sim.word(frame, 1), 9);
    check(&table, &frames);
}

/// Proves M24.
#[test]
fn unmapping_gives_the_frame_and_every_empty_table_back() {
    let sim = Sim::new(16);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let frame = frame_with(&sim, &frames, 7);
    let before = frames.count_free();
    map_one(&mut table, page(LOW), frame, READ_WRITE);
    assert_eq!(frames.count_free(), before - 3);

    let leaf = table.unmap(page(LOW)).expect("it is mapped").flush();

    assert_eq!((leaf.frame, leaf.attributes), (frame, READ_WRITE));
    assert_eq!(frames.count_free(), before);
    assert_eq!(
        table.unmap(page(LOW)).err(),
        Some(UnmapError::NotMapped(page(LOW)))
    );
    check(&table, &frames);
}

/// Proves M24: tables with other pages stay, those without go.
#[test]
fn only_tables_without_any_page_are_given_back() {
    let sim = Sim::new(16);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let neighbours = [LOW, LOW + PAGE_SIZE, LOW + (1 << 21), LOW + (1 << 30)];
    let before = frames.count_free();
    for at in neighbours {
        map_one(&mut table, page(at), Frame::new(FAR), READ);
    }
    let with_all = check(&table, &frames);

    let freed = neighbours.map(|at| {
        let _leaf = table.unmap(page(at)).expect("it is mapped").flush();
        with_all - check(&table, &frames)
    });

    assert_eq!(freed, [0, 1, 3, 6]);
    assert_eq!(frames.count_free(), before);
}

/// Proves M23, M123: gopher-os replaced what was there without a word.
#[test]
fn mapping_over_a_page_is_an_error_unless_asked_for() {
    let sim = Sim::new(16);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let [old, new] = [1, 2].map(|value| frame_with(&sim, &frames, value));
    map_one(&mut table, page(LOW), old, READ_WRITE);

    let refused = table.map(page(LOW), FrameRange::one(new), READ, PageSize::Kib4);
    assert_eq!(refused, Err(MapError::AlreadyMapped(page(LOW))));
    assert_eq!(sim.read(VirtAddr::new(LOW), Ring::Kernel), Ok(1));

    let displaced = table
        .replace(page(LOW), new, READ)
        .expect("there are frames")
        .flush();
    assert_eq!(displaced.map(|leaf| leaf.frame), Some(old));
    assert_eq!(sim.read(VirtAddr::new(LOW), Ring::Kernel), Ok(2));
}

/// Proves M23, M123: in MOS, replacing a frame by itself was a panic.
#[test]
fn replacing_a_frame_by_itself_changes_its_attributes() {
    let sim = Sim::new(16);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let frame = frame_with(&sim, &frames, 1);
    map_one(
        &mut table,
        page(LOW),
        frame,
        READ.with_marks(Marks::COPY_ON_WRITE),
    );
    assert_eq!(sim.read(VirtAddr::new(LOW), Ring::Kernel), Ok(1));

    let displaced = table
        .replace(page(LOW), frame, READ_WRITE)
        .expect("there are frames")
        .flush();

    assert_eq!(displaced.map(|leaf| leaf.frame), Some(frame));
    assert_eq!(sim.write(VirtAddr::new(LOW), 5, Ring::Kernel), Ok(()));
    check(&table, &frames);
}

/// Proves M27: the pages that show tables are nobody's to map.
#[test]
fn the_self_slot_cannot_be_mapped_unmapped_or_changed() {
    let sim = Sim::new(32);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let huge = FrameRange::new(Frame::new(1 << 18), 1 << 18);
    table
        .map(page(HIGH), huge, READ, PageSize::Gib1)
        .expect("there are frames");
    map_one(&mut table, page(HIGH + (1 << 30)), Frame::new(FAR), READ);
    let map = SelfMap::new(510);
    let shown = [Level::One, Level::Two, Level::Three]
        .map(|level| map.table(level, page(HIGH + (1 << 30))));
    let inside_huge = map
        .table(Level::Two, page(HIGH))
        .checked_add(1)
        .expect("inside");

    for shown in shown.into_iter().chain([inside_huge]) {
        let frame = Frame::new(FAR);
        let refused = table.map(shown, FrameRange::one(frame), READ, PageSize::Kib4);
        assert_eq!(refused, Err(MapError::SelfSlot(shown)));
        let refused = table.replace(shown, frame, READ).err();
        assert_eq!(refused, Some(MapError::SelfSlot(shown)));
        let absent = UnmapError::NotMapped(shown);
        assert_eq!(table.unmap(shown).err(), Some(absent));
        assert_eq!(table.query(shown), None);
        let changed = table.protect(PageRange::one(shown), Rights::empty());
        assert_eq!(changed.expect("no split").flush(), 0);
    }
    check(&table, &frames);
    let everything = PageRange::new(page(HIGH), 1 << 35);
    assert_eq!(
        table.unmap_range(everything, &mut |_| ()),
        Ok((1 << 18) + 1)
    );
    check(&table, &frames);
}

/// Proves M17: at most two tables are visible at a time.
#[test]
fn two_windows_are_enough() {
    let sim = Sim::new(64);
    let frames = SimFrames::new(&sim);
    let kernel = kernel(&sim, &frames);
    let mut other = kernel.create_sharing().expect("there are frames");
    let run = FrameRange::new(Frame::new(1 << 18), 1 << 18);

    other
        .map(page(LOW), run, READ, PageSize::Gib1)
        .expect("there are frames");
    let _leaf = other.unmap(page(LOW)).expect("there are frames").flush();
    assert_eq!(
        other.unmap_range(pages(LOW, 1 << 18), &mut |_| ()),
        Ok((1 << 18) - 1)
    );
    check(&other, &frames);

    assert!(sim.most_open() <= 2, "{} were open", sim.most_open());
}
