//! Runs the registry and prints results in cargo's words.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use super::verdict::{self, Failure};
use super::{Expectation, TESTS, Test, bench, capture};
use crate::arch::End;
use crate::arch::machine::{context, timer, windows};
use crate::boot::command_line::Options;
use crate::exit::ExitCode;
use crate::memory::FRAMES;
use crate::time::Instant;
use crate::{print, println};

/// What became of the tests of one run.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: Vec<&'static str>,
    ignored: usize,
}

/// Does what the command line asks a test image for: list, bench, or test. Returns the verdict.
pub(crate) fn main(options: &Options) -> ExitCode {
    if options.list() {
        list();
        return ExitCode::SUCCESS;
    }
    timer::start();
    if options.bench() {
        bench::run(options)
    } else {
        run(options)
    }
}

fn list() {
    for test in sorted() {
        println!(
            "{}: test{}",
            test.name(),
            test.ignored.map_or("", |_| " [ignored]")
        );
    }
    for bench in bench::sorted() {
        println!("{}: bench", bench.name());
    }
}

fn sorted() -> Vec<&'static Test> {
    let mut tests: Vec<_> = TESTS.iter().collect();
    tests.sort_by_key(|test| test.name());
    tests
}

fn run(options: &Options) -> ExitCode {
    let start = Instant::now();
    let all = sorted();
    let chosen: Vec<_> = all
        .iter()
        .filter(|test| {
            options.selects(test.name()) && (test.ignored.is_some() || !options.ignored())
        })
        .collect();
    println!(
        "\nrunning {} test{}",
        chosen.len(),
        if chosen.len() == 1 { "" } else { "s" }
    );
    let mut tally = Tally::default();
    for test in &chosen {
        match test.ignored {
            Some(why) if !options.ignored() && !options.include_ignored() => {
                let comma = if why.is_empty() { "" } else { ", " };
                println!("test {} ... ignored{comma}{why}", test.name());
                tally.ignored += 1;
            }
            _ => run_one(test, options.nocapture(), &mut tally),
        }
    }
    tally.print(all.len() - chosen.len(), start)
}

fn run_one(test: &Test, nocapture: bool, tally: &mut Tally) {
    capture::start(!nocapture);
    let end = run_abandonable(test);
    let passed = capture::finish(|output, cause| {
        let verdict = verdict::judge(test.expectation, end, cause);
        print_result(test, verdict, output);
        verdict.is_ok()
    });
    if passed {
        tally.passed += 1
    } else {
        tally.failed.push(test.name())
    }
}

fn run_abandonable(test: &Test) -> End {
    static FUNCTION: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn trampoline() {
        let test = &TESTS[FUNCTION.load(Ordering::Relaxed)];
        timer::limit(Some(test.timeout_ms));
        timer::allow();
        (test.function)();
        timer::forbid();
    }
    let index = TESTS.iter().position(|other| core::ptr::eq(other, test));
    FUNCTION.store(
        index.expect("every test that runs is registered"),
        Ordering::Relaxed,
    );
    let end = context::run(trampoline);
    timer::forbid();
    timer::limit(None);
    FRAMES.check_invariants();
    windows::check_idle();
    let is_zero =
        windows::zero_frame_contents().is_none_or(|words| words.iter().all(|&word| word == 0));
    assert!(is_zero, "T4: somebody wrote to the zero frame");
    end
}

fn print_result(test: &Test, verdict: Result<(), Failure<'_>>, output: &[u8]) {
    let suffix = match test.expectation {
        Expectation::Success => "",
        Expectation::Panic(_) => " - should panic",
        Expectation::Fault(_) => " - should fault",
    };
    println!(
        "test {}{suffix} ... {}",
        test.name(),
        if verdict.is_ok() { "ok" } else { "FAILED" }
    );
    if let Err(failure) = verdict {
        println!("---- {} ----", test.name());
        print_lossy(output);
        println!("{failure}");
    }
}

fn print_lossy(output: &[u8]) {
    for line in output.split_inclusive(|&byte| byte == b'\n') {
        let text = core::str::from_utf8(line.trim_ascii_end()).unwrap_or("(not text)");
        println!("{text}");
    }
}

impl Tally {
    fn print(&self, filtered: usize, start: Instant) -> ExitCode {
        if !self.failed.is_empty() {
            println!("\nfailures:");
            for name in &self.failed {
                println!("    {name}");
            }
        }
        let verdict = if self.failed.is_empty() {
            "ok"
        } else {
            "FAILED"
        };
        print!(
            "\ntest result: {verdict}. {} passed; {} failed; ",
            self.passed,
            self.failed.len()
        );
        print!(
            "{} ignored; 0 measured; {filtered} filtered out; ",
            self.ignored
        );
        println!("finished in {:.2}s\n", start.elapsed().as_secs_f64());
        if self.failed.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::PANIC
        }
    }
}
