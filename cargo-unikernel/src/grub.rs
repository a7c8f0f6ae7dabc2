//! What GRUB is told, and what it says: its configuration with all words quoted, and the line between its text and the
//! guest's.

use crate::error::Error;
use crate::module::Module;

const TEMPLATE: &str = include_str!("../../grub/grub.cfg");
const LOADED_LINE: &[u8] = b"unikernel: image loaded\n";
/// What GRUB says between the loaded image and its start, on a machine by UEFI without a screen. It matters to nobody: the serial
/// line is all that is needed.
const NO_SCREEN_LINE: &[u8] = b"error: no suitable video mode found.\n";
const FAILED_LINE: &str = "unikernel: GRUB could not start the image";

/// Returns the configuration that boots `/boot/image.elf` with the given words and `/boot/module0` and so on.
pub(crate) fn configuration(words: &[String], modules: &[Module]) -> Result<String, Error> {
    if words.iter().any(String::is_empty) {
        let message = "an empty argument does not survive GRUB; boot with --direct";
        return Err(Error::Usage(message.to_owned()));
    }
    let arguments: String = words
        .iter()
        .map(|word| format!(" {}", quoted(word)))
        .collect();
    let load = |(index, module): (usize, &Module)| {
        format!(
            "if module2 /boot/module{index} {}; then\n",
            quoted(&module.name)
        )
    };
    let modules_text: String = modules.iter().enumerate().map(load).collect();
    Ok(TEMPLATE
        .replace("@ARGUMENTS@", &arguments)
        .replace("@MODULES@\n", &modules_text)
        .replace("@END_OF_MODULES@\n", &"fi\n".repeat(modules.len())))
}

/// Quotes a word for GRUB's script language, in which nothing is special between single quotes.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Keeps back what firmware and GRUB say until the guest speaks.
pub(crate) struct Gate {
    hidden: Vec<u8>,
    is_open: bool,
    /// What came after GRUB's last line, as long as it may be [`NO_SCREEN_LINE`].
    held: Option<Vec<u8>>,
}

impl Gate {
    /// Returns a gate that waits for GRUB's last line.
    pub(crate) fn closed() -> Self {
        Self {
            hidden: Vec::new(),
            is_open: false,
            held: Some(Vec::new()),
        }
    }

    /// Returns a gate for a guest that is started without GRUB.
    pub(crate) fn opened() -> Self {
        Self {
            hidden: Vec::new(),
            is_open: true,
            held: None,
        }
    }

    /// Returns whether the guest is speaking.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Takes bytes without carriage returns and returns those that the guest has said.
    pub(crate) fn push(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        if self.is_open {
            return self.without_complaint(bytes);
        }
        let searched = self.hidden.len().saturating_sub(LOADED_LINE.len());
        self.hidden.extend(bytes);
        let found = self.hidden[searched..]
            .windows(LOADED_LINE.len())
            .position(|window| window == LOADED_LINE);
        let Some(at) = found else { return Vec::new() };
        self.is_open = true;
        let rest = self.hidden.split_off(searched + at + LOADED_LINE.len());
        self.without_complaint(rest)
    }

    /// Returns what was held back and is the guest's after all, at its end.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        self.held.take().unwrap_or_default()
    }

    /// Takes what comes after GRUB's last line, and drops the one that GRUB may add.
    fn without_complaint(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        let Some(mut held) = self.held.take() else {
            return bytes;
        };
        held.extend(bytes);
        if let Some(rest) = held.strip_prefix(NO_SCREEN_LINE) {
            return rest.to_vec();
        }
        if !NO_SCREEN_LINE.starts_with(&held) {
            return held;
        }
        self.held = Some(held);
        Vec::new()
    }

    /// Returns why GRUB did not start the image; `text` is what passed the gate. `None` if it did.
    pub(crate) fn failure(&self, text: &str) -> Option<String> {
        if self.is_open {
            let (said, _) = text.split_once(FAILED_LINE)?;
            return Some(last_words(said));
        }
        Some(last_words(&String::from_utf8_lossy(&self.hidden)))
    }
}

/// Returns the last error in what was said, or else the last line, in plain text.
fn last_words(said: &str) -> String {
    let plain = without_escapes(said);
    let lines = || {
        plain
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && *line != FAILED_LINE)
    };
    let is_telling = |line: &&str| line.starts_with("error:") && !line.contains(".mod'");
    let found = lines()
        .rfind(is_telling)
        .or_else(|| lines().next_back())
        .unwrap_or("it said nothing");
    found
        .trim_start_matches("error: ")
        .trim_end_matches('.')
        .to_owned()
}

/// Drops terminal control sequences.
pub(crate) fn without_escapes(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("\x1b[") {
        plain.push_str(&rest[..start]);
        let sequence = &rest[start + 2..];
        let end = sequence
            .find(|c: char| c.is_ascii_alphabetic())
            .map_or(sequence.len(), |at| at + 1);
        rest = &sequence[end..];
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(name: &str) -> Module {
        Module {
            name: name.to_owned(),
            path: "/tmp/file".into(),
            len: 1,
        }
    }

    /// Proves T5.
    #[test]
    fn words_are_quoted_so_that_nothing_in_them_is_special() {
        let words = [
            "plain",
            "with space",
            "$x;y",
            "it's",
            "\"quoted\"",
            r"back\slash",
        ]
        .map(str::to_owned);

        let text = configuration(&words, &[]).unwrap();

        let expected = r#"multiboot2 /boot/image.elf 'plain' 'with space' '$x;y' 'it'\''s' '"quoted"' 'back\slash'; then"#;
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn each_module_is_loaded_before_the_image_boots() {
        let text = configuration(&[], &[module("README.md"), module("b c")]).unwrap();

        let expected =
            "if module2 /boot/module0 'README.md'; then\nif module2 /boot/module1 'b c'; then\n";
        assert!(text.contains(expected), "{text}");
        assert_eq!(text.lines().filter(|line| *line == "fi").count(), 3);
        assert!(
            !text.contains("@M") && !text.contains("@E") && !text.contains("@A"),
            "{text}"
        );
    }

    #[test]
    fn an_empty_word_is_refused() {
        assert!(configuration(&[String::new()], &[]).is_err());
    }

    #[test]
    fn the_gate_opens_at_the_line_even_when_it_comes_in_pieces() {
        for pieces in [
            vec!["\x1b[HGRUB\nunikernel: image loaded\nguest"],
            vec!["GRUB\nunikernel: im", "age loaded", "\ngue", "st"],
            vec!["unikernel: image loaded\n", "guest"],
        ] {
            let mut gate = Gate::closed();
            let passed: Vec<u8> = pieces
                .into_iter()
                .flat_map(|piece| gate.push(piece.as_bytes().to_vec()))
                .collect();
            assert_eq!(passed, b"guest");
            assert_eq!(gate.failure("guest"), None);
        }
    }

    #[test]
    fn that_there_is_no_screen_is_not_said_by_the_guest() {
        for (pieces, expected) in [
            (vec!["error: no suitable video mode found.\nguest"], "guest"),
            (
                vec!["error: no suit", "able video mode found.\n", "guest"],
                "guest",
            ),
            (vec!["error: no su", "mmer"], "error: no summer"),
            (vec!["err"], "err"),
            (
                vec!["x\nerror: no suitable video mode found.\n"],
                "x\nerror: no suitable video mode found.\n",
            ),
        ] {
            let mut gate = Gate::closed();
            let mut passed = gate.push(LOADED_LINE.to_vec());
            for piece in pieces {
                passed.extend(gate.push(piece.as_bytes().to_vec()));
            }
            passed.extend(gate.finish());
            assert_eq!(String::from_utf8(passed).unwrap(), expected);
        }
    }

    #[test]
    fn the_cause_is_the_last_error_grub_spoke_of() {
        let mut gate = Gate::closed();
        gate.push(b"\x1b[H\x1b[J\x1b[1;1Herror: out of memory.\nunikernel: GRUB could not start the image\n".to_vec());

        assert_eq!(gate.failure(""), Some("out of memory".to_owned()));
        assert_eq!(
            Gate::closed().failure(""),
            Some("it said nothing".to_owned())
        );
    }

    #[test]
    fn a_failure_after_loading_is_seen_as_well() {
        let mut gate = Gate::closed();
        gate.push(b"unikernel: image loaded\n".to_vec());

        let text = "error: out of memory.\nunikernel: GRUB could not start the image\n";
        assert_eq!(gate.failure(text), Some("out of memory".to_owned()));
    }
}
