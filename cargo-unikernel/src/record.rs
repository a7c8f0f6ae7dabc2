//! What a bench prints: a record per figure, with tabs between its parts.
//!
//! ```text
//! @R  metric  parameter  minimum  median  p90  samples
//! @M  key  value
//! @DONE
//! ```

use serde::Serialize;

/// A figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Record {
    pub(crate) metric: String,
    #[serde(rename = "param")]
    pub(crate) parameter: String,
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) p90: f64,
    pub(crate) samples: u64,
}

/// Everything a run has printed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Figures {
    /// The figures in the order they came.
    pub(crate) records: Vec<Record>,
    /// The lines they came in, facts included, for other tools to read.
    pub(crate) lines: Vec<String>,
    /// Whether the run came to its end.
    pub(crate) is_complete: bool,
}

impl Figures {
    /// Reads what a guest has printed.
    pub(crate) fn parse(text: &str) -> Self {
        let mut figures = Self::default();
        for line in text.lines() {
            match line.split('\t').collect::<Vec<_>>()[..] {
                ["@R", ref fields @ ..] => figures.records.extend(Record::parse(fields)),
                ["@M", ..] => {}
                ["@DONE", ..] => {
                    figures.is_complete = true;
                    continue;
                }
                _ => continue,
            }
            figures.lines.push(line.to_owned());
        }
        figures
    }

    /// Adds what another run has printed; of two figures of one name the first stays.
    pub(crate) fn add(&mut self, other: Self) {
        self.is_complete &= other.is_complete;
        for record in other.records {
            if !self.records.iter().any(|known| known.is_about(&record)) {
                self.records.push(record);
            }
        }
        for line in other.lines {
            if !self.lines.iter().any(|known| label(known) == label(&line)) {
                self.lines.push(line);
            }
        }
    }
}

/// Returns the part of a line that says what it is about.
fn label(line: &str) -> Vec<&str> {
    let len = if line.starts_with("@M") { 2 } else { 3 };
    line.split('\t').take(len).collect()
}

impl Record {
    fn is_about(&self, other: &Self) -> bool {
        self.metric == other.metric && self.parameter == other.parameter
    }

    fn parse(fields: &[&str]) -> Option<Self> {
        let [metric, parameter, min, median, p90, samples] = fields else {
            return None;
        };
        Some(Self {
            metric: (*metric).to_owned(),
            parameter: (*parameter).to_owned(),
            min: min.parse().ok()?,
            median: median.parse().ok()?,
            p90: p90.parse().ok()?,
            samples: samples.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_found_among_other_text() {
        let text =
            "hello\n@M\tcpu\tmax\n@R\tmemcpy\t4K\t1.000\t2.500\t3.000\t200\n@R\tbroken\n@DONE\n";

        let figures = Figures::parse(text);

        assert!(figures.is_complete);
        assert_eq!(figures.records.len(), 1);
        assert_eq!(figures.records[0].median, 2.5);
        assert_eq!(figures.lines[0], "@M\tcpu\tmax");
    }

    #[test]
    fn a_figure_of_a_second_run_does_not_replace_the_first() {
        let mut figures = Figures::parse("@M\tcpu\tmax\n@R\tboot\t-\t1\t1\t1\t1\n@DONE\n");

        figures.add(Figures::parse(
            "@M\tcpu\tmax\n@R\tboot\t-\t2\t2\t2\t1\n@R\tboot\t4K\t3\t3\t3\t1\n@DONE\n",
        ));

        let medians: Vec<f64> = figures.records.iter().map(|record| record.median).collect();
        assert_eq!(medians, [1.0, 3.0]);
        assert_eq!(figures.lines.len(), 3);
    }

    #[test]
    fn a_run_that_broke_off_is_not_complete() {
        assert!(!Figures::parse("@R\ta\tb\t1\t1\t1\t1\n").is_complete);
    }
}
