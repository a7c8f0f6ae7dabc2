//! The console on the framebuffer: a program is booted through GRUB on a machine with a screen, and what it printed is read from
//! a screenshot.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use cargo_unikernel::image::Image;
use cargo_unikernel::machine::Machine;
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::images::Images;
use crate::picture::Picture;
use crate::{must_be, must_contain};

/// How long firmware, GRUB and the program may take.
const BOOT_LIMIT: Duration = Duration::from_secs(60);
/// How long QEMU may take to answer, and the screen to show what the serial line has said.
const LIMIT: Duration = Duration::from_secs(10);

/// Returns the trials of the screen.
pub(crate) fn trials(images: &Images) -> Vec<Trial> {
    let image = images.endings.clone();
    vec![Trial::test(
        "screen::what_is_printed_is_on_the_framebuffer",
        move || printed(&image),
    )]
}

/// Proves M110, M116. The machine tells all it has, so that the screen has scrolled when the last line comes.
fn printed(image: &Image) -> Result<(), Failed> {
    let mut screened = Screened::boot(image, &["dump", "unikernel.log=debug"])?;
    let text = screened.wait_for("hanging\r\n")?;
    must_contain(&text, &["rw-- WC, WC in effect: the framebuffer"])?;

    let end = Instant::now() + LIMIT;
    loop {
        let picture = screened.picture()?;
        let shown = (0..picture.rows()).find(|&row| picture.shows(row, "hanging"));
        // A line that has ended stands above the one that is being written.
        if shown == picture.rows().checked_sub(2) {
            return must_be(&(picture.lit() > 0), &true, &text);
        }
        if Instant::now() > end {
            let lit = picture.lit();
            return Err(
                format!("the line is in row {shown:?}, {lit} pixels are lit:\n{text}").into(),
            );
        }
    }
}

/// A machine with a screen. It ends with this value.
struct Screened {
    qemu: Child,
    serial: Receiver<u8>,
    monitor: BufReader<UnixStream>,
    folder: PathBuf,
}

impl Screened {
    fn boot(image: &Image, words: &[&str]) -> Result<Self, Failed> {
        let folder = std::env::temp_dir().join(format!("unikernel-screen-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let disc = folder.join("image.iso");
        Machine::new(image)
            .words(words.iter().copied())
            .write_disc(&disc)?;
        let socket = folder.join("monitor");
        let mut qemu = start(&disc, &socket)?;
        let monitor = match connect(&socket) {
            Ok(monitor) => monitor,
            Err(failed) => {
                end(&mut qemu);
                return Err(failed);
            }
        };
        let stdout = qemu.stdout.take().ok_or("QEMU has no output")?;
        let mut screened = Self {
            qemu,
            serial: bytes_of(stdout),
            monitor: BufReader::new(monitor),
            folder,
        };
        let _greeting = screened.answer()?;
        screened.command("qmp_capabilities", &json!({}))?;
        Ok(screened)
    }

    /// Waits until the serial line has said `text`, and returns all that it has said.
    fn wait_for(&mut self, text: &str) -> Result<String, Failed> {
        let end = Instant::now() + BOOT_LIMIT;
        let mut said = Vec::new();
        while !said.ends_with(text.as_bytes()) {
            let left = end.saturating_duration_since(Instant::now());
            match self.serial.recv_timeout(left) {
                Ok(byte) => said.push(byte),
                Err(error) => {
                    let said = String::from_utf8_lossy(&said);
                    return Err(format!("{text:?} is missing, {error}:\n{said}").into());
                }
            }
        }
        Ok(String::from_utf8_lossy(&said).into_owned())
    }

    fn picture(&mut self) -> Result<Picture, Failed> {
        let file = self.folder.join("screen.ppm");
        self.command("screendump", &json!({ "filename": file.to_str() }))?;
        Ok(Picture::from_ppm(&fs::read(file)?).ok_or("the screenshot is no PPM file")?)
    }

    /// Has QEMU execute a command (QEMU Machine Protocol), and waits for it.
    fn command(&mut self, name: &str, arguments: &Value) -> Result<(), Failed> {
        let request = json!({ "execute": name, "arguments": arguments });
        writeln!(self.monitor.get_mut(), "{request}")?;
        loop {
            let answer = self.answer()?;
            if answer.get("return").is_some() {
                return Ok(());
            }
            if answer.get("event").is_none() {
                return Err(format!("{name}: {answer}").into());
            }
        }
    }

    fn answer(&mut self) -> Result<Value, Failed> {
        let mut line = String::new();
        self.monitor.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Screened {
    fn drop(&mut self) {
        end(&mut self.qemu);
        // A folder that is left behind in the temporary folder is no failure.
        let _gone = fs::remove_dir_all(&self.folder);
    }
}

fn end(qemu: &mut Child) {
    // Both fail only if it has ended already.
    let _ended = qemu.kill();
    let _status = qemu.wait();
}

fn start(disc: &Path, socket: &Path) -> Result<Child, Failed> {
    let fixed = "-nodefaults -no-user-config -display none -monitor none -serial stdio -no-reboot -machine pc \
        -vga std -cpu max -accel tcg -m 256M -boot d";
    let child = Command::new("qemu-system-x86_64")
        .args(fixed.split_whitespace())
        .arg("-cdrom")
        .arg(disc)
        .arg("-qmp")
        .arg(format!("unix:{},server=on,wait=off", socket.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    Ok(child)
}

/// Connects to QEMU's monitor, which is there soon after QEMU has started.
fn connect(socket: &Path) -> Result<UnixStream, Failed> {
    let end = Instant::now() + LIMIT;
    loop {
        match UnixStream::connect(socket) {
            Ok(stream) => {
                stream.set_read_timeout(Some(LIMIT))?;
                return Ok(stream);
            }
            Err(error) if Instant::now() > end => return Err(error.into()),
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Returns what is read, byte by byte, as it comes.
fn bytes_of(from: impl Read + Send + 'static) -> Receiver<u8> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for byte in BufReader::new(from).bytes().map_while(Result::ok) {
            if sender.send(byte).is_err() {
                return;
            }
        }
    });
    receiver
}
