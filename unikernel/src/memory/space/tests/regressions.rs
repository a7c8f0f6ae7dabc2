//! Defects of older systems that show only where regions, objects, tables and frames meet. What each system did wrong is said at
//! its test; those of one layer are with that layer.

use alloc::rc::Rc;
use core::cell::{Cell, RefCell};

use super::objects::{drop_handle, map, object, shows, zeros};
use super::transfers::bytes;
use super::*;
use crate::memory::object::pager::{Keeping, Supply};
use crate::memory::object::{ObjectError, Pager, PagerError};
use crate::memory::page::{Frame, MemoryType};
use crate::memory::space::Fork;

/// Proves M97, M123: gopher-os copied a copy-on-write page for a fetch, and then died of the fetch all the same.
#[test]
fn a_fetch_from_a_page_that_a_fork_shares_copies_nothing() {
    for rights in [Rights::READ_WRITE, Rights::READ_WRITE | Rights::EXECUTE] {
        let world = World::new(256);
        let range = world.kernel.reserve(private(1, rights)).expect("room");
        assert_eq!(world.write(at(range, 0), 1), Ok(()));
        let _child = world.kernel.fork(Fork::CopyOnWrite).expect("frames");
        let before = world.free();

        let fetched = world.execute(at(range, 0));

        if rights.contains(Rights::EXECUTE) {
            assert_eq!(fetched, Ok(()));
        } else {
            assert_eq!(fetched, forbidden(Access::Execute));
        }
        assert_eq!(world.free(), before);
    }
}

/// Proves M16, M97, M123: in MOS and codezero, running out of memory in either way of copying was unchecked.
#[test]
fn a_copy_that_finds_no_frame_is_an_answer_and_the_page_stays() {
    let world = World::new(256);
    let own = world.lazy(&world.kernel, 1);
    assert_eq!(world.write(at(own, 0), 1), Ok(()));
    let object = zeros(&world, 1);
    let shared = map(&world.kernel, object, 1, Sharing::Shared);
    assert_eq!(world.write(at(shared, 0), 2), Ok(()));
    let private = map(&world.kernel, object, 1, Sharing::Private);
    assert_eq!(world.read(at(private, 0)), Ok(2));
    let _child = world.kernel.fork(Fork::CopyOnWrite).expect("frames");

    for (range, value) in [(own, 1), (private, 2)] {
        world.pool.fail_nth(1);
        let refused = world.write(at(range, 0), 9);
        world.pool.fail_nth(0);
        assert!(matches!(refused, Err(Violation::OutOfFrames(_))));
        assert_eq!(world.read(at(range, 0)), Ok(value));
        assert_eq!(world.write(at(range, 0), 9), Ok(()));
    }
}

/// Proves M61, M78, M123: codezero tested the count of openers before it fell, so the last close did not delete; in jsix, an area
/// that ended kept its frames.
#[test]
fn the_last_close_of_an_object_frees_its_frames() {
    let world = World::new(256);
    let range = {
        let warm = zeros(&world, 8);
        let range = map(&world.kernel, warm, 8, Sharing::Shared);
        drop_handle(&world, warm);
        assert_eq!(world.kernel.unmap(range), Ok(8));
        range
    };
    let before = world.free();
    let id = zeros(&world, 8);
    let shown = map(&world.kernel, id, 8, Sharing::Shared);
    assert_eq!(shown, range);
    for page in 0..8 {
        assert_eq!(world.write(at(shown, page), 1), Ok(()));
    }
    world
        .memory
        .with_objects(|objects| assert_eq!(objects.add_handle(id), Ok(())));

    assert_eq!(world.kernel.unmap(shown), Ok(8));
    drop_handle(&world, id);
    assert_eq!(world.free(), before - 8, "one handle is left");
    drop_handle(&world, id);

    assert_eq!(world.free(), before);
    let ended = world.kernel.reserve(shows(id, 0, 1, Sharing::Shared));
    assert_eq!(ended, Err(ReserveError::Object(ObjectError::NoObject(id))));
}

/// Proves M74, M123: in codezero a misplaced parenthesis made the test for the end of a file useless.
#[test]
fn nothing_is_mapped_beyond_the_end_of_a_file_by_a_single_page() {
    let world = World::new(256);
    let id = zeros(&world, 8);

    for (offset, len) in [(0, 8), (7, 1), (3, 5)] {
        let shown = world
            .kernel
            .reserve(shows(id, offset, len, Sharing::Shared));
        assert!(shown.is_ok(), "{offset} {len}");
    }
    for (offset, len) in [(0, 9), (7, 2), (8, 1), (3, 6)] {
        let refused = world
            .kernel
            .reserve(shows(id, offset, len, Sharing::Shared));
        assert!(
            matches!(
                refused,
                Err(ReserveError::Object(ObjectError::BeyondEnd { .. }))
            ),
            "{offset} {len}"
        );
    }
}

/// Proves M51, M84, M123: in jsix the page that all processes share was freed by the first of them to die.
#[test]
fn a_fixed_page_that_several_spaces_show_outlives_the_first_of_them() {
    let world = World::new(256);
    let frame = world.pool.allocate(crate::memory::frame::Use::Kernel);
    let frame = frame.expect("there are frames").into_frame();
    let spaces = [(); 2].map(|()| world.memory.create(&world.kernel).expect("frames"));
    let shown = spaces.each_ref().map(|space| {
        let kind = Kind::Fixed {
            first: frame,
            memory_type: MemoryType::WriteBack,
        };
        let fixed = request(1, Rights::READ_WRITE, kind, Sharing::Shared);
        space.reserve(fixed).expect("there is room")
    });
    world.enter(&spaces[0]);
    assert_eq!(world.write(at(shown[0], 0), 7), Ok(()));
    world.enter(&spaces[1]);
    let [first, _second] = spaces;

    drop(first);
    world.memory.forget_previous();

    assert_eq!(world.read(at(shown[1], 0)), Ok(7));
    world.enter(&Arc::clone(&world.kernel));
    world.memory.forget_previous();
    assert_eq!(
        world.pool.map_count(frame),
        Ok(0),
        "it is still its owner's"
    );
}

/// Proves M98, M123: jsix let the kernel's space serve a fault of ring 3 first, and panicked when that came again; MOS refused
/// nothing.
#[test]
fn a_fault_of_ring_3_at_an_address_of_the_kernel_repairs_nothing() {
    let world = World::new(64);
    let supervisor = world.lazy(&world.kernel, 1);
    let nowhere = page(1 << 22).start();
    let before = world.free();
    let of_user = |address, access| {
        world.kernel.resolve(Fault {
            address,
            access,
            by: Ring::User,
        })
    };

    for access in [Access::Read, Access::Write] {
        for _ in 0..3 {
            assert_eq!(
                of_user(at(supervisor, 0), access),
                Err(Violation::Supervisor)
            );
            assert_eq!(of_user(nowhere, access), Err(Violation::Unmapped));
        }
    }

    assert_eq!(world.free(), before);
    let shown = world
        .kernel
        .inspect(|_, tables| tables.query(supervisor.start()));
    assert_eq!(shown, None);
}

/// Proves M97, M123: in MOS, two threads that read the same page at once could replace a frame by itself, which was a panic.
#[test]
fn two_faults_at_the_same_page_are_repaired_once() {
    let world = World::new(256);
    let object = zeros(&world, 1);
    let shared = map(&world.kernel, object, 1, Sharing::Shared);
    let lazy = world.lazy(&world.kernel, 1);

    for range in [lazy, shared] {
        for access in [Access::Read, Access::Read, Access::Write, Access::Write] {
            let fault = Fault {
                address: at(range, 0),
                access,
                by: Ring::Kernel,
            };
            assert_eq!(world.kernel.resolve(fault), Ok(()));
            world.memory.check_invariants();
        }
        assert_eq!(world.write(at(range, 0), 3), Ok(()));
    }
}

/// Proves M103, M123: in MOS, a bad pointer given to the kernel only queued a signal, and the kernel faulted again for ever.
#[test]
fn a_bad_pointer_given_to_the_kernel_is_an_error_the_first_time() {
    let world = World::new(64);
    let read_only = world
        .kernel
        .reserve(private(1, Rights::READ))
        .expect("room");

    for address in [VirtAddr::new(0), page(1 << 22).start(), at(read_only, 0)] {
        let refused = bytes(&world.kernel, address).write(&[1]);
        let error = refused.expect_err("it may not be written");
        assert_eq!((error.transferred, error.address), (0, address));
    }
    world.memory.check_invariants();
}

/// A pager that looks whether it is asked with a lock held.
struct Reentrant;

impl Pager for Reentrant {
    fn name(&self) -> &'static str {
        "reentrant"
    }

    fn supply(&self, _offset_pages: u64) -> Supply {
        Supply::PageIn
    }

    fn page_in(&self, _offset_pages: u64, page: &mut [u8; 4096]) -> Result<(), PagerError> {
        LOCKS.with_borrow(|check| check.as_ref().expect("it was set")());
        page.fill(1);
        Ok(())
    }

    fn page_out(&self, _offset_pages: u64, _page: &[u8; 4096]) -> Result<(), PagerError> {
        LOCKS.with_borrow(|check| check.as_ref().expect("it was set")());
        Ok(())
    }

    fn keeping(&self) -> Keeping {
        Keeping::WrittenBack
    }
}

std::thread_local! {
    /// Looks whether a lock is held.
    static LOCKS: RefCell<Option<Box<dyn Fn()>>> = const { RefCell::new(None) };
}

/// Proves M71, M105, M123: MOS took a mutex that sleeps under locks that spin. Whoever may take long is asked with no lock held, on
/// all ways.
#[test]
fn a_pager_is_asked_with_no_lock_held() {
    let world = World::new(256);
    let memory = world.memory;
    let asked = Rc::new(Cell::new(0));
    let count = Rc::clone(&asked);
    LOCKS.set(Some(Box::new(move || {
        count.set(count.get() + 1);
        memory.check_unlocked();
    })));
    let object = object(&world, 4, Arc::new(Reentrant));
    let shared = map(&world.kernel, object, 4, Sharing::Shared);
    let private = map(&world.kernel, object, 4, Sharing::Private);

    assert!(world.read(at(shared, 0)).is_ok());
    assert_eq!(world.write(at(shared, 1), 1), Ok(()));
    assert_eq!(world.write(at(private, 2), 1), Ok(()));
    assert_eq!(world.memory.sync(object), Ok(1));
    assert_eq!(world.write(at(shared, 3), 1), Ok(()));
    assert_eq!(world.kernel.unmap(shared), Ok(4));

    assert_eq!(asked.get(), 4 + 2);
    LOCKS.set(None);
}

/// Proves M44, M117, M123: the frames of what is cut away are counted once. MOS doubled counters with a split, and jsix freed pages
/// twice when it unmapped.
#[test]
fn counters_of_the_parts_are_those_of_the_whole() {
    let world = World::new(256);
    let range = world.lazy(&world.kernel, 12);
    for page in 0..8 {
        assert_eq!(world.write(at(range, page), page), Ok(()));
    }
    assert_eq!(world.read(at(range, 9)), Ok(0));
    let counters = |page: u64| {
        let page = range.get(page).expect("it is in the range");
        let counters = world.kernel.counters(page).expect("it is there");
        (counters.regular, counters.copy_on_write)
    };
    assert_eq!(counters(0), (8, 1));

    assert_eq!(
        world.kernel.protect(part(range, 4, 4), Rights::READ),
        Ok(())
    );
    assert_eq!(
        [counters(0), counters(4), counters(8)],
        [(4, 0), (4, 0), (0, 1)]
    );
    let before = world.free();
    assert_eq!(world.kernel.unmap(part(range, 6, 3)), Ok(3));

    assert_eq!(world.free(), before + 2);
    assert_eq!(
        [counters(0), counters(4), counters(9)],
        [(4, 0), (2, 0), (0, 1)]
    );
    assert_eq!(world.kernel.unmap(part(range, 6, 3)), Ok(0));
    assert_eq!(world.free(), before + 2);
}

/// Proves M75, M123: in MOS, a shared page that became writable later was taken for one to copy, and shared no more.
#[test]
fn a_shared_page_that_may_be_written_later_is_still_shared() {
    let world = World::new(256);
    let object = zeros(&world, 1);
    let ranges = [(); 2].map(|()| map(&world.kernel, object, 1, Sharing::Shared));
    assert_eq!(world.kernel.protect(ranges[0], Rights::READ), Ok(()));
    let _child = world.kernel.fork(Fork::CopyOnWrite).expect("frames");
    assert_eq!(world.read(at(ranges[0], 0)), Ok(0));
    assert_eq!(world.kernel.protect(ranges[0], Rights::READ_WRITE), Ok(()));

    assert_eq!(world.write(at(ranges[0], 0), 4), Ok(()));

    assert_eq!(world.read(at(ranges[1], 0)), Ok(4));
    let shown = [0, 1].map(|index: usize| {
        let page = ranges[index].start();
        let leaf = world.kernel.inspect(|_, tables| tables.query(page));
        leaf.map(|(_, leaf)| leaf.frame)
    });
    assert_eq!(shown[0], shown[1]);
    assert_ne!(shown[0], None::<Frame>);
}
