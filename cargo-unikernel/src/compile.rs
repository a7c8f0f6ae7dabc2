//! From source to image: what cargo is told, what of its output is shown, and the finishing pass behind it.
//!
//! A user's crate needs no build script and no configuration: target, flags, linker script and profiles are passed on the
//! command line, into a target folder of their own.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use cargo_metadata::{Message, Package};

use crate::error::Error;
use crate::image::Image;
use crate::progress::{self, Progress};
use crate::project::{self, Project};

/// The target of every image: hard floats and a precompiled library, in a stock toolchain.
pub(crate) const TARGET: &str = "x86_64-unknown-linux-gnu";

const LINKER_SCRIPT: &str = include_str!("../../linker.ld");

/// How much the compiler optimises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Quick to build, easy to debug.
    #[default]
    Dev,
    /// Small and fast.
    Release,
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Release => "release",
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}

/// What an image does when it boots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Contents {
    /// It runs its `main`.
    #[default]
    Program,
    /// It runs its `main`, and says what its memory is like when it is asked.
    Answering,
    /// It runs its tests or benches.
    Tests,
}

/// Builds one binary of a package.
pub fn image(
    project: &Project,
    package: &Package,
    bin: &str,
    profile: Profile,
    contents: Contents,
) -> Result<Image, Error> {
    let images = Build {
        project,
        package,
        profile,
        contents,
    }
    .run(&[bin])?;
    images
        .into_iter()
        .next()
        .ok_or_else(|| Error::Project(format!("cargo built no `{bin}`")))
}

/// Builds all binaries of a package.
pub fn images(
    project: &Project,
    package: &Package,
    profile: Profile,
    contents: Contents,
) -> Result<Vec<Image>, Error> {
    let bins: Vec<&str> = project::binaries(package)
        .map(|target| target.name.as_str())
        .collect();
    if bins.is_empty() {
        return Err(Error::Project(format!("`{}` has no binary", package.name)));
    }
    Build {
        project,
        package,
        profile,
        contents,
    }
    .run(&bins)
}

struct Build<'a> {
    project: &'a Project,
    package: &'a Package,
    profile: Profile,
    contents: Contents,
}

impl Build<'_> {
    fn run(&self, bins: &[&str]) -> Result<Vec<Image>, Error> {
        if !project::depends_on_library(self.package) {
            let name = &self.package.name;
            return Err(Error::Project(format!(
                "`{name}` does not depend on `unikernel`, so it cannot be an image"
            )));
        }
        let what = match self.contents {
            Contents::Program => "",
            Contents::Answering => " to be asked",
            Contents::Tests => " with tests",
        };
        let step = format!(
            "building {}{what} ({})",
            bins.join(", "),
            self.profile.name()
        );
        let built = self.cargo(bins, &Progress::start(step))?;
        built.iter().map(|file| self.finish(file)).collect()
    }

    fn finish(&self, file: &Path) -> Result<Image, Error> {
        let name = file.file_name().unwrap_or_default();
        let folder = self.target().join("images").join(self.profile.folder());
        Image::finish(
            file,
            &folder.join(name).with_extension("elf"),
            self.project.root(),
        )
    }

    /// Runs cargo and returns the files of the binaries.
    fn cargo(&self, bins: &[&str], progress: &Progress) -> Result<Vec<PathBuf>, Error> {
        let mut child = self
            .command(bins)?
            .spawn()
            .map_err(Error::io("start cargo"))?;
        let stderr = child.stderr.take().expect("it is piped");
        let stdout = child.stdout.take().expect("it is piped");
        let files = thread::scope(|scope| {
            scope.spawn(|| show(stderr, progress));
            executables(stdout)
        });
        let status = child.wait().map_err(Error::io("wait for cargo"))?;
        if status.success() {
            Ok(files)
        } else {
            Err(Error::Build {
                package: self.package.name.to_string(),
            })
        }
    }

    fn command(&self, bins: &[&str]) -> Result<Command, Error> {
        let mut command = Command::new(cargo_program());
        command.args([
            "build",
            "--target",
            TARGET,
            "--message-format",
            "json-render-diagnostics",
        ]);
        command
            .arg("--manifest-path")
            .arg(&self.package.manifest_path);
        command.arg("--package").arg(self.package.name.as_str());
        command.arg("--target-dir").arg(self.target());
        command.args(bins.iter().flat_map(|bin| ["--bin", bin]));
        command.args(self.profile_arguments());
        if std::io::stderr().is_terminal() {
            command.args(["--color", "always"]);
        }
        command
            .env("CARGO_ENCODED_RUSTFLAGS", self.rust_flags()?)
            .env_remove("RUSTFLAGS");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(command)
    }

    fn profile_arguments(&self) -> Vec<&'static str> {
        let mut arguments = vec![
            "--config",
            "profile.dev.panic='abort'",
            "--config",
            "profile.release.panic='abort'",
        ];
        if self.profile == Profile::Release {
            arguments.extend(["--config", "profile.release.lto='fat'"]);
            arguments.extend(["--config", "profile.release.codegen-units=1"]);
            arguments.extend([
                "--config",
                "profile.release.debug='line-tables-only'",
                "--release",
            ]);
        }
        arguments
    }

    /// Returns all flags for the compiler, divided the way cargo wants them, so that paths may hold spaces.
    fn rust_flags(&self) -> Result<OsString, Error> {
        let script = self.linker_script()?;
        let mut flags: Vec<OsString> = Vec::new();
        flags.extend(
            [
                "--check-cfg",
                "cfg(unikernel,unikernel_test,unikernel_map)",
                "--cfg",
                "unikernel",
            ]
            .map(Into::into),
        );
        match self.contents {
            Contents::Program => {}
            Contents::Answering => flags.extend(["--cfg", "unikernel_map"].map(Into::into)),
            Contents::Tests => flags.extend(["--cfg", "unikernel_test"].map(Into::into)),
        }
        flags.extend(CODE_FLAGS.map(Into::into));
        flags.extend(LINK_ARGUMENTS.map(|argument| format!("-Clink-arg={argument}").into()));
        let mut script_argument = OsString::from("-Clink-arg=");
        script_argument.push(script);
        flags.extend(["-Clink-arg=-T".into(), script_argument]);
        Ok(flags.join(&OsString::from("\x1f")))
    }

    /// Writes the linker script out, under a name that changes with its text, so that cargo links anew.
    fn linker_script(&self) -> Result<PathBuf, Error> {
        let path = self
            .project
            .target()
            .join(format!("linker-{:016x}.ld", fingerprint(LINKER_SCRIPT)));
        if !path.exists() {
            fs::create_dir_all(self.project.target())
                .and_then(|()| fs::write(&path, LINKER_SCRIPT))
                .map_err(Error::io("write the linker script"))?;
        }
        Ok(path)
    }

    fn target(&self) -> PathBuf {
        match self.contents {
            Contents::Program => self.project.target(),
            Contents::Answering => self.project.target().join("map"),
            Contents::Tests => self.project.target().join("test"),
        }
    }
}

const CODE_FLAGS: [&str; 3] = [
    "-Cforce-frame-pointers=yes",
    "-Crelro-level=off",
    "-Cforce-unwind-tables=no",
];

const LINK_ARGUMENTS: [&str; 8] = [
    "-nostartfiles",
    "-nostdlib",
    "-static-pie",
    "-Wl,--apply-dynamic-relocs",
    "-Wl,--no-dynamic-linker",
    "-Wl,-z,nostart-stop-gc",
    "-Wl,--build-id=none",
    "-Wl,-z,norelro",
];

/// Returns the cargo that runs the tool, or else the one in the path.
pub(crate) fn cargo_program() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// FNV-1a: the same in every build of the tool, unlike the standard library's hashes.
fn fingerprint(text: &str) -> u64 {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, mix)
}

/// Returns the programs that cargo's messages speak of.
fn executables(stdout: impl Read) -> Vec<PathBuf> {
    let messages = Message::parse_stream(BufReader::new(stdout)).map_while(Result::ok);
    let artifacts = messages.filter_map(|message| match message {
        Message::CompilerArtifact(artifact) if artifact.target.is_bin() => artifact.executable,
        _ => None,
    });
    artifacts.map(Into::into).collect()
}

/// Shows what cargo says: warnings and errors always, what it is at only in a spinner that replaces it.
fn show(stderr: impl Read, progress: &Progress) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        match status(&line) {
            Some(status) if progress.is_live() => progress.detail(&status),
            Some(status) if status.starts_with("Finished") => {}
            Some(_) => progress::line(&line),
            None => progress.keep(&line),
        }
    }
}

/// Returns a status line of cargo, which is a verb that ends in the twelfth column and the rest, without colours.
fn status(line: &str) -> Option<String> {
    let plain = crate::grub::without_escapes(line);
    let (verb, rest) = plain.split_at_checked(12)?;
    let is_verb =
        !verb.trim().is_empty() && verb.trim().bytes().all(|byte| byte.is_ascii_alphabetic());
    (is_verb && rest.starts_with(' ')).then(|| format!("{}{rest}", verb.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_lines_are_told_from_diagnostics() {
        assert_eq!(
            status("   Compiling app v0.1.0 (/x)").as_deref(),
            Some("Compiling app v0.1.0 (/x)")
        );
        assert_eq!(
            status("\x1b[1m\x1b[92m    Finished\x1b[0m dev").as_deref(),
            Some("Finished dev")
        );
        for line in [
            "warning: unused variable",
            "error[E0425]: cannot find",
            "  --> src/main.rs:1:1",
            "",
            "   = note: x",
        ] {
            assert_eq!(status(line), None, "{line}");
        }
    }

    #[test]
    fn another_script_gets_another_name() {
        assert_ne!(fingerprint("a"), fingerprint("b"));
        assert_eq!(fingerprint(""), 0xcbf2_9ce4_8422_2325);
    }
}
