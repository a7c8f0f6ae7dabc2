//! Monotonic time.
//!
//! ```
//! use unikernel::time::Instant;
//!
//! let start = Instant::now();
//! let some_work: u64 = (0..1000).sum();
//! assert!(some_work > 0 && start.elapsed() < core::time::Duration::from_secs(60));
//! ```

use core::ops::Sub;
use core::time::Duration;

/// A moment, in nanoseconds since the image's first instruction. It never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant {
    nanoseconds: u64,
}

impl Instant {
    /// Returns the present moment. The first call measures the rate of the clock, which takes about a millisecond.
    #[must_use]
    pub fn now() -> Self {
        Self {
            nanoseconds: nanoseconds(),
        }
    }

    /// Returns the time from this moment to now.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        Self::now() - self
    }

    /// Returns the time from the image's first instruction to this moment.
    #[must_use]
    pub const fn since_entry(self) -> Duration {
        Duration::from_nanos(self.nanoseconds)
    }
}

impl Sub for Instant {
    type Output = Duration;

    /// Returns the time from `earlier` to `self`, zero if `earlier` is the later one.
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanoseconds.saturating_sub(earlier.nanoseconds))
    }
}

#[cfg(unikernel)]
fn nanoseconds() -> u64 {
    crate::arch::machine::time::nanoseconds()
}

#[cfg(not(unikernel))]
fn nanoseconds() -> u64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START
        .get_or_init(std::time::Instant::now)
        .elapsed()
        .as_nanos() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_does_not_go_back_and_differences_do_not_wrap() {
        let earlier = Instant::now();
        let later = Instant::now();

        assert!(later >= earlier);
        assert_eq!(
            earlier
                - Instant {
                    nanoseconds: u64::MAX
                },
            Duration::ZERO
        );
    }
}
