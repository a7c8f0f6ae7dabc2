//! The `cargo unikernel` command: everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    cargo_unikernel::cli::main()
}
