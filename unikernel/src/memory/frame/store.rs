//! What all CPUs share: the buddy system, the frames that are zero already, and the zones that are not open yet.
//!
//! Everything here is done under the pool's one lock, or before it is needed.

use core::ops::Range;

use super::buddy::Buddy;
use super::cache::{AtHand, BATCH, Stack};
use super::early::{EarlyFrames, Run};
use super::error::AllocateError;
use super::host::PoolHost;
use super::record::{MAX_ORDER, NONE, State};
use super::totals::{Counts, Use, UseIndex};
use super::zone::{ZONE_SHIFT, ZONES_END, Zones};
use super::{frame, range_of};
use crate::memory::page::{Frame, FrameRange};

/// The longest run there is: 1 GiB.
pub(crate) const MOST_FRAMES: u32 = 1 << MAX_ORDER;

/// At most so many frames are zeroed ahead of need: 4 MiB.
const MOST_ZEROED: u64 = 1024;

/// A part of free memory is zeroed ahead of need: at most one frame in so many.
const ZEROED_SHARE: u64 = 8;

/// Where frames for a zone's records come from, while the zone is opened: zones that are open, then those that are not.
pub(crate) struct SpareFrames<'a> {
    store: &'a mut Store,
    zones: &'a Zones,
}

impl SpareFrames<'_> {
    /// Takes a frame with any contents; nothing when all are handed out.
    pub(crate) fn allocate(&mut self, purpose: Use) -> Option<Frame> {
        self.allocate_run(1, purpose).map(FrameRange::start)
    }

    /// Takes `len` frames side by side, the first one's number a multiple of `len` if that is a power of two.
    pub(crate) fn allocate_run(&mut self, len: u32, purpose: Use) -> Option<FrameRange> {
        let order = order_for(len).ok()?;
        let Some(block) = self.store.buddy.take(self.zones, order) else {
            return self.store.early.allocate_run(len, purpose);
        };
        let run = self
            .store
            .cut_run(self.zones, block..block + (1 << order), len, purpose);
        Some(range_of(run.start, len))
    }
}

/// What all CPUs share of the pool.
#[derive(Debug)]
pub(super) struct Store {
    /// Free blocks of all open zones.
    pub(super) buddy: Buddy,
    /// Memory of zones that are not open yet.
    pub(super) early: EarlyFrames,
    /// Frames handed out past the caches, less those given back past them.
    pub(super) used: Counts,
    /// The first of a list of frames that are zero.
    first_zeroed: u32,
    zeroed: u64,
    /// Frames in open zones that are not reserved.
    managed: u64,
}

impl Store {
    pub(super) const fn new() -> Self {
        Self {
            buddy: Buddy::new(),
            early: EarlyFrames::empty(),
            used: Counts::new(),
            first_zeroed: NONE,
            zeroed: 0,
            managed: 0,
        }
    }

    /// Takes over from the early allocator.
    pub(super) fn take_over(&mut self, early: EarlyFrames) {
        self.early = early;
        self.early.leave_out_from(ZONES_END);
    }

    /// Returns how many frames are not reserved.
    pub(super) fn managed(&self) -> u64 {
        self.managed + self.early.free_frames() + self.early.used().sum()
    }

    /// Returns how many frames are zero already.
    pub(super) const fn zeroed(&self) -> u64 {
        self.zeroed
    }

    /// Takes a block of 2^order frames, opening zones as long as there is none.
    pub(super) fn take_block(
        &mut self,
        zones: &Zones,
        host: &impl PoolHost,
        order: u8,
    ) -> Option<u32> {
        loop {
            if let Some(block) = self.buddy.take(zones, order) {
                return Some(block);
            }
            if !self.open_zone(zones, host) {
                return None;
            }
        }
    }

    /// Hands out the first `len` frames of a block that was taken, and gives back the others.
    pub(super) fn cut_run(
        &mut self,
        zones: &Zones,
        block: Range<u32>,
        len: u32,
        purpose: Use,
    ) -> Range<u32> {
        let run = block.start..block.start + len;
        for number in run.clone() {
            zones.record(number).set_allocated(purpose);
        }
        self.used.add(purpose, u64::from(len));
        self.buddy.give_run(zones, run.end..block.end);
        run
    }

    /// Fills an empty stack with a batch of frames, as far as there are any, so that the lowest comes out first (1).
    pub(super) fn refill(&mut self, zones: &Zones, host: &impl PoolHost, stack: &mut Stack) {
        const BATCH_ORDER: u8 = BATCH.ilog2() as u8;

        let mut wanted = BATCH as u32;
        while wanted > 0 {
            let largest = self.buddy.largest().unwrap_or(0);
            let order = largest.min(wanted.ilog2() as u8).min(BATCH_ORDER);
            let Some(block) = self.take_block(zones, host, order) else {
                break;
            };
            for number in (block..block + (1 << order)).rev() {
                let record = zones.record(number);
                record.set_state(State::Cached);
                fill(stack, AtHand { number, record });
            }
            wanted -= 1 << order;
        }
    }

    /// Fills an empty stack with a batch of frames that are zero, as far as there are any (1).
    pub(super) fn refill_zeroed(&mut self, zones: &Zones, stack: &mut Stack) {
        for _ in 0..BATCH {
            let Some(number) = self.pop_zeroed(zones) else {
                break;
            };
            let record = zones.record(number);
            fill(stack, AtHand { number, record });
        }
    }

    /// Takes a free frame in order to zero it; nothing if enough are zero, or none is at hand.
    pub(super) fn take_for_zeroing(&mut self, zones: &Zones) -> Option<u32> {
        let most = MOST_ZEROED.min(self.managed / ZEROED_SHARE);
        if self.zeroed >= most {
            return None;
        }
        let number = self.buddy.take(zones, 0)?;
        zones.record(number).set_allocated(Use::Kernel);
        self.used.add(Use::Kernel, 1);
        Some(number)
    }

    /// Keeps a frame that was taken for zeroing and is zero now (2).
    pub(super) fn keep_zeroed(&mut self, zones: &Zones, number: u32) {
        let record = zones.record(number);
        record.set_state(State::Zeroed);
        record.set_next(self.first_zeroed);
        self.first_zeroed = number;
        self.zeroed += 1;
        self.used.subtract(UseIndex::of(Use::Kernel), 1);
    }

    fn pop_zeroed(&mut self, zones: &Zones) -> Option<u32> {
        let number = self.first_zeroed;
        if number == NONE {
            return None;
        }
        let record = zones.record(number);
        self.first_zeroed = record.next();
        record.clear_words();
        self.zeroed -= 1;
        Some(number)
    }

    /// Gives a frame from a cache back to the buddy system (5).
    pub(super) fn give(&mut self, zones: &Zones, frame: AtHand) {
        frame.record.set_state(State::Inside);
        self.buddy.give(zones, frame.number, 0);
    }

    /// Takes a run back that was handed out, all of it or as far as nobody maps it, and returns the first frame it cannot.
    pub(super) fn take_back(&mut self, zones: &Zones, run: Range<u32>) -> Option<u32> {
        let stuck = run.clone().find(|&number| {
            let purpose = zones
                .find(number)
                .and_then(|record| record.take_back(State::Inside));
            purpose
                .inspect(|&purpose| self.used.subtract(purpose, 1))
                .is_none()
        });
        self.buddy
            .give_run(zones, run.start..stuck.unwrap_or(run.end));
        stuck
    }

    /// Gives all frames that are zero back to the buddy system (5).
    pub(super) fn drain_zeroed(&mut self, zones: &Zones) {
        while let Some(number) = self.pop_zeroed(zones) {
            let record = zones.record(number);
            self.give(zones, AtHand { number, record });
        }
    }

    /// Reserves free frames of `range` for good, all of which are in the buddy system or not the pool's.
    pub(super) fn reserve(&mut self, zones: &Zones, range: Range<u32>) {
        let mut next = range.start;
        while next < range.end {
            let Some(taken) = self.buddy.carve(zones, next, &range) else {
                next += 1;
                continue;
            };
            next = taken.end;
            self.managed -= taken.len() as u64;
            for number in taken {
                zones.record(number).set_state(State::Reserved);
            }
        }
    }

    /// Opens the lowest zone that is not open: its free frames become the pool's. Returns whether it could.
    fn open_zone(&mut self, zones: &Zones, host: &impl PoolHost) -> bool {
        let Some(span) = self.early.lowest_zone(ZONE_SHIFT) else {
            return false;
        };
        let frames = range_of(span.start, span.end - span.start);
        let mut spare = SpareFrames { store: self, zones };
        let Some(records) = host.open(frames, &mut spare) else {
            return false;
        };
        zones.open(&span, records);
        let mut known = span.start;
        while let Some(run) = self.early.hand_over(span.end) {
            reserve_all(zones, known..run.start);
            known = run.end;
            self.adopt(zones, run);
        }
        reserve_all(zones, known..span.end);
        true
    }

    /// Makes a run of a zone that was just opened the pool's. Its records are blank.
    fn adopt(&mut self, zones: &Zones, run: Run) {
        let frames = run.start..run.end;
        self.managed += frames.len() as u64;
        match run.purpose {
            None => self.buddy.give_run(zones, frames),
            Some(purpose) => {
                self.used.add(purpose, frames.len() as u64);
                for number in frames {
                    zones.record(number).set_allocated(purpose);
                }
            }
        }
    }

    /// Panics unless the frames at hand are as F4 says. Returns how many are free in open zones.
    pub(super) fn check_invariants(&self, zones: &Zones) -> u64 {
        self.buddy.check_invariants(zones);
        let mut zeroed = 0;
        let mut number = self.first_zeroed;
        while number != NONE {
            let record = zones.record(number);
            assert_eq!(record.state(), State::Zeroed, "F4: {}", frame(number));
            zeroed += 1;
            number = record.next();
        }
        assert_eq!(zeroed, self.zeroed, "F4");
        self.buddy.free() + zeroed
    }
}

fn fill(stack: &mut Stack, frame: AtHand) {
    let room = stack.room();
    room.expect("F4: a batch fits an empty cache").fill(frame);
}

fn reserve_all(zones: &Zones, range: Range<u32>) {
    for number in range {
        zones.record(number).set_state(State::Reserved);
    }
}

/// Returns the order of the smallest block that holds `len` frames.
pub(super) fn order_for(len: u32) -> Result<u8, AllocateError> {
    match len {
        0 => Err(AllocateError::NoFrames),
        1..=MOST_FRAMES => Ok(len.next_power_of_two().ilog2() as u8),
        _ => Err(AllocateError::TooLong {
            wanted: len,
            most: MOST_FRAMES,
        }),
    }
}

const _: () = assert!(1 << (BATCH.ilog2()) == BATCH && BATCH.ilog2() < MAX_ORDER as u32);
