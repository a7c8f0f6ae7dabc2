//! The kernel's own pages.

use super::super::error::MapError;
use super::super::section::{EarlyPages, OutOfEarlyPages, Section, SectionError};
use super::*;
use crate::memory::address::PhysAddr;
use crate::memory::page::PAGE_SIZE;

const IMAGE: u64 = 0xffff_ffff_8020_0000;

fn section(offset: u64, bytes: u64, rights: Rights) -> Section {
    Section {
        start: VirtAddr::new(IMAGE + offset),
        loaded: PhysAddr::new(0x20_0000 + offset),
        bytes,
        rights,
    }
}

/// Proves M31: text can be executed, and what can be written cannot.
#[test]
fn each_section_has_its_own_rights_up_to_its_last_page() {
    let sim = Sim::new(32);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let sections = [
        section(0, 0x2345, Rights::READ_EXECUTE),
        section(0x3008, 0x1ff9, Rights::READ),
        section(0x6800, 0x1000, Rights::READ_WRITE),
        section(0x9000, 0, Rights::READ_WRITE),
    ];

    for section in &sections {
        assert_eq!(table.map_section(section), Ok(()));
    }

    let found: Vec<_> = runs(&table, PageRange::new(page(IMAGE), 512))
        .iter()
        .map(|run| {
            (
                run.pages,
                run.leaf.frame.start().as_u64(),
                run.leaf.attributes.rights(),
            )
        })
        .collect();
    let expected = [
        (pages(IMAGE, 3), 0x20_0000, Rights::READ_EXECUTE),
        (pages(IMAGE + 0x3000, 3), 0x20_3000, Rights::READ),
        (pages(IMAGE + 0x6000, 2), 0x20_6000, Rights::READ_WRITE),
    ];
    assert_eq!(found, expected);
    check(&table, &frames);
}

/// Proves M31: a page with two kinds of rights would have both.
#[test]
fn sections_that_share_a_page_are_refused() {
    let sim = Sim::new(32);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    assert_eq!(
        table.map_section(&section(0, 0x1001, Rights::READ_EXECUTE)),
        Ok(())
    );

    let refused = table.map_section(&section(0x1800, 8, Rights::READ_WRITE));

    let shared = MapError::AlreadyMapped(page(IMAGE + 0x1000));
    assert_eq!(refused, Err(SectionError::Map(shared)));
}

/// Proves M31.
#[test]
fn a_section_that_no_pages_can_map_is_refused() {
    let sim = Sim::new(32);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let mut askew = section(0x123, 8, Rights::READ);
    askew.loaded = PhysAddr::new(0x20_0124);
    let long = section(0, u64::MAX, Rights::READ);

    assert_eq!(table.map_section(&askew), Err(SectionError::Offset(askew)));
    assert_eq!(table.map_section(&long), Err(SectionError::TooLong(long)));
}

/// Proves M30.
#[test]
fn early_pages_are_reserved_downward_and_rounded_up() {
    let mut early = EarlyPages::new(pages(IMAGE, 10));

    assert_eq!(early.reserve(1), Ok(pages(IMAGE + 9 * PAGE_SIZE, 1)));
    assert_eq!(
        early.reserve(2 * PAGE_SIZE + 1),
        Ok(pages(IMAGE + 6 * PAGE_SIZE, 3))
    );
    assert_eq!(early.reserve(6 * PAGE_SIZE), Ok(pages(IMAGE, 6)));
    let error = OutOfEarlyPages { bytes: 1, left: 0 };
    assert_eq!(early.reserve(1), Err(error));
}

/// Proves M30: what does not fit reserves nothing.
#[test]
fn early_pages_run_out_with_an_error() {
    let mut early = EarlyPages::new(pages(IMAGE, 2));

    let error = early.reserve(u64::MAX).expect_err("there is not that much");

    assert_eq!(error.left, 2 * PAGE_SIZE);
    assert_eq!(early.reserve(2 * PAGE_SIZE), Ok(pages(IMAGE, 2)));
}
