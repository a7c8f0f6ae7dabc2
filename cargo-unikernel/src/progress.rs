//! What the tool is busy with: a spinner on a terminal, a plain line otherwise. Always on standard error.

use std::io::{IsTerminal, Write, stderr};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A step of work in progress; its spinner goes when it is dropped.
pub(crate) struct Progress {
    step: String,
    spinner: Option<ProgressBar>,
}

impl Progress {
    /// Begins a step, as in "building hello".
    pub(crate) fn start(step: impl Into<String>) -> Self {
        let step = step.into();
        if !stderr().is_terminal() {
            line(&step);
            return Self {
                step,
                spinner: None,
            };
        }
        let style = ProgressStyle::with_template("{spinner:.cyan} {wide_msg} {elapsed:>5.dim}");
        let spinner = ProgressBar::new_spinner().with_message(step.clone());
        spinner.set_style(style.expect("the template is a constant that was tried"));
        spinner.enable_steady_tick(Duration::from_millis(100));
        Self {
            step,
            spinner: Some(spinner),
        }
    }

    /// Returns whether the reader sees it move.
    pub(crate) fn is_live(&self) -> bool {
        self.spinner.is_some()
    }

    /// Shows a detail that the next one replaces, as in the crate that is being compiled.
    pub(crate) fn detail(&self, detail: &str) {
        if let Some(spinner) = &self.spinner {
            spinner.set_message(format!("{}: {detail}", self.step));
        }
    }

    /// Shows a line that stays.
    pub(crate) fn keep(&self, text: &str) {
        match &self.spinner {
            Some(spinner) => spinner.println(text),
            None => line(text),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}

/// Writes a line to standard error; if nobody reads it, that is no failure.
pub(crate) fn line(text: &str) {
    let _ = writeln!(stderr().lock(), "{text}");
}
