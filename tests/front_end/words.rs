//! The word counter against coreutils, on text that is made here.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use cargo_unikernel::image::Image;
use cargo_unikernel::machine::{Boot, Machine, Verdict};
use cargo_unikernel::module::Module;
use libtest_mimic::{Failed, Trial};

use crate::boots::boot;
use crate::images::Images;
use crate::{must_be, must_contain};

const LIMIT: Duration = Duration::from_secs(120);
/// What the counter's own documentation says it agrees with; the file's name comes as `$1`.
const COREUTILS: &str = r"export LC_ALL=C
tr 'A-Z' 'a-z' <$1 | tr -cs 'a-z0-9\200-\377' '\n' | sed '/^$/d' | sort | uniq -c | sort -k1,1nr -k2 | head -n 5";

/// Returns the trials of the word counter.
pub(crate) fn trials(images: &Images) -> Vec<Trial> {
    let app = images.program("app");
    let on = |name: &str, check: fn(&Image) -> Result<(), Failed>| {
        let image = app.clone();
        Trial::test(format!("words::{name}"), move || check(&image))
    };
    vec![
        on(
            "fifty_megabytes_are_counted_as_coreutils_count_them",
            fifty_megabytes,
        ),
        on("binary_input_is_counted_and_reported", binary_input),
        on("without_a_module_it_says_so_and_ends_with_2", no_module),
    ]
}

/// A file that is gone when this value is.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, bytes: &[u8]) -> Result<Self, Failed> {
        let path = std::env::temp_dir().join(format!("unikernel-{}-{name}", std::process::id()));
        std::fs::write(&path, bytes)?;
        Ok(Self(path))
    }

    fn module(&self) -> Result<Module, Failed> {
        let text = format!("input={}", self.0.display());
        Module::parse(&text).map_err(|error| error.to_string().into())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A file that is left behind in the temporary folder is no failure.
        let _gone = std::fs::remove_file(&self.0);
    }
}

/// Makes text of words whose frequencies differ widely, as in any language, from a fixed seed.
fn text(len: usize) -> Vec<u8> {
    let mut state = 0x5eed_u64;
    let mut next = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let mut text = Vec::with_capacity(len + 16);
    while text.len() < len {
        let rank = next() % (1 + next() % 50_000);
        let separator = [" ", "\n", ", ", ". The "][(next() % 4) as usize];
        text.extend_from_slice(format!("w{rank}{separator}").as_bytes());
    }
    text
}

fn coreutils(file: &Path) -> Result<Vec<(String, String)>, Failed> {
    let output = Command::new("sh")
        .args(["-c", COREUTILS, "sh"])
        .arg(file)
        .output()?;
    let lines = String::from_utf8(output.stdout)?;
    let pair = |line: &str| {
        let mut words = line.split_whitespace().map(str::to_owned);
        Some((words.next()?, words.next()?))
    };
    Ok(lines.lines().filter_map(pair).collect())
}

fn fifty_megabytes(image: &Image) -> Result<(), Failed> {
    let file = Scratch::new("words", &text(50_000_000))?;
    let expected = coreutils(&file.0)?;
    must_be(&expected.len(), &5, "coreutils found too few words")?;

    let machine = Machine::new(image)
        .boot(Boot::Bios)
        .modules([file.module()?])
        .words(["--top", "5"])
        .timeout(LIMIT);
    let outcome = boot(&machine)?;

    must_be(&outcome.verdict, &Verdict::Exit(0), &outcome.text)?;
    for (index, (count, word)) in expected.iter().enumerate() {
        let wanted = [(index + 1).to_string(), count.clone(), word.clone()];
        let found = outcome
            .text
            .lines()
            .any(|line| line.split_whitespace().eq(&wanted));
        must_be(
            &found,
            &true,
            &format!("no row {wanted:?} in:\n{}", outcome.text),
        )?;
    }
    Ok(())
}

fn binary_input(image: &Image) -> Result<(), Failed> {
    let bytes: Vec<u8> = [
        b"word \x00\x01\x02 word \xff\xfe caf\xc3".as_slice(),
        &[0; 5000],
    ]
    .concat();
    let file = Scratch::new("binary", &bytes)?;

    let outcome = boot(
        &Machine::new(image)
            .boot(Boot::Direct)
            .modules([file.module()?])
            .timeout(LIMIT),
    )?;

    must_be(&outcome.verdict, &Verdict::Exit(0), &outcome.text)?;
    must_contain(&outcome.text, &["2  word", "not text", "5006"])
}

fn no_module(image: &Image) -> Result<(), Failed> {
    let outcome = boot(&Machine::new(image).boot(Boot::Direct).timeout(LIMIT))?;

    must_be(&outcome.verdict, &Verdict::Exit(2), &outcome.text)?;
    must_be(&outcome.text.trim().lines().count(), &1, &outcome.text)?;
    must_contain(&outcome.text, &["error: no boot module", "usage"])
}
