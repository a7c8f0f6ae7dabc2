//! From an address to file and line, through the debug information of cargo's ELF file.

use std::path::{Path, PathBuf};

use addr2line::Loader;
use addr2line::fallible_iterator::FallibleIterator;

use crate::stream::{Frame, Locate};

/// The debug information of an image, loaded when the first address is asked for.
pub(crate) struct DebugInfo {
    file: PathBuf,
    root: PathBuf,
    loader: Option<Option<Loader>>,
}

impl DebugInfo {
    /// Returns the debug information of `file`; paths below `root` are shown relative to it.
    pub(crate) fn new(file: &Path, root: &Path) -> Self {
        Self {
            file: file.to_owned(),
            root: root.to_owned(),
            loader: None,
        }
    }
}

impl Locate for DebugInfo {
    fn frames(&mut self, address: u64) -> Vec<Frame> {
        let file = &self.file;
        let loader = self.loader.get_or_insert_with(|| Loader::new(file).ok());
        let Some(frames) = loader
            .as_ref()
            .and_then(|loader| loader.find_frames(address).ok())
        else {
            return Vec::new();
        };
        let root = &self.root;
        frames
            .filter_map(|frame| Ok(known(&frame, root)))
            .collect()
            .unwrap_or_default()
    }
}

fn known<R: addr2line::gimli::Reader>(
    frame: &addr2line::Frame<'_, R>,
    root: &Path,
) -> Option<Frame> {
    let place = frame.location.as_ref()?;
    let file = shortened(place.file?, root);
    let function = frame
        .function
        .as_ref()
        .and_then(|name| name.demangle().ok().map(|name| without_hash(&name)));
    let location = match (place.line, place.column) {
        (Some(line), Some(column)) => format!("{file}:{line}:{column}"),
        (Some(line), None) => format!("{file}:{line}"),
        _ => file,
    };
    Some(Frame { function, location })
}

/// Drops the hash that ends a name in the compiler's older scheme.
fn without_hash(name: &str) -> String {
    let is_hash = |tail: &str| {
        tail.len() == 17
            && tail.starts_with('h')
            && tail[1..].bytes().all(|b| b.is_ascii_hexdigit())
    };
    match name.rsplit_once("::") {
        Some((path, tail)) if is_hash(tail) => path.to_owned(),
        _ => name.to_owned(),
    }
}

/// Shortens a path: relative to the workspace, `library/..` for the standard library, `crate-1.0.0/..` for a
/// dependency.
fn shortened(path: &str, root: &Path) -> String {
    if let Ok(below) = Path::new(path).strip_prefix(root) {
        return below.display().to_string();
    }
    let after = |mark: &str, skipped: usize| {
        let rest = &path[path.find(mark)? + mark.len()..];
        rest.splitn(skipped + 1, '/').nth(skipped)
    };
    let short = after("/rustc/", 1).or_else(|| after("/registry/src/", 1));
    short.unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_shown_as_short_as_it_is_clear() {
        let root = Path::new("/home/me/project");

        for (path, short) in [
            ("/home/me/project/app/src/main.rs", "app/src/main.rs"),
            (
                "/home/me/projects/app/src/main.rs",
                "/home/me/projects/app/src/main.rs",
            ),
            (
                "/rustc/59807616e1/library/core/src/option.rs",
                "library/core/src/option.rs",
            ),
            (
                "/home/me/.cargo/registry/src/index-1/talc-5.1.0/src/lib.rs",
                "talc-5.1.0/src/lib.rs",
            ),
            ("src/main.rs", "src/main.rs"),
        ] {
            assert_eq!(shortened(path, root), short);
        }
    }

    #[test]
    fn a_name_loses_only_its_hash() {
        assert_eq!(without_hash("app::count::h0123456789abcdef"), "app::count");
        assert_eq!(without_hash("app::count::hello"), "app::count::hello");
        assert_eq!(without_hash("main"), "main");
    }

    /// Proves T8.
    #[test]
    fn this_very_function_is_found() {
        let program = std::env::current_exe().unwrap();
        let mut info = DebugInfo::new(&program, Path::new(env!("CARGO_MANIFEST_DIR")));
        let bytes = std::fs::read(&program).unwrap();
        let functions = crate::symbols::tests::addresses_of(&bytes, "this_very_function_is_found");

        let frames: Vec<Frame> = functions
            .into_iter()
            .flat_map(|address| info.frames(address))
            .collect();

        assert!(
            frames
                .iter()
                .any(|frame| frame.location.contains("src/locate.rs:")),
            "{frames:?}"
        );
    }
}
