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
//! except that words longer than 60 bytes are cut, bytes that are no UTF-8 are shown as `\xff`, and words
//! without any letter or digit, such as `│`, are left out. No word reaches from one module into the next.
//!
//! Modules are read through memory that brings in their pages as they are needed, and lets them go again if
//! memory runs short. The table lies in memory that is reserved at once and costs what is used of it.
//!
//! Arguments: `--top N` (default 20), `--help`. The exit code is 0, 2 after a usage error (no module is one),
//! or 1 when there are more distinct words than memory holds.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::error::Error;

use unikernel::Module;
use unikernel::memory::{Lazy, Object, PAGE_SIZE, Private, Region, describe_frames};
use unikernel::prelude::*;
use unikernel::time::Instant;
use word_count::options::{self, Request, UsageError};
use word_count::report::Report;
use word_count::words::Words;

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
    match count_and_report(top) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error}");
            ExitCode::from(1u8)
        }
    }
}

fn count_and_report(top: usize) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let texts = unikernel::modules()
        .map(|module| Text::of(&module))
        .collect::<Result<Vec<_>, _>>()?;
    let mut table = reserve_table()?;
    let mut words = Words::new(table.as_mut_slice()?);
    let mut modules = Vec::new();
    for text in &texts {
        modules.push((text.name, words.count(text.bytes()?)?));
    }
    let total = words.total();
    let most_frequent = words.into_most_frequent(top);
    let elapsed = start.elapsed();
    let report = Report {
        most_frequent: &most_frequent,
        modules: &modules,
        total,
        elapsed,
        peak_bytes: unikernel::heap::stats().peak_bytes(),
        table_bytes: table.counters().own * PAGE_SIZE,
    };
    print!("{report}");
    Ok(())
}

/// Reserves memory for the table: three quarters of what there is, so that the pages of modules have a place
/// as well, and too many words end with an error.
fn reserve_table() -> Result<Region<Lazy>, Box<dyn Error>> {
    let bytes = describe_frames().free() * PAGE_SIZE / 4 * 3;
    let least = (Words::LEAST_MEMORY * size_of::<u64>()) as u64;
    let builder = Region::builder().name("table of words");
    Ok(builder.len(bytes.max(least)).lazy()?)
}

/// The contents of a boot module, page by page as they are read.
struct Text {
    name: &'static str,
    len: u64,
    /// None for an empty module, which no object is made of.
    pages: Option<Region<Private>>,
}

impl Text {
    fn of(module: &Module) -> Result<Self, Box<dyn Error>> {
        let show = |bytes| -> Result<_, Box<dyn Error>> {
            let object = Object::bytes(bytes)?;
            Ok(Region::builder().name(module.name()).private(&object)?)
        };
        let contents = Some(module.bytes()).filter(|bytes| !bytes.is_empty());
        Ok(Self {
            name: module.name(),
            len: module.bytes().len() as u64,
            pages: contents.map(show).transpose()?,
        })
    }

    fn bytes(&self) -> Result<&[u8], Box<dyn Error>> {
        match &self.pages {
            Some(pages) => Ok(pages.slice(..self.len)?),
            None => Ok(&[]),
        }
    }
}
