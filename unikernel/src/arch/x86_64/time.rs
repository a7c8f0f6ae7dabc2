//! Time from the time stamp counter, whose rate is measured once, when somebody first asks for the time.
//!
//! The rate comes from the processor where it says it (CPUID 15h, SDM 2A), else from measurements of a third of a millisecond
//! against channel 2 of the 8254 timer, whose input is 1,193,182 Hz (Intel 8254 data sheet; the PC's fixed clock).

use core::arch::x86_64::{__cpuid, _rdtsc};
use core::sync::atomic::{AtomicU64, Ordering};

use x86_64::instructions::port::Port;

/// The counter at the first instruction of the image, written by the entry code.
pub(super) static ENTRY_TICKS: AtomicU64 = AtomicU64::new(0);

/// Ticks a second, 0 until measured. Two CPUs that measure at once store about the same.
static RATE: AtomicU64 = AtomicU64::new(0);

const TIMER_HZ: u64 = 1_193_182;
/// About a third of a millisecond.
const MEASURED: u16 = 398;
/// Measurements taken. Whatever interrupts one makes it longer, so the shortest is the best.
const MEASUREMENTS: usize = 3;
/// What is assumed where there is nothing to measure against.
const UNKNOWN_RATE: u64 = 1_000_000_000;

/// Returns the time stamp counter.
pub(crate) fn ticks() -> u64 {
    // SAFETY: every x86-64 CPU has the instruction, and ring 0 may always use it.
    unsafe { _rdtsc() }
}

/// Returns the ticks since the image's first instruction.
pub(crate) fn ticks_since_entry() -> u64 {
    ticks() - ENTRY_TICKS.load(Ordering::Relaxed)
}

/// Returns the nanoseconds since the image's first instruction.
pub(crate) fn nanoseconds() -> u64 {
    (u128::from(ticks_since_entry()) * 1_000_000_000 / u128::from(rate())) as u64
}

/// Returns how many ticks make a second.
pub(crate) fn rate() -> u64 {
    match RATE.load(Ordering::Relaxed) {
        0 => {
            let rate = announced()
                .or_else(|| (0..MEASUREMENTS).filter_map(|_| measured()).min())
                .unwrap_or(UNKNOWN_RATE);
            RATE.store(rate, Ordering::Relaxed);
            rate
        }
        rate => rate,
    }
}

fn announced() -> Option<u64> {
    if __cpuid(0).eax < 0x15 {
        return None;
    }
    let leaf = __cpuid(0x15);
    let known = leaf.eax != 0 && leaf.ebx != 0 && leaf.ecx != 0;
    known.then(|| u64::from(leaf.ecx) * u64::from(leaf.ebx) / u64::from(leaf.eax))
}

fn measured() -> Option<u64> {
    let mut gate = Port::<u8>::new(0x61);
    let mut command = Port::<u8>::new(0x43);
    let mut channel = Port::<u8>::new(0x42);
    // SAFETY: the PC's system control port: its bit 0 gates channel 2, bit 1 its speaker, bit 5 shows the channel's output.
    let before = unsafe { gate.read() };
    // SAFETY: channel 2 belongs to nobody else.
    unsafe { gate.write(before & !0b11 | 0b01) };
    // SAFETY: channel 2, both bytes, mode 0: output rises when the count is reached.
    unsafe { command.write(0b1011_0000) };
    // SAFETY: low byte of the count.
    unsafe { channel.write(MEASURED as u8) };
    // SAFETY: high byte of the count, which starts it.
    unsafe { channel.write((MEASURED >> 8) as u8) };
    let start = ticks();
    // A machine without the timer never raises the output: give up after more reads than any millisecond takes.
    // SAFETY: reading the port changes nothing.
    let risen = (0..1_000_000).any(|_| unsafe { gate.read() } & 0x20 != 0);
    let elapsed = ticks() - start;
    // SAFETY: as it was.
    unsafe { gate.write(before) };
    risen.then(|| elapsed * TIMER_HZ / u64::from(MEASURED))
}
