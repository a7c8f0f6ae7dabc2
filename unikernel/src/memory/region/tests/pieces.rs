//! What a range takes of the regions it meets.

use super::*;
use crate::memory::address::VirtAddr;

fn pieces_of(map: &RegionMap, start: u64, len: u64) -> Vec<(u64, u64, u64, Cut)> {
    map.pieces(range(start, len))
        .expect("all regions can be divided")
        .map(|Piece { region, range, cut }| {
            (region.number(), range.start().number(), range.len(), cut)
        })
        .collect()
}

/// Proves M44: the four ways in which a range meets one region.
#[test]
fn a_range_takes_all_head_tail_or_middle_of_a_region() {
    let map = map_of(&[(200, 10)]);

    let table = [
        (200, 10, (200, 200, 10, Cut::Whole)),
        (150, 99, (200, 200, 10, Cut::Whole)),
        (200, 4, (200, 200, 4, Cut::Head)),
        (190, 14, (200, 200, 4, Cut::Head)),
        (206, 4, (200, 206, 4, Cut::Tail)),
        (206, 40, (200, 206, 4, Cut::Tail)),
        (203, 4, (200, 203, 4, Cut::Middle)),
        (201, 8, (200, 201, 8, Cut::Middle)),
    ];
    for (start, len, piece) in table {
        assert_eq!(pieces_of(&map, start, len), [piece], "{start} + {len}");
    }
}

/// Proves M44: several regions and holes.
#[test]
fn a_range_meets_several_regions_and_skips_holes() {
    let map = map_of(&[(200, 10), (210, 10), (240, 5), (300, 10)]);

    assert_eq!(
        pieces_of(&map, 205, 100),
        [
            (200, 205, 5, Cut::Tail),
            (210, 210, 10, Cut::Whole),
            (240, 240, 5, Cut::Whole),
            (300, 300, 5, Cut::Head),
        ]
    );
    assert_eq!(pieces_of(&map, 220, 20), []);
    assert_eq!(pieces_of(&map, 245, 55), []);
    assert_eq!(pieces_of(&map, 100, 0), []);
}

/// Proves M44: a range of no pages takes nothing, even inside a region.
#[test]
fn a_range_of_no_pages_takes_nothing() {
    let map = map_of(&[(200, 10)]);

    for start in [199, 200, 205, 209, 210] {
        assert_eq!(pieces_of(&map, start, 0), [], "{start}");
    }
}

/// Proves M44: bytes are widened to pages, and the pages that only a byte lies in count.
#[test]
fn a_range_of_bytes_takes_every_page_it_touches() {
    let map = map_of(&[(200, 10)]);
    let bytes = PageRange::covering(VirtAddr::new(201 * 4096 + 4095), 2).unwrap();

    let pieces: Vec<Piece> = map.pieces(bytes).unwrap().collect();

    assert_eq!(pieces[0].range, range(201, 2));
    assert_eq!(pieces[0].cut, Cut::Middle);
}

/// Proves M44, M53: what is one thing is taken as a whole or not at all, and that is known before anything is taken.
#[test]
fn a_range_that_would_divide_a_ring_is_refused_as_a_whole() {
    let mut map = map_of(&[(200, 10)]);
    add(&mut map, region(220, 8, Kind::Ring));
    let refused = Some(RegionError::Indivisible(range(220, 8)));

    assert_eq!(pieces_of(&map, 200, 28).len(), 2);
    for (start, len) in [(200, 27), (227, 1), (221, 100), (224, 4)] {
        assert_eq!(map.pieces(range(start, len)).err(), refused);
    }
    assert_eq!(pieces_of(&map, 150, 70).len(), 1);
}

/// Proves M58: what is still being made is nobody else's to take.
#[test]
fn a_range_that_meets_a_region_in_the_making_is_refused() {
    let mut map = map_of(&[(200, 10)]);
    map.reserve(region(220, 8, LAZY)).unwrap();

    let refused = map.pieces(range(200, 100)).err();

    assert_eq!(refused, Some(RegionError::Locked(range(220, 8))));
    map.publish(page(220)).unwrap();
    assert_eq!(pieces_of(&map, 200, 100).len(), 2);
}
