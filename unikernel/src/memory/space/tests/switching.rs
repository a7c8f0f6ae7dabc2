//! Which space a CPU is in.

use super::*;
use crate::memory::space::{SpaceError, Target};

fn number(space: Option<Space>) -> Option<u32> {
    space.map(|space| space.number())
}

/// Proves M85.
#[test]
fn switching_tells_where_one_was_and_goes_back() {
    let world = World::new(256);
    let [first, second] = [(); 2].map(|()| world.memory.create(&world.kernel).expect("frames"));
    let switch = |target: Target<'_, Sim, SimMemory>| {
        // SAFETY: nothing is in use in the lower half.
        number(unsafe { world.memory.switch(&target) })
    };
    let loads = || world.sim.active();

    assert_eq!(switch(Target::Space(&first)), Some(0));
    assert_eq!(loads(), first.root());
    assert_eq!(switch(Target::Space(&second)), Some(first.number()));
    assert_eq!(switch(Target::Space(&second)), Some(second.number()));
    assert_eq!(switch(Target::Previous), Some(second.number()));
    assert_eq!(loads(), first.root());
    assert_eq!(switch(Target::Kernel), Some(first.number()));

    assert_eq!(loads(), world.kernel.root());
}

/// Proves M85: choosing is not yet loading.
#[test]
fn a_space_that_is_chosen_is_entered_when_it_is_loaded() {
    let world = World::new(256);
    let space = world.memory.create(&world.kernel).expect("frames");

    world.memory.choose(&Target::Space(&space));
    assert_eq!(world.sim.active(), world.kernel.root());
    // SAFETY: nothing is in use in the lower half.
    unsafe { world.memory.load() };

    assert_eq!(world.sim.active(), space.root());
    // SAFETY: as above.
    unsafe { world.memory.switch(&Target::Kernel) };
}

/// Proves M87.
#[test]
fn destroying_the_space_one_is_in_goes_to_the_kernels_first() {
    let world = World::new(256);
    let before = world.free();
    let space = world.memory.create(&world.kernel).expect("frames");
    world.enter(&space);
    let range = world.lazy(&space, 4);
    assert_eq!(world.write(at(range, 0), 1), Ok(()));

    // SAFETY: nothing is in use in the lower half.
    let destroyed = unsafe { world.memory.destroy(space) };

    assert_eq!(destroyed, Ok(()));
    assert_eq!(world.sim.active(), world.kernel.root());
    assert_eq!(world.free(), before);
    // SAFETY: as above.
    let refused = unsafe { world.memory.destroy(Arc::clone(&world.kernel)) };
    assert_eq!(refused, Err(SpaceError::Kernel));
}

/// Proves M92: whoever runs in a space holds it; the last one to let go ends it.
#[test]
fn a_space_ends_with_the_last_who_holds_it() {
    let world = World::new(256);
    let before = world.free();
    let space = world.memory.create(&world.kernel).expect("frames");
    let other = Arc::clone(&space);
    let range = world.lazy(&space, 4);
    world.enter(&space);
    assert_eq!(world.write(at(range, 0), 1), Ok(()));
    world.enter(&world.kernel);

    drop(space);
    world.memory.forget_previous();
    world.enter(&other);
    assert_eq!(world.read(at(range, 0)), Ok(1));
    world.enter(&world.kernel);
    drop(other);
    world.memory.forget_previous();

    assert_eq!(world.free(), before);
}

/// Proves M91: everything is replaced, or nothing.
#[test]
fn a_space_is_replaced_as_a_whole_or_stays() {
    let world = World::new(256);
    let mut space = world.memory.create(&world.kernel).expect("frames");
    let range = world.lazy(&space, 4);
    let before = world.free();

    let failed = world.memory.replace(&mut space, |new| {
        let huge = private(1 << 30, Rights::READ);
        new.reserve(private(2, Rights::READ))
            .map_err(|_| SpaceError::OutOfMemory)?;
        new.reserve(huge)
            .map(drop)
            .map_err(|_| SpaceError::OutOfFrames)
    });
    assert_eq!(failed, Err(SpaceError::OutOfFrames));
    assert_eq!(world.free(), before);
    assert_eq!(space.unmap(range), Ok(4));
    let replaced = world.memory.replace(&mut space, |new| {
        let one = new.reserve(private(1, Rights::READ));
        one.map(drop).map_err(|_| SpaceError::OutOfMemory)
    });

    assert_eq!(replaced, Ok(()));
    assert_eq!(space.unmap(range), Ok(1));
}

/// Proves M80: a space that ends takes with it what was its own, and nothing else.
#[test]
fn spaces_hold_different_things_at_the_same_address() {
    let world = World::new(256);
    let spaces = [(); 2].map(|()| world.memory.create(&world.kernel).expect("frames"));
    let ranges = spaces.each_ref().map(|space| world.lazy(space, 2));
    assert_eq!(ranges[0], ranges[1]);

    for (value, space) in (1..).zip(&spaces) {
        world.enter(space);
        assert_eq!(world.write(at(ranges[0], 0), value), Ok(()));
    }
    for (value, space) in (1..).zip(&spaces) {
        world.enter(space);
        assert_eq!(world.read(at(ranges[0], 0)), Ok(value));
    }

    world.enter(&world.kernel);
    assert_eq!(world.read(at(ranges[0], 0)), Err(Violation::Unmapped));
}
