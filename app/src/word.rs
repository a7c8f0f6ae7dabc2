//! What a word is: a run of letters, digits and non-ASCII bytes, without regard to ASCII case.
//!
//! Deliberately a definition over bytes, so that `tr -cs 'a-z0-9\200-\377' '\n'` finds exactly the same words
//! in any input. Every byte of a non-ASCII character counts as part of a word: letters of all languages do
//! belong to words, and the price, that a curly quote clings to its word, is small and visible. A word that has
//! neither a letter nor a digit, such as `│`, is one as well, but not one to be shown. Words are borrowed from their text as they are written there; folding happens while they are hashed, compared and
//! printed, never in a copy.

use crate::block::Block;
use core::cmp::Ordering;
use core::fmt::{self, Write};

/// How many bytes of a word are printed before it is cut.
const LONGEST_SHOWN: usize = 60;

/// A word as it stands in its text; equal to and ordered like its lower-case form, byte by byte.
#[derive(Clone, Copy, Debug)]
pub struct Word<'a> {
    /// The first eight bytes in lower case: all there is to compare for most words.
    start: u64,
    bytes: &'a [u8],
}

impl<'a> Word<'a> {
    /// Makes a word again of its beginning in lower case, and its bytes.
    pub(crate) const fn new(start: u64, bytes: &'a [u8]) -> Self {
        Self { start, bytes }
    }

    /// Returns the first eight bytes in lower case, the first one lowest.
    pub(crate) const fn start(self) -> u64 {
        self.start
    }

    /// Returns whether the beginning is all of it.
    pub(crate) const fn is_short(self) -> bool {
        self.bytes.len() <= Block::SIZE
    }

    /// Returns whether it has a letter or a digit, of any language.
    pub(crate) fn is_readable(self) -> bool {
        let mut chunks = self.bytes.utf8_chunks();
        chunks.any(|chunk| chunk.valid().chars().any(char::is_alphanumeric))
    }

    /// Returns the bytes of the word as they stand in the text.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }
}

impl PartialEq for Word<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.start == other.start
            && self.bytes.len() == other.bytes.len()
            && (self.is_short() || is_equal_folded(self.bytes, other.bytes))
    }
}

/// Kept out of line, because few words are that long.
#[inline(never)]
fn is_equal_folded(left: &[u8], right: &[u8]) -> bool {
    left == right || left.eq_ignore_ascii_case(right)
}

impl Eq for Word<'_> {}

impl Ord for Word<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let folded = |word: &Self| word.bytes.iter().map(u8::to_ascii_lowercase);
        folded(self).cmp(folded(other))
    }
}

impl PartialOrd for Word<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Prints the word in lower case: bytes outside UTF-8 as `\xff`, control characters as `\u{9b}`, and of a long
/// word the beginning and its size.
impl fmt::Display for Word<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let beginning = beginning(self.bytes);
        for chunk in beginning.utf8_chunks() {
            for character in chunk.valid().chars() {
                write_character(formatter, character)?;
            }
            for byte in chunk.invalid() {
                write!(formatter, "\\x{byte:02x}")?;
            }
        }
        if beginning.len() < self.bytes.len() {
            write!(formatter, "... ({} bytes)", self.bytes.len())?;
        }
        Ok(())
    }
}

/// Returns at most [`LONGEST_SHOWN`] bytes of a word, cut before a character rather than inside.
fn beginning(word: &[u8]) -> &[u8] {
    let is_continuation = |byte: u8| byte & 0xc0 == 0x80;
    let mut end = word.len().min(LONGEST_SHOWN);
    while end > LONGEST_SHOWN - 4 && word.get(end).is_some_and(|byte| is_continuation(*byte)) {
        end -= 1;
    }
    &word[..end]
}

fn write_character(formatter: &mut fmt::Formatter<'_>, character: char) -> fmt::Result {
    if character.is_control() {
        return write!(formatter, "{}", character.escape_unicode());
    }
    formatter.write_char(character.to_ascii_lowercase())
}

/// The words of a text in order, each with the hash of its lower-case form.
#[derive(Clone, Debug)]
pub struct WordIterator<'a> {
    rest: &'a [u8],
}

impl<'a> WordIterator<'a> {
    /// Starts at the beginning of a text.
    #[must_use]
    pub fn new(text: &'a [u8]) -> Self {
        Self { rest: text }
    }
}

impl<'a> Iterator for WordIterator<'a> {
    type Item = (Word<'a>, u32);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let block = Block::first_of(self.rest);
            if block.word_size > 0 {
                return Some(self.take_word(block));
            }
            self.rest = self.rest.get(block.separators..).unwrap_or_default();
        }
        None
    }
}

impl<'a> WordIterator<'a> {
    /// Takes the word that starts with `block`, and the separator behind it.
    fn take_word(&mut self, mut block: Block) -> (Word<'a>, u32) {
        let start = block.folded;
        let mut size = block.word_size;
        let mut hash = mix(HASH_OF_NOTHING, start);
        while block.word_size == Block::SIZE {
            block = Block::first_of(&self.rest[size..]);
            size += block.word_size;
            hash = mix(hash, block.folded);
        }
        let (bytes, rest) = self.rest.split_at(size);
        self.rest = rest.get(1..).unwrap_or_default();
        (Word { start, bytes }, hash as u32)
    }
}

const HASH_OF_NOTHING: u64 = 0x243f_6a88_85a3_08d3;

/// Mixes eight more bytes into a hash: a multiplication whose halves are merged, so that each bit of the
/// input reaches the low bits, which are the ones a table uses.
fn mix(hash: u64, bytes: u64) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let product = u128::from(hash ^ bytes) * u128::from(FACTOR);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &[u8]) -> Vec<String> {
        WordIterator::new(text)
            .map(|(word, _)| word.to_string())
            .collect()
    }

    #[test]
    fn words_are_runs_of_letters_digits_and_non_ascii_bytes() {
        assert_eq!(
            words(b"Don't panic: 42_000 x-ray"),
            ["don", "t", "panic", "42", "000", "x", "ray"]
        );
        assert_eq!(words("  Grüße,\n言葉 ".as_bytes()), ["grüße", "言葉"]);
        assert_eq!(words(b" .,;\0\t\n"), [""; 0]);
        assert_eq!(words(b""), [""; 0]);
    }

    #[test]
    fn each_byte_is_classified_as_tr_would() {
        for byte in 0..=255 {
            let in_set = matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | 0x80..=0xff);

            assert_eq!(
                WordIterator::new(&[byte]).count(),
                usize::from(in_set),
                "{byte:#x}"
            );
        }
    }

    #[test]
    fn case_matters_for_ascii_letters_only() {
        let hashed = |text: &'static str| WordIterator::new(text.as_bytes()).next().unwrap();

        assert_eq!(hashed("HeLLo"), hashed("hello"));
        assert_eq!(hashed("été").0, hashed("éTé").0);
        assert_ne!(hashed("ÉTÉ").0, hashed("été").0);
        assert_ne!(hashed("hello").0, hashed("hellO1").0);
    }

    #[test]
    fn the_hash_does_not_depend_on_what_follows() {
        let hashes = WordIterator::new(b"same,same same").map(|(_, hash)| hash);
        let alone = WordIterator::new(b"same").next().unwrap().1;

        assert!(hashes.eq([alone; 3]));
    }

    #[test]
    fn words_are_ordered_like_their_lower_case_bytes() {
        let mut sorted: Vec<_> = WordIterator::new("b B2 a é Z ab A0".as_bytes())
            .map(|(word, _)| word)
            .collect();

        sorted.sort();

        let shown: Vec<_> = sorted.iter().map(Word::to_string).collect();
        assert_eq!(shown, ["a", "a0", "ab", "b", "b2", "z", "é"]);
    }

    #[test]
    fn what_a_terminal_must_not_see_is_escaped() {
        assert_eq!(words(b"caf\xc3\xa9\xff\xfe!"), ["café\\xff\\xfe"]);
        assert_eq!(words("a\u{9b}31m".as_bytes()), ["a\\u{9b}31m"]);
        assert_eq!(words(b"cut\xe8\xa8"), ["cut\\xe8\\xa8"]);
    }

    #[test]
    fn a_long_word_is_cut_before_a_character() {
        let long = "é".repeat(31).into_bytes();
        let odd = [b"a".as_slice(), &long].concat();

        assert_eq!(words(&long), [format!("{}... (62 bytes)", "é".repeat(30))]);
        assert_eq!(words(&odd), [format!("a{}... (63 bytes)", "é".repeat(29))]);
        assert_eq!(words(&long[..60]), ["é".repeat(30)]);
    }
}
