//! Installing what is missing, where that is allowed: as root or with a `sudo` that asks nothing, by apt-get.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use crate::error::Error;
use crate::parts::{self, Part};
use crate::process;
use crate::progress::{self, Progress};

/// Forbids installing when it is set to 1.
const FORBIDDEN: &str = "UNIKERNEL_NO_INSTALL";
const LAST_LINES: usize = 8;
const UPDATE_ATTEMPTS: u32 = 30;

/// Whether missing parts may be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permission {
    /// Yes, unless the environment forbids it.
    AsUsual,
    /// Yes.
    Granted,
    /// No.
    Denied,
}

impl Permission {
    fn is_given(self) -> bool {
        match self {
            Self::AsUsual => std::env::var_os(FORBIDDEN).is_none_or(|value| value != "1"),
            Self::Granted => true,
            Self::Denied => false,
        }
    }
}

/// Makes sure that all parts are there, installing silently what is missing.
pub(crate) fn ensure(needed: &[&[Part]]) -> Result<(), Error> {
    let missing = parts::missing(&needed.concat());
    if missing.is_empty() {
        Ok(())
    } else {
        install(&missing, Permission::AsUsual)
    }
}

/// Installs the given parts, or says in one line what to type.
pub(crate) fn install(missing: &[Part], permission: Permission) -> Result<(), Error> {
    let refused = |why: &str| Err(Error::MissingTools(advice(missing, why)));
    if !permission.is_given() {
        return refused("");
    }
    if missing.contains(&Part::Target) {
        run(
            Command::new("rustup").args(["target", "add", Part::Target.name()]),
            "installing the target",
        )?;
    }
    let packages = packages(missing);
    if !packages.is_empty() {
        if process::find("apt-get").is_none() {
            return refused(" (there is no apt-get here to do it)");
        }
        let Some(prefix) = rights() else {
            return refused(" (that takes root or a sudo without a password)");
        };
        apt(&prefix, &packages)?;
    }
    match parts::missing(missing)[..] {
        [] => Ok(()),
        ref left => Err(Error::MissingTools(format!(
            "{} still missing after installing",
            listed(left)
        ))),
    }
}

/// Returns what is missing and the one command to type.
pub(crate) fn advice(missing: &[Part], why: &str) -> String {
    let mut commands = Vec::new();
    if missing.contains(&Part::Target) {
        commands.push(format!("rustup target add {}", Part::Target.name()));
    }
    let packages = packages(missing);
    if !packages.is_empty() {
        commands.push(format!(
            "sudo apt-get install --no-install-recommends {}",
            packages.join(" ")
        ));
    }
    format!(
        "{} missing{why}; type: {}",
        listed(missing),
        commands.join(" && ")
    )
}

fn listed(parts: &[Part]) -> String {
    let verb = if parts.len() == 1 { "is" } else { "are" };
    let names: Vec<_> = parts.iter().map(|part| part.name()).collect();
    format!("{} {verb}", names.join(", "))
}

fn packages(missing: &[Part]) -> Vec<&'static str> {
    missing
        .iter()
        .flat_map(|part| part.packages())
        .copied()
        .collect()
}

/// Returns what to put before a command to run it with all rights, `None` if that cannot be had.
fn rights() -> Option<Vec<&'static str>> {
    if rustix::process::geteuid().is_root() {
        return Some(Vec::new());
    }
    process::said("sudo", &["-n", "true"]).map(|_| vec!["sudo", "-n"])
}

fn apt(prefix: &[&str], packages: &[&str]) -> Result<(), Error> {
    let command = |words: &[&str]| {
        let environment = [
            "env",
            "DEBIAN_FRONTEND=noninteractive",
            "apt-get",
            "-o",
            "DPkg::Lock::Timeout=120",
        ];
        let all = [prefix, &environment, words].concat();
        let mut command = Command::new(all[0]);
        command.args(&all[1..]);
        command
    };
    // A failing update is no reason to stop: the packages may be known already.
    update(&mut command(&["update"]));
    let install = [&["install", "--yes", "--no-install-recommends"], packages].concat();
    run(
        &mut command(&install),
        &format!("installing {}", packages.join(" ")),
    )
}

/// Refreshes the list of packages; apt-get waits for other installations, but not for another refreshing.
fn update(command: &mut Command) {
    for _ in 0..UPDATE_ATTEMPTS {
        let said = attempt(command, "refreshing the list of packages")
            .err()
            .unwrap_or_default();
        if !said.iter().any(|line| line.contains("Could not get lock")) {
            return;
        }
        thread::sleep(Duration::from_secs(2));
    }
}

/// Runs a command behind a spinner; if it fails, shows its last lines.
fn run(command: &mut Command, step: &str) -> Result<(), Error> {
    let Err(said) = attempt(command, step) else {
        return Ok(());
    };
    for line in said.iter().skip(said.len().saturating_sub(LAST_LINES)) {
        progress::line(line);
    }
    Err(Error::MissingTools(format!("{step} failed")))
}

/// Runs a command behind a spinner; if it fails, returns all it said.
fn attempt(command: &mut Command, step: &str) -> Result<(), Vec<String>> {
    let progress = Progress::start(step);
    let spawned = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = spawned.map_err(|cause| vec![cause.to_string()])?;
    let said = Mutex::new(Vec::new());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        scope.spawn(|| stdout.map(|stdout| follow(stdout, &progress, &said)));
        scope.spawn(|| stderr.map(|stderr| follow(stderr, &progress, &said)));
    });
    let is_success = child.wait().is_ok_and(|status| status.success());
    if is_success {
        Ok(())
    } else {
        Err(said.into_inner().unwrap_or_default())
    }
}

fn follow(from: impl Read, progress: &Progress, said: &Mutex<Vec<String>>) {
    for line in BufReader::new(from).lines().map_while(Result::ok) {
        progress.detail(&line);
        if let Ok(mut said) = said.lock() {
            said.push(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves T2.
    #[test]
    fn the_advice_is_one_command_in_one_line() {
        assert_eq!(
            advice(&[Part::Qemu, Part::Xorriso], ""),
            "qemu-system-x86_64, xorriso are missing; type: \
             sudo apt-get install --no-install-recommends qemu-system-x86 xorriso"
        );
        assert_eq!(
            advice(&[Part::Target], ""),
            "x86_64-unknown-linux-gnu is missing; type: rustup target add x86_64-unknown-linux-gnu"
        );
    }

    #[test]
    fn nothing_is_installed_without_permission() {
        let error = install(&[Part::Mtools], Permission::Denied).unwrap_err();

        assert_eq!(error.exit_code(), 126);
        assert!(
            error.to_string().starts_with("mtools is missing; type: "),
            "{error}"
        );
    }

    #[test]
    fn a_failing_command_gives_all_it_said() {
        let said = attempt(
            Command::new("sh").args(["-c", "echo one; echo two >&2; exit 1"]),
            "trying",
        )
        .unwrap_err();

        assert_eq!(said.len(), 2);
    }
}
