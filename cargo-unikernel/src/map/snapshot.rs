//! What an image said of its memory.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer};

/// Bytes of a page.
const PAGE: u64 = 4096;

/// The version of the form that is understood.
const VERSION: u64 = 1;

/// All memory of an image, at one moment.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Snapshot {
    version: u64,
    /// What frames are used for.
    pub frames: Frames,
    /// Each address space.
    pub spaces: Vec<Space>,
    /// Parts of the kernel's half, from the lowest up.
    pub kernel: Vec<Part>,
    /// Contents that regions show, or that somebody keeps.
    pub objects: Vec<Object>,
}

/// What frames are used for.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Frames {
    /// Frames that the machine has.
    pub total: u64,
    /// Frames that are never handed out.
    pub reserved: u64,
    /// Frames that can be handed out.
    pub free: u64,
    /// Frames that are handed out, for each use.
    pub used: BTreeMap<String, u64>,
}

/// An address space.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Space {
    /// Its number.
    pub number: u64,
    /// Whether it is the kernel's.
    pub is_kernel: bool,
    /// Its regions, from the lowest up.
    pub regions: Vec<Region>,
}

/// A promise about pages.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Region {
    /// The address of its first byte.
    #[serde(deserialize_with = "address")]
    pub start: u64,
    /// How many pages it has.
    pub pages: u64,
    /// What may be done with it: four letters or dashes.
    pub rights: String,
    /// What a fork does with it: `private` or `shared`.
    pub sharing: String,
    /// What it is called.
    pub name: String,
    /// How many of its pages are mapped, and how.
    pub counters: Counters,
    /// What it is made of.
    #[serde(flatten)]
    pub kind: Kind,
}

/// Pages that are mapped.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
pub struct Counters {
    /// Pages that may be written as far as the region's rights go.
    pub regular: u64,
    /// Pages that show a page of an object, besides.
    pub cached: u64,
    /// Pages that a write has to copy first.
    pub copy_on_write: u64,
}

/// What a region is made of.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Kind {
    /// Zeros, with frames from the first write on.
    Lazy,
    /// Zeros, with frames from the beginning.
    Committed,
    /// A stack, with a guard at its lowest page.
    Stack,
    /// Twice the same frames side by side.
    Ring,
    /// A language runtime's heap.
    Heap,
    /// Frames that nobody counts.
    Fixed {
        /// How they are cached.
        memory_type: String,
    },
    /// Frames that a device knows.
    Dma {
        /// How they are cached.
        memory_type: String,
    },
    /// A window on an object.
    Object {
        /// The object's name.
        object: String,
        /// Where in the object it begins.
        offset_pages: u64,
    },
    /// Sections between guards.
    Guarded {
        /// Pages of each.
        section_pages: u64,
        /// How many there are.
        sections: u64,
        /// How many are in use.
        sections_used: u64,
    },
}

/// A part of the kernel's half.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Part {
    /// What it is called.
    pub name: String,
    /// The address of its first byte.
    #[serde(deserialize_with = "address")]
    pub start: u64,
    /// How many pages it spans.
    pub pages: u64,
    /// How many of them are mapped.
    pub mapped: u64,
    /// What may be done with it: four letters or dashes.
    pub rights: String,
}

/// Contents that outlive the regions that show them.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Object {
    /// What regions call it.
    pub id: String,
    /// What others open it by, if it has a name.
    pub name: Option<String>,
    /// Where its contents come from.
    pub pager: String,
    /// How many pages it has.
    pub pages: u64,
    /// How many of them have a frame of its own.
    pub resident: u64,
    /// How many regions show it.
    pub mappings: u64,
}

/// Why a text is not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotError {
    /// Image and tool are of different ages.
    Version(u64),
    /// It is not, or not whole, what an image writes; a sentence says why.
    Malformed(String),
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(
                f,
                "the image describes its memory in version {version}, this tool knows {VERSION}"
            ),
            Self::Malformed(why) => write!(f, "the image describes its memory strangely: {why}"),
        }
    }
}

impl std::error::Error for SnapshotError {}

impl Snapshot {
    /// Reads what an image wrote.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`]: the text is of another version, or something is wrong with it.
    pub fn parse(text: &str) -> Result<Self, SnapshotError> {
        let malformed = |error: serde_json::Error| SnapshotError::Malformed(error.to_string());
        let value: serde_json::Value = serde_json::from_str(text).map_err(malformed)?;
        match value["version"].as_u64() {
            Some(VERSION) => serde_json::from_value(value).map_err(malformed),
            Some(other) => Err(SnapshotError::Version(other)),
            None => Err(SnapshotError::Malformed("it has no version".to_owned())),
        }
    }
}

impl Frames {
    /// Returns what frames are used for, the most first; then those that are reserved and free. Uses without any are left out.
    #[must_use]
    pub fn uses(&self) -> Vec<(&str, u64)> {
        let used = self
            .used
            .iter()
            .map(|(name, &frames)| (name.as_str(), frames));
        let mut uses: Vec<_> = used.collect();
        uses.sort_by_key(|&(_, frames)| Reverse(frames));
        uses.extend([("reserved", self.reserved), ("free", self.free)]);
        uses.retain(|&(_, frames)| frames > 0);
        uses
    }
}

impl Region {
    /// Returns the address after its last byte.
    #[must_use]
    pub fn end(&self) -> u64 {
        end(self.start, self.pages)
    }

    /// Returns how many pages are mapped.
    #[must_use]
    pub fn mapped(&self) -> u64 {
        self.counters.regular + self.counters.copy_on_write
    }
}

impl Part {
    /// Returns the address after its last byte; the last page ends where numbers do.
    #[must_use]
    pub fn end(&self) -> u64 {
        end(self.start, self.pages)
    }
}

impl Kind {
    /// Returns the word for it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Lazy => "lazy",
            Self::Committed => "committed",
            Self::Stack => "stack",
            Self::Ring => "ring",
            Self::Heap => "heap",
            Self::Fixed { .. } => "fixed",
            Self::Dma { .. } => "dma",
            Self::Object { .. } => "object",
            Self::Guarded { .. } => "guarded",
        }
    }
}

/// Returns an amount of memory for people, as in `64 KiB` or `1.5 GiB`.
pub(crate) fn size(pages: u64) -> String {
    const UNITS: [(&str, u64); 4] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
    ];
    let bytes = pages.saturating_mul(PAGE);
    let fitting = UNITS.iter().rev().find(|(_, unit)| bytes >= *unit);
    let (unit, factor) = fitting.unwrap_or(&UNITS[0]);
    let tenths = (u128::from(bytes) * 10 + u128::from(factor / 2)) / u128::from(*factor);
    match tenths % 10 {
        0 => format!("{} {unit}", tenths / 10),
        _ if tenths >= 1000 => format!("{} {unit}", (tenths + 5) / 10),
        tenth => format!("{}.{tenth} {unit}", tenths / 10),
    }
}

/// Returns an address for people: the upper and the lower 32 bits apart, without leading zeros.
pub(crate) fn shown_address(address: u64) -> String {
    match address >> 32 {
        0 => format!("{address:#x}"),
        upper => format!("{upper:#x}_{:08x}", address & 0xffff_ffff),
    }
}

fn end(start: u64, pages: u64) -> u64 {
    start.saturating_add(pages.saturating_mul(PAGE))
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    let digits = text.strip_prefix("0x");
    let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    number.ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no address")))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What an image writes, with one region of each make.
    pub(in crate::map) const EXAMPLE: &str = r#"{"version":1,
        "frames":{"total":1000,"reserved":100,"free":600,"used":
            {"kernel":0,"page tables":40,"frame records":60,"heap":120,"user":80,"page cache":0}},
        "spaces":[{"number":0,"is_kernel":true,"regions":[
            {"start":"0x10000","pages":64,"rights":"rw--","sharing":"private","name":"stack of main","is_locked":false,
             "counters":{"regular":3,"cached":0,"copy_on_write":1},"kind":"stack"},
            {"start":"0x50000","pages":16,"rights":"r---","sharing":"shared","name":"<book> & \"co\"","is_locked":false,
             "counters":{"regular":16,"cached":16,"copy_on_write":0},"kind":"object","object":"3.1","offset_pages":0},
            {"start":"0x7f0000000000","pages":25,"rights":"rw-u","sharing":"private","name":"stacks","is_locked":false,
             "counters":{"regular":2,"cached":0,"copy_on_write":0},"kind":"guarded",
             "section_pages":5,"sections":4,"sections_used":1}]},
          {"number":1,"is_kernel":false,"regions":[]}],
        "kernel":[
            {"name":"the heap","start":"0xffff800000000000","pages":64,"mapped":64,"rights":"rw--"},
            {"name":"text","start":"0xffffffff80200000","pages":40,"mapped":40,"rights":"r-x-"},
            {"name":"the boot stack","start":"0xffffffff80229000","pages":256,"mapped":256,"rights":"rw--"}],
        "objects":[
            {"id":"3.1","name":"book","pager":"bytes","pages":20,"resident":16,"dirty":0,"out":0,
             "handles":1,"mappings":1,"depth":1},
            {"id":"4.0","name":null,"pager":"zeros","pages":1,"resident":0,"dirty":0,"out":0,
             "handles":1,"mappings":0,"depth":1}]}"#;

    #[test]
    fn what_an_image_writes_is_understood() {
        let snapshot = Snapshot::parse(EXAMPLE).unwrap();

        let regions = &snapshot.spaces[0].regions;
        assert_eq!((regions[0].start, regions[0].end()), (0x10000, 0x50000));
        assert_eq!(regions[0].mapped(), 4);
        let words: Vec<_> = regions.iter().map(|region| region.kind.word()).collect();
        assert_eq!(words, ["stack", "object", "guarded"]);
        assert_eq!(snapshot.kernel[1].start, 0xffff_ffff_8020_0000);
    }

    #[test]
    fn the_use_of_most_frames_comes_first_and_unused_ones_not_at_all() {
        let snapshot = Snapshot::parse(EXAMPLE).unwrap();

        let expected = [
            ("heap", 120),
            ("user", 80),
            ("frame records", 60),
            ("page tables", 40),
            ("reserved", 100),
            ("free", 600),
        ];
        assert_eq!(snapshot.frames.uses(), expected);
    }

    #[test]
    fn what_is_wrong_with_a_text_is_said() {
        let newer = EXAMPLE.replacen("\"version\":1", "\"version\":2", 1);
        let odd = EXAMPLE.replacen("0x10000", "10000", 1);

        for (text, said) in [
            ("", "EOF"),
            ("{}", "no version"),
            (&newer, "version 2, this tool knows 1"),
            (&odd, "`10000` is no address"),
        ] {
            let error = Snapshot::parse(text).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn amounts_are_shown_in_the_unit_that_fits() {
        for (pages, shown) in [
            (0, "0 KiB"),
            (1, "4 KiB"),
            (16, "64 KiB"),
            (255, "1020 KiB"),
            (256, "1 MiB"),
            (300, "1.2 MiB"),
            (1 << 18, "1 GiB"),
            (3 << 17, "1.5 GiB"),
            (1 << 35, "128 TiB"),
        ] {
            assert_eq!(size(pages), shown);
        }
    }

    #[test]
    fn addresses_are_shown_in_halves() {
        assert_eq!(shown_address(0x10000), "0x10000");
        assert_eq!(shown_address(0x7f00_0000_1000), "0x7f00_00001000");
        assert_eq!(shown_address(0xffff_ffff_8020_0000), "0xffffffff_80200000");
    }
}
