//! The reserved zero frame never changes.

use super::super::entry::Marks;
use super::super::error::{AttributesError, MapError};
use super::super::source::PageFrames;
use super::*;
use crate::memory::page::{MemoryType, PAGE_SIZE};
use crate::memory::sim::{Cause, Ring};

/// Proves M12, M21: no function maps the zero frame in a way that lets it change.
#[test]
fn the_zero_frame_is_mapped_read_only_and_copy_on_write_or_not_at_all() {
    let sim = Sim::new(32);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let zero = frames.reserve_zero();
    let around = FrameRange::new(zero.checked_sub(1).expect("it is not the first"), 3);
    let shared = READ.with_marks(Marks::COPY_ON_WRITE);
    let refused = [
        READ_WRITE,
        READ,
        READ_WRITE.with_marks(Marks::OWNED),
        READ.with_marks(Marks::all()),
        shared.with_type(MemoryType::Uncached),
    ];
    let before = frames.count_free();

    for attributes in refused {
        let error = |at| MapError::Attributes(page(at), AttributesError::ZeroFrame(attributes));
        let run = table.map(page(LOW), around, attributes, PageSize::Gib1);
        assert_eq!(run, Err(error(LOW + PAGE_SIZE)));
        let replaced = table.replace(page(LOW), zero, attributes).err();
        assert_eq!(replaced, Some(error(LOW)));
        assert_eq!(
            table.map(page(LOW), FrameRange::one(zero), attributes, PageSize::Kib4),
            Err(error(LOW))
        );
        map_one(&mut table, page(LOW), Frame::new(FAR), READ);
        let replaced = table.replace_and_flush(page(LOW), zero, attributes);
        assert_eq!(replaced, Err(error(LOW)));
        assert!(table.unmap_and_flush(page(LOW)).is_ok());
        let filled = table.fill(pages(LOW, 2), attributes, &mut Always(zero));
        assert_eq!(filled, Err(error(LOW)));
        assert_eq!(frames.count_free(), before);
    }
    assert_eq!(table.map(page(LOW), around, shared, PageSize::Gib1), Ok(()));
    check(&table, &frames);
}

/// Gives the same frame always.
struct Always(Frame);

impl PageFrames for Always {
    fn take(&mut self, _page: Page) -> Option<Frame> {
        Some(self.0)
    }

    fn take_back(&mut self, _page: Page, frame: Frame) {
        assert_eq!(frame, self.0);
    }
}

/// Proves M12: a large leaf around the zero frame would let it change too.
#[test]
fn no_large_leaf_covers_the_zero_frame_writably() {
    let sim = Sim::new(1200);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let zero = frames.reserve_zero();
    let aligned = Frame::new(zero.number().next_multiple_of(512) - 512);
    let run = FrameRange::new(aligned, 512);

    let refused = table.map(page(LOW), run, READ_WRITE, PageSize::Mib2);

    let error = AttributesError::ZeroFrame(READ_WRITE);
    assert_eq!(refused, Err(MapError::Attributes(page(LOW), error)));
}

/// Proves M12, M21, M95 as far as tables go: reading costs no frame, and nothing makes the zero frame writable.
#[test]
fn a_reserved_range_reads_as_zeros_and_refuses_every_write() {
    let sim = Sim::new(32);
    let frames = SimFrames::new(&sim);
    let mut table = kernel(&sim, &frames);
    let zero = frames.reserve_zero();
    let range = pages(LOW, 1000);
    let rights = Rights::READ_WRITE | Rights::USER;

    table
        .reserve(range, rights)
        .expect("there are frames for tables");
    let _count = table.protect(range, rights).expect("no split").flush();

    for page in range.iter() {
        assert_eq!(sim.read(page.start(), Ring::User), Ok(0));
        for ring in [Ring::Kernel, Ring::User] {
            let fault = sim
                .write(page.start(), 1, ring)
                .expect_err("the zero frame never changes");
            assert_eq!(fault.cause, Cause::Forbidden);
        }
    }
    assert!(sim.is_zero(zero));
    check(&table, &frames);
}
