//! The user's project as cargo knows it: which package is meant, which binary, and where files go.

use std::path::{Path, PathBuf};

use cargo_metadata::{Metadata, MetadataCommand, Package, Target};

use crate::error::Error;
use crate::module::Module;
use crate::process;

/// A package or workspace, seen from a folder in it.
#[derive(Clone, Debug)]
pub struct Project {
    metadata: Metadata,
    folder: PathBuf,
}

impl Project {
    /// Returns the project that the current folder belongs to.
    pub fn here() -> Result<Self, Error> {
        Self::around(&std::env::current_dir().map_err(Error::io("find the current folder"))?)
    }

    /// Returns the project that a folder belongs to.
    pub fn around(folder: &Path) -> Result<Self, Error> {
        let metadata = MetadataCommand::new().no_deps().current_dir(folder).exec();
        Ok(Self {
            metadata: metadata.map_err(|error| unreadable(&error))?,
            folder: folder.to_owned(),
        })
    }

    /// Returns the package that is asked for, or else the one that is meant: the current folder's; in a workspace the one
    /// that `workspace.metadata.unikernel.app` names, or the only one that has a binary and depends on `unikernel`.
    pub fn package(&self, wanted: Option<&str>) -> Result<&Package, Error> {
        if let Some(name) = wanted {
            return self.named(name);
        }
        if let Some(package) = self
            .current()
            .filter(|package| binaries(package).next().is_some())
        {
            return Ok(package);
        }
        if let Some(name) = self.metadata.workspace_metadata["unikernel"]["app"].as_str() {
            return self.named(name);
        }
        let candidates: Vec<_> = self
            .packages()
            .filter(|package| is_application(package))
            .collect();
        match candidates[..] {
            [package] => Ok(package),
            [] => Err(Error::Project(
                "no package here has a binary and depends on `unikernel`".to_owned(),
            )),
            _ => Err(Error::Project(format!(
                "say which package with -p: {}",
                names(candidates)
            ))),
        }
    }

    /// Returns the package whose test target boots the images of the whole workspace, if there is one.
    #[must_use]
    pub fn front_end(&self) -> Option<&Package> {
        self.packages().find(|package| has_front_end(package))
    }

    /// Returns the workspace's folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.metadata.workspace_root.as_std_path()
    }

    /// Returns the folder for everything the tool builds.
    #[must_use]
    pub fn target(&self) -> PathBuf {
        self.metadata
            .target_directory
            .as_std_path()
            .join("unikernel")
    }

    /// Returns all packages of the workspace.
    pub(crate) fn packages(&self) -> impl Iterator<Item = &Package> {
        self.metadata.workspace_packages().into_iter()
    }

    /// Returns the package that the folder lies in.
    pub(crate) fn current(&self) -> Option<&Package> {
        let manifest = self
            .folder
            .ancestors()
            .map(|above| above.join("Cargo.toml"))
            .find(|file| file.exists())?;
        self.packages()
            .find(|package| package.manifest_path.as_std_path() == manifest)
    }

    fn named(&self, name: &str) -> Result<&Package, Error> {
        let found = self
            .packages()
            .find(|package| package.name.as_str() == name);
        found.ok_or_else(|| {
            Error::Project(format!(
                "there is no package `{name}` here, only {}",
                names(self.packages())
            ))
        })
    }
}

/// Returns the binary that is asked for, or else the one that `cargo run` would take.
pub fn binary<'a>(package: &'a Package, wanted: Option<&str>) -> Result<&'a str, Error> {
    let all: Vec<&str> = binaries(package)
        .map(|target| target.name.as_str())
        .collect();
    let package_name = package.name.as_str();
    if let Some(wanted) = wanted {
        let missing = || {
            Error::Project(format!(
                "there is no binary `{wanted}` in `{package_name}`, only {}",
                all.join(", ")
            ))
        };
        return all
            .iter()
            .find(|name| **name == wanted)
            .copied()
            .ok_or_else(missing);
    }
    let default = package.default_run.as_deref().unwrap_or(package_name);
    match all[..] {
        [] => Err(Error::Project(format!("`{package_name}` has no binary"))),
        [only] => Ok(only),
        _ if all.contains(&default) => {
            Ok(all[all.iter().position(|name| *name == default).unwrap_or(0)])
        }
        _ => Err(Error::Project(format!(
            "say which binary with --bin: {}",
            all.join(", ")
        ))),
    }
}

/// Returns the boot modules that a package's manifest names in `package.metadata.unikernel.modules`.
pub fn default_modules(package: &Package) -> Result<Vec<Module>, Error> {
    let named = &package.metadata["unikernel"]["modules"];
    if named.is_null() {
        return Ok(Vec::new());
    }
    let malformed = || {
        let manifest = &package.manifest_path;
        Error::Project(format!(
            "`package.metadata.unikernel.modules` in {manifest} is not a list of paths"
        ))
    };
    let folder = package.manifest_path.parent().ok_or_else(malformed)?;
    let paths = named.as_array().ok_or_else(malformed)?;
    paths
        .iter()
        .map(|path| {
            Module::open(
                folder
                    .join(path.as_str().ok_or_else(malformed)?)
                    .as_std_path(),
            )
        })
        .collect()
}

/// Returns the binaries of a package.
pub(crate) fn binaries(package: &Package) -> impl Iterator<Item = &Target> {
    package.targets.iter().filter(|target| target.is_bin())
}

/// Returns whether a package names the library among its dependencies, so that its binaries can be images.
pub(crate) fn depends_on_library(package: &Package) -> bool {
    package
        .dependencies
        .iter()
        .any(|dependency| dependency.name == "unikernel")
}

/// Returns whether a package holds programs that are to be images.
pub(crate) fn is_application(package: &Package) -> bool {
    binaries(package).next().is_some() && depends_on_library(package) && !has_front_end(package)
}

fn has_front_end(package: &Package) -> bool {
    package.metadata["unikernel"]["front-end"].as_bool() == Some(true)
}

fn names<'a>(packages: impl IntoIterator<Item = &'a Package>) -> String {
    packages
        .into_iter()
        .map(|package| package.name.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

/// Turns cargo's several lines into one.
fn unreadable(error: &cargo_metadata::Error) -> Error {
    let text = match error {
        cargo_metadata::Error::CargoMetadata { stderr } => stderr.clone(),
        other => other.to_string(),
    };
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let start = lines
        .iter()
        .position(|line| line.starts_with("error: "))
        .unwrap_or(0);
    let said = lines[start..]
        .iter()
        .filter(|line| **line != "Caused by:")
        .copied()
        .collect::<Vec<_>>()
        .join(": ");
    let said = said.strip_prefix("error: ").unwrap_or(&said);
    Error::Project(if said.is_empty() {
        process_failed()
    } else {
        said.to_owned()
    })
}

fn process_failed() -> String {
    match process::find("cargo") {
        Some(_) => "cargo cannot read this project".to_owned(),
        None => "cargo is missing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project() -> Project {
        Project::around(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    #[test]
    fn this_package_is_found_and_its_binary() {
        let project = project();

        let package = project.package(None).unwrap();

        assert_eq!(package.name.as_str(), "cargo-unikernel");
        assert_eq!(binary(package, None).unwrap(), "cargo-unikernel");
        assert!(default_modules(package).unwrap().is_empty());
    }

    #[test]
    fn what_is_not_there_is_answered_with_what_is() {
        let project = project();

        let package = project.package(Some("nothing")).unwrap_err();
        let bin = binary(project.package(None).unwrap(), Some("nothing")).unwrap_err();

        assert!(
            package
                .to_string()
                .starts_with("there is no package `nothing` here, only "),
            "{package}"
        );
        assert_eq!(
            bin.to_string(),
            "there is no binary `nothing` in `cargo-unikernel`, only cargo-unikernel"
        );
        assert_eq!(bin.exit_code(), 2);
    }

    #[test]
    fn a_folder_without_a_project_is_one_line() {
        let folder = tempfile::tempdir().unwrap();

        let error = Project::around(folder.path()).unwrap_err().to_string();

        assert!(
            error.starts_with("could not find `Cargo.toml`") && !error.contains('\n'),
            "{error}"
        );
    }
}
