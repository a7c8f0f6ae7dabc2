//! The machine: everything that names a register, a port or an instruction.
//!
//! One folder per architecture, compiled only into an image (`cfg(unikernel)`); on the host none of this exists, which is
//! how the rest of the library is unit-tested. An architecture provides, in prose:
//!
//! - an *entry* from each loader that ends in [`boot::start`](crate::boot), with the high half mapped, interrupts off, a
//!   guarded stack and floating point usable;
//! - *traps*: every vector on a committed, guarded stack of its own, decoded and handed to safe code;
//! - *tables*: the image mapped with each section's own rights, pages mapped and found without any map of all memory;
//! - *context*: run a function on another stack, and abandon it from a panic, a trap or a timer;
//! - *serial*, *time*, *timer*, *exit*: one device each.
//!
//! Control comes up from here through three safe functions: [`boot::start`](crate::boot) at the beginning, an exception's report,
//! and a timer's tick. Everything else is called from above; the machine's own code uses the types of `memory` and `boot`, and asks
//! them whose a frame is.

#[cfg(unikernel)]
pub(crate) mod x86_64;

#[cfg(not(unikernel))]
pub(crate) mod host;

/// Of the machine, what names no register can be tried on the host.
#[cfg(all(test, not(unikernel), target_arch = "x86_64", target_os = "linux"))]
mod x86_64 {
    mod memory_functions;
    mod mtrr;
    mod patience;
}

#[cfg(not(unikernel))]
pub(crate) use host as machine;
#[cfg(unikernel)]
pub(crate) use x86_64 as machine;

/// How code that was started so that it could be abandoned came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(unikernel_test),
    allow(dead_code, reason = "only images with tests start code this way")
)]
pub(crate) enum End {
    /// It returned.
    Returned,
    /// It panicked.
    Panicked,
    /// It caused an exception.
    Faulted,
    /// It took longer than it was given.
    TimedOut,
}
