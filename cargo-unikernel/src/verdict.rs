//! How a machine ended, read from QEMU's status.
//!
//! The guest writes `n` to the exit device and QEMU ends with `2n + 1`. For codes up to 110 `n` is the code plus 16; a
//! larger code is printed as a last line `unikernel: exit code 200`, and `n` is 127. Status 0 means that the machine
//! reset or went off by itself, and 1 that QEMU failed.

const FIRST: i32 = 0x10;
const SPOKEN: i32 = 0x7f;
const SPOKEN_LINE: &str = "unikernel: exit code ";

/// How a machine ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The guest ended with a code: its own, or 101 for a panic, 102 for a fault, 103 if it could not boot.
    Exit(u8),
    /// The machine reset or went off without a verdict.
    Stopped,
    /// The time was over, and the machine was stopped.
    Timeout,
    /// Somebody asked the tool to end.
    Interrupted,
}

impl Verdict {
    /// Returns whether the guest ended with code 0.
    #[must_use]
    pub fn is_success(self) -> bool {
        self == Self::Exit(0)
    }

    /// Reads QEMU's status; `text` is what the guest has printed. `None` means that QEMU itself failed.
    pub(crate) fn from_status(status: Option<i32>, text: &str) -> Option<Self> {
        let status = status?;
        match (status - 1) / 2 {
            _ if status == 0 => Some(Self::Stopped),
            _ if status % 2 == 0 => None,
            SPOKEN => Some(spoken(text).map_or(Self::Stopped, Self::Exit)),
            written @ FIRST..SPOKEN => u8::try_from(written - FIRST).ok().map(Self::Exit),
            _ => None,
        }
    }
}

/// Returns the code of the last line that names one.
fn spoken(text: &str) -> Option<u8> {
    text.lines()
        .rev()
        .find_map(|line| line.trim_end().strip_prefix(SPOKEN_LINE)?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_the_device_can_carry_comes_back() {
        for code in 0..=110 {
            let status = (i32::from(code) + 0x10) * 2 + 1;
            assert_eq!(
                Verdict::from_status(Some(status), ""),
                Some(Verdict::Exit(code))
            );
        }
    }

    #[test]
    fn a_larger_code_is_in_the_last_line_that_names_one() {
        let text = "unikernel: exit code 1\nmore\nunikernel: exit code 200\n";

        assert_eq!(
            Verdict::from_status(Some(255), text),
            Some(Verdict::Exit(200))
        );
        assert_eq!(
            Verdict::from_status(Some(255), "nothing"),
            Some(Verdict::Stopped)
        );
    }

    #[test]
    fn a_reset_and_a_failure_of_qemu_are_told_apart() {
        assert_eq!(Verdict::from_status(Some(0), ""), Some(Verdict::Stopped));
        assert_eq!(Verdict::from_status(Some(1), ""), None);
        assert_eq!(Verdict::from_status(Some(2), ""), None);
        assert_eq!(Verdict::from_status(None, ""), None);
    }
}
