//! The ways into an image, and what it is handed on the way.

use std::time::Duration;

use cargo_unikernel::image::Image;
use cargo_unikernel::machine::{Boot, Machine, Outcome, Verdict};
use cargo_unikernel::module::Module;
use libtest_mimic::{Failed, Trial};

use crate::images::Images;
use crate::{must_be, must_contain};

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
    must_be(&outcome.text.starts_with('<'), &true, &outcome.text)?;
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
