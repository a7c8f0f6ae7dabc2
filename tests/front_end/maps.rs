//! The picture of a running image: `cargo unikernel map` on images that run on, that end, and that fail.

use std::fs;

use libtest_mimic::{Failed, Trial};

use crate::tool::{Scratch, everything, must_be_refused, tool};
use crate::{must_be, must_contain};

/// What is asked: a program that ends as its argument says.
const ENDINGS: [&str; 5] = ["map", "--package", "unikernel-tests", "--bin", "endings"];

/// Returns the trials of pictures. One after the other, as all build the same image.
pub(crate) fn trials() -> Vec<Trial> {
    vec![Trial::test(
        "maps::images_are_asked_while_they_run_and_when_they_end_and_drawn",
        || {
            running()?;
            in_the_middle_of_printing()?;
            ended()?;
            mistakes()
        },
    )]
}

/// Draws what the program is with these arguments, and returns the picture.
fn drawn(options: &[&str], arguments: &[&str]) -> Result<String, Failed> {
    let scratch = Scratch::new("map")?;
    let file = scratch.path("picture.svg")?;
    let output = ["--output", &file];
    let all = [&ENDINGS[..], &output, options, &["--"], arguments].concat();
    let said = tool(&all)?;
    must_be(&said.status.code(), &Some(0), &everything(&said))?;
    must_contain(&everything(&said), &["space 0, the kernel's", "wrote "])?;
    Ok(fs::read_to_string(file)?)
}

/// Fails a trial unless a picture names what every image has, from the top of the address space down.
fn must_name_parts(picture: &str) -> Result<(), Failed> {
    must_contain(
        picture,
        &[
            "<svg ",
            ">Space 0, the kernel's<",
            ">The kernel<",
            ">symbols<",
            ">the NMI stack<",
            ">the boot stack<",
            ">text<",
            ">Frames: ",
            "</svg>",
        ],
    )
}

/// Proves M116: it never ends by itself, so it was asked.
fn running() -> Result<(), Failed> {
    must_name_parts(&drawn(&["--when", "hanging"], &["hang"])?)?;
    must_name_parts(&drawn(&["--after", "1s", "--memory", "64M"], &["hang"])?)
}

/// Whoever prints holds a lock most of the time, and is asked again until he does not.
fn in_the_middle_of_printing() -> Result<(), Failed> {
    must_name_parts(&drawn(&[], &["flood"])?)
}

/// Even one that fails says what its memory was like.
fn ended() -> Result<(), Failed> {
    must_name_parts(&drawn(&["--when", "nothing like this"], &["code", "3"])?)?;
    must_name_parts(&drawn(&["--when", "nothing like this"], &["null"])?)
}

/// Proves T11.
fn mistakes() -> Result<(), Failed> {
    let hang = ["--when", "never said", "--timeout", "2s", "--", "hang"];
    must_be_refused(&[&ENDINGS[..], &hang].concat(), 124, "never said")?;
    must_be_refused(&[&ENDINGS[..], &["--", "triple"]].concat(), 125, "verdict")?;
    let nowhere = ["--output", "/no/such/folder/map.svg", "--", "code", "0"];
    must_be_refused(
        &[&ENDINGS[..], &nowhere].concat(),
        1,
        "/no/such/folder/map.svg",
    )
}
