//! Free frames that a CPU has at hand, so that most allocations need neither the buddy system nor its lock.

use super::record::FrameRecord;
use super::totals::Counts;

/// The most frames of each kind that a CPU has at hand.
pub(super) const CAPACITY: usize = 64;

/// Frames move between a cache and the buddy system so many at a time.
pub(super) const BATCH: usize = CAPACITY / 2;

/// A frame at hand, with its record, which was looked up when it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct AtHand {
    pub(super) number: u32,
    pub(super) record: &'static FrameRecord,
}

/// Frames, last in, first out: who gives a frame back gets it again while it is warm.
#[derive(Debug)]
pub(super) struct Stack {
    frames: [Option<AtHand>; CAPACITY],
    len: usize,
}

/// What one CPU has at hand, and has counted.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Cache {
    /// Frames with any contents.
    pub(super) plain: Stack,
    /// Frames that are zero.
    pub(super) zeroed: Stack,
    /// Frames handed out on this CPU, less those given back on it.
    pub(super) used: Counts,
}

impl Cache {
    pub(super) const fn new() -> Self {
        Self {
            plain: Stack::new(),
            zeroed: Stack::new(),
            used: Counts::new(),
        }
    }
}

impl Stack {
    const fn new() -> Self {
        Self {
            frames: [None; CAPACITY],
            len: 0,
        }
    }

    /// Takes the frame that came last.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<AtHand> {
        let last = self.len.wrapping_sub(1);
        let frame = *self.frames.get(last)?;
        self.len = last;
        frame
    }

    /// Returns the place for one more frame, if there is one.
    #[inline]
    pub(super) fn room(&mut self) -> Option<Room<'_>> {
        let place = self.frames.get_mut(self.len)?;
        Some(Room {
            place,
            len: &mut self.len,
        })
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes the frames that came first, at most [`BATCH`], and lets `keep` have each.
    pub(super) fn drain_oldest(&mut self, keep: impl FnMut(AtHand)) {
        let count = self.len.min(BATCH);
        self.frames[..count]
            .iter()
            .copied()
            .flatten()
            .for_each(keep);
        self.frames.copy_within(count..self.len, 0);
        self.len -= count;
    }

    pub(super) fn frames(&self) -> impl ExactSizeIterator<Item = &AtHand> {
        self.frames[..self.len].iter().map(|frame| {
            frame
                .as_ref()
                .expect("F4: what is below the length was pushed")
        })
    }
}

/// The place for one more frame.
pub(super) struct Room<'a> {
    place: &'a mut Option<AtHand>,
    len: &'a mut usize,
}

impl Room<'_> {
    /// Puts a frame there.
    #[inline]
    pub(super) fn fill(self, frame: AtHand) {
        *self.place = Some(frame);
        *self.len += 1;
    }
}
