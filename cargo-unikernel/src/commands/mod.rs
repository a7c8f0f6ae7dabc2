//! What can be typed: a file for each command, with its arguments and what it does.

pub(crate) mod bench;
pub(crate) mod build;
pub(crate) mod debug;
pub(crate) mod doctor;
pub(crate) mod map;
pub(crate) mod new;
pub(crate) mod run;
pub(crate) mod test;

use cargo_metadata::Package;

use crate::compile::{self, Contents, Profile};
use crate::error::Error;
use crate::image::Image;
use crate::module::Module;
use crate::project::{self, Project};

/// Which program is meant.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Selection {
    /// The package, if it is not the current folder's
    #[arg(short, long, value_name = "NAME")]
    pub(crate) package: Option<String>,
    /// The binary, if the package has several
    #[arg(long, value_name = "NAME")]
    pub(crate) bin: Option<String>,
    /// Build it small and fast, rather than quickly
    #[arg(short, long)]
    pub(crate) release: bool,
}

impl Selection {
    pub(crate) fn profile(&self) -> Profile {
        if self.release {
            Profile::Release
        } else {
            Profile::Dev
        }
    }

    /// Finds the program that is meant.
    pub(crate) fn find(&self) -> Result<Program, Error> {
        let project = Project::here()?;
        let package = match &self.bin {
            Some(bin) if self.package.is_none() => with_binary(&project, bin)?,
            _ => project.package(self.package.as_deref())?,
        };
        let bin = project::binary(package, self.bin.as_deref())?.to_owned();
        let package = package.clone();
        Ok(Program {
            project,
            package,
            bin,
            profile: self.profile(),
        })
    }
}

/// A program that is meant, not built yet.
pub(crate) struct Program {
    project: Project,
    package: Package,
    bin: String,
    profile: Profile,
}

impl Program {
    /// Returns the modules it is usually given.
    pub(crate) fn modules(&self) -> Result<Vec<Module>, Error> {
        project::default_modules(&self.package)
    }

    /// Builds it.
    pub(crate) fn build(&self) -> Result<Image, Error> {
        self.build_with(Contents::Program)
    }

    /// Builds it so that it says what its memory is like when it is asked.
    pub(crate) fn build_to_be_asked(&self) -> Result<Image, Error> {
        self.build_with(Contents::Answering)
    }

    fn build_with(&self, contents: Contents) -> Result<Image, Error> {
        compile::image(
            &self.project,
            &self.package,
            &self.bin,
            self.profile,
            contents,
        )
    }
}

/// Returns the package that is meant if it has the binary, or else the only one that has.
fn with_binary<'p>(project: &'p Project, bin: &str) -> Result<&'p Package, Error> {
    let has = |package: &&Package| project::binaries(package).any(|target| target.name == bin);
    let meant = project.package(None);
    if let Some(package) = meant.as_ref().ok().filter(|package| has(package)) {
        return Ok(package);
    }
    let mut others = project.packages().filter(has);
    match (others.next(), others.next()) {
        (Some(only), None) => Ok(only),
        _ => meant,
    }
}
