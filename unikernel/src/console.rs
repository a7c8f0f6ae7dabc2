//! Text to the serial line: `print!` and `println!` for applications, reports for whoever fails.
//!
//! Text is formatted into a small buffer first and written under the lock in pieces of at most one line, so that lines do not
//! mix, and formatting code of an application never runs under a lock.

#[cfg(any(unikernel, test))]
mod screen;

use core::fmt::{self, Write};

#[cfg(unikernel)]
use crate::sync::SpinLock;

/// Longest piece of text written at once; longer lines may be interleaved with others'.
const PIECE: usize = 256;

/// Collects text and hands it on in pieces, with a carriage return before each line feed.
struct Pieces<Sink: FnMut(&[u8])> {
    buffer: [u8; PIECE],
    len: usize,
    sink: Sink,
}

impl<Sink: FnMut(&[u8])> Pieces<Sink> {
    fn new(sink: Sink) -> Self {
        Self {
            buffer: [0; PIECE],
            len: 0,
            sink,
        }
    }

    fn push(&mut self, byte: u8) {
        if self.len == PIECE {
            self.flush();
        }
        self.buffer[self.len] = byte;
        self.len += 1;
    }

    fn flush(&mut self) {
        if self.len > 0 {
            (self.sink)(&self.buffer[..self.len]);
            self.len = 0;
        }
    }
}

impl<Sink: FnMut(&[u8])> Write for Pieces<Sink> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                self.push(b'\r');
            }
            self.push(byte);
            if byte == b'\n' {
                self.flush();
            }
        }
        Ok(())
    }
}

fn write_pieces(text: fmt::Arguments<'_>, sink: impl FnMut(&[u8])) {
    let mut pieces = Pieces::new(sink);
    // A failing `Display` cuts the text; what there is of it is still worth showing.
    let _cut = pieces.write_fmt(text);
    pieces.flush();
}

/// Prints text; what [`print!`](crate::print) expands to.
#[doc(hidden)]
pub fn print(text: fmt::Arguments<'_>) {
    write_pieces(text, output);
}

/// Prints text of a report. It takes no lock that the failed code could hold.
pub(crate) fn report(text: fmt::Arguments<'_>) {
    write_pieces(text, output_of_report);
}

/// Writes text for a program that listens on the serial line, past every lock: no screen shows it, and no test captures it.
#[cfg(any(unikernel_map, unikernel_test))]
pub(crate) fn tell(text: fmt::Arguments<'_>) {
    write_pieces(text, crate::arch::machine::console::write_unlocked);
}

#[cfg(unikernel)]
fn output(bytes: &[u8]) {
    if !crate::test::capture::take(bytes) {
        crate::arch::machine::console::write(bytes);
        if let Some(display) = DISPLAY.lock().as_mut() {
            display.screen.write(bytes, display.pixels);
        }
    }
}

#[cfg(unikernel)]
fn output_of_report(bytes: &[u8]) {
    if !crate::test::capture::take(bytes) {
        crate::arch::machine::console::write_unlocked(bytes);
        if let Some(display) = DISPLAY.try_lock().as_deref_mut().and_then(Option::as_mut) {
            display.screen.write(bytes, display.pixels);
        }
    }
}

/// A screen that mirrors the serial line.
#[cfg(unikernel)]
struct Display {
    screen: screen::Screen,
    pixels: &'static mut [u8],
}

#[cfg(unikernel)]
static DISPLAY: SpinLock<Option<Display>> = SpinLock::new(None);

/// Mirrors the serial line on a framebuffer, whose bytes are `pixels`, if it can be drawn on.
#[cfg(unikernel)]
pub(crate) fn mirror(framebuffer: &crate::boot::Framebuffer, pixels: &'static mut [u8]) {
    pixels.fill(0);
    let screen = screen::Screen::new(framebuffer);
    *DISPLAY.lock() = screen.map(|screen| Display { screen, pixels });
}

#[cfg(not(unikernel))]
fn output(bytes: &[u8]) {
    std::print!("{}", String::from_utf8_lossy(bytes).replace('\r', ""));
}

#[cfg(not(unikernel))]
fn output_of_report(bytes: &[u8]) {
    output(bytes);
}

/// Prints to the serial line, formatted as by `format!`.
///
/// ```
/// # use unikernel::print;
/// print!("{} of {}", 1, 2);
/// ```
#[macro_export]
macro_rules! print {
    ($($text:tt)*) => { $crate::console::print(::core::format_args!($($text)*)) };
}

/// Prints a line to the serial line, formatted as by `format!`.
///
/// ```
/// # use unikernel::println;
/// println!("{:>8} {}", 42, "answers");
/// ```
#[macro_export]
macro_rules! println {
    () => { $crate::print!("\n") };
    ($($text:tt)*) => { $crate::console::print(::core::format_args!("{}\n", ::core::format_args!($($text)*))) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces_of(text: fmt::Arguments<'_>) -> Vec<String> {
        let mut pieces = Vec::new();
        write_pieces(text, |piece| {
            pieces.push(String::from_utf8(piece.to_vec()).unwrap())
        });
        pieces
    }

    #[test]
    fn each_line_is_one_piece_and_ends_in_carriage_return_and_line_feed() {
        assert_eq!(
            pieces_of(format_args!("a{}\nb\n\nc", 1)),
            ["a1\r\n", "b\r\n", "\r\n", "c"]
        );
    }

    #[test]
    fn a_long_line_is_cut_into_pieces_without_losing_a_byte() {
        let long = "x".repeat(3 * PIECE + 1);

        let pieces = pieces_of(format_args!("{long}\n"));

        assert_eq!(pieces.len(), 4);
        assert_eq!(pieces.concat(), long + "\r\n");
    }

    #[test]
    fn a_failing_display_loses_only_what_follows_it() {
        struct Failing;
        impl fmt::Display for Failing {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                Err(fmt::Error)
            }
        }

        assert_eq!(
            pieces_of(format_args!("before {Failing} after")),
            ["before "]
        );
    }
}
