//! The bootable ISO: image, modules, GRUB for BIOS and UEFI with only the GRUB modules it needs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;
use crate::grub;
use crate::module::Module;
use crate::process;

/// What `grub.cfg` uses, and the partition schemes GRUB's own UEFI start looks for.
const GRUB_MODULES: &str = "normal multiboot2 serial terminal echo iso9660 sleep reboot all_video \
    part_acorn part_amiga part_apple part_bsd part_dfly part_dvh part_gpt part_msdos part_plan part_sun part_sunpc";

/// Writes an ISO that boots `elf` with the given words and modules.
pub(crate) fn write(
    iso: &Path,
    elf: &Path,
    words: &[String],
    modules: &[Module],
) -> Result<(), Error> {
    let configuration = grub::configuration(words, modules)?;
    let tree = tempfile::tempdir().map_err(Error::io("make a folder for the ISO"))?;
    let folder = tree.path().join("boot/grub");
    fs::create_dir_all(&folder).map_err(Error::io("make a folder for the ISO"))?;
    fs::write(folder.join("grub.cfg"), configuration).map_err(Error::io("write grub.cfg"))?;

    let mut command = Command::new("grub-mkrescue");
    command.args(["--locales=", "--fonts=", "--themes=", "--compress=xz"]);
    command.arg(format!("--install-modules={GRUB_MODULES}"));
    command.arg("-o").arg(iso).arg(tree.path());
    command.arg(graft("/boot/image.elf", elf));
    for (index, module) in modules.iter().enumerate() {
        command.arg(graft(&format!("/boot/module{index}"), &module.path));
    }
    process::checked(command, "make the ISO")
}

/// Returns xorriso's way to say that the ISO's `target` is the file `source`.
fn graft(target: &str, source: &Path) -> PathBuf {
    let source = source
        .to_string_lossy()
        .replace('\\', r"\\")
        .replace('=', r"\=");
    format!("{target}={source}").into()
}
