//! Eight bytes of text at once: which of them start a word, and what they are in lower case.
//!
//! Arithmetic on all eight bytes in one register. The high bit of each byte carries an answer: for a byte
//! below 128, adding `128 - limit` sets that bit exactly if the byte is at least `limit`, and never carries
//! into the next byte.

const HIGH_BITS: u64 = repeat(0x80);

const fn repeat(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The beginning of a text, divided into the word it starts with and what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// The bytes of the word in lower case, the first one lowest; zero from the word's end on.
    pub(crate) folded: u64,
    /// How many bytes the word has, as far as the block shows; zero if a separator comes first.
    pub(crate) word_size: usize,
    /// How many separators come first.
    pub(crate) separators: usize,
}

impl Block {
    /// How many bytes a block holds.
    pub(crate) const SIZE: usize = 8;

    /// Divides the first bytes of `text`. Behind its end there are separators.
    pub(crate) fn first_of(text: &[u8]) -> Self {
        let bytes = u64::from_le_bytes(text.first_chunk().copied().unwrap_or_else(|| pad(text)));
        let letters = ascii_letters(bytes);
        let in_word = (letters | ascii_digits(bytes) | bytes) & HIGH_BITS;
        let lower_case = bytes | letters >> 2;
        let outside = !in_word & HIGH_BITS;
        let end = outside & outside.wrapping_neg();
        Self {
            folded: lower_case & (end >> 7).wrapping_sub(1),
            word_size: outside.trailing_zeros() as usize / 8,
            separators: in_word.trailing_zeros() as usize / 8,
        }
    }
}

#[cold]
fn pad(text: &[u8]) -> [u8; Block::SIZE] {
    let mut bytes = [0; Block::SIZE];
    bytes[..text.len()].copy_from_slice(text);
    bytes
}

/// Returns the high bit of each byte that is an ASCII letter.
const fn ascii_letters(bytes: u64) -> u64 {
    // Setting bit 5 turns an upper-case letter into its lower-case one, and nothing else into a letter.
    let heptets = bytes & !HIGH_BITS | repeat(0x20);
    between(heptets, b'a', b'z') & !bytes & HIGH_BITS
}

/// Returns the high bit of each byte whose low seven bits are an ASCII digit.
const fn ascii_digits(bytes: u64) -> u64 {
    between(bytes & !HIGH_BITS, b'0', b'9')
}

/// Returns the high bit of each byte from `first` to `last`; the other bits mean nothing.
const fn between(heptets: u64, first: u8, last: u8) -> u64 {
    let from_first = heptets + repeat(0x80 - first);
    let after_last = heptets + repeat(0x7f - last);
    from_first ^ after_last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_in_word(byte: u8) -> bool {
        byte.is_ascii_alphanumeric() || !byte.is_ascii()
    }

    /// What a block is to say, byte by byte.
    fn expected(text: &[u8]) -> Block {
        let text = &text[..text.len().min(Block::SIZE)];
        let word_size = text.iter().take_while(|byte| is_in_word(**byte)).count();
        let mut folded = [0; Block::SIZE];
        folded[..word_size].copy_from_slice(&text[..word_size].to_ascii_lowercase());
        let separators = if text.iter().any(|byte| is_in_word(*byte)) {
            text.iter().take_while(|byte| !is_in_word(**byte)).count()
        } else {
            Block::SIZE
        };
        Block {
            folded: u64::from_le_bytes(folded),
            word_size,
            separators,
        }
    }

    #[test]
    fn every_byte_is_classified_and_folded_in_every_place() {
        for byte in 0..=255 {
            for place in 0..Block::SIZE {
                for around in [b'a', b'Z', b' ', 0, 0x7f, 0x80, 0xff] {
                    let mut text = [around; Block::SIZE];
                    text[place] = byte;

                    assert_eq!(Block::first_of(&text), expected(&text), "{text:x?}");
                }
            }
        }
    }

    #[test]
    fn a_text_shorter_than_a_block_ends_in_separators() {
        for text in [
            &b""[..],
            b"a",
            b"-",
            b"-a",
            b"\xff\xff",
            b"abcdefg",
            b"abc def",
        ] {
            assert_eq!(Block::first_of(text), expected(text), "{text:x?}");
        }
    }

    #[test]
    fn bytes_behind_the_block_do_not_matter() {
        assert_eq!(Block::first_of(b"ABCDEFGHIJ"), expected(b"abcdefgh"));
    }
}
