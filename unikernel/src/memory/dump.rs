//! What is mapped where, and what frames there are, as tables a person can read.
//!
//! ```text
//!               from                 to          KiB        frame  what
//! 0xffff800000000000 0xffff80000003ffff          256       0x1a5f  rw-- WB, WB in effect: the heap
//! ```
//!
//! All of it is read while the machine runs, some lines at a time: a line was true when it was read. No lock is held while text is
//! made, so a description may be formatted into anything.

use core::fmt;

use super::FRAMES;
use super::frame::report::{FrameReport, FreeLists};
use super::kernel::next_runs;
use super::page::{Frame, PAGE_SIZE, Page};
use super::table::entry::Attributes;
use super::table::memory_type::RangeType;
use super::table::runs::Run;
use crate::arch::machine::places::{InEffect, name_at, self_shown};
use crate::print;

/// Runs that are read from the tables at a time.
const BATCH: usize = 32;

/// Prints [all pages](describe_pages) that the kernel's root maps, and [where free frames are](describe_frames).
pub fn dump() {
    print!("{}{}", describe_pages(), describe_frames());
}

/// Describes a frame: what it is used for, how often it is mapped, whether it was changed, whose contents it holds.
///
/// ```no_run
/// use unikernel::memory::{OwnedFrame, describe_frame};
///
/// let frame = OwnedFrame::zeroed()?;
/// unikernel::println!("{}", describe_frame(frame.frame()));
/// # Ok::<(), unikernel::memory::AllocateError>(())
/// ```
#[must_use]
pub fn describe_frame(frame: Frame) -> FrameReport {
    FRAMES.describe(frame)
}

/// Describes how many frames there are for what, and where the free ones are.
#[must_use]
pub fn describe_frames() -> FreeLists {
    FRAMES.free_lists()
}

/// Describes everything the kernel's root maps: addresses, size, first frame, rights, memory type as asked for and as it comes to
/// with what the firmware says of that memory, and whose it is. Pages side by side that are alike in all of these make one line.
#[must_use]
pub fn describe_pages() -> impl fmt::Display {
    fmt::from_fn(|out| {
        let types = InEffect::read();
        writeln!(
            out,
            "{:>18} {:>18} {:>12} {:>12}  what",
            "from", "to", "KiB", "frame"
        )?;
        let mut next = Page::from_number(0);
        let mut tables_told = self_shown().is_empty();
        while let Some(from) = next {
            let mut batch = [None; BATCH];
            let len = next_runs(from, &mut batch);
            for run in batch.into_iter().flatten() {
                if !tables_told && run.pages.start().start().as_u64() > self_shown().start {
                    describe_tables(out)?;
                    tables_told = true;
                }
                describe_run(out, run, &types)?;
                next = following(run);
            }
            if len < BATCH {
                break;
            }
        }
        Ok(())
    })
}

/// Returns the page after a run.
fn following(run: Run) -> Option<Page> {
    let last = run.pages.last()?;
    Page::from_number(last.number() + 1)
}

/// Writes the line for the pages that show the tables.
fn describe_tables(out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let shown = self_shown();
    let line = Line {
        start: shown.start,
        bytes: shown.end - shown.start,
    };
    writeln!(
        out,
        "{line} {:>12}  page tables, shown by the root's own entry",
        "-"
    )
}

/// Writes a line for each part of a run that has one name and one memory type in effect.
fn describe_run(out: &mut fmt::Formatter<'_>, run: Run, types: &InEffect) -> fmt::Result {
    let first = run.pages.start().start().as_u64();
    let last = first + (run.pages.len() * PAGE_SIZE - 1);
    let mut start = first;
    while start <= last {
        let (name, name_last) = name_at(start);
        let (in_effect, type_last) = type_at(run, start, types);
        let end = last.min(name_last).min(type_last);
        let line = Line {
            start,
            bytes: end - start + 1,
        };
        let frame = run.leaf.frame.number() as u64 + (start - first) / PAGE_SIZE;
        let how = How(run.leaf.attributes, in_effect);
        writeln!(out, "{line} {frame:>#12x}  {how}: {name}")?;
        let Some(next) = end.checked_add(1) else {
            break;
        };
        start = next;
    }
    Ok(())
}

/// Returns the memory type in effect at an address of a run, and the last address up to which it is the same.
fn type_at(run: Run, start: u64, types: &InEffect) -> (Option<RangeType>, u64) {
    let asked = run.leaf.attributes.memory_type();
    let first = run.pages.start().start().as_u64();
    let last = first + (run.pages.len() * PAGE_SIZE - 1);
    let at = |address| types.of(run.leaf.frame.start().as_u64() + (address - first), asked);
    let here = at(start);
    // The type within one leaf is one, or undefined (SDM 3A, 12.11.9).
    let step = run.leaf.size.bytes() as usize;
    let other = (start..=last)
        .step_by(step)
        .find(|&address| at(address) != here);
    (here, other.map_or(last, |address| address - 1))
}

/// The addresses of a line.
struct Line {
    start: u64,
    bytes: u64,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.start + (self.bytes - 1);
        write!(
            f,
            "{:#18x} {last:#18x} {:>12}",
            self.start,
            self.bytes >> 10
        )
    }
}

/// Rights, memory type and marks, and the memory type in effect where that is known.
struct How(Attributes, Option<RangeType>);

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.1 {
            None => return self.0.fmt(f),
            Some(RangeType::Uncached) => "UC",
            Some(RangeType::WriteCombining) => "WC",
            Some(RangeType::WriteThrough) => "WT",
            Some(RangeType::WriteProtected) => "WP",
            Some(RangeType::WriteBack) => "WB",
        };
        write!(f, "{}, {word} in effect", self.0)
    }
}
