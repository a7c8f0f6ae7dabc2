//! A machine that boots an image, and what came of it.
//!
//! ```text
//! image, words, modules ──> ISO or archive ──> QEMU ──> gate ──> annotator ──> reader
//!                                                │      hides      adds            + transcript
//!                                                │      GRUB       file:line
//!                                                └── status ──> Verdict
//! ```

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::accelerator::{self, Accelerator};
use crate::error::Error;
use crate::firmware::Ovmf;
use crate::grub::Gate;
use crate::guest::{Event, Guest, Input};
use crate::image::Image;
use crate::locate::DebugInfo;
use crate::module::{self, Module};
use crate::progress::Progress;
use crate::qemu::{self, Board};
use crate::size::Size;
use crate::stream::Annotator;
use crate::transcript::Transcript;
pub use crate::verdict::Verdict;
use crate::{archive, iso, process, words};

/// How an image is started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Boot {
    /// From an ISO, through BIOS and GRUB.
    #[default]
    Bios,
    /// From an ISO, through UEFI and GRUB.
    Uefi,
    /// By QEMU itself, through PVH; the fastest way.
    Direct,
}

/// How a machine ended, and what its guest said.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub verdict: Verdict,
    /// What the guest printed, with file and line in backtraces; of very long texts the end.
    pub text: String,
    /// How long it took.
    pub wall: Duration,
}

/// A machine to boot an image on.
///
/// ```no_run
/// use std::time::Duration;
/// use cargo_unikernel::{image::Image, machine::{Boot, Machine}};
///
/// let image = Image::open("hello.elf".as_ref())?;
/// let machine = Machine::new(&image).boot(Boot::Direct).words(["--top", "5"]).timeout(Duration::from_secs(10));
/// let outcome = machine.capture()?;
/// assert!(outcome.verdict.is_success(), "{}", outcome.text);
/// # Ok::<(), cargo_unikernel::error::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Machine {
    image: Image,
    boot: Boot,
    words: Vec<String>,
    modules: Vec<Module>,
    memory: Size,
    cpus: u8,
    accelerator: Accelerator,
    bench: Option<Board>,
    timeout: Option<Duration>,
    debugger: Option<u16>,
}

impl Machine {
    /// Returns a machine with 512 MiB and one CPU that boots the image from an ISO by BIOS.
    #[must_use]
    pub fn new(image: &Image) -> Self {
        Self {
            image: image.clone(),
            boot: Boot::default(),
            words: Vec::new(),
            modules: Vec::new(),
            memory: Size::mebibytes(512),
            cpus: 1,
            accelerator: Accelerator::Auto,
            bench: None,
            timeout: None,
            debugger: None,
        }
    }

    /// Starts the image in this way.
    #[must_use]
    pub fn boot(self, boot: Boot) -> Self {
        Self { boot, ..self }
    }

    /// Adds words to the guest's command line: arguments, or options of the library such as `unikernel.log=debug`.
    #[must_use]
    pub fn words<W: Into<String>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
        self.words.extend(words.into_iter().map(Into::into));
        self
    }

    /// Hands files to the guest.
    #[must_use]
    pub fn modules(mut self, modules: impl IntoIterator<Item = Module>) -> Self {
        self.modules.extend(modules);
        self
    }

    /// Gives it this much memory.
    #[must_use]
    pub fn memory(self, memory: Size) -> Self {
        Self { memory, ..self }
    }

    /// Gives it this many CPUs.
    #[must_use]
    pub fn cpus(self, cpus: u8) -> Self {
        Self { cpus, ..self }
    }

    /// Runs instructions on this.
    #[must_use]
    pub fn accelerator(self, accelerator: Accelerator) -> Self {
        Self {
            accelerator,
            ..self
        }
    }

    /// Stops it after this time.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self {
            timeout: Some(timeout),
            ..self
        }
    }

    /// Lets it wait for a debugger on this port.
    #[must_use]
    pub fn debugger(self, port: u16) -> Self {
        Self {
            debugger: Some(port),
            ..self
        }
    }

    /// Takes the machine on which every run gives the same figures; `counting` instructions or host time.
    pub(crate) fn bench(self, counting: Counting) -> Self {
        let board = match counting {
            Counting::Instructions => Board::CountingBench,
            Counting::Time => Board::TimedBench,
        };
        Self {
            bench: Some(board),
            ..self.boot(Boot::Direct)
        }
    }

    /// Boots it without showing anything.
    pub fn capture(&self) -> Result<Outcome, Error> {
        self.run(&mut io::sink(), Input::Nothing)
    }

    /// Boots it and shows what the guest says while it says it.
    pub(crate) fn run(&self, out: &mut dyn Write, input: Input) -> Result<Outcome, Error> {
        self.check_memory()?;
        let folder = tempfile::tempdir().map_err(Error::io("make a temporary folder"))?;
        let is_watched = input == Input::Standard && self.boot != Boot::Direct;
        let step = is_watched.then(|| Progress::start("making the ISO"));
        let command = self.command(&folder)?;
        drop(step);
        let start = Instant::now();
        let guest = Guest::start(command, input)?;
        let mut voice = Voice::new(self);
        voice.loading = is_watched.then(|| Progress::start("booting"));
        let ended = voice.follow(&guest, self.timeout.map(|timeout| start + timeout), out)?;
        let verdict = match ended {
            Some(verdict) => verdict,
            None => voice.verdict(guest)?,
        };
        Ok(Outcome {
            verdict,
            text: voice.transcript.into_text(),
            wall: start.elapsed(),
        })
    }

    /// Starts it with some more arguments for QEMU, and leaves listening to the caller. `folder` is to live as long as the guest.
    pub(crate) fn start(&self, folder: &TempDir, arguments: &[OsString]) -> Result<Guest, Error> {
        self.check_memory()?;
        let mut command = self.command(folder)?;
        command.args(arguments);
        Guest::start(command, Input::Nothing)
    }

    /// Writes the ISO that this machine would boot from, for machines of another make.
    pub fn write_disc(&self, path: &Path) -> Result<(), Error> {
        iso::write(path, self.image.elf(), &self.words, &self.modules)
    }

    /// Refuses a machine into which image and modules cannot fit; what the guest itself needs, it says itself.
    fn check_memory(&self) -> Result<(), Error> {
        let modules = module::total_len(&self.modules);
        let placed = self.image.physical_end() + modules;
        let needed = match self.boot {
            Boot::Direct | Boot::Bios => placed + (1 << 20),
            Boot::Uefi => (placed + (48 << 20)).max(64 << 20),
        };
        let needed = Size::from_bytes(needed.next_multiple_of(1 << 20));
        if needed <= self.memory {
            return Ok(());
        }
        Err(Error::MemoryTooSmall {
            memory: self.memory,
            needed,
            modules: Size::from_bytes(modules),
        })
    }

    fn command(&self, folder: &TempDir) -> Result<Command, Error> {
        let mut command = qemu::machine(self.board(), self.memory);
        command.args(match self.boot {
            Boot::Direct => self.direct(folder.path())?,
            Boot::Bios | Boot::Uefi => {
                let disc = folder.path().join("image.iso");
                self.write_disc(&disc)?;
                qemu::disc(&disc)
            }
        });
        if self.boot == Boot::Uefi {
            let missing = || Error::MissingTools("no OVMF firmware is installed".to_owned());
            command.args(Ovmf::find().ok_or_else(missing)?.arguments(folder.path())?);
        }
        command.args(self.debugger.map(qemu::debugger).unwrap_or_default());
        Ok(command)
    }

    fn board(&self) -> Board {
        let ordinary = || match accelerator::is_kvm(self.accelerator) {
            true => Board::Kvm(self.cpus),
            false => Board::Emulated(self.cpus),
        };
        self.bench.unwrap_or_else(ordinary)
    }

    fn direct(&self, folder: &Path) -> Result<Vec<OsString>, Error> {
        let line = words::joined(&self.words);
        if self.modules.is_empty() {
            return Ok(qemu::direct(self.image.elf(), &line, None));
        }
        let path = folder.join("modules.cpio");
        let file = File::create(&path).map_err(Error::io("write the archive of modules"))?;
        let mut out = BufWriter::new(file);
        archive::write(&mut out, &self.modules)
            .and_then(|()| out.flush())
            .map_err(Error::io("write the archive of modules"))?;
        Ok(qemu::direct(self.image.elf(), &line, Some(&path)))
    }
}

/// What the bench machine's time stamp counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counting {
    /// Executed instructions, the same in every run.
    Instructions,
    /// Cycles of the host.
    Time,
}

/// What a guest says, on its way to the reader.
struct Voice {
    gate: Gate,
    /// What the reader sees while the gate is closed.
    loading: Option<Progress>,
    annotator: Annotator<DebugInfo>,
    transcript: Transcript,
}

impl Voice {
    fn new(machine: &Machine) -> Self {
        let gate = if machine.boot == Boot::Direct {
            Gate::opened()
        } else {
            Gate::closed()
        };
        let info = DebugInfo::new(machine.image.debug_elf(), machine.image.root());
        Self {
            gate,
            loading: None,
            annotator: Annotator::new(info),
            transcript: Transcript::new(),
        }
    }

    /// Shows what the guest says until it ends; `Some` if it had to be stopped.
    fn follow(
        &mut self,
        guest: &Guest,
        deadline: Option<Instant>,
        out: &mut dyn Write,
    ) -> Result<Option<Verdict>, Error> {
        let stopped = loop {
            match guest.next(deadline) {
                Event::Text(bytes) => {
                    let plain = bytes.into_iter().filter(|byte| *byte != b'\r').collect();
                    let passed = self.gate.push(plain);
                    self.loading.take_if(|_| self.gate.is_open());
                    let shown = self.annotator.push(&passed);
                    self.show(&shown, out)?;
                }
                Event::End => break None,
                Event::Timeout => break Some(Verdict::Timeout),
                Event::Interrupted => break Some(Verdict::Interrupted),
            }
        };
        self.loading = None;
        let held = self.gate.finish();
        let mut rest = self.annotator.push(&held);
        rest.extend(self.annotator.finish());
        self.show(&rest, out)?;
        Ok(stopped)
    }

    fn show(&mut self, bytes: &[u8], out: &mut dyn Write) -> Result<(), Error> {
        self.transcript.add(bytes);
        out.write_all(bytes)
            .and_then(|()| out.flush())
            .map_err(|cause| match cause.kind() {
                io::ErrorKind::BrokenPipe => Error::OutputClosed,
                _ => Error::io("show the guest's output")(cause),
            })
    }

    /// Reads the verdict of a machine that ended by itself.
    fn verdict(&self, guest: Guest) -> Result<Verdict, Error> {
        let text = self.transcript.text();
        match verdict_of(guest, &text)? {
            Verdict::Stopped => match self.gate.failure(&text) {
                Some(cause) => Err(Error::NotLoaded(cause)),
                None => Ok(Verdict::Stopped),
            },
            verdict => Ok(verdict),
        }
    }
}

/// Reads the verdict of a guest that ended by itself, and that has said `text`.
pub(crate) fn verdict_of(guest: Guest, text: &str) -> Result<Verdict, Error> {
    let (status, complaints) = guest.finish()?;
    Verdict::from_status(status, text).ok_or_else(|| {
        let said = process::last_line(&complaints).unwrap_or("it did not say why");
        let prefix = format!("{}: ", qemu::QEMU);
        Error::Qemu(said.strip_prefix(&prefix).unwrap_or(said).to_owned())
    })
}
