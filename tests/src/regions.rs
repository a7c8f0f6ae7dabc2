//! Regions on the machine, by the values that own them.

#![allow(
    unsafe_code,
    reason = "faults are asked for by address, and spaces are switched"
)]

use core::hint::black_box;

use unikernel::memory::{
    AlterError, Fork, ForkError, Frame, FrameRange, MemoryType, Page, PageCounts, PageSize,
    PhysAddr, Region, RegionError, ReserveError, Rights, Root, ShapeError, Space, SpaceError,
    ViewError, VirtAddr, ZERO_FRAME, runtime,
};
use unikernel::test::probe;

const PAGE: u64 = 4096;
const TIB: u64 = 1 << 40;
const MIB: u64 = 1 << 20;

/// Where large regions go: above what other tests map by hand.
const FREE: VirtAddr = VirtAddr::new(0x100_0000_0000);

/// Takes the memory that the first use of anything costs for good, so that counts before and after are equal.
fn counted(story: impl Fn()) {
    // The first frame of all comes with those that its record lies in.
    assert!(ZERO_FRAME.frame().is_some());
    story();
    let before = probe::frame_counts();
    story();
    assert_eq!(probe::frame_counts(), before);
}

/// Counts the frames that somebody has.
fn allocated() -> u64 {
    probe::frame_counts().allocated
}

fn write(address: VirtAddr) {
    let pointer = core::ptr::with_exposed_provenance_mut::<u8>(address.as_u64() as usize);
    // SAFETY: none; the test that calls this is about what happens then.
    unsafe { black_box(pointer).write_volatile(1) }
}

fn read(address: VirtAddr) {
    let pointer = core::ptr::with_exposed_provenance::<u8>(address.as_u64() as usize);
    // SAFETY: none; the test that calls this is about what happens then.
    unsafe { black_box(pointer).read_volatile() };
}

fn after(address: VirtAddr, bytes: u64) -> VirtAddr {
    address.checked_add(bytes).expect("it is in the same half")
}

/// Proves M41, M57, M95. Neither the size nor reading costs a frame for memory; writing three pages costs three.
#[unikernel::test]
fn a_tebibyte_costs_nothing_until_it_is_written() {
    counted(|| {
        let before = allocated();
        let place = Page::containing(FREE);
        let mut region = Region::builder().len(TIB).near(place).lazy().expect("room");
        assert_eq!((allocated(), region.len_bytes()), (before, TIB));

        let words = region.as_mut_slice::<u64>().expect("words fit");
        for (index, value) in [(0, 1), (1 << 30, 2), ((1 << 37) - 1, 3)] {
            words[index] = value;
        }

        assert_eq!(region.counters().own, 3);
        assert_eq!(region.get::<u64>(8 << 30), Ok(2));
        assert_eq!(region.get::<u64>(8 << 20), Ok(0));
        let counts = PageCounts {
            own: 3,
            borrowed: 1,
            ..PageCounts::default()
        };
        assert_eq!(region.counters(), counts);
        // Four pages far from each other; each may need tables of three levels.
        assert!(
            allocated() - before <= 3 + 4 * 3,
            "{}",
            allocated() - before
        );
    });
}

/// Proves M48, M95.
#[unikernel::test]
fn discarded_pages_give_their_frames_back_and_read_as_zeros_again() {
    counted(|| {
        let mut region = Region::builder().len_pages(8).lazy().expect("room");
        region.as_mut_slice::<u8>().expect("bytes fit").fill(7);
        let before = allocated();

        assert_eq!(region.discard(2 * PAGE..5 * PAGE), Ok(3));

        assert_eq!((allocated(), region.counters().own), (before - 3, 5));
        let bytes = region.as_slice::<u8>().expect("bytes fit");
        let expected = |index: usize| {
            if (2..5).contains(&(index / 4096)) {
                0
            } else {
                7
            }
        };
        assert!((0..8 * 4096).all(|index| bytes[index] == expected(index)));
    });
}

/// Proves M25, M50. What is committed has all its frames, in large pages where that is possible.
#[unikernel::test]
fn committed_memory_has_its_frames_from_the_beginning_in_large_pages() {
    counted(|| {
        let before = allocated();
        let builder = Region::builder().len(4 * MIB + PAGE).align(PageSize::Mib2);
        let mut region = builder.committed().expect("there are 4 MiB");

        let counts = region.counters();
        assert_eq!((counts.own, counts.large), (1025, 1024));
        assert!(allocated() - before >= 1025);
        region.as_mut_slice::<u64>().expect("words fit").fill(!0);

        assert_eq!(region.counters(), counts);
    });
}

/// Proves M95. A page that was only read shows the zero frame; that is not a frame of its own.
#[unikernel::test]
fn commit_gives_every_page_a_frame_even_those_that_were_read() {
    counted(|| {
        let builder = Region::builder().len(4 * MIB).align(PageSize::Mib2);
        let region = builder.lazy().expect("room");
        assert_eq!(region.get::<u8>(5 * PAGE), Ok(0));

        assert_eq!(region.commit(..4 * PAGE), Ok(4));
        assert_eq!(region.commit(..), Ok(1020));

        let counts = region.counters();
        assert_eq!((counts.own, counts.borrowed, counts.large), (1024, 0, 512));
    });
}

/// Proves M48.
#[unikernel::test]
fn rights_that_are_taken_refuse_views_and_come_back() {
    counted(|| {
        let mut region = Region::builder().len_pages(4).lazy().expect("room");
        region.set(PAGE, 5u32).expect("it may be written");
        region
            .protect(PAGE..2 * PAGE, Rights::READ)
            .expect("it is one of the pages");

        let second = Page::containing(after(region.start(), PAGE));
        let refusal = Err(ViewError::Forbidden {
            access: unikernel::memory::Access::Write,
            page: second,
        });
        assert_eq!(region.set(PAGE, 6u32), refusal);
        assert_eq!(region.as_mut_slice::<u8>().map(drop), refusal.map(drop));
        assert_eq!(region.get::<u32>(PAGE), Ok(5));
        assert_eq!(region.set(0, 1u32), Ok(()));

        region.protect(.., Rights::READ_WRITE).expect("all of it");
        assert_eq!(region.set(PAGE, 6u32), Ok(()));
    });
}

/// Proves M19, M48, M98.
#[unikernel::test(should_fault = "write to read-only memory")]
fn writing_by_address_to_protected_memory_is_reported() {
    let mut region = Region::builder()
        .len_pages(1)
        .name("constants")
        .lazy()
        .expect("room");
    region.set(0, 1u8).expect("it may be written");
    region.protect(.., Rights::READ).expect("all of it");

    write(region.start());
}

/// Proves M48. Read withdrawal is truly enforced.
#[unikernel::test(should_fault = "read of inaccessible memory")]
fn reading_by_address_what_must_not_be_read_is_reported() {
    let mut region = Region::builder().len_pages(1).lazy().expect("room");
    region.set(0, 1u8).expect("it may be written");
    region.protect(.., Rights::empty()).expect("all of it");

    read(region.start());
}

/// Proves M31, M50. Memory is not executable unless it was asked for.
#[unikernel::test(should_fault = "execution of non-executable memory")]
fn memory_is_not_executable() {
    let mut region = Region::builder().len_pages(1).lazy().expect("room");
    region.set(0, 0xc3u8).expect("it may be written");
    let address = region.start().as_u64() as usize;
    let pointer = core::ptr::with_exposed_provenance::<u8>(address);

    // SAFETY: none; the processor refuses to fetch from there.
    let function: extern "C" fn() = unsafe { core::mem::transmute(pointer) };
    function();
}

/// Proves M98. Nothing of a region is left once it is dropped.
#[unikernel::test(should_fault = "read of unmapped address")]
fn what_was_dropped_is_unmapped() {
    let mut region = Region::builder().len_pages(1).lazy().expect("room");
    region.set(0, 1u8).expect("it may be written");
    let start = region.start();
    drop(region);

    read(start);
}

/// Proves M54.
#[unikernel::test]
fn sections_lie_between_guards_and_are_taken_again() {
    counted(|| {
        let guarded = Region::builder().guarded(2, 3).expect("room");
        let mut first = guarded.take().expect("none is taken");
        let mut second = guarded.take().expect("one is taken");
        let third = guarded.take().expect("two are taken");
        assert!(matches!(
            guarded.take(),
            Err(SpaceError::Region(RegionError::NoSectionLeft(_)))
        ));

        first.as_mut_slice::<u8>().expect("bytes fit").fill(1);
        second.as_mut_slice::<u8>().expect("bytes fit").fill(2);

        let guard = first.range().end_number();
        assert_eq!(second.range().start().number(), guard + 1);
        assert_eq!(guarded.counters().own, 4);
        let place = second.range();
        drop((second, third));
        assert_eq!(guarded.counters().own, 2);
        let (_, again) = (guarded.take(), guarded.take().expect("two are free"));
        assert_eq!(again.range(), place);
        assert!(
            again
                .as_slice::<u8>()
                .expect("bytes fit")
                .iter()
                .all(|&byte| byte == 0)
        );
    });
}

/// Proves M54, M98.
#[unikernel::test(should_fault = "in the guard of buffers")]
fn running_over_the_end_of_a_section_is_reported() {
    let guarded = Region::builder()
        .name("buffers")
        .guarded(1, 2)
        .expect("room");
    let section = guarded.take().expect("none is taken");

    write(after(section.start(), PAGE));
}

/// Proves M55.
#[unikernel::test(should_fault = "in the guard of buffers")]
fn a_section_that_was_given_back_cannot_be_touched() {
    let guarded = Region::builder()
        .name("buffers")
        .guarded(1, 2)
        .expect("room");
    let mut section = guarded.take().expect("none is taken");
    section.set(0, 1u8).expect("it may be written");
    let start = section.start();
    drop(section);

    read(start);
}

/// Proves M53.
#[unikernel::test]
fn what_crosses_the_end_of_a_ring_goes_on_at_its_beginning() {
    counted(|| {
        let mut ring = Region::builder().len_pages(3).ring().expect("room");
        let capacity = ring.capacity_bytes();
        assert_eq!(capacity, 3 * PAGE);

        for index in 0..3 {
            let start = index * PAGE + 4094;
            let window = ring.window_mut(start, 4).expect("4 bytes fit");
            window.copy_from_slice(&[index as u8, 1, 2, 3]);
            assert_eq!(
                ring.window(start + capacity, 4),
                Ok(&[index as u8, 1, 2, 3][..])
            );
        }

        assert_eq!(ring.window(0, 2), Ok(&[2, 3][..]));
        assert_eq!(
            ring.window(5 * capacity + 1, capacity).map(|all| all[0]),
            Ok(3)
        );
        assert_eq!(
            ring.window(0, capacity + 1),
            Err(ViewError::OutOfBounds {
                end: capacity + 1,
                len: capacity
            })
        );
    });
}

/// Proves M56, M101.
#[unikernel::test(should_fault = "stack overflow of worker 7")]
fn a_stack_that_overflows_is_named() {
    let stack = Region::builder()
        .len_pages(4)
        .name("worker 7")
        .stack()
        .expect("room");
    write(stack.top());
    write(stack.limit());
    assert_eq!(stack.counters().own, 2);
    let below = stack.limit().checked_sub(1).expect("the guard is below");

    write(below);
}

/// Proves M47.
#[unikernel::test]
fn the_end_of_a_region_moves_if_there_is_room() {
    counted(|| {
        let place = Page::containing(FREE);
        let mut region = Region::builder()
            .len_pages(4)
            .at(place)
            .lazy()
            .expect("room");
        let next = Page::containing(after(FREE, 6 * PAGE));
        let wall = Region::builder()
            .len_pages(1)
            .at(next)
            .lazy()
            .expect("room");
        region.set(3 * PAGE, 9u8).expect("it may be written");

        assert_eq!(region.resize(6 * PAGE), Ok(4 * PAGE));
        assert_eq!(region.set(5 * PAGE, 8u8), Ok(()));
        let beyond = region.resize(7 * PAGE);
        assert!(matches!(
            beyond,
            Err(AlterError::Space(SpaceError::NoRoom { .. }))
        ));
        assert_eq!(region.resize(0), Ok(6 * PAGE));
        assert_eq!(region.counters().own, 2);

        assert_eq!(region.resize(1), Ok(6 * PAGE));
        assert_eq!((region.len_bytes(), region.counters().own), (PAGE, 0));
        drop(wall);
        assert_eq!(region.resize(7 * PAGE), Ok(PAGE));
        assert_eq!(region.get::<u8>(5 * PAGE), Ok(0));
    });
}

/// Proves M41, M47: neighbours that are alike may be one region to the space, never to their owners.
#[unikernel::test]
fn neighbours_that_are_alike_keep_their_owners() {
    counted(|| {
        let place = |index| Page::containing(after(FREE, index * PAGE));
        let of = |index, len| {
            let builder = Region::builder().len_pages(len).at(place(index));
            builder.lazy().expect("room")
        };
        let (mut low, mut middle, mut high) = (of(0, 2), of(2, 2), of(4, 2));
        middle.protect(.., Rights::READ).expect("all of it");
        middle.protect(.., Rights::READ_WRITE).expect("all of it");
        for region in [&mut low, &mut middle, &mut high] {
            region.as_mut_slice::<u8>().expect("bytes fit").fill(4);
        }

        assert!(low.resize(3 * PAGE).is_err());
        assert_eq!(low.resize(PAGE), Ok(2 * PAGE));
        drop(middle);

        assert_eq!((low.counters().own, high.counters().own), (1, 2));
        assert_eq!(low.resize(4 * PAGE), Ok(PAGE));
        assert_eq!(high.get::<u8>(0), Ok(4));
    });
}

/// Proves M50.
#[unikernel::test]
fn the_physical_address_of_dma_memory_is_the_one_it_is_mapped_at() {
    counted(|| {
        let mut buffer = Region::builder()
            .len_pages(5)
            .dma(MemoryType::WriteBack)
            .expect("there are five frames side by side");
        let root = Root::kernel();

        for index in 0..5 {
            assert_eq!(buffer.read::<u64>(index * PAGE), Ok(0));
            buffer.write(index * PAGE, index).expect("it is within");
            let translated = root.translate(after(buffer.start(), index * PAGE));
            let physical = buffer.physical_start().as_u64() + index * PAGE;
            assert_eq!(translated.map(|at| at.address.as_u64()), Some(physical));
        }
        // SAFETY: no device uses the buffer.
        let bytes = unsafe { buffer.as_slice() };
        assert_eq!((bytes.len(), bytes[4096 * 3]), (5 * 4096, 3));
    });
}

/// Proves M51. The event timer of the machine, or whatever is there: its frames are nobody's to count.
#[unikernel::test]
fn the_memory_of_a_device_is_mapped_and_never_counted() {
    counted(|| {
        let controller = Frame::containing(PhysAddr::new(0xfee0_0000)).expect("it is low");
        // SAFETY: the local interrupt controller is there (SDM volume 3A, 10.4.1), and only read.
        let device =
            unsafe { Region::builder().device(FrameRange::one(controller), MemoryType::Uncached) }
                .expect("room");

        let version = device.read::<u32>(0x30).expect("it is within the page");

        assert!(version & 0xff >= 0x10, "{version:#x}");
        assert_eq!(
            device.read::<u32>(0x32),
            Err(ViewError::Misaligned {
                offset: 0x32,
                align: 4
            })
        );
        assert_eq!(device.counters().direct, 1);
    });
}

/// Proves M41, M50. Parts that do not exist, do not fit, or are not whole pages are refused with what was asked.
#[unikernel::test]
fn views_are_checked_for_bounds_alignment_and_size() {
    let mut region = Region::builder().len_pages(2).lazy().expect("room");
    let len = 2 * PAGE;

    assert_eq!(
        region.slice::<u8>(1..len + 1),
        Err(ViewError::OutOfBounds { end: len + 1, len })
    );
    assert_eq!(
        region.get::<u64>(u64::MAX),
        Err(ViewError::OutOfBounds { end: u64::MAX, len })
    );
    assert_eq!(
        region.get::<u64>(PAGE + 4),
        Err(ViewError::Misaligned {
            offset: PAGE + 4,
            align: 8
        })
    );
    assert_eq!(
        region.as_slice::<[u8; 3]>(),
        Err(ViewError::Uneven { len, item: 3 })
    );
    assert_eq!(
        region.as_slice::<[u8; 0]>(),
        Err(ViewError::Uneven { len, item: 0 })
    );
    assert_eq!(region.slice::<u64>(len..), Ok(&[][..]));
    assert_eq!(region.discard(1..len), Err(AlterError::NotWholePages(1)));
    let beyond = region.protect(..2 * len, Rights::READ);
    assert_eq!(beyond, Err(AlterError::OutOfBounds { end: 2 * len, len }));
}

/// Proves M41, M98. Ring 3 is not let into what the kernel sees by slices.
#[unikernel::test]
fn memory_of_the_kernel_is_refused_to_ring_3() {
    let rights = Rights::READ_WRITE | Rights::USER;
    let refusal = RegionError::Shape(ShapeError::KernelOnly(rights));

    let reserved = Region::builder().len_pages(1).rights(rights).lazy();
    let mut region = Region::builder().len_pages(1).lazy().expect("room");
    let protected = region.protect(.., rights);

    assert_eq!(reserved.map(drop), Err(ReserveError::Region(refusal)));
    assert_eq!(
        protected,
        Err(AlterError::Space(SpaceError::Region(refusal)))
    );
}

/// Proves M42.
#[unikernel::test]
fn a_place_that_is_taken_is_refused_by_name_and_avoided_by_hint() {
    let place = Page::containing(FREE);
    let first = Region::builder()
        .len_pages(2)
        .at(place)
        .lazy()
        .expect("room");

    let same = Region::builder().len_pages(1).at(place).lazy();
    let near = Region::builder()
        .len_pages(1)
        .near(place)
        .lazy()
        .expect("room");

    assert!(matches!(
        same,
        Err(ReserveError::Region(RegionError::Overlaps(range))) if range == first.range()
    ));
    assert_eq!(near.range().start().number(), first.range().end_number());
    let all = Region::builder().len(1 << 47).lazy();
    assert!(matches!(all, Err(ReserveError::NoRoom { .. })));
    assert!(Region::builder().len(0).lazy().is_err());
}

/// Proves M41. What is lent is used in parts, and is the owner's again.
#[unikernel::test]
fn lent_memory_is_used_in_parts_and_comes_back() {
    counted(|| {
        let mut region = Region::builder()
            .len_pages(4)
            .name("lent")
            .lazy()
            .expect("room");
        let lent = region.lend(PAGE..).expect("it is whole pages");
        let (mut low, high) = lent.split_at(PAGE).expect("it is whole pages");
        low.set(0, 1u16).expect("it may be written");
        high.into_slice::<u16>().expect("it may be written")[0] = 2;

        assert_eq!(region.get::<u16>(PAGE), Ok(1));
        assert_eq!(region.get::<u16>(2 * PAGE), Ok(2));
        assert_eq!(region.name().as_str(), "lent");
    });
}

/// Proves M89. The kernel reaches memory of ring 3 by copies, with the rights of ring 3.
#[unikernel::test]
fn user_owned_memory_is_copied_in_and_out_with_the_rights_of_ring_3() {
    counted(|| {
        let space = Space::new().expect("there is a frame");
        let mut memory = Region::builder()
            .len_pages(3)
            .user_owned(&space)
            .expect("room");
        memory
            .copy_in(PAGE - 2, b"hello\0")
            .expect("it may be written");
        let mut bytes = [0xff; 6];
        memory
            .copy_out(PAGE - 2, &mut bytes)
            .expect("it may be read");
        assert_eq!(&bytes, b"hello\0");
        assert_eq!(memory.copy_string_out(PAGE - 2, &mut bytes), Ok(5));

        memory
            .protect(PAGE..2 * PAGE, Rights::READ)
            .expect("one page");
        let refused = memory
            .copy_in(PAGE - 2, b"HELLO")
            .expect_err("it is read-only");
        assert_eq!(refused.transferred, 2);
        assert_eq!(refused.address, after(memory.start(), PAGE));
        let beyond = memory
            .copy_out(3 * PAGE - 1, &mut bytes)
            .expect_err("it ends there");
        assert_eq!(beyond.transferred, 0);
        assert!(Root::kernel().query(memory.range().start()).is_none());
    });
}

/// Proves M64, M82, M89.
#[unikernel::test]
fn a_fork_shares_frames_until_one_side_writes() {
    counted(|| {
        let parent = Space::new().expect("there is a frame");
        let mut memory = Region::builder()
            .len_pages(3)
            .user_owned(&parent)
            .expect("room");
        memory.copy_in(0, &[7; 3 * 4096]).expect("there are frames");
        let before = allocated();

        let child = parent.fork(Fork::CopyOnWrite).expect("there are frames");
        let shared = PageCounts {
            copy_on_write: 3,
            ..PageCounts::default()
        };
        assert_eq!((parent.counters(), child.counters()), (shared, shared));
        child
            .write(memory.start(), &[8])
            .expect("it may be written");
        child
            .copy(memory.start(), (&child, after(memory.start(), 5000)), 10)
            .expect("it may be written");

        assert_eq!(child.counters().own, 2);
        let mut byte = [0];
        memory.copy_out(0, &mut byte).expect("it may be read");
        assert_eq!(byte, [7]);
        child
            .read(after(memory.start(), 5000), &mut byte)
            .expect("it may be read");
        assert_eq!(byte, [8]);
        drop(child);
        assert_eq!(allocated(), before);
    });
}

/// Proves M85, M87. In a fork of its own space, trusted code sees its memory as it was, and what it writes stays there.
#[unikernel::test]
fn trusted_code_can_work_in_a_fork_of_its_space() {
    counted(|| {
        let mut region = Region::builder().len_pages(2).lazy().expect("room");
        region.set(0, 1u32).expect("it may be written");
        let fork = Space::kernel()
            .and_then(|kernel| {
                kernel
                    .fork(Fork::CopyOnWrite)
                    .map_err(|_| SpaceError::Kernel)
            })
            .expect("there are frames");

        // SAFETY: the fork shows the same, and what is written there is looked at there only.
        let kernel = unsafe { fork.switch() }.expect("there is a space");
        region.set(0, 2u32).expect("it may be written");
        let there = region.get::<u32>(0);
        // SAFETY: nothing in the lower half is in use.
        unsafe { kernel.switch() }.expect("there is a space");

        assert_eq!((there, region.get::<u32>(0)), (Ok(2), Ok(1)));
        // SAFETY: this CPU is in the kernel's space.
        assert_eq!(unsafe { fork.destroy() }, Ok(()));
        // SAFETY: the kernel's space is not destroyed.
        assert_eq!(unsafe { kernel.destroy() }, Err(SpaceError::Kernel));
    });
}

/// Proves M52.
#[unikernel::test]
fn a_space_with_the_heap_of_a_runtime_is_not_forked() {
    counted(|| {
        let heap = Region::builder().len_pages(2).heap().expect("room");
        let kernel = Space::kernel().expect("there is one");

        let forked = kernel.fork(Fork::CopyOnWrite).map(drop);

        assert_eq!(forked, Err(ForkError::Untracked(heap.range())));
    });
}

/// Proves M95.
#[unikernel::test]
fn a_runtime_reserves_maps_commits_gives_back_and_counts() {
    counted(|| {
        let before = runtime::statistics();
        let mut heap = runtime::reserve(64 * MIB).expect("room");
        let mut eager = runtime::allocate(2 * MIB).expect("there are 2 MiB");
        assert!(heap.get::<u8>(0).is_err());
        assert_eq!(heap.commit(..PAGE), Ok(1), "frames may come before rights");
        assert!(heap.set(0, 1u8).is_err());
        runtime::map(&mut heap, ..MIB).expect("it is within");
        heap.slice_mut::<u8>(..8 * PAGE)
            .expect("it is mapped")
            .fill(1);

        let during = runtime::statistics();
        assert_eq!(during.heaps, before.heaps + 3);
        assert_eq!(during.reserved_bytes, before.reserved_bytes + 66 * MIB);
        assert_eq!(during.mapped_bytes, before.mapped_bytes + 3 * MIB);
        assert_eq!(
            during.resident_bytes,
            before.resident_bytes + 2 * MIB + 8 * PAGE
        );
        assert_eq!(eager.counters().large, 512);

        assert_eq!(runtime::give_back(&mut heap, ..8 * PAGE), Ok(8));
        assert_eq!(runtime::give_back(&mut eager, PAGE..2 * PAGE), Ok(1));
        assert_eq!(eager.counters().own, 511);
        assert_eq!(heap.get::<u8>(0), Ok(0));
        drop((heap, eager));
        assert_eq!(runtime::statistics(), before);
    });
}

/// Proves M44, M78. Whatever kind it was, no frame stays behind.
#[unikernel::test]
fn dropping_any_kind_of_memory_gives_every_frame_back() {
    counted(|| {
        let builder = Region::builder().len_pages(700).align(PageSize::Mib2);
        let mut lazy = builder.lazy().expect("room");
        let committed = builder.committed().expect("there are frames");
        let heap = builder.heap().expect("room");
        let stack = builder.stack().expect("room");
        let mut ring = builder.ring().expect("room");
        let guarded = Region::builder().guarded(10, 10).expect("room");
        let dma = builder.dma(MemoryType::WriteCombining).expect("frames");
        let mut section = guarded.take().expect("none is taken");

        lazy.as_mut_slice::<u64>().expect("words fit").fill(1);
        lazy.protect(PAGE..9 * PAGE, Rights::READ)
            .expect("whole pages");
        heap.commit(..).expect("there are frames");
        write(stack.top());
        ring.window_mut(0, 700 * PAGE).expect("it fits").fill(1);
        section.as_mut_slice::<u64>().expect("words fit").fill(1);
        drop(section);
        drop((lazy, committed, heap, stack, ring, guarded, dma));
    });
}

/// Fails the first, the second, … allocation of a frame by `operation` until it succeeds. Each failure must leave frames and
/// tables as they were.
fn sweep(name: &str, operation: impl Fn() -> bool) {
    assert!(operation(), "{name} succeeds when nothing fails");
    let before = probe::frame_counts();
    for nth in 1..1000 {
        probe::fail_nth_frame(nth);
        let succeeded = operation();
        let came = !probe::frame_failure_pending();
        probe::fail_nth_frame(0);
        assert_eq!(probe::frame_counts(), before, "{name}, allocation {nth}");
        probe::check_tables();
        if !came {
            assert!(succeeded && nth > 1, "{name} has no allocation to fail");
            return;
        }
    }
    panic!("{name} fails for ever");
}

/// Proves M22, M93, Q1.
#[unikernel::test(timeout = "60s")]
fn a_failure_of_any_allocation_is_an_error_and_leaks_nothing() {
    let two_mib = Region::builder().len(2 * MIB).align(PageSize::Mib2);
    let odd = Region::builder().len_pages(700).align(PageSize::Mib2);
    sweep("commit at once", || odd.committed().is_ok());
    sweep("commit later", || {
        let region = two_mib.lazy().expect("this needs no frame");
        region.commit(PAGE..9 * PAGE).is_ok() && region.commit(..).is_ok()
    });
    sweep("protect a part of a large page", || {
        let Ok(mut region) = two_mib.committed() else {
            return false;
        };
        region.protect(PAGE..2 * PAGE, Rights::READ).is_ok()
    });
    sweep("discard a part of a large page", || {
        let region = two_mib.lazy().expect("this needs no frame");
        let mut region = region;
        region.commit(..).is_ok() && region.discard(PAGE..2 * PAGE).is_ok()
    });
    sweep("shrink into a large page", || {
        let mut region = two_mib.lazy().expect("this needs no frame");
        region.commit(..).is_ok() && region.resize(MIB).is_ok()
    });
    sweep("dma", || two_mib.dma(MemoryType::WriteBack).is_ok());
    sweep("allocate for a runtime", || {
        runtime::allocate(3 * MIB).is_ok()
    });
    sweep("copy into memory of ring 3, and fork it", || {
        let Ok(space) = Space::new() else {
            return false;
        };
        let memory = Region::builder().len_pages(3).user_owned(&space);
        let mut memory = memory.expect("this needs no frame");
        let is_written = memory.copy_in(0, &[1; 5000]).is_ok();
        let child = space.fork(Fork::Eager);
        is_written && child.is_ok_and(|child| child.write(memory.start(), b"x").is_ok())
    });
}
