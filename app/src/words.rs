//! How often each word occurs: a hash table of words borrowed from their texts.
//!
//! ```text
//! memory   [ slots | twice as many, later | four times as many ... ]  [ entries            ]
//!
//! slots    [ . | hash, 2 | . | . | hash, 1 | . | ... ]    open addressing, a power of two of them
//!                    |                 |
//! entries  [ the x 9 | of x 4 | ... ]  <- number - 1      one per distinct word, in order of appearance
//! ```
//!
//! A slot holds 32 bits of hash, which decide almost every comparison, and the number of an entry. Growing
//! needs the hashes alone, so it never goes back to the text. All of it is plain numbers in memory that is
//! given as zeros and may cost nothing until it is written: entries stay where they are, and slots move to
//! twice as many behind them, without a list that is copied as it grows. A distinct word costs an entry of 32
//! bytes and 21 to 43 bytes of slots; nothing is allocated for its letters.
//!
//! Invariants: *W1*: at most three quarters of the slots are taken, so a search ends. *W2*: every entry has
//! exactly one slot.

use crate::text::count_not_text;
use crate::word::{Word, WordIterator};
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::error::Error;
use core::{fmt, mem};

const FIRST_SLOTS: usize = 1024;

/// Two parts of five are for slots, three for entries: then both end at about the same number of words.
const SLOTS_OF_FIVE: usize = 2;

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

impl Error for OutOfMemory {}

/// The words of all texts counted so far, in memory that lives for `'m`.
///
/// ```
/// use word_count::words::Words;
///
/// let mut memory = vec![0; Words::LEAST_MEMORY];
/// let mut words = Words::new(&mut memory);
/// let counts = words.count(b"To be, or not to be").unwrap();
///
/// assert_eq!((counts.words, counts.distinct), (6, 4));
/// assert_eq!(words.into_most_frequent(1)[0].word.to_string(), "be");
/// ```
#[derive(Debug)]
pub struct Words<'m, 'a> {
    slots: &'m mut [Slot],
    /// Where more slots go.
    later_slots: &'m mut [Slot],
    /// Those of distinct words come first.
    entries: &'m mut [Entry],
    distinct: usize,
    texts: Vec<&'a [u8]>,
    total: TextCounts,
}

/// Zero, or a hash above the number of an entry, counted from 1. A plain number, so that empty slots
/// are zeroed memory.
type Slot = u64;

const EMPTY: Slot = 0;

/// A word, by its beginning, where it lies, and how often it occurs.
type Entry = [u64; 4];

/// The first eight bytes of the word in lower case.
const START: usize = 0;
/// The number of its text, above its offset there. Boot modules lie below 4 GiB.
const PLACE: usize = 1;
/// The number of the last text it occurred in, above its length.
const LENGTH: usize = 2;
/// Its occurrences.
const COUNT: usize = 3;

impl<'m, 'a> Words<'m, 'a> {
    /// How much memory there is to be at least: room for some hundred words.
    pub const LEAST_MEMORY: usize = FIRST_SLOTS * 5 / SLOTS_OF_FIVE;

    /// No words yet. There is room for as many as `memory` has room for, all zeros.
    ///
    /// # Panics
    ///
    /// If that is less than [`LEAST_MEMORY`](Self::LEAST_MEMORY).
    #[must_use]
    pub fn new(memory: &'m mut [u64]) -> Self {
        let (slots, entries) = memory.split_at_mut(memory.len() / 5 * SLOTS_OF_FIVE);
        let (slots, later_slots) = slots.split_at_mut(FIRST_SLOTS);
        Self {
            slots,
            later_slots,
            entries: entries.as_chunks_mut().0,
            distinct: 0,
            texts: Vec::new(),
            total: TextCounts::default(),
        }
    }

    /// Counts the words of one more text, and returns what it holds.
    ///
    /// # Errors
    ///
    /// No memory for a word; those before it are counted.
    pub fn count(&mut self, text: &'a [u8]) -> Result<TextCounts, OutOfMemory> {
        self.texts.push(text);
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
            distinct: self.distinct,
            ..self.total
        }
    }

    /// Returns the `limit` most frequent words that have a letter or a digit, the most frequent first, equally
    /// frequent ones in the order of their lower-case bytes.
    #[must_use]
    pub fn into_most_frequent(self, limit: usize) -> Vec<Frequent<'a>> {
        let Self { entries, texts, .. } = self;
        let entries = &mut entries[..self.distinct];
        let mut readable = keep_readable(entries, &texts);
        let by_rank = |left: &Entry, right: &Entry| by_rank(&texts, left, right);
        if limit < readable.len() {
            readable.select_nth_unstable_by(limit, by_rank);
            readable = &mut readable[..limit];
        }
        readable.sort_unstable_by(by_rank);
        readable
            .iter()
            .map(|entry| Frequent {
                word: word_of(&texts, entry),
                count: entry[COUNT] as u32,
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
                if is_of(&self.texts, entry, word) {
                    let length = pair(self.texts.len() as u64, low(entry[LENGTH]));
                    let is_first = entry[LENGTH] != length;
                    entry[LENGTH] = length;
                    entry[COUNT] += 1;
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
            distinct: self.distinct,
        };
        let number = u32::try_from(self.distinct + 1).map_err(|_| error)?;
        if self.distinct == self.entries.len() {
            return Err(error);
        }
        if self.distinct < self.slots.len() / 4 * 3 {
            self.slots[place] = slot(hash, number);
        } else {
            self.grow_slots().ok_or(error)?;
            put(self.slots, slot(hash, number));
        }
        self.entries[self.distinct] = self.new_entry(word);
        self.distinct += 1;
        Ok(())
    }

    /// Returns the entry of a word of the last text that occurs for the first time.
    fn new_entry(&self, word: Word<'a>) -> Entry {
        let number = self.texts.len() as u64;
        let text = self.texts[self.texts.len() - 1];
        let offset = word.bytes().as_ptr().addr() - text.as_ptr().addr();
        let mut entry = [0; 4];
        entry[START] = word.start();
        entry[PLACE] = pair(number, offset as u64);
        entry[LENGTH] = pair(number, word.bytes().len() as u64);
        entry[COUNT] = 1;
        entry
    }

    /// Moves the slots to twice as many, if there is memory for that. The memory they were in is not used again.
    fn grow_slots(&mut self) -> Option<()> {
        let size = self.slots.len().checked_mul(2)?;
        let (slots, later) = mem::take(&mut self.later_slots).split_at_mut_checked(size)?;
        for slot in self.slots.iter().filter(|slot| **slot != EMPTY) {
            put(slots, *slot);
        }
        self.slots = slots;
        self.later_slots = later;
        Some(())
    }
}

/// Moves entries of words that have a letter or a digit to the front, and returns them.
fn keep_readable<'e>(entries: &'e mut [Entry], texts: &[&[u8]]) -> &'e mut [Entry] {
    let mut kept = 0;
    for index in 0..entries.len() {
        if word_of(texts, &entries[index]).is_readable() {
            entries.swap(kept, index);
            kept += 1;
        }
    }
    &mut entries[..kept]
}

fn by_rank(texts: &[&[u8]], left: &Entry, right: &Entry) -> Ordering {
    let by_count = right[COUNT].cmp(&left[COUNT]);
    by_count.then_with(|| word_of(texts, left).cmp(&word_of(texts, right)))
}

/// Returns the word of an entry.
fn word_of<'a>(texts: &[&'a [u8]], entry: &Entry) -> Word<'a> {
    let text = texts[high(entry[PLACE]) as usize - 1];
    let offset = low(entry[PLACE]) as usize;
    let bytes = &text[offset..][..low(entry[LENGTH]) as usize];
    Word::new(entry[START], bytes)
}

/// Returns whether an entry is that of a word. Goes to the text for long words only.
fn is_of(texts: &[&[u8]], entry: &Entry, word: Word<'_>) -> bool {
    entry[START] == word.start()
        && low(entry[LENGTH]) == word.bytes().len() as u64
        && (word.is_short() || word_of(texts, entry) == word)
}

const fn pair(high: u64, low: u64) -> u64 {
    high << 32 | low
}

const fn high(pair: u64) -> u64 {
    pair >> 32
}

const fn low(pair: u64) -> u64 {
    pair & 0xffff_ffff
}

const fn slot(hash: u32, number: u32) -> Slot {
    pair(hash as u64, number as u64)
}

const fn hash_of(slot: Slot) -> u32 {
    high(slot) as u32
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
    use std::collections::{BTreeMap, BTreeSet};

    /// Words with a letter or a digit and their counts by the plainest means: split, lower-case copies, an
    /// ordered map, a stable sort.
    fn model(texts: &[&[u8]]) -> Vec<(Vec<u8>, u32)> {
        let is_separator = |byte: &u8| byte.is_ascii() && !byte.is_ascii_alphanumeric();
        let mut counts = BTreeMap::new();
        for word in texts.iter().flat_map(|text| text.split(is_separator)) {
            *counts.entry(word.to_ascii_lowercase()).or_insert(0) += 1;
        }
        counts.retain(|word, _| {
            let text = String::from_utf8_lossy(word);
            text.chars().any(char::is_alphanumeric)
        });
        let mut ranking: Vec<_> = counts.into_iter().collect();
        ranking.sort_by_key(|(_, count)| u32::MAX - count);
        ranking
    }

    /// Returns how many different words there are, with a letter or without.
    fn count_distinct(texts: &[&[u8]]) -> usize {
        let is_separator = |byte: &u8| byte.is_ascii() && !byte.is_ascii_alphanumeric();
        let words = texts.iter().flat_map(|text| text.split(is_separator));
        let words = words.filter(|word| !word.is_empty());
        words
            .map(<[u8]>::to_ascii_lowercase)
            .collect::<BTreeSet<_>>()
            .len()
    }

    fn count_all<'a>(texts: &[&'a [u8]]) -> (Words<'static, 'a>, Vec<TextCounts>) {
        let mut words = Words::new(vec![0; 1 << 20].leak());
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

            assert_eq!(words.total().distinct, count_distinct(texts));
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

    fn shown(words: Words<'_, '_>, limit: usize) -> Vec<(String, u32)> {
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
    fn what_has_neither_letter_nor_digit_is_counted_but_not_shown() {
        let (words, counts) = count_all(&["│ │ — a│b \u{e9} 7 │\u{301}".as_bytes()]);

        assert_eq!((counts[0].words, counts[0].distinct), (7, 6));
        let order: Vec<_> = shown(words, 20).into_iter().map(|(word, _)| word).collect();
        assert_eq!(order, ["7", "a│b", "\u{e9}"]);
    }

    #[test]
    fn memory_that_is_used_up_is_an_error_and_what_was_counted_stays() {
        let text: Vec<_> = (0..1000)
            .flat_map(|number| format!("{number} ").into_bytes())
            .collect();
        let mut memory = [0; Words::LEAST_MEMORY];
        let mut words = Words::new(&mut memory);

        let distinct = (Words::LEAST_MEMORY - FIRST_SLOTS) / 4;
        assert_eq!(words.count(&text), Err(OutOfMemory { distinct }));
        assert_eq!(words.total().distinct, distinct);
        assert_eq!(shown(words, 1), [("0".into(), 1)]);
    }

    #[test]
    fn slots_that_find_no_room_to_grow_are_an_error() {
        let text: Vec<_> = (0..1000)
            .flat_map(|number| format!("{number} ").into_bytes())
            .collect();
        let mut memory = vec![0; 2 * Words::LEAST_MEMORY + 2000];
        let mut words = Words::new(&mut memory);

        let distinct = FIRST_SLOTS / 4 * 3;
        assert_eq!(words.count(&text), Err(OutOfMemory { distinct }));
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
