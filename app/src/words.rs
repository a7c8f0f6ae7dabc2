//! How often each word occurs: a hash table of words borrowed from their texts.
//!
//! ```text
//! slots    [ . | hash, 2 | . | . | hash, 1 | . | ... ]    open addressing, a power of two of them
//!                    |                 |
//! entries  [ the x 9 | of x 4 | ... ]  <- number - 1      one per distinct word, in order of appearance
//! ```
//!
//! A slot holds 32 bits of hash, which decide almost every comparison, and the number of an entry. Growing
//! needs the hashes alone, so it never goes back to the text. A distinct word costs an entry of 32 bytes and
//! 11 to 21 bytes of slots; nothing is allocated for its letters.
//!
//! Invariants: *W1*: at most three quarters of the slots are taken, so a search ends. *W2*: every entry has
//! exactly one slot.

use crate::text::count_not_text;
use crate::word::{Word, WordIterator};
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

const FIRST_SLOTS: usize = 1024;

const FIRST_ENTRIES: usize = 512;

/// What one text holds, or several together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextCounts {
    /// All bytes.
    pub bytes: usize,
    /// All words.
    pub words: usize,
    /// Different words.
    pub distinct: usize,
    /// Bytes that are not text, see [`count_not_text`].
    pub not_text: usize,
}

/// A word and how often it occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frequent<'a> {
    /// The word, as its first occurrence is written.
    pub word: Word<'a>,
    /// Its occurrences in all texts.
    pub count: u32,
}

/// There is no memory for another distinct word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory {
    /// How many there are already.
    pub distinct: usize,
}

impl fmt::Display for OutOfMemory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "out of memory after {} distinct words",
            self.distinct
        )
    }
}

/// The words of all texts counted so far.
///
/// ```
/// use word_count::words::Words;
///
/// let mut words = Words::new();
/// let counts = words.count(b"To be, or not to be").unwrap();
///
/// assert_eq!((counts.words, counts.distinct), (6, 4));
/// assert_eq!(words.into_most_frequent(1)[0].word.to_string(), "be");
/// ```
#[derive(Debug)]
pub struct Words<'a> {
    slots: Vec<Slot>,
    entries: Vec<Entry<'a>>,
    total: TextCounts,
    texts: u32,
}

#[derive(Debug)]
struct Entry<'a> {
    word: Word<'a>,
    /// Boot modules lie below 4 GiB, so that a text has fewer words than this can count.
    count: u32,
    /// Number of the last text the word occurred in.
    last_text: u32,
}

/// Zero, or a hash above the number of an entry, counted from 1. A plain number, so that empty slots
/// are zeroed memory.
type Slot = u64;

const EMPTY: Slot = 0;

impl Default for Words<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Words<'a> {
    /// No words yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            slots: vec![EMPTY; FIRST_SLOTS],
            entries: Vec::new(),
            total: TextCounts::default(),
            texts: 0,
        }
    }

    /// Counts the words of one more text, and returns what it holds.
    ///
    /// # Errors
    ///
    /// No memory for a word; those before it are counted.
    pub fn count(&mut self, text: &'a [u8]) -> Result<TextCounts, OutOfMemory> {
        self.texts += 1;
        let mut counts = TextCounts {
            bytes: text.len(),
            not_text: count_not_text(text),
            ..TextCounts::default()
        };
        for (word, hash) in WordIterator::new(text) {
            counts.words += 1;
            counts.distinct += usize::from(self.record(word, hash)?);
        }
        self.total.bytes += counts.bytes;
        self.total.words += counts.words;
        self.total.not_text += counts.not_text;
        Ok(counts)
    }

    /// Returns what all texts hold together.
    #[must_use]
    pub fn total(&self) -> TextCounts {
        TextCounts {
            distinct: self.entries.len(),
            ..self.total
        }
    }

    /// Returns the `limit` most frequent words, the most frequent first, equally frequent ones in the
    /// order of their lower-case bytes.
    #[must_use]
    pub fn into_most_frequent(self, limit: usize) -> Vec<Frequent<'a>> {
        let mut entries = self.entries;
        if limit < entries.len() {
            entries.select_nth_unstable_by(limit, by_rank);
            entries.truncate(limit);
        }
        entries.sort_unstable_by(by_rank);
        entries
            .iter()
            .map(|entry| Frequent {
                word: entry.word,
                count: entry.count,
            })
            .collect()
    }

    /// Counts one word, and returns whether the text had not had it before.
    fn record(&mut self, word: Word<'a>, hash: u32) -> Result<bool, OutOfMemory> {
        let mask = self.slots.len() - 1;
        let mut place = hash as usize & mask;
        loop {
            let slot = self.slots[place];
            if slot == EMPTY {
                return self.insert(word, hash, place).map(|()| true);
            }
            if hash_of(slot) == hash {
                let entry = &mut self.entries[slot as u32 as usize - 1];
                if entry.word == word {
                    let is_first = entry.last_text != self.texts;
                    entry.count += 1;
                    entry.last_text = self.texts;
                    return Ok(is_first);
                }
            }
            place = (place + 1) & mask;
        }
    }

    /// Adds an entry for a word that has none, found to belong into the slot at `place`.
    #[cold]
    #[inline(never)]
    fn insert(&mut self, word: Word<'a>, hash: u32, place: usize) -> Result<(), OutOfMemory> {
        let error = OutOfMemory {
            distinct: self.entries.len(),
        };
        let number = u32::try_from(self.entries.len() + 1).map_err(|_| error)?;
        self.reserve_entry().ok_or(error)?;
        if self.entries.len() < self.slots.len() / 4 * 3 {
            self.slots[place] = slot(hash, number);
        } else {
            self.grow_slots().ok_or(error)?;
            put(&mut self.slots, slot(hash, number));
        }
        self.entries.push(Entry {
            word,
            count: 1,
            last_text: self.texts,
        });
        Ok(())
    }

    /// Makes room for one more entry, if there is memory for that: by half as much again, because the old
    /// and the new place exist side by side while the entries move.
    fn reserve_entry(&mut self) -> Option<()> {
        if self.entries.len() < self.entries.capacity() {
            return Some(());
        }
        let more = (self.entries.len() / 2).max(FIRST_ENTRIES);
        self.entries.try_reserve_exact(more).ok()
    }

    /// Doubles the slots, if there is memory for that.
    fn grow_slots(&mut self) -> Option<()> {
        let size = self.slots.len().checked_mul(2)?;
        let mut slots = Vec::new();
        slots.try_reserve_exact(size).ok()?;
        slots.resize(size, EMPTY);
        for slot in self.slots.iter().filter(|slot| **slot != EMPTY) {
            put(&mut slots, *slot);
        }
        self.slots = slots;
        Some(())
    }
}

fn by_rank(left: &Entry<'_>, right: &Entry<'_>) -> Ordering {
    let by_count = right.count.cmp(&left.count);
    by_count.then_with(|| left.word.cmp(&right.word))
}

const fn slot(hash: u32, number: u32) -> Slot {
    (hash as u64) << 32 | number as u64
}

const fn hash_of(slot: Slot) -> u32 {
    (slot >> 32) as u32
}

/// Puts a slot whose entry has none yet into the first free place of its search.
fn put(slots: &mut [Slot], slot: Slot) {
    let mask = slots.len() - 1;
    let mut place = hash_of(slot) as usize & mask;
    while slots[place] != EMPTY {
        place = (place + 1) & mask;
    }
    slots[place] = slot;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Words and counts by the plainest means: split, lower-case copies, an ordered map, a stable sort.
    fn model(texts: &[&[u8]]) -> Vec<(Vec<u8>, u32)> {
        let is_separator = |byte: &u8| byte.is_ascii() && !byte.is_ascii_alphanumeric();
        let mut counts = BTreeMap::new();
        for word in texts.iter().flat_map(|text| text.split(is_separator)) {
            *counts.entry(word.to_ascii_lowercase()).or_insert(0) += 1;
        }
        counts.remove(b"".as_slice());
        let mut ranking: Vec<_> = counts.into_iter().collect();
        ranking.sort_by_key(|(_, count)| u32::MAX - count);
        ranking
    }

    fn count_all<'a>(texts: &[&'a [u8]]) -> (Words<'a>, Vec<TextCounts>) {
        let mut words = Words::new();
        let counts = texts
            .iter()
            .map(|text| words.count(text).unwrap())
            .collect();
        (words, counts)
    }

    fn assert_like_model(texts: &[&[u8]]) {
        let expected = model(texts);
        for limit in [0, 1, 20, expected.len(), usize::MAX] {
            let (words, counts) = count_all(texts);

            assert_eq!(words.total().distinct, expected.len());
            assert_eq!(
                words.total().words,
                counts.iter().map(|counts| counts.words).sum()
            );
            let found = words.into_most_frequent(limit).into_iter();
            let found =
                found.map(|Frequent { word, count }| (word.bytes().to_ascii_lowercase(), count));
            assert!(found.eq(expected.iter().take(limit).cloned()));
        }
    }

    fn shown(words: Words<'_>, limit: usize) -> Vec<(String, u32)> {
        let frequent = words.into_most_frequent(limit).into_iter();
        frequent
            .map(|Frequent { word, count }| (word.to_string(), count))
            .collect()
    }

    /// Bytes that repeat for a seed: few different ones, so that words repeat as well.
    fn random_bytes(seed: u64, alphabet: &[u8], size: usize) -> Vec<u8> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            alphabet[(state >> 33) as usize % alphabet.len()]
        };
        (0..size).map(|_| next()).collect()
    }

    #[test]
    fn an_empty_text_has_nothing() {
        let (words, counts) = count_all(&[b""]);

        assert_eq!(counts, [TextCounts::default()]);
        assert_eq!(shown(words, 20), []);
    }

    #[test]
    fn words_are_counted_without_regard_to_case() {
        let (words, counts) = count_all(&[b"The cat, the CAT, tHe end."]);

        assert_eq!(
            counts,
            [TextCounts {
                bytes: 26,
                words: 6,
                distinct: 3,
                not_text: 0
            }]
        );
        assert_eq!(shown(words, 2), [("the".into(), 3), ("cat".into(), 2)]);
    }

    #[test]
    fn equally_frequent_words_come_in_order_of_their_bytes() {
        let (words, _) = count_all(&["zebra \u{e9}t\u{e9} Apple 10 9 b B".as_bytes()]);

        let order: Vec<_> = shown(words, 20).into_iter().map(|(word, _)| word).collect();
        assert_eq!(order, ["b", "10", "9", "apple", "zebra", "\u{e9}t\u{e9}"]);
    }

    #[test]
    fn a_limit_above_the_distinct_words_shows_all() {
        let (words, _) = count_all(&[b"one two"]);

        assert_eq!(shown(words, 1_000_000).len(), 2);
    }

    #[test]
    fn distinct_words_are_told_for_each_text_and_for_all() {
        let (words, counts) = count_all(&[b"a b a", b"b c", b"", b"A"]);

        let distinct: Vec<_> = counts.iter().map(|counts| counts.distinct).collect();
        assert_eq!(distinct, [2, 2, 0, 1]);
        assert_eq!(
            words.total(),
            TextCounts {
                bytes: 9,
                words: 6,
                distinct: 3,
                not_text: 0
            }
        );
    }

    #[test]
    fn no_word_reaches_into_the_next_text() {
        let (words, _) = count_all(&[b"uni", b"kernel"]);

        assert_eq!(shown(words, 20), [("kernel".into(), 1), ("uni".into(), 1)]);
    }

    #[test]
    fn binary_bytes_are_counted_and_separate_nothing_that_tr_would_not() {
        let (words, counts) = count_all(&[b"a\0b\x01\xff\xfea\xc3 \xe8\xa8"]);

        assert_eq!(
            counts,
            [TextCounts {
                bytes: 11,
                words: 4,
                distinct: 4,
                not_text: 7
            }]
        );
        assert_eq!(shown(words, 1), [("a".into(), 1)]);
    }

    #[test]
    fn one_huge_word_is_one_word() {
        let huge = vec![b'x'; 1 << 20];
        let again = huge.to_ascii_uppercase();
        let (words, counts) = count_all(&[&huge, &again]);

        assert_eq!((counts[0].words, counts[1].distinct), (1, 1));
        assert_eq!(words.into_most_frequent(1)[0].count, 2);
    }

    #[test]
    fn words_that_differ_behind_their_eighth_byte_are_different() {
        assert_like_model(&[b"eightbyt eightbyte EIGHTBYTE eightbytf eightbyt sixteen_bytes16b"]);
    }

    #[test]
    fn many_distinct_words_are_all_found_again() {
        let numbers: Vec<_> = (0..50_000)
            .flat_map(|number| format!("{number:x} ").into_bytes())
            .collect();

        assert_like_model(&[&numbers, &numbers]);
    }

    #[test]
    fn random_texts_give_what_a_plain_model_gives() {
        let all: Vec<u8> = (0..=255).collect();
        for seed in 0..40 {
            let letters = random_bytes(seed, b"aAbB c,", 3000);
            let bytes = random_bytes(seed + 1000, &all, 3000);
            let long = random_bytes(seed + 2000, b"xX\xc3\xa9xxxxxxxxxxxx-", 3000);

            assert_like_model(&[&letters, &bytes, &long]);
        }
    }
}
