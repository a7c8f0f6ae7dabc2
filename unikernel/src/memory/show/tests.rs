//! Descriptions of spaces on the simulated machine, read back by a parser that is not ours.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use serde_json::Value;

use super::json::Text;
use super::{BATCH, Shown};
use crate::memory::fault::{Fault, Ring};
use crate::memory::frame::FramePool;
use crate::memory::machine::Machine;
use crate::memory::object::pager::Zeros;
use crate::memory::page::{
    Access, Frame, FrameRange, MemoryType, Page, PageRange, PageSize, Rights,
};
use crate::memory::region::{Commitment, Kind, Name, Sections, Sharing};
use crate::memory::sim::Sim;
use crate::memory::sim::pool::{SimMemory, pool_over};
use crate::memory::space::{AddressSpace, Memory, Place, Request};
use crate::memory::table::PageTable;
use crate::memory::table::entry::Attributes;

const LAZY: Kind = Kind::Anonymous {
    commitment: Commitment::Lazy,
};

/// The first page of the upper half, where the kernel of these tests has its heap: as many pages as a table maps.
const HEAP: u64 = 1 << 35;

struct World {
    pool: &'static FramePool<SimMemory>,
    kernel: Arc<AddressSpace<Sim, SimMemory>>,
    shown: Shown<Sim, SimMemory>,
}

impl World {
    #[allow(
        unsafe_code,
        reason = "activating a root is unsafe; on a simulated machine nobody is hurt"
    )]
    fn new() -> Self {
        let sim: &'static Sim = Box::leak(Box::new(Sim::new(512)));
        let pool = pool_over(sim);
        pool.zero_frame().expect("the machine has frames");
        let mut root = PageTable::create_first(sim, pool).expect("the machine has frames");
        root.prepare_upper_half(256..257)
            .expect("the machine has frames");
        // SAFETY: on a simulated machine nothing is in use yet.
        unsafe { sim.activate(root.root()) };
        let memory: &'static _ = Box::leak(Box::new(Memory::new(sim, pool)));
        let bounds = PageRange::new(page(16), (64 << 30 >> 12) - 16);
        let kernel = memory
            .create_kernel(root.root(), bounds)
            .expect("there is heap");
        let shown = Shown {
            memory,
            name_at,
            tables: || 0..0,
        };
        Self {
            pool,
            kernel: Arc::clone(kernel),
            shown,
        }
    }

    fn reserve(&self, name: &str, len_pages: u64, kind: Kind, sharing: Sharing) -> PageRange {
        let request = Request {
            len_pages,
            place: Place::Anywhere(PageSize::Kib4),
            rights: Rights::READ_WRITE,
            kind,
            sharing,
            name: Name::new(name),
        };
        self.kernel.reserve(request).expect("there is room")
    }

    fn touch(&self, range: PageRange, page: u64, access: Access) {
        let address = range.get(page).expect("the page is in the range").start();
        let by = Ring::Kernel;
        let fault = Fault {
            address,
            access,
            by,
        };
        self.kernel.resolve(fault).expect("the page may be touched");
    }

    /// Maps a frame in the kernel's half.
    fn map(&self, number: u64, rights: Rights) {
        let frame = FrameRange::one(Frame::new(9));
        let mut tables = PageTable::at(self.shown.memory.machine, self.pool, self.kernel.root());
        tables
            .map(page(number), frame, Attributes::new(rights), PageSize::Kib4)
            .expect("there are frames");
    }

    fn json(&self) -> String {
        fmt::from_fn(|out| self.shown.write_json(out)).to_string()
    }

    fn value(&self) -> Value {
        let text = self.json();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    fn table(&self) -> String {
        fmt::from_fn(|out| self.shown.write_table(out)).to_string()
    }
}

fn page(number: u64) -> Page {
    Page::from_number(number).expect("tests use pages that exist")
}

fn name_at(address: u64) -> (&'static str, u64) {
    let heap = page(HEAP).start().as_u64();
    match address.checked_sub(heap) {
        Some(0..0x20_0000) => ("the heap", heap + 0x1f_ffff),
        _ => ("the rest", u64::MAX),
    }
}

/// Returns one member of each element of a list.
fn all<'v>(list: &'v Value, member: &str) -> Vec<&'v Value> {
    let list = list.as_array().expect("it is a list");
    list.iter().map(|element| &element[member]).collect()
}

/// Proves M116.
#[test]
fn every_region_is_told_with_what_it_is_and_how_much_of_it_is_mapped() {
    let world = World::new();
    let lazy = world.reserve("scratch", 8, LAZY, Sharing::Private);
    let stack = world.reserve("stack of main", 16, Kind::Stack, Sharing::Private);
    world.touch(lazy, 0, Access::Read);
    world.touch(lazy, 1, Access::Write);
    world.touch(stack, 15, Access::Write);

    let told = world.value();

    let space = &told["spaces"][0];
    assert_eq!(
        (&told["version"], &space["is_kernel"]),
        (&1.into(), &true.into())
    );
    let expected = serde_json::json!([
        {
            "start": format!("{:#x}", lazy.start().start().as_u64()), "pages": 8, "rights": "rw--",
            "sharing": "private", "name": "scratch", "is_locked": false, "kind": "lazy",
            "counters": { "regular": 1, "cached": 0, "copy_on_write": 1 },
        },
        {
            "start": format!("{:#x}", stack.start().start().as_u64()), "pages": 16, "rights": "rw--",
            "sharing": "private", "name": "stack of main", "is_locked": false, "kind": "stack",
            "counters": { "regular": 1, "cached": 0, "copy_on_write": 0 },
        },
    ]);
    assert_eq!(space["regions"], expected);
}

/// Proves M116.
#[test]
fn kinds_that_are_made_of_something_say_what() {
    let world = World::new();
    let sections = Sections::new(4, 3).expect("there is heap");
    let len_pages = sections.len_pages();
    let fixed = Kind::Fixed {
        first: Frame::new(0xb8),
        memory_type: MemoryType::Uncached,
    };
    world.reserve(
        "stacks",
        len_pages,
        Kind::Guarded(sections),
        Sharing::Private,
    );
    world.reserve("screen", 2, fixed, Sharing::Shared);

    let told = world.value();
    let regions = &told["spaces"][0]["regions"];

    let (stacks, screen) = (&regions[0], &regions[1]);
    assert_eq!(all(regions, "kind"), ["guarded", "fixed"]);
    assert_eq!(
        (
            stacks["section_pages"].as_u64(),
            stacks["sections"].as_u64()
        ),
        (Some(4), Some(3))
    );
    assert_eq!(stacks["sections_used"], 0);
    assert_eq!(
        (&screen["first_frame"], &screen["memory_type"]),
        (&0xb8.into(), &"UC".into())
    );
}

/// Proves M116.
#[test]
fn all_regions_of_all_spaces_are_told_in_order() {
    let world = World::new();
    let others = [(); 2].map(|()| world.shown.memory.create(&world.kernel).expect("frames"));
    let count = 2 * BATCH + 1;
    for index in 0..count {
        world.reserve(&format!("region {index}"), 1, LAZY, Sharing::Private);
    }

    let told = world.value();

    let expected: Vec<Value> = (0..count)
        .map(|index| format!("region {index}").into())
        .collect();
    let names = all(&told["spaces"][0]["regions"], "name");
    assert_eq!(names, expected.iter().collect::<Vec<_>>());
    assert_eq!(all(&told["spaces"], "number"), [0, 1, 2]);
    assert_eq!(all(&told["spaces"], "is_kernel"), [true, false, false]);
    assert_eq!(told["spaces"][2]["regions"], serde_json::json!([]));
    drop(others);
}

/// Proves M116.
#[test]
fn the_frames_that_are_told_are_all_there_are() {
    let world = World::new();
    let frames = &world.value()["frames"];

    let number = |value: &Value| value.as_u64().expect("it is a number");
    let used = frames["used"].as_object().expect("it has members");

    let sum: u64 = used.values().map(number).sum();
    let (free, reserved) = (number(&frames["free"]), number(&frames["reserved"]));
    assert_eq!(sum + free + reserved, number(&frames["total"]));
    assert_eq!(used.len(), 6);
}

#[test]
fn pages_of_the_kernel_make_one_part_as_long_as_name_and_rights_are_the_same() {
    let world = World::new();
    for number in [0, 1, 5, 511, 512] {
        world.map(HEAP + number, Rights::READ_WRITE);
    }
    world.map(HEAP + 600, Rights::READ_EXECUTE);

    let told = world.value();
    let parts = &told["kernel"];

    assert_eq!(all(parts, "name"), ["the heap", "the rest", "the rest"]);
    assert_eq!(all(parts, "rights"), ["rw--", "rw--", "r-x-"]);
    assert_eq!(all(parts, "pages"), [512, 1, 1]);
    assert_eq!(all(parts, "mapped"), [4, 1, 1]);
    assert_eq!(parts[0]["start"], "0xffff800000000000");
}

#[test]
fn while_somebody_changes_something_all_that_is_said_is_busy() {
    let world = World::new();
    world.reserve("scratch", 8, LAZY, Sharing::Private);

    let while_changing = world.kernel.alone(|| (world.json(), world.table()));

    assert_eq!(while_changing, ("busy".into(), "busy".into()));
    assert!(world.json().starts_with("{\"version\":1,"));
}

#[test]
fn whatever_a_name_holds_comes_out_of_json_as_it_was() {
    let world = World::new();
    let names = [
        "\"quoted\"",
        "back\\slash",
        "two\nlines\t",
        "\0\u{7f}",
        "größe €",
        "",
    ];
    for name in names {
        world.reserve(name, 1, LAZY, Sharing::Private);
    }

    let told = world.value();

    assert_eq!(all(&told["spaces"][0]["regions"], "name"), names);
}

proptest::proptest! {
    #[test]
    fn any_text_comes_out_of_json_as_it_was(text in ".*") {
        let quoted = Text(&text).to_string();

        proptest::prop_assert_eq!(serde_json::from_str::<String>(&quoted).ok(), Some(text));
    }
}

/// Proves M116.
#[test]
fn every_object_is_told_with_who_has_it_and_what_of_it_is_in_memory() {
    let world = World::new();
    let memory = world.shown.memory;
    let board = memory.with_objects(|objects| {
        let zeros = objects
            .create(8, Arc::new(Zeros), None)
            .expect("there is heap");
        objects.drop_handle(zeros);
        objects.create(8, Arc::new(Zeros), Some("a \"board\""))
    });
    let board = board.expect("there is heap");
    let kind = Kind::Object {
        object: board,
        offset_pages: 2,
    };
    let range = world.reserve("window", 4, kind, Sharing::Shared);
    world.touch(range, 0, Access::Write);
    world.touch(range, 1, Access::Write);
    let snapshot = memory.snapshot(board).expect("there is heap");
    world.touch(range, 1, Access::Write);

    let (told, table) = (world.value(), world.table());

    let id = board.to_string();
    let expected = serde_json::json!([
        {
            "id": id, "name": "a \"board\"", "pager": "zeros", "pages": 8, "resident": 1, "dirty": 1,
            "out": 0, "handles": 1, "mappings": 1, "depth": 2,
        },
        {
            "id": snapshot.to_string(), "name": null, "pager": "zeros", "pages": 8, "resident": 2, "dirty": 2,
            "out": 0, "handles": 1, "mappings": 0, "depth": 1,
        },
    ]);
    assert_eq!(told["objects"], expected);
    assert_eq!(told["spaces"][0]["regions"][0]["object"], id);
    let line = format!("8 32 KiB 1 1 0 1 1 2 {id}, zeros, a \"board\"");
    let lines = table.lines().map(|line| line.split_whitespace());
    assert!(
        lines
            .map(|words| words.collect::<Vec<_>>().join(" "))
            .any(|told| told == line),
        "{table}"
    );
}

/// Proves M116.
#[test]
fn while_somebody_has_the_objects_all_that_is_said_is_busy() {
    let world = World::new();

    let meanwhile = world
        .shown
        .memory
        .with_objects(|_| (world.json(), world.table()));

    assert_eq!(meanwhile, ("busy".into(), "busy".into()));
    assert_eq!(world.value()["objects"], serde_json::json!([]));
}

/// Proves M116.
#[test]
fn the_table_has_a_line_for_each_region_and_each_part() {
    let world = World::new();
    let range = world.reserve("scratch", 512, LAZY, Sharing::Private);
    world.touch(range, 3, Access::Write);
    world.map(HEAP, Rights::READ_WRITE);

    let table = world.table();

    let words = |line: &str| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let lines: Vec<_> = table.lines().map(words).collect();
    let region = "512 2 MiB rw-- private 1 0 0 scratch, lazy";
    let part = "0xffff800000000000 1 4 KiB rw-- 1 the heap";
    assert!(
        lines.iter().any(|line| line[1..] == words(region)),
        "{table}"
    );
    assert!(lines.contains(&words(part)), "{table}");
    assert!(table.contains("\nspace 0, the kernel's\n"), "{table}");
}
