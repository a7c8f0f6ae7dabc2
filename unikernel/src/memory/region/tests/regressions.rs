//! Defects of the systems this one learns from, none of which may come back.

use super::*;

/// Takes a range out of the map as an unmapping does, and returns what is left.
fn cut_out(map: &mut RegionMap, start: u64, len: u64) -> Vec<(u64, u64)> {
    model::cut_out(map, range(start, len));
    map.check_invariants();
    ranges_of(map)
}

/// Proves M44, M123: a split for a range that started with the region returned the tail, so that unmapping the head destroyed
/// the tail.
#[test]
fn taking_the_head_of_a_region_leaves_its_tail() {
    let mut map = map_of(&[]);
    add(&mut map, region(200, 10, object(30)));

    assert_eq!(cut_out(&mut map, 200, 4), [(204, 6)]);

    let content = map.find(page(204)).unwrap().content(page(204));
    assert_eq!(content, Content::Object(ObjectId::new(7, 1), 34));
}

/// Proves M44, M123: unmapping past the end of a region was a failed assertion.
#[test]
fn taking_more_than_a_region_takes_what_there_is() {
    let mut map = map_of(&[(200, 10)]);

    assert_eq!(cut_out(&mut map, 205, 100), [(200, 5)]);
    assert_eq!(cut_out(&mut map, 100, 900), []);
    assert_eq!(cut_out(&mut map, 100, 900), []);
}

/// Proves M44, M123: only the first region of a range was unmapped.
#[test]
fn taking_a_range_takes_from_every_region_in_it() {
    let mut map = map_of(&[(200, 10), (210, 10), (230, 10)]);

    assert_eq!(cut_out(&mut map, 205, 30), [(200, 5), (235, 5)]);
}

/// Proves M44, M123: unmapping failed when no region started exactly at the address.
#[test]
fn taking_a_range_that_starts_in_a_hole_takes_what_follows() {
    let mut map = map_of(&[(200, 10)]);

    assert_eq!(cut_out(&mut map, 190, 15), [(205, 5)]);
}

/// Proves M44, M123: a hole in the middle of a region.
#[test]
fn taking_the_middle_of_a_region_leaves_head_and_tail() {
    let mut map = map_of(&[]);
    add(&mut map, region(200, 10, object(30)));

    assert_eq!(cut_out(&mut map, 203, 4), [(200, 3), (207, 3)]);

    let content = map.find(page(207)).unwrap().content(page(207));
    assert_eq!(content, Content::Object(ObjectId::new(7, 1), 37));
}

/// Proves M44, M123: a fork mapped the pages of a hole again, since it went by the distance from the start of what was one
/// region before.
#[test]
fn a_hole_is_a_hole_on_both_sides_of_a_fork() {
    let mut map = map_of(&[]);
    add(&mut map, region(200, 10, object(30)));
    cut_out(&mut map, 203, 4);
    let mut child = map_of(&[]);

    for parent in map.iter() {
        add(&mut child, parent.fork().unwrap());
    }
    child.join_around(page(200));

    assert_eq!(ranges_of(&child), [(200, 3), (207, 3)]);
    assert!((203..207).all(|hole| child.find(page(hole)).is_none()));
    let content = child.find(page(209)).unwrap().content(page(209));
    assert_eq!(content, Content::Object(ObjectId::new(7, 1), 39));
}

/// Proves M48, M123: a change of rights where nothing is dereferenced null, and one over two regions was done in part.
#[test]
fn a_range_is_known_to_be_fit_before_its_first_region_changes() {
    let mut map = map_of(&[(200, 10)]);
    add(&mut map, region(220, 8, Kind::Ring));

    assert_eq!(map.pieces(range(100, 50)).unwrap().count(), 0);
    assert!(map.pieces(range(200, 24)).is_err());

    let met = map.pieces(range(200, 28)).unwrap();
    let regions: Vec<u64> = met.map(|piece| piece.region.number()).collect();
    assert_eq!(regions, [200, 220]);
}

/// Proves M56, M123: neither kernel stacks nor those of tasks had a guard.
#[test]
fn a_stack_cannot_be_made_without_a_guard() {
    for len in 2..6 {
        let stack = region(200, len, Kind::Stack);
        let guard = Content::Nothing(Absence::StackGuard);
        assert_eq!(stack.content(page(200)), guard);
    }

    assert!(try_region(200, 1, Kind::Stack).is_err());
}

/// Proves M41, M123: a sorted insert put a new lowest item before the last one.
#[test]
fn regions_are_in_order_whatever_order_they_came_in() {
    let places = [300, 500, 700, 200, 100, 600, 400, 900, 800];
    for first in 0..places.len() {
        let mut map = map_of(&[]);
        for &place in places.iter().cycle().skip(first).take(places.len()) {
            add(&mut map, region(place, 10, LAZY));
        }

        let starts: Vec<u64> = ranges_of(&map).iter().map(|&(start, _)| start).collect();

        assert!(starts.is_sorted(), "{starts:?}");
        assert_eq!(starts.len(), places.len());
    }
}

/// Proves M43, M123: the gap before the first region was never tried.
#[test]
fn the_gap_before_the_first_region_is_room() {
    let map = map_of(&[(110, 890)]);

    assert_eq!(map.find_free(10, page(0), 1), Some(page(100)));
}

/// Proves M42, M123: addresses that were chosen automatically collided.
#[test]
fn rooms_that_were_chosen_never_collide() {
    let mut map = map_of(&[(150, 7), (400, 30)]);

    for len in (1..20).cycle().take(60) {
        let start = map.find_near(len, page(300), 1).expect("there is room");
        add(&mut map, region(start.number(), len, LAZY));
    }
}

/// Proves M47, M123: whether a region can grow was not asked of the last two neighbours, so the last but one grew into the last.
#[test]
fn the_last_but_one_region_does_not_grow_into_the_last() {
    let mut map = map_of(&[(200, 10), (300, 10), (320, 10)]);
    let refused = |most| RegionError::NoRoom {
        len_pages: 1_000,
        most,
    };

    assert_eq!(map.resize(page(300), 1_000), Err(refused(20)));
    assert_eq!(map.resize(page(320), 1_000), Err(refused(680)));
    assert_eq!(map.resize(page(200), 1_000), Err(refused(100)));

    assert_eq!(ranges_of(&map), [(200, 10), (300, 10), (320, 10)]);
}

/// Proves M45, M117, M123: a split copied the counters to both halves.
#[test]
fn a_split_divides_counters_and_doubles_none() {
    let mut map = map_of(&[(200, 10)]);
    map.find_mut(page(200)).unwrap().counters_mut().regular = 6;
    let above = Counters {
        regular: 2,
        ..Counters::NONE
    };

    map.split(page(200), page(207), above).unwrap();

    let regular: Vec<u64> = map.iter().map(|part| part.counters().regular).collect();
    assert_eq!(regular, [4, 2]);
}

/// Proves M54, M123: a section's offset was compared with an absolute address, so that pages past the last section were served.
#[test]
fn a_guarded_region_far_from_0_ends_with_its_last_guard() {
    let start = (1 << 35) + 0x12_3456;
    let mut stacks = region(start, 9, guarded(3, 2));
    for _ in 0..2 {
        stacks.take_section().unwrap();
    }

    assert_eq!(stacks.content(page(start + 7)), Content::Zeros);
    let last_guard = Content::Nothing(Absence::SectionGuard(2));
    assert_eq!(stacks.content(page(start + 8)), last_guard);
    let outside = Content::Nothing(Absence::Outside);
    for past in [start + 9, start + 10, start + 4_000, start - 1] {
        assert_eq!(stacks.content(page(past)), outside);
    }
}

/// Proves M55, M123: kernel stacks had a guard on one side, and returned ones stayed mapped.
#[test]
fn a_stack_is_guarded_above_as_well_and_gone_when_it_ended() {
    let mut stacks = region(100, 5, guarded(3, 1));
    let stack = stacks.take_section().unwrap();

    let guards = [100, 104].map(|guard| stacks.content(page(guard)));
    stacks.give_back_section(stack.start()).unwrap();

    assert_eq!(
        guards,
        [0, 1].map(|index| Content::Nothing(Absence::SectionGuard(index)))
    );
    let gone = Content::Nothing(Absence::FreeSection(0));
    assert_eq!(contents(&stacks, 101, 3), [gone; 3]);
}

/// Proves M50, M123: fixed areas used `>` where `>=` is meant, so that the page after the last one was served.
#[test]
fn the_page_after_fixed_memory_is_not_a_part_of_it() {
    let device = region(200, 4, fixed(0x80));

    let last = Content::Frame(Frame::new(0x83), MemoryType::Uncached);
    assert_eq!(device.content(page(203)), last);
    let outside = Content::Nothing(Absence::Outside);
    assert_eq!(device.content(page(204)), outside);
}

/// Proves M53, M123: in a ring, page i = n was taken for one of the first half, for want of an equals sign.
#[test]
fn each_page_of_a_ring_is_the_one_half_a_ring_further() {
    let ring = region(200, 8, Kind::Ring);

    let twins = contents(&ring, 200, 8);

    let expected = [204, 205, 206, 207, 200, 201, 202, 203].map(|twin| Content::Twin(page(twin)));
    assert_eq!(twins, expected);
    assert_eq!(ring.content(page(208)), Content::Nothing(Absence::Outside));
}

/// Proves M51, M123: a ring was documented as fixed, and resized all the same.
#[test]
fn a_ring_is_not_resized() {
    let mut map = map_of(&[]);
    add(&mut map, region(200, 8, Kind::Ring));

    assert_eq!(
        map.resize(page(200), 16),
        Err(RegionError::NotResizable(range(200, 8)))
    );
}

/// Proves M52, M123: an area of one space refused a second one, and was added all the same.
#[test]
fn a_refused_fork_gives_no_region_to_add() {
    let heap = region(200, 8, Kind::Heap);

    assert!(heap.fork().is_err());
}

/// Proves M41, M123: sizes that were no multiples of a page; a mapping of no pages.
#[test]
fn a_region_is_whole_pages_and_at_least_one() {
    let empty = Err(RegionError::Shape(ShapeError::Empty(page(200))));

    assert_eq!(try_region(200, 0, LAZY).map(|made| made.range()), empty);
}
