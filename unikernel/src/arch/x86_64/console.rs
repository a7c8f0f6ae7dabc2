//! The serial line: COM1, 115200 baud, 8 bits, no parity.
//!
//! A line that takes no more bytes is waited for once; what it does not take then is lost, so that nobody holds the lock for ever
//! and a report comes to its end.

use core::sync::atomic::{AtomicBool, Ordering};

use uart_16550::backend::PioBackend;
use uart_16550::{BaudRate, Config, Uart16550};
use x86_64::instructions::port::Port;

use super::patience::Patience;
use crate::sync::SpinLock;

/// Where the serial line is, by the custom of the PC.
pub(super) const COM1: u16 = 0x3f8;
/// The line status register, from COM1 on.
pub(super) const LINE_STATUS: u16 = 5;
/// Line status: the next byte can be written.
pub(super) const READY: u8 = 1 << 5;
/// Line status: the last byte has left.
const DRAINED: u8 = 1 << 6;
/// Looks at the line status, each about a microsecond: a tenth of a second, in which the slowest line sends a byte.
pub(super) const MOST_LOOKS: u32 = 100_000;

static UART: SpinLock<Option<Uart16550<PioBackend>>> = SpinLock::new(None);

/// Whether there is a serial line, for those who do not take the lock. `Relaxed`: set once during boot, on the CPU that boots.
static IS_PRESENT: AtomicBool = AtomicBool::new(false);

static PATIENCE: Patience = Patience::new(MOST_LOOKS);

/// Finds and programs the serial line. A machine without one runs silently.
pub(crate) fn init() {
    // SAFETY: COM1's ports, which nothing else in the image uses but the functions below.
    let Ok(mut uart) = (unsafe { Uart16550::new_port(COM1) }) else {
        return;
    };
    let config = Config {
        baud_rate: BaudRate::Baud115200,
        ..Config::default()
    };
    if uart.check_present() && uart.init(config).is_ok() {
        *UART.lock() = Some(uart);
        IS_PRESENT.store(true, Ordering::Relaxed);
    }
}

/// Writes bytes, whole and in order among those of others.
pub(crate) fn write(bytes: &[u8]) {
    let mut uart = UART.lock();
    let Some(uart) = uart.as_mut() else {
        return;
    };
    let mut rest = bytes;
    while !rest.is_empty() && PATIENCE.wait(|| uart.ready_to_send().is_ok()) {
        rest = &rest[uart.send_bytes(rest)..];
    }
}

/// Writes bytes without taking a lock: for reports, whoever holds it. They may fall into the middle of a line.
pub(crate) fn write_unlocked(bytes: &[u8]) {
    if !IS_PRESENT.load(Ordering::Relaxed) {
        return;
    }
    let mut data = Port::<u8>::new(COM1);
    for &byte in bytes {
        if !PATIENCE.wait(|| line_status() & READY != 0) {
            return;
        }
        // SAFETY: the transmit register; an overrun loses a character, nothing else.
        unsafe { data.write(byte) };
    }
}

/// Waits until the last byte has left, as far as it ever does: before the machine ends.
pub(super) fn drain() {
    if IS_PRESENT.load(Ordering::Relaxed) {
        PATIENCE.wait(|| line_status() & DRAINED != 0);
    }
}

fn line_status() -> u8 {
    // SAFETY: reading the line status register clears nothing that matters to a sender.
    unsafe { Port::new(COM1 + LINE_STATUS).read() }
}
