//! The pool as its users see it, on a machine that is a list of ranges.

mod exhaustion;
mod mappings;
mod model;
mod regressions;
mod reports;
mod runs;
mod threads;
mod zones;

use core::cell::Cell;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, Ordering};
use std::boxed::Box;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::vec::Vec;

use super::{
    AllocateError, Contents, EarlyFrames, FrameInfo, FrameRecord, FreeError, OwnedFrame, Owner,
    PoolHost, SpareFrames, State, Use, ZeroFrame, frame,
};
use crate::memory::page::{Frame, FrameRange};

std::thread_local! {
    static CPU: Cell<usize> = const { Cell::new(0) };
}

/// Frames whose numbers are known to be memory, and which of them are not zero.
#[derive(Debug, Default)]
pub(super) struct TestHost {
    not_zero: Mutex<BTreeSet<u32>>,
    refuses_records: AtomicBool,
}

pub(super) type FramePool = super::FramePool<TestHost>;

impl PoolHost for TestHost {
    fn cpu(&self) -> usize {
        CPU.get()
    }

    fn zero(&self, frame: Frame) {
        self.not_zero.lock().unwrap().remove(&super::number(frame));
    }

    fn open(
        &self,
        frames: FrameRange,
        spare: &mut SpareFrames<'_>,
    ) -> Option<&'static [FrameRecord]> {
        if self.refuses_records.load(Ordering::Relaxed) {
            return None;
        }
        let records = super::numbers(frames).len();
        for _ in 0..(records * size_of::<FrameRecord>()).div_ceil(4096) {
            spare.allocate(Use::Records)?;
        }
        let records = core::iter::repeat_with(FrameRecord::new).take(records);
        Some(Box::leak(records.collect()))
    }
}

impl FramePool {
    fn write(&self, frame: Frame) {
        let mut not_zero = self.host().not_zero.lock().unwrap();
        not_zero.insert(super::number(frame));
    }

    fn is_zero(&self, frame: Frame) -> bool {
        let not_zero = self.host().not_zero.lock().unwrap();
        !not_zero.contains(&super::number(frame))
    }
}

/// Pretends that what follows runs on another CPU.
fn on_cpu<R>(cpu: usize, act: impl FnOnce() -> R) -> R {
    let before = CPU.replace(cpu);
    let result = act();
    CPU.set(before);
    result
}

fn bytes(frames: Range<u64>) -> Range<u64> {
    frames.start * 4096..frames.end * 4096
}

fn early_of(frames: impl IntoIterator<Item = Range<u64>>) -> EarlyFrames {
    EarlyFrames::new(frames.into_iter().map(bytes), &[])
}

/// A pool over ranges of frame numbers.
fn pool_of(frames: impl IntoIterator<Item = Range<u64>>) -> &'static FramePool {
    let pool = Box::leak(Box::new(FramePool::new(TestHost::default())));
    pool.take_over(early_of(frames));
    pool
}

/// A pool over one range of frame numbers.
fn pool_over(frames: Range<u64>) -> &'static FramePool {
    pool_of(core::iter::once(frames))
}

/// A pool of 16 MiB from 1 MiB on.
fn small_pool() -> &'static FramePool {
    pool_over(0x100..0x1100)
}

/// Allocates until there is nothing left.
fn take_all(pool: &'static FramePool) -> Vec<OwnedFrame<'static, TestHost>> {
    core::iter::from_fn(|| pool.allocate(Use::User).ok()).collect()
}

fn numbers_of(frames: &[OwnedFrame<'_, TestHost>]) -> BTreeSet<u32> {
    let numbers = frames.iter().map(|owned| super::number(owned.frame()));
    numbers.collect()
}

/// Proves M4, M14.
#[test]
fn an_allocated_frame_is_counted_until_it_is_dropped() {
    let pool = small_pool();
    let kept = pool.allocate(Use::Kernel);

    let frame = pool.allocate(Use::PageTable).unwrap();
    let during = pool.totals();
    drop(frame);
    let after = pool.totals();

    assert_eq!(during.used_for(Use::PageTable), 1);
    assert_eq!(after.used_for(Use::PageTable), 0);
    assert_eq!(after.free(), during.free() + 1);
    pool.check_invariants();
    drop(kept);
}

/// Proves M4.
#[test]
fn a_frame_that_was_given_back_is_not_taken_back_again() {
    let pool = small_pool();
    let frame = pool.allocate(Use::User).unwrap().into_frame();

    assert_eq!(pool.give_back(frame), Ok(()));

    assert_eq!(pool.give_back(frame), Err(FreeError::AlreadyFree(frame)));
    pool.check_invariants();
}

/// Proves M4.
#[test]
fn a_frame_inside_a_free_block_is_not_taken_back() {
    let pool = small_pool();
    drop(pool.allocate(Use::User));

    let inside = frame(0x1001);

    assert_eq!(pool.give_back(inside), Err(FreeError::AlreadyFree(inside)));
}

/// Proves M4.
#[test]
fn a_frame_without_memory_is_not_taken_back() {
    let pool = small_pool();
    drop(pool.allocate(Use::User));

    for unknown in [0, 0xff, 0x1100, 1 << 18, 1 << 30, u32::MAX - 1].map(frame) {
        assert_eq!(pool.give_back(unknown), Err(FreeError::Unmanaged(unknown)));
    }
}

/// Proves M4, M8.
#[test]
fn a_reserved_frame_is_not_taken_back() {
    let pool = small_pool();
    let range = super::range_of(0x800, 1);
    drop(pool.allocate(Use::User));
    assert_eq!(pool.reserve(range), Ok(1));

    let reserved = range.start();

    assert_eq!(pool.give_back(reserved), Err(FreeError::Reserved(reserved)));
}

/// Proves M2.
#[test]
fn all_memory_is_handed_out_once_and_nothing_else() {
    let usable = [bytes(0x100..0x140), bytes(0x150..0x1a0)];
    let reserved = [bytes(0x108..0x10a), bytes(0x19f..0x200)];
    let pool = Box::leak(Box::new(FramePool::new(TestHost::default())));
    pool.take_over(EarlyFrames::new(usable.into_iter(), &reserved));

    let frames = take_all(pool);

    // The first frame holds the records.
    let expected: BTreeSet<u32> = (0x101..0x108)
        .chain(0x10a..0x140)
        .chain(0x150..0x19f)
        .collect();
    assert_eq!(frames.len(), expected.len());
    assert_eq!(numbers_of(&frames), expected);
    assert_eq!(pool.totals().free(), 0);
    pool.check_invariants();
}

/// Proves M3.
#[test]
fn every_frame_of_the_early_allocator_is_used_in_the_pool() {
    let mut early = early_of(core::iter::once(0x100..0x180));
    let tables: Vec<Frame> = core::iter::repeat_with(|| early.allocate(Use::PageTable).unwrap())
        .take(5)
        .collect();
    let heap = early.allocate(Use::Heap).unwrap();
    let pool = Box::leak(Box::new(FramePool::new(TestHost::default())));

    pool.take_over(early);
    let rest = take_all(pool);

    assert!(
        tables
            .iter()
            .all(|table| !numbers_of(&rest).contains(&super::number(*table)))
    );
    let totals = pool.totals();
    assert_eq!(totals.used_for(Use::PageTable), 5);
    assert_eq!(totals.used_for(Use::Heap), 1);
    assert_eq!(totals.used_for(Use::Records), 1);
    assert_eq!(rest.len(), 0x80 - 5 - 1 - 1);
    assert_eq!(pool.info(heap).unwrap().purpose, Some(Use::Heap));
    pool.check_invariants();
}

/// Proves M3.
#[test]
fn a_frame_of_the_early_allocator_can_be_given_back_to_the_pool() {
    let mut early = early_of(core::iter::once(0x100..0x180));
    let table = early.allocate(Use::PageTable).unwrap();
    let pool = Box::leak(Box::new(FramePool::new(TestHost::default())));
    pool.take_over(early);
    let free = pool.totals().free();

    let other = pool.allocate(Use::User).unwrap();
    drop(pool.claim(table).unwrap());
    drop(other);

    // One frame went to the records.
    assert_eq!(pool.totals().free(), free - 1 + 1);
    assert_eq!(pool.totals().used_for(Use::PageTable), 0);
    pool.check_invariants();
}

/// Proves M4.
#[test]
fn only_an_allocated_frame_can_be_claimed() {
    let pool = small_pool();
    let owned = pool.allocate(Use::User).unwrap();
    let free = frame(0x900);

    assert_eq!(pool.claim(free).unwrap_err(), FreeError::AlreadyFree(free));
    let shared = owned.share();
    assert_eq!(
        pool.claim(shared.frame()).unwrap_err(),
        FreeError::StillMapped {
            frame: shared.frame(),
            count: 1
        }
    );
}

/// Proves M9.
#[test]
fn the_record_of_a_frame_tells_its_life() {
    let pool = small_pool();
    let owned = pool.allocate(Use::PageCache).unwrap();
    let name = owned.frame();
    let owner = Owner {
        object: 7,
        offset_pages: 9,
    };

    pool.set_owner(name, owner).unwrap();
    let before = pool.set_contents(name, Contents::Dirty);
    let info: FrameInfo = pool.info(name).unwrap();
    drop(owned);
    let reused = pool.allocate(Use::User).unwrap();

    assert_eq!(before, Ok(Contents::Clean));
    assert_eq!(
        (info.state, info.purpose),
        (State::Allocated, Some(Use::PageCache))
    );
    assert_eq!((info.owner, info.contents), (owner, Contents::Dirty));
    assert_eq!(reused.frame(), name);
    let info = pool.info(name).unwrap();
    assert_eq!(
        (info.owner, info.contents),
        (Owner::default(), Contents::Clean)
    );
}

/// Proves M13.
#[test]
fn a_zeroed_frame_is_zero_whatever_was_in_it() {
    let pool = pool_over(0x100..0x108);
    for frame in take_all(pool) {
        pool.write(frame.frame());
    }

    let frames: Vec<_> = core::iter::from_fn(|| pool.allocate_zeroed(Use::User).ok()).collect();

    assert_eq!(frames.len(), 7);
    assert!(frames.iter().all(|owned| pool.is_zero(owned.frame())));
}

/// Proves M13.
#[test]
fn idle_time_fills_zeroed_frames_up_to_a_share_of_memory() {
    let pool = small_pool();
    for frame in take_all(pool) {
        pool.write(frame.frame());
    }

    let filled = [pool.fill_zeroed(10), pool.fill_zeroed(u32::MAX)];

    assert_eq!(filled[0], 10);
    assert_eq!(pool.zeroed_frames(), u64::from(filled[0] + filled[1]));
    assert!(pool.zeroed_frames() <= pool.totals().total() / 8);
    assert_eq!(pool.fill_zeroed(1), 0);
    let ready = pool.allocate_zeroed(Use::User).unwrap();
    assert!(pool.is_zero(ready.frame()));
    pool.check_invariants();
}

/// Proves M32.
#[test]
fn a_table_that_is_zero_again_is_not_zeroed_again() {
    let pool = small_pool();
    let tables: Vec<Frame> = (0..100)
        .map(|_| pool.allocate_zeroed(Use::PageTable).unwrap().into_frame())
        .collect();

    for &table in &tables {
        assert_eq!(pool.give_back_zeroed(table), Ok(()));
    }

    assert_eq!(pool.totals().used_for(Use::PageTable), 0);
    assert_eq!(pool.zeroed_frames(), 64);
    let again = tables[0];
    assert_eq!(
        pool.give_back_zeroed(again),
        Err(FreeError::AlreadyFree(again))
    );
    pool.check_invariants();
}

/// Proves M16.
#[test]
fn zeroed_frames_are_handed_out_when_no_others_are_left() {
    let pool = small_pool();
    drop(pool.allocate(Use::User));
    let free = pool.totals().free();
    pool.fill_zeroed(100);
    drop(pool.allocate_zeroed(Use::User));

    assert_eq!(take_all(pool).len() as u64, free);
}

/// Proves M12.
#[test]
fn there_is_one_frame_that_stays_zero() {
    let pool = small_pool();
    let free = pool.totals().free();

    let zero: ZeroFrame = pool.zero_frame().unwrap();

    assert_eq!(pool.zero_frame(), Ok(zero));
    assert!(pool.is_zero(zero.frame()));
    assert!(zero.is(zero.frame()));
    assert_eq!(pool.info(zero.frame()).unwrap().state, State::Zero);
    // One for itself, 16 for the records.
    assert_eq!(pool.totals().free(), free - 17);
    pool.check_invariants();
}

/// Proves M12.
#[test]
fn the_frame_that_stays_zero_is_never_free_nor_owned() {
    let pool = small_pool();
    let zero = pool.zero_frame().unwrap().frame();

    assert_eq!(pool.give_back(zero), Err(FreeError::Reserved(zero)));
    assert_eq!(pool.claim(zero).unwrap_err(), FreeError::Reserved(zero));
    assert!(!numbers_of(&take_all(pool)).contains(&super::number(zero)));
}

/// Proves M12, M16.
#[test]
fn without_memory_there_is_no_zero_frame() {
    let pool = pool_of([]);

    assert_eq!(
        pool.zero_frame(),
        Err(AllocateError::OutOfFrames { wanted: 1, free: 0 })
    );
}
