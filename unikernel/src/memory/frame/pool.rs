//! Who owns free memory: [`FramePool`].
//!
//! ```text
//!   allocate, drop            allocate_zeroed            allocate_run, reserve
//!        |                          |                              |
//!   +----v--------------------------v----+                         |
//!   | cache of this CPU: plain   zeroed  |  one lock per CPU       |
//!   +----|--------------------------|----+                         |
//!        | 32 at a time             | 32 at a time                 |
//!   +----v--------------------------v------------------------------v----+
//!   | store: buddy system <-- zeroed list  <-- zones not opened yet     |  one lock
//!   +--------------------------------------------------------------------+
//! ```
//!
//! Locks: one cache, then the store. Who wants all caches (to look for the last frame, to count) takes them in the order of
//! CPUs, then the store. No lock is held while a frame is zeroed.

use core::ops::{DerefMut, Range};
use core::sync::atomic::{AtomicU32, Ordering};

use super::cache::{AtHand, Cache};
use super::early::EarlyFrames;
use super::error::{AllocateError, FreeError, ReserveError};
use super::host::{MOST_CPUS, PoolHost};
use super::record::{NONE, State};
use super::store::{Store, order_for};
use super::totals::Use;
use super::zone::Zones;
use super::{frame, number, numbers};
use crate::memory::page::{Frame, FrameRange};
use crate::sync::SpinLock;

/// All frames that are not reserved, free or not.
pub(crate) struct FramePool<H> {
    host: H,
    pub(super) zones: Zones,
    caches: [SpinLock<Cache>; MOST_CPUS],
    store: SpinLock<Store>,
    /// Counts allocations down to the one that is to fail; 0 when none is.
    fail_in: AtomicU32,
    /// The frame that stays zero.
    pub(super) zero: AtomicU32,
}

impl<H: PoolHost> FramePool<H> {
    /// Makes a pool without memory.
    pub(crate) const fn new(host: H) -> Self {
        Self {
            host,
            zones: Zones::new(),
            caches: [const { SpinLock::new(Cache::new()) }; MOST_CPUS],
            store: SpinLock::new(Store::new()),
            fail_in: AtomicU32::new(0),
            zero: AtomicU32::new(NONE),
        }
    }

    /// Takes over all memory from the early allocator. Once, before anything else.
    ///
    /// What `early` has handed out stays with those who have it, and may be given back here.
    pub(crate) fn take_over(&self, early: EarlyFrames) {
        self.store.lock().take_over(early);
    }

    /// Takes a frame with any contents.
    #[inline(always)]
    pub(super) fn take(&self, purpose: Use) -> Result<Frame, AllocateError> {
        self.inject(1)?;
        self.take_unless_none(purpose)
    }

    /// Takes a frame of zeroes.
    pub(super) fn take_zeroed(&self, purpose: Use) -> Result<Frame, AllocateError> {
        self.inject(1)?;
        if let Some(number) = self.take_ready(purpose) {
            return Ok(frame(number));
        }
        let frame = self.take_unless_none(purpose)?;
        self.host.zero(frame);
        Ok(frame)
    }

    /// Takes exactly `len` frames side by side, with any contents.
    pub(super) fn take_run(&self, len: u32, purpose: Use) -> Result<Range<u32>, AllocateError> {
        let order = order_for(len)?;
        self.inject(len)?;
        self.try_run(len, order, purpose)
            .or_else(|| {
                self.drain();
                self.try_run(len, order, purpose)
            })
            .ok_or_else(|| self.out_of_frames(len))
    }

    /// Takes up to `len` frames side by side, with any contents: as many as the largest free block has.
    pub(super) fn take_up_to(&self, len: u32, purpose: Use) -> Result<Range<u32>, AllocateError> {
        let order = order_for(len)?;
        self.inject(1)?;
        self.try_run(len, order, purpose)
            .or_else(|| self.try_largest(len, purpose))
            .or_else(|| {
                self.drain();
                self.try_largest(len, purpose)
            })
            .ok_or_else(|| self.out_of_frames(1))
    }

    /// Takes a frame back that nobody maps.
    ///
    /// This is for those who keep frames by name, as tables do: each name once. Others drop the handle.
    ///
    /// # Errors
    ///
    /// When the frame is not allocated, or somebody maps it.
    #[inline]
    pub(crate) fn give_back(&self, frame: Frame) -> Result<(), FreeError> {
        if self.cache_again(number(frame)) {
            Ok(())
        } else {
            Err(self.refusal(frame))
        }
    }

    /// Takes a frame back that nobody maps and that is zero again, as a table is whose last entry is gone. The next one who
    /// wants zeroes gets it as it is.
    ///
    /// # Errors
    ///
    /// As [`give_back`](Self::give_back).
    pub(crate) fn give_back_zeroed(&self, frame: Frame) -> Result<(), FreeError> {
        if self.cache_zeroed_again(number(frame)) {
            Ok(())
        } else {
            Err(self.refusal(frame))
        }
    }

    /// Takes back a run that was handed out and that nobody maps.
    pub(super) fn give_run_back(&self, run: Range<u32>) -> Result<(), FreeError> {
        let stuck = self.store.lock().take_back(&self.zones, run);
        stuck.map_or(Ok(()), |number| Err(self.refusal(frame(number))))
    }

    /// Reserves every frame in `range` for good, and returns how many were free. Frames that are reserved already, or not
    /// there, are as good.
    ///
    /// # Errors
    ///
    /// When a frame in the range belongs to somebody; then nothing is reserved.
    pub(crate) fn reserve(&self, range: FrameRange) -> Result<u64, ReserveError> {
        let range = numbers(range);
        self.with_all_drained(|store| {
            if let Some(number) = self.first_in_use(store, &range) {
                return Err(ReserveError::InUse(frame(number)));
            }
            let before = store.managed();
            store.early.withdraw(range.clone());
            for zone in self.zones.opened() {
                let part = zone.start.max(range.start)..zone.end.min(range.end);
                store.reserve(&self.zones, part);
            }
            Ok(before - store.managed())
        })
    }

    /// Zeroes up to `budget` free frames ahead of need, and returns how many. For idle time: fewer means that there is nothing
    /// left to do.
    pub(crate) fn fill_zeroed(&self, budget: u32) -> u32 {
        (0..budget).take_while(|_| self.zero_one()).count() as u32
    }

    /// Makes the `nth` allocation from now fail, for tests: 1 is the next. 0 takes it back.
    pub(crate) fn fail_nth(&self, nth: u32) {
        self.fail_in.store(nth, Ordering::Relaxed);
    }

    /// Returns whether the failure that was asked for is still to come.
    pub(crate) fn failure_pending(&self) -> bool {
        self.fail_in.load(Ordering::Relaxed) != 0
    }

    #[inline]
    fn cache(&self) -> impl DerefMut<Target = Cache> {
        self.caches[self.host.cpu() % MOST_CPUS].lock()
    }

    /// Fails if this is the allocation that is to fail.
    #[inline]
    fn inject(&self, wanted: u32) -> Result<(), AllocateError> {
        if self.fail_in.load(Ordering::Relaxed) == 0 {
            return Ok(());
        }
        self.count_to_failure(wanted)
    }

    #[cold]
    fn count_to_failure(&self, wanted: u32) -> Result<(), AllocateError> {
        match self.fail_in.fetch_sub(1, Ordering::Relaxed) {
            1 => Err(self.out_of_frames(wanted)),
            _ => Ok(()),
        }
    }

    #[inline(always)]
    fn take_unless_none(&self, purpose: Use) -> Result<Frame, AllocateError> {
        match self.take_cached(purpose) {
            Some(number) => Ok(frame(number)),
            None => self.take_with_empty_cache(purpose),
        }
    }

    #[inline(always)]
    fn take_cached(&self, purpose: Use) -> Option<u32> {
        let mut cache = self.cache();
        let at_hand = cache.plain.pop()?;
        Some(hand_out(&mut cache, at_hand, purpose))
    }

    /// Takes a frame back into the cache. Returns whether it was allocated and not mapped.
    fn cache_again(&self, number: u32) -> bool {
        let Some(record) = self.zones.find(number) else {
            return false;
        };
        let mut cache = self.cache();
        let Cache { plain, used, .. } = &mut *cache;
        let Some(room) = plain.room() else {
            drop(cache);
            return self.cache_again_with_room(number);
        };
        let Some(purpose) = record.take_back(State::Cached) else {
            return false;
        };
        used.subtract(purpose, 1);
        room.fill(AtHand { number, record });
        true
    }

    /// Takes a frame of zeroes back into the cache, or as any other when there are enough.
    fn cache_zeroed_again(&self, number: u32) -> bool {
        let Some(record) = self.zones.find(number) else {
            return false;
        };
        let mut cache = self.cache();
        let Cache { zeroed, used, .. } = &mut *cache;
        let Some(room) = zeroed.room() else {
            drop(cache);
            return self.cache_again(number);
        };
        let Some(purpose) = record.take_back(State::Zeroed) else {
            return false;
        };
        used.subtract(purpose, 1);
        room.fill(AtHand { number, record });
        true
    }

    #[cold]
    #[inline(never)]
    fn cache_again_with_room(&self, number: u32) -> bool {
        self.make_room();
        // An interrupt may have filled the cache meanwhile; then room is made once more.
        self.cache_again(number)
    }

    #[cold]
    fn take_with_empty_cache(&self, purpose: Use) -> Result<Frame, AllocateError> {
        self.refill_and_take(purpose)
            .or_else(|| {
                self.drain();
                self.refill_and_take(purpose)
            })
            .map(frame)
            .ok_or_else(|| self.out_of_frames(1))
    }

    fn refill_and_take(&self, purpose: Use) -> Option<u32> {
        let mut cache = self.cache();
        if cache.plain.is_empty() {
            let mut store = self.store.lock();
            store.refill(&self.zones, &self.host, &mut cache.plain);
        }
        let at_hand = cache.plain.pop().or_else(|| cache.zeroed.pop())?;
        Some(hand_out(&mut cache, at_hand, purpose))
    }

    /// Takes a frame that is zero already.
    fn take_ready(&self, purpose: Use) -> Option<u32> {
        let mut cache = self.cache();
        if cache.zeroed.is_empty() {
            let mut store = self.store.lock();
            store.refill_zeroed(&self.zones, &mut cache.zeroed);
        }
        let at_hand = cache.zeroed.pop()?;
        Some(hand_out(&mut cache, at_hand, purpose))
    }

    fn try_run(&self, len: u32, order: u8, purpose: Use) -> Option<Range<u32>> {
        let mut store = self.store.lock();
        let block = store.take_block(&self.zones, &self.host, order)?;
        Some(store.cut_run(&self.zones, block..block + (1 << order), len, purpose))
    }

    fn try_largest(&self, len: u32, purpose: Use) -> Option<Range<u32>> {
        let mut store = self.store.lock();
        let order = store.buddy.largest()?;
        let block = store.buddy.take(&self.zones, order)?;
        let len = len.min(1 << order);
        Some(store.cut_run(&self.zones, block..block + (1 << order), len, purpose))
    }

    fn make_room(&self) {
        let mut cache = self.cache();
        let mut store = self.store.lock();
        let give = |at_hand| store.give(&self.zones, at_hand);
        cache.plain.drain_oldest(give);
    }

    /// Returns what the pool runs on.
    pub(crate) fn host(&self) -> &H {
        &self.host
    }

    fn zero_one(&self) -> bool {
        let Some(number) = self.store.lock().take_for_zeroing(&self.zones) else {
            return false;
        };
        self.host.zero(frame(number));
        self.store.lock().keep_zeroed(&self.zones, number);
        true
    }

    /// Gives all that caches and the zeroed list hold back to the buddy system.
    #[cold]
    fn drain(&self) {
        self.with_all_drained(|_| ());
    }

    fn with_all_drained<R>(&self, act: impl FnOnce(&mut Store) -> R) -> R {
        self.with_all(|caches, store| {
            for cache in caches {
                while let Some(at_hand) = cache.plain.pop().or_else(|| cache.zeroed.pop()) {
                    store.give(&self.zones, at_hand);
                }
            }
            store.drain_zeroed(&self.zones);
            act(store)
        })
    }

    /// Does something with the whole pool locked.
    pub(super) fn with_all<R>(&self, act: impl FnOnce(&mut [&mut Cache], &mut Store) -> R) -> R {
        let mut caches = self.caches.each_ref().map(SpinLock::lock);
        let result = act(
            &mut caches.each_mut().map(|cache| &mut **cache),
            &mut self.store.lock(),
        );
        // The last lock first: interrupts come back with the one that was taken first.
        caches.into_iter().rev().for_each(drop);
        result
    }

    /// Does something with the whole pool locked, unless somebody holds a part of it.
    pub(super) fn try_with_all<R>(
        &self,
        act: impl FnOnce(&mut [&mut Cache], &mut Store) -> R,
    ) -> Option<R> {
        let mut caches = self.caches.each_ref().map(SpinLock::try_lock);
        let mut store = self.store.try_lock()?;
        if caches.iter().any(Option::is_none) {
            return None;
        }
        let mut caches = caches
            .each_mut()
            .map(|cache| &mut **cache.as_mut().expect("none is missing"));
        Some(act(&mut caches, &mut store))
    }

    fn first_in_use(&self, store: &Store, range: &Range<u32>) -> Option<u32> {
        let opened = self.zones.opened().flat_map(|zone| {
            let part = zone.start.max(range.start)..zone.end.min(range.end);
            part.filter(|&number| {
                let state = self.zones.record(number).state();
                matches!(state, State::Allocated | State::Zero)
            })
        });
        store
            .early
            .first_used(range)
            .into_iter()
            .chain(opened)
            .min()
    }

    /// Returns why a frame cannot be taken back.
    #[cold]
    pub(super) fn refusal(&self, frame: Frame) -> FreeError {
        let Some(info) = self.info(frame) else {
            return FreeError::Unmanaged(frame);
        };
        match (info.state, info.map_count) {
            (State::Reserved | State::Zero, _) => FreeError::Reserved(frame),
            (State::Allocated, count @ 1..) => FreeError::StillMapped { frame, count },
            _ => FreeError::AlreadyFree(frame),
        }
    }

    #[cold]
    fn out_of_frames(&self, wanted: u32) -> AllocateError {
        AllocateError::OutOfFrames {
            wanted,
            free: self.totals().free(),
        }
    }
}

/// Hands out a frame from a cache (3).
#[inline(always)]
fn hand_out(cache: &mut Cache, at_hand: AtHand, purpose: Use) -> u32 {
    at_hand.record.set_allocated(purpose);
    cache.used.add(purpose, 1);
    at_hand.number
}
