//! What a guest has said so far, at least the end of it.

const LIMIT: usize = 16 << 20;

/// The end of a long text.
pub(crate) struct Transcript {
    bytes: Vec<u8>,
}

impl Transcript {
    pub(crate) fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Adds to the text, forgetting its beginning when it has become very long.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        if self.bytes.len() > 2 * LIMIT {
            self.bytes.drain(..self.bytes.len() - LIMIT);
        }
    }

    /// Returns what is remembered.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// Returns what is remembered, at the end.
    pub(crate) fn into_text(self) -> String {
        String::from_utf8(self.bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_very_long_text_keeps_its_end() {
        let mut transcript = Transcript::new();

        for _ in 0..5 {
            transcript.add(&vec![b'a'; LIMIT]);
        }
        transcript.add(b"end");

        let text = transcript.into_text();
        assert!(text.ends_with("end") && text.len() <= 2 * LIMIT);
    }
}
