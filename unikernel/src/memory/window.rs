//! Temporary mappings: pages through which a CPU reaches a frame that is mapped nowhere.
//!
//! Each CPU has a few *slots*, pages side by side whose entries it alone edits, so nobody else is told to forget them. A *window*
//! is the right to use one of them. What a slot shows may stay there when its last window is closed, until the slot is needed for
//! another frame: asking for the same frame again is a *hit*, which maps nothing and flushes nothing.
//!
//! Every frame has a *home*, the slot that its number names, so a hit is found by one look. While the home is used by another
//! frame, any slot takes the frame in as a *guest*. A guest is gone when its last window is closed, and so is whoever is not
//! write-back.
//!
//! ```text
//!              +--------------- open: hit ----------------+
//!              v                                          |
//!   empty --open--> used --close: at home, write-back--> idle, still shown --empty--> empty
//!     ^               |                                   |
//!     +-close: guest--+        used <--open: other frame--+
//! ```
//!
//! Windows nest: a fault in the middle of one use takes other slots. They may be closed in any order. Whoever forgets a window
//! loses its slot for good, and [`first_used`] tells.
//!
//! Here is the policy, for one CPU, without hardware. Who maps is a [`WindowHost`].
//!
//! Invariants:
//!
//! - W1: the zero frame is in no window, so it cannot be written through one.
//! - W2: a frame is in one slot of a CPU at most, so its windows there agree about the memory type (M112). An idle slot shows its
//!   frame at home and write-back.
//! - W3: the frame of a used slot stays; each window is counted.
//! - W4: no idle slot of a CPU shows a frame that became free on it. Only frames whose owner hides them before they are free stay
//!   shown: tables (`memory::kernel`), and what an application holds (`memory::owned`); all others are hidden with their last
//!   window. A CPU hides its own slots only, so this says "a free frame is mapped nowhere" for a machine with one CPU, and a
//!   second one brings the duty to ask the CPU that showed a frame last.

use core::error::Error;
use core::fmt;

use super::page::{Frame, MemoryType};
pub(crate) use super::table::shown::Shown;

/// Slots of each CPU. Editing two roots uses two at a time, copying two, and faults may nest in between.
pub(crate) const SLOTS: usize = 16;

/// The slots of one CPU. Only that CPU uses them, and not from interrupts.
pub(crate) trait WindowHost {
    /// Reads the entry of a slot.
    fn load(&self, slot: usize) -> Shown;

    /// Writes the entry of a slot.
    fn store(&self, slot: usize, shown: Shown);

    /// Makes the CPU forget what it cached about the page of a slot.
    fn forget(&self, slot: usize);

    /// Returns how many slots hold a guest.
    fn guests(&self) -> u32;

    /// Notes how many slots hold a guest.
    fn set_guests(&self, guests: u32);

    /// Returns whether this is the reserved zero frame.
    fn is_zero_frame(&self, frame: Frame) -> bool;
}

/// Why a frame was not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowError {
    /// It is the reserved zero frame.
    ZeroFrame(Frame),
    /// All slots of this CPU are in use, or too many windows show this frame.
    NoSlot(Frame),
    /// A window in use shows the frame as another memory type.
    TypeConflict {
        /// The frame.
        frame: Frame,
        /// How it is shown.
        shown: MemoryType,
        /// How it was to be shown.
        wanted: MemoryType,
    },
}

impl fmt::Display for WindowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroFrame(frame) => write!(f, "window: {frame} is the zero frame"),
            Self::NoSlot(frame) => write!(f, "window: no slot left for frame {frame}"),
            Self::TypeConflict {
                frame,
                shown,
                wanted,
            } => {
                write!(
                    f,
                    "window: frame {frame} is shown as {shown}, so not as {wanted}"
                )
            }
        }
    }
}

impl Error for WindowError {}

/// Shows a frame at home, write-back, and returns the slot: the usual case, short. Nothing if it is not that easy; then
/// [`open`] finds out. Each window is to be [closed](close) once.
#[inline(always)]
pub(crate) fn open_at_home<H: WindowHost>(host: &H, frame: Frame) -> Option<usize> {
    let (slot, wanted) = (home(frame), Shown::new(frame, MemoryType::WriteBack));
    let shown = host.load(slot);
    if shown.is_as(wanted) {
        host.store(slot, shown.with_one_more()?);
        return Some(slot);
    }
    if shown.is_used() || host.guests() > 0 || host.is_zero_frame(frame) {
        return None;
    }
    show(host, slot, shown, wanted);
    Some(slot)
}

/// Shows a frame in whatever slot there is, as any memory type, and returns the slot. Each window is to be [closed](close) once.
pub(crate) fn open<H: WindowHost>(
    host: &H,
    frame: Frame,
    memory_type: MemoryType,
) -> Result<usize, WindowError> {
    if host.is_zero_frame(frame) {
        return Err(WindowError::ZeroFrame(frame));
    }
    let wanted = Shown::new(frame, memory_type);
    let is_shown_at = |slot: &usize| {
        let shown = host.load(*slot);
        shown.is_used() && shown.frame() == frame
    };
    if let Some(slot) = (0..SLOTS).find(is_shown_at) {
        return share(host, slot, wanted);
    }
    let slot = (0..SLOTS)
        .map(|distance| (home(frame) + distance) % SLOTS)
        .find(|&slot| !host.load(slot).is_used())
        .ok_or(WindowError::NoSlot(frame))?;
    show(host, slot, host.load(slot), wanted);
    if is_guest(slot, wanted) {
        host.set_guests(host.guests() + 1);
    }
    Ok(slot)
}

/// Gives up a window of a slot.
#[inline]
pub(crate) fn close<H: WindowHost>(host: &H, slot: usize) {
    host.store(slot, host.load(slot).with_one_less());
    if host.guests() > 0 {
        let_guest_go(host, slot);
    }
}

/// Makes an idle slot show nothing.
#[inline]
pub(crate) fn empty<H: WindowHost>(host: &H, slot: usize) {
    let shown = host.load(slot);
    if !shown.is_used() && !shown.is_nothing() {
        host.store(slot, Shown::NOTHING);
        host.forget(slot);
    }
}

/// Makes no idle slot show a frame.
#[inline]
pub(crate) fn hide<H: WindowHost>(host: &H, frame: Frame) {
    if host.load(home(frame)).frame() == frame {
        empty(host, home(frame));
    }
}

/// Makes all idle slots show nothing.
pub(crate) fn hide_idle<H: WindowHost>(host: &H) {
    (0..SLOTS).for_each(|slot| empty(host, slot));
}

/// Returns what the first slot shows that a window uses. Where no code is in the middle of using one, such as between two tests,
/// it was forgotten.
pub(crate) fn first_used<H: WindowHost>(host: &H) -> Option<(Frame, MemoryType)> {
    (0..SLOTS)
        .map(|slot| host.load(slot))
        .find(|shown| shown.is_used())
        .map(|shown| (shown.frame(), shown.memory_type()))
}

/// Returns the frames that slots show.
pub(crate) fn shown<H: WindowHost>(host: &H) -> impl Iterator<Item = Frame> {
    (0..SLOTS)
        .map(|slot| host.load(slot))
        .filter(|shown| !shown.is_nothing())
        .map(Shown::frame)
}

/// Closes every window, of code that was given up and of code that forgot them, and makes all slots show nothing.
pub(crate) fn close_all<H: WindowHost>(host: &H) {
    for slot in 0..SLOTS {
        host.store(slot, Shown::NOTHING);
        host.forget(slot);
    }
    host.set_guests(0);
}

/// Returns the slot that shows a frame when it has the choice. Frames side by side have different homes.
#[inline]
const fn home(frame: Frame) -> usize {
    frame.number() as usize % SLOTS
}

/// Counts one more window of a used slot that shows the wanted frame.
fn share<H: WindowHost>(host: &H, slot: usize, wanted: Shown) -> Result<usize, WindowError> {
    let (shown, frame) = (host.load(slot), wanted.frame());
    if !shown.is_as(wanted) {
        return Err(WindowError::TypeConflict {
            frame,
            shown: shown.memory_type(),
            wanted: wanted.memory_type(),
        });
    }
    let shared = shown.with_one_more().ok_or(WindowError::NoSlot(frame))?;
    host.store(slot, shared);
    Ok(slot)
}

/// Makes an idle slot, which shows `before`, show a frame to a first window.
#[inline(always)]
fn show<H: WindowHost>(host: &H, slot: usize, before: Shown, wanted: Shown) {
    host.store(slot, wanted.with_first());
    // What showed nothing is in no TLB.
    if !before.is_nothing() {
        host.forget(slot);
    }
}

#[cold]
#[inline(never)]
fn let_guest_go<H: WindowHost>(host: &H, slot: usize) {
    let shown = host.load(slot);
    if !shown.is_used() && is_guest(slot, shown) {
        empty(host, slot);
        host.set_guests(host.guests() - 1);
    }
}

fn is_guest(slot: usize, shown: Shown) -> bool {
    home(shown.frame()) != slot || shown.memory_type() != MemoryType::WriteBack
}

#[cfg(test)]
mod tests;
