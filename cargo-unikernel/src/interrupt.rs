//! Ctrl-C and polite requests to end: noticed, so that QEMU ends as well and temporary files go.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

static REQUESTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From now on a signal no longer ends the tool; it must ask [`requested`] often.
pub(crate) fn watch() {
    REQUESTED.get_or_init(|| {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // If a signal cannot be caught, it ends the tool as it would have anyway.
            let _ = signal_hook::flag::register(signal, Arc::clone(&flag));
        }
        flag
    });
}

/// Ends machines as a signal would.
pub(crate) fn request() {
    if let Some(flag) = REQUESTED.get() {
        flag.store(true, Ordering::Relaxed);
    }
}

/// Returns whether signals are noticed rather than deadly.
pub(crate) fn is_watched() -> bool {
    REQUESTED.get().is_some()
}

/// Returns whether somebody asked the tool to end.
pub(crate) fn requested() -> bool {
    // Relaxed: nothing else is published by the handler.
    REQUESTED
        .get()
        .is_some_and(|flag| flag.load(Ordering::Relaxed))
}
