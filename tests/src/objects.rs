//! Objects on the machine: snapshots, sharing, pagers, swap.

use core::sync::atomic::{AtomicU64, Ordering};

use unikernel::memory::pager::{Compressed, Keeping, Pager, PagerError, Supply, Zeros};
use unikernel::memory::{
    Object, ObjectError, OwnedFrames, Private, Region, ReserveError, Rights, Shared, Space,
    TransferError, Violation, ZERO_FRAME, describe_regions, regions_as_json,
};
use unikernel::prelude::*;
use unikernel::test::probe;

const PAGE: u64 = 4096;

/// Constant bytes that end in the middle of their second page, as a boot module may.
static TEXT: [u8; 5000] = [b'x'; 5000];

/// Takes the memory that the first use of anything costs for good, so that counts before and after are equal.
fn counted(story: impl Fn()) {
    // The first frame of all comes with those that its record lies in.
    assert!(ZERO_FRAME.frame().is_some());
    story();
    let before = probe::frame_counts();
    story();
    assert_eq!(probe::frame_counts(), before);
}

/// Counts the frames that somebody has.
fn allocated() -> u64 {
    probe::frame_counts().allocated
}

fn zeros(pages: u64) -> Object {
    Object::zeros(pages * PAGE).expect("there is heap")
}

fn show(object: &Object) -> Shared {
    Region::builder().shared(object).expect("there is room")
}

fn show_as_it_is(object: &Object) -> Region<Private> {
    Region::builder().private(object).expect("there is room")
}

fn read(memory: &Shared, page: u64) -> u64 {
    memory.read(page * PAGE).expect("the page may be read")
}

fn write(memory: &mut Shared, page: u64, value: u64) {
    let written = memory.write(page * PAGE, value);
    written.expect("the page may be written");
}

/// What a [`Scripted`] pager was asked.
#[derive(Debug)]
struct Asked {
    /// How often for a page.
    brought: AtomicU64,
    /// A bit for each page that was written back.
    taken: AtomicU64,
    /// How many of its objects have ended.
    released: AtomicU64,
}

impl Asked {
    const fn nothing() -> Self {
        Self {
            brought: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            released: AtomicU64::new(0),
        }
    }

    /// Returns how often it was asked for a page since the last time.
    fn brought(&self) -> u64 {
        self.brought.swap(0, Ordering::Relaxed)
    }

    /// Returns the pages that were written back since the last time.
    fn taken(&self) -> u64 {
        self.taken.swap(0, Ordering::Relaxed)
    }

    /// Returns how many objects ended since the last time.
    fn released(&self) -> u64 {
        self.released.swap(0, Ordering::Relaxed)
    }
}

/// A pager that counts, and does what it is told to.
struct Scripted {
    asked: &'static Asked,
    answer: fn(u64, &mut [u8; 4096]) -> Result<(), PagerError>,
}

impl Scripted {
    /// Makes one whose pages hold their number and 7.
    fn sevens(asked: &'static Asked) -> Self {
        let answer = |offset, page: &mut [u8; 4096]| {
            page.fill(7);
            page[..8].copy_from_slice(&u64::to_le_bytes(offset));
            Ok(())
        };
        Self { asked, answer }
    }
}

impl Pager for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn supply(&self, _offset_pages: u64) -> Supply {
        Supply::PageIn
    }

    fn page_in(&self, offset_pages: u64, page: &mut [u8; 4096]) -> Result<(), PagerError> {
        self.asked.brought.fetch_add(1, Ordering::Relaxed);
        (self.answer)(offset_pages, page)
    }

    fn page_out(&self, offset_pages: u64, _page: &[u8; 4096]) -> Result<(), PagerError> {
        let bit = 1 << offset_pages;
        self.asked.taken.fetch_or(bit, Ordering::Relaxed);
        Ok(())
    }

    fn keeping(&self) -> Keeping {
        Keeping::WrittenBack
    }

    fn release(&self) {
        self.asked.released.fetch_add(1, Ordering::Relaxed);
    }
}

/// Proves M65, M69, M78, M97. A snapshot costs nothing, and each page that is written afterwards costs one frame, once.
#[unikernel::test]
fn neither_side_of_a_snapshot_sees_what_the_other_writes() {
    counted(|| {
        let object = zeros(8);
        let mut now = show(&object);
        (0..4).for_each(|page| write(&mut now, page, 10 + page));
        let snapshot = object.snapshot().expect("there is heap");
        let mut then = show(&snapshot);
        (0..8).for_each(|page| assert_eq!(read(&then, page), read(&now, page)));
        let before = allocated();

        write(&mut now, 0, 100);
        write(&mut then, 1, 200);
        write(&mut then, 5, 300);

        assert_eq!(allocated() - before, 3);
        let all = |memory: &Shared| -> Vec<u64> { (0..8).map(|page| read(memory, page)).collect() };
        assert_eq!(all(&now), [100, 11, 12, 13, 0, 0, 0, 0]);
        assert_eq!(all(&then), [10, 200, 12, 13, 0, 300, 0, 0]);
        write(&mut now, 0, 101);
        assert_eq!(allocated() - before, 3);
    });
}

/// Proves M66, M67, M68. However many snapshots come and go, what is left costs what one object costs.
#[unikernel::test]
fn a_hundred_snapshots_leave_nothing_behind() {
    counted(|| {
        let object = zeros(4);
        let mut now = show(&object);
        write(&mut now, 0, 1);
        write(&mut now, 1, 1);
        let before = allocated();

        let mut last = object.snapshot().expect("there is heap");
        for version in 0..100 {
            write(&mut now, version % 4, version);
            last = object.snapshot().expect("there is heap");
        }
        let then = show_as_it_is(&last);
        write(&mut now, 0, 1000);

        assert_eq!(then.get::<u64>(0), Ok(96));
        assert_eq!(
            (1..4).map(|page| read(&now, page)).sum::<u64>(),
            97 + 98 + 99
        );
        drop((then, last));
        assert_eq!(allocated() - before, 2);
    });
}

/// Proves M62, M75. There is one frame for a page, however many show it.
#[unikernel::test]
fn what_is_written_at_one_address_is_read_at_another() {
    counted(|| {
        let object = zeros(3);
        let (mut first, mut second) = (show(&object), show(&object));
        assert_ne!(first.start(), second.start());
        assert_eq!((read(&first, 0), read(&second, 1)), (0, 0));
        let before = allocated();

        write(&mut first, 0, 1);
        write(&mut second, 1, 2);
        first.copy_in(2 * PAGE - 2, b"over").expect("it is within");

        assert_eq!((read(&second, 0), read(&first, 1)), (1, 2));
        let mut bytes = [0; 4];
        second
            .copy_out(2 * PAGE - 2, &mut bytes)
            .expect("it is within");
        assert_eq!(&bytes, b"over");
        assert_eq!(allocated() - before, 3);
        assert_eq!((first.counters().direct, first.counters().own), (3, 0));
    });
}

/// Proves M12, M89: copying from memory that nobody had written opened a window on the zero frame, which no window shows.
#[unikernel::test]
fn memory_that_nobody_has_written_is_copied_as_zeros() {
    counted(|| {
        let memory = show(&zeros(2));
        let space = Space::new().expect("there is a frame");
        let mut user = Region::builder()
            .len_pages(4)
            .user_owned(&space)
            .expect("there is room");
        let mut bytes = [1; 300];

        memory
            .copy_out(PAGE - 100, &mut bytes)
            .expect("it is within");
        assert_eq!(bytes, [0; 300]);

        user.copy_in(100, &[1; 300]).expect("there are frames");
        user.copy_out(2 * PAGE, &mut bytes[..1])
            .expect("it is within");
        let (from, to) = (
            user.start().checked_add(2 * PAGE),
            user.start().checked_add(150),
        );
        let (from, to) = (from.expect("it is below"), to.expect("it is below"));
        space.copy(from, (&space, to), 200).expect("it is within");
        user.copy_out(100, &mut bytes).expect("it is within");
        let expected = core::array::from_fn(|index| u8::from(!(50..250).contains(&index)));
        assert_eq!(bytes, expected);
    });
}

/// Proves M77, M78. Contents outlive the memory that showed them, and memory the value that stood for the object.
#[unikernel::test]
fn contents_live_as_long_as_anybody_has_them() {
    counted(|| {
        let object = zeros(2);
        write(&mut show(&object), 1, 5);
        let again = show(&object);
        assert_eq!(read(&again, 1), 5);

        drop(object);

        assert_eq!(read(&again, 1), 5);
    });
}

/// Proves M76.
#[unikernel::test]
fn a_name_is_of_one_object_as_long_as_anybody_has_it() {
    counted(|| {
        let make = || Object::named("board", PAGE, Zeros);
        let object = make().expect("the name is free");
        assert!(matches!(make(), Err(ObjectError::NameTaken(_))));
        let memory = show(&Object::open("board").expect("it is there"));
        drop(object);
        assert!(matches!(make(), Err(ObjectError::NameTaken(_))));

        drop(memory);

        assert!(matches!(Object::open("board"), Err(ObjectError::NoName(_))));
        assert!(make().is_ok());
    });
}

/// Proves M63, M71. A page is asked for when it is first touched, by reading or writing, and never again.
#[unikernel::test]
fn a_page_comes_from_its_pager_once_whoever_touches_it() {
    static ASKED: Asked = Asked::nothing();
    counted(|| {
        let object = Object::new(8 * PAGE, Scripted::sevens(&ASKED)).expect("there is heap");
        let (first, mut second) = (show(&object), show(&object));
        assert_eq!(ASKED.brought(), 0);

        assert_eq!((read(&first, 3), read(&second, 3)), (3, 3));
        assert_eq!(second.read::<u8>(5 * PAGE + 4095), Ok(7));
        write(&mut second, 6, 60);
        let private = show_as_it_is(&object);

        assert_eq!(private.get::<u64>(6 * PAGE), Ok(60));
        assert_eq!(first.read::<u8>(6 * PAGE + 8), Ok(7));
        assert_eq!(ASKED.brought(), 3);
        drop((object, first, second));
        assert_eq!(ASKED.released(), 0);
        drop(private);
        assert_eq!(ASKED.released(), 1);
    });
}

/// Proves M71, M119. A direct access has nobody to tell but the task that made it.
#[unikernel::test(should_fault = "its contents could not be had: the disk is gone")]
fn the_reason_of_a_pager_that_fails_is_in_the_report() {
    show(&broken()).read::<u8>(PAGE).ok();
}

/// Proves M71, M74. A copy ends where the pager failed, and says so.
#[unikernel::test]
fn a_copy_from_a_page_that_its_pager_cannot_bring_is_an_error() {
    counted(|| {
        let memory = show(&broken());
        let mut bytes = [0; 100];

        let refused = memory.copy_out(PAGE - 40, &mut bytes);

        let expected = TransferError {
            transferred: 40,
            address: memory.start().checked_add(PAGE).expect("it is below"),
            violation: Violation::Pager("the disk is gone"),
        };
        assert_eq!(refused, Err(expected));
        assert_eq!((bytes[39], bytes[40]), (7, 0));
    });
}

/// Makes an object of which only the first page can be had.
fn broken() -> Object {
    static ASKED: Asked = Asked::nothing();
    let answer = |offset, page: &mut [u8; 4096]| match offset {
        0 => {
            page.fill(7);
            Ok(())
        }
        _ => Err(PagerError::Failed("the disk is gone")),
    };
    let pager = Scripted {
        asked: &ASKED,
        answer,
    };
    Object::new(4 * PAGE, pager).expect("there is heap")
}

/// Proves M71. Three times it is too early.
#[unikernel::test]
fn an_access_is_repeated_until_the_pager_has_the_page() {
    static ASKED: Asked = Asked::nothing();
    let answer = |_, page: &mut [u8; 4096]| {
        if ASKED.brought.load(Ordering::Relaxed) <= 3 {
            return Err(PagerError::NotYet);
        }
        page.fill(9);
        Ok(())
    };
    counted(|| {
        let pager = Scripted {
            asked: &ASKED,
            answer,
        };
        let memory = show(&Object::new(PAGE, pager).expect("there is heap"));

        assert_eq!(memory.read::<u8>(100), Ok(9));
        assert_eq!(ASKED.brought(), 4);
    });
}

/// A pager that uses memory while a fault waits for it: memory of its own that nobody has touched, and another object.
struct Nested {
    other: Region<Private>,
}

impl Pager for Nested {
    fn name(&self) -> &'static str {
        "nested"
    }

    fn supply(&self, _offset_pages: u64) -> Supply {
        Supply::PageIn
    }

    fn page_in(&self, offset_pages: u64, page: &mut [u8; 4096]) -> Result<(), PagerError> {
        let scratch = Region::builder().len_pages(3).lazy();
        let mut scratch = scratch.map_err(|_| PagerError::OutOfMemory)?;
        let from = self
            .other
            .slice::<u8>(offset_pages * PAGE..(offset_pages + 1) * PAGE);
        let from = from.map_err(|_| PagerError::Failed("the other object ends before"))?;
        let bytes = scratch.slice_mut::<u8>(PAGE..2 * PAGE);
        let bytes = bytes.map_err(|_| PagerError::Failed("the memory is too small"))?;
        bytes.copy_from_slice(from);
        bytes[9] = 99;
        page.copy_from_slice(bytes);
        Ok(())
    }

    fn page_out(&self, _offset_pages: u64, _page: &[u8; 4096]) -> Result<(), PagerError> {
        Err(PagerError::Failed("nothing is kept"))
    }

    fn keeping(&self) -> Keeping {
        Keeping::Refused
    }
}

fn nested_in(other: &Object) -> Object {
    let other = show_as_it_is(other);
    Object::new(4 * PAGE, Nested { other }).expect("there is heap")
}

/// Proves M99. While one fault waits for its pager, the pager's own faults are repaired: zeros that are read, memory that is written,
/// a page that another pager brings.
#[unikernel::test]
fn a_pager_may_touch_memory_that_faults_in_turn() {
    static ASKED: Asked = Asked::nothing();
    counted(|| {
        let inner = Object::new(4 * PAGE, Scripted::sevens(&ASKED)).expect("there is heap");
        let outer = show_as_it_is(&nested_in(&inner));

        let values = [outer.get::<u64>(3 * PAGE), outer.get(PAGE)];

        assert_eq!(values, [Ok(3), Ok(1)]);
        let bytes = outer
            .slice::<u8>(PAGE + 8..PAGE + 11)
            .expect("it is within");
        assert_eq!(bytes, [7, 99, 7]);
        assert_eq!(ASKED.brought(), 2);
    });
}

/// Proves M99. Where pagers wait for pagers without end, that is reported before the stack ends.
#[unikernel::test(should_fault = "it was repaired again and again without effect")]
fn pagers_that_wait_for_each_other_too_deep_are_reported() {
    let mut object = Object::bytes(&TEXT).expect("there is heap");
    for _ in 0..6 {
        object = nested_in(&object);
    }

    show_as_it_is(&object).get::<u8>(0).ok();
}

/// Proves M73. What was read goes nowhere, what was written goes once, what is written again goes again.
#[unikernel::test]
fn sync_writes_back_exactly_the_changed_pages() {
    static ASKED: Asked = Asked::nothing();
    counted(|| {
        let object = Object::new(32 * PAGE, Scripted::sevens(&ASKED)).expect("there is heap");
        let (mut first, mut second) = (show(&object), show(&object));
        (0..32).for_each(|page| assert_eq!(read(&first, page), page));
        assert_eq!((object.sync(), ASKED.taken()), (Ok(0), 0));

        write(&mut first, 3, 30);
        write(&mut second, 31, 31);
        write(&mut second, 3, 31);
        assert_eq!((object.sync(), ASKED.taken()), (Ok(2), 1 << 3 | 1 << 31));
        assert_eq!((object.sync(), ASKED.taken()), (Ok(0), 0));

        write(&mut first, 3, 32);
        assert_eq!((object.sync(), ASKED.taken()), (Ok(1), 1 << 3));
        assert_eq!((read(&second, 3), read(&first, 31)), (32, 31));
    });
}

/// Takes frames until so many are left, and keeps them.
fn take_all_but(left: u64) -> Vec<OwnedFrames> {
    let mut taken = Vec::with_capacity(1000);
    let mut len = 1 << 15;
    while taken.len() < taken.capacity() {
        let more = probe::frame_counts().free.saturating_sub(left);
        len = u64::min(len, more);
        match OwnedFrames::uncleared(len as u32) {
            _ if len == 0 => break,
            Ok(frames) => taken.push(frames),
            Err(_) => len /= 2,
        }
    }
    taken
}

/// Proves M72, M78. Four times as many pages are written as there are frames, and all come back, twice.
#[unikernel::test(timeout = "120s")]
fn more_pages_can_be_written_than_there_are_frames() {
    const LEFT: u64 = 256;
    const PAGES: u64 = 4 * LEFT;
    counted(|| {
        let swap = Compressed::new(PAGES, (PAGES * 256) as usize).expect("there is heap");
        let object = Object::new(PAGES * PAGE, swap).expect("there is heap");
        let mut memory = show(&object);
        let taken = take_all_but(LEFT);

        (0..PAGES).for_each(|page| write(&mut memory, page, page + 1));
        (0..PAGES).for_each(|page| assert_eq!(read(&memory, page), page + 1));
        (0..PAGES).for_each(|page| write(&mut memory, page, 3 * page));
        (0..PAGES).for_each(|page| assert_eq!(read(&memory, page), 3 * page));

        assert!(memory.counters().shown() <= LEFT);
        drop(taken);
    });
}

/// Proves M16, M72. Without swap there is an end, which is an error where somebody can be told.
#[unikernel::test(timeout = "60s")]
fn what_cannot_go_anywhere_ends_when_frames_do() {
    counted(|| {
        let object = zeros(200);
        let mut memory = show(&object);
        let taken = take_all_but(100);

        let refused = memory
            .copy_in(0, &[1; 200 * 4096])
            .expect_err("frames end before");

        assert!(
            matches!(refused.violation, Violation::OutOfFrames(_)),
            "{refused:?}"
        );
        assert!((80 * 4096..=100 * 4096).contains(&refused.transferred));
        drop(taken);
        assert_eq!(read(&memory, 79), 0x0101_0101_0101_0101);
    });
}

/// Proves M72, M97. Pages of a boot module are copies that come as they are read, and what is written to them stays here.
#[unikernel::test]
fn private_memory_shows_constant_bytes_and_keeps_what_is_written_to_itself() {
    counted(|| {
        let object = Object::bytes(&TEXT).expect("there is heap");
        let (mut first, second) = (show_as_it_is(&object), show_as_it_is(&object));
        assert_eq!(
            (object.len_bytes(), first.counters().shown()),
            (2 * PAGE, 0)
        );

        first.set(4999, b'y').expect("it may be written");

        assert_eq!(first.slice::<u8>(4998..5001), Ok(&b"xy\0"[..]));
        assert_eq!(second.slice::<u8>(4998..5001), Ok(&b"xx\0"[..]));
        assert_eq!((first.counters().own, second.counters().borrowed), (1, 1));
        assert_eq!(TEXT[4999], b'x');
    });
}

/// Proves M49. The object says whether memory that changes it is possible at all.
#[unikernel::test]
fn constant_bytes_are_shared_for_reading_only() {
    counted(|| {
        let object = Object::bytes(&TEXT).expect("there is heap");

        let refused = Region::builder().shared(&object).map(drop);
        let mut read_only = Region::builder()
            .rights(Rights::READ)
            .shared(&object)
            .expect("there is room");

        assert!(matches!(
            refused,
            Err(ReserveError::Object(ObjectError::ReadOnly(_)))
        ));
        assert_eq!(read_only.read::<u8>(4999), Ok(b'x'));
        assert!(read_only.write(0, 1u8).is_err());
        assert!(read_only.protect(Rights::READ_WRITE).is_err());
    });
}

/// Proves M47, M78.
#[unikernel::test]
fn an_object_shrinks_and_grows_while_nobody_shows_what_goes() {
    counted(|| {
        let object = zeros(4);
        let mut memory = show(&object);
        (0..4).for_each(|page| write(&mut memory, page, 1));
        assert!(matches!(object.resize(PAGE), Err(ObjectError::Mapped(_))));
        drop(memory);
        let before = allocated();

        assert_eq!(object.resize(PAGE), Ok(4 * PAGE));
        assert_eq!(before - allocated(), 3);
        assert_eq!(object.resize(2 * PAGE), Ok(PAGE));

        let memory = show(&object);
        assert_eq!((read(&memory, 0), read(&memory, 1)), (1, 0));
    });
}

/// Proves M116.
#[unikernel::test]
fn objects_are_in_the_description_of_memory() {
    let object = Object::named("dumped", 3 * PAGE, Zeros).expect("the name is free");
    let (mut first, _second) = (show(&object), show(&object));
    write(&mut first, 1, 1);

    let (table, json) = (
        describe_regions().to_string(),
        regions_as_json().to_string(),
    );

    let line = table.lines().find(|line| line.ends_with(", zeros, dumped"));
    let words: Vec<_> = line.expect("it has a line").split_whitespace().collect();
    assert_eq!(words[..8], ["3", "12", "KiB", "1", "1", "0", "1", "2"]);
    let members = "\"name\":\"dumped\",\"pager\":\"zeros\",\"pages\":3,\"resident\":1,\"dirty\":1";
    assert!(json.contains(members), "{json}");
}

/// Fails the first, the second, … allocation of a frame by `operation` until it succeeds. Each failure must leave frames and
/// tables as they were.
fn sweep(name: &str, operation: impl Fn() -> bool) {
    assert!(operation(), "{name} succeeds when nothing fails");
    let before = probe::frame_counts();
    for nth in 1..1000 {
        probe::fail_nth_frame(nth);
        let succeeded = operation();
        let came = !probe::frame_failure_pending();
        probe::fail_nth_frame(0);
        assert_eq!(probe::frame_counts(), before, "{name}, allocation {nth}");
        probe::check_tables();
        if !came {
            assert!(succeeded && nth > 1, "{name} has no allocation to fail");
            return;
        }
    }
    panic!("{name} fails for ever");
}

/// Proves M22, M93, Q1.
#[unikernel::test(timeout = "60s")]
fn a_failure_of_any_allocation_for_an_object_is_an_error_and_leaks_nothing() {
    static ASKED: Asked = Asked::nothing();
    sweep("write, take a snapshot, write to both", || {
        let object = zeros(600);
        let mut now = show(&object);
        if now.copy_in(3 * PAGE - 5, &[1; 9000]).is_err() {
            return false;
        }
        let snapshot = object.snapshot().expect("this needs no frame");
        let mut then = show(&snapshot);
        now.copy_in(3 * PAGE, &[2; 5000]).is_ok() && then.copy_in(599 * PAGE, b"end").is_ok()
    });
    sweep("bring in, change, write back", || {
        let object = Object::new(8 * PAGE, Scripted::sevens(&ASKED)).expect("there is heap");
        let mut memory = show(&object);
        let mut bytes = [0; 3 * 4096];
        let is_read = memory.copy_out(100, &mut bytes).is_ok();
        let is_written = memory.copy_in(2 * PAGE, b"new").is_ok();
        object.sync().is_ok() && is_read && is_written
    });
    sweep("page out and in", || {
        let swap = Compressed::new(4, 4096).expect("there is heap");
        let object = Object::new(4 * PAGE, swap).expect("there is heap");
        let mut memory = show(&object);
        memory.copy_in(0, &[3; 4 * 4096]).is_ok() && memory.copy_out(0, &mut [0; 4 * 4096]).is_ok()
    });
}
