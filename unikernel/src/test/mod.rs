//! In-kernel tests and benches: functions of an image that run on the machine itself.
//!
//! `#[unikernel::test]` and `#[unikernel::bench]` put a function into a registry that the linker gathers. An image built by
//! `cargo unikernel test` runs the registry instead of `main`: each test on a stack of its own, so that one which panics, faults
//! or hangs is one result and the next one runs. Results appear on the serial line in cargo's words, the verdict is the
//! machine's exit code.
//!
//! ```
//! #[unikernel::test]
//! fn sums_are_right() {
//!     assert_eq!(2 + 2, 4);
//! }
//!
//! #[unikernel::test(should_panic = "too large")]
//! fn large_input_is_refused() {
//!     panic!("input is too large");
//! }
//!
//! #[unikernel::test(should_fault = "null pointer", timeout = "2s")]
//! fn null_is_never_mapped() {
//!     let null = core::hint::black_box(core::ptr::null::<u8>());
//!     // SAFETY: none; ending this test by a fault is what it is for.
//!     unsafe { null.read_volatile() };
//! }
//! ```

pub mod bench;
#[cfg(unikernel)]
pub(crate) mod capture;
#[doc(hidden)]
pub mod probe;
#[cfg(unikernel_test)]
pub(crate) mod runner;
#[cfg(any(unikernel_test, test))]
mod verdict;

pub use self::bench::{Bench, Bencher};
use crate::exit::{ExitCode, Termination};

/// How a test is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// By returning.
    Success,
    /// By a panic whose message contains the text.
    Panic(&'static str),
    /// By a CPU exception whose reported cause contains the text.
    Fault(&'static str),
}

/// A registered test.
#[derive(Clone, Copy, Debug)]
pub struct Test {
    path: &'static str,
    function: fn(),
    expectation: Expectation,
    timeout_ms: u32,
    ignored: Option<&'static str>,
}

impl Test {
    /// Describes a test: its module path with the crate's name in front, what it runs, how it is to end, how long it may take,
    /// and, if it runs only when asked for, why; nothing else needs a text. The attribute macro calls this.
    #[must_use]
    pub const fn new(
        path: &'static str,
        function: fn(),
        expectation: Expectation,
        timeout_ms: u32,
        ignored: Option<&'static str>,
    ) -> Self {
        Self {
            path,
            function,
            expectation,
            timeout_ms,
            ignored,
        }
    }

    /// Returns its path without the crate's name, as results and filters show it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        without_crate(self.path)
    }
}

fn without_crate(path: &'static str) -> &'static str {
    path.split_once("::").map_or(path, |(_, name)| name)
}

/// Every test of the image.
#[cfg(unikernel)]
#[linkme::distributed_slice]
#[linkme(crate = linkme)]
pub static TESTS: [Test];

/// Every bench of the image.
#[cfg(unikernel)]
#[linkme::distributed_slice]
#[linkme(crate = linkme)]
pub static BENCHES: [Bench];

/// Panics if a test's result is not success; the attribute macro wraps each test in this.
#[doc(hidden)]
pub fn check(result: impl Termination) {
    let code = result.report();
    assert!(
        code == ExitCode::SUCCESS,
        "the test returned exit code {}",
        code.to_u8()
    );
}

/// Registers a test; the attribute macro expands to this.
#[cfg(unikernel_test)]
#[doc(hidden)]
#[macro_export]
macro_rules! __test {
    ($function:ident, $expectation:expr, $timeout_ms:expr, $ignored:expr) => {
        const _: () = {
            #[$crate::__private::linkme::distributed_slice($crate::test::TESTS)]
            #[linkme(crate = $crate::__private::linkme)]
            static TEST: $crate::test::Test = $crate::test::Test::new(
                ::core::concat!(::core::module_path!(), "::", ::core::stringify!($function)),
                || $crate::test::check($function()),
                $expectation,
                $timeout_ms,
                $ignored,
            );
        };
    };
}

/// Outside of a test image a test is compiled, and nothing else.
#[cfg(not(unikernel_test))]
#[doc(hidden)]
#[macro_export]
macro_rules! __test {
    ($function:ident, $expectation:expr, $timeout_ms:expr, $ignored:expr) => {
        const _: (fn(), $crate::test::Expectation) =
            (|| $crate::test::check($function()), $expectation);
    };
}

/// Registers a bench; the attribute macro expands to this.
#[cfg(unikernel_test)]
#[doc(hidden)]
#[macro_export]
macro_rules! __bench {
    ($function:ident, $metric:expr, $parameter:expr) => {
        const _: () = {
            #[$crate::__private::linkme::distributed_slice($crate::test::BENCHES)]
            #[linkme(crate = $crate::__private::linkme)]
            static BENCH: $crate::test::Bench = $crate::test::Bench::new(
                ::core::concat!(::core::module_path!(), "::", ::core::stringify!($function)),
                $metric,
                $parameter,
                $function,
            );
        };
    };
}

/// Outside of a test image a bench is compiled, and nothing else.
#[cfg(not(unikernel_test))]
#[doc(hidden)]
#[macro_export]
macro_rules! __bench {
    ($function:ident, $metric:expr, $parameter:expr) => {
        const _: fn(&mut $crate::test::Bencher) = $function;
    };
}
