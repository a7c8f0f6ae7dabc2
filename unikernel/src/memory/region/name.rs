//! Names of regions, for reports. They lie within the region and need no memory of their own.

use core::fmt;

/// The most bytes a name has.
const MOST: usize = 23;

/// What a region is called in reports and dumps.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name {
    /// Bytes of `text` that are the name.
    len: u8,
    text: [u8; MOST],
}

impl Name {
    /// Makes a name of as many whole characters of `text` as fit 23 bytes.
    #[must_use]
    pub const fn new(text: &str) -> Self {
        let (head, _) = text.as_bytes().split_at(text.floor_char_boundary(MOST));
        let mut name = Self {
            len: head.len() as u8,
            text: [0; MOST],
        };
        name.text.split_at_mut(head.len()).0.copy_from_slice(head);
        name
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = &self.text[..usize::from(self.len)];
        core::str::from_utf8(bytes).expect("R8: a name is whole characters of a string")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_cut_between_characters_never_inside_one() {
        let table = [
            ("", ""),
            ("stack of main", "stack of main"),
            ("exactly twenty-three by", "exactly twenty-three by"),
            ("exactly twenty-four byte", "exactly twenty-four byt"),
            ("twenty-two bytes here:é", "twenty-two bytes here:"),
            ("€€€€€€€€", "€€€€€€€"),
        ];

        for (text, shown) in table {
            assert_eq!(Name::new(text).as_str(), shown);
        }
    }

    #[test]
    fn names_are_padded_like_strings() {
        assert_eq!(format!("{:>6}|{0:?}", Name::new("heap")), "  heap|\"heap\"");
    }
}
