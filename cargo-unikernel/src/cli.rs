//! The command line: what can be typed, and the one place where errors become a line and a code.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use crate::commands::{bench, build, debug, doctor, map, new, run, test};
use crate::error::Error;
use crate::progress;

/// Exit code for a bug in the tool.
const INTERNAL: u8 = 70;

/// Builds, boots, tests, measures, debugs and draws unikernel images.
#[derive(Debug, Parser)]
#[command(
    name = "cargo unikernel",
    bin_name = "cargo unikernel",
    version,
    after_help = "Examples:
  cargo unikernel new hello             make a project
  cargo unikernel run                   build it, boot it, show what it prints
  cargo unikernel run -- --top 5        the same with arguments for the program
  cargo unikernel test                  run every test, on the host and in the kernel"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    New(new::Arguments),
    Build(build::Arguments),
    Run(run::Arguments),
    Test(test::Arguments),
    Bench(bench::Arguments),
    Debug(debug::Arguments),
    Map(map::Arguments),
    Doctor(doctor::Arguments),
}

impl Command {
    fn execute(&self) -> Result<u8, Error> {
        match self {
            Self::New(arguments) => arguments.execute(),
            Self::Build(arguments) => arguments.execute(),
            Self::Run(arguments) => arguments.execute(),
            Self::Test(arguments) => arguments.execute(),
            Self::Bench(arguments) => arguments.execute(),
            Self::Debug(arguments) => arguments.execute(),
            Self::Map(arguments) => arguments.execute(),
            Self::Doctor(arguments) => arguments.execute(),
        }
    }
}

/// Reads the command line, does what it says, and returns the code to end with.
#[must_use]
pub fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|information| {
        let text = information.to_string().replace('\n', " ");
        progress::line(&format!("error: a bug in cargo-unikernel: {text}"));
    }));
    let code = match Cli::try_parse_from(words(std::env::args_os())) {
        Ok(cli) => std::panic::catch_unwind(|| cli.command.execute()),
        Err(error) => return refuse(&error),
    };
    ExitCode::from(match code {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => {
            // Who closed the output does not want to read why it ended.
            if !matches!(error, Error::OutputClosed) {
                progress::line(&format!("error: {}", error.to_string().replace('\n', " ")));
            }
            error.exit_code()
        }
        Err(_) => INTERNAL,
    })
}

/// Drops the word that cargo adds when it calls the tool as `cargo-unikernel unikernel run`.
fn words(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut words: Vec<OsString> = arguments.collect();
    if words.get(1).is_some_and(|word| word == "unikernel") {
        words.remove(1);
    }
    words
}

/// Shows help, or what is wrong with the command line in one line.
fn refuse(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::from(2)
        }
        _ => {
            progress::line(&one_line(&error.to_string()));
            ExitCode::from(2)
        }
    }
}

/// Keeps the cause and the tip of a message, and drops the advice to read the help.
fn one_line(message: &str) -> String {
    let lines = message
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    let kept: Vec<&str> = lines
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .collect();
    kept.join(" ").replace(" tip: ", "; ")
}

/// Writes to standard output.
pub(crate) fn print(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|cause| match cause.kind() {
            io::ErrorKind::BrokenPipe => Error::OutputClosed,
            _ => Error::io("write to standard output")(cause),
        })
}

/// Writes a value as JSON to standard output.
pub(crate) fn print_json(value: &impl serde::Serialize) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Error::io("write JSON")(error.into()))?;
    print(&(text + "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn message(line: &str) -> String {
        let words = line.split_whitespace();
        one_line(&Cli::try_parse_from(words).unwrap_err().to_string())
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_word_that_cargo_adds_is_dropped() {
        let given = |line: &str| words(line.split(' ').map(OsString::from));

        assert_eq!(
            given("cargo-unikernel unikernel run"),
            ["cargo-unikernel", "run"]
        );
        assert_eq!(
            given("cargo-unikernel run unikernel"),
            ["cargo-unikernel", "run", "unikernel"]
        );
    }

    #[test]
    fn what_is_typed_wrong_is_answered_in_one_line() {
        for (line, answer) in [
            (
                "x run --memory 12Q",
                "invalid value '12Q' for '--memory <SIZE>': write a whole number and K, M or G",
            ),
            (
                "x run --timeout soon",
                "invalid value 'soon' for '--timeout <TIME>': write a whole number and ms, s",
            ),
            ("x run --cpus 0", "invalid value '0' for '--cpus <N>'"),
            (
                "x rum",
                "unrecognized subcommand 'rum'; a similar subcommand exists: 'run'",
            ),
            (
                "x run --memry 1G",
                "unexpected argument '--memry' found; a similar argument exists: '--memory'",
            ),
            ("x run five", "unexpected argument 'five' found"),
            (
                "x map --after 2s --when ready",
                "the argument '--after <TIME>' cannot be used with '--when <TEXT>'",
            ),
            (
                "x run --uefi --direct",
                "the argument '--uefi' cannot be used with '--direct'",
            ),
            (
                "x new",
                "the following required arguments were not provided: <NAME>",
            ),
        ] {
            let message = message(line);
            assert!(
                message.contains(answer) && !message.contains('\n'),
                "{message}"
            );
        }
    }
}
