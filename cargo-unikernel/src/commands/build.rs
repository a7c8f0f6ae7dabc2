//! `cargo unikernel build`: the image and its ISO, and how large they are.

use serde::Serialize;

use crate::cli;
use crate::commands::Selection;
use crate::error::Error;
use crate::image::Image;
use crate::progress::Progress;
use crate::size::Size;
use crate::{install, iso, parts};

/// Builds an image and a bootable ISO, and says how large they are.
///
/// The ISO starts by BIOS and by UEFI. It holds the modules that the package's manifest names, and no arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo unikernel build --release
  cargo unikernel build --release --bin hello --json")]
pub(crate) struct Arguments {
    #[command(flatten)]
    selection: Selection,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// What was built.
#[derive(Debug, Serialize)]
struct Report {
    name: String,
    elf: String,
    elf_bytes: u64,
    iso: String,
    iso_bytes: u64,
    debug_elf: String,
}

impl Arguments {
    pub(crate) fn execute(&self) -> Result<u8, Error> {
        let program = self.selection.find()?;
        let modules = program.modules()?;
        install::ensure(&[parts::TO_BUILD, parts::TO_WRITE_DISCS])?;
        let image = program.build()?;
        let disc = image.elf().with_extension("iso");
        let progress = Progress::start("making the ISO");
        iso::write(&disc, image.elf(), &[], &modules)?;
        drop(progress);

        let report = Report::new(&image, &disc)?;
        if self.json {
            cli::print_json(&report)?;
        } else {
            cli::print(&report.text())?;
        }
        Ok(0)
    }
}

impl Report {
    fn new(image: &Image, disc: &std::path::Path) -> Result<Self, Error> {
        let iso_bytes = disc.metadata().map_err(Error::file(disc))?.len();
        Ok(Self {
            name: image.name().to_owned(),
            elf: image.elf().display().to_string(),
            elf_bytes: image.len().bytes(),
            iso: disc.display().to_string(),
            iso_bytes,
            debug_elf: image.debug_elf().display().to_string(),
        })
    }

    fn text(&self) -> String {
        let line = |what: &str, file: &str, bytes: u64| {
            format!(
                "{what:5} {:>10}  {file}\n",
                Size::from_bytes(bytes).in_words()
            )
        };
        line("ELF", &self.elf, self.elf_bytes) + &line("ISO", &self.iso, self.iso_bytes)
    }
}
