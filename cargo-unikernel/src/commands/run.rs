//! `cargo unikernel run`: build, boot, show what the guest says, end with its code.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use crate::accelerator::{self, Accelerator};
use crate::commands::{Selection, debug};
use crate::error::Error;
use crate::guest::Input;
use crate::image::Image;
use crate::machine::{Boot, Machine, Outcome, Verdict};
use crate::module::Module;
use crate::parts::{self, Part};
use crate::size::Size;
use crate::{cli, duration, install, interrupt, progress};

/// Builds an image, boots it, shows what it prints and ends with its exit code.
///
/// Without other wishes it boots from an ISO through GRUB and BIOS, on an emulated PC with one CPU and 512 MiB. What is
/// typed reaches the program on its serial line.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes of the tool: 2 usage, 120 the build failed, 121 not an image, 122 file missing,
123 memory too small, 124 timeout, 125 the machine stopped without a verdict,
126 a tool is missing, 127 QEMU failed. Of the guest: its own, 101 panic, 102 fault, 103 could not boot.

Examples:
  cargo unikernel run
  cargo unikernel run --release --module book.txt -- --top 5
  cargo unikernel run --bin hello --direct --memory 64M --timeout 10s"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    selection: Selection,
    /// Boot this file, built before, rather than build one
    #[arg(long, value_name = "FILE", conflicts_with_all = ["package", "bin", "release"])]
    image: Option<PathBuf>,
    #[command(flatten)]
    machine: MachineOptions,
    /// Boot by UEFI rather than BIOS
    #[arg(long, conflicts_with = "direct")]
    uefi: bool,
    /// Boot without firmware and GRUB, which is faster
    #[arg(long)]
    direct: bool,
    /// Wait for gdb, and print the line to type
    #[arg(long)]
    gdb: bool,
    /// What the library logs
    #[arg(long, value_name = "LEVEL")]
    log: Option<Level>,
    /// Stop the machine after this time, as in 30s
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    timeout: Option<Duration>,
    /// What runs the guest's instructions
    #[arg(long, value_name = "HOW", default_value = "auto")]
    accel: Accelerator,
    /// Print the result as JSON, and what the guest says to standard error
    #[arg(long)]
    json: bool,
    /// Arguments for the program
    #[arg(last = true, value_name = "ARGUMENTS")]
    arguments: Vec<String>,
}

/// What a machine is given.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct MachineOptions {
    /// Hand a file to the guest, under its own name or as NAME=FILE; may be repeated
    #[arg(long = "module", value_name = "FILE")]
    modules: Vec<String>,
    /// Memory of the machine, as in 64M or 2G
    #[arg(long, value_name = "SIZE", default_value = "512M")]
    memory: Size,
    /// CPUs of the machine
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u8).range(1..))]
    cpus: u8,
}

impl MachineOptions {
    /// Returns the modules that are named, or else the usual ones.
    pub(crate) fn modules(
        &self,
        usual: impl FnOnce() -> Result<Vec<Module>, Error>,
    ) -> Result<Vec<Module>, Error> {
        if self.modules.is_empty() {
            return usual();
        }
        self.modules
            .iter()
            .map(|text| Module::parse(text))
            .collect()
    }

    /// Returns how much memory the machine has.
    pub(crate) fn memory(&self) -> Size {
        self.memory
    }

    /// Returns a machine with what was asked for.
    pub(crate) fn machine(&self, image: &Image, modules: Vec<Module>) -> Machine {
        Machine::new(image)
            .modules(modules)
            .memory(self.memory)
            .cpus(self.cpus)
    }
}

/// How much the library logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Level {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Level {
    /// Returns the library's option for it.
    fn word(self) -> String {
        format!("unikernel.log={self:?}").to_lowercase()
    }
}

/// What came of a run, for scripts.
#[derive(Debug, Serialize)]
struct Report<'a> {
    image: &'a str,
    exit_code: u8,
    error: Option<String>,
    wall_ms: u128,
    output: &'a str,
}

impl Arguments {
    /// Looks at all that was named first, so that what is typed wrong is answered before anything is installed or built.
    pub(crate) fn execute(&self) -> Result<u8, Error> {
        let (image, modules) = match &self.image {
            Some(file) => {
                let modules = self.machine.modules(|| Ok(Vec::new()))?;
                let image = Image::open(file)?;
                self.ensure(&[])?;
                (image, modules)
            }
            None => {
                let program = self.selection.find()?;
                let modules = self.machine.modules(|| program.modules())?;
                self.ensure(parts::TO_BUILD)?;
                (program.build()?, modules)
            }
        };
        let machine = self.machine(&image, modules)?;
        interrupt::watch();
        if self.json {
            self.run_for_scripts(&machine, &image)
        } else {
            self.run(&machine)
        }
    }

    fn ensure(&self, to_build: &[Part]) -> Result<(), Error> {
        match self.boot() {
            Boot::Direct => install::ensure(&[to_build, parts::TO_RUN]),
            Boot::Bios => install::ensure(&[to_build, parts::TO_RUN, parts::TO_WRITE_DISCS]),
            Boot::Uefi => install::ensure(&[
                to_build,
                parts::TO_RUN,
                parts::TO_WRITE_DISCS,
                parts::TO_RUN_UEFI,
            ]),
        }
    }

    fn machine(&self, image: &Image, modules: Vec<Module>) -> Result<Machine, Error> {
        let mut machine = self
            .machine
            .machine(image, modules)
            .boot(self.boot())
            .accelerator(self.accel);
        machine = machine
            .words(self.log.map(Level::word))
            .words(self.arguments.clone());
        if let Some(timeout) = self.timeout {
            machine = machine.timeout(timeout);
        }
        if self.gdb {
            let port = debug::free_port()?;
            progress::line(&debug::advice(port, image));
            machine = machine.debugger(port);
        }
        if self.log >= Some(Level::Info) && self.accel == Accelerator::Auto {
            progress::line(&accelerator::automatic().reason);
        }
        Ok(machine)
    }

    fn boot(&self) -> Boot {
        match (self.direct, self.uefi) {
            (true, _) => Boot::Direct,
            (_, true) => Boot::Uefi,
            _ => Boot::Bios,
        }
    }

    fn run(&self, machine: &Machine) -> Result<u8, Error> {
        let outcome = machine.run(&mut io::stdout(), Input::Standard)?;
        code(&outcome, self.timeout)
    }

    fn run_for_scripts(&self, machine: &Machine, image: &Image) -> Result<u8, Error> {
        let outcome = machine.run(&mut io::stderr(), Input::Standard)?;
        let code = code(&outcome, self.timeout);
        let exit_code = code.as_ref().map_or_else(Error::exit_code, |code| *code);
        cli::print_json(&Report {
            image: image.name(),
            exit_code,
            error: code.err().map(|error| error.to_string()),
            wall_ms: outcome.wall.as_millis(),
            output: &outcome.text,
        })?;
        Ok(exit_code)
    }
}

/// Returns the guest's code, or why there is none.
pub(crate) fn code(outcome: &Outcome, timeout: Option<Duration>) -> Result<u8, Error> {
    verdict_code(outcome.verdict, timeout)
}

/// Returns the guest's code, or why there is none, by how it ended.
pub(crate) fn verdict_code(verdict: Verdict, timeout: Option<Duration>) -> Result<u8, Error> {
    match verdict {
        Verdict::Exit(code) => Ok(code),
        Verdict::Stopped => Err(Error::NoVerdict),
        Verdict::Timeout => Err(Error::Timeout(timeout.unwrap_or_default())),
        Verdict::Interrupted => Err(Error::Interrupted),
    }
}
