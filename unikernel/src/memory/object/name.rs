//! Names of objects.

use core::fmt;

/// The name of an object. Names of objects that ended are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectId {
    index: u32,
    generation: u32,
}

impl ObjectId {
    /// Makes the name of the object in a place, the `generation`th that was there.
    #[must_use]
    pub(crate) const fn new(index: u32, generation: u32) -> Self {
        Self { index, generation }
    }

    /// Returns the number of its place, which no other object has as long as it lives.
    pub(crate) const fn place(self) -> u32 {
        self.index
    }

    pub(super) const fn index(self) -> usize {
        self.index as usize
    }

    pub(super) const fn generation(self) -> u32 {
        self.generation
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}
