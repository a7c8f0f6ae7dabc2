//! As `failure.rs`, for what is done to regions that exist, for every way to repair a page, and for objects: the nth allocation of a
//! frame fails, for every n. Each attempt has a machine of its own, since some of what they undo is not undone by another call.

use super::corners::Disk;
use super::objects::{map, object, zeros};
use super::transfers::bytes;
use super::*;
use crate::memory::frame::Use;
use crate::memory::object::ObjectId;
use crate::memory::object::pager::Compressed;
use crate::memory::space::{Fork, SpaceError};

/// A machine with something to do, and pages that are compared before and after.
struct Scene<T> {
    world: World,
    range: PageRange,
    with: T,
}

impl<T> Scene<T> {
    fn new(world: World, range: PageRange, with: T) -> Self {
        Self { world, range, with }
    }

    /// Returns what can be seen: free frames, the regions, and what their pages hold, without touching any.
    fn seen(&self) -> (u64, Vec<PageRange>, Vec<Option<u64>>) {
        let kernel = &self.world.kernel;
        let regions =
            kernel.inspect(|regions, _| regions.iter().map(|region| region.range()).collect());
        let words = self.range.iter().map(|page| {
            let shown = kernel.inspect(|_, tables| tables.query(page));
            let (first, leaf) = shown?;
            let frame = leaf.frame.number() + (page.number() - first.number()) as u32;
            Some(
                self.world
                    .sim
                    .word(crate::memory::page::Frame::new(frame), 0),
            )
        });
        (self.world.free(), regions, words.collect())
    }
}

/// Does something on a new machine with the nth allocation failing, for every n until none fails; then `check` looks at what was done.
/// Returns how often it failed.
fn sweep<T, R: core::fmt::Debug, E: core::fmt::Debug>(
    scene: impl Fn() -> Scene<T>,
    act: impl Fn(&Scene<T>) -> Result<R, E>,
    check: impl Fn(&Scene<T>, R),
) -> u32 {
    for nth in 1.. {
        let scene = scene();
        let before = scene.seen();
        scene.world.pool.fail_nth(nth);
        let result = act(&scene);
        let is_through = scene.world.pool.failure_pending();
        scene.world.pool.fail_nth(0);
        scene.world.memory.check_invariants();
        match result {
            Ok(made) if is_through => {
                check(&scene, made);
                return nth - 1;
            }
            Ok(made) => panic!("allocation {nth} failed, and {made:?}"),
            Err(_) => assert!(!is_through, "nothing failed"),
        }
        assert_eq!(scene.seen(), before, "allocation {nth}");
        assert!(act(&scene).is_ok(), "once there is memory");
    }
    unreachable!("there is a number of allocations that is enough");
}

/// Makes 4 MiB of memory that is mapped by large pages, each of which holds its number.
fn large() -> Scene<()> {
    let world = World::new(2048);
    let committed = Request {
        place: Place::At(page(1024)),
        kind: Kind::Anonymous {
            commitment: Commitment::Committed,
        },
        ..private(1024, Rights::READ_WRITE)
    };
    let range = world.kernel.reserve(committed).expect("there are frames");
    for page in [0, 4, 5, 511, 512, 604, 605, 1023] {
        assert_eq!(world.write(at(range, page), page), Ok(()));
    }
    Scene::new(world, range, ())
}

fn assert_left(scene: &Scene<()>, gone: core::ops::Range<u64>) {
    for page in [0, 4, 5, 511, 512, 604, 605, 1023] {
        let expected = if gone.contains(&page) {
            Err(Violation::Unmapped)
        } else {
            Ok(page)
        };
        assert_eq!(scene.world.read(at(scene.range, page)), expected);
    }
}

/// Proves M16, M37, M44: Q1 for unmapping inside of large pages, and for giving their frames back.
#[test]
fn unmapping_and_discarding_inside_large_pages_fail_as_a_whole() {
    let unmapped = sweep(
        large,
        |scene| scene.world.kernel.unmap(part(scene.range, 5, 600)),
        |scene, pages| {
            assert_eq!(pages, 600);
            assert_left(scene, 5..605);
        },
    );
    let discarded = sweep(
        large,
        |scene| scene.world.kernel.discard(part(scene.range, 5, 600)),
        |scene, pages| {
            assert_eq!(pages, 600);
            assert_eq!(scene.world.read(at(scene.range, 5)), Ok(0));
            assert_eq!(scene.world.read(at(scene.range, 605)), Ok(605));
        },
    );
    assert_eq!((unmapped, discarded), (2, 2), "a table for each end");
}

/// Proves M16, M47: Q1 for another size, of committed memory that grows or shrinks and of memory that shows an object.
#[test]
fn resizing_fails_as_a_whole() {
    let grown = sweep(
        large,
        |scene| scene.world.kernel.resize(scene.range.start(), 1024 + 20),
        |scene, before| {
            assert_eq!(before, 1024);
            let counters = scene.world.kernel.counters(scene.range.start());
            assert_eq!(counters.map(|counters| counters.regular), Some(1024 + 20));
        },
    );
    assert_eq!(grown, 20 + 1, "a table besides");
    let shrunk = sweep(
        large,
        |scene| scene.world.kernel.resize(scene.range.start(), 5),
        |scene, _| assert_left(scene, 5..1024),
    );
    assert_eq!(shrunk, 1);
    for len in [2, 8] {
        let shown = || {
            let world = World::new(256);
            let object = zeros(&world, 8);
            let range = map(&world.kernel, object, 4, Sharing::Shared);
            assert_eq!(world.write(at(range, 1), 1), Ok(()));
            Scene::new(world, range, ())
        };
        let fails = sweep(
            shown,
            |scene| scene.world.kernel.resize(scene.range.start(), len),
            |scene, before| {
                assert_eq!(before, 4);
                assert_eq!(scene.world.read(at(scene.range, 1)), Ok(1));
            },
        );
        assert_eq!(
            fails, 0,
            "objects cost heap, and no frame until they are used"
        );
    }
}

/// Proves M16, M95: Q1 for frames ahead of need: what was given stays, nothing is lost, and it goes on from there.
#[test]
fn committing_keeps_what_it_has_given() {
    for nth in 1..12 {
        let world = World::new(256);
        let range = world.lazy(&world.kernel, 8);
        assert_eq!(world.read(at(range, 3)), Ok(0));
        let (before, used) = (world.free(), world.pool.totals().used_for(Use::User));

        world.pool.fail_nth(nth);
        let committed = world.kernel.commit(range);
        let is_through = world.pool.failure_pending();
        world.pool.fail_nth(0);

        assert_eq!(committed.is_ok(), is_through, "{nth}");
        assert!(is_through || committed == Err(SpaceError::OutOfFrames));
        assert!(world.kernel.commit(range).is_ok());
        assert_eq!(world.free(), before - 8);
        assert_eq!(world.kernel.discard(range), Ok(8));
        assert_eq!(world.pool.totals().used_for(Use::User), used);
    }
}

/// How a page came to be what it is, and what is done to it then.
type Way = (&'static str, fn() -> Scene<ObjectId>, Access);

/// A page that a fork shares, alone or in a large page.
fn forked(len: u64, ends: bool) -> Scene<ObjectId> {
    let world = World::new(2048);
    let object = zeros(&world, 4);
    let committed = Request {
        place: Place::At(page(1024)),
        kind: Kind::Anonymous {
            commitment: Commitment::Committed,
        },
        ..private(len, Rights::READ_WRITE)
    };
    let range = world.kernel.reserve(committed).expect("there are frames");
    let child = world.kernel.fork(Fork::CopyOnWrite).expect("frames");
    if !ends {
        core::mem::forget(child);
    }
    Scene::new(world, range, object)
}

/// A page of an object, shown by two regions; the first has not been touched.
fn shown(object: impl Fn(&World) -> ObjectId, sharing: Sharing) -> Scene<ObjectId> {
    let world = World::new(256);
    let object = object(&world);
    let range = map(&world.kernel, object, 4, sharing);
    map(&world.kernel, object, 4, Sharing::Shared);
    Scene::new(world, range, object)
}

fn file(world: &World) -> ObjectId {
    object(world, 4, Disk::of(&[1, 2, 3, 4]))
}

fn written(sharing: Sharing) -> Scene<ObjectId> {
    let scene = shown(|world| zeros(world, 4), Sharing::Shared);
    assert_eq!(scene.world.write(at(scene.range, 0), 1), Ok(()));
    let range = map(&scene.world.kernel, scene.with, 4, sharing);
    Scene { range, ..scene }
}

/// A page of an object that a snapshot was made of.
fn snapped() -> Scene<ObjectId> {
    let scene = written(Sharing::Shared);
    assert_eq!(scene.world.read(at(scene.range, 0)), Ok(1));
    let snapshot = scene.world.memory.snapshot(scene.with);
    assert!(snapshot.is_ok());
    scene
}

fn ring() -> Scene<ObjectId> {
    let world = World::new(256);
    let object = zeros(&world, 1);
    let ring = request(8, Rights::READ_WRITE, Kind::Ring, Sharing::Shared);
    let range = world.kernel.reserve(ring).expect("there is room");
    Scene::new(world, range, object)
}

fn lazy() -> Scene<ObjectId> {
    let world = World::new(256);
    let object = zeros(&world, 1);
    let range = world.lazy(&world.kernel, 4);
    Scene::new(world, range, object)
}

/// Proves M16, M97: Q1 for every repair of a fault: the page reads as before, and the access works once there is memory.
#[test]
fn whatever_a_fault_needs_it_gets_or_the_page_is_as_before() {
    let ways: [Way; 14] = [
        ("zeros read", lazy, Access::Read),
        ("zeros written", lazy, Access::Write),
        ("a copy", || forked(1, false), Access::Write),
        (
            "a copy out of a large page",
            || forked(512, false),
            Access::Write,
        ),
        ("a frame kept", || forked(1, true), Access::Write),
        (
            "a frame of a large page kept",
            || forked(512, true),
            Access::Write,
        ),
        ("a twin", ring, Access::Write),
        (
            "an object of zeros read",
            || shown(|world| zeros(world, 4), Sharing::Shared),
            Access::Read,
        ),
        (
            "an object of zeros written",
            || shown(|world| zeros(world, 4), Sharing::Shared),
            Access::Write,
        ),
        ("a file read", || shown(file, Sharing::Shared), Access::Read),
        (
            "a file written",
            || shown(file, Sharing::Shared),
            Access::Write,
        ),
        (
            "a file copied",
            || shown(file, Sharing::Private),
            Access::Write,
        ),
        (
            "a page of an object copied",
            || written(Sharing::Private),
            Access::Write,
        ),
        ("a page with a snapshot written", snapped, Access::Write),
    ];
    for (name, scene, access) in ways {
        let fails = fail_each(name, scene, access);
        std::println!("{name}: {fails}");
        assert!(fails > 0 || name == "a frame kept", "{name}");
    }
}

/// Resolves a fault at the first page of a scene, with the nth allocation failing for every n. An object may have got a page by then.
fn fail_each(name: &str, scene: fn() -> Scene<ObjectId>, access: Access) -> u32 {
    for nth in 1.. {
        let scene = scene();
        let (world, address) = (&scene.world, at(scene.range, 0));
        let fault = Fault {
            address,
            access,
            by: Ring::Kernel,
        };
        let before = scene.seen().2;
        world.pool.fail_nth(nth);
        let resolved = world.kernel.resolve(fault);
        let is_through = world.pool.failure_pending();
        world.pool.fail_nth(0);
        world.memory.check_invariants();
        match resolved {
            // Perhaps because a page that can be read again made room.
            Ok(()) => {}
            Err(Violation::OutOfFrames(_)) => {
                // An object may have made others look again.
                let mut pages = scene.seen().2.into_iter().zip(before);
                let is_as_before = pages.all(|(now, before)| now.is_none() || now == before);
                assert!(is_as_before && !is_through, "{name}");
            }
            Err(violation) => panic!("{name}, allocation {nth}: {violation}"),
        }
        assert_eq!(world.access_at(address, access), Ok(()), "{name}");
        world.memory.check_invariants();
        if is_through {
            return nth - 1;
        }
    }
    unreachable!("there is a number of allocations that is enough");
}

/// Proves M16, M89: Q1 for copies between spaces: what is said to be copied is, and the rest is as it was.
#[test]
fn a_copy_that_runs_out_of_memory_says_how_far_it_came() {
    let mut failures = 0;
    for nth in 1.. {
        let world = World::new(256);
        let other = world.memory.create(&world.kernel).expect("frames");
        let (from, to) = (world.lazy(&world.kernel, 3), world.lazy(&other, 3));
        let (source, target) = (bytes(&world.kernel, at(from, 0)), bytes(&other, at(to, 0)));
        assert_eq!(source.write(&[7; 3 * 4096]), Ok(()));

        world.pool.fail_nth(nth);
        let copied = world.memory.copy(&source, &target, 3 * 4096);
        let is_through = world.pool.failure_pending();
        world.pool.fail_nth(0);
        world.memory.check_invariants();

        let done = copied.map_or_else(|error| error.transferred, |()| 3 * 4096);
        assert_eq!(copied.is_ok(), is_through);
        let mut there = [0; 3 * 4096];
        assert_eq!(target.read(&mut there), Ok(()));
        let (copies, rest) = there.split_at(done as usize);
        assert!(copies.iter().all(|&byte| byte == 7) && rest.iter().all(|&byte| byte == 0));
        if is_through {
            break;
        }
        failures += 1;
    }
    assert!(
        failures >= 3,
        "a frame for each page, and tables: {failures}"
    );
}

/// Proves M16, M72: Q1 while pages go out and come in: whatever fails, each page holds what was written last.
#[test]
fn pages_that_go_out_and_come_in_hold_what_they_held_whatever_fails() {
    let world = World::new(80);
    let swap = Compressed::new(100, 64 << 10).expect("there is heap");
    let id = object(&world, 100, Arc::new(swap));
    let range = map(&world.kernel, id, 100, Sharing::Shared);
    for page in 0..100 {
        assert_eq!(world.write(at(range, page), page + 1), Ok(()));
    }

    for page in (0..100).rev() {
        for nth in 1..4 {
            world.pool.fail_nth(nth);
            let read = world.read(at(range, page));
            world.pool.fail_nth(0);
            assert!(
                matches!(read, Err(Violation::OutOfFrames(_))) || read == Ok(page + 1),
                "{page}: {read:?}"
            );
            world.memory.check_invariants();
            world.memory.page_out(1);
        }
    }

    for page in 0..100 {
        assert_eq!(world.read(at(range, page)), Ok(page + 1));
    }
}

/// Proves M106, M16: what is missing is said also when pages could go out, but only those that are needed at the same time.
#[test]
fn a_page_that_goes_out_for_its_own_copy_is_a_lack_of_frames() {
    let world = World::new(64);
    let id = file(&world);
    let range = map(&world.kernel, id, 4, Sharing::Private);
    let rest = world.lazy(&world.kernel, 64);
    assert_eq!(world.read(at(range, 1)), Ok(2));
    let mut written = 0;
    while world.write(at(rest, written), 1).is_ok() {
        written += 1;
    }
    assert_eq!(world.kernel.discard(part(rest, 0, 1)), Ok(1));

    let refused = world.write(at(range, 0), 1);

    assert!(
        matches!(refused, Err(Violation::OutOfFrames(_))),
        "{refused:?}"
    );
    assert_eq!(world.kernel.discard(part(rest, 1, 1)), Ok(1));
    assert_eq!(world.write(at(range, 0), 5), Ok(()));
}
