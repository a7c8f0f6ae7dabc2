//! `cargo unikernel test`: the tests of the host by `cargo test`, then those in the kernel.
//!
//! A workspace may bring a front end of its own, a test target that boots its images; then `cargo test` runs everything.
//! For all others the tool itself is the front end.

use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::Package;

use crate::compile::{self, Contents, Profile};
use crate::error::Error;
use crate::progress;
use crate::project::{self, Project};
use crate::requirements::{self, Coverage};
use crate::{cli, front_end, install, parts};

/// Tells a workspace's own front end that it is to boot images.
const FRONT_END_WANTED: &str = "UNIKERNEL_FRONT_END";
/// The exit code of `cargo test` when a test fails.
const FAILED: u8 = 101;

/// Runs every test: those of the host, then each in-kernel test in a machine of its own.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo unikernel test
  cargo unikernel test fault
  cargo unikernel test -- --nocapture --test-threads 1")]
pub(crate) struct Arguments {
    /// Run only tests whose name contains this
    filter: Option<String>,
    /// Test only this package
    #[arg(short, long, value_name = "NAME")]
    package: Option<String>,
    /// Test optimised code
    #[arg(short, long)]
    release: bool,
    /// Print which tests prove which requirements, and which requirements no test proves
    #[arg(long)]
    coverage_of_requirements: bool,
    /// The list of requirements
    #[arg(long, value_name = "FILE", requires = "coverage_of_requirements")]
    requirements: Option<PathBuf>,
    /// Options for the test programs, as in `cargo test`
    #[arg(last = true, value_name = "OPTIONS")]
    options: Vec<String>,
}

impl Arguments {
    pub(crate) fn execute(&self) -> Result<u8, Error> {
        let project = Project::here()?;
        if self.coverage_of_requirements {
            return self.print_coverage(project.root());
        }
        let images = self.images(&project)?;
        let needed = if images.is_empty() {
            Vec::new()
        } else {
            vec![parts::TO_BUILD, parts::TO_RUN]
        };
        let for_discs = [
            parts::TO_BUILD,
            parts::TO_RUN,
            parts::TO_WRITE_DISCS,
            parts::TO_RUN_UEFI,
        ];
        install::ensure(if self.runs_front_end(&project) {
            &for_discs
        } else {
            &needed
        })?;

        let on_host = self.host_tests(&project)?;
        let in_kernel = if images.is_empty() {
            0
        } else {
            self.kernel_tests(&project, &images)?
        };
        Ok(on_host.max(in_kernel))
    }

    /// Returns whether the workspace brings a front end of its own that is to run.
    fn runs_front_end(&self, project: &Project) -> bool {
        let is_meant = |package: &Package| {
            self.package
                .as_ref()
                .is_none_or(|name| package.name.as_str() == name)
        };
        project.front_end().is_some_and(is_meant)
    }

    /// Returns the packages for which the tool itself is the front end.
    fn images<'p>(&self, project: &'p Project) -> Result<Vec<&'p Package>, Error> {
        if self.runs_front_end(project) {
            return Ok(Vec::new());
        }
        let meant = match &self.package {
            Some(name) => vec![project.package(Some(name))?],
            None => project.packages().collect(),
        };
        Ok(meant
            .into_iter()
            .filter(|package| project::is_application(package))
            .collect())
    }

    /// Runs `cargo test`, which shows what it does by itself.
    fn host_tests(&self, project: &Project) -> Result<u8, Error> {
        let mut command = Command::new(compile::cargo_program());
        command
            .args(["test", "--no-fail-fast"])
            .env(FRONT_END_WANTED, "1");
        match &self.package {
            Some(name) => command
                .arg("--package")
                .arg(project.package(Some(name))?.name.as_str()),
            None => command.arg("--workspace"),
        };
        command
            .args(self.release.then_some("--release"))
            .args(&self.filter)
            .arg("--")
            .args(&self.options);
        let status = command.status().map_err(Error::io("start cargo"))?;
        Ok(status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .unwrap_or(FAILED))
    }

    /// Boots the images of some packages.
    fn kernel_tests(&self, project: &Project, packages: &[&Package]) -> Result<u8, Error> {
        let profile = if self.release {
            Profile::Release
        } else {
            Profile::Dev
        };
        let words = ["test".to_owned()]
            .into_iter()
            .chain(self.filter.clone())
            .chain(self.options.clone());
        let options = libtest_mimic::Arguments::from_iter(words);
        let mut trials = Vec::new();
        for package in packages {
            for image in compile::images(project, package, profile, Contents::Tests)? {
                trials.extend(front_end::trials(&image, options.nocapture)?);
            }
        }
        progress::line("     Running in-kernel tests");
        let is_failed = libtest_mimic::run(&options, trials).has_failed();
        Ok(if is_failed { FAILED } else { 0 })
    }

    fn print_coverage(&self, root: &Path) -> Result<u8, Error> {
        let coverage = requirements::scan(root)?;
        let usual = root.join("../shared/requirements.md");
        let file = self
            .requirements
            .clone()
            .or_else(|| usual.exists().then_some(usual));
        let mut text = proved(&coverage);
        if let Some(file) = file {
            let list = std::fs::read_to_string(&file).map_err(Error::file(&file))?;
            text += &unproved(&coverage, &list);
        }
        cli::print(&text)?;
        Ok(0)
    }
}

/// Returns a line for each test, the requirement only in front of its first one.
fn proved(coverage: &Coverage) -> String {
    let mut text = String::new();
    for (requirement, tests) in coverage {
        for (index, test) in tests.iter().enumerate() {
            let shown = if index == 0 {
                requirement.to_string()
            } else {
                String::new()
            };
            text += &format!("{shown:6} {test}\n");
        }
    }
    text
}

fn unproved(coverage: &Coverage, list: &str) -> String {
    let all = requirements::listed(list);
    let open: Vec<String> = all
        .iter()
        .filter(|requirement| !coverage.contains_key(requirement))
        .map(ToString::to_string)
        .collect();
    format!(
        "\n{} of {} requirements have no test: {}\n",
        open.len(),
        all.len(),
        open.join(", ")
    )
}
