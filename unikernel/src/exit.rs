//! How a program ends: what `main` returns becomes the machine's exit code.

use core::fmt::Debug;

/// The code a machine ends with, 0 for success. `cargo unikernel run` ends with the same one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExitCode(u8);

impl ExitCode {
    /// The program did what it was asked to.
    pub const SUCCESS: Self = Self(0);
    /// The program did not.
    pub const FAILURE: Self = Self(1);
    /// A panic nobody survived, as in ordinary Rust programs.
    pub(crate) const PANIC: Self = Self(101);
    /// A CPU exception that could not be repaired.
    pub(crate) const FAULT: Self = Self(102);
    /// The machine or what its loader said of it cannot be used.
    pub(crate) const NO_BOOT: Self = Self(103);

    /// Returns the code as a number.
    #[must_use]
    pub const fn to_u8(self) -> u8 {
        self.0
    }

    /// Ends the machine at once with this code. Nothing is dropped or flushed.
    ///
    /// Under QEMU this is the exit device the tool adds; elsewhere the machine is powered off through ACPI, or reset.
    pub fn exit_machine(self) -> ! {
        #[cfg(unikernel)]
        crate::arch::machine::exit::exit(self.0);
        #[cfg(not(unikernel))]
        std::process::exit(i32::from(self.0))
    }
}

impl From<u8> for ExitCode {
    fn from(code: u8) -> Self {
        Self(code)
    }
}

/// What `main` may return.
///
/// Nothing is success. An error is printed in its `Debug` form, as in ordinary Rust programs, and is failure.
pub trait Termination {
    /// Turns the result into a code, saying what there is to say.
    fn report(self) -> ExitCode;
}

impl Termination for () {
    fn report(self) -> ExitCode {
        ExitCode::SUCCESS
    }
}

impl Termination for ExitCode {
    fn report(self) -> ExitCode {
        self
    }
}

impl Termination for core::convert::Infallible {
    fn report(self) -> ExitCode {
        match self {}
    }
}

impl<T: Termination, E: Debug> Termination for Result<T, E> {
    fn report(self) -> ExitCode {
        match self {
            Ok(value) => value.report(),
            Err(error) => {
                crate::println!("Error: {error:?}");
                ExitCode::FAILURE
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_main_returns_becomes_the_code() {
        assert_eq!(().report(), ExitCode::SUCCESS);
        assert_eq!(ExitCode::from(7).report().to_u8(), 7);
        assert_eq!(Ok::<(), u8>(()).report(), ExitCode::SUCCESS);
        assert_eq!(Ok::<ExitCode, u8>(ExitCode::from(3)).report().to_u8(), 3);
        assert_eq!(Err::<(), _>("broken").report(), ExitCode::FAILURE);
    }
}
