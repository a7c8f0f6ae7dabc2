//! What `cargo unikernel new` writes: the files of a project, and where they may go.

use std::path::{Path, PathBuf};

use crate::error::Error;

/// Names that cargo or Rust keep for themselves, or that would clash with the library.
const RESERVED: [&str; 50] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "unikernel",
    "use",
];

/// Refuses what cannot be the name of a crate.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let refuse = |why: &str| {
        Err(Error::Usage(format!(
            "`{name}` cannot be the name of a project: {why}"
        )))
    };
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return refuse("it must begin with a letter");
    }
    if !name.chars().all(is_allowed) {
        return refuse("only letters, digits, - and _ are allowed");
    }
    if RESERVED.contains(&name)
        || ["unsafe", "where", "while", "yield", "virtual", "typeof"].contains(&name)
    {
        return refuse("the word has a meaning of its own");
    }
    Ok(())
}

/// Returns the folder of the library: the one that is named, or that of the checkout the tool was built from.
pub(crate) fn library(named: Option<&Path>) -> Result<PathBuf, Error> {
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../unikernel");
    let folder = named.unwrap_or(&usual);
    let missing = |cause| {
        match named {
        Some(path) => Error::file(path)(cause),
        None => Error::Usage(
            "the checkout that this tool was built from is gone; say where `unikernel` is with --unikernel PATH".to_owned(),
        ),
    }
    };
    folder.join("Cargo.toml").metadata().map_err(missing)?;
    folder.canonicalize().map_err(Error::file(folder))
}

/// Returns whether cargo would look for a workspace above a new project.
pub(crate) fn is_inside_project(folder: &Path) -> bool {
    folder
        .ancestors()
        .skip(1)
        .any(|above| above.join("Cargo.toml").exists())
}

/// Returns the manifest of a project.
pub(crate) fn manifest(name: &str, library: &Path, needs_workspace: bool) -> String {
    let library = toml::Value::String(library.display().to_string());
    let workspace = if needs_workspace {
        "\n[workspace]\n"
    } else {
        ""
    };
    format!(
        "[package]
name = \"{name}\"
version = \"0.1.0\"
edition = \"2024\"

[dependencies]
unikernel = {{ path = {library} }}
{workspace}"
    )
}

/// Returns the program of a project.
pub(crate) fn program(name: &str) -> String {
    format!(
        "#![no_std]
#![no_main]

use unikernel::prelude::*;

#[unikernel::main]
fn main() {{
    println!(\"Hello from {name}!\");
}}

#[unikernel::test]
fn two_and_two_is_four() {{
    assert_eq!(2 + 2, 4);
}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_cargo_takes_are_taken() {
        for name in ["hello", "hello-world", "_x", "h2"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in [
            "",
            "2hello",
            "he llo",
            "../x",
            "fn",
            "test",
            "unikernel",
            "while",
            "ä",
            "-x",
            "a/b",
        ] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn the_manifest_is_toml_with_the_library_and_at_will_a_workspace() {
        let text = manifest("hello", Path::new("/a b/\"unikernel\""), true);

        let parsed: toml::Table = text.parse().unwrap();

        assert_eq!(parsed["package"]["name"].as_str(), Some("hello"));
        assert_eq!(
            parsed["dependencies"]["unikernel"]["path"].as_str(),
            Some("/a b/\"unikernel\"")
        );
        assert!(parsed.contains_key("workspace"));
        assert!(!manifest("hello", Path::new("/x"), false).contains("workspace"));
    }
}
