//! `cargo unikernel debug`: a machine that waits for gdb.

use std::io;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::commands::Selection;
use crate::commands::run::{self, MachineOptions};
use crate::error::Error;
use crate::guest::Input;
use crate::image::Image;
use crate::machine::{Boot, Machine, Verdict};
use crate::{install, interrupt, parts, process, progress};

/// How long the machine may take to end after gdb.
const GRACE: Duration = Duration::from_millis(200);

/// Boots an image stopped before its first instruction, and prints the line to type for gdb.
///
/// Use `hbreak` for the first breakpoint: it is set before the image has mapped itself.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo unikernel debug
  cargo unikernel debug --bin hello --launch -- --top 5")]
pub(crate) struct Arguments {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    machine: MachineOptions,
    /// Start gdb here rather than print the line
    #[arg(long)]
    launch: bool,
    /// Arguments for the program
    #[arg(last = true, value_name = "ARGUMENTS")]
    arguments: Vec<String>,
}

impl Arguments {
    pub(crate) fn execute(&self) -> Result<u8, Error> {
        let program = self.selection.find()?;
        let modules = self.machine.modules(|| program.modules())?;
        install::ensure(&[parts::TO_BUILD, parts::TO_RUN])?;
        if self.launch && process::find("gdb").is_none() {
            let message = "gdb is missing; type: sudo apt-get install gdb";
            return Err(Error::MissingTools(message.to_owned()));
        }
        let image = program.build()?;
        let port = free_port()?;
        let machine = self.machine.machine(&image, modules);
        let machine = machine
            .boot(Boot::Direct)
            .words(self.arguments.clone())
            .debugger(port);
        interrupt::watch();
        if self.launch {
            launch(&machine, &image, port)
        } else {
            wait(&machine, &image, port)
        }
    }
}

/// Returns the one line to type.
pub(crate) fn advice(port: u16, image: &Image) -> String {
    format!(
        "gdb -ex \"target remote :{port}\" {}",
        image.debug_elf().display()
    )
}

/// Returns a port that nobody listens on.
pub(crate) fn free_port() -> Result<u16, Error> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(Error::io("find a free port"))?;
    Ok(listener
        .local_addr()
        .map_err(Error::io("find a free port"))?
        .port())
}

fn wait(machine: &Machine, image: &Image, port: u16) -> Result<u8, Error> {
    progress::line(&advice(port, image));
    let outcome = machine.run(&mut io::stdout(), Input::Standard)?;
    run::code(&outcome, None)
}

/// Starts gdb on the terminal, the machine beside it. When gdb ends, so does the machine.
fn launch(machine: &Machine, image: &Image, port: u16) -> Result<u8, Error> {
    let machine = machine.clone();
    let running = thread::spawn(move || machine.run(&mut io::stdout(), Input::Nothing));
    let status = gdb(image, port).and_then(|mut gdb| gdb.wait().map_err(Error::io("wait for gdb")));
    // A guest that has just ended is about to say how.
    thread::sleep(GRACE);
    interrupt::request();
    let outcome = running
        .join()
        .map_err(|_| Error::Qemu("its thread ended".to_owned()))??;
    let code = status?.code().and_then(|code| u8::try_from(code).ok());
    match outcome.verdict {
        Verdict::Interrupted => Ok(code.unwrap_or(1)),
        _ => run::code(&outcome, None),
    }
}

fn gdb(image: &Image, port: u16) -> Result<Child, Error> {
    let mut command = Command::new("gdb");
    command
        .arg("-q")
        .arg("-ex")
        .arg(format!("target remote :{port}"))
        .arg(image.debug_elf());
    command
        .stdin(Stdio::inherit())
        .spawn()
        .map_err(Error::io("start gdb"))
}
