//! Promised sizes and counts: how large the smallest program is, and how much of it runs before `main`.

use std::fs;
use std::path::PathBuf;

use libtest_mimic::{Failed, Trial};

use crate::images::Images;
use crate::must_be;
use crate::tool::{json, tool};

const HELLO_ELF_MOST: u64 = 200 << 10;
const HELLO_ISO_MOST: u64 = 6 << 20;
const BOOT_MOST: f64 = 2_000_000.0;

/// Returns the trials about figures.
pub(crate) fn trials(images: &Images) -> Vec<Trial> {
    let hello = images.program("hello").elf().to_owned();
    vec![
        Trial::test("figures::the_smallest_program_is_small", move || {
            hello_is_small(&hello)
        }),
        Trial::test(
            "figures::benches_repeat_digit_for_digit_within_their_budgets",
            benches_repeat,
        ),
    ]
}

/// Proves T10.
fn hello_is_small(elf: &PathBuf) -> Result<(), Failed> {
    let built = json(&[
        "build",
        "--release",
        "--package",
        "app",
        "--bin",
        "hello",
        "--json",
    ])?;
    let iso = built["iso_bytes"].as_u64().ok_or("no iso_bytes")?;
    let elf_bytes = fs::metadata(elf)?.len();

    must_be(
        &(elf_bytes <= HELLO_ELF_MOST),
        &true,
        &format!("the ELF has {elf_bytes} bytes"),
    )?;
    must_be(
        &(iso <= HELLO_ISO_MOST),
        &true,
        &format!("the ISO has {iso} bytes"),
    )
}

fn benches_repeat() -> Result<(), Failed> {
    let folder = std::env::temp_dir();
    let file = |run: u32| folder.join(format!("unikernel-bench-{}-{run}.tsv", std::process::id()));
    for run in [1, 2] {
        let path = file(run);
        let path = path
            .to_str()
            .ok_or("the temporary folder has a strange name")?;
        let output = tool(&["bench", "--package", "unikernel-tests", "--save", path])?;
        let text =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        must_be(&output.status.code(), &Some(0), &text)?;
    }
    let (first, second) = (fs::read_to_string(file(1))?, fs::read_to_string(file(2))?);
    for run in [1, 2] {
        fs::remove_file(file(run))?;
    }

    must_be(&first, &second, "two runs of the benches differ")?;
    let boot = first
        .lines()
        .find(|line| line.contains("boot.entry_to_main"))
        .ok_or("no record of the boot")?;
    let count: f64 = boot.split('\t').nth(4).ok_or("a short record")?.parse()?;
    must_be(&(count <= BOOT_MOST), &true, boot)
}
