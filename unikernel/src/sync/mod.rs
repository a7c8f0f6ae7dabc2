//! Locks, and the order in which they are taken.
//!
//! | order | lock | protects | taken from traps |
//! |---|---|---|---|
//! | 1 | `Memory::current` | which space a CPU is in; one, its own | page faults |
//! | 2 | `AddressSpace::regions` | regions of a space and its tables; two in the order of their numbers. The kernel's also: all tables of no space, and those of the upper half | page faults |
//! | 3 | `Memory::objects` | all objects | page faults |
//! | 4 | `Memory::spaces` | the list of spaces | no |
//! | 5 | a pager's own | what it keeps | page faults |
//! | 6 | `heap::HEAP` | the managed heap | no |
//! | 7 | `FramePool::caches` | frames near one CPU; one of them, or all in the order of CPUs | page faults |
//! | 8 | `FramePool::store` | all other free frames | page faults |
//! | 9 | `capture::CAPTURED` | what a test prints | only if free |
//! | 10 | `console::UART` | the serial line | no, reports bypass it |
//! | 11 | `console::DISPLAY` | the screen that mirrors it | only if free |
//!
//! A page fault takes locks only where none is held: code that holds one touches no page that could need a repair.
//!
//! A lock is taken only while holding locks of smaller order. All are [`SpinLock`]s: interrupts are off while one is held, so what is
//! done under one is bounded. It is not always short: editing takes time with the number of pages, growing the heap maps them, and a
//! line of text waits for the serial line, if that is stuck a tenth of a second. Nor does it always succeed: what fails under a lock
//! fails with an error, and what was done of it has been undone, or is in order and used by the next attempt. A panic or a fault under
//! one ends the machine.

mod spin;

pub(crate) use self::spin::{SpinLock, SpinLockGuard, lock_pair};
