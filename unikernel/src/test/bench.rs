//! Benches: operations whose cost is counted, sample by sample, and printed as records the tool compares with budgets.
//!
//! Under `-icount` the time stamp counter counts guest instructions, so a sample is exact and a second run gives the same
//! digits. A record is `@R`, metric, parameter, minimum, median, 90th percentile, number of samples, separated by tabs;
//! what reading the counter costs is taken off.

#[cfg(unikernel_test)]
mod run;

#[cfg(unikernel_test)]
pub(crate) use self::run::{reached_main, run, sorted};

use alloc::vec::Vec;

/// Samples taken of an operation, after [`WARM_UP`] that are thrown away.
const SAMPLES: usize = 300;
const WARM_UP: usize = 5;

/// A registered bench.
#[derive(Clone, Copy, Debug)]
pub struct Bench {
    path: &'static str,
    metric: &'static str,
    parameter: &'static str,
    function: fn(&mut Bencher),
}

impl Bench {
    /// Describes a bench: its module path with the crate's name in front, the name and parameter of what it measures, and the
    /// function that measures. The attribute macro calls this.
    #[must_use]
    pub const fn new(
        path: &'static str,
        metric: &'static str,
        parameter: &'static str,
        function: fn(&mut Bencher),
    ) -> Self {
        Self {
            path,
            metric,
            parameter,
            function,
        }
    }

    /// Returns its path without the crate's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        super::without_crate(self.path)
    }
}

/// Measures one operation.
///
/// ```
/// use unikernel::test::Bencher;
///
/// #[unikernel::bench(metric = "sort", param = "1000")]
/// fn sort_a_thousand_numbers(bencher: &mut Bencher) {
///     let mut numbers: Vec<u32> = (0..1000).rev().collect();
///     bencher.iter(|| numbers.sort_unstable());
/// }
/// ```
#[derive(Debug, Default)]
pub struct Bencher {
    samples: Vec<u64>,
    overhead: u64,
    per_sample: u64,
}

impl Bencher {
    /// Measures `operation`, once a sample.
    pub fn iter<T>(&mut self, operation: impl FnMut() -> T) {
        self.iter_batch(1, operation);
    }

    /// Measures `operation` in batches of `count` a sample; the record gives the cost of one.
    ///
    /// A second call adds its samples to the first one's; `count` must be the same then.
    pub fn iter_batch<T>(&mut self, count: u32, mut operation: impl FnMut() -> T) {
        let first = self.samples.len();
        for _ in 0..WARM_UP + SAMPLES {
            let start = ticks();
            for _ in 0..count {
                core::hint::black_box(operation());
            }
            let end = ticks();
            self.samples
                .push((end - start).saturating_sub(self.overhead));
        }
        self.samples.drain(first..first + WARM_UP);
        self.per_sample = u64::from(count);
    }

    /// Adds a sample that was measured otherwise: the difference of two [`ticks`](Self::ticks).
    pub fn record(&mut self, ticks: u64) {
        self.record_shared(ticks, 1);
    }

    /// Adds a sample that was measured otherwise and stands for `count` operations, the same in all samples.
    pub fn record_shared(&mut self, ticks: u64, count: u32) {
        self.samples.push(ticks.saturating_sub(self.overhead));
        self.per_sample = u64::from(count);
    }

    /// Returns the counter that samples are differences of.
    #[must_use]
    pub fn ticks(&self) -> u64 {
        ticks()
    }
}

#[cfg(unikernel_test)]
fn ticks() -> u64 {
    crate::arch::machine::bench::ticks()
}

#[cfg(not(unikernel_test))]
fn ticks() -> u64 {
    crate::time::Instant::now().since_entry().as_nanos() as u64
}

/// Minimum, median and 90th percentile of samples, each of which stands for `per_sample` operations.
#[cfg(any(unikernel_test, test))]
fn summary(samples: &mut [u64], per_sample: u64) -> Option<[f64; 3]> {
    samples.sort_unstable();
    let at = |index: usize| {
        samples
            .get(index)
            .map(|&ticks| ticks as f64 / per_sample as f64)
    };
    Some([at(0)?, at(samples.len() / 2)?, at(samples.len() * 9 / 10)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_minimum_median_and_ninetieth_percentile_of_one_operation() {
        let mut samples: Vec<u64> = (1..=10).rev().map(|tens| tens * 10).collect();

        assert_eq!(summary(&mut samples, 10), Some([1.0, 6.0, 10.0]));
        assert_eq!(summary(&mut [], 1), None);
        assert_eq!(summary(&mut [7], 1), Some([7.0, 7.0, 7.0]));
    }

    #[test]
    fn a_batch_is_one_sample_and_the_warm_up_is_thrown_away() {
        let mut calls = 0;
        let mut bencher = Bencher::default();

        bencher.iter_batch(2, || calls += 1);

        assert_eq!(
            (calls, bencher.samples.len(), bencher.per_sample),
            (2 * (WARM_UP + SAMPLES), SAMPLES, 2)
        );
    }

    #[test]
    fn a_second_call_throws_away_its_own_warm_up() {
        let mut bencher = Bencher::default();
        for sample in 0..10 {
            bencher.record(sample);
        }

        bencher.iter(|| ());

        assert_eq!(bencher.samples.len(), 10 + SAMPLES);
        assert_eq!(bencher.samples[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }
}
