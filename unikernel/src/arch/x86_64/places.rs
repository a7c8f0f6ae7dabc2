//! Whose an address is: the parts of the kernel's address space, by name.
//!
//! Parts lie in one another, as stacks lie in the image's data; the narrowest one gives an address its name.

use core::ops::Range;

use super::address::{
    FRAMEBUFFER_BASE, HEAP_BASE, HEAP_MAX, MODULES_BASE, MODULES_MAX, PAGE, RECORDS_BASE,
    RECURSIVE_BASE, SLOT, WINDOWS,
};
use super::mtrr::RangeTypes;
use super::{image, memory_types, stacks};
use crate::boot::start::modules;
use crate::environment::Module;
use crate::memory::MemoryType;
use crate::memory::table::memory_type::{RangeType, effective};
use crate::trap::{Place, PlaceKind};

/// Addresses with a name.
struct Part {
    place: Place<'static>,
    range: Range<usize>,
}

impl Part {
    fn new(name: &'static str, kind: PlaceKind, range: Range<usize>) -> Self {
        let place = Place { name, kind };
        Self { place, range }
    }
}

/// Returns every part of the address space that has a name, each before those that it lies in.
fn parts() -> impl Iterator<Item = Part> {
    let guards =
        stacks::all().map(|stack| Part::new(stack.name, PlaceKind::StackGuard, stack.guard));
    let stacks = stacks::all().map(|stack| Part::new(stack.name, PlaceKind::Used, stack.range));
    let sections = image::sections()
        .into_iter()
        .map(|section| Part::new(section.name, PlaceKind::Used, section.range));
    let modules = modules()
        .iter()
        .map(|module| Part::new(module.name, PlaceKind::Used, pages_of(module)));
    guards
        .chain(stacks)
        .chain(sections)
        .chain(modules)
        .chain(slots())
}

/// Returns the parts that lie at fixed addresses.
fn slots() -> impl Iterator<Item = Part> {
    let used = |name, range| Part::new(name, PlaceKind::Used, range);
    [
        used("the heap", HEAP_BASE..HEAP_BASE + HEAP_MAX),
        Part::new(
            "the boot modules",
            PlaceKind::Guard,
            MODULES_BASE..MODULES_BASE + MODULES_MAX,
        ),
        used("the records of frames", RECORDS_BASE..RECORDS_BASE + SLOT),
        used("the framebuffer", FRAMEBUFFER_BASE..FRAMEBUFFER_BASE + SLOT),
        used("the page tables", RECURSIVE_BASE..RECURSIVE_BASE + SLOT),
        used("the temporary mappings", WINDOWS),
    ]
    .into_iter()
}

fn pages_of(module: &Module) -> Range<usize> {
    let start = module.bytes.as_ptr().addr();
    start - start % PAGE..(start + module.bytes.len()).next_multiple_of(PAGE)
}

/// Names the part of memory that an address lies in.
pub(super) fn place_of(address: u64) -> Option<Place<'static>> {
    parts()
        .find(|part| part.range.contains(&(address as usize)))
        .map(|part| part.place)
}

/// Returns the name of what an address lies in, and the last address up to which all has that name.
pub(crate) fn name_at(address: u64) -> (&'static str, u64) {
    let address = address as usize;
    let borders = parts().flat_map(|part| [part.range.start, part.range.end]);
    let next = borders.filter(|&border| border > address).min();
    let name = place_of(address as u64).map_or("an application's", |place| place.name);
    (name, next.map_or(u64::MAX, |next| next as u64 - 1))
}

/// Returns the pages that show the tables, where the processor has them from the tables themselves.
pub(crate) fn self_shown() -> Range<u64> {
    RECURSIVE_BASE as u64..(RECURSIVE_BASE + SLOT) as u64
}

/// The range registers of this CPU.
pub(crate) struct InEffect(Option<&'static RangeTypes>);

impl InEffect {
    /// Takes them as they were read first, where there are any.
    pub(crate) fn read() -> Self {
        Self(memory_types::range_types())
    }

    /// Returns what a page's memory type comes to at a physical address.
    pub(crate) fn of(&self, physical: u64, asked: MemoryType) -> Option<RangeType> {
        Some(effective(self.0?.at(physical), asked))
    }
}
