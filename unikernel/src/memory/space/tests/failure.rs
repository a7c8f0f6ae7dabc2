//! Every operation, with every allocation of a frame failing once: an error, nothing changed, nothing leaked.

use super::*;
use crate::memory::page::MemoryType;

/// Does something with the nth allocation failing, for every n until it succeeds. What it makes is undone by `undo`.
fn sweep<T, E: core::fmt::Debug>(
    world: &World,
    act: impl Fn() -> Result<T, E>,
    undo: impl Fn(T),
) -> u32 {
    let before = (world.free(), regions_of(world));
    for nth in 1.. {
        world.pool.fail_nth(nth);
        let result = act();
        let is_through = world.pool.failure_pending();
        world.pool.fail_nth(0);
        match result {
            Ok(made) => {
                assert!(is_through, "allocation {nth} failed and nobody noticed");
                undo(made);
                assert_eq!(world.free(), before.0, "undone");
                return nth - 1;
            }
            Err(error) => {
                assert!(!is_through, "{error:?} without a failed allocation");
                assert_eq!(
                    (world.free(), regions_of(world)),
                    before,
                    "allocation {nth}"
                );
                world.memory.check_invariants();
            }
        }
    }
    unreachable!("there is a number of allocations that is enough");
}

fn regions_of(world: &World) -> usize {
    world.kernel.inspect(|regions, _| regions.len())
}

fn unmap(world: &World, range: PageRange) {
    assert!(world.kernel.unmap(range).is_ok());
}

/// Proves M16, M22: Q1 for making regions whose frames come at once.
#[test]
fn a_committed_region_is_there_or_is_not() {
    let world = World::new(4096);
    let fails = sweep(
        &world,
        || {
            world.kernel.reserve(Request {
                place: Place::At(page(512 + 7)),
                kind: Kind::Anonymous {
                    commitment: Commitment::Committed,
                },
                ..private(520, Rights::READ_WRITE)
            })
        },
        |range| unmap(&world, range),
    );
    assert!(fails > 500, "each page was a chance to fail: {fails}");
}

/// Proves M16: Q1 for device and DMA memory.
#[test]
fn device_and_dma_memory_is_there_or_is_not() {
    let world = World::new(256);
    sweep(
        &world,
        || {
            let name = Name::new("dma");
            world.kernel.reserve_dma(4, MemoryType::Uncached, name)
        },
        |(range, _)| unmap(&world, range),
    );
    sweep(
        &world,
        || {
            let kind = Kind::Fixed {
                first: crate::memory::page::Frame::new(0x10_0000),
                memory_type: MemoryType::Uncached,
            };
            world
                .kernel
                .reserve(request(600, Rights::READ, kind, Sharing::Shared))
        },
        |range| unmap(&world, range),
    );
}

/// Proves M16, M37: Q1 for cutting memory that is mapped by large pages.
#[test]
fn cutting_large_pages_fails_as_a_whole() {
    let world = World::new(4096);
    let committed = Request {
        place: Place::At(page(1024)),
        kind: Kind::Anonymous {
            commitment: Commitment::Committed,
        },
        ..private(1024, Rights::READ_WRITE)
    };
    let range = world.kernel.reserve(committed).expect("there are frames");
    let small = part(range, 5, 600);
    let before = world.free();

    for nth in 1.. {
        world.pool.fail_nth(nth);
        let refused = world.kernel.protect(small, Rights::READ);
        let is_through = world.pool.failure_pending();
        world.pool.fail_nth(0);
        world.memory.check_invariants();
        if is_through {
            assert_eq!(refused, Ok(()));
            break;
        }
        assert!(refused.is_err());
        assert_eq!(world.free(), before);
        assert_eq!(world.write(at(range, 5), nth.into()), Ok(()));
    }

    assert_eq!(world.write(at(range, 5), 1), forbidden(Access::Write));
    assert_eq!(world.write(at(range, 4), 1), Ok(()));
}

/// Proves M16, M97: Q1 for faults: a page shows what it showed before, and the access works once there is memory.
#[test]
fn a_fault_that_finds_no_memory_changes_nothing() {
    for access in [Access::Read, Access::Write] {
        let world = World::new(256);
        let range = world.lazy(&world.kernel, 4);
        let before = world.free();
        let mut failures = 0;
        loop {
            world.pool.fail_nth(failures + 1);
            let resolved = world.kernel.resolve(Fault {
                address: at(range, 1),
                access,
                by: Ring::Kernel,
            });
            let is_through = world.pool.failure_pending();
            world.pool.fail_nth(0);
            if is_through {
                assert_eq!(resolved, Ok(()));
                break;
            }
            assert!(matches!(resolved, Err(Violation::OutOfFrames(_))));
            assert_eq!(world.free(), before);
            world.memory.check_invariants();
            failures += 1;
        }
        assert!(failures >= 3, "{access:?}: three tables");
    }
}

/// Proves M80, M16: Q1 for spaces.
#[test]
fn a_space_is_made_or_is_not() {
    let world = World::new(64);
    let fails = sweep(&world, || world.memory.create(&world.kernel), drop);
    assert_eq!(fails, 1, "its root");
}
