//! Everything that is in memory, told in order: as a table for people, and as JSON for programs.
//!
//! ```text
//!   Memory ──> walk ──> Listener: frames, space, region, region, …, part, part, …, object, object, …
//!                         ├─ table.rs   what `dump_regions` prints
//!                         ├─ json.rs    what `regions_as_json` writes, and `cargo unikernel map` draws
//!                         └─ Nobody     finds out first whether anybody is in the way
//! ```
//!
//! It may be asked for at any time, in the middle of anything. So no lock is waited for: if somebody holds one, all that is said is
//! `busy`. And no lock is held while text is made: regions and runs are copied some at a time, objects one at a time, so a
//! description may be formatted into anything, and a line was true when it was read. Nothing is allocated.
//!
//! `answer.rs` is how a running image is asked from outside.

#[cfg(any(unikernel_map, unikernel_test))]
pub(crate) mod answer;
mod json;
mod rows;
mod table;
#[cfg(test)]
mod tests;

use alloc::sync::Arc;
use core::fmt;
use core::ops::Range;

use self::json::Json;
use self::rows::{Joined, Part, Row, address, following};
use self::table::Table;
use super::MEMORY;
use super::address::VirtAddr;
use super::frame::{FrameMemory, Totals};
use super::machine::Machine;
use super::object::Description;
use super::page::{ENTRIES, Level, PAGE_SIZE, Page, PageRange};
use super::space::{AddressSpace, Busy, Memory, View};
use super::table::runs::Run;
use crate::arch::machine::frames::PoolMemory;
use crate::arch::machine::paging::Paging;
use crate::arch::machine::places;
use crate::print;

/// Regions and runs that are copied at a time.
const BATCH: usize = 16;

/// Prints all [regions](describe_regions) of all address spaces.
pub fn dump_regions() {
    print!("{}", describe_regions());
}

/// Describes what frames are used for, every region of every address space, and the parts of the kernel's half: where, how large,
/// with which rights, of which kind, how a fork treats it, how many pages are mapped and in which way, and the name. Then every
/// object: its pager, its pages, how many of them have frames, were changed, and are out, who has it, and how many layers of
/// snapshots it looks through.
///
/// The text is the word `busy` if somebody is changing any of this.
///
/// ```no_run
/// unikernel::println!("{}", unikernel::memory::describe_regions());
/// ```
#[must_use]
pub fn describe_regions() -> impl fmt::Display {
    fmt::from_fn(|out| MACHINE.write_table(out))
}

/// Describes the same as one JSON document; the word `busy`, which is none, if somebody is changing any of this.
///
/// It may be written to anything that takes text: nothing is allocated, and no lock is held.
///
/// ```no_run
/// # use unikernel::prelude::*;
/// use core::fmt::Write;
///
/// let mut text = String::new();
/// write!(text, "{}", unikernel::memory::regions_as_json()).expect("a string takes all text");
/// assert!(text == "busy" || text.starts_with("{\"version\":1,"));
/// ```
#[must_use]
pub fn regions_as_json() -> impl fmt::Display {
    fmt::from_fn(|out| MACHINE.write_json(out))
}

/// The machine's memory, with the names that its parts have.
static MACHINE: Shown<Paging, PoolMemory> = Shown {
    memory: &MEMORY,
    name_at: places::name_at,
    tables: places::self_shown,
};

/// What is shown.
struct Shown<M: Machine + 'static, H: FrameMemory + 'static> {
    memory: &'static Memory<M, H>,
    /// Names what an address lies in, and says up to which address all has that name.
    name_at: fn(u64) -> (&'static str, u64),
    /// Where the processor shows the tables themselves, which is told as one part.
    tables: fn() -> Range<u64>,
}

/// Who is told what there is.
trait Listener {
    /// All frames. The first of all.
    fn frames(&mut self, totals: &Totals) -> fmt::Result;
    /// A space begins.
    fn space(&mut self, number: u32, is_kernel: bool) -> fmt::Result;
    /// A region of that space, above those before.
    fn region(&mut self, row: &Row) -> fmt::Result;
    /// The kernel's half, which all spaces share, begins.
    fn kernel_half(&mut self) -> fmt::Result;
    /// A part of that half, above those before.
    fn part(&mut self, part: &Part) -> fmt::Result;
    /// The objects begin.
    fn objects(&mut self) -> fmt::Result;
    /// An object.
    fn object(&mut self, object: &Description) -> fmt::Result;
    /// That was all.
    fn end(&mut self) -> fmt::Result;
}

/// Listens to find out whether everything can be told.
struct Nobody;

impl Listener for Nobody {
    fn frames(&mut self, _: &Totals) -> fmt::Result {
        Ok(())
    }
    fn space(&mut self, _: u32, _: bool) -> fmt::Result {
        Ok(())
    }
    fn region(&mut self, _: &Row) -> fmt::Result {
        Ok(())
    }
    fn kernel_half(&mut self) -> fmt::Result {
        Ok(())
    }
    fn part(&mut self, _: &Part) -> fmt::Result {
        Ok(())
    }
    fn objects(&mut self) -> fmt::Result {
        Ok(())
    }
    fn object(&mut self, _: &Description) -> fmt::Result {
        Ok(())
    }
    fn end(&mut self) -> fmt::Result {
        Ok(())
    }
}

/// Why telling ended early.
enum Stop {
    Busy,
    Refused(fmt::Error),
}

impl Stop {
    fn say(self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => out.write_str("busy"),
            Self::Refused(error) => Err(error),
        }
    }
}

impl From<Busy> for Stop {
    fn from(Busy: Busy) -> Self {
        Self::Busy
    }
}

impl From<fmt::Error> for Stop {
    fn from(error: fmt::Error) -> Self {
        Self::Refused(error)
    }
}

impl<M: Machine, H: FrameMemory> Shown<M, H> {
    /// Writes the table, or `busy`.
    fn write_table(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.find_nobody_busy()
            .and_then(|()| self.walk(&mut Table(out)))
            .or_else(|stop| stop.say(out))
    }

    /// Writes JSON, or `busy`.
    fn write_json(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.find_nobody_busy()
            .and_then(|()| self.walk(&mut Json::new(out)))
            .or_else(|stop| stop.say(out))
    }

    /// Goes through everything once. What can be told once can be told again, unless another CPU comes between; then the text ends
    /// with `busy`.
    fn find_nobody_busy(&self) -> Result<(), Stop> {
        self.walk(&mut Nobody)
    }

    /// Tells everything there is.
    fn walk(&self, listener: &mut dyn Listener) -> Result<(), Stop> {
        let totals = self.memory.pool.try_totals().ok_or(Busy)?;
        listener.frames(&totals)?;
        for number in 0..self.memory.try_count()? {
            if let Some(space) = self.memory.try_space(number)? {
                listener.space(number, space.is_kernel())?;
                tell_regions(&space, listener)?;
            }
        }
        listener.kernel_half()?;
        if let Some(space) = self.kernel()? {
            self.tell_parts(&space, listener)?;
        }
        self.tell_objects(listener)?;
        listener.end()?;
        Ok(())
    }

    /// Tells the objects, each as it is when it is its turn.
    fn tell_objects(&self, listener: &mut dyn Listener) -> Result<(), Stop> {
        listener.objects()?;
        let mut place = 0;
        while let Some(object) = self.memory.try_object(place)? {
            listener.object(&object)?;
            place = object.id.place() + 1;
        }
        Ok(())
    }

    /// Returns the space of the kernel, once there is one: the first of all.
    fn kernel(&self) -> Result<Option<Arc<AddressSpace<M, H>>>, Busy> {
        Ok(self.memory.try_space(0)?.filter(|space| space.is_kernel()))
    }

    /// Tells the parts of the upper half: pages that follow each other and have the same name and rights.
    fn tell_parts(
        &self,
        kernel: &AddressSpace<M, H>,
        listener: &mut dyn Listener,
    ) -> Result<(), Stop> {
        let mut joined = Joined::new();
        for slot in ENTRIES / 2..ENTRIES {
            let first = Page::from_indices([slot, 0, 0, 0]).expect("a slot has a first page");
            if Some(slot) == M::SELF_SLOT {
                self.tell_tables(&mut joined, listener)?;
            } else {
                let slot = PageRange::new(first, Level::Four.entry_pages());
                self.tell_slot(kernel, slot, &mut joined, listener)?;
            }
        }
        if let Some(last) = joined.take() {
            listener.part(&last)?;
        }
        Ok(())
    }

    fn tell_slot(
        &self,
        kernel: &AddressSpace<M, H>,
        slot: PageRange,
        joined: &mut Joined,
        listener: &mut dyn Listener,
    ) -> Result<(), Stop> {
        let mut rest = Some(slot);
        while let Some(range) = rest {
            let mut batch = [None; BATCH];
            let len = copy_runs(&kernel.try_view()?, range, &mut batch);
            for run in batch.into_iter().flatten() {
                rest = following(range, run.pages);
                self.tell_run(&run, joined, listener)?;
            }
            if len < BATCH {
                break;
            }
        }
        Ok(())
    }

    /// Tells a run, cut where the name changes.
    fn tell_run(
        &self,
        run: &Run,
        joined: &mut Joined,
        listener: &mut dyn Listener,
    ) -> Result<(), Stop> {
        let mut rest = Some(run.pages);
        while let Some(pages) = rest {
            let start = address(pages.start());
            let (name, last) = (self.name_at)(start);
            let named = (last / PAGE_SIZE + 1).saturating_sub(start / PAGE_SIZE);
            let pages = PageRange::new(pages.start(), named.clamp(1, pages.len()));
            let part = Part::of(name, pages, run.leaf.attributes.rights());
            if let Some(complete) = joined.add(part) {
                listener.part(&complete)?;
            }
            rest = following(run.pages, pages);
        }
        Ok(())
    }

    /// Tells the pages at which the processor shows the tables. How many of them are there is the number of tables.
    fn tell_tables(&self, joined: &mut Joined, listener: &mut dyn Listener) -> Result<(), Stop> {
        let shown = (self.tables)();
        let start = VirtAddr::truncate(shown.start);
        let bytes = shown.end.saturating_sub(shown.start);
        let Some(pages) = PageRange::covering(start, bytes).filter(|pages| !pages.is_empty())
        else {
            return Ok(());
        };
        let totals = self.memory.pool.try_totals().ok_or(Busy)?;
        let (name, _) = (self.name_at)(shown.start);
        if let Some(complete) = joined.add(Part::tables(name, pages, &totals)) {
            listener.part(&complete)?;
        }
        Ok(())
    }
}

/// Tells the regions of a space.
fn tell_regions<M: Machine, H: FrameMemory>(
    space: &AddressSpace<M, H>,
    listener: &mut dyn Listener,
) -> Result<(), Stop> {
    let mut rest = Some(space.try_view()?.bounds());
    while let Some(range) = rest {
        let mut batch = [None; BATCH];
        let len = copy_regions(&space.try_view()?, range, &mut batch);
        for row in batch.into_iter().flatten() {
            listener.region(&row)?;
            rest = following(range, row.pages);
        }
        if len < BATCH {
            break;
        }
    }
    Ok(())
}

/// Copies as many regions as there is room for, and returns how many those are.
fn copy_regions<M: Machine, H: FrameMemory>(
    view: &View<'_, M, H>,
    range: PageRange,
    batch: &mut [Option<Row>],
) -> usize {
    let regions = view.regions_in(range);
    let mut len = 0;
    for (place, region) in batch.iter_mut().zip(regions) {
        *place = Some(Row::of(region, view.counters(region)));
        len += 1;
    }
    len
}

/// Copies as many runs as there is room for, and returns how many those are.
fn copy_runs<M: Machine, H: FrameMemory>(
    view: &View<'_, M, H>,
    range: PageRange,
    batch: &mut [Option<Run>],
) -> usize {
    let mut len = 0;
    view.runs(range, |run| {
        if let Some(place) = batch.get_mut(len) {
            *place = Some(run);
            len += 1;
        }
    });
    len
}
