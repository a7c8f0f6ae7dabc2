//! The command line: what the user asks for, or the one line that says why it cannot be understood.

use core::fmt;

/// How many words the table shows unless told otherwise.
pub const DEFAULT_TOP: usize = 20;

/// What `--help` prints.
pub const HELP: &str = "\
Counts the words of every boot module and prints the most frequent ones.

Usage: app [--top N]

  --top N   show the N most frequent words (default 20)
  --help    print this
";

/// What the arguments ask for.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// Print [`HELP`] and end.
    Help,
    /// Count every module.
    Count {
        /// How many words to show, at least one.
        top: usize,
    },
}

/// Arguments or modules that leave nothing to do.
#[derive(Debug, PartialEq, Eq)]
pub enum UsageError<'a> {
    /// An argument that means nothing here.
    UnknownArgument(&'a str),
    /// `--top` was the last argument.
    MissingNumber,
    /// What follows `--top` is no number, too large a number, or zero.
    BadNumber(&'a str),
    /// The machine was booted without modules.
    NoModule,
}

impl fmt::Display for UsageError<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownArgument(argument) => write!(formatter, "unknown argument `{argument}`"),
            Self::MissingNumber => write!(formatter, "`--top` needs a number"),
            Self::BadNumber(text) => {
                write!(formatter, "`--top` needs a number from 1, not `{text}`")
            }
            Self::NoModule => write!(
                formatter,
                "no boot module to count: add one with `--module FILE`"
            ),
        }
    }
}

/// Parses the application's arguments; of several `--top` the last one counts.
///
/// # Errors
///
/// The first argument that cannot be understood.
///
/// ```
/// use word_count::options::{Request, parse};
///
/// assert_eq!(parse(["--top", "5"].into_iter()), Ok(Request::Count { top: 5 }));
/// ```
pub fn parse<'a>(mut arguments: impl Iterator<Item = &'a str>) -> Result<Request, UsageError<'a>> {
    let mut top = DEFAULT_TOP;
    while let Some(argument) = arguments.next() {
        match argument.split_once('=') {
            _ if argument == "--help" || argument == "-h" => return Ok(Request::Help),
            _ if argument == "--top" => {
                top = number(arguments.next().ok_or(UsageError::MissingNumber)?)?;
            }
            Some(("--top", text)) => top = number(text)?,
            _ => return Err(UsageError::UnknownArgument(argument)),
        }
    }
    Ok(Request::Count { top })
}

fn number(text: &str) -> Result<usize, UsageError<'_>> {
    text.parse()
        .ok()
        .filter(|number| *number > 0)
        .ok_or(UsageError::BadNumber(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Result<Request, UsageError<'_>> {
        parse(line.split_whitespace())
    }

    #[test]
    fn no_arguments_ask_for_the_default() {
        assert_eq!(parse_line(""), Ok(Request::Count { top: DEFAULT_TOP }));
        assert!(HELP.contains(&format!("(default {DEFAULT_TOP})")));
    }

    #[test]
    fn top_takes_its_number_from_the_next_word_or_after_an_equals_sign() {
        assert_eq!(parse_line("--top 5"), Ok(Request::Count { top: 5 }));
        assert_eq!(parse_line("--top=7"), Ok(Request::Count { top: 7 }));
    }

    #[test]
    fn the_last_top_counts() {
        assert_eq!(parse_line("--top 5 --top=9"), Ok(Request::Count { top: 9 }));
    }

    #[test]
    fn help_is_asked_for_by_both_names() {
        assert_eq!(parse_line("--help"), Ok(Request::Help));
        assert_eq!(parse_line("--top 3 -h"), Ok(Request::Help));
    }

    #[test]
    fn what_is_no_number_from_one_is_refused() {
        for text in ["0", "-1", "+", "x", "1e3", "99999999999999999999999"] {
            assert_eq!(
                parse(["--top", text].into_iter()),
                Err(UsageError::BadNumber(text))
            );
        }
        assert_eq!(parse_line("--top="), Err(UsageError::BadNumber("")));
        assert_eq!(parse_line("--top"), Err(UsageError::MissingNumber));
    }

    #[test]
    fn unknown_arguments_are_refused() {
        for argument in ["--to", "--top5", "-t", "file", "--help=1", "=", "--"] {
            assert_eq!(
                parse_line(argument),
                Err(UsageError::UnknownArgument(argument))
            );
        }
    }

    #[test]
    fn every_error_is_one_line_with_the_offending_value() {
        let unknown = UsageError::UnknownArgument("--tpo").to_string();
        let bad = UsageError::BadNumber("many").to_string();

        assert_eq!(unknown, "unknown argument `--tpo`");
        assert_eq!(bad, "`--top` needs a number from 1, not `many`");
    }
}
