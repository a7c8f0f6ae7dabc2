//! What a user reads and what a script gets: the tool itself, with wrong input and with guests that misbehave.
//!
//! The guests are probes, hand-assembled and a few bytes long. Tests that boot one need QEMU; they are ignored unless
//! `cargo unikernel test` runs them.

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use cargo_unikernel::probe::Probe;
use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;

/// What is typed, the code it gives, and how the only line of error begins.
const REFUSED: [(&str, &str, i32, &str); 11] = [
    (
        "an_unparsable_size",
        "run --memory lots",
        2,
        "invalid value 'lots' for '--memory <SIZE>': write a whole number and K, M or G, as in 512M",
    ),
    (
        "an_unparsable_time",
        "run --timeout soon",
        2,
        "invalid value 'soon' for '--timeout <TIME>': write a whole number and ms, s, m or h, as in 30s",
    ),
    (
        "a_misspelt_command",
        "rum",
        2,
        "unrecognized subcommand 'rum'; a similar subcommand exists: 'run'",
    ),
    (
        "the_word_that_cargo_adds",
        "unikernel run --memory 0M",
        2,
        "invalid value '0M' for '--memory <SIZE>'",
    ),
    (
        "a_missing_image",
        "run --image no-such.elf",
        122,
        "cannot read `no-such.elf`: no such file or directory",
    ),
    (
        "a_file_that_is_no_image",
        "run --image Cargo.toml",
        121,
        "`Cargo.toml` is not an image: it is not an ELF file",
    ),
    (
        "a_program_of_the_host",
        concat!("run --image ", env!("CARGO_BIN_EXE_cargo-unikernel")),
        121,
        concat!(
            "`",
            env!("CARGO_BIN_EXE_cargo-unikernel"),
            "` is not an image: it has no Multiboot2 header"
        ),
    ),
    (
        "a_missing_package",
        "run --package nothing",
        2,
        "there is no package `nothing` here, only ",
    ),
    (
        "a_package_without_the_library",
        "build --package cargo-unikernel",
        2,
        "`cargo-unikernel` does not depend on",
    ),
    (
        "a_missing_module",
        "run --image PROBE --module no-such.txt",
        122,
        "cannot read `no-such.txt`: no such file",
    ),
    (
        "an_impossible_name",
        "new 2fast",
        2,
        "`2fast` cannot be the name of a project: it must begin with a letter",
    ),
];

/// The same for machines that boot a probe.
fn misbehaving() -> Vec<(&'static str, Probe, &'static str, i32, &'static str)> {
    let exit = Probe::new().exit(0);
    vec![
        (
            "a_guest_that_hangs",
            Probe::new().hang(),
            "--direct --timeout 300ms",
            124,
            "the guest was still running after 300ms",
        ),
        (
            "a_triple_fault",
            Probe::new().triple_fault(),
            "--direct",
            125,
            "the machine reset or went off without a verdict",
        ),
        (
            "too_little_memory",
            exit.clone(),
            "--direct --memory 2M",
            123,
            "--memory 2M is too small: booting this image takes 4M",
        ),
        (
            "what_qemu_cannot_have",
            exit,
            "--direct --memory 900000G",
            127,
            "QEMU failed: ",
        ),
    ]
}

fn main() {
    let boots = std::env::var_os("UNIKERNEL_FRONT_END").is_some();
    let mut trials = without_machine();
    trials.extend(
        with_machine()
            .into_iter()
            .map(|trial| trial.with_ignored_flag(!boots)),
    );
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// Proves T11.
fn without_machine() -> Vec<Trial> {
    let mut trials: Vec<Trial> = REFUSED
        .iter()
        .map(|&(name, words, code, message)| {
            test(&format!("{name}_is_one_line"), move || {
                boots(Probe::new(), words).fails(code, message)
            })
        })
        .collect();
    trials.extend([
        test(
            "a_folder_without_a_project_is_one_line",
            a_folder_without_a_project,
        ),
        test(
            "a_missing_tool_is_one_line_with_the_command_to_type",
            a_missing_tool,
        ),
        test(
            "a_new_project_is_not_made_over_another",
            a_new_project_over_another,
        ),
        test("help_is_no_failure", || tool("run --help").ends(0)),
        test("help_is_found_by_its_name", || tool("help run").ends(0)),
    ]);
    trials
}

/// Proves T1, T3, T11.
fn with_machine() -> Vec<Trial> {
    let mut trials: Vec<Trial> = misbehaving()
        .into_iter()
        .map(|(name, probe, options, code, message)| {
            let words = format!("run --image PROBE {options}");
            test(&format!("{name}_is_one_line"), move || {
                boots(probe, &words).fails(code, message)
            })
        })
        .collect();
    let hello = || Probe::new().say("hello\r\n");
    trials.extend([
        test("the_guests_code_is_the_tools_code", move || {
            boots(hello().exit(7), "run --image PROBE --direct")
                .says("hello\n")?
                .ends(7)
        }),
        test("a_guest_boots_by_bios", move || {
            boots(hello().exit(0), "run --image PROBE")
                .says("hello\n")?
                .ends(0)
        }),
        test("a_guest_boots_by_uefi", move || {
            boots(hello().exit(0), "run --image PROBE --uefi")
                .says("hello\n")?
                .ends(0)
        }),
        test("a_code_over_110_is_read_from_the_last_line", || {
            boots(
                Probe::new().say("unikernel: exit code 200\n").exit(111),
                "run --image PROBE --direct",
            )
            .ends(200)
        }),
        test(
            "a_module_larger_than_memory_is_one_line",
            a_module_larger_than_memory,
        ),
        test("a_result_for_scripts_is_json", a_result_for_scripts_is_json),
        test(
            "a_debugger_is_told_what_to_type",
            a_debugger_is_told_what_to_type,
        ),
        test(
            "without_a_terminal_progress_is_plain_lines",
            progress_is_plain_lines,
        ),
        test(
            "what_is_typed_reaches_the_guest",
            what_is_typed_reaches_the_guest,
        ),
    ]);
    trials
}

fn a_folder_without_a_project() -> Result<(), Failed> {
    let folder = TempDir::new()?;
    let output = command("run").current_dir(&folder).output()?;
    Said(output).fails(2, "could not find `Cargo.toml`")
}

/// Proves T2, T11.
fn a_missing_tool() -> Result<(), Failed> {
    let folder = TempDir::new()?;
    let file = folder.path().join("probe.elf");
    fs::write(&file, Probe::new().exit(0).image())?;
    let words = format!("run --image {}", file.display());
    let output = command(&words).env("PATH", folder.path()).output()?;
    Said(output).fails(
        126,
        "qemu-system-x86_64, grub-mkrescue, GRUB for BIOS, GRUB for UEFI, xorriso, mtools are missing; type: sudo apt-get install",
    )
}

fn a_new_project_over_another() -> Result<(), Failed> {
    let folder = TempDir::new()?;
    fs::create_dir(folder.path().join("hello"))?;
    let output = command("new hello").current_dir(&folder).output()?;
    Said(output).fails(2, "`hello` exists already")
}

/// Proves T6.
fn a_debugger_is_told_what_to_type() -> Result<(), Failed> {
    let said = boots(
        Probe::new().exit(0),
        "run --image PROBE --direct --gdb --timeout 500ms",
    );
    let text = String::from_utf8_lossy(&said.0.stderr).into_owned();
    check(
        text.starts_with("gdb -ex \"target remote :") && text.contains("probe.elf\n"),
        &text,
    )?;
    said.fails(124, "the guest was still running after 500ms")
}

/// Proves T7.
fn progress_is_plain_lines() -> Result<(), Failed> {
    let said = boots(Probe::new().exit(0), "run --image PROBE");
    check(said.0.stderr == b"making the ISO\nbooting\n", &said.0)?;
    said.ends(0)
}

/// Proves T6.
fn a_result_for_scripts_is_json() -> Result<(), Failed> {
    let said = boots(
        Probe::new().say("hello\n").exit(3),
        "run --image PROBE --direct --json",
    );
    let report: serde_json::Value = serde_json::from_slice(&said.0.stdout)?;
    check(
        report["exit_code"] == 3 && report["output"] == "hello\n",
        &report,
    )?;
    said.ends(3)
}

fn what_is_typed_reaches_the_guest() -> Result<(), Failed> {
    let folder = TempDir::new()?;
    let file = folder.path().join("probe.elf");
    fs::write(&file, Probe::new().echo().echo().exit(0).image())?;
    let words = format!("run --direct --timeout 10s --image {}", file.display());
    let mut child = command(&words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    child.stdin.take().ok_or("it is piped")?.write_all(b"ab")?;
    Said(child.wait_with_output()?).says("ab")?.ends(0)
}

/// Proves T11.
fn a_module_larger_than_memory() -> Result<(), Failed> {
    let folder = TempDir::new()?;
    let module = folder.path().join("large");
    fs::File::create(&module)?.set_len(100 << 20)?;
    let words = format!(
        "run --image PROBE --memory 64M --module {}",
        module.display()
    );
    let message = "--memory 64M is too small: booting this image with 100M of modules takes 104M";
    boots(Probe::new().exit(0), &words).fails(123, message)
}

fn test(name: &str, run: impl FnOnce() -> Result<(), Failed> + Send + 'static) -> Trial {
    Trial::test(name, run)
}

/// Runs the tool; the word PROBE stands for the probe's file.
fn boots(probe: Probe, words: &str) -> Said {
    let folder = TempDir::new().expect("there is a temporary folder");
    let file = folder.path().join("probe.elf");
    fs::write(&file, probe.image()).expect("the temporary folder can be written");
    tool(&words.replace("PROBE", &file.display().to_string()))
}

fn tool(words: &str) -> Said {
    Said(
        command(words)
            .output()
            .expect("the tool was built for this test"),
    )
}

fn command(words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-unikernel"));
    command
        .args(words.split_whitespace())
        .env("UNIKERNEL_NO_INSTALL", "1")
        .stdin(Stdio::null());
    command
}

/// What the tool said and how it ended.
struct Said(Output);

impl Said {
    fn says(self, text: &str) -> Result<Self, Failed> {
        check(String::from_utf8_lossy(&self.0.stdout) == text, &self.0)?;
        Ok(self)
    }

    fn ends(self, code: i32) -> Result<(), Failed> {
        check(self.0.status.code() == Some(code), &self.0)
    }

    /// The last line is the error, and the only line with one.
    fn fails(self, code: i32, message: &str) -> Result<(), Failed> {
        let said = String::from_utf8_lossy(&self.0.stderr).into_owned();
        let last = said.trim_end().lines().last().unwrap_or_default();
        let is_it = last
            .strip_prefix("error: ")
            .is_some_and(|text| text.starts_with(message));
        check(
            is_it && said.matches("error:").count() == 1 && !said.contains("panicked"),
            &self.0,
        )?;
        self.ends(code)
    }
}

fn check(is_so: bool, shown: &impl std::fmt::Debug) -> Result<(), Failed> {
    if is_so {
        Ok(())
    } else {
        Err(format!("{shown:?}").into())
    }
}
