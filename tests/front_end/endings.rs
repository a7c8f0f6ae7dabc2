//! How programs and tests end, and what is to be read when they do.

use std::time::Duration;

use cargo_unikernel::image::Image;
use cargo_unikernel::machine::{Boot, Machine, Verdict};
use libtest_mimic::{Failed, Trial};

use crate::boots::boot;
use crate::images::Images;
use crate::{must_be, must_contain};

const LIMIT: Duration = Duration::from_secs(30);

/// A way to end: the program's words, the verdict, and what the text must contain in this order.
struct Ending {
    name: &'static str,
    words: &'static [&'static str],
    verdict: Verdict,
    says: &'static [&'static str],
}

/// Proves T8, T11, M98, M101, M119.
const ENDINGS: [Ending; 10] = [
    Ending {
        name: "success",
        words: &["code", "0"],
        verdict: Verdict::Exit(0),
        says: &[],
    },
    Ending {
        name: "a_small_code",
        words: &["code", "7"],
        verdict: Verdict::Exit(7),
        says: &[],
    },
    Ending {
        name: "a_large_code",
        words: &["code", "200"],
        verdict: Verdict::Exit(200),
        says: &["unikernel: exit code 200"],
    },
    Ending {
        name: "an_error",
        words: &["error", "rain"],
        verdict: Verdict::Exit(1),
        says: &["Error: because of rain"],
    },
    Ending {
        name: "a_panic",
        words: &["panic"],
        verdict: Verdict::Exit(101),
        says: &[
            "panicked at tests/src/bin/endings.rs:",
            "number 3 is the wrong one",
            "backtrace:",
            "endings::inner",
            " at tests/src/bin/endings.rs:",
            "endings::outer",
            " at tests/src/bin/endings.rs:",
            "endings::main",
        ],
    },
    Ending {
        name: "an_allocation_that_fails",
        words: &["huge"],
        verdict: Verdict::Exit(101),
        says: &[
            "panicked at library/alloc/src/",
            "memory allocation of 1099511627776 bytes failed",
            "endings::main",
        ],
    },
    Ending {
        name: "a_null_pointer",
        words: &["null"],
        verdict: Verdict::Exit(102),
        says: &[
            "fault: null pointer dereference (read of address 0x0)",
            "page fault (#PF) at address 0x0, error code 0x0: kernel read of a page that is not present",
            "rip",
            "backtrace:",
            "endings::read_null",
            " at tests/src/bin/endings.rs:",
        ],
    },
    Ending {
        name: "a_stack_overflow",
        words: &["overflow"],
        verdict: Verdict::Exit(102),
        says: &[
            "fault: stack overflow of the boot stack",
            "endings::recurse",
            "more calls from there)",
            "endings::main",
            "unikernel::boot::start::boot",
            "unikernel_start_high + 0x",
        ],
    },
    Ending {
        name: "a_triple_fault",
        words: &["triple"],
        verdict: Verdict::Stopped,
        says: &[],
    },
    Ending {
        name: "an_unknown_word",
        words: &["nonsense"],
        verdict: Verdict::Exit(1),
        says: &["an unknown ending"],
    },
];

/// Returns one trial for each ending, and those about failing tests.
pub(crate) fn trials(images: &Images) -> Vec<Trial> {
    let mut trials: Vec<_> = ENDINGS
        .iter()
        .map(|ending| trial(&images.endings, ending))
        .collect();
    let image = images.endings.clone();
    trials.push(Trial::test(
        "endings::a_program_that_hangs_is_stopped",
        move || hanging(&image),
    ));
    let image = images.failing.clone();
    trials.push(Trial::test(
        "endings::a_failing_test_is_one_result_and_the_next_one_runs",
        move || failing(&image),
    ));
    let image = images.failing.clone();
    trials.push(Trial::test(
        "endings::a_test_that_ends_the_machine_is_heard",
        move || exiting(&image),
    ));
    trials
}

fn trial(image: &Image, ending: &'static Ending) -> Trial {
    let machine = Machine::new(image)
        .boot(Boot::Direct)
        .words(ending.words.iter().copied())
        .timeout(LIMIT);
    Trial::test(format!("endings::{}", ending.name), move || {
        let outcome = boot(&machine)?;
        must_be(&outcome.verdict, &ending.verdict, &outcome.text)?;
        must_contain(&outcome.text, ending.says)
    })
}

/// Proves T11.
fn hanging(image: &Image) -> Result<(), Failed> {
    let machine = Machine::new(image)
        .boot(Boot::Direct)
        .words(["hang"])
        .timeout(Duration::from_secs(2));

    let outcome = boot(&machine)?;

    must_be(&outcome.verdict, &Verdict::Timeout, &outcome.text)?;
    must_contain(&outcome.text, &["hanging\n"])
}

/// What a test said is not lost when it ends the machine.
fn exiting(image: &Image) -> Result<(), Failed> {
    let words = ["unikernel.exact=g_exits", "unikernel.include-ignored"];
    let outcome = boot(
        &Machine::new(image)
            .boot(Boot::Direct)
            .words(words)
            .timeout(LIMIT),
    )?;

    must_be(&outcome.verdict, &Verdict::Exit(200), &outcome.text)?;
    must_contain(
        &outcome.text,
        &["said before the exit", "unikernel: exit code 200"],
    )
}

fn failing(image: &Image) -> Result<(), Failed> {
    let outcome = boot(&Machine::new(image).boot(Boot::Direct).timeout(LIMIT))?;

    must_be(&outcome.verdict, &Verdict::Exit(101), &outcome.text)?;
    must_contain(
        &outcome.text,
        &[
            "running 9 tests",
            "test a_panics ... FAILED",
            "said before the panic",
            "panicked at tests/src/bin/failing.rs:",
            "on purpose",
            "test b_faults ... FAILED",
            "fault: null pointer dereference",
            "it faulted, but was to return",
            "test c_hangs ... FAILED",
            "took too long, at",
            "failing::c_hangs",
            "it took longer than it may",
            "test d_panics_of_another_thing - should panic ... FAILED",
            "the cause was to contain \"one thing\", but was \"another thing\"",
            "test e_was_to_fault - should fault ... FAILED",
            "it returned, but was to fault",
            "test f_returns_an_error ... FAILED",
            "Error: \"not today\"",
            "test g_is_ignored ... ignored, it takes an hour\n",
            "test h_passes ... ok",
            "failures:",
            "    a_panics",
            "test result: FAILED. 1 passed; 6 failed; 2 ignored; 0 measured; 0 filtered out; finished in ",
        ],
    )
}
