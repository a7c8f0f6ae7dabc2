//! Boot modules: files that are handed to the guest by name.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// A file for the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// The name the guest knows it by.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Its length in bytes.
    pub(crate) len: u64,
}

impl Module {
    /// Returns the file at `path` under its own name.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        Self::named(&name.unwrap_or_default(), path)
    }

    /// Returns the file at `path` under a given name.
    pub fn named(name: &str, path: &Path) -> Result<Self, Error> {
        let file = fs::File::open(path).map_err(Error::file(path))?;
        let status = file.metadata().map_err(Error::file(path))?;
        if !status.is_file() {
            return Err(Error::File {
                path: path.to_owned(),
                cause: not_a_file(&status),
            });
        }
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(Error::Usage(format!(
                "{name:?} cannot be the name of a module"
            )));
        }
        let path = path.canonicalize().map_err(Error::file(path))?;
        Ok(Self {
            name: name.to_owned(),
            path,
            len: status.len(),
        })
    }

    /// Reads `FILE` or `NAME=FILE`; a file whose own name has a `=` wins.
    pub fn parse(text: &str) -> Result<Self, Error> {
        match text.split_once('=') {
            Some((name, path)) if !Path::new(text).exists() => Self::named(name, Path::new(path)),
            _ => Self::open(Path::new(text)),
        }
    }
}

/// Returns the length of all modules together, each in whole pages.
pub(crate) fn total_len(modules: &[Module]) -> u64 {
    modules
        .iter()
        .map(|module| module.len.next_multiple_of(0x1000))
        .sum()
}

fn not_a_file(status: &fs::Metadata) -> std::io::Error {
    if status.is_dir() {
        std::io::ErrorKind::IsADirectory.into()
    } else {
        std::io::Error::other("it is not an ordinary file")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_named_like_its_file_or_as_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a b.txt");
        fs::write(&path, "text").unwrap();
        let path = path.to_str().unwrap();

        assert_eq!(Module::parse(path).unwrap().name, "a b.txt");
        assert_eq!(
            Module::parse(&format!("words={path}")).unwrap().name,
            "words"
        );
        assert_eq!(Module::parse(path).unwrap().len, 4);
    }

    #[test]
    fn a_missing_file_and_a_folder_are_named() {
        let folder = tempfile::tempdir().unwrap();

        let missing = Module::open(Path::new("no/such file")).unwrap_err();
        let is_folder = Module::open(folder.path()).unwrap_err();

        assert_eq!(
            missing.to_string(),
            "cannot read `no/such file`: no such file or directory"
        );
        assert!(
            is_folder.to_string().ends_with("is a directory"),
            "{is_folder}"
        );
        assert_eq!(is_folder.exit_code(), 122);
    }
}
