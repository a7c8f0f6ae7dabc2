//! Temporary mappings on the machine: hits, nesting, refusals, and that no free frame stays visible.

#![allow(unsafe_code, reason = "frames are shown by their names")]

use unikernel::memory::{
    Attributes, Frame, FrameRange, MemoryType, OwnedFrame, OwnedFrames, PAGE_SIZE, Page, PageRange,
    PageSize, Rights, Root, TemporaryMapping, VirtAddr, WindowError, ZERO_FRAME,
};
use unikernel::prelude::*;
use unikernel::test::probe;

/// Slots of a CPU. Frames whose numbers differ by so much have the same home.
const SLOTS: u32 = 16;

fn owned() -> OwnedFrame {
    OwnedFrame::zeroed().expect("there is a frame")
}

/// Takes frames of which the first and the last have the same home.
fn neighbours() -> OwnedFrames {
    OwnedFrames::uncleared(SLOTS + 1).expect("there are frames side by side")
}

/// Shows a frame by its name, which only one mapping at a time does here.
fn show(frame: Frame, memory_type: MemoryType) -> Result<TemporaryMapping<'static>, WindowError> {
    // SAFETY: the tests own the frames they name, and use one mapping of each at a time.
    unsafe { TemporaryMapping::of_named(frame, memory_type) }
}

fn place(window: &TemporaryMapping<'_>) -> *const u64 {
    window.words().as_ptr()
}

/// Proves that a hit is one: the frame is mapped as it was left. Proves "a free frame is mapped nowhere".
#[unikernel::test]
fn a_frame_is_still_shown_after_its_use_and_no_longer_when_it_is_free() {
    let mut frame = owned();
    let name = frame.frame();
    assert_eq!(probe::pages_that_map(name), 0, "it was only cleared");
    let first = place(&TemporaryMapping::of(&mut frame));

    assert_eq!(probe::pages_that_map(name), 1);
    let again = place(&TemporaryMapping::of(&mut frame));
    drop(frame);

    assert_eq!(first, again);
    assert_eq!(probe::pages_that_map(name), 0);
}

/// Nobody answers for hiding them later.
#[unikernel::test]
fn a_frame_that_was_shown_by_its_name_is_hidden_at_once() {
    let frame = owned();

    drop(show(frame.frame(), MemoryType::WriteBack));

    assert_eq!(probe::pages_that_map(frame.frame()), 0);
}

#[unikernel::test]
fn a_frame_that_gives_up_its_owner_is_hidden() {
    let mut frame = owned();
    drop(TemporaryMapping::of(&mut frame));

    let name = frame.into_frame();

    assert_eq!(probe::pages_that_map(name), 0);
    // SAFETY: it is the one from above.
    assert!(unsafe { OwnedFrame::claim(name) }.is_ok());
}

/// Tables of a root that is not active stay shown while it is edited, and are gone with it.
#[unikernel::test]
fn the_tables_of_a_root_are_hidden_when_it_is_gone() {
    let others = probe::shown_frames();
    let mut root = Root::new().expect("there is a frame for a root");
    let frame = owned();
    let page = Page::containing(VirtAddr::new(0x28_0000_0000));
    let attributes = Attributes::new(Rights::READ_WRITE);
    // SAFETY: the root is new, and never active.
    unsafe {
        root.map(
            page,
            FrameRange::one(frame.frame()),
            attributes,
            PageSize::Kib4,
        )
    }
    .expect("nothing is mapped there");
    let with_tables = probe::shown_frames();

    drop(root);

    // Those with the same home as another replace it, so the numbers say no more.
    assert!(with_tables > probe::shown_frames());
    assert!(probe::shown_frames() <= others);
}

/// Proves M28. Windows with the same home nest, each shows its own frame, and the order in which they end is free.
#[unikernel::test]
fn windows_of_one_home_nest_and_end_in_any_order() {
    let frames: Vec<_> = core::iter::repeat_with(neighbours).take(3).collect();
    let names = frames.iter().flat_map(|run| {
        [
            run.frames().start(),
            run.frames().last().expect("it has frames"),
        ]
    });
    let mut windows: Vec<_> = names
        .map(|name| show(name, MemoryType::WriteBack).expect("there is a slot"))
        .collect();
    for (value, window) in (1..).zip(&mut windows) {
        window.words_mut().fill(value);
    }

    let first = windows.remove(0);
    let third = windows.remove(1);
    drop(first);

    let values: Vec<_> = windows.iter().map(|window| window.words()[511]).collect();
    assert_eq!((values, third.words()[0]), (vec![2, 4, 5, 6], 3));
}

/// Proves M28, M95: a fault in the middle of a use clears a frame and edits tables by slots of its own.
#[unikernel::test]
fn a_fault_in_the_middle_of_a_use_takes_other_slots() {
    let pages = PageRange::covering(VirtAddr::new(0x28_0000_0000), SLOTS as u64 * PAGE_SIZE)
        .expect("the range is canonical");
    let mut kernel = Root::kernel();
    // SAFETY: nobody else uses these pages.
    unsafe { kernel.reserve(pages, Rights::READ_WRITE) }.expect("nothing is mapped there");
    let mut frame = owned();
    let mut window = TemporaryMapping::of(&mut frame);
    window.words_mut().fill(7);

    for page in pages.iter() {
        let word = core::ptr::with_exposed_provenance_mut::<u64>(page.start().as_u64() as usize);
        // SAFETY: the page was reserved for this.
        unsafe { word.write_volatile(window.words()[0] + 1) };
    }
    let other = Root::new().expect("there is a frame for a root");

    assert!(window.words().iter().all(|&word| word == 7));
    drop((window, other));
    // SAFETY: nobody uses the pages any more.
    assert_eq!(unsafe { kernel.release(pages) }, Ok(u64::from(SLOTS)));
}

/// Proves M12, M27.
#[unikernel::test]
fn the_zero_frame_is_not_shown() {
    let zero = ZERO_FRAME.frame().expect("every machine has one");

    for memory_type in [MemoryType::WriteBack, MemoryType::Uncached] {
        let refused = show(zero, memory_type).map(|_| ());
        assert_eq!(refused, Err(WindowError::ZeroFrame(zero)));
    }
}

#[unikernel::test]
fn one_window_too_many_is_an_error() {
    let frames = neighbours();
    let last = frames.frames().last().expect("it has frames");
    let names = frames.frames().iter().take(SLOTS as usize);
    let windows: Vec<_> = names
        .map(|name| show(name, MemoryType::WriteBack))
        .collect();
    assert!(windows.iter().all(Result::is_ok));

    let refused = show(last, MemoryType::WriteBack).map(|_| ());

    assert_eq!(refused, Err(WindowError::NoSlot(last)));
    drop(windows);
    assert!(show(last, MemoryType::WriteBack).is_ok());
}

/// Proves M112.
#[unikernel::test]
fn a_frame_is_shown_as_one_memory_type_at_a_time() {
    let mut frame = owned();
    let name = frame.frame();
    TemporaryMapping::of(&mut frame).words_mut().fill(3);
    let (shown, wanted) = (MemoryType::WriteCombining, MemoryType::WriteBack);
    let combining = TemporaryMapping::try_of(&mut frame, shown).expect("nobody uses the frame");
    assert_eq!(probe::pages_that_map(name), 1, "it is not shown as before");
    assert!(combining.words().iter().all(|&word| word == 3));

    let refused = show(name, wanted).map(|_| ());

    let conflict = WindowError::TypeConflict {
        frame: name,
        shown,
        wanted,
    };
    assert_eq!(refused, Err(conflict));
    drop(combining);
    assert_eq!(
        probe::pages_that_map(name),
        0,
        "only write-back memory stays shown"
    );
    assert_eq!(TemporaryMapping::of(&mut frame).words()[0], 3);
}

/// Proves M112: the same frame mapped as another memory type is not shown write-back by an idle slot.
#[unikernel::test]
fn a_frame_that_is_mapped_as_another_memory_type_is_hidden_first() {
    let mut frame = owned();
    let name = frame.frame();
    drop(TemporaryMapping::of(&mut frame));
    let page = Page::containing(VirtAddr::new(0x28_0000_0000));
    let attributes = Attributes::new(Rights::READ_WRITE).with_type(MemoryType::WriteCombining);
    let mut kernel = Root::kernel();

    // SAFETY: nobody else uses the page; it is unmapped below.
    unsafe { kernel.map(page, FrameRange::one(name), attributes, PageSize::Kib4) }
        .expect("nothing is mapped there");

    assert_eq!(probe::pages_that_map(name), 1);
    // SAFETY: nobody uses the page.
    assert!(unsafe { kernel.unmap(page) }.is_ok());
}

/// Proves W3: the check that follows every test would find it.
#[unikernel::test]
fn a_forgotten_window_is_named() {
    assert_eq!(probe::forgotten_window(), None);
    let mut frame = owned();
    core::mem::forget(TemporaryMapping::of(&mut frame));

    assert_eq!(probe::forgotten_window(), Some(frame.frame()));
    probe::close_windows();

    assert_eq!(probe::forgotten_window(), None);
}

/// Whatever is `Send` has two ways to be this, which is ambiguous.
trait StaysHere<Kind> {
    const HOLDS: bool = true;
}
impl<T: ?Sized> StaysHere<()> for T {}
impl<T: ?Sized + Send> StaysHere<u8> for T {}
const _: () = assert!(<TemporaryMapping<'static> as StaysHere<_>>::HOLDS);

/// The tests after this one find all slots closed.
#[unikernel::test(should_panic = "in the middle of a use")]
fn whoever_dies_with_a_window_open_dies_alone() {
    let mut frame = owned();
    let _window = TemporaryMapping::of(&mut frame);

    panic!("in the middle of a use");
}
