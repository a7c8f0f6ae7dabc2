//! An image on disk: the file that boots, and cargo's file with everything a debugger wants.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use crate::elf::{Elf, ImageFault};
use crate::error::Error;
use crate::finish::finish;
use crate::size::Size;

/// A bootable image.
#[derive(Clone, Debug)]
pub struct Image {
    name: String,
    elf: PathBuf,
    debug: PathBuf,
    root: PathBuf,
    physical_end: u64,
    len: u64,
    /// Keeps the folder of a finished file that has no other home.
    _folder: Option<Arc<TempDir>>,
}

impl Image {
    /// Finishes cargo's file `debug` into `elf`; paths in backtraces are shown relative to `root`.
    pub(crate) fn finish(debug: &Path, elf: &Path, root: &Path) -> Result<Self, Error> {
        let file = fs::read(debug).map_err(Error::file(debug))?;
        let finished = finish(&file).map_err(not_an_image(debug))?;
        let parsed = Elf::parse(&finished).map_err(not_an_image(debug))?;
        write_whole(elf, &finished).map_err(Error::io(format!("write `{}`", elf.display())))?;
        Ok(Self {
            name: name_of(debug),
            elf: elf.to_owned(),
            debug: debug.to_owned(),
            root: root.to_owned(),
            physical_end: parsed.physical_end(),
            len: finished.len() as u64,
            _folder: None,
        })
    }

    /// Opens a file that was built before, finished or not.
    pub fn open(file: &Path) -> Result<Self, Error> {
        let folder = tempfile::tempdir().map_err(Error::io("make a folder for the image"))?;
        let root = std::env::current_dir().map_err(Error::io("find the current folder"))?;
        let mut image = Self::finish(file, &folder.path().join("image.elf"), &root)?;
        image._folder = Some(Arc::new(folder));
        Ok(image)
    }

    /// Returns its name, which is that of its binary.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the file that boots: stripped, with the names of functions.
    #[must_use]
    pub fn elf(&self) -> &Path {
        &self.elf
    }

    /// Returns cargo's file, with symbols and debug information.
    #[must_use]
    pub fn debug_elf(&self) -> &Path {
        &self.debug
    }

    /// Returns the length of the file that boots.
    #[must_use]
    pub fn len(&self) -> Size {
        Size::from_bytes(self.len)
    }

    /// Returns the folder that paths are shown relative to.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the first physical address after it.
    pub(crate) fn physical_end(&self) -> u64 {
        self.physical_end
    }
}

fn not_an_image(path: &Path) -> impl FnOnce(ImageFault) -> Error {
    |fault| Error::NotAnImage {
        path: path.to_owned(),
        fault,
    }
}

fn name_of(file: &Path) -> String {
    file.file_stem()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Writes a file so that another process sees the old or the new one, never half of it.
fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    std::io::Write::write_all(&mut file, bytes)?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Probe;

    #[test]
    fn a_built_file_opens_as_an_image() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hello.elf");
        fs::write(&file, Probe::new().exit(0).image()).unwrap();

        let image = Image::open(&file).unwrap();

        assert_eq!(image.name(), "hello");
        assert_eq!(image.debug_elf(), file);
        assert_eq!(
            fs::metadata(image.elf()).unwrap().len(),
            image.len().bytes()
        );
    }

    #[test]
    fn what_is_no_image_is_refused_by_name() {
        let error = Image::open(Path::new("Cargo.toml")).unwrap_err();

        assert_eq!(
            error.to_string(),
            "`Cargo.toml` is not an image: it is not an ELF file"
        );
        assert_eq!(error.exit_code(), 121);
    }
}
