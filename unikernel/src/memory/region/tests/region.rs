//! What one region is, shows, and becomes.

use super::*;

/// Proves M41, M50, M53: what there cannot be is refused with what is wrong about it.
#[test]
fn a_region_that_cannot_be_is_refused_with_the_reason() {
    let frames = |first, len_pages| ShapeError::OutOfFrames {
        first: Frame::new(first),
        len_pages,
    };
    let table = [
        (0, LAZY, ShapeError::Empty(page(100))),
        (1, Kind::Stack, ShapeError::StackTooSmall(1)),
        (7, Kind::Ring, ShapeError::OddRing(7)),
        (2, fixed(u32::MAX), frames(u32::MAX, 2)),
        (1 << 33, fixed(0), frames(0, 1 << 33)),
        (2, dma(u32::MAX), frames(u32::MAX, 2)),
        (
            1,
            object(u64::MAX),
            ShapeError::OffsetTooLarge {
                offset_pages: u64::MAX,
                len_pages: 1,
            },
        ),
        (
            12,
            guarded(3, 3),
            ShapeError::SectionsDoNotFit {
                len_pages: 12,
                needed_pages: 13,
            },
        ),
    ];

    for (len, kind, reason) in table {
        assert_eq!(
            try_region(100, len, kind).map(|made| made.range()),
            Err(RegionError::Shape(reason))
        );
    }
}

/// Proves M50: the smallest and the largest of each kind.
#[test]
fn a_region_that_just_fits_is_made() {
    let table = [
        (1, LAZY),
        (1, COMMITTED),
        (2, Kind::Stack),
        (2, Kind::Ring),
        (1, fixed(u32::MAX)),
        (1 << 32, fixed(0)),
        (1, dma(u32::MAX)),
        (1, object(u64::MAX - 1)),
        (3, guarded(1, 1)),
        (1, Kind::Heap),
    ];

    for (len, kind) in table {
        region(100, len, kind).check_invariants();
    }
}

/// Proves M48: no rights at all can be promised; rights that no entry can say cannot.
#[test]
fn rights_without_reading_are_refused_unless_they_are_none() {
    let mut region = region(100, 1, LAZY);
    let unreadable = |rights| Err(RegionError::Shape(ShapeError::Unreadable(rights)));

    assert_eq!(region.set_rights(Rights::empty()), Ok(()));
    assert_eq!(region.rights(), Rights::empty());
    for rights in [Rights::WRITE, Rights::EXECUTE | Rights::USER] {
        assert_eq!(region.set_rights(rights), unreadable(rights));
    }

    assert_eq!(region.rights(), Rights::empty());
}

#[test]
fn the_upper_half_is_never_for_ring_3() {
    let start = 1 << 35;
    let refused = Err(RegionError::Shape(ShapeError::UserInUpperHalf(page(start))));
    let rights = Rights::READ_WRITE | Rights::USER;

    let made = Region::new(
        range(start, 1),
        rights,
        LAZY,
        Sharing::Private,
        Name::new(""),
    );

    assert_eq!(made.map(|made| made.rights()), refused);
    assert_eq!(
        region(start, 1, LAZY).set_rights(rights).map(|()| rights),
        refused
    );
}

/// Proves M50: what lies at a page of each kind.
#[test]
fn every_kind_shows_what_it_promises() {
    let frame = |number| Content::Frame(Frame::new(number), MemoryType::Uncached);
    let object_page = |offset| Content::Object(ObjectId::new(7, 1), offset);

    assert_eq!(contents(&region(100, 2, LAZY), 100, 2), [Content::Zeros; 2]);
    assert_eq!(
        contents(&region(100, 2, COMMITTED), 100, 2),
        [Content::Zeros; 2]
    );
    assert_eq!(
        contents(&region(100, 2, Kind::Heap), 100, 2),
        [Content::Zeros; 2]
    );
    assert_eq!(
        contents(&region(100, 2, fixed(0xb8)), 100, 2),
        [frame(0xb8), frame(0xb9)]
    );
    assert_eq!(
        contents(&region(100, 2, object(5)), 100, 2),
        [object_page(5), object_page(6)]
    );
    assert_eq!(
        region(100, 2, dma(9)).content(page(101)),
        Content::Frame(Frame::new(10), MemoryType::WriteBack)
    );
}

/// Proves M50: outside of a region there is nothing, whatever its kind.
#[test]
fn a_region_shows_nothing_outside_of_itself() {
    for kind in [LAZY, Kind::Stack, Kind::Ring, fixed(1), object(1)] {
        let region = region(100, 4, kind);

        for outside in [0, 99, 104, 1 << 35] {
            let content = region.content(page(outside));
            assert_eq!(content, Content::Nothing(Absence::Outside), "{region}");
        }
    }
}

/// Proves M56: a stack ends in a guard, and all above it is its own.
#[test]
fn the_lowest_page_of_a_stack_is_a_guard() {
    let stack = region(100, 4, Kind::Stack);

    let contents = contents(&stack, 100, 4);

    assert_eq!(contents[0], Content::Nothing(Absence::StackGuard));
    assert_eq!(contents[1..], [Content::Zeros; 3]);
}

/// Proves M45, M46: each part shows what the whole showed there, whatever it is made of and wherever the cut is.
#[test]
fn both_sides_of_a_cut_show_what_the_whole_showed() {
    let kinds: [fn() -> Kind; 6] = [
        || LAZY,
        || COMMITTED,
        || fixed(0x1000),
        || object(40),
        || Kind::Stack,
        || Kind::Heap,
    ];
    for kind in kinds {
        for at in 101..108 {
            let mut lower = region(100, 8, kind());
            let whole = contents(&lower, 100, 8);

            let upper = lower.split(page(at), Counters::NONE).unwrap();

            assert_eq!(
                contents(&lower, 100, at - 100),
                whole[..(at - 100) as usize]
            );
            assert_eq!(contents(&upper, at, 108 - at), whole[(at - 100) as usize..]);
            assert!(lower.can_join(&upper) && !upper.can_join(&lower));
            lower.join(upper);
            assert_eq!(contents(&lower, 100, 8), whole);
            lower.check_invariants();
        }
    }
}

/// Proves M46: shrinking from the start advances the offset, shrinking from the end does not.
#[test]
fn what_is_left_of_a_region_shows_what_it_showed() {
    for kind in [object(40), fixed(0x1000), LAZY] {
        let mut region = region(100, 8, kind);
        let whole = contents(&region, 100, 8);

        assert_eq!(region.shrink_from_start(3), Ok(()));
        assert_eq!(region.shrink_from_end(2), Ok(()));

        assert_eq!(region.range(), range(103, 3));
        assert_eq!(contents(&region, 103, 3), whole[3..6]);
    }
}

/// Proves M46.
#[test]
fn a_region_never_shrinks_to_nothing() {
    let mut region = region(100, 8, object(40));
    let refused = Err(RegionError::Shape(ShapeError::Empty(page(100))));

    for pages in [8, 9, u64::MAX] {
        assert_eq!(region.shrink_from_start(pages), refused);
        assert_eq!(region.shrink_from_end(pages), refused);
    }
    assert_eq!(region.shrink_from_start(0), Ok(()));
    assert_eq!(region.shrink_from_end(0), Ok(()));

    assert_eq!(region.range(), range(100, 8));
}

/// Proves M56: a page of a stack that may hold data does not become a guard.
#[test]
fn what_is_left_of_a_stack_without_its_guard_has_none() {
    let mut stack = region(100, 4, Kind::Stack);

    stack.shrink_from_start(1).unwrap();

    assert_eq!(contents(&stack, 101, 3), [Content::Zeros; 3]);
}

/// Proves M50, M53, M113: what is one thing stays one thing.
#[test]
fn rings_dma_buffers_and_sections_are_not_divided() {
    for kind in [Kind::Ring, dma(8), guarded(4, 3)] {
        let len = if matches!(kind, Kind::Guarded(_)) {
            16
        } else {
            8
        };
        let mut region = region(100, len, kind);
        let refused = RegionError::Indivisible(range(100, len));

        assert!(!region.is_divisible());
        assert_eq!(region.split(page(104), Counters::NONE).err(), Some(refused));
        assert_eq!(region.shrink_from_start(1), Err(refused));
        assert_eq!(region.shrink_from_end(1), Err(refused));
        assert_eq!(region.range(), range(100, len));
    }
}

/// Proves M44: a cut has pages on both sides.
#[test]
fn a_cut_outside_or_at_the_edge_is_refused() {
    let mut region = region(100, 8, LAZY);

    for at in [0, 99, 100, 108, 109] {
        let refused = RegionError::NoCut {
            region: range(100, 8),
            page: page(at),
        };
        assert_eq!(region.split(page(at), Counters::NONE).err(), Some(refused));
    }
}

/// Proves M60: two regions are one only if no page would notice.
#[test]
fn regions_join_only_where_the_second_goes_on_with_the_first() {
    let lower = region(100, 4, object(10));
    let joins = |upper: &Region| lower.can_join(upper);
    let other_object = Kind::Object {
        object: ObjectId::new(7, 2),
        offset_pages: 14,
    };
    let shared = Region::new(
        range(104, 4),
        Rights::READ_WRITE,
        object(14),
        Sharing::Shared,
        Name::new("test"),
    );
    let named = Region::new(
        range(104, 4),
        Rights::READ_WRITE,
        object(14),
        Sharing::Private,
        Name::new("other"),
    );
    let mut read_only = region(104, 4, object(14));
    read_only.set_rights(Rights::READ).unwrap();

    assert!(joins(&region(104, 4, object(14))));
    assert!(!joins(&region(105, 4, object(14))), "there is a gap");
    assert!(
        !joins(&region(104, 4, object(13))),
        "the offset does not go on"
    );
    assert!(!joins(&region(104, 4, other_object)));
    assert!(!joins(&region(104, 4, LAZY)));
    assert!(!joins(&shared.unwrap()));
    assert!(!joins(&named.unwrap()));
    assert!(!joins(&read_only));
}

/// Proves M41, M50.
#[test]
fn kinds_join_with_their_own_only() {
    let fits = |lower, upper| region(100, 4, lower).can_join(&region(104, 4, upper));

    assert!(fits(LAZY, LAZY) && fits(COMMITTED, COMMITTED) && fits(Kind::Heap, Kind::Heap));
    assert!(fits(fixed(8), fixed(12)) && !fits(fixed(8), fixed(13)) && !fits(fixed(8), fixed(8)));
    assert!(!fits(LAZY, COMMITTED) && !fits(LAZY, Kind::Heap));
    assert!(
        fits(Kind::Stack, LAZY),
        "the upper part of a stack comes back"
    );
    assert!(
        !fits(Kind::Stack, Kind::Stack),
        "a guard lies between two stacks"
    );
    assert!(!fits(LAZY, Kind::Stack) && !fits(Kind::Stack, COMMITTED));
    assert!(!fits(Kind::Ring, Kind::Ring) && !fits(dma(8), dma(12)));
}

/// Proves M112: one region has one memory type.
#[test]
fn device_memory_that_is_cached_otherwise_stays_apart() {
    let combining = Kind::Fixed {
        first: Frame::new(12),
        memory_type: MemoryType::WriteCombining,
    };

    let lower = region(100, 4, fixed(8));

    assert!(!lower.can_join(&region(104, 4, combining)));
}

#[test]
fn regions_on_both_sides_of_the_hole_between_the_halves_do_not_join() {
    let lower = region((1 << 35) - 1, 1, LAZY);
    let upper = region(1 << 35, 1, LAZY);

    assert!(!lower.can_join(&upper));
}

/// Proves M45, M117: counters are divided, and come together again.
#[test]
fn counters_of_the_parts_sum_up_to_those_of_the_whole() {
    let mut lower = region(100, 8, object(0));
    let whole = Counters {
        regular: 3,
        cached: 2,
        copy_on_write: 4,
    };
    *lower.counters_mut() = whole;
    let above = Counters {
        regular: 1,
        cached: 2,
        copy_on_write: 3,
    };

    let upper = lower.split(page(104), above).unwrap();

    assert_eq!(upper.counters(), above);
    assert_eq!((lower.counters().regular, lower.counters().cached), (2, 0));
    assert_eq!(lower.counters().mapped() + upper.counters().mapped(), 7);
    lower.join(upper);
    assert_eq!(lower.counters(), whole);
}

#[test]
#[should_panic(expected = "R7: 2 of 1 pages cannot be in one part")]
fn a_part_with_more_pages_than_the_whole_panics() {
    let mut lower = region(100, 8, LAZY);
    lower.counters_mut().regular = 1;
    let above = Counters {
        regular: 2,
        ..Counters::NONE
    };

    let _upper = lower.split(page(104), above);
}

/// Proves M117: after a fork private memory is copy-on-write, shared memory is what it was.
#[test]
fn a_fork_copies_the_promise_and_makes_private_memory_copy_on_write() {
    let counters = Counters {
        regular: 3,
        cached: 1,
        copy_on_write: 2,
    };
    for (sharing, regular, copy_on_write) in [(Sharing::Private, 0, 5), (Sharing::Shared, 3, 2)] {
        let name = Name::new("data");
        let mut parent =
            Region::new(range(100, 8), Rights::READ, object(4), sharing, name).unwrap();
        *parent.counters_mut() = counters;

        let child = parent.fork().unwrap();

        assert_eq!(contents(&child, 100, 8), contents(&parent, 100, 8));
        assert_eq!((child.rights(), child.sharing()), (Rights::READ, sharing));
        assert_eq!(child.counters().regular, regular);
        assert_eq!(child.counters().copy_on_write, copy_on_write);
        assert_eq!(parent.counters(), counters, "the fork may still fail");
    }
}

/// Proves M52: the heap of a runtime is of one space, and a fork is refused.
#[test]
fn the_heap_of_a_runtime_is_refused_to_a_second_space() {
    let heap = region(100, 8, Kind::Heap);

    let refused = heap.fork().map(|child| child.range());

    assert_eq!(refused, Err(RegionError::OneSpaceOnly(range(100, 8))));
}

/// Proves M82: every other kind shows the same on both sides of a fork.
#[test]
fn both_sides_of_a_fork_show_the_same() {
    for kind in [
        LAZY,
        COMMITTED,
        fixed(8),
        dma(8),
        object(1),
        Kind::Stack,
        Kind::Ring,
    ] {
        let parent = region(100, 8, kind);

        let child = parent.fork().unwrap();

        assert_eq!(contents(&child, 100, 8), contents(&parent, 100, 8));
        assert_eq!(child.is_divisible(), parent.is_divisible());
    }
}

/// Proves M116: one line tells all.
#[test]
fn a_region_is_shown_in_one_line() {
    let mut shown = region(0x100, 16, object(3));
    shown.counters_mut().regular = 2;

    assert_eq!(
        shown.to_string(),
        "0x100000     16 pages rw-- private object 7.1 from page 3, \
         2 regular 0 cached 0 copy-on-write, test"
    );
    let ring = region(0x100, 2, Kind::Ring).to_string();
    assert!(ring.contains(" ring,"), "{ring}");
    let sections = region(0x100, 7, guarded(2, 2)).to_string();
    assert!(sections.contains("guarded 0 of 2 x 2 pages"), "{sections}");
    let device = region(0x100, 2, fixed(0xb8)).to_string();
    assert!(device.contains("fixed 0xb8000 UC"), "{device}");
}

/// Proves M121.
#[test]
fn errors_say_what_and_where() {
    let table = [
        (
            RegionError::Overlaps(range(1, 2)),
            "regions: 0x1000 + 2 pages is taken",
        ),
        (
            RegionError::NoRegion(page(1)),
            "regions: none starts at 0x1000",
        ),
        (
            RegionError::NoRoom {
                len_pages: 9,
                most: 4,
            },
            "regions: no room for 9 pages, for 4 only",
        ),
        (
            ShapeError::OddRing(3).into(),
            "regions: a ring cannot have 3 pages",
        ),
        (
            ShapeError::Unreadable(Rights::WRITE).into(),
            "regions: rights -w-- lack reading",
        ),
    ];

    for (error, text) in table {
        assert_eq!(error.to_string(), text);
    }
}
