//! Page tables, temporary mappings and the zero frame on the machine.

#![allow(unsafe_code, reason = "what is mapped here is used by address")]

use unikernel::memory::{
    Attributes, AttributesError, FrameRange, MapError, Marks, MemoryType, OwnedFrame, OwnedFrames,
    PAGE_SIZE, Page, PageRange, PageSize, Rights, Root, TemporaryMapping, UnmapError, VirtAddr,
    ZERO_FRAME, describe_pages,
};
use unikernel::prelude::*;
use unikernel::test::probe;

const READ_WRITE: Rights = Rights::READ.union(Rights::WRITE);
/// Where these tests map: nothing else is there.
const BASE: u64 = 0x20_0000_0000;

/// A page that a test leaves mapped when it dies.
const LEFT_MAPPED: u64 = 1 << 20;

fn page(index: u64) -> Page {
    Page::containing(VirtAddr::new(BASE + index * PAGE_SIZE))
}

fn pages(len: u64) -> PageRange {
    PageRange::new(page(0), len)
}

fn word(index: u64) -> *mut u64 {
    core::ptr::with_exposed_provenance_mut((BASE + index * PAGE_SIZE) as usize)
}

/// Reads the first word of a page.
fn read(index: u64) -> u64 {
    // SAFETY: the tests read pages they have mapped.
    unsafe { word(index).read_volatile() }
}

fn write(index: u64, value: u64) {
    // SAFETY: the tests write pages they have mapped.
    unsafe { word(index).write_volatile(value) }
}

/// Takes the memory that the first use of anything costs for good, so that counts before and after are equal.
fn counted(story: impl Fn()) {
    story();
    let before = probe::frame_counts();
    story();
    assert_eq!(probe::frame_counts(), before);
}

/// Proves M17, M27, M38, M39, M80. No identity map and no map of all memory is there to help.
#[unikernel::test]
fn a_root_that_is_not_active_is_filled_activated_read_left_and_destroyed() {
    counted(|| {
        let mut frames: Vec<OwnedFrame> = (0..1000)
            .map(|_| OwnedFrame::zeroed().expect("there are a thousand frames"))
            .collect();
        let mut root = Root::new().expect("there is a frame for a root");
        for (index, frame) in (0..).zip(&mut frames) {
            TemporaryMapping::of(frame).words_mut()[0] = index * 3;
            let run = FrameRange::one(frame.frame());
            // SAFETY: the root is new and the frames are this test's.
            unsafe {
                root.map(
                    page(index),
                    run,
                    Attributes::new(READ_WRITE),
                    PageSize::Kib4,
                )
            }
            .expect("nothing is mapped there");
        }
        assert!(Root::kernel().query(page(0)).is_none());

        // SAFETY: nothing of the kernel's lower half is in use.
        let active = unsafe { root.activate() };
        let sum: u64 = (0..1000).map(read).sum();
        write(999, 1);
        drop(active);

        assert_eq!(sum, 3 * 999 * 1000 / 2);
        assert_eq!(TemporaryMapping::of(&mut frames[999]).words()[0], 1);
    });
}

/// Proves M12, M15, M81, M95. Reading costs no frame, the first write to a page costs one, which the handler of its fault takes, and
/// what others see stays zero.
#[unikernel::test]
fn reserved_pages_read_as_zeros_at_no_frame_and_get_one_at_the_first_write() {
    counted(|| {
        let mut kernel = Root::kernel();
        // SAFETY: nobody else uses these pages.
        unsafe { kernel.reserve(pages(4096), READ_WRITE) }.expect("nothing is mapped there");
        let before = probe::frame_counts();

        assert!((0..4096).all(|index| read(index) == 0));
        assert_eq!(probe::frame_counts(), before);
        for index in [0, 1000, 4095] {
            write(index, index + 1);
        }

        assert_eq!(probe::frame_counts().allocated, before.allocated + 3);
        assert_eq!(
            (read(0), read(1000), read(4095), read(1)),
            (1, 1001, 4096, 0)
        );
        let own = kernel.query(page(0)).expect("the page is mapped");
        assert_eq!(
            (own.attributes.rights(), own.attributes.marks()),
            (READ_WRITE, Marks::OWNED)
        );
        // SAFETY: nobody uses the pages any more.
        assert_eq!(unsafe { kernel.release(pages(4096)) }, Ok(4096));
    });
}

/// Proves M12, M21.
#[unikernel::test]
fn the_zero_frame_cannot_be_mapped_writable() {
    let zero = ZERO_FRAME.frame().expect("every machine has one");
    let mut kernel = Root::kernel();
    let attributes = Attributes::new(READ_WRITE);

    // SAFETY: nobody uses the page, and the mapping is refused.
    let mapped = unsafe { kernel.map(page(0), FrameRange::one(zero), attributes, PageSize::Kib4) };
    // SAFETY: as above.
    let remapped = unsafe { kernel.remap(page(0), zero, attributes) };

    let refusal = MapError::Attributes(page(0), AttributesError::ZeroFrame(attributes));
    assert_eq!((mapped, remapped), (Err(refusal), Err(refusal)));
    assert!(kernel.query(page(0)).is_none());
}

/// Proves M19.
#[unikernel::test(should_fault = "write to read-only memory")]
fn a_page_that_lost_the_right_to_write_refuses_it() {
    let mut kernel = Root::kernel();
    let frame = OwnedFrame::zeroed().expect("there is a frame").into_frame();
    // SAFETY: nobody else uses the page, and the frame is kept for good.
    unsafe {
        kernel.map(
            page(LEFT_MAPPED),
            FrameRange::one(frame),
            Attributes::new(READ_WRITE),
            PageSize::Kib4,
        )
    }
    .expect("it is free");
    write(LEFT_MAPPED, 5);
    // SAFETY: nobody relies on writing.
    unsafe { kernel.protect(PageRange::one(page(LEFT_MAPPED)), Rights::READ) }
        .expect("a small page needs no frame");

    assert_eq!(read(LEFT_MAPPED), 5);
    write(LEFT_MAPPED, 6);
}

/// Proves M33.
#[unikernel::test(should_fault = "read of unmapped address")]
fn an_unmapped_page_is_forgotten_at_once() {
    let mut kernel = Root::kernel();
    let frame = OwnedFrame::zeroed().expect("there is a frame");
    let run = FrameRange::one(frame.frame());
    // SAFETY: nobody else uses the page; it is unmapped before the frame goes.
    unsafe { kernel.map(page(7), run, Attributes::new(READ_WRITE), PageSize::Kib4) }
        .expect("it is free");
    write(7, 1);
    // SAFETY: only the read below, which is to fault.
    let leaf = unsafe { kernel.unmap(page(7)) }.expect("it was mapped");
    assert_eq!(leaf.frame, frame.frame());

    read(7);
}

/// Proves M23, M24.
#[unikernel::test]
fn mapping_twice_and_unmapping_nothing_are_errors_that_name_the_page() {
    counted(|| {
        let mut kernel = Root::kernel();
        let frame = OwnedFrame::zeroed().expect("there is a frame");
        let run = FrameRange::one(frame.frame());
        let map = |kernel: &mut Root| {
            // SAFETY: nobody else uses the page; it is unmapped before the frame goes.
            unsafe { kernel.map(page(3), run, Attributes::new(READ_WRITE), PageSize::Kib4) }
        };

        assert_eq!(map(&mut kernel), Ok(()));
        assert_eq!(map(&mut kernel), Err(MapError::AlreadyMapped(page(3))));
        // SAFETY: nobody uses the page.
        assert!(unsafe { kernel.unmap(page(3)) }.is_ok());
        // SAFETY: nobody uses the page.
        let again = unsafe { kernel.unmap(page(3)) };
        assert_eq!(again, Err(UnmapError::NotMapped(page(3))));
    });
}

/// Proves M25, M37. A large leaf maps, translates with its offset, and is split by a change in its middle.
#[unikernel::test]
fn a_large_page_translates_and_is_split_by_a_change_in_its_middle() {
    counted(|| {
        let mut kernel = Root::kernel();
        let frames = OwnedFrames::uncleared(512).expect("there are 2 MiB side by side");
        let attributes = Attributes::new(READ_WRITE);
        // SAFETY: nobody else uses the pages; they are unmapped before the frames go.
        unsafe { kernel.map(page(0), frames.frames(), attributes, PageSize::Mib2) }
            .expect("nothing is mapped there");
        assert_eq!(
            kernel.query(page(100)).map(|leaf| leaf.size),
            Some(PageSize::Mib2)
        );
        write(300, 42);

        // SAFETY: nobody relies on writing there.
        let changed = unsafe { kernel.protect(PageRange::one(page(200)), Rights::READ) };

        assert_eq!(changed, Ok(1));
        let address = VirtAddr::new(BASE + 300 * PAGE_SIZE + 8);
        let translation = kernel.translate(address).expect("it is mapped");
        assert_eq!(
            translation.address.as_u64(),
            frames.frames().start().start().as_u64() + 300 * PAGE_SIZE + 8
        );
        assert_eq!(translation.leaf.size, PageSize::Kib4);
        assert_eq!(
            (
                read(300),
                kernel.query(page(200)).map(|leaf| leaf.attributes.rights())
            ),
            (42, Some(Rights::READ))
        );
        // SAFETY: nobody uses the pages any more.
        assert_eq!(unsafe { kernel.release(pages(512)) }, Ok(512));
    });
}

/// Proves M20, M118 as far as tables go.
#[unikernel::test]
fn the_live_tables_keep_their_invariants() {
    probe::check_tables();
}

/// Proves the third point of "no permanent direct map": every mapped frame is somebody's, so a free one is mapped nowhere.
#[unikernel::test]
fn a_free_frame_is_mapped_nowhere() {
    let free = OwnedFrame::uncleared().expect("there is a frame").frame();

    assert_eq!(probe::pages_that_map(free), 0);
    assert!(
        probe::mapped_bytes() < 64 << 20,
        "most of memory is mapped: {} bytes",
        probe::mapped_bytes()
    );
}

/// Fails the first, the second, … allocation of `operation` until it succeeds. Each failure must leave frames and tables as they
/// were.
fn sweep(name: &str, operation: impl Fn() -> bool) {
    assert!(operation(), "{name} succeeds when nothing fails");
    let before = probe::frame_counts();
    for nth in 1.. {
        probe::fail_nth_frame(nth);
        let succeeded = operation();
        let came = !probe::frame_failure_pending();
        probe::fail_nth_frame(0);
        assert_eq!(probe::frame_counts(), before, "{name}, allocation {nth}");
        assert!(
            Root::kernel().query(page(0)).is_none(),
            "{name}, allocation {nth}"
        );
        probe::check_tables();
        if succeeded {
            assert!(
                nth > 1 && !came,
                "{name} survived a failure, or has none to survive"
            );
            return;
        }
    }
}

/// Proves M22, M93 as far as tables go, Q1.
#[unikernel::test(timeout = "60s")]
fn a_failure_of_any_allocation_changes_nothing() {
    let attributes = Attributes::new(READ_WRITE);
    sweep("map and unmap", || {
        let Ok(frames) = OwnedFrames::uncleared(512) else {
            return false;
        };
        let mut kernel = Root::kernel();
        // SAFETY: nobody else uses the pages; they are unmapped before the frames go.
        let mapped = unsafe { kernel.map(page(0), frames.frames(), attributes, PageSize::Mib2) };
        // SAFETY: nobody uses the page. This splits the large leaf, which needs a table.
        let split = mapped.is_ok() && unsafe { kernel.unmap(page(5)) }.is_ok();
        // SAFETY: nobody uses the pages.
        unsafe { kernel.release(pages(512)) }.is_ok() && split
    });
    sweep("reserve", || {
        let mut kernel = Root::kernel();
        // SAFETY: nobody else uses the pages.
        let reserved = unsafe { kernel.reserve(pages(2000), READ_WRITE) }.is_ok();
        // SAFETY: nobody uses the pages.
        reserved && unsafe { kernel.release(pages(2000)) }.is_ok()
    });
    sweep("create a root", || Root::new().is_ok());
}

/// Proves M116.
#[unikernel::test]
fn pages_of_an_application_are_described_with_their_frame() {
    let frame = OwnedFrame::zeroed().expect("there is a frame");
    let (mut kernel, run) = (Root::kernel(), FrameRange::one(frame.frame()));
    let attributes = Attributes::new(READ_WRITE).with_type(MemoryType::Uncached);
    // SAFETY: nobody else uses the page; it is unmapped before the frame goes.
    unsafe { kernel.map(page(9), run, attributes, PageSize::Kib4) }.expect("it is free");

    let text = describe_pages().to_string();

    let start = page(9).start().as_u64();
    let (last, number) = (start + (PAGE_SIZE - 1), frame.frame().number());
    let line = format!(
        "{start:#18x} {last:#18x} {:>12} {number:>#12x}  rw-- UC, UC in effect: an application's\n",
        4
    );
    assert!(text.contains(&line), "{line}{text}");
    unikernel::memory::dump();
    // SAFETY: nobody uses the page.
    assert!(unsafe { kernel.unmap(page(9)) }.is_ok());
}

/// Returns what a leaf says that was mapped as a memory type: without a page attribute table (CPUID 1, EDX bit 16) nothing combines
/// writes.
fn encoded(memory_type: MemoryType) -> MemoryType {
    let has_table = core::arch::x86_64::__cpuid(1).edx >> 16 & 1 == 1;
    match memory_type {
        MemoryType::WriteCombining if !has_table => MemoryType::UncachedMinus,
        other => other,
    }
}

/// Proves M108, M109, M114. It is run on a machine without a page attribute table as well.
#[unikernel::test]
fn memory_types_are_encoded_in_small_and_large_leaves() {
    counted(|| {
        let mut kernel = Root::kernel();
        let frames = OwnedFrames::uncleared(512).expect("there are 2 MiB side by side");
        for memory_type in [
            MemoryType::WriteCombining,
            MemoryType::Uncached,
            MemoryType::WriteThrough,
        ] {
            for size in [PageSize::Kib4, PageSize::Mib2] {
                let attributes = Attributes::new(READ_WRITE).with_type(memory_type);
                // SAFETY: nobody else uses the pages; they are unmapped below.
                unsafe { kernel.map(page(0), frames.frames(), attributes, size) }
                    .expect("nothing is mapped there");
                write(3, 9);

                let leaf = kernel.query(page(3)).expect("it is mapped");

                assert_eq!(
                    (leaf.attributes.memory_type(), leaf.size, read(3)),
                    (encoded(memory_type), size, 9)
                );
                // SAFETY: nobody uses the pages any more.
                assert_eq!(unsafe { kernel.release(pages(512)) }, Ok(512));
            }
        }
    });
}

/// Proves M111: the screen of old is not cached, whatever is asked for, where the firmware says so.
#[unikernel::test]
fn what_a_memory_type_comes_to_below_1_mib_is_what_the_fixed_ranges_say() {
    let in_effect = |physical| {
        format!(
            "{:?}",
            probe::type_in_effect(physical, MemoryType::WriteBack)
        )
    };

    if probe::has_fixed_ranges() {
        assert_eq!(in_effect(0xb_8000), "Some(Uncached)");
        assert_eq!(in_effect(0x1_0000), "Some(WriteBack)");
    }
}

/// Proves M110 where there is a screen: it is the kernel's alone, write-combining, and nobody frees its frames.
#[unikernel::test]
fn the_framebuffer_is_write_combining_and_not_owned() {
    let Some(page) = probe::framebuffer() else {
        println!("there is no screen here");
        return;
    };

    let leaf = Root::kernel().query(page).expect("it is mapped");

    let expected = Attributes::new(READ_WRITE).with_type(MemoryType::WriteCombining);
    assert_eq!(leaf.attributes, expected);
    // SAFETY: nobody owns such a frame, and that is the answer.
    let claimed = unsafe { OwnedFrame::claim(leaf.frame) };
    assert!(claimed.is_err(), "{claimed:?}");
    let in_effect =
        probe::type_in_effect(leaf.frame.start().as_u64(), leaf.attributes.memory_type());
    assert_eq!(format!("{in_effect:?}"), "Some(WriteCombining)");
}

/// Proves M17, M22, M23, M33, M82, M122: what is true on the simulator is true here.
#[unikernel::test]
fn every_story_about_memory_is_true_on_the_machine() {
    // What the first use of a zone and of the zero frame costs for good is not a story's.
    assert!(probe::take_frames(1) && ZERO_FRAME.frame().is_some());

    counted(|| assert_eq!(probe::tell_all_stories(), 7));
}

/// Proves M29. Physical addresses as they are; and a range of bytes that ends within a page covers the whole page.
#[unikernel::test]
fn an_identity_map_shows_frames_at_their_own_numbers() {
    counted(|| {
        let mut one = OwnedFrame::zeroed().expect("there is a frame");
        TemporaryMapping::of(&mut one).words_mut()[1] = 77;
        let start = one.frame().start();
        let frames = FrameRange::covering(start, PAGE_SIZE - 1);
        assert_eq!(frames, Some(FrameRange::one(one.frame())));
        let mut root = Root::new().expect("there is a frame for a root");
        // SAFETY: the root is new, and the frame is this test's.
        unsafe { root.map_identity(FrameRange::one(one.frame()), Attributes::new(READ_WRITE)) }
            .expect("nothing is mapped there");

        // SAFETY: nothing of the kernel's lower half is in use.
        let active = unsafe { root.activate() };
        let shown = core::ptr::with_exposed_provenance::<u64>(start.as_u64() as usize + 8);
        // SAFETY: the page was mapped for this.
        let value = unsafe { shown.read_volatile() };
        drop(active);

        assert_eq!(value, 77);
    });
}

/// Proves M35, M48. The range crosses the border of two tables.
#[unikernel::test]
fn rights_change_across_the_border_of_two_tables_and_no_further() {
    counted(|| {
        let mut kernel = Root::kernel();
        // SAFETY: nobody else uses these pages.
        unsafe { kernel.reserve(pages(1024), READ_WRITE) }.expect("nothing is mapped there");
        for index in 500..520 {
            write(index, index);
        }

        let changed_range = PageRange::new(page(505), 10);
        // SAFETY: nobody relies on writing there.
        let changed = unsafe { kernel.protect(changed_range, Rights::READ) };

        assert_eq!(changed, Ok(10));
        for index in 500..520 {
            let rights = kernel
                .query(page(index))
                .map(|leaf| leaf.attributes.rights());
            let expected = if (505..515).contains(&index) {
                Rights::READ
            } else {
                READ_WRITE
            };
            assert_eq!((rights, read(index)), (Some(expected), index));
        }
        // SAFETY: nobody uses the pages any more.
        assert_eq!(unsafe { kernel.release(pages(1024)) }, Ok(1024));
    });
}

/// Proves M113. A device knows the frames by their physical addresses, one after the other.
#[unikernel::test]
fn a_buffer_for_a_device_is_contiguous_of_its_type_and_freed_cleanly() {
    counted(|| {
        let mut kernel = Root::kernel();
        let buffer = OwnedFrames::uncleared(16).expect("there are so many side by side");
        let attributes = Attributes::new(READ_WRITE).with_type(MemoryType::Uncached);
        // SAFETY: nobody else uses the pages; they are unmapped before the frames go.
        unsafe { kernel.map(page(0), buffer.frames(), attributes, PageSize::Kib4) }
            .expect("nothing is mapped there");
        for index in 0..16 {
            write(index, 0);
        }

        let first = buffer.frames().start().start().as_u64();
        for index in 0..16 {
            let address = VirtAddr::new(BASE + index * PAGE_SIZE + 12);
            let translation = kernel.translate(address).expect("it is mapped");
            assert_eq!(translation.address.as_u64(), first + index * PAGE_SIZE + 12);
            assert_eq!(
                translation.leaf.attributes.memory_type(),
                MemoryType::Uncached
            );
        }
        assert!((0..16).all(|index| read(index) == 0));
        // SAFETY: nobody uses the pages any more.
        assert_eq!(unsafe { kernel.release(pages(16)) }, Ok(16));
    });
}

/// Runs machine code in ring 3 with RDI = `argument`. What it does must end the test.
fn in_ring_3(code: &[u8; 8], argument: u64) -> ! {
    let mut frame = OwnedFrame::zeroed().expect("there is a frame");
    TemporaryMapping::of(&mut frame).words_mut()[0] = u64::from_le_bytes(*code);
    let (mut kernel, run) = (Root::kernel(), FrameRange::one(frame.into_frame()));
    let attributes = Attributes::new(Rights::READ | Rights::EXECUTE | Rights::USER);
    let place = page(LEFT_MAPPED + 1 + u64::from(code[0]));
    // SAFETY: nobody uses the page, and the frame is kept for good.
    unsafe { kernel.map(place, run, attributes, PageSize::Kib4) }.expect("nothing is mapped there");
    // SAFETY: the code was just mapped for ring 3, and the test ends there.
    unsafe { probe::enter_ring_3(place.start().as_u64(), argument) }
}

/// Proves M13 as far as rights go, M98.
#[unikernel::test(should_fault = "user-mode read of kernel address")]
fn ring_3_cannot_read_kernel_pages() {
    // mov rax, [rdi]
    in_ring_3(
        &[0x48, 0x8b, 0x07, 0xf4, 0xf4, 0xf4, 0xf4, 0xf4],
        in_ring_3 as *const () as u64,
    );
}

/// Proves M98.
#[unikernel::test(should_fault = "not allowed here")]
fn ring_3_cannot_halt_the_machine() {
    // hlt
    in_ring_3(&[0xf4; 8], 0);
}
