//! A running image, asked for its memory from outside: `cargo unikernel map`.
//!
//! The question is a non-maskable interrupt; the answer is a text on the serial line, between two lines that no program writes by
//! accident. An image that is started with `unikernel.map` answers, and says once that it will. It answers unasked when it ends.
//!
//! ```text
//! unikernel map: ready          from here on it may be asked
//! unikernel map: begin
//! {"version":1, …}              see `json.rs`
//! unikernel map: end
//! unikernel map: busy           asked in the middle of a change: ask again
//! ```
//!
//! All of this is in images that are built with `--cfg unikernel_map`, as `cargo unikernel map` does. It takes some 20 KiB, which no
//! other image has to carry; and what cannot be asked for in an image cannot be asked for by mistake either.

use core::sync::atomic::{AtomicBool, Ordering};

use super::regions_as_json;
use crate::arch::machine::cpu;
use crate::console::tell;

/// Whether the image was started to answer. `Relaxed`: it is set before anybody is told that he may ask.
static IS_READY: AtomicBool = AtomicBool::new(false);

/// Whether an answer is being given. All CPUs are asked at once, and one is enough. `Relaxed`: nothing is handed over by it.
static IS_ANSWERING: AtomicBool = AtomicBool::new(false);

/// Answers from now on.
pub(crate) fn get_ready() {
    IS_READY.store(true, Ordering::Relaxed);
    tell(format_args!("unikernel map: ready\n"));
}

/// Answers, if the image is to. Returns whether it is.
///
/// This may be an interrupt in the middle of anything. If that is an answer, it goes on, and answers this as well; if it holds a
/// lock, what the lock protects may be half changed.
pub(crate) fn answer() -> bool {
    let is_ready = IS_READY.load(Ordering::Relaxed);
    if is_ready && !IS_ANSWERING.swap(true, Ordering::Relaxed) {
        say();
        IS_ANSWERING.store(false, Ordering::Relaxed);
    }
    is_ready
}

fn say() {
    if cpu::holds_locks() {
        tell(format_args!("\nunikernel map: busy\n"));
        return;
    }
    cpu::as_if_locked(|| {
        tell(format_args!(
            "\nunikernel map: begin\n{}\nunikernel map: end\n",
            regions_as_json()
        ));
    });
}
