//! Where two rules meet, and one of them was forgotten once.

use core::cell::RefCell;
use std::sync::Mutex;
use std::vec::Vec;

use super::objects::{drop_handle, map, object, shows, zeros};
use super::*;
use crate::memory::object::pager::{Keeping, Physical, Supply};
use crate::memory::object::{ObjectId, Pager, PagerError};
use crate::memory::page::{Frame, FrameRange, MemoryType};
use crate::memory::sim::FIRST_FRAME;
use crate::memory::space::{Fork, SpaceError, Target};

/// Contents that are kept somewhere else, in words: one for each page.
pub(super) struct Disk(Mutex<Vec<u64>>);

impl Disk {
    pub(super) fn of(words: &[u64]) -> Arc<Self> {
        Arc::new(Self(Mutex::new(words.to_vec())))
    }

    fn words(&self) -> Vec<u64> {
        self.0.lock().expect("nobody panicked").clone()
    }
}

impl Pager for Disk {
    fn name(&self) -> &'static str {
        "a disk of the test"
    }

    fn supply(&self, _offset_pages: u64) -> Supply {
        Supply::PageIn
    }

    fn page_in(&self, offset_pages: u64, page: &mut [u8; 4096]) -> Result<(), PagerError> {
        page.fill(0);
        page[..8].copy_from_slice(&self.words()[offset_pages as usize].to_le_bytes());
        Ok(())
    }

    fn page_out(&self, offset_pages: u64, page: &[u8; 4096]) -> Result<(), PagerError> {
        let word = page[..8].try_into().expect("these are eight bytes");
        self.0.lock().expect("nobody panicked")[offset_pages as usize] = u64::from_le_bytes(word);
        Ok(())
    }

    fn keeping(&self) -> Keeping {
        Keeping::WrittenBack
    }
}

/// Maps pages of an object at a page.
fn map_at(
    world: &World,
    first: u64,
    (object, offset): (ObjectId, u64),
    sharing: Sharing,
) -> PageRange {
    let request = Request {
        place: Place::At(page(first)),
        ..shows(object, offset, 4, sharing)
    };
    world.kernel.reserve(request).expect("it is free")
}

/// Proves M65: an object knows two regions side by side as one mapping, and the second may be shared where the first is not.
#[test]
fn a_snapshot_is_not_changed_through_shared_pages_behind_private_ones() {
    let world = World::new(256);
    let object = zeros(&world, 8);
    map_at(&world, 100, (object, 0), Sharing::Private);
    let shared = map_at(&world, 104, (object, 4), Sharing::Shared);
    assert_eq!(world.write(at(shared, 0), 1), Ok(()));

    let snapshot = world.memory.snapshot(object).expect("there is heap");
    assert_eq!(world.write(at(shared, 0), 2), Ok(()));

    let shown = map(&world.kernel, snapshot, 8, Sharing::Shared);
    assert_eq!(world.read(at(shown, 4)), Ok(1));
}

/// Proves M48, M65: the right to write comes back with a write only; whether the page may be written, its object says.
#[test]
fn reading_or_executing_after_rights_came_back_does_not_make_a_snapshot_writable() {
    let (read, execute) = (Access::Read, Access::Execute);
    for (access, without, with) in [
        (read, Rights::empty(), Rights::READ_WRITE),
        (execute, Rights::READ, Rights::READ_WRITE | Rights::EXECUTE),
    ] {
        let world = World::new(256);
        let object = zeros(&world, 1);
        let range = map(&world.kernel, object, 1, Sharing::Shared);
        assert_eq!(world.write(at(range, 0), 1), Ok(()));
        let snapshot = world.memory.snapshot(object).expect("there is heap");

        assert_eq!(world.kernel.protect(range, without), Ok(()));
        assert_eq!(world.kernel.protect(range, with), Ok(()));
        let accessed = match access {
            Access::Execute => world.execute(at(range, 0)),
            _ => world.read(at(range, 0)).map(drop),
        };
        assert_eq!(accessed, Ok(()));
        assert_eq!(world.write(at(range, 0), 2), Ok(()));

        let shown = map(&world.kernel, snapshot, 1, Sharing::Shared);
        assert_eq!(world.read(at(shown, 0)), Ok(1), "{access:?}");
        assert_eq!(world.read(at(range, 0)), Ok(2), "{access:?}");
    }
}

/// Proves M48, M73: a page that was written back counts as changed again, however it got its rights back.
#[test]
fn a_change_after_rights_came_back_is_written_back() {
    let world = World::new(256);
    let disk = Disk::of(&[0; 1]);
    let object = object(&world, 1, Arc::<Disk>::clone(&disk));
    let range = map(&world.kernel, object, 1, Sharing::Shared);
    assert_eq!(world.write(at(range, 0), 1), Ok(()));
    assert_eq!(world.memory.sync(object), Ok(1));

    assert_eq!(world.kernel.protect(range, Rights::empty()), Ok(()));
    assert_eq!(world.kernel.protect(range, Rights::READ_WRITE), Ok(()));
    assert_eq!(world.read(at(range, 0)), Ok(1));
    assert_eq!(world.write(at(range, 0), 2), Ok(()));

    assert_eq!(world.memory.sync(object), Ok(1));
    assert_eq!(disk.words(), [2]);
}

/// Proves M56, M101: frames that are given ahead of need leave the guard what it is.
#[test]
fn a_stack_that_is_committed_keeps_its_guard() {
    let world = World::new(64);
    let stack = request(8, Rights::READ_WRITE, Kind::Stack, Sharing::Private);
    let range = world.kernel.reserve(stack).expect("there is room");

    assert_eq!(world.kernel.commit(range), Ok(7));

    assert_eq!(world.write(at(range, 0), 1), Err(Violation::StackOverflow));
    assert_eq!(world.write(at(range, 1), 1), Ok(()));
}

/// Proves M44: nothing is asked of no pages, and nothing is cut for it.
#[test]
fn an_empty_range_changes_nothing() {
    let world = World::new(64);
    let lazy = world.lazy(&world.kernel, 8);
    let ring = request(8, Rights::READ_WRITE, Kind::Ring, Sharing::Shared);
    let ring = world.kernel.reserve(ring).expect("there is room");
    let before = world.kernel.inspect(|regions, _| regions.len());

    for range in [lazy, ring] {
        let middle = range.get(3).expect("it is in the range");
        let empty = PageRange::new(middle, 0);
        assert_eq!(world.kernel.unmap(empty), Ok(0));
        assert_eq!(world.kernel.protect(empty, Rights::READ), Ok(()));
        assert_eq!(world.kernel.discard(empty), Ok(0));
        assert_eq!(world.kernel.commit(empty), Ok(0));
    }

    assert_eq!(world.kernel.inspect(|regions, _| regions.len()), before);
    assert_eq!(world.write(at(lazy, 3), 1), Ok(()));
}

/// Where a device is.
const DEVICE: u32 = FIRST_FRAME + 100;

/// Makes an object of frames that the pool does not hand out.
fn device(world: &World, len: u32) -> ObjectId {
    let frames = FrameRange::new(Frame::new(DEVICE), len);
    let reserved = world.pool.reserve(frames);
    assert_eq!(reserved, Ok(u64::from(len)), "nobody has them yet");
    for frame in frames.iter() {
        world.sim.set_word(frame, 0, 0);
    }
    // SAFETY: the frames are reserved, and the machine is simulated.
    let pager = unsafe { Physical::new(frames, MemoryType::Uncached) };
    object(world, u64::from(len), Arc::new(pager))
}

/// Proves M72: who writes first writes to the memory that is there, not to a copy of it.
#[test]
fn what_is_written_to_physical_memory_arrives_there() {
    let world = World::new(128);
    let device = device(&world, 4);
    let first = map(&world.kernel, device, 4, Sharing::Shared);
    let second = map(&world.kernel, device, 4, Sharing::Shared);
    assert_eq!(world.read(at(second, 1)), Ok(0));

    assert_eq!(world.write(at(first, 1), 7), Ok(()));
    assert_eq!(world.write(at(second, 2), 8), Ok(()));

    assert_eq!(world.sim.word(Frame::new(DEVICE + 1), 0), 7);
    assert_eq!(world.sim.word(Frame::new(DEVICE + 2), 0), 8);
    assert_eq!(world.read(at(second, 1)), Ok(7));
    assert_eq!(world.kernel.unmap(first), Ok(4));
    assert_eq!(world.kernel.unmap(second), Ok(4));
}

/// Proves M72, M84: a private page shows a device until it is written, and then a copy; the device's frame is nobody's to count.
#[test]
fn a_private_page_of_physical_memory_is_copied_when_it_is_written() {
    let world = World::new(128);
    let device = device(&world, 4);
    let shared = map(&world.kernel, device, 4, Sharing::Shared);
    let private = map(&world.kernel, device, 4, Sharing::Private);
    assert_eq!(world.write(at(shared, 0), 3), Ok(()));

    assert_eq!(world.read(at(private, 0)), Ok(3));
    assert_eq!(world.write(at(private, 0), 4), Ok(()));
    assert_eq!(world.write(at(private, 1), 5), Ok(()));

    assert_eq!(world.read(at(private, 0)), Ok(4));
    assert_eq!(world.read(at(shared, 0)), Ok(3));
    assert_eq!(world.sim.word(Frame::new(DEVICE + 1), 0), 0);
}

/// Proves M65, M72: a snapshot of physical memory is not written through the original, which has copies from then on.
#[test]
fn physical_memory_with_a_snapshot_is_copied_when_it_is_written() {
    let world = World::new(128);
    let device = device(&world, 2);
    let ranges = [(); 2].map(|()| map(&world.kernel, device, 2, Sharing::Shared));
    assert_eq!(world.write(at(ranges[0], 0), 1), Ok(()));
    assert_eq!(world.write(at(ranges[1], 0), 1), Ok(()));

    let snapshot = world.memory.snapshot(device).expect("there is heap");
    let shown = map(&world.kernel, snapshot, 2, Sharing::Shared);
    assert_eq!(world.read(at(shown, 0)), Ok(1));
    assert_eq!(world.write(at(ranges[0], 0), 2), Ok(()));
    assert_eq!(world.read(at(ranges[1], 1)), Ok(0));
    assert_eq!(world.write(at(ranges[1], 1), 3), Ok(()));

    assert_eq!(world.read(at(shown, 0)), Ok(1));
    assert_eq!(world.read(at(shown, 1)), Ok(0));
    assert_eq!(world.read(at(ranges[1], 0)), Ok(2));
    assert_eq!(world.read(at(ranges[0], 1)), Ok(3));
}

/// Proves M73, M63: what one side writes back, the other does not read.
#[test]
fn a_snapshot_of_a_file_is_not_changed_by_writing_back() {
    let world = World::new(256);
    let disk = Disk::of(&[1, 2]);
    let file = object(&world, 2, Arc::<Disk>::clone(&disk));
    let range = map(&world.kernel, file, 2, Sharing::Shared);
    let snapshot = world.memory.snapshot(file).expect("there is heap");
    let shown = map(&world.kernel, snapshot, 2, Sharing::Shared);

    assert_eq!(world.write(at(range, 0), 10), Ok(()));
    assert_eq!(world.write(at(range, 1), 20), Ok(()));
    assert_eq!(world.memory.sync(file), Ok(2));
    assert_eq!(disk.words(), [10, 20]);
    world.memory.page_out(16);

    assert_eq!(world.read(at(shown, 0)), Ok(1));
    assert_eq!(world.read(at(shown, 1)), Ok(2));
    assert_eq!(world.kernel.unmap(shown), Ok(2));
    drop_handle(&world, snapshot);
    assert_eq!(world.write(at(range, 1), 21), Ok(()));
    assert_eq!(world.memory.sync(file), Ok(1));
    world.memory.page_out(16);
    assert_eq!(world.read(at(range, 0)), Ok(10));
    assert_eq!(world.read(at(range, 1)), Ok(21));
}

/// Proves M73, M123: codezero and MOS lost what was written to a shared file that was unmapped without a word.
#[test]
fn what_was_changed_is_written_back_before_the_last_who_could_do_that_is_gone() {
    for ends_by_unmapping in [true, false] {
        let world = World::new(256);
        let disk = Disk::of(&[0; 4]);
        let file = object(&world, 4, Arc::<Disk>::clone(&disk));
        let space = world.memory.create(&world.kernel).expect("frames");
        let range = map(&space, file, 4, Sharing::Shared);
        world.enter(&space);
        assert_eq!(world.write(at(range, 2), 5), Ok(()));
        world.enter(&Arc::clone(&world.kernel));
        world.memory.forget_previous();

        drop_handle(&world, file);
        if ends_by_unmapping {
            assert_eq!(space.unmap(range), Ok(4));
        }
        drop(space);

        assert_eq!(disk.words(), [0, 0, 5, 0]);
    }
}

/// Proves M47: what was committed is committed when it has grown, or has not grown.
#[test]
fn a_committed_region_grows_by_frames() {
    let world = World::new(64);
    let committed = Request {
        kind: Kind::Anonymous {
            commitment: Commitment::Committed,
        },
        ..private(2, Rights::READ_WRITE)
    };
    let range = world.kernel.reserve(committed).expect("there is room");

    assert_eq!(world.kernel.resize(range.start(), 6), Ok(2));

    let counters = world.kernel.counters(range.start()).expect("it is there");
    assert_eq!(counters.regular, 6);
    assert_eq!(
        world.kernel.resize(range.start(), 600),
        Err(SpaceError::OutOfFrames)
    );
    assert_eq!(world.kernel.resize(range.start(), 0), Ok(6));
}

/// Proves M53, M75: also a page of a ring that nobody had touched before the fork.
#[test]
fn a_ring_is_shared_across_a_fork_as_a_whole() {
    for how in [Fork::CopyOnWrite, Fork::Eager] {
        let world = World::new(128);
        let ring = request(8, Rights::READ_WRITE, Kind::Ring, Sharing::Shared);
        let range = world.kernel.reserve(ring).expect("there is room");
        assert_eq!(world.write(at(range, 0), 1), Ok(()));

        let child = world.kernel.fork(how).expect("there are frames");
        assert_eq!(world.write(at(range, 2), 2), Ok(()));
        world.enter(&child);
        assert_eq!(world.write(at(range, 3), 3), Ok(()));

        let seen = [0, 4, 2, 6].map(|page| world.read(at(range, page)));
        assert_eq!(seen, [Ok(1), Ok(1), Ok(2), Ok(2)], "{how:?}");
        world.enter(&Arc::clone(&world.kernel));
        assert_eq!(world.read(at(range, 7)), Ok(3), "{how:?}");
    }
}

/// Proves M60: zeros that are a space's own cannot be shared; what is to be shared is an object, a ring or a device's.
#[test]
fn what_has_no_frames_to_share_is_not_reserved_as_shared() {
    let world = World::new(64);
    let lazy = Kind::Anonymous {
        commitment: Commitment::Lazy,
    };
    for (kind, sharing) in [
        (lazy, Sharing::Shared),
        (Kind::Stack, Sharing::Shared),
        (Kind::Heap, Sharing::Shared),
        (Kind::Ring, Sharing::Private),
    ] {
        let refused = world
            .kernel
            .reserve(request(4, Rights::READ_WRITE, kind, sharing));
        assert_eq!(refused, Err(ReserveError::Sharing));
    }
}

std::thread_local! {
    /// What is done while a pager ends, with no lock held.
    static AT_END: RefCell<Option<Box<dyn Fn()>>> = const { RefCell::new(None) };
}

/// Zeros that do something when they end.
struct Ending;

impl Pager for Ending {
    fn name(&self) -> &'static str {
        "ending"
    }

    fn supply(&self, _offset_pages: u64) -> Supply {
        Supply::Zeros
    }

    fn page_in(&self, _offset_pages: u64, _page: &mut [u8; 4096]) -> Result<(), PagerError> {
        Ok(())
    }

    fn page_out(&self, _offset_pages: u64, _page: &[u8; 4096]) -> Result<(), PagerError> {
        Ok(())
    }

    fn keeping(&self) -> Keeping {
        Keeping::InMemory
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        AT_END.with_borrow(|act| act.as_ref().expect("it was set")());
    }
}

/// Proves M62: objects know spaces by number, so a space that is still ending keeps its own.
#[test]
fn a_space_that_is_made_while_another_ends_has_another_number() {
    let world = World::new(128);
    let object = object(&world, 1, Arc::new(Ending));
    let space = world.memory.create(&world.kernel).expect("frames");
    map(&space, object, 1, Sharing::Shared);
    drop_handle(&world, object);
    let (ending, memory) = (space.number(), world.memory);
    let kernel = Arc::clone(&world.kernel);
    AT_END.set(Some(Box::new(move || {
        let made = memory.create(&kernel).expect("frames");
        assert_ne!(made.number(), ending);
    })));

    drop(space);

    AT_END.set(None);
    let next = world.memory.create(&world.kernel).expect("frames");
    assert_eq!(next.number(), ending, "it is used again when it is free");
}

/// Proves M85, M87: a CPU that only chose other spaces is still in the one that it loaded, which stays.
#[test]
fn a_space_stays_while_a_cpu_translates_by_it_whatever_was_chosen_since() {
    let world = World::new(256);
    let spaces = [(); 3].map(|()| world.memory.create(&world.kernel).expect("frames"));
    let before = world.free();
    let [loaded, first, second] = spaces;
    let range = world.lazy(&loaded, 1);
    world.enter(&loaded);
    assert_eq!(world.write(at(range, 0), 1), Ok(()));

    drop(loaded);
    world.memory.choose(&Target::Space(&first));
    world.memory.choose(&Target::Space(&second));

    assert_eq!(world.read(at(range, 0)), Ok(1));
    world.enter(&Arc::clone(&world.kernel));
    drop((first, second));
    world.memory.forget_previous();
    assert_eq!(world.free(), before + 3, "the roots of all three");
}

/// Makes a machine whose regions end with the lower half.
fn at_the_end() -> (World, PageRange) {
    const HALF: u64 = 1 << 35;
    let world = World::bounded(Sim::new(256), PageRange::new(page(HALF - 1024), 1024));
    let range = world
        .kernel
        .reserve(Request {
            place: Place::At(page(HALF - 8)),
            ..private(8, Rights::READ_WRITE)
        })
        .expect("it is free");
    (world, range)
}

/// Proves M42, M44, M47: the last page of a half is a page like any other, and behind it is nothing.
#[test]
fn the_end_of_a_half_is_as_far_as_anything_goes() {
    let (world, range) = at_the_end();
    assert_eq!(world.write(at(range, 7), 7), Ok(()));
    let last = part(range, 7, 1);

    let grown = world.kernel.resize(range.start(), 9);
    assert!(matches!(grown, Err(SpaceError::NoRoom { .. })));
    assert_eq!(world.kernel.commit(range), Ok(7));
    assert_eq!(world.kernel.protect(last, Rights::READ), Ok(()));
    assert_eq!(world.write(at(range, 7), 8), forbidden(Access::Write));
    assert_eq!(world.kernel.discard(last), Ok(1));
    assert_eq!(world.read(at(range, 7)), Ok(0));
    assert_eq!(world.kernel.unmap(last), Ok(1));
    assert_eq!(world.kernel.resize(range.start(), 8), Ok(7));
    assert_eq!(world.kernel.move_end(range, 4), Ok(()));
    assert_eq!(world.kernel.unmap(part(range, 0, 4)), Ok(4));
}

/// Proves M42, M47: numbers that no request of good will has are refused, and change nothing.
#[test]
fn sizes_and_offsets_beyond_all_measure_are_refused() {
    let (world, range) = at_the_end();
    let file = object(&world, 4, Disk::of(&[0; 4]));
    let before = (
        world.free(),
        world.kernel.inspect(|regions, _| regions.len()),
    );
    let sizes = [0, 1 << 35, (1 << 52) - 1, 1 << 52, u64::MAX - 1, u64::MAX];

    for len_pages in sizes {
        for place in [
            Place::At(page(1)),
            Place::At(range.start()),
            Place::Near(page(0)),
            Place::Near(Page::LAST),
            Place::Anywhere(PageSize::Gib1),
        ] {
            let refused = world.kernel.reserve(Request {
                place,
                ..private(len_pages, Rights::READ)
            });
            assert!(refused.is_err(), "{len_pages} {place:?}");
        }
        if len_pages > 0 {
            assert!(world.kernel.resize(range.start(), len_pages).is_err());
            assert!(world.kernel.move_end(range, len_pages).is_err());
        }
        for offset in [5, 1 << 52, u64::MAX - 3, u64::MAX] {
            let beyond = shows(file, offset, len_pages.clamp(1, 8), Sharing::Shared);
            assert!(world.kernel.reserve(beyond).is_err(), "{offset}");
        }
    }

    let after = (
        world.free(),
        world.kernel.inspect(|regions, _| regions.len()),
    );
    assert_eq!(after, before);
}
