//! The host side of unikernel: builds images, boots them, tests them, measures them, debugs them.
//!
//! The command is `cargo unikernel`; the binary only calls [`cli::main`]. Other programs, such as a test target that boots
//! a workspace's own images, use the library:
//!
//! ```no_run
//! use cargo_unikernel::compile::{self, Contents, Profile};
//! use cargo_unikernel::machine::{Boot, Machine};
//! use cargo_unikernel::project::Project;
//!
//! let project = Project::here()?;
//! let package = project.package(Some("app"))?;
//! let hello = compile::image(&project, package, "hello", Profile::Release, Contents::Program)?;
//! let outcome = Machine::new(&hello).boot(Boot::Direct).capture()?;
//! assert!(outcome.verdict.is_success(), "{}", outcome.text);
//! # Ok::<(), cargo_unikernel::error::Error>(())
//! ```
//!
//! # Map
//!
//! | question | modules |
//! |---|---|
//! | what is typed, what is done | [`cli`], `commands` |
//! | what is the project | [`project`], `template` |
//! | from source to image | [`compile`], `finish`, `elf`, `symbols`, [`image`] |
//! | from image to machine | `grub`, `iso`, [`module`], `archive`, `words`, `qemu`, `firmware`, [`accelerator`] |
//! | from machine to reader | [`machine`], `guest`, `stream`, `locate`, `transcript`, `verdict` |
//! | what is in its memory | [`map`] |
//! | tests and figures | [`front_end`], `requirements`, `record`, `budgets` |
//! | what others bring | `parts`, `install`, `process` |

pub mod accelerator;
pub mod cli;
pub mod compile;
pub mod error;
pub mod front_end;
pub mod image;
pub mod machine;
pub mod map;
pub mod module;
pub mod probe;
pub mod project;
pub mod size;

mod archive;
mod budgets;
mod commands;
mod duration;
mod elf;
mod finish;
mod firmware;
mod grub;
mod guest;
mod install;
mod interrupt;
mod iso;
mod locate;
mod parts;
mod process;
mod progress;
mod qemu;
mod record;
mod requirements;
mod stream;
mod symbols;
mod template;
mod transcript;
mod verdict;
mod words;

pub use elf::ImageFault;
