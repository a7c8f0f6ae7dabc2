//! What an application was started with: arguments and boot modules.

#[cfg(unikernel)]
use crate::boot::start::started_with;

/// A file that the loader placed in memory beside the image.
#[derive(Clone, Copy, Debug)]
pub struct Module {
    pub(crate) name: &'static str,
    pub(crate) bytes: &'static [u8],
}

impl Module {
    /// Returns its name: of the file it was, unless the tool was told another.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns its contents. They stay in memory, read-only, as long as the image runs.
    #[must_use]
    pub const fn bytes(&self) -> &'static [u8] {
        self.bytes
    }
}

/// Returns the words of the command line, without those that begin with `unikernel.`, which are for the library. Double quotes
/// keep words together. Nothing on the host.
///
/// ```
/// let verbose = unikernel::args().any(|argument| argument == "--verbose");
/// # assert!(!verbose);
/// ```
pub fn args() -> impl Iterator<Item = &'static str> {
    #[cfg(unikernel)]
    return started_with()
        .arguments
        .iter()
        .map(alloc::string::String::as_str);
    #[cfg(not(unikernel))]
    core::iter::empty()
}

/// Returns the boot modules in the order they were given. Nothing on the host.
pub fn modules() -> impl Iterator<Item = Module> {
    #[cfg(unikernel)]
    return started_with().modules.iter().copied();
    #[cfg(not(unikernel))]
    core::iter::empty()
}

/// Returns the contents of the boot module of this name, the first if there are several.
///
/// ```
/// let text = unikernel::module("README.md").unwrap_or(b"no such module");
/// # assert_eq!(text, b"no such module");
/// ```
#[must_use]
pub fn module(name: &str) -> Option<&'static [u8]> {
    modules()
        .find(|module| module.name == name)
        .map(|module| module.bytes)
}
