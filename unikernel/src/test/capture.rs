//! What a test prints, held back until it is known whether the test failed; and why it died.

use core::fmt::{self, Write};

use crate::sync::SpinLock;

/// Bytes kept of one test's output; what follows is cut.
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

    fn push(&mut self, bytes: &[u8]) {
        let fits = bytes.len().min(N - self.len);
        self.bytes[self.len..self.len + fits].copy_from_slice(&bytes[..fits]);
        self.len += fits;
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
        capture.output.push(bytes);
    }
    capture.on
}

/// Remembers why what runs now dies: the panic message, or the cause of the exception.
pub(crate) fn note_cause(cause: fmt::Arguments<'_>) {
    if let Some(mut capture) = CAPTURED.try_lock() {
        capture.cause.len = 0;
        // A cause that is too long is cut; the whole of it is in the report.
        let _cut = capture.cause.write_fmt(cause);
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
