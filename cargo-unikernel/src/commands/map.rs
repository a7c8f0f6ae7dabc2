//! `cargo unikernel map`: build, boot, ask for the address space, draw it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::accelerator::Accelerator;
use crate::commands::run::MachineOptions;
use crate::commands::{Selection, run};
use crate::error::Error;
use crate::image::Image;
use crate::locate::DebugInfo;
use crate::machine::{Boot, Verdict};
use crate::map::ask::{self, Outcome, When};
use crate::map::snapshot::size;
use crate::map::{draw, table};
use crate::progress::{self, Progress};
use crate::stream::Annotator;
use crate::{cli, duration, install, interrupt, parts};

/// Boots an image, asks it for its address space, and draws that as an SVG picture.
///
/// It is asked when it has printed its first line, or after a second. An image that ends earlier says by itself what its memory was
/// like at the end.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: as those of `run`; 124 if the image did not answer.

Examples:
  cargo unikernel map
  cargo unikernel map --release --module book.txt --output book.svg
  cargo unikernel map --bin server --when \"listening on\""
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    machine: MachineOptions,
    /// Ask when it has run for this time, as in 5s
    #[arg(long, value_name = "TIME", value_parser = duration::parse, conflicts_with = "when")]
    after: Option<Duration>,
    /// Ask when it has printed this text
    #[arg(long, value_name = "TEXT")]
    when: Option<String>,
    /// Where the picture goes [default: map.svg]
    #[arg(
        short,
        long,
        value_name = "FILE",
        default_value = "map.svg",
        hide_default_value = true
    )]
    output: PathBuf,
    /// How long it may take to boot and to print the text
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "60s")]
    timeout: Duration,
    /// What runs the guest's instructions
    #[arg(long, value_name = "HOW", default_value = "auto")]
    accel: Accelerator,
    /// Arguments for the program
    #[arg(last = true, value_name = "ARGUMENTS")]
    arguments: Vec<String>,
}

impl Arguments {
    pub(crate) fn execute(&self) -> Result<u8, Error> {
        let program = self.selection.find()?;
        let modules = self.machine.modules(|| program.modules())?;
        install::ensure(&[parts::TO_BUILD, parts::TO_RUN])?;
        let image = program.build_to_be_asked()?;
        let machine = self
            .machine
            .machine(&image, modules)
            .boot(Boot::Direct)
            .accelerator(self.accel)
            .words(self.arguments.clone());
        interrupt::watch();
        let step = Progress::start(format!("asking {}", image.name()));
        // A time to wait is not a time to give up in.
        let limit = self.timeout + self.after.unwrap_or_default();
        let outcome = ask::ask(&machine, &self.condition(), limit);
        drop(step);
        let snapshot = match outcome? {
            Outcome::Answered(snapshot) => snapshot,
            Outcome::Ended(verdict, text) => return ended(verdict, &text, &image),
        };
        let title = format!(
            "{}, {}",
            image.name(),
            size(self.machine.memory().bytes() >> 12)
        );
        fs::write(&self.output, draw(&title, &snapshot))
            .map_err(Error::io(format!("write `{}`", self.output.display())))?;
        cli::print(&table(&snapshot))?;
        progress::line(&format!("wrote {}", self.output.display()));
        Ok(0)
    }

    fn condition(&self) -> When {
        match (&self.when, self.after) {
            (Some(text), _) => When::Said(text.clone()),
            (None, Some(time)) => When::After(time),
            (None, None) => When::Soon,
        }
    }
}

/// Shows what a guest said that ended without an answer, as one that failed early does, and returns its code.
fn ended(verdict: Verdict, text: &str, image: &Image) -> Result<u8, Error> {
    let mut annotator = Annotator::new(DebugInfo::new(image.debug_elf(), image.root()));
    let mut shown = annotator.push(text.as_bytes());
    shown.extend(annotator.finish());
    progress::line(String::from_utf8_lossy(&shown).trim_end());
    match verdict {
        Verdict::Exit(0) => Err(Error::NoVerdict),
        verdict => run::verdict_code(verdict, None),
    }
}
