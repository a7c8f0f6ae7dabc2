//! Counts the words of every boot module and prints the most frequent ones.
//!
//! A word is a run of ASCII letters, digits and bytes above 127, without regard to ASCII case; `word.rs`
//! says why. For any input, binary ones included, the table is what coreutils print for
//!
//! ```text
//! export LC_ALL=C
//! tr 'A-Z' 'a-z' <FILE | tr -cs 'a-z0-9\200-\377' '\n' | sed '/^$/d' |
//!     sort | uniq -c | sort -k1,1nr -k2 | head -n 20
//! ```
//!
//! except that words longer than 60 bytes are cut, and bytes that are no UTF-8 are shown as `\xff`. No word
//! reaches from one module into the next.
//!
//! Arguments: `--top N` (default 20), `--help`. The exit code is 0, 2 after a usage error (no module is one),
//! or 1 when there are more distinct words than memory holds.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use unikernel::prelude::*;
use unikernel::time::Instant;
use word_count::options::{self, Request, UsageError};
use word_count::report::Report;
use word_count::words::{OutOfMemory, TextCounts, Words};

#[unikernel::main]
fn main() -> ExitCode {
    match options::parse(unikernel::args()) {
        Ok(Request::Help) => help(),
        Ok(Request::Count { top }) => count_modules(top),
        Err(error) => usage_error(&error),
    }
}

fn help() -> ExitCode {
    print!("{}", options::HELP);
    ExitCode::SUCCESS
}

fn usage_error(error: &UsageError<'_>) -> ExitCode {
    println!("error: {error} (usage: app [--top N])");
    ExitCode::from(2u8)
}

fn count_modules(top: usize) -> ExitCode {
    if unikernel::modules().next().is_none() {
        return usage_error(&UsageError::NoModule);
    }
    let start = Instant::now();
    let mut words = Words::new();
    match count_each(&mut words) {
        Ok(modules) => report(top, words, &modules, start),
        Err(error) => out_of_memory(&error),
    }
}

/// Counts every module, and returns the name and contents of each.
fn count_each(words: &mut Words<'static>) -> Result<Vec<(&'static str, TextCounts)>, OutOfMemory> {
    unikernel::modules()
        .map(|module| Ok((module.name(), words.count(module.bytes())?)))
        .collect()
}

fn out_of_memory(error: &OutOfMemory) -> ExitCode {
    println!("error: {error}");
    ExitCode::from(1u8)
}

fn report(
    top: usize,
    words: Words<'static>,
    modules: &[(&str, TextCounts)],
    start: Instant,
) -> ExitCode {
    let total = words.total();
    let most_frequent = words.into_most_frequent(top);
    let elapsed = start.elapsed();
    let peak_bytes = unikernel::heap::stats().peak_bytes();
    let report = Report {
        most_frequent: &most_frequent,
        modules,
        total,
        elapsed,
        peak_bytes,
    };
    print!("{report}");
    ExitCode::SUCCESS
}
