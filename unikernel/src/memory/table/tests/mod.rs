//! Tests of page tables on the simulated machine.

mod failure;
mod flushing;
mod mapping;
mod model;
mod one;
mod ranges;
mod rights;
mod roots;
mod sections;
mod zero;

use std::collections::BTreeSet;

use super::PageTable;
use super::entry::Attributes;
use super::runs::Run;
use crate::memory::address::VirtAddr;
use crate::memory::machine::Machine;
use crate::memory::page::{Frame, FrameRange, Page, PageRange, PageSize, Rights};
use crate::memory::sim::{Sim, SimFrames};

/// A page table on the simulator.
type Table<'a> = PageTable<'a, Sim, SimFrames<'a>>;

/// Pages of the lower half, far from each other.
const LOW: u64 = 0x4000_0000_0000;
/// Pages of the upper half, in a prepared entry of the root.
const HIGH: u64 = 0xffff_8000_0000_0000;

/// The machine has no memory there, but nobody looks: for large leaves.
const FAR: u32 = 1 << 20;

const READ: Attributes = Attributes::new(Rights::READ);
const READ_WRITE: Attributes = Attributes::new(Rights::READ_WRITE);

fn page(address: u64) -> Page {
    Page::containing(VirtAddr::new(address))
}

fn pages(address: u64, len: u64) -> PageRange {
    PageRange::new(page(address), len)
}

fn address(page: Page) -> VirtAddr {
    page.start()
}

/// Makes the first root, with two entries of the upper half prepared, and activates it.
fn kernel<'a>(sim: &'a Sim, frames: &'a SimFrames<'a>) -> Table<'a> {
    let mut table = PageTable::create_first(sim, frames).expect("there are frames");
    table
        .prepare_upper_half([256, 511].into_iter())
        .expect("there are frames");
    activate(sim, &table);
    table
}

#[allow(
    unsafe_code,
    reason = "nothing of the host runs by the tables of the simulator"
)]
fn activate(sim: &Sim, table: &Table<'_>) {
    // SAFETY:
    // 1. The simulated CPU runs no code.
    // 2. Tests destroy roots only when they are not active.
    unsafe { sim.activate(table.root()) }
}

/// Takes a frame that holds a value in its first word.
fn frame_with(sim: &Sim, frames: &SimFrames<'_>, value: u64) -> Frame {
    let frame = frames.take_any().expect("there are frames");
    sim.set_word(frame, 0, value);
    frame
}

/// Maps one frame at one page.
fn map_one(table: &mut Table<'_>, page: Page, frame: Frame, attributes: Attributes) {
    table
        .map(page, FrameRange::one(frame), attributes, PageSize::Kib4)
        .expect("nothing is mapped there, and there are frames");
}

/// Returns all runs in a range.
fn runs(table: &Table<'_>, range: PageRange) -> Vec<Run> {
    let mut found = Vec::new();
    table.runs(range, &mut |run| found.push(run));
    found
}

/// Checks all invariants, and that no table is free or linked twice. Returns how many tables there are.
fn check(table: &Table<'_>, frames: &SimFrames<'_>) -> usize {
    let mut tables = BTreeSet::new();
    table.check_invariants(&mut |frame| {
        assert!(
            tables.insert(frame),
            "T7: the table {frame} is linked twice"
        );
        assert!(
            !frames.is_free(frame),
            "T5: the table {frame} is linked and free"
        );
    });
    tables.len()
}
