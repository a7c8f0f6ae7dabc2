//! The Nth frame is missing, for every N of every operation: an error, nothing changed, nothing lost.

use super::super::entry::{Change, Leaf, Marks};
use super::super::error::OutOfFrames;
use super::super::source::{CopyCounts, PageFrames};
use super::*;
use crate::memory::page::PAGE_SIZE;

const OWNED: Attributes = READ_WRITE.with_marks(Marks::OWNED);

/// A parent with pages of all sizes, and a child without any.
struct Stage<'a> {
    frames: &'a SimFrames<'a>,
    parent: Table<'a>,
    child: Table<'a>,
}

/// Everything that must be the same after a failure.
type State = (usize, [Vec<Run>; 2], [usize; 2]);

impl<'a> Stage<'a> {
    fn new(sim: &'a Sim, frames: &'a SimFrames<'a>) -> Self {
        let mut parent = kernel(sim, frames);
        frames.reserve_zero();
        let child = parent.create_sharing().expect("there are frames");
        let far = Frame::new(1 << 18);
        for (offset, size) in [
            (0, PageSize::Kib4),
            (1 << 30, PageSize::Mib2),
            (1 << 31, PageSize::Gib1),
        ] {
            let run = FrameRange::new(far, size.pages() as u32);
            parent
                .map(page(LOW + offset), run, OWNED, size)
                .expect("there are frames");
        }
        Self {
            frames,
            parent,
            child,
        }
    }

    fn state(&self) -> State {
        let tables = [&self.parent, &self.child];
        let leaves = tables.map(|table| runs(table, Table::lower_half()));
        (
            self.frames.count_free(),
            leaves,
            tables.map(|table| check(table, self.frames)),
        )
    }
}

/// Runs an operation with more and more frames until it works. Returns how many it needed.
fn sweep(operation: impl Fn(&mut Stage<'_>) -> Result<(), String>) -> usize {
    for allowed in 0.. {
        let sim = Sim::new(128);
        let frames = SimFrames::new(&sim);
        let mut stage = Stage::new(&sim, &frames);
        let before = stage.state();
        frames.allow(allowed);

        let result = operation(&mut stage);

        if result.is_ok() {
            stage.state();
            return allowed;
        }
        assert_eq!(stage.state(), before, "with {allowed} frames: {result:?}");
    }
    unreachable!("there are not more numbers");
}

fn text<T, E: ToString>(result: Result<T, E>) -> Result<(), String> {
    match result {
        Ok(_) => Ok(()),
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains("no frame left"), "{text}");
            Err(text)
        }
    }
}

/// Frames of the machine for pages.
struct FromPool<'a>(&'a SimFrames<'a>);

impl PageFrames for FromPool<'_> {
    fn take(&mut self, _page: Page) -> Option<Frame> {
        self.0.take_any()
    }

    fn take_back(&mut self, _page: Page, frame: Frame) {
        self.0.give_back_any(frame);
    }
}

/// Counts nothing.
struct Uncounted;

impl CopyCounts for Uncounted {
    fn copied(&mut self, _page: Page, _leaf: Leaf) -> Result<(), OutOfFrames> {
        Ok(())
    }

    fn take_back(&mut self, _page: Page, _leaf: Leaf) {}
}

/// Proves M16, M22, Q1.
#[test]
fn mapping_without_the_nth_frame_changes_nothing() {
    let around = LOW + (1 << 39) - 2 * PAGE_SIZE;
    let far = FrameRange::new(Frame::new((1 << 18) - 2), 4 + 512);

    let one = sweep(|stage| {
        text(stage.child.map(
            page(LOW),
            FrameRange::one(far.start()),
            READ,
            PageSize::Kib4,
        ))
    });
    let run = sweep(|stage| text(stage.child.map(page(around), far, READ, PageSize::Gib1)));
    let beside = sweep(|stage| text(stage.parent.map(page(around), far, READ, PageSize::Gib1)));

    // The parent has the first of the two tables of level 3 already.
    assert_eq!((one, run, beside), (3, 6, 5));
}

/// Proves M16, M22, Q1.
#[test]
fn filling_and_reserving_without_the_nth_frame_changes_nothing() {
    let range = pages(LOW + (1 << 21) - 5 * PAGE_SIZE, 9);

    let filled = sweep(|stage| {
        let mut pool = FromPool(stage.frames);
        text(stage.child.fill(range, OWNED, &mut pool))
    });
    let reserved = sweep(|stage| text(stage.child.reserve(range, Rights::READ_WRITE)));

    assert_eq!((filled, reserved), (4 + 9, 4));
}

/// Proves M16, M37, Q1: the tables that splitting needs.
#[test]
fn splitting_without_the_nth_frame_changes_nothing() {
    let middle = LOW + (1 << 31) + (1 << 29) + PAGE_SIZE;
    let unmapped = sweep(|stage| text(stage.parent.unmap(page(middle))));
    let replaced = sweep(|stage| text(stage.parent.replace(page(middle), Frame::new(1), READ)));
    let within = sweep(|stage| text(stage.parent.protect(pages(middle, 5), Rights::READ)));
    let both_ends = sweep(|stage| text(stage.parent.protect(pages(middle, 1000), Rights::READ)));
    let two_leaves = sweep(|stage| {
        let range = PageRange::new(page(LOW + (1 << 30) + PAGE_SIZE), 1 << 18);
        text(stage.parent.unmap_range(range, &mut |_| ()))
    });
    let even = sweep(|stage| {
        text(
            stage
                .parent
                .unmap_range(pages(LOW + (1 << 31), 512), &mut |_| ()),
        )
    });

    assert_eq!(
        (unmapped, replaced, within, both_ends, two_leaves, even),
        (2, 2, 2, 3, 3, 1)
    );
}

/// Proves M16, Q1: unmapping whole leaves needs no frame at all.
#[test]
fn unmapping_whole_leaves_never_fails() {
    let all = sweep(|stage| text(stage.parent.unmap_range(Table::lower_half(), &mut |_| ())));
    let one = sweep(|stage| text(stage.parent.unmap(page(LOW))));
    let changed = sweep(|stage| {
        text(
            stage
                .parent
                .change(Table::lower_half(), &Change::share_owned()),
        )
    });

    assert_eq!((all, one, changed), (0, 0, 0));
}

/// Proves M16, M93 as far as tables go, Q1.
#[test]
fn copying_without_the_nth_frame_changes_nothing() {
    let all = sweep(|stage| {
        let range = Table::lower_half();
        text(
            stage
                .child
                .copy(&stage.parent, range, Change::share_owned(), &mut Uncounted),
        )
    });

    assert_eq!(all, 4);
}

/// Proves M16, Q1.
#[test]
fn making_a_root_without_the_nth_frame_changes_nothing() {
    let sharing = sweep(|stage| text(stage.parent.create_sharing().map(drop)));
    let prepared = sweep(|stage| text(stage.parent.prepare_upper_half(256..300)));

    // Of 44 entries, one was prepared before.
    assert_eq!((sharing, prepared), (1, 43));
}
