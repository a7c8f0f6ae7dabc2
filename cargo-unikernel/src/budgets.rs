//! Accepted figures of benches, and what new figures are beside them.
//!
//! ```toml
//! ["memcpy"]
//! "4K" = 620.0
//! "64" = 21.0
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::error::Error;
use crate::record::Record;

/// A rise by more than this fails.
const TOLERATED_RISE: f64 = 0.02;

/// The accepted median of each metric and parameter.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Budgets {
    metrics: BTreeMap<String, BTreeMap<String, f64>>,
}

/// A figure beside its budget.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Judgement {
    /// It has no budget.
    Unknown,
    /// It changed by this fraction, which is tolerated.
    Within(f64),
    /// It rose by this fraction, which is too much.
    Over(f64),
}

impl Budgets {
    /// Reads a file; one that is not there holds no budgets.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(cause) => return Err(Error::file(path)(cause)),
        };
        Self::parse(&text).map_err(|cause| Error::Project(format!("{}: {cause}", path.display())))
    }

    /// Returns the budget of a figure.
    pub(crate) fn of(&self, record: &Record) -> Option<f64> {
        self.metrics
            .get(&record.metric)?
            .get(&record.parameter)
            .copied()
    }

    /// Judges a figure by its median.
    pub(crate) fn judge(&self, record: &Record) -> Judgement {
        let Some(budget) = self.of(record) else {
            return Judgement::Unknown;
        };
        let change = if budget == 0.0 {
            record.median
        } else {
            record.median / budget - 1.0
        };
        if change > TOLERATED_RISE {
            Judgement::Over(change)
        } else {
            Judgement::Within(change)
        }
    }

    /// Returns the names of budgets that none of the figures is about.
    pub(crate) fn unmeasured(&self, records: &[Record]) -> Vec<String> {
        let pairs = self
            .metrics
            .iter()
            .flat_map(|(metric, parameters)| parameters.keys().map(move |key| (metric, key)));
        let is_missing = |(metric, parameter): &(&String, &String)| {
            !records
                .iter()
                .any(|record| record.metric == **metric && record.parameter == **parameter)
        };
        pairs
            .filter(is_missing)
            .map(|(metric, parameter)| format!("{metric} {parameter}"))
            .collect()
    }

    /// Takes the given figures as budgets.
    pub(crate) fn accept(&mut self, records: &[Record]) {
        for record in records {
            let parameters = self.metrics.entry(record.metric.clone()).or_default();
            parameters.insert(record.parameter.clone(), record.median);
        }
    }

    /// Writes all budgets: sorted, so that the same figures make the same file.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        fs::write(path, self.text()).map_err(Error::io(format!("write `{}`", path.display())))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let table: BTreeMap<String, BTreeMap<String, toml::Value>> = toml::from_str(text)
            .map_err(|error| error.message().lines().collect::<Vec<_>>().join(" "))?;
        let number = |value: &toml::Value| {
            let number = value
                .as_float()
                .or(value.as_integer().map(|whole| whole as f64));
            number.ok_or_else(|| format!("{value} is not a number"))
        };
        let mut budgets = Self::default();
        for (metric, parameters) in table {
            let parameters = parameters
                .iter()
                .map(|(key, value)| Ok((key.clone(), number(value)?)));
            budgets
                .metrics
                .insert(metric, parameters.collect::<Result<_, String>>()?);
        }
        Ok(budgets)
    }

    fn text(&self) -> String {
        let mut text = "# Accepted medians, in guest instructions: a rise over 2 % fails `cargo unikernel bench`.\n\
            # Rewritten by `cargo unikernel bench --accept`.\n"
            .to_owned();
        for (metric, parameters) in &self.metrics {
            text += &format!("\n[{}]\n", key(metric));
            let mut sorted: Vec<_> = parameters.iter().collect();
            sorted.sort_by_key(|(parameter, _)| (magnitude(parameter), (*parameter).clone()));
            for (parameter, median) in sorted {
                text += &format!("{} = {median:?}\n", key(parameter));
            }
        }
        text
    }
}

/// Returns a key as TOML writes it.
fn key(name: &str) -> String {
    toml::Value::String(name.to_owned()).to_string()
}

/// Returns what `4K` stands for, so that parameters are sorted by size.
fn magnitude(parameter: &str) -> u64 {
    let digits = parameter.trim_end_matches(|c: char| !c.is_ascii_digit());
    let shift = match &parameter[digits.len()..] {
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => 0,
    };
    digits.parse::<u64>().map_or(0, |count| count << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(metric: &str, parameter: &str, median: f64) -> Record {
        Record {
            metric: metric.to_owned(),
            parameter: parameter.to_owned(),
            min: median,
            median,
            p90: median,
            samples: 1,
        }
    }

    #[test]
    fn a_rise_over_two_per_cent_is_too_much_and_a_fall_is_not() {
        let mut budgets = Budgets::default();
        budgets.accept(&[record("memcpy", "4K", 1000.0)]);

        assert_eq!(
            budgets.judge(&record("memcpy", "4K", 1000.0)),
            Judgement::Within(0.0)
        );
        assert!(matches!(
            budgets.judge(&record("memcpy", "4K", 1019.0)),
            Judgement::Within(_)
        ));
        assert!(matches!(
            budgets.judge(&record("memcpy", "4K", 500.0)),
            Judgement::Within(_)
        ));
        assert!(matches!(
            budgets.judge(&record("memcpy", "4K", 1021.0)),
            Judgement::Over(_)
        ));
        assert_eq!(
            budgets.judge(&record("memcpy", "1M", 5.0)),
            Judgement::Unknown
        );
    }

    #[test]
    fn the_file_is_sorted_and_reads_back() {
        let mut budgets = Budgets::default();
        budgets.accept(&[
            record("b.c", "1M", 3.0),
            record("b.c", "64", 1.0),
            record("b.c", "4K", 2.5),
            record("a+b", "-", 1.0),
        ]);

        let text = budgets.text();

        assert!(
            text.ends_with(
                "\n[\"a+b\"]\n\"-\" = 1.0\n\n[\"b.c\"]\n\"64\" = 1.0\n\"4K\" = 2.5\n\"1M\" = 3.0\n"
            ),
            "{text}"
        );
        assert_eq!(Budgets::parse(&text), Ok(budgets));
    }

    #[test]
    fn whole_numbers_are_figures_and_text_is_not() {
        assert!(Budgets::parse("[a]\nb = 5").is_ok());
        assert_eq!(
            Budgets::parse("[a]\nb = \"5\"").unwrap_err(),
            "\"5\" is not a number"
        );
        assert!(Budgets::parse("[a").is_err());
    }

    #[test]
    fn a_budget_without_a_figure_is_named() {
        let mut budgets = Budgets::default();
        budgets.accept(&[record("memcpy", "4K", 1.0), record("memcpy", "1M", 1.0)]);

        assert_eq!(
            budgets.unmeasured(&[record("memcpy", "4K", 1.0)]),
            ["memcpy 1M"]
        );
    }
}
