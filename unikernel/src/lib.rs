//! A Go-like managed runtime on a virtual memory manager: your program is the virtual machine.
//!
//! An application crate and this library link into one bootable image. GRUB loads it by Multiboot2, it runs alone on an x86-64
//! machine in a single address space, and talks on the serial line.
//!
//! ```no_run
//! #![no_std]
//! #![no_main]
//!
//! use unikernel::prelude::*;
//!
//! #[unikernel::main]
//! fn main() {
//!     println!("Hello, world!");
//! }
//! ```
//!
//! `cargo unikernel run` builds, boots and shows it. On the host, without the tool, everything compiles and the pure parts are
//! unit-tested.
//!
//! # Map
//!
//! | you want to know | open |
//! |---|---|
//! | where does it start? | `boot/start.rs` |
//! | what did the loader say? | [`boot`] |
//! | what does a CPU exception mean? | `trap/mod.rs` |
//! | how does a panic or a fault become a report? | `panic.rs` |
//! | where do `Vec` and `String` get memory? | [`heap`] |
//! | how does a program ask for memory? | [`memory::Region`] |
//! | how are frames and page tables handled? | [`memory`] |
//! | what does a page-table entry look like? | `memory/table/entry.rs` |
//! | what is at this address? | `arch/x86_64/address.rs`, or [`memory::dump`] |
//! | which regions and objects are there? | [`memory::dump_regions`] |
//! | how do tests run inside the kernel? | [`test`](mod@test) |
//! | what touches registers and ports? | `arch/` |
//! | which lock may be taken under which? | `sync/mod.rs` |
//!
//! # Modules that may hold `unsafe`
//!
//! | module | for |
//! |---|---|
//! | `arch/**` | instructions, ports, tables, stacks |
//! | `heap/arena.rs` | the `GlobalAlloc` contract, and raw memory for talc |
//! | `memory/machine.rs`, `memory/table/node.rs` | the seam to the machine, and entries of open tables |
//! | `memory/root.rs`, `memory/owned.rs` | what an application does to page tables and frames |
//! | `memory/handle/{view,ring,volatile}.rs` | pages seen as slices, or value by value; traits there say of which kinds |
//! | `memory/handle/{builder,space}.rs` | what an application answers for: devices that are mapped, spaces that are switched |
//! | `memory/sim.rs`, and tests of the table layer | implementing and calling the seam; no unsafe operation of their own |
//! | `test/probe.rs` | the host's stand-in for a step into ring 3 |
//! | the entry macro below | exporting a symbol |
//!
//! Everywhere else the compiler denies it.

#![cfg_attr(unikernel, no_std)]
#![cfg_attr(
    not(unikernel_test),
    allow(
        dead_code,
        reason = "only an image with tests uses all of the library; on the host much of it has nobody to call it"
    )
)]

extern crate alloc;
#[cfg(unikernel)]
extern crate self as unikernel;

#[allow(
    unsafe_code,
    reason = "the machine itself: instructions, ports, tables, stacks"
)]
mod arch;
pub mod boot;
#[doc(hidden)]
pub mod console;
mod environment;
mod exit;
pub mod heap;
#[cfg(unikernel)]
mod logger;
pub mod memory;
#[cfg(unikernel)]
mod panic;
pub mod prelude;
#[cfg(any(unikernel, test))]
mod symbols;
mod sync;
pub mod test;
pub mod time;
mod trap;

pub use self::environment::{Module, args, module, modules};
pub use self::exit::{ExitCode, Termination};
pub use unikernel_macros::{bench, main, test};

/// What the front page of the project shows compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct FrontPage;

#[doc(hidden)]
pub mod __private {
    //! What the macros expand to. Not for use by hand.

    #[cfg(unikernel)]
    pub use linkme;

    /// Says how an image is booted, to somebody who ran it as a host program. Under `cargo test` that is no failure.
    #[cfg(not(unikernel))]
    #[must_use]
    pub fn explain(binary: Option<&str>, under_test: bool) -> core::ffi::c_int {
        let by_the_tool = std::env::var_os("UNIKERNEL_FRONT_END").is_some();
        match (under_test, binary) {
            (true, _) if by_the_tool => {}
            (true, _) => {
                std::eprintln!("tests of an image run in a machine: `cargo unikernel test`")
            }
            (false, None) => {
                std::eprintln!("an image runs in a machine of its own: `cargo unikernel run`")
            }
            (false, Some(name)) => {
                std::eprintln!(
                    "`{name}` runs in a machine of its own: `cargo unikernel run --bin {name}`"
                );
            }
        }
        if under_test { 0 } else { 2 }
    }
}

/// Exports a function as the image's entry; the attribute macro expands to this.
#[cfg(unikernel)]
#[doc(hidden)]
#[macro_export]
macro_rules! __main {
    ($function:ident) => {
        const _: () = {
            #[unsafe(no_mangle)]
            extern "Rust" fn __unikernel_main() -> $crate::ExitCode {
                $crate::Termination::report($function())
            }
        };
    };
}

/// On the host, an image says how to boot it.
#[cfg(not(unikernel))]
#[doc(hidden)]
#[macro_export]
macro_rules! __main {
    ($function:ident) => {
        const _: () = {
            #[unsafe(export_name = "main")]
            extern "C" fn on_the_host() -> ::core::ffi::c_int {
                let _checked = || $crate::Termination::report($function());
                $crate::__private::explain(
                    ::core::option_env!("CARGO_BIN_NAME"),
                    ::core::cfg!(test),
                )
            }
        };
    };
}
