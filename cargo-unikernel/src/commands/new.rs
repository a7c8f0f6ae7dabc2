//! `cargo unikernel new`: a project that runs.

use std::fs;
use std::io;
use std::path::PathBuf;

use crate::cli;
use crate::error::Error;
use crate::template;

/// Makes a project in a new folder.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  cargo unikernel new hello && cd hello && cargo unikernel run")]
pub(crate) struct Arguments {
    /// Name of the project and of its folder
    name: String,
    /// Folder of the library, if it is not that of the checkout the tool was built from
    #[arg(long, value_name = "PATH")]
    unikernel: Option<PathBuf>,
}

impl Arguments {
    pub(crate) fn execute(&self) -> Result<u8, Error> {
        template::check_name(&self.name)?;
        let library = template::library(self.unikernel.as_deref())?;
        let folder = std::env::current_dir()
            .map_err(Error::io("find the current folder"))?
            .join(&self.name);
        fs::create_dir(&folder).map_err(|cause| match cause.kind() {
            io::ErrorKind::AlreadyExists => Error::Usage(format!("`{}` exists already", self.name)),
            _ => Error::io(format!("make the folder `{}`", self.name))(cause),
        })?;
        let manifest =
            template::manifest(&self.name, &library, template::is_inside_project(&folder));
        let files = [
            ("Cargo.toml", manifest),
            ("src/main.rs", template::program(&self.name)),
            (".gitignore", "/target\n".to_owned()),
        ];
        fs::create_dir(folder.join("src")).map_err(Error::io("make the folder `src`"))?;
        for (file, text) in files {
            fs::write(folder.join(file), text).map_err(Error::io(format!("write `{file}`")))?;
        }
        let name = &self.name;
        cli::print(&format!(
            "Made `{name}`. Now type: cd {name} && cargo unikernel run\n"
        ))?;
        Ok(0)
    }
}
