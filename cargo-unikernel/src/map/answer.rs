//! Answers in what a guest says on its serial line.

/// How lines begin that speak of answers.
const MARKED: &str = "unikernel map: ";
/// From here on the image may be asked.
const READY: &str = "unikernel map: ready\n";
const BEGIN: &str = "unikernel map: begin\n";
const END: &str = "\nunikernel map: end\n";
const BUSY: &str = "unikernel map: busy\n";

/// What a guest has said, and how much of it has been listened to.
#[derive(Default)]
pub(crate) struct Voice {
    text: String,
    /// Bytes of a character that has not arrived whole.
    rest: Vec<u8>,
    /// Where the program's own text begins.
    own: Option<usize>,
    /// Where the next answer is looked for.
    from: usize,
}

/// What a guest says when it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Ask again.
    Busy,
    /// This is the memory.
    Map(String),
}

impl Voice {
    /// Listens to some more bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.rest
            .extend(bytes.iter().filter(|byte| **byte != b'\r'));
        let whole = match std::str::from_utf8(&self.rest) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => self.rest.len(),
        };
        let rest = self.rest.split_off(whole);
        self.text += &String::from_utf8_lossy(&self.rest);
        self.rest = rest;
        if self.own.is_none() {
            self.own = self.text.find(READY).map(|at| at + READY.len());
        }
    }

    /// Returns what the program itself has said, once it may be asked.
    pub(crate) fn own(&self) -> Option<&str> {
        self.own.map(|at| &self.text[at..])
    }

    /// Returns everything that was said.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Returns everything that was said but for the lines that are none of the program's business.
    pub(crate) fn without_markers(&self) -> String {
        let lines = self.text.split_inclusive('\n');
        lines.filter(|line| !line.starts_with(MARKED)).collect()
    }

    /// Returns the next answer, if it is complete.
    pub(crate) fn next(&mut self) -> Option<Answer> {
        let unheard = &self.text[self.from..];
        let (busy, begin) = (unheard.find(BUSY), unheard.find(BEGIN));
        if let Some(at) = busy.filter(|&busy| begin.is_none_or(|begin| busy < begin)) {
            self.from += at + BUSY.len();
            return Some(Answer::Busy);
        }
        let Some(begin) = begin else {
            self.from = self
                .text
                .floor_char_boundary(self.text.len().saturating_sub(BEGIN.len()).max(self.from));
            return None;
        };
        let start = begin + BEGIN.len();
        let len = unheard[start..].find(END)?;
        let map = unheard[start..start + len].to_owned();
        self.from += start + len + END.len();
        Some(Answer::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(chunks: &[&[u8]]) -> Vec<Answer> {
        let mut voice = Voice::default();
        let mut found = Vec::new();
        for chunk in chunks {
            voice.push(chunk);
            found.extend(std::iter::from_fn(|| voice.next()));
        }
        found
    }

    #[test]
    fn answers_are_found_in_what_a_program_prints_however_it_arrives() {
        let text = "Hello\r\nunikernel map: ready\r\nhalf a li\r\nunikernel map: busy\r\nne\r\n\
            \r\nunikernel map: begin\r\n{\"a\":1,\r\n \"\u{fc}\":2}\r\nunikernel map: end\r\nmore\r\n";
        let expected = [
            Answer::Busy,
            Answer::Map("{\"a\":1,\n \"\u{fc}\":2}".to_owned()),
        ];

        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();

        assert_eq!(answers(&[text.as_bytes()]), expected);
        assert_eq!(answers(&bytes), expected);
    }

    #[test]
    fn an_answer_that_is_cut_off_is_none() {
        let cut = "unikernel map: begin\n{\"a\":1";

        assert_eq!(answers(&[cut.as_bytes()]), []);
    }

    #[test]
    fn the_programs_own_text_begins_when_it_may_be_asked() {
        let mut voice = Voice::default();

        voice.push(b"INFO loader\nunikernel map: rea");
        assert_eq!(voice.own(), None);
        voice.push(b"dy\nHello\n");

        assert_eq!(voice.own(), Some("Hello\n"));
        assert_eq!(voice.without_markers(), "INFO loader\nHello\n");
        assert_eq!(voice.next(), None);
    }
}
