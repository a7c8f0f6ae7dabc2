//! What may be done with memory, and how the processor caches it.

use core::fmt;

use bitflags::bitflags;

/// How memory is accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Data is read.
    Read,
    /// Data is written.
    Write,
    /// An instruction is fetched.
    Execute,
}

bitflags! {
    /// What may be done with a page, and by whom. Without a right that is not named, it is refused: no `EXECUTE` means that
    /// nothing there is ever executed.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Rights: u8 {
        /// Data may be read. Every other right needs this one.
        const READ = 1 << 0;
        /// Data may be written.
        const WRITE = 1 << 1;
        /// Instructions may be fetched.
        const EXECUTE = 1 << 2;
        /// Ring 3 has the rights above too.
        const USER = 1 << 3;
    }
}

impl Rights {
    /// Data that may be read and written.
    pub const READ_WRITE: Self = Self::READ.union(Self::WRITE);
    /// Instructions.
    pub const READ_EXECUTE: Self = Self::READ.union(Self::EXECUTE);

    /// Returns whether the rights include the one that `access` needs.
    #[must_use]
    pub const fn allow(self, access: Access) -> bool {
        self.contains(match access {
            Access::Read => Self::READ,
            Access::Write => Self::WRITE,
            Access::Execute => Self::EXECUTE,
        })
    }
}

impl fmt::Display for Rights {
    /// Four letters, as in `rw-u`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = [
            (Self::READ, 'r'),
            (Self::WRITE, 'w'),
            (Self::EXECUTE, 'x'),
            (Self::USER, 'u'),
        ];
        letters.iter().try_for_each(|&(right, letter)| {
            fmt::Write::write_char(f, if self.contains(right) { letter } else { '-' })
        })
    }
}

/// How the processor caches memory: SDM volume 3A, section 12.3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemoryType {
    /// Cached for reading and writing: ordinary memory.
    #[default]
    WriteBack,
    /// Cached for reading; writing goes to memory at once.
    WriteThrough,
    /// Not cached, unless a range register says write-combining.
    UncachedMinus,
    /// Not cached: devices.
    Uncached,
    /// Not cached, writes are collected and may be reordered: framebuffers.
    WriteCombining,
}

impl fmt::Display for MemoryType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WriteBack => "WB",
            Self::WriteThrough => "WT",
            Self::UncachedMinus => "UC-",
            Self::Uncached => "UC",
            Self::WriteCombining => "WC",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_shown_as_letters() {
        assert_eq!(Rights::READ_WRITE.to_string(), "rw--");
        assert_eq!((Rights::READ_EXECUTE | Rights::USER).to_string(), "r-xu");
        assert_eq!(Rights::empty().to_string(), "----");
    }
}
