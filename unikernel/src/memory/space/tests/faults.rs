//! What faults do to pages, frames and counts.

use super::*;
use crate::memory::region::Counters;

/// Proves M59, M97, M117: reading lazily reserved memory costs tables, and no frame.
#[test]
fn reading_what_nobody_wrote_gives_zeros_and_takes_no_frame() {
    let world = World::new(256);
    let range = world.lazy(&world.kernel, 512);
    assert_eq!(world.read(at(range, 0)), Ok(0));
    let before = world.free();

    for page in 0..200 {
        assert_eq!(world.read(at(range, page)), Ok(0));
    }

    assert_eq!(world.free(), before);
    let counters = world.kernel.counters(range.start());
    let expected = Counters {
        copy_on_write: 200,
        ..Counters::default()
    };
    assert_eq!(counters, Some(expected));
}

/// Proves M97, M117.
#[test]
fn the_first_write_to_a_page_takes_one_frame_and_others_still_read_zeros() {
    let world = World::new(256);
    let range = world.lazy(&world.kernel, 16);
    assert_eq!(world.read(at(range, 3)), Ok(0));
    let before = world.free();

    assert_eq!(world.write(at(range, 3), 7), Ok(()));
    assert_eq!(world.write(at(range, 4), 8), Ok(()));

    assert_eq!(world.read(at(range, 3)), Ok(7));
    assert_eq!(world.read(at(range, 4)), Ok(8));
    assert_eq!(world.read(at(range, 5)), Ok(0));
    assert_eq!(world.free(), before - 2);
    let counters = world.kernel.counters(range.start()).expect("it is there");
    assert_eq!((counters.regular, counters.copy_on_write), (2, 1));
}

/// Proves M13: what was in a frame before is gone when somebody new sees it.
#[test]
fn a_frame_that_somebody_else_had_holds_zeros_again() {
    let world = World::new(64);
    let first = world.lazy(&world.kernel, 16);
    for page in 0..16 {
        assert_eq!(world.write(at(first, page), u64::MAX), Ok(()));
    }
    assert_eq!(world.kernel.unmap(first), Ok(16));

    let second = world.lazy(&world.kernel, 16);
    for page in 0..16 {
        let address = at(second, page);
        assert_eq!(world.write(address, 1), Ok(()));
        let next = address.checked_add(8).expect("it is in the page");
        assert_eq!(world.read(next), Ok(0));
    }
}

/// Proves M98: what a region does not allow stays refused, for reading, writing and executing.
#[test]
fn an_access_that_the_region_forbids_is_a_violation_and_changes_nothing() {
    let world = World::new(64);
    let read_only = world
        .kernel
        .reserve(private(1, Rights::READ))
        .expect("room");
    let nothing = world
        .kernel
        .reserve(private(1, Rights::empty()))
        .expect("room");
    let before = world.free();

    assert_eq!(world.write(at(read_only, 0), 1), forbidden(Access::Write));
    assert_eq!(world.execute(at(read_only, 0)), forbidden(Access::Execute));
    assert_eq!(world.read(at(nothing, 0)), forbidden(Access::Read));
    assert_eq!(world.free(), before);
}

/// Proves M98.
#[test]
fn an_address_in_no_region_is_unmapped() {
    let world = World::new(64);
    let range = world.lazy(&world.kernel, 4);
    let end = at(range, 3).checked_add(4096).expect("it is below the end");

    assert_eq!(world.read(end), Err(Violation::Unmapped));
    assert_eq!(world.write(VirtAddr::new(0), 1), Err(Violation::Unmapped));
}

/// Proves M98, M94: the same region and the same code decide for ring 3.
#[test]
fn ring_3_reaches_only_regions_that_are_for_it() {
    let world = World::new(64);
    let rights = Rights::READ_WRITE;
    let supervisor = world.kernel.reserve(private(1, rights)).expect("room");
    let user = world
        .kernel
        .reserve(private(1, rights | Rights::USER))
        .expect("room");
    let write = |range| world.access(|sim| sim.write(at(range, 0), 1, sim::Ring::User));

    assert_eq!(write(supervisor), Err(Violation::Supervisor));
    assert_eq!(write(user), Ok(()));
}

/// Proves M97: a fault that another CPU has repaired meanwhile is no fault.
#[test]
fn a_fault_that_was_repaired_before_it_was_looked_at_is_none() {
    let world = World::new(64);
    let range = world.lazy(&world.kernel, 1);
    assert_eq!(world.write(at(range, 0), 5), Ok(()));
    let before = world.free();
    let late = Fault {
        address: at(range, 0),
        access: Access::Write,
        by: Ring::Kernel,
    };

    assert_eq!(world.kernel.resolve(late), Ok(()));

    assert_eq!(world.read(at(range, 0)), Ok(5));
    assert_eq!(world.free(), before);
}

/// Proves M106: an access that the processor goes on to refuse, though the region allows it, ends.
#[test]
fn a_fault_that_comes_again_and_again_without_need_is_a_violation_at_last() {
    let world = World::new(64);
    let range = world.lazy(&world.kernel, 1);
    assert_eq!(world.write(at(range, 0), 5), Ok(()));
    let again = Fault {
        address: at(range, 0),
        access: Access::Write,
        by: Ring::Kernel,
    };

    let ends = (0..2000).find_map(|_| world.kernel.resolve(again).err());

    assert_eq!(ends, Some(Violation::NoProgress));
    assert_eq!(world.kernel.resolve(again), Ok(()));
}

/// Proves M105: whatever an operation comes to, no lock is left behind.
#[test]
fn no_refused_operation_keeps_a_lock() {
    let world = World::new(64);
    let range = world.lazy(&world.kernel, 4);
    let outside = PageRange::new(page(1 << 20), 4);

    assert_eq!(world.read(VirtAddr::new(0)), Err(Violation::Unmapped));
    assert!(world.kernel.protect(outside, Rights::READ).is_err());
    assert!(world.kernel.discard(outside).is_err());
    assert!(world.kernel.resize(outside.start(), 1).is_err());
    assert!(world.kernel.take_section(range.start()).is_err());
    assert!(world.kernel.resize(range.start(), 1 << 40).is_err());

    world.memory.check_invariants();
}

/// Proves M97, M48: after rights were taken and given back, pages get them back one by one, with their contents.
#[test]
fn rights_that_come_back_come_back_with_the_contents() {
    let world = World::new(64);
    let range = world.lazy(&world.kernel, 4);
    assert_eq!(world.write(at(range, 1), 9), Ok(()));

    assert_eq!(world.kernel.protect(range, Rights::empty()), Ok(()));
    assert_eq!(world.read(at(range, 1)), forbidden(Access::Read));
    assert_eq!(world.kernel.protect(range, Rights::READ_EXECUTE), Ok(()));
    assert_eq!(world.read(at(range, 1)), Ok(9));
    assert_eq!(world.execute(at(range, 1)), Ok(()));
    assert_eq!(world.write(at(range, 1), 1), forbidden(Access::Write));
    assert_eq!(world.kernel.protect(range, Rights::READ_WRITE), Ok(()));

    assert_eq!(world.write(at(range, 1), 10), Ok(()));
    assert_eq!(world.read(at(range, 1)), Ok(10));
}

/// Proves M16, M97: no frame left is an answer, and goes away when frames come back.
#[test]
fn when_the_last_frame_is_taken_a_write_is_refused_until_one_comes_back() {
    let world = World::new(64);
    let range = world.lazy(&world.kernel, 128);
    let mut written = 0;
    let refusal = loop {
        match world.write(at(range, written), written) {
            Ok(()) => written += 1,
            Err(violation) => break violation,
        }
    };
    assert!(matches!(refusal, Violation::OutOfFrames(_)), "{refusal}");
    assert!((0..written).all(|page| world.read(at(range, page)) == Ok(page)));

    assert_eq!(world.kernel.discard(part(range, 0, 4)), Ok(4));

    assert_eq!(world.write(at(range, written), 1), Ok(()));
    assert_eq!(world.read(at(range, 0)), Ok(0));
}

/// Proves M53, M123: in the ring areas of jsix the last page had no twin.
#[test]
fn both_halves_of_a_ring_show_the_same_frames() {
    let world = World::new(64);
    let ring = request(8, Rights::READ_WRITE, Kind::Ring, Sharing::Shared);
    let range = world.kernel.reserve(ring).expect("there is room");

    for page in 0..4 {
        assert_eq!(world.write(at(range, page), page + 1), Ok(()));
        assert_eq!(world.read(at(range, page + 4)), Ok(page + 1));
        assert_eq!(world.write(at(range, page + 4), page + 10), Ok(()));
        assert_eq!(world.read(at(range, page)), Ok(page + 10));
    }
    assert_eq!(world.kernel.unmap(range), Ok(8));
}

/// Proves M56, M101.
#[test]
fn a_stack_grows_down_to_its_guard_and_no_further() {
    let world = World::new(64);
    let stack = request(8, Rights::READ_WRITE, Kind::Stack, Sharing::Private);
    let range = world.kernel.reserve(stack).expect("there is room");

    for page in (1..8).rev() {
        assert_eq!(world.write(at(range, page), page), Ok(()));
    }

    assert_eq!(world.write(at(range, 0), 1), Err(Violation::StackOverflow));
    assert_eq!(world.read(at(range, 0)), Err(Violation::StackOverflow));
}

/// Proves M37: memory that is asked for at once comes in large pages, and is split when a part of it changes.
#[test]
fn committed_memory_has_large_pages_that_split_on_partial_change() {
    let world = World::new(2048);
    let mut committed = private(1024, Rights::READ_WRITE);
    committed.place = Place::Anywhere(PageSize::Mib2);
    committed.kind = Kind::Anonymous {
        commitment: Commitment::Committed,
    };
    let range = world.kernel.reserve(committed).expect("there is room");
    let size = |page| {
        let page = range.get(page).expect("it is in the range");
        world
            .kernel
            .inspect(|_, tables| tables.query(page))
            .map(|(_, leaf)| leaf.size)
    };
    assert_eq!([size(0), size(600)], [Some(PageSize::Mib2); 2]);
    assert_eq!(world.write(at(range, 5), 5), Ok(()));

    assert_eq!(world.kernel.unmap(part(range, 3, 1)), Ok(1));

    assert_eq!(
        [size(2), size(3), size(4)],
        [Some(PageSize::Kib4), None, Some(PageSize::Kib4)]
    );
    assert_eq!(size(600), Some(PageSize::Mib2));
    assert_eq!(world.read(at(range, 5)), Ok(5));
    assert_eq!(world.kernel.unmap(range), Ok(1023));
}
