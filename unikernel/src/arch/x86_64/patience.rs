//! Waiting for a device that may never answer.

use core::sync::atomic::{AtomicBool, Ordering};

/// Looks at a device until it is ready, for a bounded time; at one that was in vain waited for, only once, until it is ready again.
/// So a device that is stuck costs its bound once, not once for every byte.
pub(crate) struct Patience {
    looks: u32,
    /// `Relaxed`: a hint. Who reads an old value waits once too often, or once too little.
    lost: AtomicBool,
}

impl Patience {
    /// Returns the patience of so many looks.
    pub(crate) const fn new(looks: u32) -> Self {
        Self {
            looks,
            lost: AtomicBool::new(false),
        }
    }

    /// Waits until the device is ready; says whether it is.
    pub(crate) fn wait(&self, mut is_ready: impl FnMut() -> bool) -> bool {
        let looks = if self.lost.load(Ordering::Relaxed) {
            1
        } else {
            self.looks
        };
        let ready = (0..looks).any(|_| {
            core::hint::spin_loop();
            is_ready()
        });
        self.lost.store(!ready, Ordering::Relaxed);
        ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns how many looks a wait takes for a device that is ready at the nth, and whether it was.
    fn wait(patience: &Patience, nth: u32) -> (u32, bool) {
        let mut looks = 0;
        let ready = patience.wait(|| {
            looks += 1;
            looks == nth
        });
        (looks, ready)
    }

    #[test]
    fn a_stuck_device_is_waited_for_once_and_then_only_looked_at() {
        let patience = Patience::new(100);

        assert_eq!(wait(&patience, 7), (7, true));
        assert_eq!(wait(&patience, 101), (100, false));
        assert_eq!(wait(&patience, 2), (1, false));
    }

    #[test]
    fn a_device_that_is_ready_again_is_waited_for_again() {
        let patience = Patience::new(100);
        wait(&patience, 101);

        assert_eq!(wait(&patience, 1), (1, true));
        assert_eq!(wait(&patience, 100), (100, true));
    }
}
