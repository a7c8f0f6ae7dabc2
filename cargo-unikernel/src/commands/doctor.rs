//! `cargo unikernel doctor`: what is here, what is missing, what can be done about it.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::Error;
use crate::install::{self, Permission};
use crate::parts::{self, Part};
use crate::project::Project;
use crate::size::Size;
use crate::{accelerator, cli, process};

const OLDEST_RUST: (u32, u32) = (1, 95);
const NEEDED_DISK: Size = Size::mebibytes(1024);

const PARTS: [Part; 9] = [
    Part::Target,
    Part::Linker,
    Part::Qemu,
    Part::GrubMkrescue,
    Part::GrubBios,
    Part::GrubUefi,
    Part::Xorriso,
    Part::Mtools,
    Part::Ovmf,
];

/// Checks what images need to be built and booted, and installs what is missing where it may.
///
/// It may as root, or with a `sudo` that asks for no password, on a system with apt-get, and unless the environment
/// variable UNIKERNEL_NO_INSTALL is 1. All other commands do the same for what they need.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
    /// Install even if the environment forbids it
    #[arg(long, conflicts_with = "no_install")]
    fix: bool,
    /// Only look
    #[arg(long)]
    no_install: bool,
}

/// A finding.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    ok: bool,
    detail: String,
}

#[derive(Debug, Serialize)]
struct Report {
    ok: bool,
    checks: Vec<Check>,
}

impl Arguments {
    pub(crate) fn execute(&self) -> Result<u8, Error> {
        let missing = parts::missing(&PARTS);
        let permission = match (self.fix, self.no_install) {
            (true, _) => Permission::Granted,
            (_, true) => Permission::Denied,
            _ => Permission::AsUsual,
        };
        let installed = if missing.is_empty() {
            Ok(())
        } else {
            install::install(&missing, permission)
        };

        let checks = checks();
        let failed: Vec<&str> = checks
            .iter()
            .filter(|check| !check.ok)
            .map(|check| check.name)
            .collect();
        let summary = failed.join(", ");
        let report = Report {
            ok: failed.is_empty(),
            checks,
        };
        if self.json {
            cli::print_json(&report)?
        } else {
            cli::print(&report.text())?
        }
        installed?;
        if report.ok {
            Ok(0)
        } else {
            Err(Error::MissingTools(format!("not as it must be: {summary}")))
        }
    }
}

impl Report {
    fn text(&self) -> String {
        let line = |check: &Check| {
            let mark = if check.ok { "ok" } else { "FAIL" };
            format!("{:4} {:24} {}\n", mark, check.name, check.detail)
        };
        self.checks.iter().map(line).collect()
    }
}

fn checks() -> Vec<Check> {
    let mut checks = vec![rust()];
    checks.extend(PARTS.map(part));
    checks.push(disk());
    let choice = accelerator::automatic();
    checks.push(Check {
        name: "accelerator",
        ok: true,
        detail: choice.reason.clone(),
    });
    checks
}

fn rust() -> Check {
    let said = process::said("rustc", &["--version"]);
    let version = said.as_deref().and_then(version);
    let ok = version.is_some_and(|version| version >= OLDEST_RUST);
    let (major, minor) = OLDEST_RUST;
    let detail = match said {
        Some(said) if ok => said,
        Some(said) => {
            format!("{said} is too old, type: rustup update stable (at least {major}.{minor})")
        }
        None => "rustc is not in the path, see https://rustup.rs".to_owned(),
    };
    Check {
        name: "rustc",
        ok,
        detail,
    }
}

/// Reads `rustc 1.95.0 (59807616e 2026-04-14)`.
fn version(said: &str) -> Option<(u32, u32)> {
    let mut numbers = said.split_whitespace().nth(1)?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn part(part: Part) -> Check {
    let found = part.find();
    let detail = match &found {
        Some(place) if place.as_os_str().is_empty() => "part of the toolchain".to_owned(),
        Some(place) => described(part, place),
        None if part.packages().is_empty() => "rustup adds it".to_owned(),
        None => format!("package {}", part.packages().join(", ")),
    };
    Check {
        name: part.name(),
        ok: found.is_some(),
        detail,
    }
}

/// Returns where a part is, and for the emulator which version.
fn described(part: Part, place: &Path) -> String {
    let version = match part {
        Part::Qemu => process::said(part.name(), &["--version"]),
        _ => None,
    };
    match version.as_deref().and_then(|text| text.lines().next()) {
        Some(version) => format!("{} ({version})", place.display()),
        None => place.display().to_string(),
    }
}

fn disk() -> Check {
    let folder = target_folder();
    let free = rustix::fs::statvfs(&folder)
        .map(|status| Size::from_bytes(status.f_bavail * status.f_frsize));
    let (ok, detail) = match free {
        Ok(free) => (
            free >= NEEDED_DISK,
            format!("{} free in {}", free.in_words(), folder.display()),
        ),
        Err(cause) => (false, format!("{}: {cause}", folder.display())),
    };
    Check {
        name: "disk",
        ok,
        detail,
    }
}

/// Returns the target folder, or the nearest one above it that exists already.
fn target_folder() -> PathBuf {
    let wanted = Project::here()
        .map(|project| project.target())
        .unwrap_or_else(|_| PathBuf::from("."));
    wanted
        .ancestors()
        .find(|folder| folder.is_dir())
        .unwrap_or(Path::new("."))
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(
            version("rustc 1.95.0 (59807616e 2026-04-14)"),
            Some((1, 95))
        );
        assert!(version("rustc 1.100.0-nightly").unwrap() > OLDEST_RUST);
        assert!(version("rustc 1.9.0").unwrap() < OLDEST_RUST);
        assert_eq!(version("no compiler"), None);
    }

    #[test]
    fn every_finding_has_a_name_and_a_detail() {
        for check in checks() {
            assert!(
                !check.name.is_empty() && !check.detail.is_empty(),
                "{check:?}"
            );
        }
    }
}
