//! Amounts of memory, as people write them: `512M`.

use std::fmt;
use std::str::FromStr;

const UNITS: [(char, u32); 4] = [('K', 10), ('M', 20), ('G', 30), ('T', 40)];

/// An amount of memory in bytes.
///
/// ```
/// use cargo_unikernel::size::Size;
///
/// let size: Size = "512M".parse().unwrap();
/// assert_eq!(size.bytes(), 512 << 20);
/// assert_eq!(size.to_string(), "512M");
/// assert!("many".parse::<Size>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

impl Size {
    /// Returns an amount of `count` bytes.
    #[must_use]
    pub const fn from_bytes(count: u64) -> Self {
        Self(count)
    }

    /// Returns an amount of `count` MiB.
    #[must_use]
    pub const fn mebibytes(count: u32) -> Self {
        Self((count as u64) << 20)
    }

    /// Returns the amount in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// Returns the amount in a form for people, as in `3.4 MiB`.
    #[must_use]
    pub fn in_words(self) -> String {
        let bytes = self.0 as f64;
        match self.0 {
            0..1024 => format!("{} bytes", self.0),
            1024..0x10_0000 => format!("{:.1} KiB", bytes / 1024.0),
            0x10_0000..0x4000_0000 => format!("{:.1} MiB", bytes / 1_048_576.0),
            _ => format!("{:.1} GiB", bytes / 1_073_741_824.0),
        }
    }
}

/// Shows the size as it is written: the shortest form that is exact.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = |&&(_, shift): &&(char, u32)| self.0 != 0 && self.0.trailing_zeros() >= shift;
        match UNITS.iter().rev().find(exact) {
            Some((unit, shift)) => write!(f, "{}{unit}", self.0 >> shift),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || "write a whole number and K, M or G, as in 512M".to_owned();
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let count: u64 = digits.parse().map_err(|_| refused())?;
        let suffix = text[digits.len()..].to_ascii_uppercase();
        let letter = suffix
            .strip_suffix("IB")
            .or(suffix.strip_suffix('B'))
            .unwrap_or(&suffix);
        let (_, shift) = UNITS
            .iter()
            .find(|(unit, _)| letter.chars().eq([*unit]))
            .ok_or_else(refused)?;
        let bytes = count
            .checked_mul(1 << shift)
            .ok_or_else(|| format!("{text} is too much"))?;
        if bytes == 0 {
            Err(refused())
        } else {
            Ok(Self(bytes))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_unit_is_a_size() {
        for (text, bytes) in [
            ("512M", 512 << 20),
            ("512m", 512 << 20),
            ("2G", 2 << 30),
            ("64KiB", 64 << 10),
            ("1GB", 1 << 30),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "M",
            "512",
            "12Q",
            "-1M",
            "1.5G",
            "0M",
            "99999999999999T",
            "5 M",
            "MM5",
        ] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_size_is_shown_as_it_was_written() {
        for text in ["512M", "3G", "1536M", "7K"] {
            assert_eq!(text.parse::<Size>().unwrap().to_string(), text);
        }
        assert_eq!(Size(5).to_string(), "5 bytes");
    }
}
