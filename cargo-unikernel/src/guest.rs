//! A running QEMU: its serial line as chunks of bytes, its end as a status, and never left behind.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::interrupt;

/// How often a request to end is looked for.
const HEARTBEAT: Duration = Duration::from_millis(50);

/// Where the guest's serial input comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Nothing comes.
    Nothing,
    /// What is typed to the tool, or piped into it.
    Standard,
}

/// What happened next.
pub(crate) enum Event {
    /// The guest printed something.
    Text(Vec<u8>),
    /// QEMU ended.
    End,
    /// The time is over.
    Timeout,
    /// Somebody asked the tool to end.
    Interrupted,
}

/// A QEMU process; dropping it ends it.
pub(crate) struct Guest {
    child: Child,
    chunks: Receiver<Vec<u8>>,
    complaints: Option<JoinHandle<String>>,
}

impl Guest {
    pub(crate) fn start(mut command: Command, input: Input) -> Result<Self, Error> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.stdin(if input == Input::Standard {
            Stdio::piped()
        } else {
            Stdio::null()
        });
        if interrupt::is_watched() {
            // Out of the terminal's group, so that Ctrl-C reaches the tool alone, which then ends QEMU.
            command.process_group(0);
        }
        let mut child = command.spawn().map_err(not_started)?;
        let (sender, chunks) = channel();
        let stdout = child.stdout.take().expect("it is piped");
        thread::spawn(move || forward(stdout, &sender));
        let mut stderr = child.stderr.take().expect("it is piped");
        let complaints = thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        if let Some(stdin) = child.stdin.take() {
            thread::spawn(move || feed(stdin));
        }
        Ok(Self {
            child,
            chunks,
            complaints: Some(complaints),
        })
    }

    /// Waits for what happens next, until `deadline` if there is one.
    pub(crate) fn next(&self, deadline: Option<Instant>) -> Event {
        loop {
            if interrupt::requested() {
                return Event::Interrupted;
            }
            let left = deadline.map_or(HEARTBEAT, |end| {
                end.saturating_duration_since(Instant::now())
            });
            match self.chunks.recv_timeout(left.min(HEARTBEAT)) {
                Ok(bytes) => return Event::Text(bytes),
                Err(RecvTimeoutError::Disconnected) => return Event::End,
                Err(RecvTimeoutError::Timeout) if left.is_zero() => return Event::Timeout,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Waits for QEMU's end and returns its status, `None` if a signal ended it, and what it complained about.
    pub(crate) fn finish(mut self) -> Result<(Option<i32>, String), Error> {
        let status = self.child.wait().map_err(Error::io("wait for QEMU"))?;
        let complaints = self.complaints.take().and_then(|thread| thread.join().ok());
        Ok((status.code(), complaints.unwrap_or_default()))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn not_started(cause: io::Error) -> Error {
    match cause.kind() {
        io::ErrorKind::NotFound => Error::MissingTools(
            "qemu-system-x86_64 is missing; `cargo unikernel doctor` installs it".to_owned(),
        ),
        _ => Error::Qemu(format!("it did not start: {cause}")),
    }
}

fn forward(mut from: impl Read, to: &Sender<Vec<u8>>) {
    let mut buffer = [0; 8192];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(len) if to.send(buffer[..len].to_vec()).is_err() => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// Passes standard input on. A pipe rather than the terminal itself: QEMU would change the terminal's mode, and with it
/// the tool's own output.
fn feed(mut to: ChildStdin) {
    let mut from = io::stdin().lock();
    let mut buffer = [0; 1024];
    while let Ok(len @ 1..) = from.read(&mut buffer) {
        if to
            .write_all(&buffer[..len])
            .and_then(|()| to.flush())
            .is_err()
        {
            return;
        }
    }
}
