//! The `log` facade on the serial line: time since entry, level, module, message.
//!
//! The level comes from the kernel command line (`unikernel.log=debug`, which is what `cargo unikernel run --log debug` adds);
//! without it, warnings and errors are shown.

use log::{LevelFilter, Log, Metadata, Record};

use crate::time::Instant;

struct Logger;

static LOGGER: Logger = Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let since_entry = Instant::now().since_entry();
            let (seconds, micros) = (since_entry.as_secs(), since_entry.subsec_micros());
            let (level, module) = (record.level(), record.target());
            crate::println!(
                "[{seconds:5}.{micros:06}] {level:5} {module}: {}",
                record.args()
            );
        }
    }

    fn flush(&self) {}
}

/// Installs the logger with a level. Once.
pub(crate) fn init(level: LevelFilter) {
    // Fails only when a logger is installed already, and boot runs once.
    let _first = log::set_logger(&LOGGER);
    log::set_max_level(level);
}
