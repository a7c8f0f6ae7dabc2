//! What the application prints: the most frequent words, what each module holds, speed and memory.

use crate::words::{Frequent, TextCounts};
use core::fmt;
use core::time::Duration;

/// Everything there is to tell after counting.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The most frequent words in the order to print them.
    pub most_frequent: &'a [Frequent<'a>],
    /// Name and contents of each module.
    pub modules: &'a [(&'a str, TextCounts)],
    /// What all modules hold together.
    pub total: TextCounts,
    /// How long counting took.
    pub elapsed: Duration,
    /// The most memory the heap held at any time.
    pub peak_bytes: usize,
    /// The memory that the table of words took.
    pub table_bytes: u64,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_words(formatter)?;
        writeln!(formatter)?;
        self.write_modules(formatter)?;
        writeln!(formatter)?;
        self.write_costs(formatter)
    }
}

impl Report<'_> {
    fn write_words(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let highest = self.most_frequent.first().map_or(0, |first| first.count);
        let rank_width = width("rank", self.most_frequent.len());
        let count_width = width("count", highest as usize);
        writeln!(
            formatter,
            "{:>rank_width$}  {:>count_width$}  word",
            "rank", "count"
        )?;
        for (index, frequent) in self.most_frequent.iter().enumerate() {
            let (rank, Frequent { word, count }) = (index + 1, frequent);
            writeln!(
                formatter,
                "{rank:>rank_width$}  {count:>count_width$}  {word}"
            )?;
        }
        Ok(())
    }

    fn write_modules(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.modules.iter().map(|(name, _)| name.chars().count());
        let columns = Columns {
            name: names.fold("module".len(), usize::max),
            bytes: width("bytes", self.total.bytes),
            words: width("words", self.total.words),
            distinct: width("distinct", self.total.distinct),
            not_text: width("not text", self.total.not_text),
        };
        columns.write_row(
            formatter,
            "module",
            ["bytes", "words", "distinct", "not text"],
        )?;
        for (name, counts) in self.modules {
            columns.write_row(formatter, name, values(counts))?;
        }
        columns.write_row(formatter, "total", values(&self.total))
    }

    fn write_costs(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TextCounts { bytes, words, .. } = self.total;
        let micros = as_micros(self.elapsed);
        let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
        writeln!(formatter, "time    {seconds}.{fraction:06} s")?;
        writeln!(
            formatter,
            "speed   {} bytes/s, {} words/s",
            rate(bytes, micros),
            rate(words, micros)
        )?;
        writeln!(
            formatter,
            "memory  {} bytes of heap at most, {} bytes for the table",
            self.peak_bytes, self.table_bytes
        )
    }
}

/// Widths of the table of modules.
struct Columns {
    name: usize,
    bytes: usize,
    words: usize,
    distinct: usize,
    not_text: usize,
}

impl Columns {
    fn write_row(
        &self,
        formatter: &mut fmt::Formatter<'_>,
        name: &str,
        [bytes, words, distinct, not_text]: [impl fmt::Display; 4],
    ) -> fmt::Result {
        write!(
            formatter,
            "{name:<0$}  {bytes:>1$}  {words:>2$}",
            self.name, self.bytes, self.words
        )?;
        writeln!(
            formatter,
            "  {distinct:>0$}  {not_text:>1$}",
            self.distinct, self.not_text
        )
    }
}

fn values(counts: &TextCounts) -> [usize; 4] {
    [counts.bytes, counts.words, counts.distinct, counts.not_text]
}

/// Returns the width of a column of numbers up to `largest` below a heading.
fn width(heading: &str, largest: usize) -> usize {
    let digits = largest.checked_ilog10().map_or(1, |log| log as usize + 1);
    digits.max(heading.len())
}

fn as_micros(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_mul(1_000_000)
        .saturating_add(duration.subsec_micros().into())
}

/// Returns `amount` per second; what took no measurable time counts as one microsecond.
fn rate(amount: usize, micros: u64) -> u64 {
    (amount as u64).saturating_mul(1_000_000) / micros.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Words;

    const NOTHING: Report<'_> = Report {
        most_frequent: &[],
        modules: &[],
        total: TextCounts {
            bytes: 0,
            words: 0,
            distinct: 0,
            not_text: 0,
        },
        elapsed: Duration::ZERO,
        peak_bytes: 0,
        table_bytes: 0,
    };

    #[test]
    fn columns_are_as_wide_as_their_widest_value() {
        let mut memory = [0; Words::LEAST_MEMORY];
        let mut words = Words::new(&mut memory);
        let text = b"many ".repeat(123_456);
        let modules = [
            ("README.md", words.count(&text).unwrap()),
            ("b", words.count(b"Few\xff many").unwrap()),
        ];
        let total = words.total();
        let most_frequent = words.into_most_frequent(20);
        let elapsed = Duration::from_micros(1_500_000);
        let report = Report {
            most_frequent: &most_frequent,
            modules: &modules,
            total,
            elapsed,
            peak_bytes: 24_576,
            table_bytes: 40_960,
        };

        let expected = "\
rank   count  word
   1  123457  many
   2       1  few\\xff

module      bytes   words  distinct  not text
README.md  617280  123456         1         0
b               9       2         2         1
total      617289  123458         2         1

time    1.500000 s
speed   411526 bytes/s, 82305 words/s
memory  24576 bytes of heap at most, 40960 bytes for the table
";
        assert_eq!(report.to_string(), expected);
    }

    #[test]
    fn no_words_leave_an_empty_table() {
        assert!(
            NOTHING
                .to_string()
                .starts_with("rank  count  word\n\nmodule  bytes")
        );
    }

    #[test]
    fn no_measurable_time_is_no_division_by_zero() {
        let total = TextCounts {
            bytes: 7,
            ..NOTHING.total
        };
        let report = Report { total, ..NOTHING };

        assert!(report.to_string().contains("7000000 bytes/s"));
    }

    #[test]
    fn a_rank_may_need_more_digits_than_its_heading() {
        assert_eq!(width("rank", 9999), 4);
        assert_eq!(width("rank", 10_000), 5);
        assert_eq!(width("rank", 0), 4);
    }
}
