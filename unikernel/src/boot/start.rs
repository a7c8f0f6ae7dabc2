//! The boot sequence, as one list of steps.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use spin::Once;

use super::command_line::CommandLine;
use super::{BootError, BootInfo, Part, PhysicalRange, PixelFormat, acpi};
use crate::arch::machine::address::PAGE;
use crate::arch::machine::handed_over::{self, ModulesError, map_modules};
use crate::arch::machine::identity::IdentityMap;
use crate::arch::machine::{self, console as serial, cpu, exit, image, memory_types, tables};
use crate::console::{self, report};
use crate::environment::Module;
use crate::exit::ExitCode;
use crate::logger;
use crate::memory::FRAMES;
use crate::memory::frame::EarlyFrames;
use crate::memory::kernel;

/// What the application was started with; lives as long as the image.
pub(crate) struct StartedWith {
    /// The words of the command line that are the application's.
    pub(crate) arguments: Vec<String>,
    /// The files the loader placed in memory, mapped read-only.
    pub(crate) modules: Vec<Module>,
}

static STARTED_WITH: Once<StartedWith> = Once::new();

/// Why the image cannot run on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Refusal {
    Loader(BootError),
    OutOfMemory { what: &'static str, usable: u64 },
}

/// Takes over from the entry code, runs the program, and ends the machine with its result.
pub(crate) extern "C" fn boot(magic: u32, information: u32) -> ! {
    cpu::init_boot_cpu();
    serial::init();
    machine::init_cpu();
    match prepare(magic, u64::from(information)) {
        Ok(command_line) => run(&command_line).exit_machine(),
        Err(refusal) => {
            report(format_args!("unikernel: cannot boot: {refusal}\n"));
            ExitCode::NO_BOOT.exit_machine()
        }
    }
}

/// Reads what the loader says, gives the image its own tables, and leaves the loader's map of memory behind.
fn prepare(magic: u32, information: u64) -> Result<CommandLine, Refusal> {
    let memory = IdentityMap::take();
    let info = BootInfo::from_loader(magic, information, &memory).map_err(Refusal::Loader)?;
    let mut command_line = CommandLine::parse(info.command_line()).map_err(Refusal::Loader)?;
    logger::init(command_line.options().log_level());
    remember_power_off(&info, &memory);

    let mut frames = EarlyFrames::new(info.usable_frames().map(bytes), &reserved(&info)?);
    let usable = frames.free_frames() * PAGE as u64;
    let out_of_frames = |what| Refusal::OutOfMemory { what, usable };
    tables::map_image(&mut frames)
        .map_err(|tables::OutOfFrames| out_of_frames("the image's page tables"))?;
    tables::prepare_kernel_half(&mut frames)
        .map_err(|tables::OutOfFrames| out_of_frames("the kernel's page tables"))?;
    let modules = map_modules(&info, &mut frames).map_err(|error| match error {
        ModulesError::OutOfFrames => out_of_frames("the modules' page tables"),
        ModulesError::Boot(error) => Refusal::Loader(error),
    })?;
    tables::leave_identity_map(memory);
    cpu::enable_defences();
    FRAMES.take_over(frames);
    kernel::create_space().map_err(|_| out_of_frames("the kernel's regions"))?;

    STARTED_WITH.call_once(|| StartedWith {
        arguments: command_line.take_arguments(),
        modules,
    });
    show_on_screen(&info);
    describe(&info, &command_line, usable);
    #[cfg(any(unikernel_map, unikernel_test))]
    if command_line.options().map() {
        crate::memory::show::answer::get_ready();
    }
    Ok(command_line)
}

#[cfg(unikernel_test)]
fn run(command_line: &CommandLine) -> ExitCode {
    crate::test::bench::reached_main();
    crate::test::runner::main(command_line.options())
}

#[cfg(not(unikernel_test))]
fn run(_command_line: &CommandLine) -> ExitCode {
    machine::call_main()
}

fn bytes(range: PhysicalRange) -> Range<u64> {
    range.start()..range.end()
}

/// What no frame may be taken from: the image, and what the loader left, which modules live in for good.
fn reserved(info: &BootInfo) -> Result<Vec<Range<u64>>, Refusal> {
    let mut reserved = Vec::new();
    reserved
        .try_reserve_exact(1 + info.occupied().len())
        .map_err(|_| Refusal::Loader(BootError::OutOfMemory(Part::ModuleList)))?;
    reserved.push(image::physical());
    reserved.extend(info.occupied().iter().copied().map(bytes));
    Ok(reserved)
}

fn remember_power_off(info: &BootInfo, memory: &IdentityMap) {
    if let Some(register) = info.acpi().and_then(|root| acpi::power_off(root, memory)) {
        exit::set_power_off(register);
    }
}

/// Mirrors the console on the framebuffer, if the loader set one up that can be drawn on. Without it the machine runs as well.
fn show_on_screen(info: &BootInfo) {
    let Some(framebuffer) = info
        .framebuffer()
        .filter(|framebuffer| framebuffer.format != PixelFormat::Text)
    else {
        return;
    };
    match handed_over::map_framebuffer(&framebuffer) {
        Ok(pixels) => console::mirror(&framebuffer, pixels),
        Err(error) => log::warn!(
            "the framebuffer at {:#x} is not shown: {error}",
            framebuffer.address
        ),
    }
}

/// Logs what the machine is, and warns of what the command line asked for in vain.
fn describe(info: &BootInfo, command_line: &CommandLine, usable: u64) {
    let [text, .., symbols] = image::sections();
    log::info!(
        "loader '{}', command line '{}'",
        info.loader(),
        info.command_line()
    );
    log::info!(
        "image {:#x}..{:#x}, {} KiB free of {} KiB",
        text.range.start,
        symbols.range.end,
        usable >> 10,
        (FRAMES.totals().total() * PAGE as u64) >> 10
    );
    if let Some(framebuffer) = info.framebuffer() {
        let (width, height, bits) = (
            framebuffer.width,
            framebuffer.height,
            framebuffer.bits_per_pixel,
        );
        log::info!(
            "framebuffer at {:#x}, {width} x {height}, {bits} bits each",
            framebuffer.address
        );
    }
    for range in info.memory() {
        log::debug!("memory {range}");
    }
    if let Some(pat) = memory_types::pat() {
        log::debug!("page attribute table {pat:#018x}, {}", FRAMES.totals());
    }
    if log::log_enabled!(log::Level::Debug)
        && let Some(ranges) = memory_types::range_types()
    {
        log::debug!("memory type ranges: {ranges}");
    }
    for error in command_line.option_errors() {
        log::warn!("{error}");
    }
}

/// Returns the boot modules, as far as boot has come.
pub(crate) fn modules() -> &'static [Module] {
    STARTED_WITH.get().map_or(&[], |started| &started.modules)
}

/// Returns what the application was started with.
pub(crate) fn started_with() -> &'static StartedWith {
    STARTED_WITH
        .get()
        .expect("S1: boot fills this in before anything asks")
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loader(error) => error.fmt(out),
            Self::OutOfMemory { what, usable } => write!(
                out,
                "{} KiB of usable memory do not hold {what}",
                usable >> 10
            ),
        }
    }
}
