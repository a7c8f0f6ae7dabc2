//! Page faults within page faults.
//!
//! The processor starts every page fault at the same address, the top of the page fault stack. Whoever handles one and then runs
//! code that may fault itself, as a pager may, moves that address down first:
//!
//! ```text
//!   top of the stack  | the first fault, up to 16 KiB |
//!                     | one within it                 |  <- starts here as long as a `Deeper` lives
//!                     | one within that               |
//!                     | what is left for a report     |
//! ```

use core::sync::atomic::Ordering;

use x86_64::structures::tss::TaskStateSegment;

use super::cpu;

/// Bytes of the stack for each fault.
const STEP: u64 = 16 << 10;
/// How many faults may be within each other, besides the first.
const MOST: u32 = 2;

/// Faults may occur, and start further down, as long as this lives.
pub(super) struct Deeper(());

impl Deeper {
    /// Makes room for a fault within this one. Look first whether there [is any](has_room).
    pub(super) fn new() -> Self {
        cpu::current().nested_faults.fetch_add(1, Ordering::Relaxed);
        move_start(0u64.wrapping_sub(STEP));
        Self(())
    }
}

impl Drop for Deeper {
    fn drop(&mut self) {
        move_start(STEP);
        cpu::current().nested_faults.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Returns whether another fault may occur within this one.
pub(super) fn has_room() -> bool {
    cpu::current().nested_faults.load(Ordering::Relaxed) < MOST
}

/// Remembers where this CPU's task state, which stays for good, names the page fault stack.
pub(super) fn remember(tss: &mut TaskStateSegment) {
    let first = &raw mut tss.interrupt_stack_table;
    cpu::current()
        .page_fault_stack
        .store(first.expose_provenance(), Ordering::Relaxed);
}

/// Forgets all faults within the one whose code is given up.
pub(super) fn forget_all() {
    let nested = cpu::current().nested_faults.swap(0, Ordering::Relaxed);
    move_start(STEP * u64::from(nested));
}

fn move_start(by: u64) {
    let start = cpu::current().page_fault_stack.load(Ordering::Relaxed);
    if start == 0 {
        return;
    }
    let start = core::ptr::with_exposed_provenance_mut::<u64>(start);
    // SAFETY: the first entry of the table of this CPU's task state, which is never freed; it has no alignment of its own.
    let before = unsafe { start.read_unaligned() };
    // SAFETY: as above; only this CPU reads it, when the next fault comes.
    unsafe { start.write_unaligned(before.wrapping_add(by)) };
}
