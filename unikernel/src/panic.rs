//! The end of something: panics and faults become reports, and then a dead test or a stopped machine.
//!
//! A report goes to the serial line whole, past every lock, because whoever failed may hold it. Function names come from the
//! image itself; the tool adds file and line as the text streams by.

use core::fmt;
use core::panic::PanicInfo;
use core::sync::atomic::Ordering;

use crate::arch::End;
use crate::arch::machine::address::IMAGE_BASE;
use crate::arch::machine::backtrace::Callers;
use crate::arch::machine::{context, cpu, exit, image};
use crate::console::report as write;
use crate::exit::ExitCode;
use crate::symbols::Symbols;
use crate::test::capture;

/// Lines of a backtrace that are printed; mutual recursion would fill screens.
const MOST_LINES: usize = 64;

/// Reports a panic and ends what panicked: the running test, else the machine.
pub(crate) fn report(info: &PanicInfo<'_>) -> ! {
    let cpu = cpu::current();
    if cpu.panics.fetch_add(1, Ordering::Relaxed) > 0 {
        write(format_args!("\npanicked again while reporting a panic\n"));
        context::abandon(End::Panicked);
        exit::exit(ExitCode::PANIC.to_u8());
    }
    capture::note_cause(format_args!("{}", info.message()));
    match info.location() {
        Some(place) => write(format_args!(
            "\npanicked at {}:{}:{}:\n{}\n",
            short(place.file()),
            place.line(),
            place.column(),
            info.message()
        )),
        None => write(format_args!("\npanicked:\n{}\n", info.message())),
    }
    print_backtrace(None, Callers::here());
    context::abandon(End::Panicked);
    exit::exit(ExitCode::PANIC.to_u8())
}

/// Returns the path of a source file without the folder in which the standard library was compiled, as the tool shows it as well:
/// `library/alloc/src/alloc.rs`.
fn short(file: &str) -> &str {
    file.strip_prefix("/rustc/")
        .and_then(|rest| rest.split_once('/'))
        .map_or(file, |(_commit, rest)| rest)
}

/// Prints the calls that led here, innermost first: `first` is an instruction itself, `callers` are return addresses.
pub(crate) fn print_backtrace(first: Option<usize>, callers: impl Iterator<Item = usize>) {
    write(format_args!("backtrace:\n"));
    // A return address may already belong to the next function; one less lies inside the call.
    let mut calls = first
        .into_iter()
        .chain(callers.map(|address| address - 1))
        .enumerate()
        .peekable();
    let mut lines = 0;
    while let Some((index, address)) = calls.next() {
        write(format_args!(
            "  #{index} {address:#x} {}\n",
            Function(address)
        ));
        let mut repeated = 0;
        while calls.next_if(|&(_, next)| next == address).is_some() {
            repeated += 1;
        }
        if repeated > 0 {
            write(format_args!(
                "      (and {repeated} more calls from there)\n"
            ));
        }
        lines += 1;
        if lines == MOST_LINES && calls.peek().is_some() {
            write(format_args!("      (and {} more)\n", calls.count()));
            return;
        }
    }
}

/// The function an address lies in, with the offset from its start.
pub(crate) struct Function(pub(crate) usize);

impl fmt::Display for Function {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Symbols::new(image::symbol_table(), IMAGE_BASE).find(self.0) {
            Some(symbol) => write!(out, "{} + {:#x}", symbol.name, symbol.offset),
            None => out.write_str("(no name)"),
        }
    }
}
