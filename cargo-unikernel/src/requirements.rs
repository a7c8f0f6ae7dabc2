//! Which tests prove which requirements, as the tests themselves say: `/// Proves T1, M24.`

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::error::Error;

/// A requirement's number: its letter and its digits, sorted as people count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Requirement(String, u32);

impl Requirement {
    fn parse(word: &str) -> Option<Self> {
        let digits = word.trim_start_matches(|c: char| c.is_ascii_uppercase());
        let letters = &word[..word.len() - digits.len()];
        (letters.len() == 1).then_some(())?;
        Some(Self(letters.to_owned(), digits.parse().ok()?))
    }
}

impl std::fmt::Display for Requirement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.0, self.1)
    }
}

/// The tests of each requirement, as `file: name`.
pub(crate) type Coverage = BTreeMap<Requirement, Vec<String>>;

/// Reads all Rust files below `root` except what was built.
pub(crate) fn scan(root: &Path) -> Result<Coverage, Error> {
    let mut coverage = Coverage::new();
    for file in rust_files(root)? {
        let text = fs::read_to_string(&file).map_err(Error::file(&file))?;
        let shown = file
            .strip_prefix(root)
            .unwrap_or(&file)
            .display()
            .to_string();
        for (requirement, test) in proofs(&text) {
            coverage
                .entry(requirement)
                .or_default()
                .push(format!("{shown}: {test}"));
        }
    }
    Ok(coverage)
}

/// Returns the numbers that a list of requirements gives. A bare `24.` at the start of a line takes the letter of its
/// section, as in `## A. Memory (M)`.
pub(crate) fn listed(text: &str) -> BTreeSet<Requirement> {
    let mut letter = String::new();
    let mut found = BTreeSet::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            letter = section_letter(heading).unwrap_or(letter);
        } else if let Some((word, _)) = line.split_once(". ") {
            let is_bare = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
            let word = if is_bare {
                format!("{letter}{word}")
            } else {
                word.to_owned()
            };
            found.extend(Requirement::parse(&word));
        }
    }
    found
}

/// Returns the letter in the brackets of a heading.
fn section_letter(heading: &str) -> Option<String> {
    let (_, rest) = heading.split_once('(')?;
    let letter: String = rest.chars().take_while(char::is_ascii_uppercase).collect();
    (letter.len() == 1).then_some(letter)
}

/// Returns each requirement that a doc comment names, with the function or the table of cases below it.
fn proofs(text: &str) -> Vec<(Requirement, String)> {
    let mut found = Vec::new();
    let mut named: Vec<Requirement> = Vec::new();
    for line in without_literals(text).lines().map(str::trim) {
        let proof = line
            .strip_prefix("///")
            .and_then(|comment| comment.split_once(" Proves "));
        if let Some((_, list)) = proof {
            named.extend(
                list.split([',', ' ', '.', ';', ':'])
                    .filter_map(Requirement::parse),
            );
        } else if let Some(name) = item_name(line) {
            found.extend(
                named
                    .drain(..)
                    .map(|requirement| (requirement, name.to_owned())),
            );
        } else if !line.starts_with("///") && !line.starts_with("#[") && !line.ends_with(")]") {
            named.clear();
        }
    }
    found
}

/// Returns the name of the function or constant that a line begins.
fn item_name(line: &str) -> Option<&str> {
    const BEFORE: [&str; 7] = [
        "pub",
        "pub(crate)",
        "async",
        "unsafe",
        "const",
        "static",
        "fn",
    ];
    let mut words = line.split_whitespace();
    let is_item = |word: &str| ["const", "static", "fn"].contains(&word);
    let before = words.clone().take_while(|word| BEFORE.contains(word));
    let (count, found) = before.fold((0, false), |(count, found), word| {
        (count + 1, found || is_item(word))
    });
    let name = words
        .nth(count)?
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .next()?;
    (found && !name.is_empty()).then_some(name)
}

/// Returns a source text with nothing in its strings and characters, so that what looks like a comment is one.
fn without_literals(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let literal = literal_len(rest);
        if rest.starts_with("//") {
            let end = rest.find('\n').unwrap_or(rest.len());
            plain += &rest[..end];
            rest = &rest[end..];
        } else if literal > 0 {
            plain.extend(rest[..literal].chars().filter(|&c| c == '\n'));
            rest = &rest[literal..];
        } else {
            // A word is copied whole: an `r` at its end begins no string.
            let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            let len = word.unwrap_or(rest.len()).max(next.len_utf8());
            plain += &rest[..len];
            rest = &rest[len..];
        }
    }
    plain
}

/// Returns the length of the string or character literal that a text begins with, 0 if it begins with none.
fn literal_len(text: &str) -> usize {
    let raw = text.strip_prefix('r').unwrap_or_default();
    let hashes = raw.len() - raw.trim_start_matches('#').len();
    if raw[hashes..].starts_with('"') {
        let end = format!("\"{}", "#".repeat(hashes));
        let start = 1 + hashes + 1;
        let found = text[start..].find(&end);
        return found.map_or(text.len(), |at| start + at + end.len());
    }
    match text.chars().next() {
        Some(quote @ '"') => escaped_len(text, quote),
        // A lifetime has no second quote, two characters on.
        Some(quote @ '\'') if text[1..].starts_with('\\') || text.chars().nth(2) == Some(quote) => {
            escaped_len(text, quote)
        }
        _ => 0,
    }
}

/// Returns the length up to the next quote that no backslash stands before.
fn escaped_len(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    let end = text.char_indices().skip(1).find(|&(_, c)| {
        let ends = c == quote && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        ends
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

fn rust_files(root: &Path) -> Result<Vec<std::path::PathBuf>, Error> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(Error::file(&folder))? {
            let path = entry.map_err(Error::file(&folder))?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.is_dir() && !path.is_symlink() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if name.ends_with(".rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(found: Vec<(Requirement, String)>) -> Vec<String> {
        found
            .into_iter()
            .map(|(requirement, test)| format!("{requirement} {test}"))
            .collect()
    }

    #[test]
    fn a_test_proves_what_its_comment_says() {
        let text = "
            /// A sentence.
            ///
            /// Proves T1, M24.
            #[test]
            #[should_panic(expected = \"x\")]
            fn first() {}

            /// Proves T2.

            fn not_this_one() {}
            /// Proves T3.
            pub(crate) fn second() {}
            /// Proves T4.
            const CASES: [u8; 2] = [1, 2];";

        assert_eq!(
            shown(proofs(text)),
            ["T1 first", "M24 first", "T3 second", "T4 CASES"]
        );
    }

    #[test]
    fn what_stands_in_a_string_proves_nothing() {
        let text = r###"
            fn first<'a>() { let a = ("\"
                /// Proves T1.
                fn not_this_one() {}", '"', '\'', 'a');
            let b = r#"
                /// Proves T2.
                fn nor_this() {}"#; // don't "
            }
            /// Proves T3: it's the one.
            fn second() {}"###;

        assert_eq!(shown(proofs(text)), ["T3 second"]);
    }

    #[test]
    fn a_list_of_requirements_is_read_by_its_sections() {
        let text = "## A. Memory (M)\n1. First. [L]\n2. Second.\n### A1. Part\n3. Third.\n## B. Tool (T)\nT1. One.\nNot. this\n";

        let found: Vec<_> = listed(text).iter().map(Requirement::to_string).collect();

        assert_eq!(found, ["M1", "M2", "M3", "T1"]);
    }
}
