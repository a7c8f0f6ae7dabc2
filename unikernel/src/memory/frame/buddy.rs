//! Free memory in blocks of 2^k frames: the buddy system, on the frames' own records.
//!
//! A block of order k starts at a multiple of 2^k. Its *buddy* is the other half of the block of order k + 1 that it would be
//! part of. To take a block, a larger one is halved as often as needed; a block that is given back joins its buddy as often as
//! that is free:
//!
//! ```text
//! order 3   |               0               |        free
//! order 2   |       0       |       4       |        take one frame: 4 and 2 and 1 go on their lists,
//! order 1   |   0   |   2   |                        0 is taken; given back, it joins 1, then 2, then 4
//! order 0   | 0 | 1 |
//! ```
//!
//! Here frames are bare numbers, and nothing knows of locks, caches or uses.
//!
//! Invariants:
//!
//! - B1: a block of order k starts at a multiple of 2^k, and its first frame's record says [`State::Free`] and k.
//! - B2: the other records of a block say [`State::Inside`].
//! - B3: two buddies of one order are never both free: they are one block.
//! - B4: the lists hold every free block once, each under its order, and `free` is the sum of their frames.

use core::ops::Range;

use super::record::{FrameRecord, MAX_ORDER, NONE, State};
use super::zone::Zones;

const ORDERS: usize = MAX_ORDER as usize + 1;

/// The lists of free blocks.
#[derive(Debug)]
pub(super) struct Buddy {
    /// The first block of each order.
    heads: [u32; ORDERS],
    /// Bit k is set when there is a block of order k.
    present: u32,
    free: u64,
}

impl Buddy {
    pub(super) const fn new() -> Self {
        Self {
            heads: [NONE; ORDERS],
            present: 0,
            free: 0,
        }
    }

    /// Returns how many frames are free.
    pub(super) const fn free(&self) -> u64 {
        self.free
    }

    /// Returns the order of the largest free block.
    pub(super) fn largest(&self) -> Option<u8> {
        self.present.checked_ilog2().map(|order| order as u8)
    }

    /// Takes a block of 2^order frames, halving a larger one if needed. All its records say [`State::Inside`].
    pub(super) fn take(&mut self, zones: &Zones, order: u8) -> Option<u32> {
        let enough = self.present >> order;
        if enough == 0 {
            return None;
        }
        let mut found = order + enough.trailing_zeros() as u8;
        let block = self.heads[usize::from(found)];
        self.unlink(zones, zones.record(block), found);
        while found > order {
            found -= 1;
            let half = block + (1 << found);
            self.link(zones, half, zones.record(half), found);
        }
        Some(block)
    }

    /// Gives a block of 2^order frames, all of whose records say [`State::Inside`], and joins it with its buddies.
    pub(super) fn give(&mut self, zones: &Zones, block: u32, order: u8) {
        let (mut block, mut order) = (block, order);
        let mut record = zones.record(block);
        while order < MAX_ORDER {
            let buddy = block ^ (1 << order);
            let Some(other) = zones.find(buddy).filter(|other| other.is_free_block(order)) else {
                break;
            };
            self.unlink(zones, other, order);
            if buddy < block {
                (block, record) = (buddy, other);
            }
            order += 1;
        }
        self.link(zones, block, record, order);
    }

    /// Gives any run of frames, all of whose records say [`State::Inside`].
    pub(super) fn give_run(&mut self, zones: &Zones, run: Range<u32>) {
        let mut start = run.start;
        while start < run.end {
            let fits = (run.end - start).ilog2() as u8;
            let order = (start.trailing_zeros() as u8).min(fits).min(MAX_ORDER);
            self.give(zones, start, order);
            start += 1 << order;
        }
    }

    /// Returns the free block that a frame lies in.
    pub(super) fn block_of(zones: &Zones, number: u32) -> Option<Range<u32>> {
        (0..=MAX_ORDER).find_map(|order| {
            let block = number >> order << order;
            let record = zones.find(block)?;
            record
                .is_free_block(order)
                .then(|| block..block + (1 << order))
        })
    }

    /// Takes the free frames of `range` that lie in the free block around `number`, and returns them.
    pub(super) fn carve(
        &mut self,
        zones: &Zones,
        number: u32,
        range: &Range<u32>,
    ) -> Option<Range<u32>> {
        let block = Self::block_of(zones, number)?;
        self.unlink(zones, zones.record(block.start), block.len().ilog2() as u8);
        let taken = block.start.max(range.start)..block.end.min(range.end);
        self.give_run(zones, block.start..taken.start);
        self.give_run(zones, taken.end..block.end);
        Some(taken)
    }

    fn link(&mut self, zones: &Zones, block: u32, record: &FrameRecord, order: u8) {
        let head = self.heads[usize::from(order)];
        record.set_free_block(order);
        record.set_next(head);
        record.set_previous(NONE);
        if head != NONE {
            zones.record(head).set_previous(block);
        }
        self.heads[usize::from(order)] = block;
        self.present |= 1 << order;
        self.free += 1 << order;
    }

    fn unlink(&mut self, zones: &Zones, record: &FrameRecord, order: u8) {
        let (next, previous) = (record.next(), record.previous());
        record.set_state(State::Inside);
        record.clear_words();
        if next != NONE {
            zones.record(next).set_previous(previous);
        }
        if previous != NONE {
            zones.record(previous).set_next(next);
        } else {
            self.heads[usize::from(order)] = next;
            if next == NONE {
                self.present &= !(1 << order);
            }
        }
        self.free -= 1 << order;
    }

    /// Returns the blocks of one order, in the order in which they would be taken.
    pub(super) fn blocks(&self, zones: &Zones, order: u8) -> impl Iterator<Item = u32> {
        let known = |number: u32| (number != NONE).then_some(number);
        core::iter::successors(known(self.heads[usize::from(order)]), move |&block| {
            known(zones.record(block).next())
        })
    }

    /// Panics unless B1 to B4 hold. Looks at every free frame.
    pub(super) fn check_invariants(&self, zones: &Zones) {
        let mut free = 0;
        for order in 0..=MAX_ORDER {
            let mut previous = NONE;
            for block in self.blocks(zones, order) {
                self.check_block(zones, block, order);
                assert_eq!(zones.record(block).previous(), previous, "B4: {block:#x}");
                previous = block;
                free += 1_u64 << order;
            }
            assert_eq!(
                self.present >> order & 1 == 1,
                previous != NONE,
                "B4: order {order}"
            );
        }
        assert_eq!(free, self.free, "B4");
    }

    fn check_block(&self, zones: &Zones, block: u32, order: u8) {
        assert!(
            block.is_multiple_of(1 << order),
            "B1: {block:#x}, order {order}"
        );
        assert!(zones.record(block).is_free_block(order), "B1: {block:#x}");
        for inside in block + 1..block + (1 << order) {
            assert_eq!(
                zones.record(inside).state(),
                State::Inside,
                "B2: {inside:#x}"
            );
        }
        let buddy = zones.find(block ^ (1 << order));
        let joined = order == MAX_ORDER || !buddy.is_some_and(|buddy| buddy.is_free_block(order));
        assert!(joined, "B3: {block:#x}, order {order}");
    }
}

#[cfg(test)]
mod tests {
    use std::boxed::Box;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// Open zones over a range of numbers within one zone, all free.
    fn free(range: Range<u32>) -> (Zones, Buddy) {
        let zones = Zones::new();
        let records = core::iter::repeat_with(FrameRecord::new).take(range.len());
        zones.open(&range, Box::leak(records.collect()));
        let mut buddy = Buddy::new();
        buddy.give_run(&zones, range);
        (zones, buddy)
    }

    fn shape(zones: &Zones, buddy: &Buddy) -> Vec<Vec<u32>> {
        (0..=MAX_ORDER)
            .map(|order| {
                let mut blocks: Vec<u32> = buddy.blocks(zones, order).collect();
                blocks.sort_unstable();
                blocks
            })
            .collect()
    }

    #[test]
    fn a_run_of_any_length_becomes_the_largest_aligned_blocks() {
        let (zones, buddy) = free(0x103..0x121);

        let blocks: Vec<_> = (0..=MAX_ORDER)
            .flat_map(|order| buddy.blocks(&zones, order).map(move |block| (order, block)))
            .collect();

        assert_eq!(
            blocks,
            [(0, 0x120), (0, 0x103), (2, 0x104), (3, 0x108), (4, 0x110)]
        );
        assert_eq!(buddy.free(), 0x1e);
        buddy.check_invariants(&zones);
    }

    /// Proves M6.
    #[test]
    fn a_whole_zone_is_one_block() {
        let (zones, mut buddy) = free(0x4_0000..0x8_0000);

        assert_eq!(buddy.largest(), Some(MAX_ORDER));
        assert_eq!(buddy.take(&zones, MAX_ORDER), Some(0x4_0000));
        assert_eq!(buddy.take(&zones, 0), None);
        assert_eq!(buddy.largest(), None);
    }

    /// Proves M6.
    #[test]
    fn blocks_of_neighbouring_zones_do_not_join() {
        let zones = Zones::new();
        let mut buddy = Buddy::new();
        for zone in [0x3_fff0..0x4_0000, 0x4_0000..0x4_0010] {
            let records = core::iter::repeat_with(FrameRecord::new).take(zone.len());
            zones.open(&zone, Box::leak(records.collect()));
            buddy.give_run(&zones, zone);
        }

        buddy.check_invariants(&zones);
        assert_eq!(buddy.largest(), Some(4));
    }

    proptest! {
        /// Proves M6: whatever is taken and in whatever order it is given back, all is as before.
        #[test]
        fn blocks_join_again_to_what_they_were(
            start in 0x1000_u32..0x1100,
            len in 1_u32..400,
            taken in prop::collection::vec((0_u8..6, any::<prop::sample::Index>()), 1..60),
        ) {
            let (zones, mut buddy) = free(start..start + len);
            let before = shape(&zones, &buddy);
            let mut held = Vec::new();

            for (order, which) in taken {
                if let Some(block) = buddy.take(&zones, order) {
                    prop_assert!(block.is_multiple_of(1 << order));
                    for number in block..block + (1 << order) {
                        zones.record(number).set_state(State::Allocated);
                    }
                    held.push((block, order));
                } else if !held.is_empty() {
                    give(&zones, &mut buddy, held.swap_remove(which.index(held.len())));
                }
                buddy.check_invariants(&zones);
            }
            for block in held {
                give(&zones, &mut buddy, block);
            }

            prop_assert_eq!(shape(&zones, &buddy), before);
            buddy.check_invariants(&zones);
        }

        /// Proves M8.
        #[test]
        fn carving_takes_exactly_the_range(
            start in 0x1000_u32..0x1100,
            len in 1_u32..400,
            cut in (0_u32..400, 0_u32..100),
        ) {
            let (zones, mut buddy) = free(start..start + len);
            let cut_start = start + cut.0 % len;
            let cut = cut_start..(cut_start + cut.1).min(start + len);

            let mut next = cut.start;
            while next < cut.end {
                next = buddy.carve(&zones, next, &cut).expect("all is free").end;
            }

            prop_assert_eq!(buddy.free(), u64::from(len) - cut.len() as u64);
            for number in start..start + len {
                let free = Buddy::block_of(&zones, number).is_some();
                prop_assert_eq!(free, !cut.contains(&number));
            }
            buddy.check_invariants(&zones);
        }
    }

    fn give(zones: &Zones, buddy: &mut Buddy, (block, order): (u32, u8)) {
        for number in block..block + (1 << order) {
            zones.record(number).set_state(State::Inside);
        }
        buddy.give(zones, block, order);
    }
}
