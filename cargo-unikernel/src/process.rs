//! Programs the tool starts and waits for.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::Error;
use crate::interrupt;

/// Runs a command silently; if it fails, its last words are the error.
pub(crate) fn checked(mut command: Command, action: &str) -> Result<(), Error> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(Error::io(action))?;
    if output.status.success() {
        return Ok(());
    }
    if interrupt::requested() {
        return Err(Error::Interrupted);
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let cause = last_line(&said).unwrap_or("it did not say why");
    let program = command.get_program().display();
    Err(Error::Io {
        action: action.to_owned(),
        cause: io::Error::other(format!("{program} failed: {cause}")),
    })
}

/// Returns what a command prints, or `None` if it cannot be run or fails.
pub(crate) fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Returns where the shell would find a program.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| is_executable(file))
}

/// Returns the last line that says something.
pub(crate) fn last_line(text: &str) -> Option<&str> {
    text.lines().map(str::trim).rfind(|line| !line.is_empty())
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata()
        .is_ok_and(|status| status.is_file() && status.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_says_why_in_one_line() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo first >&2; echo the cause >&2; exit 3"]);

        let error = checked(command, "try this").unwrap_err();

        assert_eq!(error.to_string(), "cannot try this: sh failed: the cause");
    }

    #[test]
    fn programs_are_found_as_the_shell_finds_them() {
        assert!(find("sh").is_some_and(|path| path.is_absolute()));
        assert_eq!(find("no-such-program-anywhere"), None);
    }
}
