//! The images that the trials boot, built once.

use cargo_unikernel::compile::{self, Contents, Profile};
use cargo_unikernel::error::Error;
use cargo_unikernel::image::Image;
use cargo_unikernel::project::Project;

/// Every image of the workspace, and the failing tests.
pub(crate) struct Images {
    /// The in-kernel suite.
    pub(crate) suite: Image,
    /// Tests that fail on purpose.
    pub(crate) failing: Image,
    /// A program that ends in every way.
    pub(crate) endings: Image,
    /// The programs of `app`, optimised: the word counter and the examples.
    pub(crate) programs: Vec<Image>,
}

impl Images {
    /// Builds them.
    pub(crate) fn build() -> Result<Self, Error> {
        let project = Project::here()?;
        let tests = project.package(Some("unikernel-tests"))?;
        let app = project.package(Some("app"))?;
        let of_tests = |bin, contents| compile::image(&project, tests, bin, Profile::Dev, contents);
        Ok(Self {
            suite: of_tests("suite", Contents::Tests)?,
            failing: of_tests("failing", Contents::Tests)?,
            endings: of_tests("endings", Contents::Program)?,
            programs: compile::images(&project, app, Profile::Release, Contents::Program)?,
        })
    }

    /// Returns a program of `app`.
    pub(crate) fn program(&self, name: &str) -> &Image {
        let found = self.programs.iter().find(|image| image.name() == name);
        found.expect("the trials name programs that exist")
    }
}
