//! Emulation or the host's own CPU: whichever is faster, which is not obvious.
//!
//! A `/dev/kvm` that exists may itself be emulated and a thousand times slower than QEMU's emulation. So it is used only if
//! the CPU shows the extension *and* a short probe is not slower on it.

use std::fs::{self, OpenOptions};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::guest::{Event, Guest, Input};
use crate::probe::Probe;
use crate::qemu::{self, Board};
use crate::size::Size;

/// What runs the guest's instructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Accelerator {
    /// Whichever is faster.
    #[default]
    Auto,
    /// QEMU's emulation.
    Tcg,
    /// The host's own CPU.
    Kvm,
}

/// An accelerator and why it was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) is_kvm: bool,
    pub(crate) reason: String,
}

const PROBE_LIMIT: Duration = Duration::from_secs(3);
const PROBE_ROUNDS: u32 = 20_000_000;

/// Returns whether to use KVM.
pub(crate) fn is_kvm(wanted: Accelerator) -> bool {
    match wanted {
        Accelerator::Auto => automatic().is_kvm,
        Accelerator::Tcg => false,
        Accelerator::Kvm => true,
    }
}

/// Returns the better accelerator of this host, measured at most once.
pub(crate) fn automatic() -> &'static Choice {
    static CHOICE: OnceLock<Choice> = OnceLock::new();
    CHOICE.get_or_init(|| {
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let device = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/kvm")
            .map(drop);
        decide(&cpu, &device.map_err(|cause| cause.kind()), measured)
    })
}

/// Decides by the CPU's flags, then by whether the device opens, then by measuring.
fn decide(
    cpu: &str,
    device: &Result<(), std::io::ErrorKind>,
    measured: impl Fn(Board) -> Option<Duration>,
) -> Choice {
    let tcg = |reason: &str| Choice {
        is_kvm: false,
        reason: reason.to_owned(),
    };
    if !cpu
        .split_whitespace()
        .any(|flag| flag == "vmx" || flag == "svm")
    {
        return tcg("KVM is not used: the CPU shows neither vmx nor svm");
    }
    if let Err(kind) = device {
        return tcg(&format!(
            "KVM is not used: /dev/kvm cannot be opened ({kind})"
        ));
    }
    match (measured(Board::Kvm(1)), measured(Board::Emulated(1))) {
        (None, _) => tcg("KVM is not used: a short probe did not end on it"),
        (Some(kvm), Some(emulated)) if kvm > emulated => tcg(&format!(
            "KVM is not used: a short probe took {} ms on it and {} ms by emulation",
            kvm.as_millis(),
            emulated.as_millis()
        )),
        _ => Choice {
            is_kvm: true,
            reason: "KVM is used: a short probe was not slower on it".to_owned(),
        },
    }
}

/// Returns how long a short program takes, `None` if it fails or takes too long.
fn measured(board: Board) -> Option<Duration> {
    measure(board).ok().flatten()
}

fn measure(board: Board) -> Result<Option<Duration>, Error> {
    let folder = tempfile::tempdir().map_err(Error::io("make a temporary folder"))?;
    let elf = folder.path().join("probe.elf");
    let program = Probe::new().spin(PROBE_ROUNDS).exit(0).image();
    fs::write(&elf, program).map_err(Error::io("write the probe"))?;
    let mut command = qemu::machine(board, Size::mebibytes(16));
    command.args(qemu::direct(&elf, "", None));
    let start = Instant::now();
    let guest = Guest::start(command, Input::Nothing)?;
    while let Event::Text(_) = guest.next(Some(start + PROBE_LIMIT)) {}
    let ended = start.elapsed() < PROBE_LIMIT && guest.finish()?.0 == Some(33);
    Ok(ended.then(|| start.elapsed()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;

    const FLAGS: &str = "flags : fpu vmx sse\n";

    fn chosen(cpu: &str, device: Result<(), ErrorKind>, kvm: Option<u64>, emulated: u64) -> Choice {
        decide(cpu, &device, |board| match board {
            Board::Kvm(_) => kvm.map(Duration::from_millis),
            _ => Some(Duration::from_millis(emulated)),
        })
    }

    /// Proves T2.
    #[test]
    fn kvm_is_used_only_if_it_is_there_and_not_slower() {
        assert!(chosen(FLAGS, Ok(()), Some(20), 200).is_kvm);

        for choice in [
            chosen("flags : fpu sse\n", Ok(()), Some(20), 200),
            chosen(FLAGS, Err(ErrorKind::PermissionDenied), Some(20), 200),
            chosen(FLAGS, Ok(()), None, 200),
            chosen(FLAGS, Ok(()), Some(2000), 200),
        ] {
            assert!(
                !choice.is_kvm && choice.reason.starts_with("KVM is not used: "),
                "{choice:?}"
            );
        }
    }
}
