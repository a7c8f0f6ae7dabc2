//! Several roots: what they share, what they do not, and what becomes of their frames.

use std::collections::BTreeMap;

use super::super::entry::{Change, Leaf, Marks};
use super::super::error::{MapError, OutOfFrames};
use super::super::source::CopyCounts;
use super::*;
use crate::memory::page::{MemoryType, PAGE_SIZE};
use crate::memory::sim::Ring;

const AT: VirtAddr = VirtAddr::new(LOW);
const OWNED: Attributes = READ_WRITE.with_marks(Marks::OWNED);

/// Proves M17, M123: gopher-os went by the physical address of the active root, and flushed that.
#[test]
fn editing_an_inactive_root_leaves_the_active_one_alone() {
    let sim = Sim::new(64);
    let frames = SimFrames::new(&sim);
    let mut active = kernel(&sim, &frames);
    let mut other = active.create_sharing().expect("there are frames");
    map_one(&mut active, page(LOW), frame_with(&sim, &frames, 1), READ);
    assert_eq!(sim.read(AT, Ring::Kernel), Ok(1));

    map_one(
        &mut other,
        page(LOW),
        frame_with(&sim, &frames, 2),
        READ_WRITE,
    );
    map_one(
        &mut other,
        page(LOW + PAGE_SIZE),
        frame_with(&sim, &frames, 3),
        READ_WRITE,
    );
    let _leaf = other
        .unmap(page(LOW + PAGE_SIZE))
        .expect("it is mapped")
        .flush();

    assert_eq!(sim.read(AT, Ring::Kernel), Ok(1));
    assert!(
        sim.read(VirtAddr::new(LOW + PAGE_SIZE), Ring::Kernel)
            .is_err()
    );
    activate(&sim, &other);
    assert_eq!(sim.read(AT, Ring::Kernel), Ok(2));
    for table in [&active, &other] {
        check(table, &frames);
    }
}

/// Proves M17, M39: the story of the issue.
#[test]
fn a_root_is_built_filled_activated_and_destroyed_without_a_frame_lost() {
    let sim = Sim::new(1200);
    let frames = SimFrames::new(&sim);
    let kernel = kernel(&sim, &frames);
    let before = frames.count_free();
    let mut other = kernel.create_sharing().expect("there are frames");
    for number in 0..1000 {
        map_one(
            &mut other,
            page(LOW + number * PAGE_SIZE),
            frame_with(&sim, &frames, number),
            OWNED,
        );
    }

    activate(&sim, &other);
    for number in 0..1000 {
        let at = VirtAddr::new(LOW + number * PAGE_SIZE);
        assert_eq!(sim.read(at, Ring::Kernel), Ok(number));
    }
    activate(&sim, &kernel);
    let freed = other.destroy(&mut |run| {
        run.frames()
            .iter()
            .for_each(|frame| frames.give_back_any(frame))
    });

    assert!(freed.is_ok());
    assert_eq!(frames.count_free(), before);
    check(&kernel, &frames);
}

/// Proves M38.
#[test]
fn what_is_mapped_in_the_upper_half_later_appears_in_every_root() {
    let sim = Sim::new(64);
    let frames = SimFrames::new(&sim);
    let mut first = kernel(&sim, &frames);
    let mut others: Vec<_> = (0..3)
        .map(|_| first.create_sharing().expect("there are frames"))
        .collect();

    map_one(
        &mut first,
        page(HIGH),
        frame_with(&sim, &frames, 7),
        READ_WRITE,
    );
    map_one(
        &mut others[2],
        page(HIGH + (1 << 30)),
        frame_with(&sim, &frames, 8),
        READ_WRITE,
    );

    for table in others.iter().chain([&first]) {
        activate(&sim, table);
        assert_eq!(sim.read(VirtAddr::new(HIGH), Ring::Kernel), Ok(7));
        assert_eq!(
            sim.read(VirtAddr::new(HIGH + (1 << 30)), Ring::Kernel),
            Ok(8)
        );
        check(table, &frames);
    }
}

/// Proves M38: otherwise the mapping would be missing elsewhere.
#[test]
fn the_upper_half_is_mapped_only_where_it_was_prepared() {
    let sim = Sim::new(64);
    let frames = SimFrames::new(&sim);
    let mut first = kernel(&sim, &frames);
    let elsewhere = page(HIGH + (1 << 39));
    let frame = frame_with(&sim, &frames, 7);

    let refused = first.map(elsewhere, FrameRange::one(frame), READ, PageSize::Kib4);

    assert_eq!(refused, Err(MapError::UnpreparedSlot(elsewhere)));
    assert_eq!(
        first.replace(elsewhere, frame, READ).err(),
        Some(MapError::UnpreparedSlot(elsewhere))
    );
    check(&first, &frames);
}

#[test]
fn shared_tables_stay_when_their_last_page_goes() {
    let sim = Sim::new(64);
    let frames = SimFrames::new(&sim);
    let mut first = kernel(&sim, &frames);
    let other = first.create_sharing().expect("there are frames");
    let before = frames.count_free();
    map_one(&mut first, page(HIGH), Frame::new(1 << 20), READ);
    map_one(
        &mut first,
        page(HIGH + PAGE_SIZE),
        Frame::new(1 << 20),
        READ,
    );

    let _leaf = first.unmap(page(HIGH)).expect("it is mapped").flush();
    assert_eq!(
        first.unmap_range(PageRange::new(page(HIGH), 1 << 27), &mut |_| ()),
        Ok(1)
    );
    assert_eq!(frames.count_free(), before);

    map_one(&mut first, page(HIGH), frame_with(&sim, &frames, 7), READ);
    activate(&sim, &other);
    assert_eq!(sim.read(VirtAddr::new(HIGH), Ring::Kernel), Ok(7));
}

/// Proves M39, M81: every leaf is told with its size and mark, and the upper half stays.
#[test]
fn destroying_a_root_tells_all_leaves_and_spares_the_upper_half() {
    let sim = Sim::new(64);
    let frames = SimFrames::new(&sim);
    let mut first = kernel(&sim, &frames);
    map_one(&mut first, page(HIGH), frame_with(&sim, &frames, 7), READ);
    let before = frames.count_free();
    let mut other = first.create_sharing().expect("there are frames");
    let far = Frame::new(1 << 18);
    for (at, size, attributes) in [
        (0, PageSize::Kib4, OWNED),
        (1 << 30, PageSize::Mib2, READ),
        (1 << 39, PageSize::Gib1, OWNED),
    ] {
        let run = FrameRange::new(far, size.pages() as u32);
        other
            .map(page(LOW + at), run, attributes, size)
            .expect("there are frames");
    }

    let mut told = Vec::new();
    let result =
        other.destroy(&mut |run| told.push((run.leaf.size, run.pages.len(), run.leaf.attributes)));

    assert!(result.is_ok());
    let expected = [
        (PageSize::Kib4, 1, OWNED),
        (PageSize::Mib2, 512, READ),
        (PageSize::Gib1, 1 << 18, OWNED),
    ];
    assert_eq!(told, expected);
    assert_eq!(frames.count_free(), before);
    assert_eq!(sim.read(VirtAddr::new(HIGH), Ring::Kernel), Ok(7));
}

/// Proves M87 as far as tables go.
#[test]
fn an_active_root_is_not_destroyed() {
    let sim = Sim::new(64);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    map_one(&mut table, page(LOW), frame_with(&sim, &frames, 7), READ);

    let Err((table, error)) = table.destroy(&mut |_| panic!("nothing is unmapped")) else {
        panic!("it is active");
    };

    assert_eq!(
        error.to_string(),
        "table: an active root cannot be destroyed"
    );
    assert_eq!(sim.read(AT, Ring::Kernel), Ok(7));
    check(&table, &frames);
}

/// How often each frame is mapped.
#[derive(Default)]
struct Counts {
    of: BTreeMap<Frame, u32>,
    /// How many more times counting works.
    allowed: Option<u32>,
}

impl Counts {
    fn change(&mut self, leaf: Leaf, by: i32) {
        for frame in FrameRange::new(leaf.frame, leaf.size.pages() as u32).iter() {
            let count = self.of.entry(frame).or_default();
            *count = count.checked_add_signed(by).expect("no count is below 0");
        }
    }
}

impl CopyCounts for Counts {
    fn copied(&mut self, _page: Page, leaf: Leaf) -> Result<(), OutOfFrames> {
        if let Some(allowed) = &mut self.allowed {
            *allowed = allowed.checked_sub(1).ok_or(OutOfFrames)?;
        }
        self.change(leaf, 1);
        Ok(())
    }

    fn take_back(&mut self, _page: Page, leaf: Leaf) {
        self.change(leaf, -1);
    }
}

/// Proves M35, M40: copies alias the same frames, counted; the change applies to owned pages of the copy only.
#[test]
fn copying_maps_the_same_frames_and_counts_them() {
    let sim = Sim::new(128);
    let frames = SimFrames::new(&sim);
    let mut parent = kernel(&sim, &frames);
    let mut child = parent.create_sharing().expect("there are frames");
    let [owned, lent] = [1, 2].map(|value| frame_with(&sim, &frames, value));
    map_one(&mut parent, page(LOW), owned, OWNED);
    map_one(&mut parent, page(LOW + (1 << 39)), lent, READ_WRITE);
    let huge = FrameRange::new(Frame::new(1 << 18), 512);
    parent
        .map(page(LOW + (1 << 30)), huge, OWNED, PageSize::Mib2)
        .expect("there are frames");
    let mut counts = Counts::default();

    child
        .copy(
            &parent,
            Table::lower_half(),
            Change::share_owned(),
            &mut counts,
        )
        .expect("there are frames");

    check(&child, &frames);
    let found: Vec<_> = runs(&child, Table::lower_half())
        .iter()
        .map(|run| (run.leaf.frame, run.leaf.size, run.leaf.attributes))
        .collect();
    let shared = READ.with_marks(Marks::all());
    let expected = [
        (owned, PageSize::Kib4, shared),
        (huge.start(), PageSize::Mib2, shared),
        (lent, PageSize::Kib4, READ_WRITE),
    ];
    assert_eq!(found, expected);
    assert_eq!(counts.of.len(), 514);
    assert!(counts.of.values().all(|&count| count == 1));
    assert_eq!(
        parent.query(page(LOW)).map(|(_, leaf)| leaf.attributes),
        Some(OWNED)
    );
    let displaced = child
        .replace(page(LOW), lent, OWNED)
        .expect("there are frames")
        .flush();
    assert_eq!(
        displaced.map(|leaf| leaf.frame),
        Some(owned),
        "whoever counts learns of it"
    );
}

/// Proves M35, M123: in MOS, fork made tables for parts that nobody had touched.
#[test]
fn copying_makes_tables_only_where_there_is_something_to_copy() {
    let sim = Sim::new(64);
    let frames = SimFrames::new(&sim);
    let mut parent = kernel(&sim, &frames);
    let mut child = parent.create_sharing().expect("there are frames");
    map_one(&mut parent, page(LOW), Frame::new(1 << 20), READ);
    map_one(
        &mut parent,
        page(LOW + (1 << 40)),
        Frame::new(1 << 20),
        READ,
    );
    let before = frames.count_free();
    let range = PageRange::new(page(LOW + PAGE_SIZE), (1 << 28) - 1);

    let mut counts = Counts::default();
    assert_eq!(
        child.copy(&parent, range, Change::NOTHING, &mut counts),
        Ok(())
    );
    assert_eq!(
        before - frames.count_free(),
        0,
        "the first page is not in the range"
    );

    let range = PageRange::new(page(LOW), 1 << 28);
    assert_eq!(
        child.copy(&parent, range, Change::NOTHING, &mut counts),
        Ok(())
    );
    assert_eq!(before - frames.count_free(), 3);
    check(&child, &frames);
}

/// Proves M35, M37: the ends of the range may lie in large leaves, of which the other root keeps the whole.
#[test]
fn a_part_of_a_large_leaf_is_copied_by_smaller_ones() {
    for size in [PageSize::Mib2, PageSize::Gib1] {
        let sim = Sim::new(64);
        let frames = SimFrames::new(&sim);
        let mut parent = kernel(&sim, &frames);
        let mut child = parent.create_sharing().expect("there are frames");
        // A small leaf before the large one, so that the copy comes from another table of level 1.
        let start = LOW + (1 << 30);
        map_one(&mut parent, page(start - PAGE_SIZE), Frame::new(FAR), READ);
        let memory = FrameRange::new(Frame::new(1 << 18), size.pages() as u32);
        let combining = READ.with_type(MemoryType::WriteCombining);
        parent
            .map(page(start), memory, combining, size)
            .expect("there are frames");
        let copied = size.pages() / 2 + 3;

        let mut counts = Counts::default();
        let range = pages(start - PAGE_SIZE, copied + 1);
        let result = child.copy(&parent, range, Change::NOTHING, &mut counts);

        assert_eq!(result, Ok(()));
        check(&child, &frames);
        let part = pages(start, copied);
        for (page, frame) in part.iter().zip(memory.iter()) {
            let found = child.translate(page.start()).expect("it was copied");
            assert_eq!(
                (found.address, found.leaf.attributes),
                (frame.start(), combining)
            );
        }
        assert_eq!(counts.of.len() as u64, copied + 1);
        let kept = parent.query(page(start)).map(|(_, leaf)| leaf.size);
        assert_eq!(kept, Some(size));
        let mapped = runs(&child, Table::lower_half());
        assert_eq!(
            mapped.iter().map(|run| run.pages.len()).sum::<u64>(),
            copied + 1
        );
    }
}

/// Proves M35, M37.
#[test]
fn a_copy_that_begins_inside_a_large_leaf_begins_with_the_right_frame() {
    for size in [PageSize::Mib2, PageSize::Gib1] {
        let sim = Sim::new(64);
        let frames = SimFrames::new(&sim);
        let mut parent = kernel(&sim, &frames);
        let mut child = parent.create_sharing().expect("there are frames");
        let memory = FrameRange::new(Frame::new(1 << 18), size.pages() as u32);
        parent
            .map(page(LOW), memory, READ, size)
            .expect("there are frames");
        let range = PageRange::new(page(LOW + 3 * PAGE_SIZE), size.pages() - 3);

        let result = child.copy(&parent, range, Change::NOTHING, &mut Counts::default());

        assert_eq!(result, Ok(()));
        for (page, frame) in range.iter().zip(memory.iter().skip(3)) {
            let found = child.translate(page.start()).expect("it was copied");
            assert_eq!(found.address, frame.start());
        }
        check(&child, &frames);
    }
}

/// Proves M23, M40.
#[test]
fn copying_over_something_is_an_error_and_copies_nothing() {
    let sim = Sim::new(64);
    let frames = SimFrames::new(&sim);
    let mut parent = kernel(&sim, &frames);
    let mut child = parent.create_sharing().expect("there are frames");
    map_one(&mut parent, page(LOW), Frame::new(1 << 20), READ);
    map_one(&mut child, page(LOW + PAGE_SIZE), Frame::new(1 << 20), READ);
    let before = frames.count_free();

    let mut counts = Counts::default();
    let refused = child.copy(&parent, pages(LOW, 2), Change::NOTHING, &mut counts);

    assert_eq!(refused, Err(MapError::AlreadyMapped(page(LOW + PAGE_SIZE))));
    assert_eq!(frames.count_free(), before);
    assert!(counts.of.is_empty());
}

/// Proves M40, M16: counts are taken back.
#[test]
fn a_copy_that_cannot_be_counted_is_undone() {
    let sim = Sim::new(64);
    let frames = SimFrames::new(&sim);
    let mut parent = kernel(&sim, &frames);
    let mut child = parent.create_sharing().expect("there are frames");
    for number in [0, 1, 2, 600] {
        map_one(
            &mut parent,
            page(LOW + number * PAGE_SIZE),
            Frame::new(1 << 20),
            READ,
        );
    }
    let before = frames.count_free();

    let mut counts = Counts {
        allowed: Some(3),
        ..Counts::default()
    };
    let refused = child.copy(&parent, pages(LOW, 1000), Change::NOTHING, &mut counts);

    assert_eq!(
        refused,
        Err(MapError::OutOfFrames(page(LOW + 600 * PAGE_SIZE)))
    );
    assert_eq!(frames.count_free(), before);
    assert!(counts.of.values().all(|&count| count == 0));
    check(&child, &frames);
}

/// Proves M31 for what was reserved early, M123: gopher-os forgot no-execute when it carried pages over to the new root.
#[test]
fn pages_carried_over_to_a_new_first_root_keep_their_rights() {
    let sim = Sim::new(64);
    let frames = SimFrames::new(&sim);
    let mut old = kernel(&sim, &frames);
    map_one(
        &mut old,
        page(HIGH),
        frame_with(&sim, &frames, 7),
        READ_WRITE,
    );
    let mut new = PageTable::create_first(&sim, &frames).expect("there are frames");
    new.prepare_upper_half([256].into_iter())
        .expect("there are frames");

    let mut counts = Counts::default();
    assert_eq!(
        new.copy(&old, pages(HIGH, 512), Change::NOTHING, &mut counts),
        Ok(())
    );

    activate(&sim, &new);
    assert_eq!(sim.write(VirtAddr::new(HIGH), 8, Ring::Kernel), Ok(()));
    assert!(sim.execute(VirtAddr::new(HIGH), Ring::Kernel).is_err());
    check(&new, &frames);
}
