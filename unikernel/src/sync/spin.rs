//! A spin lock that keeps interrupts off while it is held.

use core::ops::{Deref, DerefMut};

use spin::mutex::{SpinMutex, SpinMutexGuard};

use crate::arch::machine::cpu;

/// Mutual exclusion between CPUs, and between a CPU and its own interrupts.
///
/// Each CPU counts the locks it holds: a fault or a panic while the count is not 0 is fatal, because what the lock protects
/// may be half changed.
pub(crate) struct SpinLock<T> {
    inner: SpinMutex<T>,
}

/// Access to what a [`SpinLock`] protects; gives the lock back when dropped.
#[must_use = "the lock is held only as long as this value lives"]
pub(crate) struct SpinLockGuard<'a, T> {
    // Dropped in this order: first the lock is free, then counted as free, and then interrupts may come.
    inner: SpinMutexGuard<'a, T>,
    _counted: Counted,
}

/// A lock counted as held by this CPU, which keeps interrupts off on it.
struct Counted;

impl Counted {
    fn new() -> Self {
        cpu::lock_taken();
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        cpu::lock_released();
    }
}

impl<T> SpinLock<T> {
    /// Makes a free lock.
    pub(crate) const fn new(value: T) -> Self {
        Self {
            inner: SpinMutex::new(value),
        }
    }

    /// Waits for the lock. Not again while holding it.
    #[inline(always)]
    pub(crate) fn lock(&self) -> SpinLockGuard<'_, T> {
        let counted = Counted::new();
        SpinLockGuard {
            inner: self.inner.lock(),
            _counted: counted,
        }
    }

    /// Takes the lock if it is free.
    pub(crate) fn try_lock(&self) -> Option<SpinLockGuard<'_, T>> {
        let counted = Counted::new();
        Some(SpinLockGuard {
            inner: self.inner.try_lock()?,
            _counted: counted,
        })
    }
}

/// Locks two of many, each named by a number that no other has: the one with the lower number first, whoever asks for which. Of the
/// same one there is one guard only. Returned in the order of asking; given back in whatever order.
pub(crate) fn lock_pair<'a, T>(
    (first, one): (u32, &'a SpinLock<T>),
    (second, other): (u32, &'a SpinLock<T>),
) -> (SpinLockGuard<'a, T>, Option<SpinLockGuard<'a, T>>) {
    match first.cmp(&second) {
        core::cmp::Ordering::Equal => (one.lock(), None),
        core::cmp::Ordering::Less => {
            let one = one.lock();
            (one, Some(other.lock()))
        }
        core::cmp::Ordering::Greater => {
            let other = other.lock();
            (one.lock(), Some(other))
        }
    }
}

impl<T> Deref for SpinLockGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T> DerefMut for SpinLockGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_lock_is_refused_until_it_is_given_back() {
        let lock = SpinLock::new(1);

        let mut guard = lock.lock();
        *guard += 1;
        assert!(lock.try_lock().is_none());
        drop(guard);

        assert_eq!(lock.try_lock().map(|guard| *guard), Some(2));
    }

    /// Proves M88: threads that lock pairs in every order never wait for each other for ever, and a pair of one is one.
    #[test]
    fn pairs_are_locked_without_a_deadlock_whoever_asks_for_which_first() {
        const ROUNDS: u64 = 20_000;
        let locks = [const { SpinLock::new(0_u64) }; 3];

        std::thread::scope(|scope| {
            for thread in 0..4_usize {
                let locks = &locks;
                scope.spawn(move || {
                    for round in 0..ROUNDS as usize {
                        let (one, other) = ((round + thread) % 3, (round * thread) % 3);
                        let name = |index: usize| (index as u32, &locks[index]);
                        let (mut one, other) = lock_pair(name(one), name(other));
                        *one += 1;
                        if let Some(mut other) = other {
                            *other += 1;
                            *one -= 1;
                            *other -= 1;
                            *one += 1;
                        }
                    }
                });
            }
        });

        let sum: u64 = locks.iter().map(|lock| *lock.lock()).sum();
        assert_eq!(sum, 4 * ROUNDS);
    }
}
