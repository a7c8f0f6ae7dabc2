//! A periodic interrupt, for the time limits of in-kernel tests: channel 0 of the 8254 timer through the 8259 controllers.

use core::sync::atomic::{AtomicU32, Ordering};

use x86_64::instructions::port::Port;

/// The vector of the timer; the controllers' 16 lines follow each other from here.
pub(super) const TIMER_VECTOR: u64 = 32;

/// Interrupts a second.
const HZ: u32 = 100;
const DIVISOR: u16 = (1_193_182 / HZ) as u16;

/// Ticks until the running test has had its time; 0 when nothing is timed.
static TICKS_LEFT: AtomicU32 = AtomicU32::new(0);

/// Starts the timer's interrupts. They arrive wherever interrupts are on.
pub(crate) fn start() {
    // Measuring the clock uses the same channel, so it comes first.
    let _known_from_here_on = super::time::rate();
    let mut command = [Port::<u8>::new(0x20), Port::new(0xa0)];
    let mut data = [Port::<u8>::new(0x21), Port::new(0xa1)];
    let wiring = [1 << 2, 2];
    for index in 0..2 {
        // ICW1 to ICW4 (Intel 8259A data sheet): cascaded, vectors from 32 and 40, wired at line 2, 8086 mode.
        let vector = TIMER_VECTOR as u8 + 8 * index as u8;
        out(&mut command[index], 0x11);
        out(&mut data[index], vector);
        out(&mut data[index], wiring[index]);
        out(&mut data[index], 0x01);
    }
    out(&mut data[0], !0b1); // only line 0
    out(&mut data[1], !0);
    out(&mut Port::new(0x43), 0b0011_0100); // channel 0, both bytes, rate generator
    out(&mut Port::new(0x40), DIVISOR as u8);
    out(&mut Port::new(0x40), (DIVISOR >> 8) as u8);
}

fn out(port: &mut Port<u8>, value: u8) {
    // SAFETY: the interrupt controllers and channel 0 of the timer, which only this module programs.
    unsafe { port.write(value) }
}

/// Gives what runs next so many milliseconds, or takes the limit away. Rounded up to 10 ms.
pub(crate) fn limit(milliseconds: Option<u32>) {
    let ticks = milliseconds.map_or(0, |limit| limit.div_ceil(1000 / HZ).saturating_add(1));
    TICKS_LEFT.store(ticks, Ordering::Relaxed);
}

/// Lets the timer interrupt what follows.
pub(crate) fn allow() {
    x86_64::instructions::interrupts::enable();
}

/// Keeps the timer out again.
pub(crate) fn forbid() {
    x86_64::instructions::interrupts::disable();
}

/// Counts one interrupt; says whether the limit has been reached by it.
pub(super) fn tick() -> bool {
    out(&mut Port::new(0x20), 0x20); // end of interrupt
    let left = TICKS_LEFT.load(Ordering::Relaxed);
    TICKS_LEFT.store(left.saturating_sub(1), Ordering::Relaxed);
    left == 1
}
