//! UEFI for QEMU: where distributions put OVMF.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::process;

/// Below the prefix that QEMU is installed in: code, and the variables that go with it.
const PAIRS: [(&str, &str); 4] = [
    ("share/OVMF/OVMF_CODE_4M.fd", "share/OVMF/OVMF_VARS_4M.fd"),
    ("share/OVMF/OVMF_CODE.fd", "share/OVMF/OVMF_VARS.fd"),
    (
        "share/edk2/ovmf/OVMF_CODE.fd",
        "share/edk2/ovmf/OVMF_VARS.fd",
    ),
    (
        "share/edk2/x64/OVMF_CODE.4m.fd",
        "share/edk2/x64/OVMF_VARS.4m.fd",
    ),
];

/// The two files of a UEFI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ovmf {
    code: PathBuf,
    variables: PathBuf,
}

impl Ovmf {
    /// Returns the first one that is installed.
    pub(crate) fn find() -> Option<Self> {
        let qemu = process::find("qemu-system-x86_64")?;
        let prefix = qemu.parent()?.parent()?;
        let pair = |(code, variables): (&str, &str)| Self {
            code: prefix.join(code),
            variables: prefix.join(variables),
        };
        PAIRS
            .into_iter()
            .map(pair)
            .find(|ovmf| ovmf.code.exists() && ovmf.variables.exists())
    }

    /// Returns the file with its code.
    pub(crate) fn code(&self) -> &Path {
        &self.code
    }

    /// Returns QEMU's arguments; the variables are copied into `folder`, as the firmware writes them.
    pub(crate) fn arguments(&self, folder: &Path) -> Result<Vec<OsString>, Error> {
        let variables = folder.join("variables.fd");
        let bytes = fs::read(&self.variables).map_err(Error::file(&self.variables))?;
        fs::write(&variables, bytes).map_err(Error::io("copy the firmware's variables"))?;
        let drive = |rights: &str, file: &Path| {
            let mut drive = OsString::from(format!("if=pflash,format=raw,{rights}file="));
            drive.push(file.to_string_lossy().replace(',', ",,"));
            drive
        };
        Ok(vec![
            "-drive".into(),
            drive("readonly=on,", &self.code),
            "-drive".into(),
            drive("", &variables),
        ])
    }
}
