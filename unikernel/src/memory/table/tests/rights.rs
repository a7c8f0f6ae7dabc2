//! What may be done with a page is what was said, whoever asks the machine.

use super::super::entry::{Change, Marks};
use super::super::error::{AttributesError, ChangeError, MapError};
use super::*;
use crate::memory::page::{MemoryType, PAGE_SIZE};
use crate::memory::sim::{Cause, Ring};

/// Proves M19: of every combination of rights, in both rings.
#[test]
fn the_machine_allows_what_the_rights_say_and_nothing_else() {
    let sim = Sim::new(16);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let frame = frame_with(&sim, &frames, 7);
    let at = VirtAddr::new(LOW);

    for rights in (0..16).map(Rights::from_bits_truncate) {
        if !rights.contains(Rights::READ) && !Rights::USER.contains(rights) {
            continue;
        }
        map_one(&mut table, page(LOW), frame, Attributes::new(rights));
        for ring in [Ring::Kernel, Ring::User] {
            let needed = if ring == Ring::User {
                Rights::USER
            } else {
                Rights::empty()
            };
            let allowed = |right| rights.contains(Rights::READ | needed | right);
            assert_eq!(
                sim.read(at, ring).is_ok(),
                allowed(Rights::READ),
                "{rights} {ring:?}"
            );
            assert_eq!(
                sim.write(at, 7, ring).is_ok(),
                allowed(Rights::WRITE),
                "{rights} {ring:?}"
            );
            assert_eq!(
                sim.execute(at, ring).is_ok(),
                allowed(Rights::EXECUTE),
                "{rights} {ring:?}"
            );
        }
        let _leaf = table.unmap(page(LOW)).expect("it is mapped").flush();
    }
}

/// Proves M20, M123: in gopher-os, tables never let ring 3 through.
#[test]
fn the_way_to_a_leaf_lets_through_what_any_leaf_below_needs() {
    let sim = Sim::new(16);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let frame = frame_with(&sim, &frames, 7);
    let user_code = Attributes::new(Rights::READ_EXECUTE | Rights::USER);
    map_one(&mut table, page(LOW), frame, READ);
    map_one(&mut table, page(LOW + PAGE_SIZE), frame, READ_WRITE);

    map_one(&mut table, page(LOW + 2 * PAGE_SIZE), frame, user_code);

    check(&table, &frames);
    let at = |number| VirtAddr::new(LOW + number * PAGE_SIZE);
    assert_eq!(sim.execute(at(2), Ring::User), Ok(()));
    assert_eq!(sim.write(at(1), 7, Ring::Kernel), Ok(()));
    for fault in [
        sim.read(at(0), Ring::User).err(),
        sim.write(at(0), 7, Ring::Kernel).err(),
        sim.execute(at(1), Ring::Kernel).err(),
        sim.write(at(2), 7, Ring::Kernel).err(),
    ] {
        assert_eq!(fault.map(|fault| fault.cause), Some(Cause::Forbidden));
    }
}

/// Proves M20: a right that is given later widens the way too, and the machine notices.
#[test]
fn giving_a_right_widens_the_way() {
    let sim = Sim::new(16);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let frame = frame_with(&sim, &frames, 7);
    let at = VirtAddr::new(LOW);
    map_one(&mut table, page(LOW), frame, READ);
    assert_eq!(sim.read(at, Ring::Kernel), Ok(7));

    let all = Rights::READ_WRITE | Rights::USER;
    assert_eq!(
        table.protect(pages(LOW, 1), all).expect("no split").flush(),
        1
    );

    check(&table, &frames);
    assert_eq!(sim.write(at, 8, Ring::User), Ok(()));
}

/// Proves M21.
#[test]
fn writable_and_copy_on_write_together_are_refused() {
    let sim = Sim::new(16);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let frame = frame_with(&sim, &frames, 7);
    let before = frames.count_free();

    let both = READ_WRITE.with_marks(Marks::COPY_ON_WRITE);
    let refused = table.map(page(LOW), FrameRange::one(frame), both, PageSize::Kib4);

    let error = AttributesError::WritableCopyOnWrite;
    assert_eq!(refused, Err(MapError::Attributes(page(LOW), error)));
    assert_eq!(frames.count_free(), before);
}

#[test]
fn rights_that_no_leaf_can_say_are_refused() {
    let sim = Sim::new(16);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let frame = FrameRange::one(frame_with(&sim, &frames, 7));

    for rights in [Rights::WRITE, Rights::EXECUTE, Rights::WRITE | Rights::USER] {
        let error = AttributesError::Unreadable(rights);
        let refused = table.map(page(LOW), frame, Attributes::new(rights), PageSize::Kib4);
        assert_eq!(refused, Err(MapError::Attributes(page(LOW), error)));
        let refused = table.protect(pages(LOW, 1), rights).err();
        assert_eq!(refused, Some(ChangeError::Attributes(page(LOW), error)));
    }
}

/// Proves T6.
#[test]
fn the_upper_half_is_never_for_ring_3() {
    let sim = Sim::new(16);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let frame = FrameRange::one(frame_with(&sim, &frames, 7));
    let rights = Rights::READ | Rights::USER;

    let refused = table.map(page(HIGH), frame, Attributes::new(rights), PageSize::Kib4);

    let error = AttributesError::UserInUpperHalf;
    assert_eq!(refused, Err(MapError::Attributes(page(HIGH), error)));
    let refused = table.protect(pages(HIGH, 1), rights).err();
    assert_eq!(refused, Some(ChangeError::Attributes(page(HIGH), error)));
}

/// Proves M48 as far as tables go, M123: MOS could not take the right to read.
#[test]
fn taking_the_right_to_read_keeps_the_page_for_later() {
    let sim = Sim::new(32);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let frame = frame_with(&sim, &frames, 7);
    let at = VirtAddr::new(LOW);
    map_one(&mut table, page(LOW), frame, READ_WRITE);
    assert_eq!(sim.read(at, Ring::Kernel), Ok(7));

    assert_eq!(
        table
            .protect(pages(LOW, 1), Rights::empty())
            .expect("no split")
            .flush(),
        1
    );

    check(&table, &frames);
    assert_eq!(
        sim.read(at, Ring::Kernel).map_err(|fault| fault.cause),
        Err(Cause::NotPresent)
    );
    assert_eq!(table.translate(at), None);
    let taken = table.map(page(LOW), FrameRange::one(frame), READ, PageSize::Kib4);
    assert_eq!(taken, Err(MapError::AlreadyMapped(page(LOW))));
    assert_eq!(
        table
            .protect(pages(LOW, 1), Rights::READ)
            .expect("no split")
            .flush(),
        1
    );
    assert_eq!(sim.read(at, Ring::Kernel), Ok(7));
}

/// Proves M48: a page without rights is unmapped like any other, and its frame comes out.
#[test]
fn a_withdrawn_page_can_be_unmapped() {
    let sim = Sim::new(32);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let before = frames.count_free();
    for number in 0..3 {
        let none = Attributes::new(Rights::empty());
        map_one(
            &mut table,
            page(LOW + number * PAGE_SIZE),
            Frame::new(FAR),
            none,
        );
    }

    let leaf = table.unmap(page(LOW)).expect("it is there").flush();
    let mut rights = Vec::new();
    let rest = table.unmap_range(pages(LOW, 3), &mut |run| {
        rights.push(run.leaf.attributes.rights())
    });

    assert_eq!((leaf.frame, rest), (Frame::new(FAR), Ok(2)));
    assert_eq!(rights, [Rights::empty(); 2]);
    assert_eq!(frames.count_free(), before);
}

/// Proves M109, M110, M114.
#[test]
fn write_combining_falls_back_where_there_is_no_attribute_table() {
    let sim = Sim::new(32);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let attributes = READ_WRITE.with_type(MemoryType::WriteCombining);
    map_one(&mut table, page(LOW), Frame::new(FAR), attributes);

    sim.has_attribute_table.set(false);
    map_one(
        &mut table,
        page(LOW + PAGE_SIZE),
        Frame::new(FAR),
        attributes,
    );

    let types = [0, PAGE_SIZE].map(|offset| {
        table
            .query(page(LOW + offset))
            .map(|(_, leaf)| leaf.attributes.memory_type())
    });
    assert_eq!(
        types,
        [
            Some(MemoryType::WriteCombining),
            Some(MemoryType::UncachedMinus)
        ]
    );
}

/// Proves M33 for the dirty bit: cleaning is noticed, so that the next write is.
#[test]
fn a_cleaned_page_tells_whether_it_is_written_again() {
    let sim = Sim::new(32);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let frame = frame_with(&sim, &frames, 7);
    let at = VirtAddr::new(LOW);
    map_one(&mut table, page(LOW), frame, READ_WRITE);
    let is_dirty = |table: &Table<'_>| {
        let (_, leaf) = table.query(page(LOW)).expect("it is mapped");
        leaf.touched.contains(super::super::entry::Touched::DIRTY)
    };
    assert_eq!(sim.write(at, 1, Ring::Kernel), Ok(()));
    assert!(is_dirty(&table));

    assert_eq!(
        table
            .change(pages(LOW, 1), &Change::clean())
            .expect("no split")
            .flush(),
        1
    );

    assert!(!is_dirty(&table));
    assert_eq!(sim.write(at, 2, Ring::Kernel), Ok(()));
    assert!(is_dirty(&table));
}
