//! `cargo unikernel bench`: figures that are the same in every run, beside those that were accepted.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::budgets::{Budgets, Judgement};
use crate::commands::run;
use crate::compile::{self, Contents, Profile};
use crate::error::Error;
use crate::front_end::{self, Kind};
use crate::image::Image;
use crate::machine::{Counting, Machine, Outcome, Verdict};
use crate::progress::{self, Progress};
use crate::project::Project;
use crate::record::{Figures, Record};
use crate::{cli, install, interrupt, parts};

const LIMIT: Duration = Duration::from_secs(1800);

/// Runs the benches of a package and compares their medians with its budgets.toml.
///
/// The machine counts guest instructions, so that two runs give the same figures. A rise over 2 % fails, and so does a
/// figure without a budget.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo unikernel bench
  cargo unikernel bench memcpy --json
  cargo unikernel bench --accept
  cargo unikernel bench --tcg --save ours.tsv")]
pub(crate) struct Arguments {
    /// Run only benches whose name contains this
    filter: Option<String>,
    /// The package, if it is not the workspace's front end or the current folder's
    #[arg(short, long, value_name = "NAME")]
    package: Option<String>,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
    /// Take the figures as the new budgets
    #[arg(long, conflicts_with = "tcg")]
    accept: bool,
    /// Measure time (cycles) rather than instructions, and compare nothing
    #[arg(long)]
    tcg: bool,
    /// Write the records to a file, as they came
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

/// A figure beside its budget, for scripts.
#[derive(Debug, Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    record: &'a Record,
    budget: Option<f64>,
    change: Option<f64>,
}

impl Arguments {
    pub(crate) fn execute(&self) -> Result<u8, Error> {
        install::ensure(&[parts::TO_BUILD, parts::TO_RUN])?;
        let project = Project::here()?;
        let package = match (&self.package, project.front_end()) {
            (None, Some(front_end)) => front_end,
            (wanted, _) => project.package(wanted.as_deref())?,
        };
        let file = package
            .manifest_path
            .with_file_name("budgets.toml")
            .into_std_path_buf();
        let images = compile::images(&project, package, Profile::Release, Contents::Tests)?;
        interrupt::watch();
        let figures = match self.measure(&images)? {
            Ok(figures) => figures,
            Err(code) => return Ok(code),
        };
        self.report(&figures, &file)
    }

    /// Runs the benches of all images, each bench once. `Err` is the code of a guest that failed, which was shown.
    fn measure(&self, images: &[Image]) -> Result<Result<Figures, u8>, Error> {
        let mut figures = Figures {
            is_complete: true,
            ..Figures::default()
        };
        let mut seen = BTreeSet::new();
        for image in images {
            let new: Vec<String> = self
                .wanted(image)?
                .into_iter()
                .filter(|name| seen.insert(name.clone()))
                .collect();
            if new.is_empty() {
                continue;
            }
            let step = Progress::start(format!(
                "measuring {} in {}",
                plural(new.len()),
                image.name()
            ));
            let outcome = self.machine(image, &new).capture()?;
            drop(step);
            if !outcome.verdict.is_success() {
                return failed(&outcome).map(Err);
            }
            figures.add(Figures::parse(&outcome.text));
        }
        match (seen.is_empty(), &self.filter) {
            (true, Some(filter)) => {
                Err(Error::Usage(format!("no bench has `{filter}` in its name")))
            }
            (true, None) => Err(Error::Project("there are no benches here".to_owned())),
            _ if !figures.is_complete => Err(Error::Budget(
                "the guest did not print its last record".to_owned(),
            )),
            _ => Ok(Ok(figures)),
        }
    }

    fn wanted(&self, image: &Image) -> Result<Vec<String>, Error> {
        let benches = front_end::list(image)?
            .into_iter()
            .filter(|entry| entry.kind == Kind::Bench);
        let names = benches.map(|entry| entry.name);
        Ok(names
            .filter(|name| {
                self.filter
                    .as_ref()
                    .is_none_or(|filter| name.contains(filter))
            })
            .collect())
    }

    fn machine(&self, image: &Image, benches: &[String]) -> Machine {
        let counting = if self.tcg {
            Counting::Time
        } else {
            Counting::Instructions
        };
        let exact = benches.iter().map(|name| format!("unikernel.exact={name}"));
        Machine::new(image)
            .bench(counting)
            .words(["unikernel.bench"])
            .words(exact)
            .timeout(LIMIT)
    }

    fn report(&self, figures: &Figures, file: &std::path::Path) -> Result<u8, Error> {
        if let Some(path) = &self.save {
            let text = figures.lines.join("\n") + "\n";
            fs::write(path, text).map_err(Error::io(format!("write `{}`", path.display())))?;
        }
        let budgets = if self.tcg {
            Budgets::default()
        } else {
            Budgets::read(file)?
        };
        let rows: Vec<Row<'_>> = figures
            .records
            .iter()
            .map(|record| Row::new(record, &budgets))
            .collect();
        if self.json {
            cli::print_json(&rows)?
        } else {
            cli::print(&table(&rows))?
        }
        if self.tcg {
            return Ok(0);
        }
        let unmeasured = if self.filter.is_none() {
            budgets.unmeasured(&figures.records)
        } else {
            Vec::new()
        };
        if self.accept {
            let mut accepted = if self.filter.is_some() {
                budgets
            } else {
                Budgets::default()
            };
            accepted.accept(&figures.records);
            accepted.write(file)?;
            progress::line(&format!("wrote {}", file.display()));
            return Ok(0);
        }
        for name in unmeasured {
            progress::line(&format!("note: {name} has a budget but no bench"));
        }
        verdict(&figures.records, &budgets)
    }
}

impl<'a> Row<'a> {
    fn new(record: &'a Record, budgets: &Budgets) -> Self {
        let change = match budgets.judge(record) {
            Judgement::Unknown => None,
            Judgement::Within(change) | Judgement::Over(change) => Some(change),
        };
        Self {
            record,
            budget: budgets.of(record),
            change,
        }
    }
}

/// Shows what a failing guest said and returns its code.
fn failed(outcome: &Outcome) -> Result<u8, Error> {
    progress::line(outcome.text.trim_end());
    let limit = (outcome.verdict == Verdict::Timeout).then_some(LIMIT);
    run::code(outcome, limit)
}

/// Fails if a figure is over its budget or has none, and names each.
fn verdict(records: &[Record], budgets: &Budgets) -> Result<u8, Error> {
    let complaint = |record: &Record| {
        let name = format!("{} {}", record.metric, record.parameter);
        match budgets.judge(record) {
            Judgement::Unknown => Some(format!("{name} has no budget")),
            Judgement::Over(change) => Some(format!("{name} rose by {:.1} %", change * 100.0)),
            Judgement::Within(_) => None,
        }
    };
    let complaints: Vec<String> = records.iter().filter_map(complaint).collect();
    if complaints.is_empty() {
        return Ok(0);
    }
    Err(Error::Budget(format!(
        "{} (`cargo unikernel bench --accept` takes the figures)",
        complaints.join(", ")
    )))
}

fn table(rows: &[Row<'_>]) -> String {
    let width = rows
        .iter()
        .map(|row| row.record.metric.len())
        .max()
        .unwrap_or(0)
        .max(6);
    let mut text = format!(
        "{:width$} {:>8} {:>14} {:>14} {:>14} {:>9}\n",
        "metric", "param", "min", "median", "budget", "change"
    );
    for row in rows {
        let Record {
            metric,
            parameter,
            min,
            median,
            ..
        } = row.record;
        let budget = row
            .budget
            .map_or("-".to_owned(), |budget| format!("{budget:.1}"));
        let change = row
            .change
            .map_or("-".to_owned(), |change| format!("{:+.1} %", change * 100.0));
        text += &format!(
            "{metric:width$} {parameter:>8} {min:>14.1} {median:>14.1} {budget:>14} {change:>9}\n"
        );
    }
    text
}

fn plural(count: usize) -> String {
    if count == 1 {
        "1 bench".to_owned()
    } else {
        format!("{count} benches")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(median: f64) -> Record {
        let (metric, parameter) = ("memcpy".to_owned(), "4K".to_owned());
        Record {
            metric,
            parameter,
            min: 600.0,
            median,
            p90: median,
            samples: 9,
        }
    }

    #[test]
    fn a_figure_over_its_budget_is_named() {
        let mut budgets = Budgets::default();
        budgets.accept(&[record(1000.0)]);

        assert_eq!(verdict(&[record(1010.0)], &budgets).unwrap(), 0);
        let over = verdict(&[record(1050.0)], &budgets).unwrap_err();
        let unknown = verdict(&[record(1.0)], &Budgets::default()).unwrap_err();

        assert!(
            over.to_string().starts_with("memcpy 4K rose by 5.0 %"),
            "{over}"
        );
        assert!(
            unknown.to_string().starts_with("memcpy 4K has no budget"),
            "{unknown}"
        );
        assert_eq!(over.exit_code(), 1);
    }

    #[test]
    fn the_table_shows_figure_budget_and_change() {
        let mut budgets = Budgets::default();
        budgets.accept(&[record(1000.0)]);
        let record = record(990.0);

        let table = table(&[Row::new(&record, &budgets)]);

        let cells: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(
            cells,
            ["memcpy", "4K", "600.0", "990.0", "1000.0", "-1.0", "%"]
        );
    }
}
