//! The first allocator of frames: needs no heap to run, hands out each frame once, takes none back.
//!
//! Invariants:
//!
//! - E1: every frame handed out lies in usable memory and in nothing reserved, and is handed out once.
//! - E2: a frame handed out is no longer counted as free.

use alloc::vec::Vec;
use core::ops::Range;

/// Bytes of a frame.
const FRAME: u64 = 4096;

/// Usable memory, handed out frame by frame from the lowest address up.
#[derive(Debug, Default)]
pub(crate) struct EarlyFrames {
    /// Ranges of whole free frames by physical address: not empty, ascending, disjoint.
    free: Vec<Range<u64>>,
    /// The first range that still has frames.
    first: usize,
}

impl EarlyFrames {
    /// Makes an allocator that has nothing to give.
    pub(crate) const fn empty() -> Self {
        Self {
            free: Vec::new(),
            first: 0,
        }
    }

    /// Makes an allocator over `usable` ranges of bytes, ascending and disjoint, without every frame that any of the `reserved`
    /// ranges touches. Needs the heap, for one `Vec`.
    pub(crate) fn new(usable: impl Iterator<Item = Range<u64>>, reserved: &[Range<u64>]) -> Self {
        let mut free: Vec<Range<u64>> = usable.map(whole_frames).collect();
        for taken in reserved.iter().map(touched_frames) {
            free = free
                .into_iter()
                .flat_map(|range| without(&range, &taken))
                .collect();
        }
        free.retain(|range| range.start < range.end);
        Self { free, first: 0 }
    }

    /// Takes a frame, by its physical address; nothing when all are handed out.
    pub(crate) fn allocate(&mut self) -> Option<u64> {
        loop {
            let range = self.free.get_mut(self.first)?;
            if range.start < range.end {
                let frame = range.start;
                range.start += FRAME;
                return Some(frame);
            }
            self.first += 1;
        }
    }

    /// Returns how many bytes are left to hand out.
    pub(crate) fn free_bytes(&self) -> u64 {
        self.free.iter().map(|range| range.end - range.start).sum()
    }
}

fn whole_frames(bytes: Range<u64>) -> Range<u64> {
    bytes.start.next_multiple_of(FRAME)..bytes.end - bytes.end % FRAME
}

fn touched_frames(bytes: &Range<u64>) -> Range<u64> {
    bytes.start - bytes.start % FRAME..bytes.end.next_multiple_of(FRAME)
}

fn without(range: &Range<u64>, taken: &Range<u64>) -> [Range<u64>; 2] {
    let below = range.start..range.end.min(taken.start);
    let above = range.start.max(taken.end)..range.end;
    // A range that nothing is taken from would come out twice when `taken` is empty.
    if taken.start >= taken.end {
        [range.clone(), 0..0]
    } else {
        [below, above]
    }
}

#[cfg(test)]
mod tests {
    use core::iter::once;

    use super::*;

    fn drain(frames: &mut EarlyFrames) -> Vec<u64> {
        core::iter::from_fn(|| frames.allocate()).collect()
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

        let before = frames.free_bytes();
        let all = drain(&mut frames);

        assert_eq!(all, [0x101_000, 0x104_000, 0x201_000, 0x202_000]);
        assert_eq!((before, frames.free_bytes()), (4 * FRAME, 0));
    }

    #[test]
    fn a_reservation_inside_a_range_leaves_both_ends() {
        let mut frames = EarlyFrames::new(once(0x10_000..0x20_000), &[0x14_000..0x1e_000, 0..0]);

        let all = drain(&mut frames);

        assert_eq!(
            all,
            [0x10_000, 0x11_000, 0x12_000, 0x13_000, 0x1e_000, 0x1f_000]
        );
    }

    #[test]
    fn an_empty_machine_hands_out_nothing() {
        assert_eq!(EarlyFrames::empty().allocate(), None);
        assert_eq!(EarlyFrames::new(once(0..0xfff), &[]).allocate(), None);
    }
}
