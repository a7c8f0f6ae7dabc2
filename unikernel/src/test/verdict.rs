//! Whether a test passed: pure, from how it ended and how it was to end.

use core::fmt;

use super::Expectation;
use crate::arch::End;

/// Why a test failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure<'a> {
    /// It was to end otherwise.
    Ended(End, Expectation),
    /// It died as expected, but of something else.
    OtherCause { expected: &'a str, actual: &'a str },
}

impl fmt::Display for Failure<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(End::TimedOut, _) => out.write_str("it took longer than it may"),
            Self::Ended(end, expectation) => write!(
                out,
                "it {}, but was to {}",
                done(*end),
                wanted(*expectation)
            ),
            Self::OtherCause { expected, actual } => write!(
                out,
                "the cause was to contain {expected:?}, but was {actual:?}"
            ),
        }
    }
}

fn done(end: End) -> &'static str {
    match end {
        End::Returned => "returned",
        End::Panicked => "panicked",
        End::Faulted => "faulted",
        End::TimedOut => "took too long",
    }
}

fn wanted(expectation: Expectation) -> &'static str {
    match expectation {
        Expectation::Success => "return",
        Expectation::Panic(_) => "panic",
        Expectation::Fault(_) => "fault",
    }
}

/// Judges a test that ended by `end`, of `cause` if it died.
pub(crate) fn judge<'a>(
    expectation: Expectation,
    end: End,
    cause: &'a str,
) -> Result<(), Failure<'a>> {
    match (expectation, end) {
        (Expectation::Success, End::Returned) => Ok(()),
        (Expectation::Panic(expected), End::Panicked)
        | (Expectation::Fault(expected), End::Faulted) => {
            if cause.contains(expected) {
                Ok(())
            } else {
                Err(Failure::OtherCause {
                    expected,
                    actual: cause,
                })
            }
        }
        _ => Err(Failure::Ended(end, expectation)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_expected_end_with_the_expected_cause_passes() {
        use Expectation::{Fault, Panic, Success};

        let table = [
            (Success, End::Returned, "", true),
            (Success, End::Panicked, "x", false),
            (Success, End::Faulted, "x", false),
            (Success, End::TimedOut, "", false),
            (Panic(""), End::Panicked, "anything", true),
            (
                Panic("too large"),
                End::Panicked,
                "input is too large",
                true,
            ),
            (Panic("too large"), End::Panicked, "other", false),
            (Panic(""), End::Returned, "", false),
            (Panic(""), End::Faulted, "", false),
            (Fault("null"), End::Faulted, "null pointer read", true),
            (Fault("null"), End::Faulted, "breakpoint", false),
            (Fault("null"), End::Panicked, "null", false),
            (Fault(""), End::TimedOut, "", false),
        ];

        for (expectation, end, cause, passes) in table {
            assert_eq!(
                judge(expectation, end, cause).is_ok(),
                passes,
                "{expectation:?} {end:?} {cause:?}"
            );
        }
    }

    #[test]
    fn a_failure_says_what_was_expected_and_what_happened() {
        let ended = judge(Expectation::Panic(""), End::Returned, "").unwrap_err();
        let other = judge(Expectation::Fault("null"), End::Faulted, "breakpoint").unwrap_err();

        assert_eq!(ended.to_string(), "it returned, but was to panic");
        assert_eq!(
            other.to_string(),
            "the cause was to contain \"null\", but was \"breakpoint\""
        );
    }
}
