//! From a saved register frame to safe code: who an exception belongs to, and what becomes of the code that caused it.

use core::sync::atomic::Ordering;

use x86_64::registers::control::Cr2;

use super::backtrace::Callers;
use super::places::place_of;
use super::{context, cpu, exit, image, nesting, timer};
use crate::arch::End;
use crate::console::report as write;
use crate::exit::ExitCode;
use crate::memory;
use crate::memory::fault::{Ring, Violation};
use crate::memory::page::Access;
use crate::panic::{Function, print_backtrace};
use crate::test::capture;
use crate::trap::{Exception, Place, PlaceKind, Registers};

/// What the entry stubs save, from the lowest address up. Changing it changes the code that is returned to.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Frame {
    pub(super) vectors: [[u64; 2]; 16],
    /// MXCSR as it was, and room for the one that handlers start with.
    pub(super) control: [u32; 4],
    pub(crate) r15: u64,
    pub(crate) r14: u64,
    pub(crate) r13: u64,
    pub(crate) r12: u64,
    pub(crate) r11: u64,
    pub(crate) r10: u64,
    pub(crate) r9: u64,
    pub(crate) r8: u64,
    pub(crate) rbp: u64,
    pub(crate) rdi: u64,
    pub(crate) rsi: u64,
    pub(crate) rdx: u64,
    pub(crate) rcx: u64,
    pub(crate) rbx: u64,
    pub(crate) rax: u64,
    pub(crate) vector: u64,
    pub(crate) error: u64,
    pub(crate) rip: u64,
    pub(crate) cs: u64,
    pub(crate) rflags: u64,
    pub(crate) rsp: u64,
    pub(crate) ss: u64,
}

/// Sees an exception before it is a failure; says whether it has been dealt with, so that the interrupted code goes on.
pub(crate) type Hook = fn(&mut Frame) -> bool;

#[cfg(any(unikernel_map, unikernel_test))]
const NMI: u64 = 2;
const PAGE_FAULT: u64 = 14;
const FIRST_OTHER_INTERRUPT: u64 = timer::TIMER_VECTOR + 1;
const LAST_CONTROLLER_INTERRUPT: u64 = timer::TIMER_VECTOR + 15;

/// Every vector ends here, on its interrupt stack, with interrupts off.
pub(super) extern "C" fn unikernel_trap(frame: &mut Frame) {
    match frame.vector {
        timer::TIMER_VECTOR => tick(frame),
        // The controllers send these when a line drops before it is acknowledged (Intel 8259A data sheet, "spurious").
        FIRST_OTHER_INTERRUPT..=LAST_CONTROLLER_INTERRUPT => {}
        _ => exception(frame),
    }
}

fn tick(frame: &mut Frame) {
    if !timer::tick() || !context::can_abandon() {
        return;
    }
    let place = frame.rip as usize;
    write(format_args!(
        "\ntook too long, at {place:#x} {}\n",
        Function(place)
    ));
    print_backtrace(Some(place), Callers::of_interrupted(frame));
    context::abandon_interrupted(frame, End::TimedOut);
}

fn exception(frame: &mut Frame) {
    #[cfg(any(unikernel_map, unikernel_test))]
    if frame.vector == NMI && memory::show::answer::answer() {
        return;
    }
    let cpu = cpu::current();
    if cpu.hook().is_some_and(|hook| hook(frame)) {
        return;
    }
    // Read once: a fault within this one has an address of its own.
    let address = Cr2::read_raw();
    let Err(refusal) = repair(frame, address) else {
        return;
    };
    if cpu.trap_depth.fetch_add(1, Ordering::Relaxed) > 1 {
        write(format_args!(
            "\nfaulted again while reporting a fault, at {:#x}\n",
            frame.rip
        ));
        exit::exit(ExitCode::FAULT.to_u8());
    }
    report(frame, address, refusal);
    if !context::abandon_interrupted(frame, End::Faulted) {
        exit::exit(ExitCode::FAULT.to_u8());
    }
    cpu.trap_depth.store(0, Ordering::Relaxed);
}

/// Asks memory management to repair a page fault; otherwise says why it does not, if it knows. Code that holds a lock touches no
/// page that could need it, so a fault there is a mistake, and nobody is asked: what the lock protects may be half changed.
fn repair(frame: &Frame, address: u64) -> Result<(), Option<Violation>> {
    let is_atomic = cpu::current().locks_held.load(Ordering::Relaxed) != 0;
    if frame.vector != PAGE_FAULT || is_atomic {
        return Err(None);
    }
    if !nesting::has_room() {
        return Err(Some(Violation::NoProgress));
    }
    let (access, by) = page_fault_of(frame.error);
    memory::repair(address, access, by).map_err(Some)
}

/// Returns how memory was accessed, and by whom: SDM volume 3A, section 4.7.
const fn page_fault_of(error: u64) -> (Access, Ring) {
    const WRITE: u64 = 1 << 1;
    const USER: u64 = 1 << 2;
    const FETCH: u64 = 1 << 4;
    // A processor never sets both; if it did, fetching is the rarer thing to ask.
    let access = match (error & FETCH != 0, error & WRITE != 0) {
        (true, _) => Access::Execute,
        (_, true) => Access::Write,
        _ => Access::Read,
    };
    let by = if error & USER == 0 {
        Ring::Kernel
    } else {
        Ring::User
    };
    (access, by)
}

fn report(frame: &Frame, address: u64, refusal: Option<Violation>) {
    let exception = Exception {
        vector: frame.vector as u8,
        error: frame.error,
        address,
        refusal,
        registers: frame.registers(),
        instruction: image::code_at(frame.rip as usize),
    };
    let region = memory::region_name(address);
    let in_region = region.as_ref().map(|name| Place {
        name: name.as_str(),
        kind: PlaceKind::Used,
    });
    let cause = exception.cause(|address| place_of(address).or(in_region));
    capture::note_cause(format_args!("{cause}"));
    write(format_args!("\nfault: {cause}\n"));
    // Most exceptions have nothing but a name; of these it says all.
    if frame.vector == PAGE_FAULT || frame.error != 0 {
        write(format_args!("  {exception}\n"));
    }
    print_registers(frame);
    print_backtrace(Some(frame.rip as usize), Callers::of_interrupted(frame));
}

fn print_registers(frame: &Frame) {
    let rows = [
        [
            ("rax", frame.rax),
            ("rbx", frame.rbx),
            ("rcx", frame.rcx),
            ("rdx", frame.rdx),
        ],
        [
            ("rsi", frame.rsi),
            ("rdi", frame.rdi),
            ("rbp", frame.rbp),
            ("rsp", frame.rsp),
        ],
        [
            ("r8", frame.r8),
            ("r9", frame.r9),
            ("r10", frame.r10),
            ("r11", frame.r11),
        ],
        [
            ("r12", frame.r12),
            ("r13", frame.r13),
            ("r14", frame.r14),
            ("r15", frame.r15),
        ],
        [
            ("rip", frame.rip),
            ("rflags", frame.rflags),
            ("cs", frame.cs),
            ("ss", frame.ss),
        ],
    ];
    for row in rows {
        for (name, value) in row {
            write(format_args!("  {name:>6} {value:016x}"));
        }
        write(format_args!("\n"));
    }
}

impl Frame {
    fn registers(&self) -> Registers {
        Registers {
            rax: self.rax,
            rbx: self.rbx,
            rcx: self.rcx,
            rdx: self.rdx,
            rsi: self.rsi,
            rdi: self.rdi,
            rbp: self.rbp,
            rsp: self.rsp,
            r8: self.r8,
            r9: self.r9,
            r10: self.r10,
            r11: self.r11,
            r12: self.r12,
            r13: self.r13,
            r14: self.r14,
            r15: self.r15,
            rip: self.rip,
            rflags: self.rflags,
            cs: self.cs,
            ss: self.ss,
        }
    }
}
