//! What the pool knows, for people: one frame, and where the free ones are.

use core::fmt;

use super::buddy::Buddy;
use super::host::{MOST_CPUS, PoolHost};
use super::pool::FramePool;
use super::record::{Contents, FrameInfo, MAX_ORDER, State};
use super::totals::{Totals, Use};
use super::{frame, number};
use crate::memory::page::Frame;

/// What is known about a frame, as one line: what it is, whose, how often it is mapped, whether it was changed.
#[derive(Clone, Copy, Debug)]
pub struct FrameReport {
    frame: Frame,
    known: Known,
}

/// Where a frame was found.
#[derive(Clone, Copy, Debug)]
enum Known {
    /// It has a record.
    Record(FrameInfo),
    /// It is free, in a block of 2^order frames.
    InBlock { first: Frame, order: u8 },
    /// It has no record yet.
    Unopened(Option<Use>),
    /// It is no memory, or not the pool's.
    Nothing,
}

impl<H: PoolHost> FramePool<H> {
    /// Describes a frame by its name.
    pub(crate) fn describe(&self, frame: Frame) -> FrameReport {
        let known = match self.info(frame) {
            Some(info) if matches!(info.state, State::Inside | State::Free) => {
                self.block_around(frame).unwrap_or(Known::Record(info))
            }
            Some(info) => Known::Record(info),
            None => self.unopened(frame),
        };
        FrameReport { frame, known }
    }

    /// Under the lock, as a block changes whenever its buddy does.
    fn block_around(&self, inside: Frame) -> Option<Known> {
        let block = self.with_all(|_, _| Buddy::block_of(&self.zones, number(inside)))?;
        Some(Known::InBlock {
            first: frame(block.start),
            order: block.len().ilog2() as u8,
        })
    }

    fn unopened(&self, frame: Frame) -> Known {
        let found = self.with_all(|_, store| store.early.find(number(frame)));
        found.map_or(Known::Nothing, Known::Unopened)
    }

    /// Returns where the free frames are, at one moment.
    pub(crate) fn free_lists(&self) -> FreeLists {
        let totals = self.totals();
        self.with_all(|caches, store| {
            let mut at_hand = [(0, 0); MOST_CPUS];
            for (shown, cache) in at_hand.iter_mut().zip(caches.iter()) {
                *shown = (cache.plain.frames().len(), cache.zeroed.frames().len());
            }
            let count = |order| store.buddy.blocks(&self.zones, order as u8).count();
            FreeLists {
                totals,
                blocks: core::array::from_fn(count),
                at_hand,
                zeroed: store.zeroed(),
                unopened: store.early.free_frames(),
            }
        })
    }
}

/// Where the free frames are: in blocks, at hand of a CPU, zero already, or in memory that has no records yet.
#[derive(Clone, Copy, Debug)]
pub struct FreeLists {
    totals: Totals,
    /// How many blocks there are of each order.
    blocks: [usize; MAX_ORDER as usize + 1],
    /// How many frames each CPU has, of any contents and of zeros.
    at_hand: [(usize, usize); MOST_CPUS],
    zeroed: u64,
    unopened: u64,
}

impl FreeLists {
    /// Returns how many frames nobody has.
    #[must_use]
    pub fn free(&self) -> u64 {
        self.totals.free()
    }

    /// Returns the sum of all lists.
    #[cfg(test)]
    pub(super) fn sum(&self) -> u64 {
        let blocks = self.blocks.iter().enumerate();
        let in_blocks: u64 = blocks.map(|(order, &count)| (count as u64) << order).sum();
        let at_hand = self.at_hand.iter().map(|(plain, zeroed)| plain + zeroed);
        in_blocks + at_hand.sum::<usize>() as u64 + self.zeroed + self.unopened
    }
}

impl fmt::Display for FreeLists {
    /// Several lines, each with its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.totals)?;
        let blocks = self.blocks.iter().enumerate();
        for (order, count) in blocks.filter(|&(_, &count)| count > 0) {
            writeln!(
                f,
                "{count:>8} free blocks of {:>6} frames, order {order}",
                1 << order
            )?;
        }
        let cpus = self.at_hand.iter().enumerate();
        for (cpu, (plain, zeroed)) in cpus.filter(|&(_, &at_hand)| at_hand != (0, 0)) {
            writeln!(
                f,
                "{plain:>8} free frames at hand of CPU {cpu}, and {zeroed} of zeros"
            )?;
        }
        writeln!(f, "{:>8} free frames of zeros", self.zeroed)?;
        writeln!(
            f,
            "{:>8} free frames that have no record yet",
            self.unopened
        )
    }
}

impl fmt::Display for FrameReport {
    /// As in `frame 0x1234 at 0x1234000: user, mapped 2 times, dirty, page 7 of object 3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "frame {:#x} at {}: ", number(self.frame), self.frame)?;
        match self.known {
            Known::Record(info) => describe_record(f, &info),
            Known::InBlock { first, order } => write!(
                f,
                "free, in a block of {} frames from {first}, order {order}",
                1 << order
            ),
            Known::Unopened(None) => f.write_str("free, has no record yet"),
            Known::Unopened(Some(purpose)) => {
                write!(f, "allocated for {purpose} during boot, has no record yet")
            }
            Known::Nothing => f.write_str("no usable memory"),
        }
    }
}

fn describe_record(f: &mut fmt::Formatter<'_>, info: &FrameInfo) -> fmt::Result {
    match info.state {
        State::Inside | State::Free => return f.write_str("free"),
        State::Cached => return f.write_str("free, at hand of a CPU"),
        State::Zeroed => return f.write_str("free, and zero already"),
        State::Reserved => return f.write_str("reserved, never handed out"),
        State::Zero => return f.write_str("the zero frame"),
        State::Allocated => {}
    }
    match info.purpose {
        Some(purpose) => write!(f, "allocated for {purpose}")?,
        None => f.write_str("allocated")?,
    }
    match info.map_count {
        0 => f.write_str(", not counted as mapped")?,
        1 => f.write_str(", mapped once")?,
        count => write!(f, ", mapped {count} times")?,
    }
    if info.contents == Contents::Dirty {
        f.write_str(", dirty")?;
    }
    if info.owner.object != 0 {
        let owner = info.owner;
        write!(
            f,
            ", page {} of object {}",
            owner.offset_pages, owner.object
        )?;
    }
    Ok(())
}
