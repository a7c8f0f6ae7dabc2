//! What a test prints, held back until it is known whether the test failed; and why it died.

use core::fmt::{self, Write};

use crate::arch::machine::console::write_unlocked;
use crate::sync::SpinLock;

/// Bytes kept of one test's output; of longer output the end is kept.
const KEPT: usize = 32 << 10;
/// Bytes kept of the cause of a death.
const CAUSE: usize = 512;

/// Text in a fixed buffer, cut at its end.
pub(crate) struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    const fn new() -> Self {
        Self {
            bytes: [0; N],
            len: 0,
        }
    }

    /// Adds bytes, as many as fit.
    fn push(&mut self, bytes: &[u8]) {
        let fits = bytes.len().min(N - self.len);
        self.bytes[self.len..self.len + fits].copy_from_slice(&bytes[..fits]);
        self.len += fits;
    }

    /// Adds bytes, at the cost of the oldest half where they do not fit: how a test died stands at the end.
    fn push_dropping_oldest(&mut self, bytes: &[u8]) {
        if bytes.len() > N - self.len {
            self.bytes.copy_within(self.len - N / 2..self.len, 0);
            self.len = N / 2;
        }
        self.push(bytes);
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl<const N: usize> Write for Text<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

struct Capture {
    on: bool,
    output: Text<KEPT>,
    cause: Text<CAUSE>,
}

static CAPTURED: SpinLock<Capture> = SpinLock::new(Capture {
    on: false,
    output: Text::new(),
    cause: Text::new(),
});

/// Takes bytes that would go to the serial line, if a test is being captured.
pub(crate) fn take(bytes: &[u8]) -> bool {
    let Some(mut capture) = CAPTURED.try_lock() else {
        return false;
    };
    if capture.on {
        capture.output.push_dropping_oldest(bytes);
    }
    capture.on
}

/// Remembers why what runs now dies: the panic message, or the cause of the exception.
pub(crate) fn note_cause(cause: fmt::Arguments<'_>) {
    // Formatting runs code of the application, so not under the lock. A cause that is too long is cut; all of it is in the report.
    let mut text = Text::<CAUSE>::new();
    let _cut = text.write_fmt(cause);
    if let Some(mut capture) = CAPTURED.try_lock() {
        capture.cause = text;
    }
}

/// Lets output through again and writes what was kept: the machine ends, and nobody else will.
pub(crate) fn release() {
    if let Some(mut capture) = CAPTURED.try_lock() {
        if capture.on {
            write_unlocked(capture.output.as_bytes());
        }
        capture.on = false;
    }
}

/// Forgets the last test; from here on its output is kept if `on`.
#[cfg(unikernel_test)]
pub(crate) fn start(on: bool) {
    let mut capture = CAPTURED.lock();
    capture.on = on;
    capture.output.len = 0;
    capture.cause.len = 0;
}

/// Lets output through again, and hands what was kept and the noted cause to `look`.
#[cfg(unikernel_test)]
pub(crate) fn finish<T>(look: impl FnOnce(&[u8], &str) -> T) -> T {
    let mut capture = CAPTURED.lock();
    capture.on = false;
    // A cut may fall into the middle of a character.
    let cause = capture.cause.as_bytes();
    let valid = core::str::from_utf8(cause).map_or_else(|cut| cut.valid_up_to(), str::len);
    look(
        capture.output.as_bytes(),
        core::str::from_utf8(&cause[..valid]).unwrap_or_default(),
    )
}
