//! The serial line: COM1, 115200 baud, 8 bits, no parity.

use uart_16550::backend::PioBackend;
use uart_16550::{BaudRate, Config, Uart16550};
use x86_64::instructions::port::Port;

use crate::sync::SpinLock;

const COM1: u16 = 0x3f8;

static UART: SpinLock<Option<Uart16550<PioBackend>>> = SpinLock::new(None);

/// Finds and programs the serial line. A machine without one runs silently.
pub(crate) fn init() {
    // SAFETY: COM1's ports, which nothing else in the image uses but `write_unlocked`.
    let Ok(mut uart) = (unsafe { Uart16550::new_port(COM1) }) else {
        return;
    };
    let config = Config {
        baud_rate: BaudRate::Baud115200,
        ..Config::default()
    };
    if uart.check_present() && uart.init(config).is_ok() {
        *UART.lock() = Some(uart);
    }
}

/// Writes bytes, whole and in order among those of others.
pub(crate) fn write(bytes: &[u8]) {
    if let Some(uart) = UART.lock().as_mut() {
        uart.send_bytes_exact(bytes);
    }
}

/// Writes bytes without taking a lock: for reports, whoever holds it. They may fall into the middle of a line.
pub(crate) fn write_unlocked(bytes: &[u8]) {
    let mut data = Port::<u8>::new(COM1);
    let mut line_status = Port::<u8>::new(COM1 + 5);
    for &byte in bytes {
        // The line is given long enough for a slow receiver, not for ever: a report must come to its end.
        // SAFETY: reading the line status register clears nothing that matters to a sender.
        let _ready = (0..100_000).any(|_| unsafe { line_status.read() } & 0x20 != 0);
        // SAFETY: the transmit register; an overrun loses a character, nothing else.
        unsafe { data.write(byte) };
    }
}
