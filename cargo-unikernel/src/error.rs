//! What can go wrong in the tool: one line to read and one exit code to script by, for each.
//!
//! A guest that ends with a code of its own is not an error; see [`Verdict`](crate::machine::Verdict).
//!
//! | code | meaning |
//! |---:|---|
//! | 1 | a figure over its budget, or the surroundings failed (a disk, a pipe) |
//! | 2 | the command line or the project makes no sense |
//! | 120 | the build failed |
//! | 121 | the file is not an image |
//! | 122 | a file is missing or cannot be read |
//! | 123 | the memory is too small for the image and its modules |
//! | 124 | the time is over |
//! | 125 | the machine stopped without a verdict |
//! | 126 | a needed tool is missing and could not be installed |
//! | 127 | QEMU failed |
//! | 130 | interrupted |

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::duration;
use crate::elf::ImageFault;
use crate::size::Size;

/// Why the tool could not do what it was asked to.
#[derive(Debug)]
pub enum Error {
    /// The command line asks for something that makes no sense.
    Usage(String),
    /// The project lacks what the command needs, or cargo cannot read it.
    Project(String),
    /// The compiler or linker refused; they have said why.
    Build {
        /// The package that was built.
        package: String,
    },
    /// The file is no bootable image.
    NotAnImage {
        /// The file that was given.
        path: PathBuf,
        /// What it lacks.
        fault: ImageFault,
    },
    /// A file is missing or cannot be read.
    File {
        /// The file that was given.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The image and its modules do not fit into the memory of the machine.
    MemoryTooSmall {
        /// The memory that was given.
        memory: Size,
        /// The memory that would do.
        needed: Size,
        /// How much of it modules take.
        modules: Size,
    },
    /// The guest did not end in time.
    Timeout(Duration),
    /// The guest did not print in time what was waited for.
    NotSaid {
        /// What was waited for.
        text: String,
        /// How long.
        after: Duration,
    },
    /// The guest runs, but did not say in time what its memory is like.
    NoAnswer(Duration),
    /// The machine went off without the guest having said how it ended.
    NoVerdict,
    /// The boot loader could not start the image.
    NotLoaded(String),
    /// A needed tool is missing and could not be installed.
    MissingTools(String),
    /// QEMU itself failed.
    Qemu(String),
    /// A file or folder of the tool's own could not be written.
    Io {
        /// What was being done, as in "write the ISO".
        action: String,
        /// What the system says.
        cause: io::Error,
    },
    /// A bench took more than its budget, or has none.
    Budget(String),
    /// Somebody pressed Ctrl-C or sent a signal to end.
    Interrupted,
    /// Whoever read the output went away.
    OutputClosed,
}

impl Error {
    /// Returns the code the tool ends with.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Budget(_) | Self::Io { .. } => 1,
            Self::Usage(_) | Self::Project(_) => 2,
            Self::Build { .. } => 120,
            Self::NotAnImage { .. } => 121,
            Self::File { .. } => 122,
            Self::MemoryTooSmall { .. } => 123,
            Self::Timeout(_) | Self::NotSaid { .. } | Self::NoAnswer(_) => 124,
            Self::NoVerdict | Self::NotLoaded(_) => 125,
            Self::MissingTools(_) => 126,
            Self::Qemu(_) => 127,
            Self::Interrupted => 130,
            Self::OutputClosed => 141,
        }
    }

    /// Returns an error about a file that was given by the user.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |cause| Self::File { path, cause }
    }

    /// Returns an error about something the tool does for itself.
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        |cause| Self::Io { action, cause }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(message) | Self::Project(message) | Self::Budget(message) => {
                f.write_str(message)
            }
            Self::Build { package } => {
                write!(f, "`{package}` did not build, the compiler says why above")
            }
            Self::NotAnImage { path, fault } => {
                write!(f, "`{}` is not an image: {fault}", path.display())
            }
            Self::File { path, cause } => {
                write!(f, "cannot read `{}`: {}", path.display(), reason(cause))
            }
            Self::MemoryTooSmall {
                memory,
                needed,
                modules,
            } => {
                write!(f, "--memory {memory} is too small: ")?;
                match modules.bytes() {
                    0 => write!(f, "booting this image takes {needed}"),
                    _ => write!(
                        f,
                        "booting this image with {modules} of modules takes {needed}"
                    ),
                }
            }
            Self::Timeout(after) => {
                write!(
                    f,
                    "the guest was still running after {}",
                    duration::show(*after)
                )
            }
            Self::NotSaid { text, after } => {
                write!(
                    f,
                    "the guest did not print `{text}` within {}",
                    duration::show(*after)
                )
            }
            Self::NoAnswer(after) => write!(
                f,
                "the guest did not say within {} what its memory is like",
                duration::show(*after)
            ),
            Self::NoVerdict => f.write_str(
                "the machine reset or went off without a verdict (a triple fault, or a power-off)",
            ),
            Self::NotLoaded(said) => write!(f, "the boot loader did not start the image: {said}"),
            Self::MissingTools(message) => f.write_str(message),
            Self::Qemu(message) => write!(f, "QEMU failed: {message}"),
            Self::Io { action, cause } => write!(f, "cannot {action}: {}", reason(cause)),
            Self::Interrupted => f.write_str("interrupted"),
            Self::OutputClosed => f.write_str("nobody reads the output any more"),
        }
    }
}

impl std::error::Error for Error {}

/// Returns what the system says, without the number that Rust appends.
fn reason(cause: &io::Error) -> String {
    let text = cause.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_lowercase(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves T11.
    #[test]
    fn every_message_is_one_line() {
        let errors = [
            Error::NotAnImage {
                path: "a.elf".into(),
                fault: ImageFault::NotElf,
            },
            Error::File {
                path: "a.txt".into(),
                cause: io::Error::from_raw_os_error(2),
            },
            Error::MemoryTooSmall {
                memory: Size::mebibytes(4),
                needed: Size::mebibytes(9),
                modules: Size::mebibytes(5),
            },
            Error::Timeout(Duration::from_millis(1500)),
            Error::NotSaid {
                text: "listening".to_owned(),
                after: Duration::from_secs(60),
            },
            Error::NoAnswer(Duration::from_secs(10)),
            Error::NoVerdict,
        ];

        for error in errors {
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_missing_file_is_named_without_a_number() {
        let error = Error::File {
            path: "a.txt".into(),
            cause: io::Error::from_raw_os_error(2),
        };

        assert_eq!(
            error.to_string(),
            "cannot read `a.txt`: no such file or directory"
        );
        assert_eq!(error.exit_code(), 122);
    }
}
