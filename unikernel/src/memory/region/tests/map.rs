//! Maps of regions.

use super::*;

/// A map that exists before there is a heap.
static EARLY: std::sync::Mutex<RegionMap> =
    std::sync::Mutex::new(RegionMap::new(PageRange::one(Page::LAST)));

/// Proves M57: a map is a constant, and its first eight regions need no memory.
#[test]
fn a_static_map_takes_eight_regions_without_a_heap() {
    let mut early = EARLY.lock().unwrap();
    *early = RegionMap::new(range(100, 900));

    for start in 0..8 {
        add(&mut early, region(100 + start * 10, 5, LAZY));
    }

    assert_eq!(early.slots(), 8, "they lie in the map itself");
    add(&mut early, region(500, 5, LAZY));
    assert!(early.slots() > 8);
    assert_eq!(early.len(), 9);
    assert_eq!(
        early.find(page(174)).map(Region::range),
        Some(range(170, 5))
    );
}

/// Proves M41: a region is found by each of its pages and by no other.
#[test]
fn a_region_is_found_by_any_page_of_it() {
    let mut map = map_of(&[(100, 1), (200, 10), (210, 1), (990, 10)]);
    let found = |map: &RegionMap, number| map.find(page(number)).map(Region::range);

    let table = [
        (0, None),
        (99, None),
        (100, Some(range(100, 1))),
        (101, None),
        (199, None),
        (200, Some(range(200, 10))),
        (209, Some(range(200, 10))),
        (210, Some(range(210, 1))),
        (211, None),
        (999, Some(range(990, 10))),
        (1000, None),
        (1 << 35, None),
    ];
    for (number, region) in table {
        assert_eq!(found(&map, number), region, "{number}");
        let mutable = map.find_mut(page(number)).map(|region| region.range());
        assert_eq!(mutable, region, "{number}");
    }
}

/// Proves M41, M42: one page is of one region, and the bounds are kept.
#[test]
fn a_region_that_overlaps_or_leaves_the_bounds_is_given_back() {
    let mut map = map_of(&[(200, 10), (300, 10)]);
    let overlaps = |start| Err(RegionError::Overlaps(range(start, 10)));
    let outside = |start, len| Err(RegionError::OutOfBounds(range(start, len)));

    let table = [
        (200, 10, overlaps(200)),
        (199, 2, overlaps(200)),
        (209, 2, overlaps(200)),
        (203, 2, overlaps(200)),
        (150, 100, overlaps(200)),
        (210, 91, overlaps(300)),
        (99, 1, outside(99, 1)),
        (99, 2, outside(99, 2)),
        (1000, 1, outside(1000, 1)),
        (999, 2, outside(999, 2)),
        (1 << 35, 1, outside(1 << 35, 1)),
    ];
    for (start, len, refused) in table {
        assert_eq!(try_add(&mut map, region(start, len, LAZY)), refused);
    }

    assert_eq!(ranges_of(&map), [(200, 10), (300, 10)]);
    add(&mut map, region(210, 90, LAZY));
    add(&mut map, region(199, 1, LAZY));
}

/// Proves M42: what was not added comes back as it was.
#[test]
fn a_region_that_is_not_added_comes_back_whole() {
    let mut map = map_of(&[(200, 10)]);

    let (back, _) = map.insert(region(205, 4, object(9))).unwrap_err();

    assert_eq!(back.range(), range(205, 4));
    assert_eq!(
        back.content(page(206)),
        Content::Object(ObjectId::new(7, 1), 10)
    );
}

/// Proves M42, M43: every gap is tried, the lowest first.
#[test]
fn room_is_found_in_the_lowest_gap_that_is_wide_enough() {
    let map = map_of(&[(110, 10), (125, 25), (180, 800), (990, 10)]);

    let table = [
        (1, 0, Some(100)),
        (10, 0, Some(100)),
        (11, 0, Some(150)),
        (5, 101, Some(101)),
        (5, 106, Some(120)),
        (5, 121, Some(150)),
        (30, 150, Some(150)),
        (30, 151, None),
        (31, 0, None),
        (10, 180, Some(980)),
        (10, 981, None),
        (1, 990, None),
        (1, 1000, None),
        (1, 1 << 35, None),
        (0, 0, None),
        (u64::MAX, 0, None),
    ];
    for (len, from, found) in table {
        assert_eq!(
            map.find_free(len, page(from), 1),
            found.map(page),
            "{len} from {from}"
        );
    }
}

/// Proves M42: multiples only, of anything.
#[test]
fn room_starts_at_a_multiple() {
    let map = map_of(&[(110, 10), (125, 25), (180, 800)]);

    let table = [
        (4, 8, Some(104)),
        (7, 8, Some(152)),
        (8, 64, None),
        (10, 3, Some(150)),
        (28, 16, None),
        (1, 512, None),
        (5, 0, Some(100)),
        (1, u64::MAX, None),
    ];
    for (len, align, found) in table {
        assert_eq!(
            map.find_free(len, page(100), align),
            found.map(page),
            "{len} at a multiple of {align}"
        );
    }
    let wide = RegionMap::new(range(1, 100_000));
    assert_eq!(wide.find_free(512, page(1), 512), Some(page(512)));
}

/// Proves M42: in an empty map, all is room.
#[test]
fn an_empty_map_is_one_gap() {
    let map = RegionMap::new(range(100, 900));

    assert_eq!(map.find_free(900, page(0), 1), Some(page(100)));
    assert_eq!(map.find_free(901, page(0), 1), None);
    assert_eq!(map.find_free(899, page(101), 1), Some(page(101)));
    assert!(map.is_empty() && map.first_in(map.bounds()).is_none());
    assert_eq!(
        RegionMap::new(range(100, 0)).find_free(1, page(100), 1),
        None
    );
}

/// Proves M42: at the hint, else above, else anywhere.
#[test]
fn a_hint_is_taken_if_it_can_be() {
    let map = map_of(&[(110, 10), (130, 850)]);

    let table = [
        (5, 122, Some(122)),
        (5, 112, Some(120)),
        (5, 126, Some(980)),
        (20, 500, Some(980)),
        (8, 995, Some(100)),
        (10, 991, Some(100)),
        (5, 0, Some(100)),
        (21, 500, None),
    ];
    for (len, hint, found) in table {
        assert_eq!(
            map.find_near(len, page(hint), 1),
            found.map(page),
            "{len} near {hint}"
        );
    }
}

/// Proves M42: both ends of each half are usable, and none is left.
#[test]
fn maps_reach_to_the_end_of_each_half() {
    for start in [0, 1 << 35] {
        let half = 1 << 35;
        let mut map = RegionMap::new(range(start, half));

        add(&mut map, region(start, 1, LAZY));
        add(&mut map, region(start + half - 1, 1, LAZY));

        assert_eq!(
            map.find_free(half - 2, page(start), 1),
            Some(page(start + 1))
        );
        assert_eq!(map.find_free(half - 1, page(start), 1), None);
        assert_eq!(map.room_after(page(start + half - 1)), 0);
        assert_eq!(map.room_after(page(start)), half - 2);
    }
}

/// Proves M47: the room ends at the next region, or at the end of the bounds.
#[test]
fn room_after_a_region_ends_at_the_next_or_at_the_bounds() {
    let map = map_of(&[(110, 10), (125, 25), (150, 10)]);

    assert_eq!(map.room_after(page(110)), 5);
    assert_eq!(map.room_after(page(125)), 0);
    assert_eq!(map.room_after(page(150)), 840);
    assert_eq!(map.room_after(page(112)), 0, "no region starts there");
}

/// Proves M47: growing into free room, shrinking, and refusing with how far it would go.
#[test]
fn a_region_grows_as_far_as_there_is_room() {
    let mut map = map_of(&[(110, 10), (125, 25)]);

    assert_eq!(map.resize(page(110), 15), Ok(()));
    let refused = RegionError::NoRoom {
        len_pages: 16,
        most: 15,
    };
    assert_eq!(map.resize(page(110), 16), Err(refused));
    assert_eq!(map.resize(page(125), 875), Ok(()));
    assert_eq!(
        map.find(page(999)).map(Region::range),
        Some(range(125, 875))
    );
    assert_eq!(map.resize(page(125), 1), Ok(()));

    assert_eq!(ranges_of(&map), [(110, 15), (125, 1)]);
    assert_eq!(map.find_free(20, page(0), 1), Some(page(126)));
    map.check_invariants();
}

/// Proves M47: a request that is refused changes nothing.
#[test]
fn a_size_that_cannot_be_is_refused_and_the_old_one_stays() {
    let mut map = map_of(&[(110, 10)]);
    add(&mut map, region(300, 2, Kind::Stack));
    add(&mut map, region(400, 2, object(u64::MAX - 4)));
    let shape = |reason| Err(RegionError::Shape(reason));

    assert_eq!(
        map.resize(page(110), 0),
        shape(ShapeError::Empty(page(110)))
    );
    assert_eq!(
        map.resize(page(300), 1),
        shape(ShapeError::StackTooSmall(1))
    );
    assert_eq!(
        map.resize(page(400), 5),
        shape(ShapeError::OffsetTooLarge {
            offset_pages: u64::MAX - 4,
            len_pages: 5,
        })
    );
    assert_eq!(
        map.resize(page(111), 5),
        Err(RegionError::NoRegion(page(111)))
    );
    assert!(map.resize(page(110), u64::MAX).is_err());

    assert_eq!(ranges_of(&map), [(110, 10), (300, 2), (400, 2)]);
    map.check_invariants();
}

/// Proves M50, M51: device memory, rings, buffers and sections keep the size they were made with.
#[test]
fn what_has_one_size_for_life_is_not_resized() {
    for kind in [fixed(8), Kind::Ring, dma(8), guarded(1, 4)] {
        let len = if matches!(kind, Kind::Guarded(_)) {
            9
        } else {
            8
        };
        let mut map = map_of(&[]);
        add(&mut map, region(200, len, kind));

        for new in [2, len, 16] {
            let refused = Err(RegionError::NotResizable(range(200, len)));
            assert_eq!(map.resize(page(200), new), refused);
        }
    }
}

/// Proves M51: part of a device's registers can be unmapped all the same.
#[test]
fn device_memory_loses_pages_at_its_ends() {
    let mut map = map_of(&[]);
    add(&mut map, region(200, 8, fixed(0x80)));

    assert_eq!(map.shrink_from_start(page(200), 2), Ok(()));
    assert_eq!(map.shrink_from_end(page(202), 3), Ok(()));

    assert_eq!(ranges_of(&map), [(202, 3)]);
    let content = map.find(page(203)).unwrap().content(page(203));
    assert_eq!(
        content,
        Content::Frame(Frame::new(0x83), MemoryType::Uncached)
    );
    assert_eq!(map.find_free(110, page(0), 1), Some(page(205)));
    map.check_invariants();
}

/// Proves M44, M45.
#[test]
fn a_region_that_was_cut_is_two_with_a_boundary() {
    let mut map = map_of(&[]);
    add(&mut map, region(200, 8, object(50)));

    assert_eq!(map.split(page(200), page(203), Counters::NONE), Ok(()));

    assert_eq!(ranges_of(&map), [(200, 3), (203, 5)]);
    let content = map.find(page(203)).unwrap().content(page(203));
    assert_eq!(content, Content::Object(ObjectId::new(7, 1), 53));
    map.check_invariants();
}

/// Proves M44: a cut that cannot be changes nothing.
#[test]
fn a_cut_that_is_refused_changes_nothing() {
    let mut map = map_of(&[(200, 8)]);
    add(&mut map, region(300, 8, Kind::Ring));

    for (start, at) in [(200, 200), (200, 208), (200, 300), (201, 204), (300, 304)] {
        assert!(map.split(page(start), page(at), Counters::NONE).is_err());
    }

    assert_eq!(ranges_of(&map), [(200, 8), (300, 8)]);
}

/// Proves M41: regions that were cut become one again, from either side.
#[test]
fn a_region_joins_both_neighbours() {
    let mut map = map_of(&[]);
    add(&mut map, region(200, 30, object(50)));
    map.split(page(200), page(210), Counters::NONE).unwrap();
    map.split(page(210), page(220), Counters::NONE).unwrap();
    add(&mut map, region(230, 5, object(50)));
    add(&mut map, region(150, 50, LAZY));

    assert_eq!(map.join_around(page(210)), page(200));

    assert_eq!(ranges_of(&map), [(150, 50), (200, 30), (230, 5)]);
    assert_eq!(map.join_around(page(200)), page(200));
    assert_eq!(map.join_around(page(777)), page(777));
    assert_eq!(map.len(), 3);
    map.check_invariants();
}

/// Proves M58: a region in the making holds its place, and no fault sees it.
#[test]
fn a_reserved_region_holds_its_place_and_is_no_promise_yet() {
    let mut map = map_of(&[]);
    map.reserve(region(200, 8, LAZY)).unwrap();

    assert!(map.find_for_fault(page(203)).is_none());
    assert!(map.find_for_fault_mut(page(203)).is_none());
    assert!(map.find(page(203)).is_some_and(Region::is_locked));
    assert_eq!(map.find_free(101, page(0), 1), Some(page(208)));
    let refused = RegionError::Overlaps(range(200, 8));
    assert_eq!(try_add(&mut map, region(207, 1, LAZY)), Err(refused));

    assert_eq!(map.publish(page(200)), Ok(()));
    let seen = map.find_for_fault(page(203)).map(Region::range);
    assert_eq!(seen, Some(range(200, 8)));
    assert!(map.find_for_fault_mut(page(207)).is_some());
}

/// Proves M58: nobody but its maker changes a region in the making.
#[test]
fn a_reserved_region_is_published_or_abandoned_and_nothing_else() {
    let mut map = map_of(&[(300, 8)]);
    map.reserve(region(200, 8, LAZY)).unwrap();
    let locked = Err(RegionError::Locked(range(200, 8)));
    let not_locked = RegionError::NotLocked(range(300, 8));

    assert_eq!(map.resize(page(200), 9), locked);
    assert_eq!(map.split(page(200), page(204), Counters::NONE), locked);
    assert_eq!(map.shrink_from_start(page(200), 1), locked);
    assert_eq!(map.shrink_from_end(page(200), 1), locked);
    let fork = map.find(page(200)).unwrap().fork();
    assert_eq!(fork.map(drop), locked);
    assert_eq!(map.publish(page(300)), Err(not_locked));
    assert_eq!(map.abandon(page(300)).err(), Some(not_locked));
    assert_eq!(
        map.publish(page(201)),
        Err(RegionError::NoRegion(page(201)))
    );

    let abandoned = map.abandon(page(200)).map(|region| region.range());
    assert_eq!(abandoned, Ok(range(200, 8)));
    assert_eq!(ranges_of(&map), [(300, 8)]);
}

/// Proves M58: a region in the making joins nobody.
#[test]
fn a_reserved_region_joins_nobody() {
    let mut map = map_of(&[(200, 8)]);
    map.reserve(region(208, 8, LAZY)).unwrap();

    assert_eq!(map.join_around(page(200)), page(200));
    assert_eq!(map.len(), 2);
    map.publish(page(208)).unwrap();

    assert_eq!(map.join_around(page(208)), page(200));
    assert_eq!(ranges_of(&map), [(200, 16)]);
}

/// Proves M41.
#[test]
fn regions_in_a_range_come_from_the_lowest_up() {
    let map = map_of(&[(300, 10), (110, 10), (200, 10), (125, 25)]);
    let starts = |start, len| {
        let regions = map.iter_in(range(start, len));
        regions
            .map(|region| region.range().start().number())
            .collect::<Vec<_>>()
    };

    assert_eq!(starts(0, 1000), [110, 125, 200, 300]);
    assert_eq!(starts(119, 82), [110, 125, 200]);
    assert_eq!(starts(120, 5), [0; 0]);
    assert_eq!(starts(120, 6), [125]);
    let first = map.first_in(range(150, 500)).map(Region::range);
    assert_eq!(first, Some(range(200, 10)));
}

/// Proves M42, Q1: what was prepared needs no memory; what cannot be is an error.
#[test]
fn prepared_regions_find_their_slots() {
    let mut map = map_of(&[]);

    assert_eq!(map.prepare(usize::MAX), Err(RegionError::OutOfMemory));
    assert_eq!(
        map.prepare(u32::MAX as usize),
        Err(RegionError::OutOfMemory)
    );
    assert_eq!(map.prepare(100), Ok(()));
    let slots = map.slots();
    for start in 100..200 {
        add(&mut map, region(start, 1, LAZY));
    }

    assert_eq!(map.slots(), slots);
}

/// Proves M41: ten thousand regions, in any order, are at most 18 steps deep.
#[test]
fn ten_thousand_regions_stay_within_a_few_steps() {
    for order in [1, 7_919, 9_999] {
        let mut map = RegionMap::new(range(0, 1 << 20));
        for index in 0..10_000 {
            let start = index * order % 10_000 * 3;
            assert!(map.insert(region(start, 2, LAZY)).is_ok());
        }
        map.check_invariants();
        assert!(map.steps() <= 18, "{} steps", map.steps());

        assert_eq!(map.find_free(1, page(5_000), 1), Some(page(5_000)));
        assert_eq!(map.find_free(2, page(0), 1), Some(page(29_999)));
        for index in 0..10_000 {
            assert!(map.remove(page(index * order % 10_000 * 3)).is_some());
        }
        assert!(map.is_empty());
        map.check_invariants();
    }
}
