//! Bytes from one space to another.

use super::*;
use crate::memory::space::transfer::{Bytes, StringError};
use crate::memory::space::{Fork, TransferError};

/// Names bytes of a space, on behalf of the kernel.
pub(super) fn bytes(space: &Space, address: VirtAddr) -> Bytes<'_, Sim, SimMemory> {
    Bytes {
        space,
        address,
        by: Ring::Kernel,
    }
}

fn plus(address: VirtAddr, bytes: u64) -> VirtAddr {
    address
        .checked_add(bytes)
        .expect("tests use small addresses")
}

/// Proves M89: any length, any alignment, pages come in, and copies are made.
#[test]
fn bytes_are_copied_between_spaces_whatever_their_alignment() {
    for (from_offset, to_offset, len) in [(0, 0, 4096), (1, 4095, 9000), (4000, 17, 200), (5, 5, 0)]
    {
        let world = World::new(256);
        let other = world.memory.create(&world.kernel).expect("frames");
        let (from, to) = (world.lazy(&world.kernel, 4), world.lazy(&other, 4));
        let text: Vec<u8> = (0..len).map(|byte| (byte % 251) as u8 + 1).collect();
        let source = bytes(&world.kernel, plus(at(from, 0), from_offset));
        let target = bytes(&other, plus(at(to, 0), to_offset));
        assert_eq!(source.write(&text), Ok(()));

        assert_eq!(world.memory.copy(&source, &target, len), Ok(()));

        let mut copied = std::vec![0; text.len()];
        assert_eq!(target.read(&mut copied), Ok(()));
        assert_eq!(copied, text);
    }
}

/// Proves M89, M103: an address that may not be used is an error with the count of bytes that went before.
#[test]
fn a_copy_that_meets_a_hole_says_how_far_it_came() {
    let world = World::new(256);
    let from = world.lazy(&world.kernel, 4);
    let to = world.lazy(&world.kernel, 2);
    let target = plus(at(to, 0), 100);

    let refused = world.memory.copy(
        &bytes(&world.kernel, at(from, 0)),
        &bytes(&world.kernel, target),
        3 * 4096,
    );

    let expected = TransferError {
        transferred: 2 * 4096 - 100,
        address: plus(at(to, 1), 4096),
        violation: Violation::Unmapped,
    };
    assert_eq!(refused, Err(expected));
}

/// Proves M89: what is copied into a page that a fork shares does not show on the other side.
#[test]
fn copying_into_a_shared_page_copies_that_page_first() {
    let world = World::new(256);
    let range = world.lazy(&world.kernel, 1);
    assert_eq!(world.write(at(range, 0), 1), Ok(()));
    let child = world
        .kernel
        .fork(Fork::CopyOnWrite)
        .expect("there are frames");

    assert_eq!(bytes(&child, at(range, 0)).write(&[9]), Ok(()));

    assert_eq!(world.read(at(range, 0)), Ok(1));
    let mut byte = [0];
    assert_eq!(bytes(&child, at(range, 0)).read(&mut byte), Ok(()));
    assert_eq!(byte, [9]);
}

/// Proves M90.
#[test]
fn strings_end_within_their_bounds_or_are_errors() {
    let world = World::new(256);
    let range = world.lazy(&world.kernel, 2);
    let start = plus(at(range, 0), 4090);
    assert_eq!(
        bytes(&world.kernel, start).write(b"hello world\0rest"),
        Ok(())
    );

    let mut room = [0; 32];
    let string = bytes(&world.kernel, start);
    assert_eq!(string.read_string(&mut room), Ok(11));
    assert_eq!(&room[..11], b"hello world");
    assert_eq!(
        string.read_string(&mut room[..11]),
        Err(StringError::TooLong(11))
    );
    let nowhere = bytes(&world.kernel, plus(at(range, 1), 4096));
    assert!(matches!(
        nowhere.read_string(&mut room),
        Err(StringError::Transfer(_))
    ));
}

/// Proves M90: a range is checked for the rights of who asks, and comes in ahead of use.
#[test]
fn a_range_is_made_usable_only_for_who_may_use_it() {
    let world = World::new(256);
    let range = world
        .kernel
        .reserve(private(4, Rights::READ | Rights::USER))
        .expect("there is room");
    let of_user = Bytes {
        space: &world.kernel,
        address: at(range, 0),
        by: Ring::User,
    };

    assert_eq!(of_user.prefault(4 * 4096, Access::Read), Ok(()));
    let refused = of_user
        .prefault(1, Access::Write)
        .map_err(|error| error.violation);
    assert_eq!(refused, Err(Violation::Forbidden(Access::Write)));
    let kernel_only = world.lazy(&world.kernel, 1);
    let refused = Bytes {
        address: at(kernel_only, 0),
        ..of_user
    };
    let refused = refused.read(&mut [0]).map_err(|error| error.violation);
    assert_eq!(refused, Err(Violation::Supervisor));
}
