//! Ranges, and leaves of every size.

use super::super::entry::Marks;
use super::super::error::MapError;
use super::*;
use crate::memory::page::{MemoryType, PAGE_SIZE};
use crate::memory::sim::Ring;

/// Proves M25, M123: gopher-os did not notice large leaves on the walk.
#[test]
fn addresses_in_leaves_of_every_size_translate_with_their_offset() {
    let sim = Sim::new(16);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);

    for size in PageSize::UP {
        let at = LOW + (1 << 39) * size as u64;
        let run = FrameRange::new(Frame::new(FAR), size.pages() as u32);
        table
            .map(page(at), run, READ, size)
            .expect("there are frames");
        let offset = size.bytes() - 5;

        let found = table
            .translate(VirtAddr::new(at + offset))
            .expect("it is mapped");

        assert_eq!(found.address.as_u64(), u64::from(FAR) * PAGE_SIZE + offset);
        assert_eq!((found.offset, found.leaf.size), (offset, size));
        assert_eq!(table.translate(VirtAddr::new(at + size.bytes())), None);
    }
    check(&table, &frames);
}

/// Proves M29.
#[test]
fn a_run_of_frames_is_mapped_in_order_and_an_identity_run_at_its_own_numbers() {
    let sim = Sim::new(32);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let run = FrameRange::new(Frame::new(FAR + 1), 1000);

    table
        .map(page(LOW), run, READ, PageSize::Gib1)
        .expect("there are frames");
    table
        .map_identity(run, READ_WRITE, PageSize::Gib1)
        .expect("there are frames");

    let identity = page(u64::from(FAR + 1) * PAGE_SIZE);
    for (start, attributes) in [(page(LOW), READ), (identity, READ_WRITE)] {
        let found: Vec<_> = runs(&table, PageRange::new(start, 1000));
        assert!(found.iter().all(|run| run.leaf.attributes == attributes));
        let mapped: Vec<_> = found.iter().flat_map(|run| run.frames().iter()).collect();
        assert_eq!(mapped, run.iter().collect::<Vec<_>>());
    }
    check(&table, &frames);
}

/// Proves M29: the sum of start and length is checked.
#[test]
fn a_run_that_leaves_its_half_is_refused() {
    let sim = Sim::new(16);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let last = page(0x7fff_ffff_f000);

    let run = FrameRange::new(Frame::new(FAR), 2);
    let refused = table.map(last, run, READ, PageSize::Kib4);

    assert_eq!(
        refused,
        Err(MapError::OutOfPages {
            start: last,
            pages: 2
        })
    );
}

/// Proves M37.
#[test]
fn large_leaves_are_used_where_page_and_frame_are_aligned() {
    let sim = Sim::new(16);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let lead = 3;
    let run = FrameRange::new(Frame::new((1 << 18) - lead), (1 << 18) + 512 + lead + 1);
    let start = page(LOW + (1 << 30) - u64::from(lead) * PAGE_SIZE);

    table
        .map(start, run, READ, PageSize::Gib1)
        .expect("there are frames");

    let range = PageRange::new(start, u64::from(run.len()));
    let found: Vec<_> = runs(&table, range)
        .iter()
        .map(|run| (run.leaf.size, run.pages.len()))
        .collect();
    let expected = [
        (PageSize::Kib4, 3),
        (PageSize::Gib1, 1 << 18),
        (PageSize::Mib2, 512),
        (PageSize::Kib4, 1),
    ];
    assert_eq!(found, expected);
    check(&table, &frames);
}

/// Proves M37.
#[test]
fn large_leaves_are_not_used_beyond_what_was_asked_for_or_the_machine_knows() {
    let sim = Sim::new(1100);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let run = FrameRange::new(Frame::new(1 << 18), 1 << 18);
    sim.largest.set(PageSize::Mib2);

    table
        .map(page(LOW), run, READ, PageSize::Gib1)
        .expect("there are frames");
    table
        .map(page(LOW + (1 << 30)), run, READ, PageSize::Kib4)
        .expect("there are frames");

    let sizes = [LOW, LOW + (1 << 30)].map(|at| table.query(page(at)).map(|(_, leaf)| leaf.size));
    assert_eq!(sizes, [Some(PageSize::Mib2), Some(PageSize::Kib4)]);
}

/// Proves M37, M35: what is changed is exactly the range, whatever leaves lie across its ends.
#[test]
fn a_large_leaf_is_split_where_a_part_of_it_changes() {
    for size in [PageSize::Mib2, PageSize::Gib1] {
        let sim = Sim::new(32);
        let frames = SimFrames::new(&sim);
        let mut table = kernel(&sim, &frames);
        let run = FrameRange::new(Frame::new(1 << 18), size.pages() as u32);
        let attributes = READ_WRITE.with_type(MemoryType::WriteCombining);
        table
            .map(page(LOW), run, attributes, size)
            .expect("there are frames");
        let (skipped, changed) = (5, size.pages() / 2);

        let range = PageRange::new(page(LOW + skipped * PAGE_SIZE), changed);
        let count = table
            .protect(range, Rights::READ)
            .expect("there are frames")
            .flush();

        assert_eq!(count, changed);
        check(&table, &frames);
        for (number, page) in PageRange::new(page(LOW), size.pages()).iter().enumerate() {
            let found = table
                .translate(page.start())
                .expect("all of it is still mapped");
            assert_eq!(
                found.address,
                run.get(number as u32).expect("it is in the run").start()
            );
            let rights = if range.contains(page) {
                Rights::READ
            } else {
                Rights::READ_WRITE
            };
            assert_eq!(found.leaf.attributes, attributes.with_rights(rights));
        }
    }
}

/// Proves M37: of a leaf of 1 GiB, one page is taken.
#[test]
fn one_page_is_unmapped_or_replaced_out_of_a_large_leaf() {
    let sim = Sim::new(32);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let run = FrameRange::new(Frame::new(1 << 18), 1 << 18);
    table
        .map(page(LOW), run, READ, PageSize::Gib1)
        .expect("there are frames");
    let [gone, other] = [page(LOW + 7 * PAGE_SIZE), page(LOW + (1 << 29))];

    let leaf = table.unmap(gone).expect("there are frames").flush();
    let displaced = table
        .replace(other, Frame::new(FAR), READ)
        .expect("there are frames")
        .flush();

    assert_eq!(
        (leaf.frame, leaf.size),
        (Frame::new((1 << 18) + 7), PageSize::Kib4)
    );
    assert_eq!(
        displaced.map(|leaf| leaf.frame),
        Some(Frame::new((1 << 18) + (1 << 17)))
    );
    assert_eq!(table.query(gone), None);
    assert_eq!(
        table.query(other).map(|(_, leaf)| leaf.frame),
        Some(Frame::new(FAR))
    );
    let left: u64 = runs(&table, pages(LOW, 1 << 18))
        .iter()
        .map(|run| run.pages.len())
        .sum();
    assert_eq!(left, (1 << 18) - 1);
    check(&table, &frames);
}

/// Proves M35: across tables of every level, and over holes.
#[test]
fn ranges_cross_from_table_to_table() {
    let sim = Sim::new(64);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let before = frames.count_free();
    let around = (1 << 39) - 3 * PAGE_SIZE;
    for offset in [0, 2, 3, 4, 5] {
        let at = around + offset * PAGE_SIZE;
        map_one(
            &mut table,
            page(at),
            Frame::new(FAR + offset as u32),
            READ_WRITE,
        );
    }
    let range = pages(around, 6);

    assert_eq!(
        table
            .protect(range, Rights::READ)
            .expect("no split")
            .flush(),
        5
    );
    let mut removed = Vec::new();
    assert_eq!(
        table.unmap_range(range, &mut |run| removed.push((run.pages, run.leaf.frame))),
        Ok(5)
    );

    let expected = [(0, 1), (2, 4)].map(|(offset, len)| {
        (
            pages(around + offset * PAGE_SIZE, len),
            Frame::new(FAR + offset as u32),
        )
    });
    assert_eq!(removed, expected);
    assert_eq!(frames.count_free(), before);
    check(&table, &frames);
}

/// Proves M35, M123: in MOS, flag, mask and copy walks made tables.
#[test]
fn only_mapping_makes_tables() {
    let sim = Sim::new(16);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let before = frames.count_free();
    frames.allow(0);
    let everything = Table::lower_half();

    assert_eq!(
        table
            .protect(everything, Rights::READ)
            .expect("no frames needed")
            .flush(),
        0
    );
    assert_eq!(table.unmap_range(everything, &mut |_| ()), Ok(0));
    assert_eq!(runs(&table, everything), []);
    assert_eq!(table.query(page(LOW)), None);
    assert_eq!(frames.count_free(), before);
}

/// Proves M36.
#[test]
fn runs_are_merged_by_contiguity_and_equal_attributes_whatever_was_touched() {
    let sim = Sim::new(32);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let memory: Vec<_> = (0..6)
        .map(|_| frames.take_any().expect("there are frames"))
        .collect();
    let map = [
        (0, 0, READ),
        (1, 1, READ),
        (2, 2, READ_WRITE),
        (3, 4, READ_WRITE),
        (5, 5, READ_WRITE),
    ];
    for (number, frame, attributes) in map {
        map_one(
            &mut table,
            page(LOW + number * PAGE_SIZE),
            memory[frame],
            attributes,
        );
    }
    assert!(sim.read(VirtAddr::new(LOW), Ring::Kernel).is_ok());

    let found: Vec<_> = runs(&table, Table::lower_half())
        .iter()
        .map(|run| (run.pages, run.leaf.frame))
        .collect();

    let expected = [(0, 2, 0), (2, 1, 2), (3, 1, 4), (5, 1, 5)]
        .map(|(number, len, frame)| (pages(LOW + number * PAGE_SIZE, len), memory[frame]));
    assert_eq!(found, expected);
}

/// Proves M36: a range that begins inside a large leaf.
#[test]
fn runs_begin_and_end_with_the_range() {
    let sim = Sim::new(16);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let run = FrameRange::new(Frame::new(FAR), 1024);
    let attributes = READ.with_type(MemoryType::WriteCombining);
    table
        .map(page(LOW), run, attributes, PageSize::Mib2)
        .expect("there are frames");

    let found = runs(&table, pages(LOW + 5 * PAGE_SIZE, 1000));

    assert_eq!(found.len(), 1);
    assert_eq!(found[0].pages, pages(LOW + 5 * PAGE_SIZE, 1000));
    assert_eq!(
        found[0].frames(),
        FrameRange::new(Frame::new(FAR + 5), 1000)
    );
    assert_eq!(found[0].leaf.attributes, attributes);
}

/// Proves M81: the mark is kept by every operation, and told when the page goes.
#[test]
fn the_owned_mark_stays_with_its_page() {
    let sim = Sim::new(32);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let owned = READ_WRITE.with_marks(Marks::OWNED);
    let run = FrameRange::new(Frame::new(1 << 18), 512);
    table
        .map(page(LOW), run, owned, PageSize::Mib2)
        .expect("there are frames");
    map_one(
        &mut table,
        page(LOW + (1 << 21)),
        Frame::new(FAR),
        READ_WRITE,
    );

    let range = pages(LOW + 3 * PAGE_SIZE, 512);
    let _count = table
        .protect(range, Rights::READ)
        .expect("there are frames")
        .flush();

    let mut removed = Vec::new();
    let all = table.unmap_range(pages(LOW, 513), &mut |run| {
        removed.push((run.leaf.attributes.marks(), run.pages.len()));
    });
    assert_eq!(all, Ok(513));
    assert_eq!(
        removed,
        [(Marks::OWNED, 3), (Marks::OWNED, 509), (Marks::empty(), 1)]
    );
}
