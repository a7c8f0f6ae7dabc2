//! Time from the time stamp counter, whose rate is measured once, when somebody first asks for the time.
//!
//! The rate comes from the processor where it says it (CPUID 15h, SDM 2A), else from measurements of a third of a millisecond
//! against channel 0 of the 8254 timer, whose input is 1,193,182 Hz (Intel 8254 data sheet; the PC's fixed clock).

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
    ticks().saturating_sub(ENTRY_TICKS.load(Ordering::Relaxed))
}

/// Returns the nanoseconds since the image's first instruction.
pub(crate) fn nanoseconds() -> u64 {
    (u128::from(ticks_since_entry()) * 1_000_000_000 / u128::from(rate())) as u64
}

/// Returns how many ticks make a second.
pub(crate) fn rate() -> u64 {
    match RATE.load(Ordering::Relaxed) {
        0 => {
            let measured = || (0..MEASUREMENTS).filter_map(|_| measured()).min();
            let rate = announced()
                .or_else(measured)
                .or_else(nominal)
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

/// The frequency the processor is sold by (CPUID 16h, SDM 2A), which is that of the counter, or close to it.
fn nominal() -> Option<u64> {
    if __cpuid(0).eax < 0x16 {
        return None;
    }
    let megahertz = u64::from(__cpuid(0x16).eax & 0xffff);
    (megahertz > 0).then_some(megahertz * 1_000_000)
}

/// Counts ticks while channel 0 of the timer counts down, whose output the read-back command shows; no other port is needed.
fn measured() -> Option<u64> {
    const ONE_SHOT: u8 = 0b0011_0000; // channel 0, both bytes, mode 0: the output rises when the count is reached
    const READ_BACK_STATUS: u8 = 0b1110_0010;
    const OUTPUT: u8 = 1 << 7;
    let mut command = Port::<u8>::new(0x43);
    let mut channel = Port::<u8>::new(0x40);
    let mut has_risen = || {
        // SAFETY: asks channel 0 for its status, which only this module and `timer` use.
        unsafe { command.write(READ_BACK_STATUS) };
        // SAFETY: reads the status that was asked for.
        unsafe { channel.read() & OUTPUT != 0 }
    };
    start_one_shot(ONE_SHOT);
    let start = ticks();
    // Where there is no timer every port reads as ones, and the output seems high at once.
    if has_risen() {
        return None;
    }
    // More reads than any millisecond takes.
    let risen = (0..1_000_000).any(|_| has_risen());
    let elapsed = ticks() - start;
    risen.then(|| elapsed * TIMER_HZ / u64::from(MEASURED))
}

fn start_one_shot(mode: u8) {
    let mut channel = Port::<u8>::new(0x40);
    // SAFETY: channel 0 is not in use before the rate is known.
    unsafe { Port::<u8>::new(0x43).write(mode) };
    // SAFETY: low byte of the count.
    unsafe { channel.write(MEASURED as u8) };
    // SAFETY: high byte of the count, which starts it.
    unsafe { channel.write((MEASURED >> 8) as u8) };
}
