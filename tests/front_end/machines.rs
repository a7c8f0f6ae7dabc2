//! Machines that the tool does not offer: without a part that others have, with a part that fails, large and small.

use std::process::{Command, Stdio};

use cargo_unikernel::image::Image;
use libtest_mimic::{Failed, Trial};

use crate::images::Images;
use crate::{must_be, must_contain};

const EXIT_DEVICE: &str = "isa-debug-exit,iobase=0xf4,iosize=0x04";

/// Returns one trial for each machine.
pub(crate) fn trials(images: &Images) -> Vec<Trial> {
    let mut trials = Vec::new();
    for (name, board) in [("pc", "pc"), ("q35", "q35")] {
        let image = images.program("hello").clone();
        let name = format!("machines::without_an_exit_device_a_{name}_is_powered_off");
        trials.push(Trial::test(name, move || powered_off(&image, board)));
    }
    for (name, memory) in [("16_mib", "16M"), ("64_gib", "64G")] {
        let image = images.suite.clone();
        let name = format!("machines::frames_of_a_machine_of_{name}_are_all_there");
        trials.push(Trial::test(name, move || frames_are_there(&image, memory)));
    }
    let image = images.program("hello").clone();
    trials.push(Trial::test(
        "machines::a_processor_without_no_execute_is_refused_in_words",
        move || old_processor(&image),
    ));
    let image = images.endings.clone();
    trials.push(Trial::test(
        "machines::a_machine_without_a_serial_line_runs_and_ends",
        move || silent(&image),
    ));
    let image = images.endings.clone();
    trials.push(Trial::test(
        "machines::a_serial_line_that_is_stuck_stops_nobody",
        move || stuck(&image),
    ));
    let image = images.suite.clone();
    trials.push(Trial::test(
        "machines::a_processor_without_memory_types_combines_no_writes",
        move || untyped(&image),
    ));
    let image = images.program("hello").clone();
    trials.push(Trial::test(
        "machines::a_machine_without_firmware_tables_will_do",
        move || microvm(&image),
    ));
    trials
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

/// Proves M114. Without range registers nobody knows the type in effect, and nothing says one.
fn untyped(image: &Image) -> Result<(), Failed> {
    let machine = ["-device", EXIT_DEVICE, "-cpu", "max,pat=off,mtrr=off"];
    let filter = ["-append", "unikernel.test=memory::memory_types"];
    let (status, text) = by_hand(image, &[&machine[..], &filter].concat())?;

    must_be(&status, &status_of(0), &text)?;
    must_contain(&text, &["test result: ok. 1 passed"])
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
