//! Locks, and the order in which they are taken.
//!
//! | order | lock | protects | taken from traps |
//! |---|---|---|---|
//! | 1 | `heap::HEAP` | the managed heap | no |
//! | 2 | `kernel::EDITING` | page tables | a first write to a reserved page, while no lock is held |
//! | 3 | `FramePool::caches` | frames near one CPU; one of them, or all in the order of CPUs | no |
//! | 4 | `FramePool::store` | all other free frames | no |
//! | 5 | `capture::CAPTURED` | what a test prints | only if free |
//! | 6 | `console::UART` | the serial line | no, reports bypass it |
//! | 7 | `console::DISPLAY` | the screen that mirrors it | only if free |
//!
//! A lock is taken only while holding locks of smaller order. All are [`SpinLock`]s: interrupts are off while one is held, so what is
//! done under one is bounded. It is not always short: editing takes time with the number of pages, growing the heap maps them, and a
//! line of text waits for the serial line, if that is stuck a tenth of a second. Nor does it always succeed: what fails under a lock
//! fails with an error, and what was done of it has been undone, or is in order and used by the next attempt. A panic or a fault under
//! one ends the machine.

mod spin;

pub(crate) use self::spin::{SpinLock, SpinLockGuard, lock_pair};
