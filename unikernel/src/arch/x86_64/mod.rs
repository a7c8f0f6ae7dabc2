//! The x86-64 machine. See [`arch`](super) for what an architecture provides.

pub(crate) mod address;
pub(crate) mod backtrace;
#[cfg(unikernel_test)]
pub(crate) mod bench;
pub(crate) mod console;
pub(crate) mod context;
pub(crate) mod cpu;
mod descriptors;
mod entry;
pub(crate) mod exit;
pub(crate) mod frames;
pub(crate) mod handed_over;
pub(crate) mod identity;
pub(crate) mod image;
mod interrupts;
pub(crate) mod memory_functions;
pub(crate) mod memory_types;
pub(crate) mod mtrr;
mod nesting;
pub(crate) mod paging;
mod patience;
pub(crate) mod places;
#[cfg(unikernel_test)]
pub(crate) mod ring3;
mod runtime;
pub(crate) mod stacks;
#[cfg(unikernel_test)]
pub(crate) mod stage;
pub(crate) mod tables;
pub(crate) mod time;
pub(crate) mod timer;
pub(crate) mod trap;
pub(crate) mod windows;

#[cfg(not(unikernel_test))]
use crate::exit::ExitCode;

#[cfg(not(unikernel_test))]
unsafe extern "Rust" {
    /// The application's `main`, exported by its `#[unikernel::main]`.
    safe fn __unikernel_main() -> ExitCode;
}

/// Runs the application.
#[cfg(not(unikernel_test))]
pub(crate) fn call_main() -> ExitCode {
    __unikernel_main()
}

/// Prepares this CPU: routines that suit it, segments, and a handler on a stack of its own for every vector.
pub(crate) fn init_cpu() {
    memory_functions::select_for_this_cpu();
    descriptors::load();
    memory_types::program_pat();
}
