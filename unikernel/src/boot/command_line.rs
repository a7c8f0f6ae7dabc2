//! What the words of the command line mean.
//!
//! Words are separated by spaces. Double quotes keep spaces together; a backslash makes a quote or another backslash an
//! ordinary character; before anything else, and as the last character, it is an ordinary character itself:
//!
//! ```text
//! unikernel.log=info --top 5 "two words" "say \"hi\"" C:\new
//! ────── option ──── ───────────── arguments ───────────────
//! ```
//!
//! Words that start with `unikernel.` are [`Options`] of the library; all others are the application's arguments, in
//! order. An option that is not understood becomes an [`OptionError`] to warn with; it never stops the machine.
//!
//! The rules are the inverse of what GRUB does to the words in its menu entry: it quotes those with a space, and puts a
//! backslash before each backslash and quote, *also in words it does not quote*, the single quote included
//! (`grub-core/lib/cmdline.c`). A tab is therefore an ordinary character, and an empty argument does not survive GRUB.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use log::LevelFilter;

use super::error::{BootError, Part};
use super::{copy, push};

/// What runs short of memory here, if anything does.
const PART: Part = Part::CommandLine;

/// What words of the library start with.
const PREFIX: &str = "unikernel.";

/// A command line, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CommandLine {
    arguments: Vec<String>,
    options: Options,
    errors: Vec<OptionError>,
}

impl CommandLine {
    /// Takes `text` apart. It fails only if memory is short.
    pub(crate) fn parse(text: &str) -> Result<Self, BootError> {
        let mut line = Self::default();
        let mut rest = text;
        while let Some(word) = next_word(&mut rest)? {
            match word.strip_prefix(PREFIX) {
                None => push(&mut line.arguments, word, PART)?,
                Some(option) => {
                    if let Some(reason) = line.options.set(option)? {
                        push(&mut line.errors, OptionError { word, reason }, PART)?;
                    }
                }
            }
        }
        Ok(line)
    }

    /// Returns the application's arguments, in order.
    #[cfg(test)]
    pub(crate) fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// Gives the application's arguments away, in order.
    pub(crate) fn take_arguments(&mut self) -> Vec<String> {
        core::mem::take(&mut self.arguments)
    }

    /// Returns the library's options.
    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// Returns the words that were meant as options and are none.
    pub(crate) fn option_errors(&self) -> &[OptionError] {
        &self.errors
    }
}

/// The options of the library. A level that is given twice counts the second time; filters add up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    log_level: LevelFilter,
    list: bool,
    bench: bool,
    ignored: bool,
    include_ignored: bool,
    nocapture: bool,
    map: bool,
    filters: Vec<String>,
    exact: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            log_level: LevelFilter::Warn,
            list: false,
            bench: false,
            ignored: false,
            include_ignored: false,
            nocapture: false,
            map: false,
            filters: Vec::new(),
            exact: Vec::new(),
        }
    }
}

impl Options {
    /// Returns how much is logged.
    pub(crate) fn log_level(&self) -> LevelFilter {
        self.log_level
    }

    /// Returns whether to print the names of tests and benches instead of running any.
    pub(crate) fn list(&self) -> bool {
        self.list
    }

    /// Returns whether to run benches instead of tests.
    pub(crate) fn bench(&self) -> bool {
        self.bench
    }

    /// Returns whether to run only the tests that are marked to be ignored.
    pub(crate) fn ignored(&self) -> bool {
        self.ignored
    }

    /// Returns whether to run the tests that are marked to be ignored like all others.
    pub(crate) fn include_ignored(&self) -> bool {
        self.include_ignored
    }

    /// Returns whether to let tests print, rather than to keep what they print for when they fail.
    pub(crate) fn nocapture(&self) -> bool {
        self.nocapture
    }

    /// Returns whether to describe memory when asked from outside.
    pub(crate) fn map(&self) -> bool {
        self.map
    }

    /// Returns whether the test or bench of this name is wanted: without filters each is, otherwise one must match.
    pub(crate) fn selects(&self, name: &str) -> bool {
        let is_unfiltered = self.filters.is_empty() && self.exact.is_empty();
        is_unfiltered
            || self
                .filters
                .iter()
                .any(|filter| name.contains(filter.as_str()))
            || self.exact.iter().any(|exact| name == exact)
    }

    /// Sets one option, given without its prefix, or returns why that is impossible.
    fn set(&mut self, option: &str) -> Result<Option<Reason>, BootError> {
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (option, None),
        };
        if let Some(flag) = self.flag(name) {
            *flag |= value.is_none();
            return Ok(value.map(|_| Reason::TakesNoValue));
        }
        let value = value.filter(|value| !value.is_empty());
        match (name, value) {
            ("log", Some(value)) => match value.parse() {
                Ok(level) => self.log_level = level,
                Err(_) => return Ok(Some(Reason::UnknownLevel)),
            },
            ("test", Some(value)) => push(&mut self.filters, copy(value, PART)?, PART)?,
            ("exact", Some(value)) => push(&mut self.exact, copy(value, PART)?, PART)?,
            ("log" | "test" | "exact", None) => return Ok(Some(Reason::NeedsValue)),
            _ => return Ok(Some(Reason::UnknownName)),
        }
        Ok(None)
    }

    /// Returns the option of this name that has no value, if there is one.
    fn flag(&mut self, name: &str) -> Option<&mut bool> {
        match name {
            "list" => Some(&mut self.list),
            "bench" => Some(&mut self.bench),
            "ignored" => Some(&mut self.ignored),
            "include-ignored" => Some(&mut self.include_ignored),
            "nocapture" => Some(&mut self.nocapture),
            "map" => Some(&mut self.map),
            _ => None,
        }
    }
}

/// A word that was meant as an option of the library and is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OptionError {
    word: String,
    reason: Reason,
}

/// What is wrong with an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    UnknownName,
    UnknownLevel,
    NeedsValue,
    TakesNoValue,
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.word.as_str();
        match self.reason {
            Reason::UnknownName => write!(f, "unknown option `{word}`"),
            Reason::UnknownLevel => {
                write!(
                    f,
                    "unknown level in `{word}`: expected off, error, warn, info, debug or trace"
                )
            }
            Reason::NeedsValue => write!(
                f,
                "option `{word}` needs a value, as in `unikernel.test=NAME`"
            ),
            Reason::TakesNoValue => write!(f, "option `{word}` takes no value"),
        }
    }
}

/// Returns `words` without their quotes, each separated from the next by one space.
pub(super) fn unquoted(words: &str) -> Result<String, BootError> {
    let mut unquoted = String::new();
    let mut rest = words;
    while let Some(word) = next_word(&mut rest)? {
        unquoted
            .try_reserve(1 + word.len())
            .map_err(|_| BootError::OutOfMemory(PART))?;
        if !unquoted.is_empty() {
            unquoted.push(' ');
        }
        unquoted.push_str(&word);
    }
    Ok(unquoted)
}

/// Takes the next word off the front of `rest`. A quote that is never closed ends with the line.
fn next_word(rest: &mut &str) -> Result<Option<String>, BootError> {
    *rest = rest.trim_start_matches(' ');
    if rest.is_empty() {
        return Ok(None);
    }
    let mut word = String::new();
    let mut is_quoted = false;
    let mut characters = rest.chars();
    while let Some(character) = characters.next() {
        match character {
            ' ' if !is_quoted => break,
            '"' => is_quoted = !is_quoted,
            '\\' => append(&mut word, escaped(&mut characters))?,
            _ => append(&mut word, character)?,
        }
    }
    *rest = characters.as_str();
    Ok(Some(word))
}

/// Returns the character that a backslash stands for; where it is no escape, nothing of what follows is taken.
fn escaped(characters: &mut core::str::Chars<'_>) -> char {
    let mut ahead = characters.clone();
    match ahead.next() {
        Some(character @ ('\\' | '"' | '\'')) => {
            *characters = ahead;
            character
        }
        _ => '\\',
    }
}

fn append(word: &mut String, character: char) -> Result<(), BootError> {
    word.try_reserve(character.len_utf8())
        .map_err(|_| BootError::OutOfMemory(PART))?;
    word.push(character);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> CommandLine {
        CommandLine::parse(text).expect("a test has memory")
    }

    fn warnings(text: &str) -> Vec<String> {
        parse(text)
            .option_errors()
            .iter()
            .map(OptionError::to_string)
            .collect()
    }

    /// Writes words as GRUB 2.06 does, `grub-core/lib/cmdline.c`.
    fn as_grub_writes(words: &[String]) -> String {
        let quoted = words.iter().map(|word| {
            let escaped: String = word
                .chars()
                .flat_map(|c| {
                    if matches!(c, '\\' | '"' | '\'') {
                        vec!['\\', c]
                    } else {
                        vec![c]
                    }
                })
                .collect();
            if word.contains(' ') {
                format!("\"{escaped}\"")
            } else {
                escaped
            }
        });
        quoted.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn words_and_quotes_become_arguments() {
        let table: [(&str, &[&str]); 12] = [
            ("", &[]),
            ("   ", &[]),
            ("a", &["a"]),
            ("  --top   5 ", &["--top", "5"]),
            (r#""two words""#, &["two words"]),
            (r#"a"b c"d"#, &["ab cd"]),
            (r#""""#, &[""]),
            (r#""say \"hi\"" x"#, &["say \"hi\"", "x"]),
            (r#"it\'s \\ C:\new \"#, &["it's", "\\", "C:\\new", "\\"]),
            (r#""never closed"#, &["never closed"]),
            ("a\tb", &["a\tb"]),
            ("ünï", &["ünï"]),
        ];

        for (text, arguments) in table {
            assert_eq!(parse(text).arguments(), arguments, "{text}");
        }
    }

    #[test]
    fn words_of_the_library_are_no_arguments() {
        let line = parse("a unikernel.log=debug b unikernel.nonsense unikernel c");

        assert_eq!(line.arguments(), ["a", "b", "unikernel", "c"]);
    }

    #[test]
    fn without_options_warnings_are_logged_and_all_tests_run_but_the_ignored() {
        let options = Options::default();

        assert_eq!(options.log_level(), LevelFilter::Warn);
        assert!(!options.list() && !options.bench() && !options.nocapture());
        assert!(!options.ignored() && !options.include_ignored());
        assert!(options.selects("any::name"));
    }

    #[test]
    fn each_level_is_understood() {
        let names = ["off", "error", "warn", "info", "debug", "trace"];

        let levels = names.map(|name| {
            parse(&format!("unikernel.log={name}"))
                .options()
                .log_level()
        });

        assert_eq!(levels.as_slice(), LevelFilter::iter().collect::<Vec<_>>());
    }

    #[test]
    fn each_option_without_a_value_sets_its_flag_alone() {
        let names = [
            "list",
            "bench",
            "ignored",
            "include-ignored",
            "nocapture",
            "map",
        ];

        for (place, name) in names.iter().enumerate() {
            let line = parse(&format!("unikernel.{name}"));
            let options = line.options();
            let flags = [
                options.list(),
                options.bench(),
                options.ignored(),
                options.include_ignored(),
                options.nocapture(),
                options.map(),
            ];
            assert_eq!(flags, core::array::from_fn(|flag| flag == place), "{name}");
        }
    }

    #[test]
    fn a_name_is_selected_if_any_filter_is_in_it_or_any_exact_name_equals_it() {
        let line = parse("unikernel.test=heap unikernel.test=boot::a unikernel.exact=x::y");

        let names = ["heap::grows", "my::boot::a", "x::y", "x::yz", "boot::b"];

        assert_eq!(
            names.map(|name| line.options().selects(name)),
            [true, true, true, false, false]
        );
    }

    #[test]
    fn options_that_make_no_sense_are_kept_to_warn_with() {
        assert_eq!(
            warnings("unikernel.lgo=info"),
            ["unknown option `unikernel.lgo=info`"]
        );
        assert_eq!(
            warnings("unikernel.log=loud"),
            [
                "unknown level in `unikernel.log=loud`: expected off, error, warn, info, debug or trace"
            ]
        );
        assert_eq!(
            warnings("unikernel.exact="),
            ["option `unikernel.exact=` needs a value, as in `unikernel.test=NAME`"]
        );
        assert_eq!(
            warnings("unikernel.list=yes"),
            ["option `unikernel.list=yes` takes no value"]
        );
        assert_eq!(warnings("unikernel.log=info unikernel.list"), [""; 0]);
    }

    proptest! {
        /// Proves T5.
        #[test]
        fn words_survive_grub(words in prop::collection::vec("[ab '\"\\\\\t=.ü]{1,6}", 0..6)) {
            let line = parse(&as_grub_writes(&words));

            prop_assert_eq!(line.arguments(), words);
        }

        #[test]
        fn no_line_is_too_strange(text in "\\PC*") {
            let line = parse(&text);

            prop_assert!(line.arguments().iter().map(String::len).sum::<usize>() <= text.len());
        }
    }
}
