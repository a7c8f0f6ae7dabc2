//! Regions made, cut, changed and ended.

use super::*;
use crate::memory::region::RegionError;
use crate::memory::space::SpaceError;

/// Proves M44, M123: whatever part is unmapped goes, and nothing else. MOS lost the tail when the head was unmapped.
#[test]
fn unmapping_takes_exactly_what_was_asked_for() {
    for (first, len) in [(0, 8), (0, 3), (5, 3), (2, 4)] {
        let world = World::new(256);
        let range = world.lazy(&world.kernel, 8);
        for page in 0..8 {
            assert_eq!(world.write(at(range, page), page + 1), Ok(()));
        }
        let before = world.free();

        assert_eq!(world.kernel.unmap(part(range, first, len)), Ok(len));

        for page in 0..8 {
            let is_gone = (first..first + len).contains(&page);
            let expected = if is_gone {
                Err(Violation::Unmapped)
            } else {
                Ok(page + 1)
            };
            assert_eq!(world.read(at(range, page)), expected, "{first} {len}");
        }
        assert!(world.free() >= before + len);
    }
}

/// Proves M44, M123: MOS touched only the first region of a range, and codezero gave pages in holes back to life.
#[test]
fn unmapping_goes_over_several_regions_and_holes() {
    let world = World::new(256);
    let range = world.lazy(&world.kernel, 30);
    assert_eq!(world.kernel.unmap(part(range, 10, 5)), Ok(5));
    assert_eq!(
        world.kernel.protect(part(range, 20, 5), Rights::READ),
        Ok(())
    );
    for page in [0, 9, 15, 29] {
        assert_eq!(world.write(at(range, page), 1), Ok(()));
    }

    assert_eq!(world.kernel.unmap(part(range, 5, 20)), Ok(15));
    assert_eq!(world.kernel.unmap(part(range, 5, 20)), Ok(0));

    let is_there = |page| world.read(at(range, page)) != Err(Violation::Unmapped);
    let there: Vec<_> = (0..30).filter(|&page| is_there(page)).collect();
    assert_eq!(there, [0, 1, 2, 3, 4, 25, 26, 27, 28, 29]);
}

/// Proves M42.
#[test]
fn a_region_is_placed_exactly_or_near_or_anywhere_and_never_over_another() {
    let world = World::new(64);
    let place = |place, len| {
        world.kernel.reserve(Request {
            place,
            ..private(len, Rights::READ)
        })
    };
    let first = place(Place::At(page(100)), 10).expect("it is free");
    assert_eq!(first.start(), page(100));

    assert!(matches!(
        place(Place::At(page(105)), 10),
        Err(ReserveError::Region(_))
    ));
    let near = place(Place::Near(page(105)), 10).expect("there is room above");
    assert_eq!(near.start(), page(110));
    let aligned = place(Place::Anywhere(PageSize::Mib2), 10).expect("there is room");
    assert!(aligned.start().is_aligned(PageSize::Mib2));
    assert_eq!(
        place(Place::Anywhere(PageSize::Kib4), 1 << 40),
        Err(ReserveError::NoRoom {
            wanted_pages: 1 << 40
        })
    );
}

/// Proves M48, M123: MOS dereferenced null for an unmapped address, and applied a change to a part of its range.
#[test]
fn changing_rights_over_a_hole_is_refused_and_changes_nothing() {
    let world = World::new(64);
    let range = world.lazy(&world.kernel, 10);
    assert_eq!(world.kernel.unmap(part(range, 4, 2)), Ok(2));

    let refused = world.kernel.protect(range, Rights::READ);

    let hole = range.get(4).expect("it is in the range");
    assert_eq!(refused, Err(SpaceError::NoRegion(hole)));
    assert_eq!(world.write(at(range, 0), 1), Ok(()));
}

/// Proves M48: a part of a region loses a right, at once.
#[test]
fn a_right_taken_from_the_middle_is_gone_there_and_nowhere_else() {
    let world = World::new(64);
    let range = world.lazy(&world.kernel, 10);
    for page in 0..10 {
        assert_eq!(world.write(at(range, page), page), Ok(()));
    }

    assert_eq!(
        world.kernel.protect(part(range, 3, 4), Rights::READ),
        Ok(())
    );

    for page in 0..10 {
        let expected = if (3..7).contains(&page) {
            forbidden(Access::Write)
        } else {
            Ok(())
        };
        assert_eq!(world.write(at(range, page), 50), expected);
    }
    assert_eq!(
        world.kernel.protect(part(range, 3, 4), Rights::READ_WRITE),
        Ok(())
    );
    let regions = world.kernel.inspect(|regions, _| regions.len());
    assert_eq!(regions, 1, "equal neighbours are one region again");
}

/// Proves M47.
#[test]
fn a_region_grows_into_free_pages_only_and_shrinking_frees_frames() {
    let world = World::new(64);
    let range = world.lazy(&world.kernel, 8);
    let start = range.start();
    let behind = Request {
        place: Place::At(
            range
                .get(7)
                .and_then(|last| last.checked_add(5))
                .expect("low"),
        ),
        ..private(1, Rights::READ)
    };
    world.kernel.reserve(behind).expect("it is free");
    assert_eq!(world.kernel.resize(start, 0), Ok(8));

    assert_eq!(world.kernel.resize(start, 12), Ok(8));
    let refused = world.kernel.resize(start, 13);
    assert!(matches!(refused, Err(SpaceError::NoRoom { .. })));
    let grown = PageRange::new(start, 12);
    assert_eq!(world.write(at(grown, 11), 1), Ok(()));
    let before = world.free();
    assert_eq!(world.kernel.resize(start, 4), Ok(12));

    assert!(
        world.free() > before,
        "the frame, and tables that are empty now"
    );
    assert_eq!(world.read(at(grown, 4)), Err(Violation::Unmapped));
    assert_eq!(world.kernel.resize(start, 0), Ok(4));
}

/// Proves M51.
#[test]
fn frames_of_a_device_are_neither_counted_nor_freed_nor_resized() {
    let world = World::new(64);
    let device = Kind::Fixed {
        first: crate::memory::page::Frame::new(0x10_0000),
        memory_type: crate::memory::page::MemoryType::Uncached,
    };
    let before = world.pool.totals().allocated();
    let range = world
        .kernel
        .reserve(request(4, Rights::READ_WRITE, device, Sharing::Shared))
        .expect("there is room");
    let start = range.start();

    let leaf = world.kernel.inspect(|_, tables| tables.query(start));
    let leaf = leaf.expect("it is mapped at once").1;
    assert_eq!(leaf.frame.number(), 0x10_0000);
    assert_eq!(
        leaf.attributes.memory_type(),
        crate::memory::page::MemoryType::Uncached
    );
    assert_eq!(
        world.kernel.resize(start, 8),
        Err(SpaceError::NotPossible(start))
    );
    assert_eq!(world.kernel.unmap(range), Ok(4));
    assert_eq!(world.pool.totals().allocated(), before);
}

/// Proves M54, M55: sections are apart, and what was given back cannot be touched.
#[test]
fn sections_have_guards_on_both_sides_and_are_gone_when_given_back() {
    let world = World::new(64);
    let (range, first) = guarded(&world, 3, 4);
    let second = world
        .kernel
        .take_section(range.start())
        .expect("there are four");
    for page in 0..3 {
        assert_eq!(world.write(at(first, page), 1), Ok(()));
        assert_eq!(world.write(at(second, page), 2), Ok(()));
    }
    let below = first
        .start()
        .start()
        .checked_sub(8)
        .expect("it is not the first");
    let above = at(first, 2).checked_add(4096).expect("it is not the last");
    assert_eq!(world.write(below, 1), Err(Violation::Guard));
    assert_eq!(world.write(above, 1), Err(Violation::Guard));
    let before = world.free();

    assert_eq!(world.kernel.give_section_back(first.start()), Ok(()));

    assert_eq!(world.free(), before + 3);
    assert_eq!(world.read(at(first, 0)), Err(Violation::Guard));
    assert_eq!(world.read(at(second, 0)), Ok(2));
    let again = world.kernel.take_section(range.start());
    assert_eq!(again, Ok(first));
    assert_eq!(world.read(at(first, 0)), Ok(0));
}

/// Proves M50, M54: a section cannot be had from a region without any, and an indivisible region is not cut.
#[test]
fn sections_come_from_guarded_regions_only_and_those_are_not_cut() {
    let world = World::new(64);
    let (range, _) = guarded(&world, 2, 2);
    let other = world.lazy(&world.kernel, 4);

    let refused = world.kernel.take_section(other.start());
    assert_eq!(
        refused,
        Err(SpaceError::Region(RegionError::NotGuarded(other)))
    );
    let cut = world.kernel.unmap(part(range, 1, 2));
    assert_eq!(cut, Err(SpaceError::NotPossible(range.start())));
}

/// Reserves a guarded region, and takes its first section.
fn guarded(world: &World, section_pages: u64, sections: u32) -> (PageRange, PageRange) {
    let range = world
        .kernel
        .reserve_sections(section_pages, sections, Name::new("sections"))
        .expect("there is room");
    let first = world.kernel.take_section(range.start());
    (range, first.expect("none was taken"))
}

/// Proves M41, M57: ten thousand regions are no trouble.
#[test]
fn a_terabyte_costs_what_a_page_costs_until_it_is_written() {
    let sim = World::new(256);
    let before = sim.free();
    let huge = Request {
        len_pages: 1 << 20,
        ..private(1 << 20, Rights::READ_WRITE)
    };

    let range = sim.kernel.reserve(huge).expect("there is room");

    assert_eq!(sim.free(), before);
    for page in [0, 1 << 19, (1 << 20) - 1] {
        assert_eq!(sim.write(at(range, page), page + 1), Ok(()));
    }
    let spent = before - sim.free();
    assert!(
        spent <= 3 + 3 * 2 + 1,
        "three frames and their tables: {spent}"
    );
    assert_eq!(sim.kernel.discard(range), Ok(3));
    assert_eq!(sim.read(at(range, 1 << 19)), Ok(0));
}
