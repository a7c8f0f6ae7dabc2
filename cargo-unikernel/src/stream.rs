//! The guest's text on its way to the reader.
//!
//! Text passes at once, byte by byte, except for a line that begins like an entry of a backtrace: that one waits for its
//! end and comes out with file and line. Carriage returns are dropped.
//!
//! ```text
//!   #1 0xffffffff80201234 app::count + 0x24
//!   #1 0xffffffff80201234 app::count + 0x24 at app/src/main.rs:10:5
//! ```

use std::mem;

/// A place in the source, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The function's demangled name.
    pub(crate) function: Option<String>,
    /// `file:line:column`.
    pub(crate) location: String,
}

/// Finds the source of an address.
pub(crate) trait Locate {
    /// Returns where the instruction at `address` comes from: the innermost inlined function first, the function that
    /// holds the instruction last; nothing if it is unknown.
    fn frames(&mut self, address: u64) -> Vec<Frame>;
}

/// What a line may be, by its first bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    /// Its beginning is that of an entry, so far.
    Undecided,
    /// It is text.
    Text,
}

/// Adds file and line to the entries of backtraces in a stream of text.
pub(crate) struct Annotator<L> {
    locate: L,
    line: Line,
    held: Vec<u8>,
}

const ENTRY_START: &[u8] = b"  #";
const LONGEST_ENTRY: usize = 4096;

impl<L: Locate> Annotator<L> {
    pub(crate) fn new(locate: L) -> Self {
        Self {
            locate,
            line: Line::Undecided,
            held: Vec::new(),
        }
    }

    /// Takes some bytes and returns what can be shown now.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut shown = Vec::with_capacity(bytes.len());
        for &byte in bytes.iter().filter(|byte| **byte != b'\r') {
            self.push_byte(byte, &mut shown);
        }
        shown
    }

    /// Returns what is still held back.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        self.line = Line::Undecided;
        mem::take(&mut self.held)
    }

    fn push_byte(&mut self, byte: u8, shown: &mut Vec<u8>) {
        if self.line == Line::Text {
            shown.push(byte);
        } else if byte == b'\n' {
            shown.extend(self.annotated());
        } else {
            self.held.push(byte);
            if !may_be_entry(&self.held) {
                self.line = Line::Text;
                shown.append(&mut self.held);
            }
        }
        if byte == b'\n' {
            self.line = Line::Undecided;
        }
    }

    /// Returns the held line with its source, or as it is.
    fn annotated(&mut self) -> Vec<u8> {
        let line = mem::take(&mut self.held);
        let known = std::str::from_utf8(&line)
            .ok()
            .and_then(Entry::parse)
            .map(|entry| {
                let frames = self.locate.frames(entry.address);
                entry.with(&frames)
            });
        let mut shown = known.map_or(line, String::into_bytes);
        shown.push(b'\n');
        shown
    }
}

fn may_be_entry(start: &[u8]) -> bool {
    let len = start.len().min(ENTRY_START.len());
    start[..len] == ENTRY_START[..len] && start.len() <= LONGEST_ENTRY
}

/// An entry of a backtrace.
struct Entry<'a> {
    /// `  #1 0xffffffff80201234`
    head: &'a str,
    address: u64,
    /// ` app::count + 0x24`
    name: &'a str,
}

impl<'a> Entry<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let rest = line.strip_prefix("  #")?;
        let (index, rest) = rest.split_once(' ')?;
        index.parse::<u32>().ok()?;
        let hex = rest.strip_prefix("0x")?;
        let len = hex.find(' ').unwrap_or(hex.len());
        let address = u64::from_str_radix(&hex[..len], 16).ok()?;
        let (head, name) = line.split_at(line.len() - hex.len() + len);
        Some(Self {
            head,
            address,
            name,
        })
    }

    /// Returns the line with the source of its address.
    ///
    /// The guest's name is that of the function that holds the instruction. Only the debug information knows what was
    /// inlined there: then the innermost function takes the line, and the guest's name goes to the last one below.
    fn with(&self, frames: &[Frame]) -> String {
        let (Some((inner, outer)), Some(last)) = (frames.split_first(), frames.last()) else {
            return format!("{}{}", self.head, self.name);
        };
        let holder = self.function().or(last.function.as_deref()).unwrap_or("?");
        if outer.is_empty() {
            let name = if self.function().is_some() {
                self.name
            } else {
                &format!(" {holder}")
            };
            return format!("{}{name} at {}", self.head, inner.location);
        }
        let name = |frame: &Frame| frame.function.clone().unwrap_or("?".to_owned());
        let mut text = format!("{} {} at {}", self.head, name(inner), inner.location);
        for (index, frame) in outer.iter().enumerate() {
            let name = if index + 1 == outer.len() {
                holder.to_owned()
            } else {
                name(frame)
            };
            text += &format!("\n       inlined by {name} at {}", frame.location);
        }
        text
    }

    /// Returns the guest's name without the offset.
    fn function(&self) -> Option<&'a str> {
        let name = self
            .name
            .rsplit_once(" + 0x")
            .map_or(self.name, |(name, _)| name)
            .trim();
        (!name.is_empty() && name != "?").then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Knows one plain address and one where code was inlined.
    struct Known;

    impl Locate for Known {
        fn frames(&mut self, address: u64) -> Vec<Frame> {
            let frame = |name: &str, location: &str| Frame {
                function: Some(name.to_owned()),
                location: location.to_owned(),
            };
            match address {
                0x1000 => vec![frame("app::main", "app/src/main.rs:10:5")],
                0x2000 => vec![frame("inner", "a.rs:1:2"), frame("outer", "b.rs:3:4")],
                _ => Vec::new(),
            }
        }
    }

    fn pushed(text: &str) -> String {
        let mut annotator = Annotator::new(Known);
        let mut shown = annotator.push(text.as_bytes());
        shown.extend(annotator.finish());
        String::from_utf8(shown).unwrap()
    }

    /// Proves T8.
    #[test]
    fn an_entry_of_a_backtrace_gets_file_and_line() {
        assert_eq!(
            pushed("  #3 0x1000 app::main + 0x24\r\n"),
            "  #3 0x1000 app::main + 0x24 at app/src/main.rs:10:5\n"
        );
    }

    /// Proves T8.
    #[test]
    fn inlined_functions_get_lines_of_their_own() {
        assert_eq!(
            pushed("  #0 0x2000 crate::outer + 0x1\n"),
            "  #0 0x2000 inner at a.rs:1:2\n       inlined by crate::outer at b.rs:3:4\n"
        );
    }

    #[test]
    fn an_entry_without_a_name_gets_one() {
        assert_eq!(
            pushed("  #0 0x1000\n"),
            "  #0 0x1000 app::main at app/src/main.rs:10:5\n"
        );
    }

    #[test]
    fn everything_else_passes_unchanged_but_for_carriage_returns() {
        for text in [
            "plain\n",
            "  #\n",
            "  #x 0x1000\n",
            "  #1 0x3000 f + 0x1\n",
            "  #1 0xzz\n",
            "  # heading",
            "\n\n",
            "",
        ] {
            assert_eq!(pushed(text), text);
        }
        assert_eq!(pushed("a\r\nb\r"), "a\nb");
    }

    #[test]
    fn text_is_shown_at_once_and_only_an_entry_waits_for_its_end() {
        let mut annotator = Annotator::new(Known);

        assert_eq!(annotator.push(b"progress: 1"), b"progress: 1");
        assert_eq!(annotator.push(b"0 %\n  "), b"0 %\n");
        assert_eq!(annotator.push(b"x"), b"  x");
        assert_eq!(annotator.push(b"\n  #0 0x10"), b"\n");
        assert_eq!(
            annotator.push(b"00 f\n"),
            b"  #0 0x1000 f at app/src/main.rs:10:5\n"
        );
    }

    #[test]
    fn bytes_that_are_not_text_pass() {
        let mut annotator = Annotator::new(Known);

        assert_eq!(annotator.push(&[0xff, 0xfe, b'\n']), [0xff, 0xfe, b'\n']);
    }
}
