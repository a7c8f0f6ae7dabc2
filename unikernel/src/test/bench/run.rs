//! Runs the registered benches and prints their records.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use super::{Bench, Bencher, summary, ticks};
use crate::boot::command_line::Options;
use crate::exit::ExitCode;
use crate::println;
use crate::test::BENCHES;

/// Ticks from the image's first instruction to where `main` would be called.
static BOOT_TICKS: AtomicU64 = AtomicU64::new(0);

/// Notes that boot is over.
pub(crate) fn reached_main() {
    BOOT_TICKS.store(
        crate::arch::machine::time::ticks_since_entry(),
        Ordering::Relaxed,
    );
}

/// Returns the image's benches in the order of their names.
pub(crate) fn sorted() -> Vec<&'static Bench> {
    let mut benches: Vec<_> = BENCHES.iter().collect();
    benches.sort_by_key(|bench| bench.name());
    benches
}

/// Runs the benches that the command line selects. A bench that dies ends the machine: a record that is missing is a failure.
pub(crate) fn run(options: &Options) -> ExitCode {
    let pair = |_| {
        let start = ticks();
        ticks() - start
    };
    let overhead = (0..16).map(pair).min().unwrap_or(0);
    println!("@M\tcounter_overhead\t{overhead}");
    let boot = BOOT_TICKS.load(Ordering::Relaxed) as f64;
    println!("@R\tboot.entry_to_main\t-\t{boot:.3}\t{boot:.3}\t{boot:.3}\t1");
    for bench in sorted()
        .into_iter()
        .filter(|bench| options.selects(bench.name()))
    {
        let mut bencher = Bencher {
            overhead,
            ..Bencher::default()
        };
        (bench.function)(&mut bencher);
        let samples = bencher.samples.len();
        match summary(&mut bencher.samples, bencher.per_sample) {
            Some([min, median, p90]) => {
                println!(
                    "@R\t{}\t{}\t{min:.3}\t{median:.3}\t{p90:.3}\t{samples}",
                    bench.metric, bench.parameter
                );
            }
            None => println!("@E\t{}\tmeasured nothing", bench.name()),
        }
    }
    println!("@DONE");
    ExitCode::SUCCESS
}
