//! Asking a guest for its memory: when, how often, and for how long.
//!
//! ```text
//!           ready            condition           answer
//! booting ─────────> waiting ─────────> asking ──────────> done
//!    │                  │                │   ^──── busy: ask again
//!    └── guest ends: an answer it gave at its end, or none
//! ```

use std::path::Path;
use std::time::{Duration, Instant};

use super::answer::{Answer, Voice};
use super::qmp::{self, Monitor};
use super::snapshot::{Snapshot, SnapshotError};
use crate::error::Error;
use crate::guest::{Event, Guest};
use crate::machine::{Machine, Verdict};

/// When a guest is asked, counted from when it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// When it has printed a line, or a second has passed.
    Soon,
    /// When this time has passed.
    After(Duration),
    /// When it has printed this text.
    Said(String),
}

/// What came of asking.
pub(crate) enum Outcome {
    /// The guest described its memory.
    Answered(Box<Snapshot>),
    /// The guest ended and said nothing of its memory; this is how, and what else it said.
    Ended(Verdict, String),
}

/// How long a guest that prints nothing is waited for when no condition is given.
const SOON: Duration = Duration::from_secs(1);
/// How long a guest may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How soon a busy guest is asked again.
const PAUSE: Duration = Duration::from_millis(20);

/// Boots a machine whose image answers, asks it for its memory, and ends it. `limit` is how long it may take until the condition
/// is met.
pub(crate) fn ask(machine: &Machine, when: &When, limit: Duration) -> Result<Outcome, Error> {
    let folder = tempfile::tempdir().map_err(Error::io("make a temporary folder"))?;
    let socket = folder.path().join("qmp");
    let guest = machine
        .clone()
        .words(["unikernel.map"])
        .start(&folder, &qmp::arguments(&socket))?;
    let mut asking = Asking::new(when, limit);
    loop {
        match guest.next(Some(asking.next_look())) {
            Event::Text(bytes) => asking.voice.push(&bytes),
            Event::End => return asking.ended(guest),
            Event::Interrupted => return Err(Error::Interrupted),
            Event::Timeout => {}
        }
        if let Some(snapshot) = asking.listen() {
            return snapshot.map(|snapshot| Outcome::Answered(Box::new(snapshot)));
        }
        asking.act(&socket, Instant::now())?;
    }
}

/// Where a conversation stands.
struct Asking<'a> {
    when: &'a When,
    limit: Duration,
    voice: Voice,
    monitor: Option<Monitor>,
    started: Instant,
    ready: Option<Instant>,
    /// When the guest was asked for the first time.
    first_asked: Option<Instant>,
    /// When to ask again.
    again: Option<Instant>,
}

impl<'a> Asking<'a> {
    fn new(when: &'a When, limit: Duration) -> Self {
        Self {
            when,
            limit,
            voice: Voice::default(),
            monitor: None,
            started: Instant::now(),
            ready: None,
            first_asked: None,
            again: None,
        }
    }

    /// Returns when to look whether it is time for something.
    fn next_look(&self) -> Instant {
        self.again.unwrap_or_else(|| Instant::now() + PAUSE)
    }

    /// Returns the memory, if the guest has described it. A text that is none means that something came between: ask again.
    fn listen(&mut self) -> Option<Result<Snapshot, Error>> {
        while let Some(answer) = self.voice.next() {
            if let Answer::Map(text) = answer {
                match Snapshot::parse(&text) {
                    Ok(snapshot) => return Some(Ok(snapshot)),
                    Err(error @ SnapshotError::Version(_)) => {
                        return Some(Err(Error::Project(error.to_string())));
                    }
                    Err(SnapshotError::Malformed(_)) => {}
                }
            }
            self.again = self.first_asked.map(|_| Instant::now() + PAUSE);
        }
        None
    }

    /// Asks if it is time to, and gives up if it is too late.
    fn act(&mut self, socket: &Path, now: Instant) -> Result<(), Error> {
        if self.ready.is_none() && self.voice.own().is_some() {
            self.ready = Some(now);
        }
        match self.first_asked {
            None if self.is_time(now) => {
                self.monitor = Some(Monitor::connect(socket)?);
                self.first_asked = Some(now);
                self.inject()
            }
            None if now - self.started > self.limit => Err(self.too_late()),
            Some(asked) if now - asked > PATIENCE => Err(Error::NoAnswer(PATIENCE)),
            Some(_) if self.again.is_some_and(|again| again <= now) => self.inject(),
            _ => Ok(()),
        }
    }

    fn inject(&mut self) -> Result<(), Error> {
        self.again = None;
        match &mut self.monitor {
            Some(monitor) => monitor.inject_nmi().or_else(|error| {
                // A guest that ends takes its monitor with it; what it said at its end is still to be heard.
                if matches!(error, Error::Qemu(_) | Error::Io { .. }) {
                    self.monitor = None;
                    return Ok(());
                }
                Err(error)
            }),
            None => Ok(()),
        }
    }

    fn is_time(&self, now: Instant) -> bool {
        let (Some(ready), Some(said)) = (self.ready, self.voice.own()) else {
            return false;
        };
        match self.when {
            When::Soon => said.contains('\n') || now - ready >= SOON,
            When::After(time) => now - ready >= *time,
            When::Said(text) => said.contains(text.as_str()),
        }
    }

    fn too_late(&self) -> Error {
        match (self.when, self.ready) {
            (When::Said(text), Some(_)) => Error::NotSaid {
                text: text.clone(),
                after: self.limit,
            },
            _ => Error::Timeout(self.limit),
        }
    }

    /// Returns what a guest that has ended said of its memory.
    fn ended(mut self, guest: Guest) -> Result<Outcome, Error> {
        if let Some(snapshot) = self.listen() {
            return snapshot.map(|snapshot| Outcome::Answered(Box::new(snapshot)));
        }
        let verdict = crate::machine::verdict_of(guest, self.voice.text())?;
        Ok(Outcome::Ended(verdict, self.voice.without_markers()))
    }
}
