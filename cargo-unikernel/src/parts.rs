//! The programs and files of others that the tool needs, where they are, and which package brings them.

use std::path::PathBuf;

use crate::compile::TARGET;
use crate::firmware::Ovmf;
use crate::{process, qemu};

/// Something the tool needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The precompiled library of the target that images are built for.
    Target,
    /// The C compiler, which rustc links with.
    Linker,
    /// The emulator.
    Qemu,
    /// The maker of bootable ISOs.
    GrubMkrescue,
    /// GRUB for BIOS.
    GrubBios,
    /// GRUB for UEFI.
    GrubUefi,
    /// The writer of ISOs.
    Xorriso,
    /// The writer of the FAT image that UEFI starts from.
    Mtools,
    /// UEFI for the emulator.
    Ovmf,
}

/// What building takes.
pub(crate) const TO_BUILD: &[Part] = &[Part::Target, Part::Linker];
/// What making an ISO takes.
pub(crate) const TO_WRITE_DISCS: &[Part] = &[
    Part::GrubMkrescue,
    Part::GrubBios,
    Part::GrubUefi,
    Part::Xorriso,
    Part::Mtools,
];
/// What running a machine takes.
pub(crate) const TO_RUN: &[Part] = &[Part::Qemu];
/// What running a machine with UEFI takes besides.
pub(crate) const TO_RUN_UEFI: &[Part] = &[Part::Ovmf];

impl Part {
    /// Returns what it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Target => TARGET,
            Self::Linker => "cc",
            Self::Qemu => qemu::QEMU,
            Self::GrubMkrescue => "grub-mkrescue",
            Self::GrubBios => "GRUB for BIOS",
            Self::GrubUefi => "GRUB for UEFI",
            Self::Xorriso => "xorriso",
            Self::Mtools => "mtools",
            Self::Ovmf => "OVMF",
        }
    }

    /// Returns the Debian packages that bring it; none if rustup does.
    pub(crate) fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Target => &[],
            Self::Linker => &["gcc", "libc6-dev"],
            Self::Qemu => &["qemu-system-x86"],
            Self::GrubMkrescue => &["grub-common"],
            Self::GrubBios => &["grub-pc-bin"],
            Self::GrubUefi => &["grub-efi-amd64-bin"],
            Self::Xorriso => &["xorriso"],
            Self::Mtools => &["mtools"],
            Self::Ovmf => &["ovmf"],
        }
    }

    /// Returns where it is, by the search path alone: files are looked for beside the program they belong to.
    pub(crate) fn find(self) -> Option<PathBuf> {
        match self {
            Self::Target => target_folder(),
            Self::Mtools => process::find("mformat"),
            Self::GrubBios => grub_folder("i386-pc"),
            Self::GrubUefi => grub_folder("x86_64-efi"),
            Self::Ovmf => Ovmf::find().map(|ovmf| ovmf.code().to_owned()),
            Self::Linker | Self::Qemu | Self::GrubMkrescue | Self::Xorriso => {
                process::find(self.name())
            }
        }
    }
}

/// Returns those of the given parts that are missing.
pub(crate) fn missing(parts: &[Part]) -> Vec<Part> {
    parts
        .iter()
        .copied()
        .filter(|part| part.find().is_none())
        .collect()
}

/// Returns where the target's library is. On the very system it is for, it is part of the toolchain and not looked for,
/// as asking the compiler takes longer than all else together.
fn target_folder() -> Option<PathBuf> {
    if cfg!(all(
        target_arch = "x86_64",
        target_os = "linux",
        target_env = "gnu"
    )) {
        return Some(PathBuf::new());
    }
    let folder = process::said("rustc", &["--print", "target-libdir", "--target", TARGET])?;
    Some(PathBuf::from(folder)).filter(|folder| folder.is_dir())
}

fn grub_folder(platform: &str) -> Option<PathBuf> {
    let program = process::find("grub-mkrescue")?;
    let folder = program.parent()?.parent()?.join("lib/grub").join(platform);
    folder.join("multiboot2.mod").exists().then_some(folder)
}
