//! Objects as spaces show them.

use std::sync::Mutex;
use std::vec::Vec;

use super::*;
use crate::memory::object::pager::{Bytes, Compressed, Keeping, Physical, Supply, Zeros};
use crate::memory::object::{ObjectError, ObjectId, Pager, PagerError};
use crate::memory::page::{Frame, FrameRange, MemoryType};
use crate::memory::region::Counters;
use crate::memory::space::{Fork, SpaceError};

/// Makes an object of zeros, with one handle.
pub(super) fn zeros(world: &World, len_pages: u64) -> ObjectId {
    object(world, len_pages, Arc::new(Zeros))
}

/// Makes an object with one handle.
pub(super) fn object(world: &World, len_pages: u64, pager: Arc<dyn Pager>) -> ObjectId {
    let created = world
        .memory
        .with_objects(|objects| objects.create(len_pages, pager, None));
    created.expect("there is heap")
}

/// Lets go of a handle.
pub(super) fn drop_handle(world: &World, object: ObjectId) {
    world.memory.drop_handle(object);
}

/// Maps the first pages of an object.
pub(super) fn map(space: &Space, object: ObjectId, len: u64, sharing: Sharing) -> PageRange {
    space
        .reserve(shows(object, 0, len, sharing))
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Asks for pages that show an object, from a page of it on.
pub(super) fn shows(object: ObjectId, offset_pages: u64, len: u64, sharing: Sharing) -> Request {
    let kind = Kind::Object {
        object,
        offset_pages,
    };
    request(len, Rights::READ_WRITE, kind, sharing)
}

/// A file that counts what it is asked for, and keeps what is written back.
#[derive(Default)]
struct File {
    reads: Mutex<Vec<u64>>,
    writes: Mutex<Vec<(u64, u8)>>,
    /// How often it says that it needs more time.
    delays: Mutex<u32>,
    is_broken: bool,
}

impl Pager for File {
    fn name(&self) -> &'static str {
        "a file of the test"
    }

    fn supply(&self, _offset_pages: u64) -> Supply {
        Supply::PageIn
    }

    fn page_in(&self, offset_pages: u64, page: &mut [u8; 4096]) -> Result<(), PagerError> {
        let mut delays = self.delays.lock().expect("nobody panicked");
        if *delays > 0 {
            *delays -= 1;
            return Err(PagerError::NotYet);
        }
        if self.is_broken {
            return Err(PagerError::Failed("the disk is gone"));
        }
        self.reads
            .lock()
            .expect("nobody panicked")
            .push(offset_pages);
        page.fill(offset_pages as u8 + 1);
        Ok(())
    }

    fn page_out(&self, offset_pages: u64, page: &[u8; 4096]) -> Result<(), PagerError> {
        let mut writes = self.writes.lock().expect("nobody panicked");
        writes.push((offset_pages, page[0]));
        Ok(())
    }

    fn keeping(&self) -> Keeping {
        Keeping::WrittenBack
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;

/// Proves M72, M59, M97: pages come in when they are read, once, and a private write stays private.
#[test]
fn a_file_is_read_page_by_page_and_private_writes_do_not_reach_it() {
    let world = World::new(256);
    let file = Arc::new(File::default());
    let object = object(&world, 8, Arc::<File>::clone(&file));
    let private = map(&world.kernel, object, 8, Sharing::Private);
    let shared = map(&world.kernel, object, 8, Sharing::Shared);

    assert_eq!(world.read(at(private, 2)), Ok(3 * ONES));
    assert_eq!(world.read(at(shared, 2)), Ok(3 * ONES));
    assert_eq!(world.write(at(private, 2), 9), Ok(()));
    assert_eq!(world.write(at(private, 3), 9), Ok(()));

    assert_eq!(world.read(at(private, 2)), Ok(9));
    assert_eq!(world.read(at(shared, 2)), Ok(3 * ONES));
    assert_eq!(world.read(at(shared, 3)), Ok(4 * ONES));
    assert_eq!(*file.reads.lock().expect("nobody panicked"), [2, 3]);
}

/// Proves M73, M123: codezero never flushed shared file mappings, since it looked for a flag where it never was.
#[test]
fn exactly_the_changed_pages_of_a_shared_file_are_written_back() {
    let world = World::new(256);
    let file = Arc::new(File::default());
    let object = object(&world, 8, Arc::<File>::clone(&file));
    let range = map(&world.kernel, object, 8, Sharing::Shared);
    for page in 0..8 {
        assert!(world.read(at(range, page)).is_ok());
    }
    assert_eq!(world.write(at(range, 1), 10), Ok(()));
    assert_eq!(world.write(at(range, 6), 60), Ok(()));
    assert_eq!(world.write(at(range, 6), 61), Ok(()));
    let written = || core::mem::take(&mut *file.writes.lock().expect("nobody panicked"));

    assert_eq!(world.memory.sync(object), Ok(2));
    assert_eq!(written(), [(1, 10), (6, 61)]);
    assert_eq!(world.memory.sync(object), Ok(0));
    assert_eq!(world.write(at(range, 6), 62), Ok(()));
    assert_eq!(world.memory.sync(object), Ok(1));

    assert_eq!(written(), [(6, 62)]);
}

/// Proves M71, M74: what a pager says reaches who touched the page, and time it needs is not a failure.
#[test]
fn a_pager_may_fail_or_need_time() {
    let world = World::new(256);
    let broken = Arc::new(File {
        is_broken: true,
        ..File::default()
    });
    let slow = Arc::new(File {
        delays: Mutex::new(3),
        ..File::default()
    });
    let broken = map(&world.kernel, object(&world, 1, broken), 1, Sharing::Shared);
    let slow = map(&world.kernel, object(&world, 1, slow), 1, Sharing::Shared);
    let before = world.free();

    assert_eq!(
        world.read(at(broken, 0)),
        Err(Violation::Pager("the disk is gone"))
    );
    assert_eq!(world.free(), before);
    assert_eq!(world.read(at(slow, 0)), Ok(ONES));
}

/// Proves M49: a constant object vetoes a shared mapping that could write, now or later.
#[test]
fn a_constant_object_is_not_mapped_shared_and_writable() {
    static FILE: [u8; 4096] = [1; 4096];
    let world = World::new(256);
    let file = object(&world, 1, Arc::new(Bytes::new(&FILE)));

    let refused = world.kernel.reserve(shows(file, 0, 1, Sharing::Shared));
    assert_eq!(
        refused,
        Err(ReserveError::Object(ObjectError::ReadOnly(file)))
    );
    let read_only = world.kernel.reserve(Request {
        rights: Rights::READ,
        ..shows(file, 0, 1, Sharing::Shared)
    });
    let range = read_only.expect("reading is fine");
    let refused = world.kernel.protect(range, Rights::READ_WRITE);
    assert_eq!(
        refused,
        Err(SpaceError::Object(ObjectError::ReadOnly(file)))
    );
    assert_eq!(world.write(at(range, 0), 1), forbidden(Access::Write));

    let private = map(&world.kernel, file, 1, Sharing::Private);
    assert_eq!(world.write(at(private, 0), 1), Ok(()));
}

/// Proves M65, M68: from a snapshot on, nobody who had the right to write before writes into it.
#[test]
fn a_snapshot_is_not_changed_through_mappings_that_were_writable() {
    let world = World::new(256);
    let object = zeros(&world, 4);
    let first = map(&world.kernel, object, 4, Sharing::Shared);
    let second = map(&world.kernel, object, 4, Sharing::Shared);
    assert_eq!(world.write(at(first, 0), 1), Ok(()));
    assert_eq!(world.write(at(second, 1), 2), Ok(()));

    let snapshot = world.memory.snapshot(object).expect("there is heap");
    let third = map(&world.kernel, snapshot, 4, Sharing::Shared);
    assert_eq!(world.write(at(first, 0), 10), Ok(()));
    assert_eq!(world.write(at(second, 1), 20), Ok(()));
    assert_eq!(world.write(at(third, 3), 30), Ok(()));

    let seen = |range| [0, 1, 2, 3].map(|page| world.read(at(range, page)));
    assert_eq!(seen(first), [Ok(10), Ok(20), Ok(0), Ok(0)]);
    assert_eq!(seen(second), [Ok(10), Ok(20), Ok(0), Ok(0)]);
    assert_eq!(seen(third), [Ok(1), Ok(2), Ok(0), Ok(30)]);
}

/// Proves M62, M97: others who read a page before somebody wrote to it see what was written.
#[test]
fn a_page_that_gets_a_frame_shows_it_in_every_mapping() {
    let world = World::new(256);
    let object = zeros(&world, 2);
    let ranges = [(); 3].map(|()| map(&world.kernel, object, 2, Sharing::Shared));
    let child = world
        .kernel
        .fork(Fork::CopyOnWrite)
        .expect("there are frames");
    for range in ranges {
        assert_eq!(world.read(at(range, 0)), Ok(0));
    }
    world.enter(&child);
    assert_eq!(world.read(at(ranges[1], 0)), Ok(0));

    assert_eq!(world.write(at(ranges[2], 0), 5), Ok(()));

    assert_eq!(world.read(at(ranges[1], 0)), Ok(5));
    world.enter(&world.kernel);
    for range in ranges {
        assert_eq!(world.read(at(range, 0)), Ok(5));
    }
}

/// Proves M77, M78, M79: contents outlive the mapping while a handle remains, and then end.
#[test]
fn contents_are_handed_over_by_a_handle() {
    let world = World::new(256);
    let before = world.free();
    let object = zeros(&world, 4);
    let here = map(&world.kernel, object, 4, Sharing::Shared);
    assert_eq!(world.write(at(here, 3), 4), Ok(()));
    assert_eq!(world.kernel.unmap(here), Ok(4));
    let other = world
        .memory
        .create(&world.kernel)
        .expect("there are frames");

    let there = map(&other, object, 4, Sharing::Shared);
    drop_handle(&world, object);
    world.enter(&other);
    assert_eq!(world.read(at(there, 3)), Ok(4));
    world.enter(&world.kernel);
    drop(other);
    world.memory.forget_previous();

    assert_eq!(world.free(), before);
}

/// Proves M44, M45, M79, S5: cutting a mapping in the middle keeps what both ends show.
#[test]
fn a_hole_in_a_mapping_leaves_both_ends_at_their_offsets() {
    let world = World::new(256);
    let file = object(&world, 16, Arc::new(File::default()));
    let range = world
        .kernel
        .reserve(shows(file, 4, 10, Sharing::Shared))
        .expect("there is room");

    assert_eq!(world.kernel.unmap(part(range, 3, 4)), Ok(4));
    world.memory.check_invariants();

    assert_eq!(world.read(at(range, 0)), Ok(5 * ONES));
    assert_eq!(world.read(at(range, 3)), Err(Violation::Unmapped));
    assert_eq!(world.read(at(range, 9)), Ok(14 * ONES));
    let refused = world.kernel.reserve(shows(file, 10, 7, Sharing::Shared));
    assert!(matches!(
        refused,
        Err(ReserveError::Object(ObjectError::BeyondEnd { .. }))
    ));
}

/// Proves M72, M97: when no frame is left, pages of a swappable object go out and come back as they were.
#[test]
fn more_is_written_than_there_is_memory_and_all_of_it_comes_back() {
    let world = World::new(80);
    let swap = Compressed::new(200, 128 << 10).expect("there is heap");
    let object = object(&world, 200, Arc::new(swap));
    let range = map(&world.kernel, object, 200, Sharing::Shared);

    for page in 0..200 {
        assert_eq!(world.write(at(range, page), page + 1), Ok(()), "{page}");
    }

    for page in 0..200 {
        assert_eq!(world.read(at(range, page)), Ok(page + 1));
    }
    assert!(world.free() < 64, "there never were so many frames");
}

/// Proves M72, M84: memory that is there already is shown, and is nobody's to free.
#[test]
fn physical_memory_is_shown_as_it_is() {
    let world = World::new(64);
    let frames = FrameRange::new(Frame::new(0x10_0000), 4);
    // SAFETY: on a simulated machine nothing is there.
    let pager = unsafe { Physical::new(frames, MemoryType::WriteCombining) };
    let object = object(&world, 4, Arc::new(pager));
    let range = map(&world.kernel, object, 4, Sharing::Shared);
    let fault = Fault {
        address: at(range, 2),
        access: Access::Read,
        by: Ring::Kernel,
    };

    assert_eq!(world.kernel.resolve(fault), Ok(()));

    let third = range.get(2).expect("it is in the range");
    let (_, leaf) = world
        .kernel
        .inspect(|_, tables| tables.query(third))
        .expect("it is shown");
    assert_eq!(leaf.frame, Frame::new(0x10_0002));
    assert_eq!(leaf.attributes.memory_type(), MemoryType::WriteCombining);
    assert_eq!(world.kernel.unmap(range), Ok(4));
}

/// Proves M117: the table of counters for private and shared pages of an object, read and written.
#[test]
fn counters_tell_pages_of_objects_from_pages_of_ones_own() {
    let world = World::new(256);
    let file = object(&world, 4, Arc::new(File::default()));
    let private = map(&world.kernel, file, 4, Sharing::Private);
    let shared = map(&world.kernel, file, 4, Sharing::Shared);
    let counters = |range: PageRange| {
        let Counters {
            regular,
            cached,
            copy_on_write,
        } = world.kernel.counters(range.start()).expect("it is there");
        (regular, cached, copy_on_write)
    };

    assert!(world.read(at(private, 0)).is_ok());
    assert!(world.read(at(shared, 0)).is_ok());
    assert_eq!(counters(private), (0, 1, 1));
    assert_eq!(counters(shared), (1, 1, 0));
    assert_eq!(world.write(at(private, 0), 1), Ok(()));
    assert_eq!(world.write(at(private, 1), 1), Ok(()));
    assert_eq!(world.write(at(shared, 0), 1), Ok(()));

    assert_eq!(counters(private), (2, 0, 0));
    assert_eq!(counters(shared), (1, 1, 0));
}
