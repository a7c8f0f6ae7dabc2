//! QEMU's monitor: one line of JSON each way, on a socket of the tool's own.
//!
//! ```text
//! QEMU  {"QMP": {"version": …}}
//! tool  {"execute":"qmp_capabilities"}
//! QEMU  {"return": {}}
//! tool  {"execute":"inject-nmi"}
//! QEMU  {"event": …}                   at any time
//! QEMU  {"return": {}}
//! ```

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::error::Error;

/// How long QEMU may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A monitor that listens.
pub(super) struct Monitor {
    stream: BufReader<UnixStream>,
}

/// Returns the arguments that make QEMU listen on a socket.
pub(super) fn arguments(socket: &Path) -> [OsString; 2] {
    let mut place = OsString::from("unix:");
    place.push(socket);
    place.push(",server=on,wait=off");
    ["-qmp".into(), place]
}

impl Monitor {
    /// Connects to a QEMU that runs already.
    pub(super) fn connect(socket: &Path) -> Result<Self, Error> {
        Self::greet(UnixStream::connect(socket).map_err(Error::io("reach QEMU's monitor"))?)
    }

    fn greet(stream: UnixStream) -> Result<Self, Error> {
        stream
            .set_read_timeout(Some(PATIENCE))
            .and_then(|()| stream.set_write_timeout(Some(PATIENCE)))
            .map_err(Error::io("reach QEMU's monitor"))?;
        let mut monitor = Self {
            stream: BufReader::new(stream),
        };
        let greeting = monitor.line()?;
        if greeting.get("QMP").is_none() {
            return Err(odd(&greeting));
        }
        monitor.execute("qmp_capabilities")?;
        Ok(monitor)
    }

    /// Sends every CPU an interrupt that cannot be masked.
    pub(super) fn inject_nmi(&mut self) -> Result<(), Error> {
        self.execute("inject-nmi")
    }

    fn execute(&mut self, command: &str) -> Result<(), Error> {
        let line = format!("{{\"execute\":\"{command}\"}}\n");
        self.stream
            .get_mut()
            .write_all(line.as_bytes())
            .map_err(Error::io("speak to QEMU's monitor"))?;
        loop {
            let answer = self.line()?;
            if answer.get("return").is_some() {
                return Ok(());
            }
            if let Some(said) = answer["error"]["desc"].as_str() {
                return Err(Error::Qemu(format!("`{command}` was refused: {said}")));
            }
            if answer.get("event").is_none() {
                return Err(odd(&answer));
            }
        }
    }

    fn line(&mut self) -> Result<Value, Error> {
        let mut line = String::new();
        let len = self
            .stream
            .read_line(&mut line)
            .map_err(Error::io("hear QEMU's monitor"))?;
        if len == 0 {
            return Err(Error::Qemu("its monitor hung up".to_owned()));
        }
        serde_json::from_str(&line).map_err(|_| odd(&Value::String(line.trim().to_owned())))
    }
}

fn odd(answer: &Value) -> Error {
    Error::Qemu(format!("its monitor said {answer}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    /// Speaks to a monitor that says these lines, one more after each line that it hears.
    fn spoken_to(says: &'static [&'static str]) -> (Result<(), Error>, Vec<String>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let monitor = thread::spawn(move || {
            let mut heard = Vec::new();
            let mut reader = BufReader::new(theirs.try_clone().unwrap());
            let mut writer = theirs;
            for says in says {
                writer.write_all(says.as_bytes()).unwrap();
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 {
                    break;
                }
                heard.push(line);
            }
            heard
        });
        let result = Monitor::greet(ours).and_then(|mut monitor| monitor.inject_nmi());
        (result, monitor.join().unwrap())
    }

    #[test]
    fn an_interrupt_is_asked_for_after_the_greeting_whatever_happens_besides() {
        let (result, heard) = spoken_to(&[
            "{\"QMP\": {}}\n",
            "{\"return\": {}}\n",
            "{\"event\": \"NIC_RX\"}\n{\"return\": {}}\n",
        ]);

        assert!(result.is_ok(), "{result:?}");
        let expected = [
            "{\"execute\":\"qmp_capabilities\"}\n",
            "{\"execute\":\"inject-nmi\"}\n",
        ];
        assert_eq!(heard, expected);
    }

    #[test]
    fn what_a_monitor_refuses_is_told_in_one_line() {
        for (says, told) in [
            (
                &["{\"QMP\": {}}\n", "{\"error\": {\"desc\": \"no\"}}\n"][..],
                "refused: no",
            ),
            (&["hello\n"], "its monitor said \"hello\""),
            (&["{\"QMP\": {}}\n", "{}\n"], "its monitor said {}"),
            (&[], "hung up"),
        ] {
            let error = spoken_to(says).0.unwrap_err();
            assert!(error.to_string().contains(told), "{error}");
            assert_eq!(error.exit_code(), 127);
        }
    }
}
