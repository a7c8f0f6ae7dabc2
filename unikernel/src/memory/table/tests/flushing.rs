//! Processors forget what is no longer so, in time, and are not asked to when there is nothing to forget.

use std::cell::RefCell;

use super::super::entry::{Change, Touched};
use super::*;
use crate::memory::page::PAGE_SIZE;
use crate::memory::sim::Ring;

const AT: VirtAddr = VirtAddr::new(LOW);

/// Proves M122: the simulator can fail. A flush that is forgotten leaves the old translation in use.
#[test]
fn a_forgotten_flush_is_noticed() {
    let sim = Sim::new(16);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    map_one(&mut table, page(LOW), frame_with(&sim, &frames, 7), READ);
    assert_eq!(sim.read(AT, Ring::Kernel), Ok(7));

    std::mem::forget(table.unmap(page(LOW)).expect("it is mapped"));

    assert_eq!(
        sim.read(AT, Ring::Kernel),
        Ok(7),
        "nobody told the processor"
    );
}

#[test]
fn a_flush_comes_with_the_result_or_with_dropping_it() {
    for is_dropped in [false, true] {
        let sim = Sim::new(16);
        let frames = SimFrames::new(&sim);
        let mut table = kernel(&sim, &frames);
        let before = frames.count_free();
        map_one(&mut table, page(LOW), frame_with(&sim, &frames, 7), READ);
        assert_eq!(sim.read(AT, Ring::Kernel), Ok(7));

        let stale = table.unmap(page(LOW)).expect("it is mapped");
        if is_dropped {
            drop(stale);
        } else {
            let _leaf = stale.flush();
        }

        assert!(sim.read(AT, Ring::Kernel).is_err());
        assert_eq!(
            frames.count_free(),
            before - 1,
            "the tables are back, the frame is not theirs"
        );
    }
}

/// Proves M33, M123: jsix left the translation in place when the accessed bit was clear.
#[test]
fn a_page_that_seems_never_accessed_is_forgotten_as_well() {
    let sim = Sim::new(16);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    map_one(
        &mut table,
        page(LOW),
        frame_with(&sim, &frames, 7),
        READ_WRITE,
    );
    // With a neighbour, the table stays, and is no reason to flush.
    let neighbour = page(LOW + PAGE_SIZE);
    map_one(&mut table, neighbour, Frame::new(FAR), READ);
    for narrow in [true, false] {
        assert_eq!(sim.read(AT, Ring::Kernel), Ok(7));
        let found = table.cursor().find(page(LOW));
        let index = page(LOW).index(found.level);
        sim.set_word(found.place.frame, index, found.entry.bits() & !(1 << 5));

        if narrow {
            let _count = table
                .protect(pages(LOW, 1), Rights::READ)
                .expect("no split")
                .flush();
            assert!(sim.write(AT, 1, Ring::Kernel).is_err());
        } else {
            assert_eq!(table.unmap_range(pages(LOW, 1), &mut |_| ()), Ok(1));
            assert!(sim.read(AT, Ring::Kernel).is_err());
        }
    }
}

/// Proves M33: of leaves of every size, split or not.
#[test]
fn every_page_of_a_range_is_forgotten() {
    let sim = Sim::new(2048);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let first = Frame::new(1024);
    table
        .map(
            page(LOW),
            FrameRange::new(first, 512),
            READ_WRITE,
            PageSize::Mib2,
        )
        .expect("there are frames");
    let range = pages(LOW + 7 * PAGE_SIZE, 400);
    let read_all = || {
        pages(LOW, 512)
            .iter()
            .filter(|page| sim.write(page.start(), 1, Ring::Kernel).is_ok())
            .count()
    };
    assert_eq!(read_all(), 512);

    assert_eq!(
        table
            .protect(range, Rights::READ)
            .expect("there are frames")
            .flush(),
        400
    );
    assert_eq!(read_all(), 112);

    assert_eq!(table.unmap_range(pages(LOW, 511), &mut |_| ()), Ok(511));
    assert_eq!(read_all(), 1);
}

/// Proves M33, M123: in MOS, unmapping dropped the frame before the processor forgot it.
#[test]
fn frames_come_out_only_when_no_processor_can_use_them() {
    let sim = Sim::with_cpus(32, 2);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    for number in 0..9 {
        map_one(
            &mut table,
            page(LOW + number * PAGE_SIZE),
            frame_with(&sim, &frames, 7),
            READ,
        );
    }
    let read = |cpu, page: Page| {
        sim.run_on(cpu);
        let found = sim.read(page.start(), Ring::Kernel);
        sim.run_on(0);
        found
    };
    sim.run_on(1);
    activate(&sim, &table);
    sim.run_on(0);
    assert!(
        pages(LOW, 9)
            .iter()
            .all(|page| read(0, page) == Ok(7) && read(1, page) == Ok(7))
    );

    let seen = RefCell::new(0);
    let count = table.unmap_range(pages(LOW, 9), &mut |run| {
        for page in run.pages.iter() {
            assert!(
                read(0, page).is_err() && read(1, page).is_err(),
                "{page} is still in use"
            );
            *seen.borrow_mut() += 1;
        }
    });

    assert_eq!((count, seen.into_inner()), (Ok(9), 9));
}

/// Proves M34 as far as tables go, M123: the write protection of fork was flushed on one CPU only in MOS, and jsix did not
/// wait.
#[test]
fn every_cpu_that_may_know_a_page_forgets_it_before_the_flush_is_over() {
    let sim = Sim::with_cpus(64, 3);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let other = table.create_sharing().expect("there are frames");
    map_one(
        &mut table,
        page(LOW),
        frame_with(&sim, &frames, 7),
        READ_WRITE,
    );
    map_one(
        &mut table,
        page(HIGH),
        frame_with(&sim, &frames, 8),
        READ_WRITE,
    );
    for (cpu, root) in [(1, &table), (2, &other)] {
        sim.run_on(cpu);
        activate(&sim, root);
        assert_eq!(sim.write(VirtAddr::new(HIGH), 8, Ring::Kernel), Ok(()));
    }
    sim.run_on(1);
    assert_eq!(sim.write(AT, 7, Ring::Kernel), Ok(()));
    sim.run_on(0);

    let _count = table
        .change(pages(LOW, 1), &Change::read_only())
        .expect("no split")
        .flush();
    let _leaf = table.unmap(page(HIGH)).expect("it is mapped").flush();

    for cpu in 0..3 {
        sim.run_on(cpu);
        assert!(sim.write(AT, 1, Ring::Kernel).is_err(), "CPU {cpu}");
        assert!(
            sim.read(VirtAddr::new(HIGH), Ring::Kernel).is_err(),
            "CPU {cpu}"
        );
    }
}

/// Proves M27, M33, M123: a table that is gone is seen nowhere, neither by a walk nor through the self slot. gopher-os flushed
/// another address than that.
#[test]
fn a_table_that_was_given_back_is_neither_walked_through_nor_edited() {
    let sim = Sim::new(32);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let [old, new] = [1, 2].map(|value| frame_with(&sim, &frames, value));
    for is_range in [false, true] {
        map_one(&mut table, page(LOW), old, READ);
        assert_eq!(sim.read(AT, Ring::Kernel), Ok(1));
        if is_range {
            assert_eq!(table.unmap_range(pages(LOW, 1), &mut |_| ()), Ok(1));
        } else {
            let _leaf = table.unmap(page(LOW)).expect("it is mapped").flush();
        }
        // The next tables are other frames, and whoever uses the old ones finds junk.
        let taken: Vec<_> = (0..3)
            .map(|_| frames.take_any().expect("there are frames"))
            .collect();
        taken.iter().for_each(|&frame| sim.spoil(frame));

        map_one(&mut table, page(LOW), new, READ);

        assert_eq!(sim.read(AT, Ring::Kernel), Ok(2));
        check(&table, &frames);
        let _leaf = table.unmap(page(LOW)).expect("it is mapped").flush();
    }
}

/// Proves M33: what the processor notes at the last moment is not lost.
#[test]
fn a_page_that_becomes_dirty_while_it_is_unmapped_is_told_dirty() {
    for way in 0..3 {
        let sim = Sim::new(32);
        let frames = SimFrames::new(&sim);
        let mut table = kernel(&sim, &frames);
        map_one(
            &mut table,
            page(LOW),
            frame_with(&sim, &frames, 7),
            READ_WRITE,
        );
        map_one(
            &mut table,
            page(LOW + PAGE_SIZE),
            frame_with(&sim, &frames, 8),
            READ_WRITE,
        );
        let place = table.cursor().find(page(LOW)).place;
        sim.dirty_race.set(Some((
            place.frame,
            page(LOW).index(crate::memory::page::Level::One),
        )));

        let mut touched = Touched::empty();
        match way {
            0 => {
                touched = table
                    .unmap(page(LOW))
                    .expect("it is mapped")
                    .flush()
                    .touched
            }
            1 => {
                let sink = &mut |run: Run| touched = run.leaf.touched;
                assert_eq!(table.unmap_range(pages(LOW, 1), sink), Ok(1));
            }
            _ => {
                let _count = table
                    .protect(pages(LOW, 1), Rights::READ)
                    .expect("no split")
                    .flush();
                let (_, leaf) = table.query(page(LOW)).expect("it is mapped");
                touched = leaf.touched;
                assert_eq!(leaf.attributes, READ);
            }
        }

        assert_eq!(touched, Touched::all(), "way {way}");
    }
}

/// Proves M37: the parts of a leaf that was just written to are all dirty.
#[test]
fn a_large_leaf_that_becomes_dirty_while_it_is_split_has_dirty_parts() {
    let sim = Sim::new(2048);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let run = FrameRange::new(Frame::new(1024), 512);
    table
        .map(page(LOW), run, READ_WRITE, PageSize::Mib2)
        .expect("there are frames");
    let found = table.cursor().find(page(LOW));
    sim.dirty_race
        .set(Some((found.place.frame, page(LOW).index(found.level))));

    let _leaf = table.unmap(page(LOW)).expect("there are frames").flush();

    let touched: Vec<_> = runs(&table, pages(LOW, 512))
        .iter()
        .map(|run| run.leaf.touched)
        .collect();
    assert_eq!(touched, [Touched::all()]);
}

#[test]
fn nothing_is_flushed_when_nothing_was_there() {
    let sim = Sim::new(32);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let before = sim.invalidations();

    map_one(&mut table, page(LOW), frame_with(&sim, &frames, 7), READ);
    let _count = table
        .protect(pages(LOW, 1), Rights::READ)
        .expect("no split")
        .flush();
    assert_eq!(
        table.unmap_range(pages(LOW + PAGE_SIZE, 9), &mut |_| ()),
        Ok(0)
    );

    assert_eq!(sim.invalidations(), before);
}

/// Proves M34: one message to other CPUs, however much goes.
#[test]
fn a_range_costs_one_flush() {
    let sim = Sim::new(2048);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    for number in 0..1000 {
        map_one(
            &mut table,
            page(LOW + number * 3 * PAGE_SIZE),
            Frame::new(1 << 20),
            READ,
        );
    }
    let before = sim.invalidations();

    assert_eq!(
        table.unmap_range(Table::lower_half(), &mut |_| ()),
        Ok(1000)
    );

    assert_eq!(sim.invalidations() - before, 1);
}
