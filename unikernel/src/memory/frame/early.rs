//! The first allocator of frames: needs no heap, no page and no lock, and takes nothing back.
//!
//! It is a sorted list of runs that covers all usable memory, each run free or used for something. Frames are handed out from
//! the lowest address up:
//!
//! ```text
//! at first    |-------------------- free --------------------|   hole   |---- free ----|
//! later       | page tables | records | page tables |- free -|   hole   |---- free ----|
//! ```
//!
//! So the list *is* the log of what was handed out, and the [pool](super::pool) takes over from it one zone at a time, lowest
//! first: what is used stays used, what is free becomes the pool's, and what is in no run belongs to nobody.
//!
//! Invariants:
//!
//! - E1: every frame handed out lies in usable memory and in nothing reserved, is not frame 0, and is handed out once.
//! - E2: runs are not empty, ascending and disjoint; neighbours that touch differ in use.
//! - E3: frames free, used, handed over and left out are always as many as there were.

use core::ops::Range;

use super::range_of;
use super::totals::{Counts, Use};
use crate::memory::page::{Frame, FrameRange, PAGE_SIZE};

/// The most runs that are remembered. Firmware lists some tens of ranges; when this is not enough, the shortest free run is
/// left out for good, and counted.
const MOST_RUNS: usize = 256;

/// The frame after the last one that has a number.
const NUMBERS_END: u64 = u32::MAX as u64;

/// Frames side by side, all free or all used for the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// The number of the first frame.
    pub(super) start: u32,
    /// The number after the last frame's.
    pub(super) end: u32,
    /// What they are used for; nothing while free.
    pub(super) purpose: Option<Use>,
}

impl Run {
    const EMPTY: Self = Self {
        start: 0,
        end: 0,
        purpose: None,
    };

    fn len(self) -> u32 {
        self.end.saturating_sub(self.start)
    }

    fn is_free(&self) -> bool {
        self.purpose.is_none()
    }
}

/// Usable memory, handed out from the lowest address up.
#[derive(Debug)]
pub(crate) struct EarlyFrames {
    runs: [Run; MOST_RUNS],
    len: usize,
    total: u64,
}

impl EarlyFrames {
    /// Makes an allocator that has nothing to give.
    pub(crate) const fn empty() -> Self {
        Self {
            runs: [Run::EMPTY; MOST_RUNS],
            len: 0,
            total: 0,
        }
    }

    /// Makes an allocator over `usable` ranges of bytes, ascending and disjoint, without every frame that any of the `reserved`
    /// ranges touches.
    pub(crate) fn new(usable: impl Iterator<Item = Range<u64>>, reserved: &[Range<u64>]) -> Self {
        let mut frames = Self::empty();
        for range in usable {
            let start = range.start.div_ceil(PAGE_SIZE);
            let end = range.end / PAGE_SIZE;
            frames.total += end.saturating_sub(start);
            frames.append(numbers(start..end));
        }
        // Frame 0 ends lists of frames. Nobody misses it: where it is memory, it is the firmware's.
        frames.withdraw(0..1);
        for range in reserved {
            let touched = range.start / PAGE_SIZE..range.end.div_ceil(PAGE_SIZE);
            frames.withdraw(numbers(touched));
        }
        frames
    }

    /// Takes a frame; nothing when all are handed out.
    pub(crate) fn allocate(&mut self, purpose: Use) -> Option<Frame> {
        self.allocate_run(1, purpose).map(FrameRange::start)
    }

    /// Takes `len` frames side by side, the first one's number a multiple of `len` if that is a power of two.
    pub(crate) fn allocate_run(&mut self, len: u32, purpose: Use) -> Option<FrameRange> {
        let (index, start) = self.find_free(len)?;
        let taken = Run {
            start,
            end: start + len,
            purpose: Some(purpose),
        };
        self.replace(index, taken).then(|| range_of(start, len))
    }

    /// Returns how many frames are left to hand out.
    pub(crate) fn free_frames(&self) -> u64 {
        let free = self.runs().iter().filter(|run| run.is_free());
        free.map(|run| u64::from(run.len())).sum()
    }

    /// Returns how many frames the machine has as usable memory, reserved ones included.
    pub(crate) const fn total_frames(&self) -> u64 {
        self.total
    }

    /// Returns how many frames are handed out, by use, and not yet handed over.
    pub(super) fn used(&self) -> Counts {
        let mut used = Counts::new();
        for run in self.runs() {
            if let Some(purpose) = run.purpose {
                used.add(purpose, u64::from(run.len()));
            }
        }
        used
    }

    /// Returns the part that memory has of the lowest zone there still is here: zones have 2^`shift` frames.
    pub(super) fn lowest_zone(&self, shift: u32) -> Option<Range<u32>> {
        let start = self.runs().first()?.start;
        let zone_end = zone_end(start, shift);
        let last = self.runs().iter().rfind(|run| run.start < zone_end)?;
        Some(start..last.end.min(zone_end))
    }

    /// Hands over the lowest run, as far as it lies below `end`.
    pub(super) fn hand_over(&mut self, end: u32) -> Option<Run> {
        let mut first = *self.runs().first()?;
        if first.start >= end {
            return None;
        }
        if first.end > end {
            self.runs[0].start = end;
            first.end = end;
        } else {
            self.remove(0);
        }
        Some(first)
    }

    /// Leaves out all memory from `end` on. Used frames there stay used, and are never handed over.
    pub(super) fn leave_out_from(&mut self, end: u32) {
        self.withdraw(end..u32::MAX);
    }

    /// Returns the first used frame in `range`.
    pub(super) fn first_used(&self, range: &Range<u32>) -> Option<u32> {
        let used = self.runs().iter().filter(|run| !run.is_free());
        used.map(|run| run.start.max(range.start)..run.end.min(range.end))
            .find_map(|mut part| part.next())
    }

    /// Returns what a frame that is here is used for; nothing if it is not here.
    pub(super) fn find(&self, number: u32) -> Option<Option<Use>> {
        let holds = |run: &&Run| (run.start..run.end).contains(&number);
        Some(self.runs().iter().find(holds)?.purpose)
    }

    /// Returns whether any frame in `range` is here, free or used.
    pub(crate) fn holds_any(&self, range: FrameRange) -> bool {
        let range = super::numbers(range);
        self.runs()
            .iter()
            .any(|run| run.start < range.end && range.start < run.end)
    }

    fn runs(&self) -> &[Run] {
        &self.runs[..self.len]
    }

    /// Returns the first free run that holds `len` aligned frames, and where in it.
    fn find_free(&self, len: u32) -> Option<(usize, u32)> {
        let align = if len.is_power_of_two() { len } else { 1 };
        self.runs().iter().enumerate().find_map(|(index, run)| {
            let start = run.start.checked_next_multiple_of(align)?;
            let end = start.checked_add(len)?;
            (run.is_free() && end <= run.end).then_some((index, start))
        })
    }

    /// Adds a free run after all others.
    fn append(&mut self, range: Range<u32>) {
        let run = Run {
            start: range.start,
            end: range.end,
            purpose: None,
        };
        match self.len.checked_sub(1) {
            _ if run.len() == 0 => {}
            Some(last) if self.runs[last].end == run.start => self.runs[last].end = run.end,
            _ => {
                if self.len < MOST_RUNS || self.leave_out_shortest(run.len()) {
                    self.insert(self.len, run);
                }
            }
        }
    }

    /// Takes every free frame in `range` out of the list.
    pub(super) fn withdraw(&mut self, range: Range<u32>) {
        // From the last run to the first, so that what is inserted is not looked at again.
        for index in (0..self.len).rev() {
            let run = self.runs[index];
            let start = run.start.max(range.start);
            let end = run.end.min(range.end);
            if run.is_free() && start < end {
                self.cut(index, start..end);
            }
        }
    }

    /// Takes part of a free run out of the list; with a full list also the shorter one of two ends.
    fn cut(&mut self, index: usize, range: Range<u32>) {
        let run = self.runs[index];
        let below = Run {
            end: range.start,
            ..run
        };
        let above = Run {
            start: range.end,
            ..run
        };
        self.remove(index);
        for end in [above, below] {
            if end.len() > 0 && (self.len < MOST_RUNS || self.leave_out_shortest(end.len())) {
                self.insert(self.position(end.start), end);
            }
        }
    }

    /// Turns part of a free run into `taken`. With a full list another free run is left out; when there is none, nothing
    /// changes.
    fn replace(&mut self, index: usize, taken: Run) -> bool {
        let run = self.runs[index];
        while self.len + 2 > MOST_RUNS {
            // What is long enough to be kept stays: the run itself is not left out for its own sake.
            if !self.leave_out_shortest(run.len()) {
                return false;
            }
        }
        let index = self.position(run.start);
        self.remove(index);
        let below = Run {
            end: taken.start,
            ..run
        };
        let above = Run {
            start: taken.end,
            ..run
        };
        for part in [above, taken, below] {
            if part.len() > 0 {
                self.insert(index, part);
            }
        }
        self.merge_around(taken.start);
        true
    }

    /// Makes one run of the run at `start` and the one before it, and the one after it, where they touch and agree.
    fn merge_around(&mut self, start: u32) {
        let index = self.position(start);
        for index in [index + 1, index] {
            let Some(before) = index.checked_sub(1) else {
                continue;
            };
            if index < self.len
                && self.runs[before].end == self.runs[index].start
                && self.runs[before].purpose == self.runs[index].purpose
            {
                self.runs[before].end = self.runs[index].end;
                self.remove(index);
            }
        }
    }

    /// Leaves out the shortest free run, if it is shorter than `len`.
    fn leave_out_shortest(&mut self, len: u32) -> bool {
        let free = self
            .runs()
            .iter()
            .enumerate()
            .filter(|(_, run)| run.is_free());
        match free.min_by_key(|(_, run)| run.len()) {
            Some((index, run)) if run.len() < len => {
                self.remove(index);
                true
            }
            _ => false,
        }
    }

    /// Returns where the run at `start` is in the list, or belongs.
    fn position(&self, start: u32) -> usize {
        self.runs().partition_point(|run| run.start < start)
    }

    fn insert(&mut self, index: usize, run: Run) {
        self.runs.copy_within(index..self.len, index + 1);
        self.runs[index] = run;
        self.len += 1;
    }

    fn remove(&mut self, index: usize) {
        self.runs.copy_within(index + 1..self.len, index);
        self.len -= 1;
    }

    /// Panics unless the list is as E2 says.
    #[cfg(test)]
    pub(crate) fn check_invariants(&self) {
        assert!(self.runs().iter().all(|run| run.start < run.end), "E2");
        for pair in self.runs().windows(2) {
            assert!(pair[0].end <= pair[1].start, "E2: {pair:?}");
            assert!(
                pair[0].end < pair[1].start || pair[0].purpose != pair[1].purpose,
                "E2: {pair:?}"
            );
        }
    }
}

/// Returns the number after the last frame of the zone that `number` lies in.
fn zone_end(number: u32, shift: u32) -> u32 {
    u32::try_from((u64::from(number >> shift) + 1) << shift).unwrap_or(u32::MAX)
}

/// Cuts off the frames that have no number.
fn numbers(range: Range<u64>) -> Range<u32> {
    let number = |number: u64| number.min(NUMBERS_END) as u32;
    number(range.start)..number(range.end)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn drain(frames: &mut EarlyFrames) -> Vec<u64> {
        core::iter::from_fn(|| frames.allocate(Use::Kernel))
            .map(|frame| frame.start().as_u64())
            .collect()
    }

    /// Proves M1, M2.
    #[test]
    fn only_whole_usable_frames_outside_everything_reserved_are_handed_out() {
        let usable = [
            0x100_800..0x105_fff,
            0x200_000..0x203_000,
            0x300_000..0x300_800,
        ];
        let reserved = [
            0x102_fff..0x103_001,
            0x200_000..0x201_000,
            0..0,
            0x900_000..0xa00_000,
        ];
        let mut frames = EarlyFrames::new(usable.into_iter(), &reserved);

        let free = frames.free_frames();
        let all = drain(&mut frames);

        assert_eq!(all, [0x101_000, 0x104_000, 0x201_000, 0x202_000]);
        assert_eq!((free, frames.free_frames()), (4, 0));
        assert_eq!(frames.total_frames(), 4 + 3);
    }

    /// Proves M2.
    #[test]
    fn a_reservation_inside_a_range_leaves_both_ends() {
        let reserved = core::slice::from_ref(&(0x14_000..0x1e_000));
        let mut frames = EarlyFrames::new(core::iter::once(0x10_000..0x20_000), reserved);

        let all = drain(&mut frames);

        assert_eq!(
            all,
            [0x10_000, 0x11_000, 0x12_000, 0x13_000, 0x1e_000, 0x1f_000]
        );
    }

    /// Proves M3.
    #[test]
    fn an_empty_machine_hands_out_nothing() {
        assert_eq!(EarlyFrames::empty().allocate(Use::Kernel), None);
        let less_than_a_frame = core::iter::once(0..0xfff);
        let mut frames = EarlyFrames::new(less_than_a_frame, &[]);
        assert_eq!(frames.allocate(Use::Kernel), None);
    }

    /// Proves M3.
    #[test]
    fn a_run_is_aligned_and_what_it_skips_is_handed_out_later() {
        let mut frames = EarlyFrames::new(core::iter::once(0x10_3000..0x11_0000), &[]);

        let run = frames.allocate_run(4, Use::Records).unwrap();
        let next = frames.allocate(Use::PageTable).unwrap();

        assert_eq!(run.start().number(), 0x104);
        assert_eq!(next.number(), 0x103);
        assert_eq!(drain(&mut frames).len(), 13 - 5);
        frames.check_invariants();
    }

    /// Proves M3.
    #[test]
    fn the_log_names_every_frame_that_was_handed_out() {
        let mut frames = EarlyFrames::new(core::iter::once(0x10_0000..0x11_0000), &[]);
        for purpose in [Use::PageTable, Use::PageTable, Use::Heap, Use::PageTable] {
            frames.allocate(purpose);
        }

        let log: Vec<Run> = core::iter::from_fn(|| frames.hand_over(u32::MAX)).collect();

        let run = |start, end, purpose| Run {
            start,
            end,
            purpose,
        };
        assert_eq!(
            log,
            [
                run(0x100, 0x102, Some(Use::PageTable)),
                run(0x102, 0x103, Some(Use::Heap)),
                run(0x103, 0x104, Some(Use::PageTable)),
                run(0x104, 0x110, None),
            ]
        );
    }

    /// Proves M3.
    #[test]
    fn memory_is_handed_over_zone_by_zone() {
        let mut frames = EarlyFrames::new([0x8000..0x1_3000, 0x1_5000..0x2_1000].into_iter(), &[]);

        let zone = frames.lowest_zone(4);
        let first = frames.hand_over(0x10);

        assert_eq!(zone, Some(0x8..0x10));
        assert_eq!(first.map(|run| (run.start, run.end)), Some((0x8, 0x10)));
        assert_eq!(frames.hand_over(0x10), None);
        assert_eq!(frames.lowest_zone(4), Some(0x10..0x20));
    }

    #[test]
    fn with_more_runs_than_can_be_remembered_the_shortest_are_left_out() {
        let range = |index: u64| {
            let start = index * 0x10_0000;
            let frames = if index.is_multiple_of(2) { 1 } else { 2 };
            start..start + frames * PAGE_SIZE
        };
        let usable = (1..=MOST_RUNS as u64 + 20).map(range);
        let mut frames = EarlyFrames::new(usable, &[]);

        let free = frames.free_frames();
        let total = frames.total_frames();

        frames.check_invariants();
        assert_eq!(total, (MOST_RUNS as u64 + 20) / 2 * 3);
        // Room for each of the last 20 was made by a run of one frame, or it was one.
        assert_eq!(free, total - 20);
        assert_eq!(drain(&mut frames).first(), Some(&0x10_0000));
        frames.check_invariants();
    }

    proptest! {
        /// Proves M2, M3. Compares with a map of all frames.
        #[test]
        fn every_frame_is_handed_out_once_and_lowest_first(
            usable in prop::collection::vec((0_u64..20, 1_u64..30), 1..8),
            reserved in prop::collection::vec((0_u64..300, 0_u64..9), 0..8),
            wanted in prop::collection::vec((0_usize..6, 1_u32..5), 0..60),
        ) {
            let mut end = 0;
            let usable: Vec<Range<u64>> = usable
                .iter()
                .map(|(gap, len)| {
                    let start = end + gap;
                    end = start + len;
                    start * PAGE_SIZE..end * PAGE_SIZE
                })
                .collect();
            let reserved: Vec<Range<u64>> =
                reserved.iter().map(|(start, len)| start * PAGE_SIZE..(start + len) * PAGE_SIZE).collect();
            let holds = |ranges: &[Range<u64>], frame: u32| {
                ranges.iter().any(|range| range.contains(&(u64::from(frame) * PAGE_SIZE)))
            };
            let mut free: BTreeMap<u32, ()> = (0..1000)
                .filter(|&frame| frame != 0 && holds(&usable, frame) && !holds(&reserved, frame))
                .map(|frame| (frame, ()))
                .collect();
            let mut frames = EarlyFrames::new(usable.iter().cloned(), &reserved);

            for (purpose, len) in wanted {
                prop_assert_eq!(frames.free_frames(), free.len() as u64);
                let align = if len.is_power_of_two() { len } else { 1 };
                let fits = |start: &u32| {
                    start.is_multiple_of(align) && (*start..start + len).all(|frame| free.contains_key(&frame))
                };
                let expected = free.keys().copied().find(|start| fits(start));
                let run = frames.allocate_run(len, Use::ALL[purpose]);
                prop_assert_eq!(run.map(|run| run.start().number()), expected);
                for frame in run.iter().flat_map(|run| run.iter()) {
                    free.remove(&frame.number());
                }
                frames.check_invariants();
            }
        }
    }
}
