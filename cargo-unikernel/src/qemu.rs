//! QEMU's command line.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use crate::process;
use crate::size::Size;

/// The program.
pub(crate) const QEMU: &str = "qemu-system-x86_64";

/// What instructions run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Board {
    /// The ordinary machine with some CPUs, by emulation.
    Emulated(u8),
    /// The ordinary machine with some CPUs, on the host's own CPU.
    Kvm(u8),
    /// The machine for figures: one CPU without the features that emulation makes slow, everything repeatable, and the
    /// time stamp counter counting instructions.
    CountingBench,
    /// The same, at the speed of emulation.
    TimedBench,
}

impl Board {
    fn arguments(self) -> Vec<String> {
        let bench = "-cpu max,-erms,-fsrm,-pku,-la57 -smp 1 -accel tcg,thread=single -seed 1 \
            -rtc base=2024-01-01T00:00:00,clock=vm";
        let text = match self {
            Self::Emulated(cpus) => format!("-cpu max -smp {cpus} -accel tcg"),
            Self::Kvm(cpus) => format!("-cpu max -smp {cpus} -accel kvm"),
            Self::CountingBench => format!("{bench} -icount shift=0,sleep=off"),
            Self::TimedBench => bench.to_owned(),
        };
        text.split_whitespace().map(str::to_owned).collect()
    }
}

/// Returns a machine without anything to boot: serial line on standard input and output, no screen, and the device that
/// ends it with a verdict.
pub(crate) fn machine(board: Board, memory: Size) -> Command {
    let fixed = "-nodefaults -no-user-config -display none -monitor none -serial stdio -no-reboot -machine pc \
        -device isa-debug-exit,iobase=0xf4,iosize=0x04";
    let mut command = dying_with_us();
    command
        .args(fixed.split_whitespace())
        .args(board.arguments());
    command.arg("-m").arg(format!("{}K", memory.bytes() >> 10));
    command
}

/// Returns a command that starts QEMU and has the kernel end it when the tool ends, even by SIGKILL, which nothing else of the tool
/// survives to do. Where `setpriv` (util-linux) is missing, such a QEMU is left behind.
fn dying_with_us() -> Command {
    match (process::find("setpriv"), process::find(QEMU)) {
        (Some(setpriv), Some(qemu)) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "--"]).arg(qemu);
            command
        }
        _ => Command::new(QEMU),
    }
}

/// Returns the arguments that start an ELF file by PVH.
pub(crate) fn direct(elf: &Path, command_line: &str, archive: Option<&Path>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec![
        "-kernel".into(),
        elf.into(),
        "-append".into(),
        command_line.into(),
    ];
    if let Some(archive) = archive {
        arguments.extend(["-initrd".into(), archive.into()]);
    }
    arguments
}

/// Returns the arguments that start from an ISO.
pub(crate) fn disc(iso: &Path) -> Vec<OsString> {
    vec!["-cdrom".into(), iso.into(), "-boot".into(), "d".into()]
}

/// Returns the arguments that wait for a debugger.
pub(crate) fn debugger(port: u16) -> Vec<OsString> {
    vec![
        "-gdb".into(),
        format!("tcp:127.0.0.1:{port}").into(),
        "-S".into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(command: &Command) -> String {
        let arguments: Vec<_> = command
            .get_args()
            .map(|argument| argument.to_string_lossy())
            .collect();
        arguments.join(" ")
    }

    #[test]
    fn the_bench_machine_is_the_one_the_figures_are_about() {
        let command = shown(&machine(Board::CountingBench, Size::mebibytes(512)));

        for part in [
            "-machine pc",
            "-cpu max,-erms,-fsrm,-pku,-la57 -smp 1",
            "-m 524288K",
            "-accel tcg,thread=single -seed 1 -rtc base=2024-01-01T00:00:00,clock=vm",
            "-icount shift=0,sleep=off",
        ] {
            assert!(command.contains(part), "{part} in {command}");
        }
        assert!(!shown(&machine(Board::TimedBench, Size::mebibytes(512))).contains("icount"));
    }

    #[test]
    fn a_direct_boot_without_modules_has_no_archive() {
        let arguments = direct(Path::new("a.elf"), "x y", None);

        assert_eq!(arguments, ["-kernel", "a.elf", "-append", "x y"]);
    }
}
