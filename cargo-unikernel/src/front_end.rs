//! In-kernel tests under the names and options of `cargo test`: one machine for each, several at a time.
//!
//! ```no_run
//! use cargo_unikernel::compile::{self, Contents, Profile};
//! use cargo_unikernel::{front_end, machine::Boot, project::Project};
//!
//! let arguments = libtest_mimic::Arguments::from_args();
//! let project = Project::here()?;
//! let package = project.package(Some("unikernel-tests"))?;
//! let mut trials = Vec::new();
//! for image in compile::images(&project, package, Profile::Dev, Contents::Tests)? {
//!     trials.extend(front_end::trials(&image, arguments.nocapture)?);
//!     trials.push(front_end::whole_suite(&image, Boot::Uefi, arguments.nocapture));
//! }
//! libtest_mimic::run(&arguments, trials).exit();
//! # Ok::<(), cargo_unikernel::error::Error>(())
//! ```

use std::io::Write;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};

use crate::error::Error;
use crate::image::Image;
use crate::machine::{Boot, Machine, Outcome, Verdict};
use crate::{duration, install, parts};

/// How long a machine may take for a test; the guest has a limit of its own for most of what can go wrong.
const TEST_LIMIT: Duration = Duration::from_secs(60);
/// How long it may take for all tests of an image.
const SUITE_LIMIT: Duration = Duration::from_secs(300);

/// What an entry of an image's registry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A test.
    Test,
    /// A test that runs only when asked for.
    Ignored,
    /// A bench.
    Bench,
}

/// An entry of an image's registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name, without that of the crate: `module::function`.
    pub name: String,
    /// What it is.
    pub kind: Kind,
}

impl Entry {
    /// Reads `NAME: test`, `NAME: test [ignored]` or `NAME: bench`.
    fn parse(line: &str) -> Option<Self> {
        let (name, kind) = line.trim_end().rsplit_once(": ")?;
        let kind = match kind {
            "test" => Kind::Test,
            "test [ignored]" => Kind::Ignored,
            "bench" => Kind::Bench,
            _ => return None,
        };
        Some(Self {
            name: name.to_owned(),
            kind,
        })
    }
}

/// Boots an image to ask for its tests and benches.
pub fn list(image: &Image) -> Result<Vec<Entry>, Error> {
    install::ensure(&[parts::TO_RUN])?;
    let machine = Machine::new(image)
        .boot(Boot::Direct)
        .words(["unikernel.list"])
        .timeout(TEST_LIMIT);
    let outcome = machine.capture()?;
    if outcome.verdict.is_success() {
        return Ok(outcome.text.lines().filter_map(Entry::parse).collect());
    }
    let text = explained(&outcome, TEST_LIMIT).replace('\n', " | ");
    Err(Error::Project(format!(
        "`{}` did not list its tests: {text}",
        image.name()
    )))
}

/// Returns a trial for each test of an image; `shown` ones print what the guest says even if they pass.
pub fn trials(image: &Image, shown: bool) -> Result<Vec<Trial>, Error> {
    let tests = list(image)?
        .into_iter()
        .filter(|entry| entry.kind != Kind::Bench);
    Ok(tests.map(|entry| trial(image, &entry, shown)).collect())
}

/// Returns a trial that runs all tests of an image in one machine.
#[must_use]
pub fn whole_suite(image: &Image, boot: Boot, shown: bool) -> Trial {
    let words = shown.then_some("unikernel.nocapture");
    let machine = Machine::new(image)
        .boot(boot)
        .words(words)
        .timeout(SUITE_LIMIT);
    let way = match boot {
        Boot::Bios => "BIOS",
        Boot::Uefi => "UEFI",
        Boot::Direct => "PVH",
    };
    let name = format!("whole_suite_by_{}", way.to_lowercase());
    let trial = Trial::test(name, move || {
        judged(&machine, "test result: ok. ", SUITE_LIMIT, shown)
    });
    trial.with_kind(image.name())
}

fn trial(image: &Image, entry: &Entry, shown: bool) -> Trial {
    let is_ignored = entry.kind == Kind::Ignored;
    let words = [format!("unikernel.exact={}", entry.name)];
    let machine = Machine::new(image)
        .boot(Boot::Direct)
        .words(words)
        .timeout(TEST_LIMIT);
    let machine = if is_ignored {
        machine.words(["unikernel.include-ignored"])
    } else {
        machine
    };
    let machine = if shown {
        machine.words(["unikernel.nocapture"])
    } else {
        machine
    };
    let run = move || judged(&machine, "test result: ok. 1 passed;", TEST_LIMIT, shown);
    Trial::test(entry.name.clone(), run)
        .with_kind(image.name())
        .with_ignored_flag(is_ignored)
}

/// Boots a machine, which passes if it ends with code 0 and has said what it must.
fn judged(machine: &Machine, must_say: &str, limit: Duration, shown: bool) -> Result<(), Failed> {
    let outcome = machine
        .capture()
        .map_err(|error| Failed::from(error.to_string()))?;
    let is_passed = outcome.verdict.is_success() && outcome.text.contains(must_say);
    if !is_passed {
        return Err(explained(&outcome, limit).into());
    }
    if shown {
        let _ = std::io::stdout().lock().write_all(outcome.text.as_bytes());
    }
    Ok(())
}

/// Returns what the guest said and how its machine ended.
fn explained(outcome: &Outcome, limit: Duration) -> String {
    let end = match outcome.verdict {
        Verdict::Exit(code) => format!("the guest ended with code {code}"),
        Verdict::Stopped => Error::NoVerdict.to_string(),
        Verdict::Timeout => format!(
            "the guest was still running after {}",
            duration::show(limit)
        ),
        Verdict::Interrupted => Error::Interrupted.to_string(),
    };
    format!("{}\n{end}", outcome.text.trim_end())
        .trim_start()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_and_other_lines_are_not() {
        let entry = |name: &str, kind| {
            Some(Entry {
                name: name.to_owned(),
                kind,
            })
        };

        assert_eq!(
            Entry::parse("heap::grows: test"),
            entry("heap::grows", Kind::Test)
        );
        assert_eq!(
            Entry::parse("heap::slow: test [ignored]"),
            entry("heap::slow", Kind::Ignored)
        );
        assert_eq!(
            Entry::parse("memcpy: bench\r"),
            entry("memcpy", Kind::Bench)
        );
        assert_eq!(Entry::parse("boot: done"), None);
        assert_eq!(Entry::parse(""), None);
    }

    #[test]
    fn a_failure_shows_the_text_and_the_end() {
        let outcome = Outcome {
            verdict: Verdict::Exit(101),
            text: "panicked\n".to_owned(),
            wall: Duration::ZERO,
        };

        assert_eq!(
            explained(&outcome, TEST_LIMIT),
            "panicked\nthe guest ended with code 101"
        );
    }
}
