//! Every program of `app/src/bin` boots, and prints what its first lines say it will.
//!
//! An example's head holds a block of text after the words "Prints:"; each of its lines must appear, in this order. `…` stands
//! for what may differ from run to run. An example that is to end with another exit code than 0 says before "ends with code 102".

use std::path::PathBuf;
use std::time::Duration;

use cargo_unikernel::image::Image;
use cargo_unikernel::machine::{Boot, Machine, Verdict};
use libtest_mimic::{Failed, Trial};

use crate::boots::boot;
use crate::images::Images;
use crate::{must_be, must_contain};

const LIMIT: Duration = Duration::from_secs(60);

/// Returns one trial for each example.
pub(crate) fn trials(images: &Images) -> Vec<Trial> {
    let examples = images.programs.iter().filter(|image| image.name() != "app");
    let trial = |image: &Image| {
        let image = image.clone();
        Trial::test(format!("examples::{}", image.name()), move || {
            prints_what_it_says(&image)
        })
    };
    examples.map(trial).collect()
}

/// Proves Q5.
fn prints_what_it_says(image: &Image) -> Result<(), Failed> {
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../app/src/bin")
        .join(format!("{}.rs", image.name()));
    let source = std::fs::read_to_string(source)?;
    let expected = promised(&source);
    must_be(
        &expected.is_empty(),
        &false,
        "the head of the example promises nothing after `Prints:`",
    )?;

    let outcome = boot(&Machine::new(image).boot(Boot::Direct).timeout(LIMIT))?;

    must_be(
        &outcome.verdict,
        &Verdict::Exit(exit_code(&source)),
        &outcome.text,
    )?;
    must_contain(
        &outcome.text,
        &expected.iter().map(String::as_str).collect::<Vec<_>>(),
    )
}

/// Returns the exit code that an example's head names, or 0.
fn exit_code(source: &str) -> u8 {
    let head = source.lines().map_while(|line| line.strip_prefix("//!"));
    let named = head.filter_map(|line| line.split_once("ends with code "));
    let digits = named.map(|(_, rest)| rest.trim_matches(|c: char| !c.is_ascii_digit()));
    digits
        .filter_map(|digits| digits.parse().ok())
        .next()
        .unwrap_or(0)
}

/// Returns the pieces of text that an example's head promises, cut at each `…`.
fn promised(source: &str) -> Vec<String> {
    let head = source.lines().map_while(|line| line.strip_prefix("//!"));
    let block = head
        .skip_while(|line| !line.contains("Prints:"))
        .filter_map(|line| line.strip_prefix("     "));
    block
        .flat_map(|line| line.split('…').map(str::to_owned))
        .filter(|piece| !piece.is_empty())
        .collect()
}
