//! The host front end: every in-kernel test by name, each boot path, the examples, and the tool as its users meet it.
//!
//! `cargo unikernel test` runs this with everything it needs installed; a bare `cargo test` only says so, so that it works on any
//! host.

mod boots;
mod endings;
mod examples;
mod figures;
mod images;
mod machines;
mod maps;
mod picture;
mod screen;
mod tool;
mod words;

use cargo_unikernel::error::Error;
use cargo_unikernel::front_end;
use cargo_unikernel::machine::Boot;
use libtest_mimic::{Arguments, Failed, Trial};

use crate::images::Images;

/// Set by `cargo unikernel test`.
const WANTED: &str = "UNIKERNEL_FRONT_END";

fn main() {
    let arguments = Arguments::from_args();
    if std::env::var_os(WANTED).is_none() {
        eprintln!("in-kernel tests boot machines: run them with `cargo unikernel test`");
        return;
    }
    match trials(arguments.nocapture) {
        Ok(trials) => libtest_mimic::run(&arguments, trials).exit(),
        Err(error) => {
            eprintln!("error: {error}");
            std::process::exit(1);
        }
    }
}

fn trials(shown: bool) -> Result<Vec<Trial>, Error> {
    let images = Images::build()?;
    let mut trials = front_end::trials(&images.suite, shown)?;
    trials.push(front_end::whole_suite(&images.suite, Boot::Bios, shown));
    trials.push(front_end::whole_suite(&images.suite, Boot::Uefi, shown));
    trials.extend(boots::trials(&images));
    trials.extend(machines::trials(&images));
    trials.extend(endings::trials(&images));
    trials.extend(examples::trials(&images));
    trials.extend(screen::trials(&images));
    trials.extend(words::trials(&images));
    trials.extend(figures::trials(&images));
    trials.extend(tool::trials());
    trials.extend(maps::trials());
    Ok(trials)
}

/// Fails a trial with `text` unless it contains each of `parts`, in this order.
fn must_contain(text: &str, parts: &[&str]) -> Result<(), Failed> {
    let mut rest = text;
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return Err(format!("{part:?} is missing, or out of order, in:\n{text}").into()),
        }
    }
    Ok(())
}

/// Fails a trial with `text` unless `actual` is `expected`.
fn must_be<T: PartialEq + std::fmt::Debug>(
    actual: &T,
    expected: &T,
    text: &str,
) -> Result<(), Failed> {
    if actual == expected {
        Ok(())
    } else {
        Err(format!("expected {expected:?}, but it is {actual:?}:\n{text}").into())
    }
}
