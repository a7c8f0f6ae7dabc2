//! Bytes that are not text: what a binary module, or a damaged one, has beside its words.

/// Returns how many bytes are not text.
///
/// These are the bytes that are no part of valid UTF-8, and the control characters that no text file has:
/// all but tab, line feed, vertical tab, form feed and carriage return.
#[must_use]
#[inline(never)]
pub fn count_not_text(bytes: &[u8]) -> usize {
    count_invalid_utf8(bytes) + count_binary_controls(bytes)
}

fn count_invalid_utf8(mut bytes: &[u8]) -> usize {
    let mut invalid = 0;
    while let Err(error) = str::from_utf8(bytes) {
        let rest = &bytes[error.valid_up_to()..];
        // No length means that the text ends inside a sequence.
        let bad = error.error_len().unwrap_or(rest.len());
        invalid += bad;
        bytes = &rest[bad..];
    }
    invalid
}

fn count_binary_controls(bytes: &[u8]) -> usize {
    // As many bytes as can be counted in one byte: the loop over them then runs on 16 at a time.
    let in_chunk = |chunk: &[u8]| {
        chunk
            .iter()
            .map(|byte| u8::from(is_binary_control(*byte)))
            .sum::<u8>()
    };
    bytes
        .chunks(255)
        .map(|chunk| usize::from(in_chunk(chunk)))
        .sum()
}

const fn is_binary_control(byte: u8) -> bool {
    matches!(byte, 0..=0x08 | 0x0e..=0x1f | 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_in_any_language_is_text() {
        let text = "plain\tASCII\r\n\x0b\x0c, Grüße, слово, 言葉, 🦀, \u{85}\u{a0}";

        assert_eq!(count_not_text(text.as_bytes()), 0);
        assert_eq!(count_not_text(b""), 0);
    }

    #[test]
    fn control_bytes_are_not_text() {
        assert_eq!(count_not_text(b"\0\0a\x01b\x08c\x0ed\x1b[0m\x1f\x7f"), 8);
    }

    #[test]
    fn many_control_bytes_are_counted_one_by_one() {
        assert_eq!(count_not_text(&[0; 1000]), 1000);
    }

    #[test]
    fn bytes_outside_utf8_are_not_text() {
        let cases: [(&[u8], usize); 7] = [
            (b"a\xffb", 1),                   // never a byte of UTF-8
            (b"\x80\xbf", 2),                 // continuations of nothing
            (b"\xc0\xaf", 2),                 // overlong slash
            (b"\xe0\x80\xaf", 3),             // overlong slash in three bytes
            (b"\xed\xa0\x80", 3),             // surrogate
            (b"\xf4\x90\x80\x80", 4),         // above the last code point
            (b"ok \xe8\xa8\x80 \xe8\xa8", 2), // one whole character, then a cut one
        ];
        for (bytes, expected) in cases {
            assert_eq!(count_not_text(bytes), expected, "{bytes:x?}");
        }
    }

    #[test]
    fn a_sequence_cut_by_more_text_counts_its_own_bytes_only() {
        assert_eq!(count_not_text(b"\xf0\x9f\xa6word"), 3);
    }
}
