//! The stacks an image starts with, each with an unmapped guard page below it.
//!
//! They lie in zeroed memory of the image, so they exist before any allocator; [`tables`](super::tables) leaves their guard
//! pages out when it maps the image. Every interrupt stack is committed: a stack for faults that itself needed a fault to
//! come into being would be useless.

use core::cell::UnsafeCell;
use core::ops::Range;

use super::address::PAGE;

/// Pages of the stack the application's `main` runs on: 1 MiB.
pub(super) const BOOT_STACK_PAGES: usize = 256;
/// Pages of the stack each in-kernel test runs on: 256 KiB.
const TEST_STACK_PAGES: usize = 64;
/// Pages of each interrupt stack: 64 KiB, room for page faults within page faults, and below them an unoptimised report with its
/// symbols.
const INTERRUPT_STACK_PAGES: usize = 16;
/// The interrupt stack table of a task state segment has seven entries (SDM 3A, 7.7).
pub(super) const INTERRUPT_STACKS: usize = 7;

/// A guard page and a stack of `PAGES` pages above it.
#[repr(C, align(4096))]
pub(super) struct Guarded<const PAGES: usize> {
    guard: [u8; PAGE],
    stack: UnsafeCell<[[u8; PAGE]; PAGES]>,
}

// SAFETY: only the processor reads and writes a stack, through its stack pointer, and each is given to one purpose; Rust
// code takes addresses of it only.
unsafe impl<const PAGES: usize> Sync for Guarded<PAGES> {}

impl<const PAGES: usize> Guarded<PAGES> {
    const fn new() -> Self {
        Self {
            guard: [0; PAGE],
            stack: UnsafeCell::new([[0; PAGE]; PAGES]),
        }
    }

    fn guard_address(&self) -> usize {
        self.guard.as_ptr().addr()
    }

    fn range(&self) -> Range<usize> {
        let bottom = self.stack.get().addr();
        bottom..bottom + PAGES * PAGE
    }
}

/// The stack from the first instruction to the end of `main`.
pub(super) static BOOT_STACK: Guarded<BOOT_STACK_PAGES> = Guarded::new();
static TEST_STACK: Guarded<TEST_STACK_PAGES> = Guarded::new();
static INTERRUPT: [Guarded<INTERRUPT_STACK_PAGES>; INTERRUPT_STACKS] =
    [const { Guarded::new() }; INTERRUPT_STACKS];

/// What each interrupt stack is for, in the order of the interrupt stack table.
pub(super) const INTERRUPT_STACK_NAMES: [&str; INTERRUPT_STACKS] = [
    "the page fault stack",
    "the double fault stack",
    "the NMI stack",
    "the machine check stack",
    "the debug stack",
    "the exception stack",
    "the interrupt stack",
];

/// A stack by name, as reports show it.
pub(crate) struct Stack {
    /// What it is called in a sentence: "the boot stack".
    pub(crate) name: &'static str,
    /// The unmapped page below it.
    pub(crate) guard: Range<usize>,
    /// Its addresses.
    pub(crate) range: Range<usize>,
}

/// Returns every stack of the image.
pub(crate) fn all() -> impl Iterator<Item = Stack> {
    let interrupt = INTERRUPT
        .iter()
        .zip(INTERRUPT_STACK_NAMES)
        .map(|(stack, name)| describe(stack, name));
    [
        describe(&BOOT_STACK, "the boot stack"),
        describe(&TEST_STACK, "the test stack"),
    ]
    .into_iter()
    .chain(interrupt)
}

fn describe<const PAGES: usize>(stack: &Guarded<PAGES>, name: &'static str) -> Stack {
    let guard = stack.guard_address();
    Stack {
        name,
        guard: guard..guard + PAGE,
        range: stack.range(),
    }
}

/// Returns the address just above interrupt stack `index`, where the processor starts to push.
pub(super) fn interrupt_top(index: usize) -> usize {
    INTERRUPT[index].range().end
}

/// Returns the address of the guard page below the stack that in-kernel tests run on.
pub(super) fn test_guard() -> usize {
    TEST_STACK.guard_address()
}

/// Returns the address just above the stack that in-kernel tests run on.
pub(super) fn test_top() -> usize {
    TEST_STACK.range().end
}
