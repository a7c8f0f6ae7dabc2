//! Walking the chain of frame pointers.
//!
//! Everything in an image keeps frame pointers: our code by a compiler flag, precompiled `core` and `alloc` since Rust 1.79.
//! Assembly entered from outside clears RBP, which ends the chain.

use super::image::{self, Rights};
use super::trap::Frame;
use super::{memory_functions, stacks};

/// More frames than any stack of the image holds: a bound for the walk, not for what is printed.
const MOST_FRAMES: usize = 1 << 20;

/// Return addresses of the callers, innermost first.
pub(crate) struct Callers {
    frame_pointer: usize,
    left: usize,
}

impl Callers {
    /// Starts from a frame pointer, as saved in a trap frame.
    pub(crate) fn from(frame_pointer: u64) -> Self {
        Self {
            frame_pointer: frame_pointer as usize,
            left: MOST_FRAMES,
        }
    }

    /// Starts from interrupted code. A memory function sets up no frame, and a call that missed all code has none yet: in both
    /// the stack pointer is at the return address.
    pub(super) fn of_interrupted(frame: &Frame) -> impl Iterator<Item = usize> + use<> {
        let has_no_frame = memory_functions::contains(frame.rip) || !is_code(frame.rip as usize);
        let leaf = has_no_frame
            .then(|| word_on_stack(frame.rsp as usize))
            .flatten();
        leaf.filter(|&address| is_code(address))
            .into_iter()
            .chain(Self::from(frame.rbp))
    }

    /// Starts from the caller of this function.
    #[inline(always)]
    pub(crate) fn here() -> Self {
        let frame_pointer: u64;
        // SAFETY: reads a register.
        unsafe {
            core::arch::asm!("mov {}, rbp", out(reg) frame_pointer, options(nomem, nostack, preserves_flags))
        };
        Self::from(frame_pointer)
    }
}

impl Iterator for Callers {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let frame_pointer = word_on_stack(self.frame_pointer)?;
        let address = word_on_stack(self.frame_pointer + 8)?;
        // A caller's frame is always higher on the same stack; anything else is no frame.
        self.frame_pointer = if frame_pointer > self.frame_pointer {
            frame_pointer
        } else {
            0
        };
        is_code(address).then_some(address)
    }
}

/// Returns the word at `address` if that is on a stack of the image, and aligned.
fn word_on_stack(address: usize) -> Option<usize> {
    let on_stack = stacks::all().any(|stack| stack.range.contains(&address));
    if !on_stack || !address.is_multiple_of(size_of::<usize>()) {
        return None;
    }
    let word = core::ptr::with_exposed_provenance::<usize>(address);
    // SAFETY: an aligned word of a stack, which is mapped for good; any bits are a number. Functions that are under way on it may
    // hold references to the word and change it later, which a volatile read does not take for granted. Nobody changes it now: the
    // stack is this CPU's, whose interrupted code waits, or is the caller of this.
    Some(unsafe { word.read_volatile() })
}

fn is_code(address: usize) -> bool {
    image::sections()
        .iter()
        .any(|section| section.rights == Rights::Execute && section.range.contains(&address))
}
