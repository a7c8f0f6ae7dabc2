//! The ways into an image, and machines it cannot run on.

use std::process::{Command, Stdio};
use std::time::Duration;

use cargo_unikernel::image::Image;
use cargo_unikernel::machine::{Boot, Machine, Outcome, Verdict};
use cargo_unikernel::module::Module;
use libtest_mimic::{Failed, Trial};

use crate::images::Images;
use crate::{must_be, must_contain};

const EXIT_DEVICE: &str = "isa-debug-exit,iobase=0xf4,iosize=0x04";
const LIMIT: Duration = Duration::from_secs(60);
const WORDS: [&str; 5] = [
    "arguments",
    "plain",
    "two words",
    r#"say "hi" \ $HOME; {x}"#,
    "unikernel.log=warn",
];

/// Returns one trial for each way and question.
pub(crate) fn trials(images: &Images) -> Vec<Trial> {
    let mut trials = Vec::new();
    for (way, boot) in [
        ("bios", Boot::Bios),
        ("uefi", Boot::Uefi),
        ("pvh", Boot::Direct),
    ] {
        let image = images.endings.clone();
        trials.push(Trial::test(
            format!("boots::arguments_arrive_by_{way}"),
            move || arguments_arrive(&image, boot),
        ));
        let image = images.endings.clone();
        trials.push(Trial::test(
            format!("boots::modules_arrive_by_{way}"),
            move || modules_arrive(&image, boot),
        ));
    }
    let image = images.endings.clone();
    trials.push(Trial::test(
        "boots::a_thousand_modules_arrive_and_too_many_are_refused_in_words",
        move || many_modules(&image),
    ));
    let image = images.endings.clone();
    trials.push(Trial::test(
        "boots::an_option_that_is_none_is_warned_of",
        move || unknown_option(&image),
    ));
    let image = images.endings.clone();
    trials.push(Trial::test(
        "boots::the_machine_is_described_when_asked",
        move || machine_is_described(&image),
    ));
    for (name, board) in [("pc", "pc"), ("q35", "q35")] {
        let image = images.program("hello").clone();
        let name = format!("boots::without_an_exit_device_a_{name}_is_powered_off");
        trials.push(Trial::test(name, move || powered_off(&image, board)));
    }
    for (name, memory) in [("16_mib", "16M"), ("64_gib", "64G")] {
        let image = images.suite.clone();
        let name = format!("boots::frames_of_a_machine_of_{name}_are_all_there");
        trials.push(Trial::test(name, move || frames_are_there(&image, memory)));
    }
    let image = images.program("hello").clone();
    trials.push(Trial::test(
        "boots::a_processor_without_no_execute_is_refused_in_words",
        move || old_processor(&image),
    ));
    let image = images.endings.clone();
    trials.push(Trial::test(
        "boots::a_machine_without_a_serial_line_runs_and_ends",
        move || silent(&image),
    ));
    let image = images.endings.clone();
    trials.push(Trial::test(
        "boots::a_serial_line_that_is_stuck_stops_nobody",
        move || stuck(&image),
    ));
    let image = images.program("hello").clone();
    trials.push(Trial::test(
        "boots::a_machine_without_firmware_tables_will_do",
        move || microvm(&image),
    ));
    trials
}

/// Boots an image and returns what became of it.
pub(crate) fn boot(machine: &Machine) -> Result<Outcome, Failed> {
    machine.capture().map_err(|error| error.to_string().into())
}

/// Proves T3, T5.
fn arguments_arrive(image: &Image, boot_path: Boot) -> Result<(), Failed> {
    let outcome = boot(
        &Machine::new(image)
            .boot(boot_path)
            .words(WORDS)
            .timeout(LIMIT),
    )?;

    must_be(&outcome.verdict, &Verdict::Exit(0), &outcome.text)?;
    must_contain(
        &outcome.text,
        &["<plain>\n", "<two words>\n", "<say \"hi\" \\ $HOME; {x}>\n"],
    )?;
    must_be(&outcome.text.contains("unikernel."), &false, &outcome.text)
}

/// Proves T3, T5.
fn modules_arrive(image: &Image, boot_path: Boot) -> Result<(), Failed> {
    let folder = std::env::temp_dir().join(format!(
        "unikernel-modules-{}-{boot_path:?}",
        std::process::id()
    ));
    std::fs::create_dir_all(&folder)?;
    let contents: [(&str, Vec<u8>); 3] = [
        ("empty", Vec::new()),
        ("one byte", vec![7]),
        ("large", (0..=255).cycle().take(1_000_003).collect()),
    ];
    let mut modules = Vec::new();
    let mut expected = Vec::new();
    for (name, bytes) in &contents {
        std::fs::write(folder.join(name), bytes)?;
        modules.push(Module::parse(
            folder
                .join(name)
                .to_str()
                .ok_or("the temporary folder has a strange name")?,
        )?);
        let sum: u64 = bytes.iter().copied().map(u64::from).sum();
        expected.push(format!("<{name}> {} bytes, sum {sum}\n", bytes.len()));
    }
    let outcome = boot(
        &Machine::new(image)
            .boot(boot_path)
            .words(["modules"])
            .modules(modules)
            .timeout(LIMIT),
    );
    std::fs::remove_dir_all(&folder)?;
    let outcome = outcome?;

    must_be(&outcome.verdict, &Verdict::Exit(0), &outcome.text)?;
    must_contain(
        &outcome.text,
        &expected.iter().map(String::as_str).collect::<Vec<_>>(),
    )
}

/// Proves T5, T12. Before the first frame is handed out there is a heap of half a MiB, which so many names do not fit into.
fn many_modules(image: &Image) -> Result<(), Failed> {
    let folder = std::env::temp_dir().join(format!("unikernel-many-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("file");
    std::fs::write(&file, [7])?;
    let boot_with = |count: usize| {
        let modules = (0..count).map(|index| Module::named(&format!("{index:0100}"), &file));
        let modules = modules.collect::<Result<Vec<_>, _>>()?;
        let machine = Machine::new(image).boot(Boot::Direct).words(["modules"]);
        boot(&machine.modules(modules).timeout(LIMIT))
    };
    let (some, too_many) = (boot_with(1000), boot_with(5000));
    std::fs::remove_dir_all(&folder)?;
    let (some, too_many) = (some?, too_many?);

    must_be(&some.verdict, &Verdict::Exit(0), &some.text)?;
    must_be(
        &some.text.matches("> 1 bytes, sum 7\n").count(),
        &1000,
        &some.text,
    )?;
    must_be(&too_many.verdict, &Verdict::Exit(103), &too_many.text)?;
    must_contain(
        &too_many.text,
        &["unikernel: cannot boot: no memory is left to copy "],
    )
}

fn unknown_option(image: &Image) -> Result<(), Failed> {
    let words = ["arguments", "unikernel.lgo=info", "unikernel.log=loud"];
    let outcome = boot(
        &Machine::new(image)
            .boot(Boot::Direct)
            .words(words)
            .timeout(LIMIT),
    )?;

    must_be(&outcome.verdict, &Verdict::Exit(0), &outcome.text)?;
    must_contain(
        &outcome.text,
        &["WARN", "unikernel.lgo=info", "WARN", "unikernel.log=loud"],
    )
}

/// Proves M115.
fn machine_is_described(image: &Image) -> Result<(), Failed> {
    let words = ["arguments", "unikernel.log=debug"];
    let outcome = boot(
        &Machine::new(image)
            .boot(Boot::Direct)
            .words(words)
            .timeout(LIMIT),
    )?;

    must_contain(
        &outcome.text,
        &[
            "INFO",
            "loader",
            "INFO",
            "image 0xffffffff80200000",
            "KiB free of ",
            "DEBUG",
            "memory 0x0..",
            "DEBUG",
            "memory 0x100000..",
        ],
    )
}

/// Returns a QEMU by hand, on a machine the tool does not offer. It ends within the time, or is ended and fails the trial.
fn by_hand_with(image: &Image, serial: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command.args([
        "30",
        "qemu-system-x86_64",
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-serial",
        serial,
    ]);
    command
        .args(["-cpu", "max", "-m", "64M", "-accel", "tcg"])
        .args(arguments)
        .arg("-kernel")
        .arg(image.elf())
        .stdin(Stdio::null());
    command
}

/// Runs such a machine and returns its status, and what its serial line said.
fn by_hand(image: &Image, arguments: &[&str]) -> Result<(Option<i32>, String), Failed> {
    let output = by_hand_with(image, "stdio", arguments).output()?;
    Ok((
        output.status.code(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
    ))
}

/// The status of QEMU when the guest ends with `code`.
fn status_of(code: i32) -> Option<i32> {
    Some((code + 0x10) << 1 | 1)
}

/// Proves T12.
fn old_processor(image: &Image) -> Result<(), Failed> {
    let device = ["-device", EXIT_DEVICE, "-cpu", "max,nx=off"];
    let (status, text) = by_hand(image, &device)?;

    must_be(&status, &status_of(103), &text)?;
    let sentence = "unikernel: cannot boot: this processor has no long mode with no-execute\r\n";
    must_be(&text.as_str(), &sentence, &text)
}

/// What is printed and reported goes nowhere, and costs no time.
fn silent(image: &Image) -> Result<(), Failed> {
    let device = ["-device", EXIT_DEVICE, "-append"];
    for (words, code) in [("flood", 7), ("null", 102), ("code 200", 0x7f - 0x10)] {
        let mut command = by_hand_with(image, "none", &[&device[..], &[words]].concat());
        must_be(&command.status()?.code(), &status_of(code), words)?;
    }
    Ok(())
}

/// Nobody reads what the machine says, so that its line takes no more at some time: the machine goes on, and ends.
fn stuck(image: &Image) -> Result<(), Failed> {
    let device = ["-device", EXIT_DEVICE, "-append", "flood"];
    let mut child = by_hand_with(image, "stdio", &device)
        .stdout(Stdio::piped())
        .spawn()?;

    let status = child.wait()?;

    must_be(&status.code(), &status_of(7), "a line that is stuck")
}

/// A reset would boot the image again, and print again; a machine that goes on is ended by `timeout` with 124.
fn powered_off(image: &Image, board: &str) -> Result<(), Failed> {
    let (status, text) = by_hand(image, &["-machine", board, "-m", "64M"])?;

    must_be(&status, &Some(0), &text)?;
    must_be(&text.matches("Hello, world!").count(), &1, &text)
}

fn microvm(image: &Image) -> Result<(), Failed> {
    let (status, text) = by_hand(
        image,
        &[
            "-machine",
            "microvm",
            "-m",
            "64M",
            "-no-reboot",
            "-device",
            EXIT_DEVICE,
        ],
    )?;

    must_be(&status, &Some(33), &text)?;
    must_contain(&text, &["Hello, world!"])
}

/// The memory is promised to the machine, not reserved on the host: 64 GiB would not be there. Such a machine has a hole below
/// 4 GiB, and most of its frames have no record yet.
fn frames_are_there(image: &Image, memory: &str) -> Result<(), Failed> {
    let backend = format!("memory-backend-ram,id=ram,size={memory},reserve=off");
    let machine = [
        "-machine",
        "pc,memory-backend=ram",
        "-m",
        memory,
        "-object",
        &backend,
    ];
    let rest = [
        "-no-reboot",
        "-device",
        EXIT_DEVICE,
        "-append",
        "unikernel.test=frames::f",
    ];
    let (status, text) = by_hand(image, &[&machine[..], &rest].concat())?;

    must_be(&status, &Some(33), &text)?;
    must_contain(&text, &["test result: ok. 2 passed"])
}
