//! A list whose first values need no memory, so that the maps of the kernel exist before its heap does.

use alloc::vec::Vec;

use super::error::RegionError;

/// How many values lie in the list itself.
pub(super) const INLINE: usize = 8;

/// Values by index. The first eight lie here; when there are more, all move to the heap, and stay there.
#[derive(Debug)]
pub(super) struct Slab<T> {
    inline: [T; INLINE],
    heap: Vec<T>,
}

impl<T> Slab<T> {
    /// Makes a list of these values.
    pub(super) const fn new(inline: [T; INLINE]) -> Self {
        Self {
            inline,
            heap: Vec::new(),
        }
    }

    /// Returns all values.
    #[inline]
    pub(super) const fn as_slice(&self) -> &[T] {
        if self.heap.is_empty() {
            &self.inline
        } else {
            self.heap.as_slice()
        }
    }

    /// Returns all values, to change them.
    #[inline]
    pub(super) const fn as_mut_slice(&mut self) -> &mut [T] {
        if self.heap.is_empty() {
            &mut self.inline
        } else {
            self.heap.as_mut_slice()
        }
    }

    /// Makes the list at least `len` values long, the new ones made by `fresh`. Out of memory, it stays as it was.
    pub(super) fn grow(&mut self, len: usize, fresh: impl Fn() -> T) -> Result<(), RegionError> {
        if len <= self.as_slice().len() {
            return Ok(());
        }
        let more = len.max(2 * INLINE) - self.heap.len();
        self.heap
            .try_reserve(more)
            .map_err(|_| RegionError::OutOfMemory)?;
        if self.heap.is_empty() {
            let values = self.inline.iter_mut();
            self.heap
                .extend(values.map(|value| core::mem::replace(value, fresh())));
        }
        let room = self.heap.capacity();
        self.heap.resize_with(room, fresh);
        Ok(())
    }
}
