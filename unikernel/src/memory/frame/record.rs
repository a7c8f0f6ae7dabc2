//! What is known about one frame: 16 bytes, valid when they are all zero.
//!
//! ```text
//!         0        1        2        3        4                           8
//!      +--------+--------+--------+--------+-----------------------------------+
//!   0  | state  | order  |  use   | flags  |             map count             |   one word: no frame is freed while mapped
//!      +--------+--------+--------+--------+-----------------------------------+
//!   8  |     next block     |   block before      while free in the buddy system |
//!      |   owner's number   |   page in owner     while allocated                |
//!      +-----------------------------------------------------------------------+
//! ```
//!
//! ```text
//!                      (1) cut                (3) hand out
//!   Inside <-> Free ------------> Cached ------------------> Allocated
//!                  <------------  Zeroed <--(2) zero         |
//!                      (5) drain    ^------------------------+ (4) give back
//!   Reserved: not the pool's.   Zero: the one frame of zeroes, for good.
//! ```
//!
//! Every word is an atomic, so that a shared reference is enough and no CPU ever sees half a change. The orderings are
//! `Relaxed`: state and links change under a lock of the pool, which orders them; only the map count is used without one, and
//! says its own orderings.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::totals::{Use, UseIndex};

/// The largest block has 2^18 frames: 1 GiB.
pub(crate) const MAX_ORDER: u8 = 18;

/// No frame: the end of a list. Frame 0 is never handed out.
pub(super) const NONE: u32 = 0;

/// What is known about one frame. Sixteen zero bytes are the record of a frame inside a free block.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct FrameRecord {
    header: AtomicU64,
    first: AtomicU32,
    second: AtomicU32,
}

const _: () = assert!(size_of::<FrameRecord>() == 16);

/// Where a frame is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Free, in the middle of a block.
    Inside = 0,
    /// Free, the first frame of a block.
    Free = 1,
    /// Free, in the cache of a CPU.
    Cached = 2,
    /// Free and all zero.
    Zeroed = 3,
    /// Somebody's.
    Allocated = 4,
    /// No memory, or the firmware's, the loader's or the image's.
    Reserved = 5,
    /// The one frame that is zero for ever.
    Zero = 6,
}

impl State {
    const ALL: [Self; 7] = [
        Self::Inside,
        Self::Free,
        Self::Cached,
        Self::Zeroed,
        Self::Allocated,
        Self::Reserved,
        Self::Zero,
    ];
}

/// Whether the contents of a frame differ from where they came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contents {
    /// As they were read.
    Clean,
    /// Changed since.
    Dirty,
}

/// Whose contents a frame holds, and which part of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The object's number; 0 is no object.
    pub(crate) object: u32,
    /// The page within the object.
    pub(crate) offset_pages: u32,
}

/// A frame's record, read at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameInfo {
    /// Where it is in its life.
    pub(crate) state: State,
    /// For the first frame of a free block: the block has 2^order frames.
    pub(crate) order: u8,
    /// What an allocated frame is for; nothing for others.
    pub(crate) purpose: Option<Use>,
    /// How often it is mapped or shared.
    pub(crate) map_count: u32,
    /// Whether an allocated frame was changed.
    pub(crate) contents: Contents,
    /// Whose contents an allocated frame holds.
    pub(crate) owner: Owner,
}

const STATE: u64 = 0xff;
const ORDER_SHIFT: u32 = 8;
const USE_SHIFT: u32 = 16;
const DIRTY: u64 = 1 << 24;
const COUNT_SHIFT: u32 = 32;
const ONE_MAPPING: u64 = 1 << COUNT_SHIFT;
const COUNT: u64 = !0 << COUNT_SHIFT;

impl FrameRecord {
    /// Returns the record of a frame inside a free block.
    pub(crate) const fn new() -> Self {
        Self {
            header: AtomicU64::new(State::Inside as u64),
            first: AtomicU32::new(0),
            second: AtomicU32::new(0),
        }
    }

    /// Returns everything, for people.
    pub(super) fn info(&self) -> FrameInfo {
        let header = self.header.load(Ordering::Relaxed);
        let state = state_of(header);
        let owner = match state {
            State::Allocated => Owner {
                object: self.first.load(Ordering::Relaxed),
                offset_pages: self.second.load(Ordering::Relaxed),
            },
            _ => Owner::default(),
        };
        FrameInfo {
            state,
            order: (header >> ORDER_SHIFT) as u8,
            purpose: Use::from_bits(header >> USE_SHIFT & 0xff),
            map_count: count_of(header),
            contents: contents_of(header),
            owner,
        }
    }

    /// Returns where the frame is in its life.
    #[inline]
    pub(super) fn state(&self) -> State {
        state_of(self.header.load(Ordering::Relaxed))
    }

    /// Returns how often the frame is mapped or shared.
    #[inline]
    pub(super) fn map_count(&self) -> u32 {
        // Acquire: who finds itself alone sees what the others did before they let go (the Release in `count_down`).
        count_of(self.header.load(Ordering::Acquire))
    }

    /// Returns whether this is the first frame of a free block of 2^order frames.
    #[inline]
    pub(super) fn is_free_block(&self, order: u8) -> bool {
        self.header.load(Ordering::Relaxed) == free_block(order)
    }

    /// Makes this the first frame of a free block of 2^order frames.
    #[inline]
    pub(super) fn set_free_block(&self, order: u8) {
        self.header.store(free_block(order), Ordering::Relaxed);
    }

    /// Moves the frame to a state that needs no more words, whatever it was.
    #[inline]
    pub(super) fn set_state(&self, state: State) {
        self.header.store(state as u64, Ordering::Relaxed);
    }

    /// Hands the frame out (3).
    #[inline]
    pub(super) fn set_allocated(&self, purpose: Use) {
        let header = State::Allocated as u64 | (purpose as u64) << USE_SHIFT;
        self.header.store(header, Ordering::Relaxed);
    }

    /// Makes this the record of the frame that stays zero. It is the kernel's.
    pub(super) fn set_zero(&self) {
        let header = State::Zero as u64 | (Use::Kernel as u64) << USE_SHIFT;
        self.header.store(header, Ordering::Relaxed);
    }

    /// Takes an allocated frame that nobody maps back, as `state`, and returns what it was for (4). Of two CPUs that give the
    /// same frame back, one is refused.
    #[inline]
    pub(super) fn take_back(&self, state: State) -> Option<UseIndex> {
        let mut header = self.header.load(Ordering::Relaxed);
        loop {
            if header & (STATE | COUNT) != State::Allocated as u64 {
                return None;
            }
            match self.header.compare_exchange_weak(
                header,
                state as u64,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => break,
                Err(now) => header = now,
            }
        }
        self.clear_words();
        Some(UseIndex::from_bits(header >> USE_SHIFT))
    }

    /// Forgets links and owner.
    #[inline]
    pub(super) fn clear_words(&self) {
        self.first.store(0, Ordering::Relaxed);
        self.second.store(0, Ordering::Relaxed);
    }

    /// Returns the block after this one in its list.
    #[inline]
    pub(super) fn next(&self) -> u32 {
        self.first.load(Ordering::Relaxed)
    }

    /// Links the block after this one.
    #[inline]
    pub(super) fn set_next(&self, number: u32) {
        self.first.store(number, Ordering::Relaxed);
    }

    /// Returns the block before this one in its list.
    #[inline]
    pub(super) fn previous(&self) -> u32 {
        self.second.load(Ordering::Relaxed)
    }

    /// Links the block before this one.
    #[inline]
    pub(super) fn set_previous(&self, number: u32) {
        self.second.store(number, Ordering::Relaxed);
    }

    /// Notes whose contents an allocated frame holds.
    pub(super) fn set_owner(&self, owner: Owner) {
        self.first.store(owner.object, Ordering::Relaxed);
        self.second.store(owner.offset_pages, Ordering::Relaxed);
    }

    /// Notes whether the contents were changed, and returns what was noted before.
    pub(super) fn set_contents(&self, contents: Contents) -> Contents {
        let before = match contents {
            Contents::Dirty => self.header.fetch_or(DIRTY, Ordering::Relaxed),
            Contents::Clean => self.header.fetch_and(!DIRTY, Ordering::Relaxed),
        };
        contents_of(before)
    }

    /// Counts the first mapping of a frame that somebody owns.
    #[inline]
    pub(super) fn count_first(&self) {
        self.header.fetch_add(ONE_MAPPING, Ordering::Relaxed);
    }

    /// Counts one more mapping of a frame that is mapped already, and returns how many there are; nothing if it is not mapped,
    /// or too often.
    #[inline]
    pub(super) fn count_up(&self) -> Option<u32> {
        let mut header = self.header.load(Ordering::Relaxed);
        while is_mapped(header) {
            let more = header.checked_add(ONE_MAPPING)?;
            // Relaxed: who may add a mapping holds one, so nothing can be freed meanwhile.
            match self.header.compare_exchange_weak(
                header,
                more,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(count_of(more)),
                Err(now) => header = now,
            }
        }
        None
    }

    /// Counts one mapping less, and returns how many are left; nothing if the frame is not mapped.
    #[inline]
    pub(super) fn count_down(&self) -> Option<u32> {
        let mut header = self.header.load(Ordering::Relaxed);
        while is_mapped(header) {
            let left = header - ONE_MAPPING;
            // Release, for what was done through the mapping; Acquire, for who takes it to 0 and reuses the frame.
            match self.header.compare_exchange_weak(
                header,
                left,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(count_of(left)),
                Err(now) => header = now,
            }
        }
        None
    }

    /// Turns the only share of a frame into ownership, if it is the only one.
    pub(super) fn count_last(&self) -> bool {
        let header = self.header.load(Ordering::Relaxed);
        // Acquire: with the Release in `count_down` of those that were here before.
        count_of(header) == 1
            && self
                .header
                .compare_exchange(
                    header,
                    header - ONE_MAPPING,
                    Ordering::Acquire,
                    Ordering::Relaxed,
                )
                .is_ok()
    }
}

const fn free_block(order: u8) -> u64 {
    State::Free as u64 | (order as u64) << ORDER_SHIFT
}

const fn is_mapped(header: u64) -> bool {
    header & STATE == State::Allocated as u64 && header & COUNT != 0
}

const fn count_of(header: u64) -> u32 {
    (header >> COUNT_SHIFT) as u32
}

fn state_of(header: u64) -> State {
    State::ALL[(header & STATE) as usize]
}

fn contents_of(header: u64) -> Contents {
    if header & DIRTY == 0 {
        Contents::Clean
    } else {
        Contents::Dirty
    }
}
