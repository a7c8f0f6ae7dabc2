//! The tool as its users meet it: a new project outside the workspace, wrong arguments, missing programs.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::{must_be, must_contain};

/// Returns the trials of the tool.
pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test(
            "tool::a_new_project_anywhere_runs_panics_and_is_tested",
            new_project,
        ),
        Trial::test(
            "tool::what_is_wrong_is_said_in_one_line_with_a_code_of_its_own",
            mistakes,
        ),
        Trial::test(
            "tool::a_missing_program_is_named_with_the_command_that_installs_it",
            missing_programs,
        ),
        Trial::test(
            "tool::without_the_tool_an_image_says_how_to_boot_it",
            host_binary,
        ),
        Trial::test(
            "tool::a_tool_that_is_killed_takes_its_machine_with_it",
            killed,
        ),
        Trial::test("tool::the_doctor_can_be_read_by_programs", doctor),
    ]
}

/// The tool's program, built by whoever runs the front end.
fn program() -> Result<PathBuf, Failed> {
    let here = std::env::current_exe()?;
    let folder = here
        .parent()
        .and_then(Path::parent)
        .ok_or("the front end lies in no target folder")?;
    Ok(folder.join("cargo-unikernel"))
}

/// Runs the tool at the workspace root.
pub(crate) fn tool(arguments: &[&str]) -> Result<Output, Failed> {
    tool_in(
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")),
        arguments,
    )
}

fn tool_in(folder: &Path, arguments: &[&str]) -> Result<Output, Failed> {
    let mut command = Command::new(program()?);
    let output = command
        .args(arguments)
        .current_dir(folder)
        .env_remove("UNIKERNEL_FRONT_END")
        .output();
    Ok(output?)
}

/// Runs the tool at the workspace root and reads its answer.
pub(crate) fn json(arguments: &[&str]) -> Result<Value, Failed> {
    let output = tool(arguments)?;
    must_be(&output.status.code(), &Some(0), &everything(&output))?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

pub(crate) fn everything(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A folder that is gone when this value is.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Result<Self, Failed> {
        let path = std::env::temp_dir().join(format!("unikernel-{}-{name}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    fn file(&self, name: &str, contents: &[u8]) -> Result<String, Failed> {
        let path = self.path(name)?;
        fs::write(&path, contents)?;
        Ok(path)
    }

    pub(crate) fn path(&self, name: &str) -> Result<String, Failed> {
        let path = self.0.join(name);
        let path = path.to_str();
        Ok(path
            .ok_or("the temporary folder has a strange name")?
            .to_owned())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A folder that is left behind in the temporary folder is no failure.
        let _gone = fs::remove_dir_all(&self.0);
    }
}

/// Proves T4, T8.
fn new_project() -> Result<(), Failed> {
    let scratch = Scratch::new("new")?;
    let made = tool_in(&scratch.0, &["new", "greeter"])?;
    must_be(&made.status.code(), &Some(0), &everything(&made))?;
    let project = scratch.0.join("greeter");

    let ran = tool_in(&project, &["run"])?;
    must_be(&ran.status.code(), &Some(0), &everything(&ran))?;
    must_contain(&everything(&ran), &["Hello from greeter!"])?;

    let tested = tool_in(&project, &["test"])?;
    must_be(&tested.status.code(), &Some(0), &everything(&tested))?;
    must_contain(
        &everything(&tested),
        &["running 1 test", "... ok", "test result: ok. 1 passed"],
    )?;

    let released = tool_in(&project, &["build", "--release"])?;
    must_be(&released.status.code(), &Some(0), &everything(&released))?;

    let main = project.join("src/main.rs");
    let source = fs::read_to_string(&main)?;
    fs::write(&main, source.replacen("println!", "panic!", 1))?;
    let panicked = tool_in(&project, &["run"])?;
    must_be(&panicked.status.code(), &Some(101), &everything(&panicked))?;
    must_contain(
        &everything(&panicked),
        &[
            "panicked at src/main.rs:",
            "Hello from greeter!",
            "greeter::main",
            " at src/main.rs:",
        ],
    )
}

/// Proves T11.
fn mistakes() -> Result<(), Failed> {
    let scratch = Scratch::new("mistakes")?;
    let program = program()?;
    let program = program
        .to_str()
        .ok_or("the target folder has a strange name")?;
    let nothing = scratch.file("nothing", b"")?;
    let large = scratch.file("large", &vec![0; 40 << 20])?;
    let of_files: [(&[&str], i32, &str); 6] = [
        (&["run", "--image", program], 121, "image"),
        (&["run", "--image", &nothing], 121, "image"),
        (&["run", "--image", "/no/such/file"], 122, "/no/such/file"),
        (
            &["run", "--module", "/no/such/module"],
            122,
            "/no/such/module",
        ),
        (
            &["run", "--memory", "32M", "--module", &large],
            123,
            "memory",
        ),
        (&["run", "--memory", "1M"], 123, "memory"),
    ];
    let of_words: [(&[&str], i32, &str); 5] = [
        (&["run", "--memory", "much"], 2, "much"),
        (&["run", "--timeout", "soon"], 2, "soon"),
        (&["run", "--bin", "nobody"], 2, "nobody"),
        (&["run", "--package", "nobody"], 2, "nobody"),
        (&["new", "not a name"], 2, "not a name"),
    ];
    for (arguments, code, mentions) in of_files.into_iter().chain(of_words) {
        must_be_refused(arguments, code, mentions)?;
    }
    let endings = [
        "run",
        "--package",
        "unikernel-tests",
        "--bin",
        "endings",
        "--direct",
    ];
    must_be_refused(
        &[&endings[..], &["--timeout", "2s", "--", "hang"]].concat(),
        124,
        "2s",
    )?;
    must_be_refused(&[&endings[..], &["--", "triple"]].concat(), 125, "verdict")
}

/// Fails a trial unless the tool ends with `code` after one line of error, which mentions something, and no backtrace.
pub(crate) fn must_be_refused(arguments: &[&str], code: i32, mentions: &str) -> Result<(), Failed> {
    let output = tool(arguments)?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let context = format!("{arguments:?}:\n{text}");
    let said: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("error: "))
        .collect();

    must_be(&output.status.code(), &Some(code), &context)?;
    must_be(&said.len(), &1, &context)?;
    must_contain(said[0], &[mentions])?;
    must_be(
        &(text.contains("stack backtrace") || text.contains("RUST_BACKTRACE")),
        &false,
        &context,
    )
}

/// Proves T2, T11. The programs are hidden by a `PATH` that leads to the compiler alone.
fn missing_programs() -> Result<(), Failed> {
    let scratch = Scratch::new("missing")?;
    for name in ["cargo", "rustc", "cc", "sh"] {
        std::os::unix::fs::symlink(which(name)?, scratch.0.join(name))?;
    }
    let output = Command::new(program()?)
        .args(["run", "--bin", "hello"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .env("PATH", &scratch.0)
        .env("UNIKERNEL_NO_INSTALL", "1")
        .output()?;

    must_be(&output.status.code(), &Some(126), &everything(&output))?;
    let text = everything(&output);
    for part in [
        "qemu-system-x86_64",
        "grub-mkrescue",
        "xorriso",
        "apt-get install",
    ] {
        must_contain(&text, &[part])?;
    }
    Ok(())
}

fn which(name: &str) -> Result<PathBuf, Failed> {
    let path = std::env::var_os("PATH").ok_or("there is no PATH")?;
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file());
    found.ok_or_else(|| format!("`{name}` is not in PATH").into())
}

/// Proves T9.
fn host_binary() -> Result<(), Failed> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsStr::new("cargo").to_owned());
    let output = Command::new(cargo)
        .args(["run", "--quiet", "--package", "app", "--bin", "hello"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()?;

    let text = everything(&output);
    must_be(&output.status.code(), &Some(2), &text)?;
    must_be(&text.lines().count(), &1, &text)?;
    must_contain(&text, &["`cargo unikernel run --bin hello`"])
}

/// Nothing of the tool runs any more when it is killed; the machine must not go on for ever.
fn killed() -> Result<(), Failed> {
    let words = "run --package unikernel-tests --bin endings --direct --timeout 60s -- hang";
    let mut tool = Command::new(program()?)
        .args(words.split_whitespace())
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .env_remove("UNIKERNEL_FRONT_END")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut said = [0; 8];
    let stdout = tool.stdout.as_mut().ok_or("the tool has no output")?;
    let heard = stdout.read_exact(&mut said);
    let machines = children_of(tool.id());
    tool.kill()?;
    tool.wait()?;
    heard?;

    must_be(&machines.len(), &1, "machines of the tool")?;
    let end = Instant::now() + Duration::from_secs(10);
    while is_running(machines[0]) {
        if Instant::now() > end {
            return Err(format!("process {} goes on", machines[0]).into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Returns the state and the parent of a process (proc(5), `/proc/PID/stat`).
fn status_of(process: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let mut words = stat.rsplit_once(") ")?.1.split(' ');
    Some((words.next()?.chars().next()?, words.next()?.parse().ok()?))
}

fn is_running(process: u32) -> bool {
    status_of(process).is_some_and(|(state, _)| state != 'Z' && state != 'X')
}

fn children_of(parent: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&process| status_of(process).is_some_and(|(_, its)| its == parent))
        .collect()
}

/// Proves T2.
fn doctor() -> Result<(), Failed> {
    let report = json(&["doctor", "--json"])?;
    let text = report.to_string();

    for part in [
        "rustc",
        "qemu-system-x86_64",
        "grub-mkrescue",
        "xorriso",
        "mformat",
        "OVMF",
    ] {
        must_contain(&text, &[part])?;
    }
    Ok(())
}
