//! Spaces like others.

use super::*;
use crate::memory::space::{Fork, ForkError};

fn fork(space: &Space, how: Fork) -> Space {
    space.fork(how).unwrap_or_else(|error| panic!("{error}"))
}

/// Proves M82, M83, M97: whether copies are made at once or with the first write, nobody can tell.
#[test]
fn what_one_side_of_a_fork_writes_the_other_does_not_see() {
    for how in [Fork::CopyOnWrite, Fork::Eager] {
        let world = World::new(256);
        let range = world.lazy(&world.kernel, 8);
        for page in 0..4 {
            assert_eq!(world.write(at(range, page), page), Ok(()));
        }

        let child = fork(&world.kernel, how);
        assert_eq!(world.write(at(range, 0), 100), Ok(()));
        assert_eq!(world.write(at(range, 5), 105), Ok(()));
        world.enter(&child);
        assert_eq!(world.read(at(range, 0)), Ok(0), "{how:?}");
        assert_eq!(world.write(at(range, 1), 201), Ok(()));
        assert_eq!(world.read(at(range, 5)), Ok(0));
        world.enter(&world.kernel);

        let seen: Vec<_> = (0..6).map(|page| world.read(at(range, page))).collect();
        assert_eq!(
            seen,
            [Ok(100), Ok(1), Ok(2), Ok(3), Ok(0), Ok(105)],
            "{how:?}"
        );
    }
}

/// Proves M69, M82, M123: MOS copied for the last owner as well.
#[test]
fn the_last_owner_of_a_shared_page_writes_without_a_copy() {
    let world = World::new(256);
    let range = world.lazy(&world.kernel, 4);
    assert_eq!(world.write(at(range, 0), 1), Ok(()));
    drop(fork(&world.kernel, Fork::CopyOnWrite));
    let before = world.free();

    assert_eq!(world.write(at(range, 0), 2), Ok(()));

    assert_eq!(world.free(), before);
    assert_eq!(world.read(at(range, 0)), Ok(2));
}

/// Proves M80, M82, M117: pages that both sides show cost one frame; the child's end gives back what it had.
#[test]
fn a_fork_costs_tables_only_and_its_end_gives_everything_back() {
    let world = World::new(512);
    let range = world.lazy(&world.kernel, 64);
    for page in 0..64 {
        assert_eq!(world.write(at(range, page), page), Ok(()));
    }
    let before = world.free();

    let child = fork(&world.kernel, Fork::CopyOnWrite);
    assert!(before - world.free() < 8, "tables only");
    let counters = world.kernel.counters(range.start()).expect("it is there");
    assert_eq!((counters.regular, counters.copy_on_write), (0, 64));
    world.enter(&child);
    for page in 0..32 {
        assert_eq!(world.write(at(range, page), 1), Ok(()));
    }
    world.enter(&world.kernel);
    drop(child);
    // SAFETY: nothing is in use in the child, which is the space before.
    unsafe { world.memory.switch(&super::super::Target::Kernel) };
    world.memory.forget_previous();

    assert_eq!(world.free(), before);
}

/// Proves M75: shared anonymous memory is shared across a fork, also where nobody had touched it before.
#[test]
fn shared_memory_stays_shared_across_a_fork() {
    let world = World::new(256);
    let object = objects::zeros(&world, 8);
    let range = objects::map(&world.kernel, object, 8, Sharing::Shared);
    assert_eq!(world.write(at(range, 0), 1), Ok(()));

    let child = fork(&world.kernel, Fork::CopyOnWrite);
    assert_eq!(world.write(at(range, 1), 2), Ok(()));
    world.enter(&child);
    assert_eq!(world.read(at(range, 0)), Ok(1));
    assert_eq!(world.read(at(range, 1)), Ok(2));
    assert_eq!(world.write(at(range, 7), 3), Ok(()));
    world.enter(&world.kernel);

    assert_eq!(world.read(at(range, 7)), Ok(3));
}

/// Proves M52: a region of one space refuses a second one.
#[test]
fn a_space_with_a_runtime_heap_is_not_forked() {
    let world = World::new(256);
    let heap = request(8, Rights::READ_WRITE, Kind::Heap, Sharing::Private);
    let range = world.kernel.reserve(heap).expect("there is room");
    let before = world.free();

    let refused = world.kernel.fork(Fork::CopyOnWrite).map(|_| ());

    assert_eq!(refused, Err(ForkError::Untracked(range)));
    assert_eq!(world.free(), before);
}

/// Proves M93: whichever allocation fails, the fork as a whole does, and the parent is as before.
#[test]
fn a_fork_that_runs_out_of_memory_leaves_the_parent_as_it_was() {
    for how in [Fork::CopyOnWrite, Fork::Eager] {
        let world = World::new(1024);
        let range = world.lazy(&world.kernel, 1024);
        for page in (0..1024).step_by(100) {
            assert_eq!(world.write(at(range, page), page), Ok(()));
        }
        let before = world.free();
        for nth in 1.. {
            world.pool.fail_nth(nth);
            let forked = world.kernel.fork(how).map(drop);
            let is_through = world.pool.failure_pending();
            world.pool.fail_nth(0);
            assert_eq!(world.free(), before, "{how:?}, allocation {nth}");
            world.memory.check_invariants();
            if is_through {
                assert_eq!(forked, Ok(()));
                break;
            }
            assert!(forked.is_err(), "{how:?}, allocation {nth}");
        }
        for page in (0..1024).step_by(100) {
            assert_eq!(world.read(at(range, page)), Ok(page));
        }
    }
}

/// Proves M40, M84: frames that are nobody's own are counted, and the last user frees them.
#[test]
fn dma_memory_is_aliased_by_a_fork_and_freed_by_the_last_user() {
    let world = World::new(256);
    let before = world.free();
    let name = Name::new("dma");
    let memory_type = crate::memory::page::MemoryType::Uncached;
    let (range, frames) = world
        .kernel
        .reserve_dma(4, memory_type, name)
        .expect("room");
    assert_eq!(world.write(at(range, 2), 6), Ok(()));

    let child = fork(&world.kernel, Fork::CopyOnWrite);
    assert_eq!(world.kernel.unmap(range), Ok(4));
    world.enter(&child);
    assert_eq!(world.read(at(range, 2)), Ok(6));
    assert_eq!(world.pool.map_count(frames.start()), Ok(1));
    world.enter(&world.kernel);
    drop(child);
    world.memory.forget_previous();

    assert!(
        before - world.free() < 4,
        "only tables of the kernel's space are left"
    );
}
