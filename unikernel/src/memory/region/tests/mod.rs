//! Regions, one by one and in maps.

mod guarded;
mod map;
mod model;
mod pieces;
mod region;
mod regressions;

use std::vec::Vec;

use super::{
    Absence, Commitment, Content, Counters, Cut, Kind, Name, Piece, Region, RegionError, RegionMap,
    Sections, ShapeError, Sharing,
};
use crate::memory::object::ObjectId;
use crate::memory::page::{Frame, MemoryType, Page, PageRange, Rights};

const LAZY: Kind = Kind::Anonymous {
    commitment: Commitment::Lazy,
};
const COMMITTED: Kind = Kind::Anonymous {
    commitment: Commitment::Committed,
};

fn page(number: u64) -> Page {
    Page::from_number(number).expect("there is such a page")
}

fn range(start: u64, len: u64) -> PageRange {
    PageRange::new(page(start), len)
}

fn object(offset_pages: u64) -> Kind {
    Kind::Object {
        object: ObjectId::new(7, 1),
        offset_pages,
    }
}

fn fixed(first: u32) -> Kind {
    Kind::Fixed {
        first: Frame::new(first),
        memory_type: MemoryType::Uncached,
    }
}

fn dma(first: u32) -> Kind {
    Kind::Dma {
        first: Frame::new(first),
        memory_type: MemoryType::WriteBack,
    }
}

fn guarded(section_pages: u64, count: u32) -> Kind {
    Kind::Guarded(Sections::new(section_pages, count).expect("there can be such sections"))
}

fn try_region(start: u64, len: u64, kind: Kind) -> Result<Region, RegionError> {
    let name = Name::new("test");
    Region::new(
        range(start, len),
        Rights::READ_WRITE,
        kind,
        Sharing::Private,
        name,
    )
}

fn region(start: u64, len: u64, kind: Kind) -> Region {
    try_region(start, len, kind).expect("there can be such a region")
}

/// Returns a map of pages 100 to 999 with lazy regions at these places.
fn map_of(ranges: &[(u64, u64)]) -> RegionMap {
    let mut map = RegionMap::new(range(100, 900));
    for &(start, len) in ranges {
        add(&mut map, region(start, len, LAZY));
    }
    map
}

fn add(map: &mut RegionMap, region: Region) {
    assert_eq!(try_add(map, region), Ok(()));
}

fn try_add(map: &mut RegionMap, region: Region) -> Result<(), RegionError> {
    let added = map.insert(region).map_err(|(_, error)| error);
    map.check_invariants();
    added
}

fn ranges_of(map: &RegionMap) -> Vec<(u64, u64)> {
    map.iter()
        .map(|region| (region.range().start().number(), region.range().len()))
        .collect()
}

/// What every page from `start` on shows.
fn contents(region: &Region, start: u64, len: u64) -> Vec<Content> {
    range(start, len)
        .iter()
        .map(|page| region.content(page))
        .collect()
}
