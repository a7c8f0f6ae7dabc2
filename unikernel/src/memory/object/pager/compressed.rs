//! Swap in memory: pages go out packed, and come back unpacked.
//!
//! It has to work when no frame is left, so all it will ever need is set aside when it is made: blocks for the packed bytes, what
//! the packer works with, and a list of blocks for each page. When the blocks are used up it says so, and pages stay.
//!
//! ```text
//!   page 0 -> block 3 -> block 7 -> block 1          first, next: numbers of blocks of 256 bytes
//!   page 1 -> (not kept)
//!   free   -> block 0 -> block 2 -> ...
//! ```
//!
//! A page of one word all over takes one block; one of noise is kept as it is, in 16.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use lz4_flex::block::{
    CompressTable, compress_into_with_table, decompress_into, get_maximum_output_size,
};

use super::{Keeping, Pager, PagerError, Supply};
use crate::sync::SpinLock;

/// Bytes of a block.
const BLOCK: usize = 256;
/// Bytes of a page.
const PAGE: usize = 4096;
/// Ends a list of blocks.
const END: u32 = u32::MAX;

/// Anonymous memory with swap in memory: changes go out packed when frames are wanted elsewhere.
pub struct Compressed(SpinLock<Store>);

struct Store {
    blocks: Box<[[u8; BLOCK]]>,
    /// For each block the one after it.
    next: Box<[u32]>,
    free: u32,
    /// For each page what is kept of it.
    pages: Box<[Kept]>,
    packer: CompressTable,
    packed: Box<[u8]>,
}

/// What is kept of a page.
#[derive(Clone, Copy)]
struct Kept {
    first: u32,
    /// How many bytes; a whole page is not packed.
    len: u32,
}

const NOT_KEPT: Kept = Kept { first: END, len: 0 };

impl Compressed {
    /// Makes swap for an object of `len_pages`, with room for `room_bytes` of packed pages, all of it set aside now.
    ///
    /// # Errors
    ///
    /// [`PagerError::OutOfMemory`]: there is no heap for so much.
    pub fn new(len_pages: u64, room_bytes: usize) -> Result<Self, PagerError> {
        let blocks = room_bytes.div_ceil(BLOCK);
        let len_pages = usize::try_from(len_pages).map_err(|_| PagerError::OutOfMemory)?;
        let last = u32::try_from(blocks).map_err(|_| PagerError::OutOfMemory)?;
        let mut next = list(blocks, END)?;
        for (number, next) in (1..last).zip(next.iter_mut()) {
            *next = number;
        }
        Ok(Self(SpinLock::new(Store {
            blocks: list(blocks, [0; BLOCK])?,
            next,
            free: if blocks == 0 { END } else { 0 },
            pages: list(len_pages, NOT_KEPT)?,
            packer: CompressTable::default(),
            packed: list(get_maximum_output_size(PAGE), 0)?,
        })))
    }

    /// Returns how many bytes of packed pages there is still room for.
    #[must_use]
    pub fn free_bytes(&self) -> usize {
        let store = self.0.lock();
        store.list_from(store.free).count() * BLOCK
    }
}

impl Store {
    fn keep(&mut self, page: usize, contents: &[u8; PAGE]) -> Result<(), PagerError> {
        if page >= self.pages.len() {
            return Err(PagerError::Failed("the swap is smaller than the object"));
        }
        self.forget(page);
        let packed =
            compress_into_with_table(contents, &mut self.packed, &mut self.packer).unwrap_or(PAGE);
        let is_packed = packed < PAGE - BLOCK;
        let len = if is_packed { packed } else { PAGE };
        let first = self.take(len.div_ceil(BLOCK))?;
        let packed = core::mem::take(&mut self.packed);
        self.write(first, if is_packed { &packed[..len] } else { contents });
        self.packed = packed;
        self.pages[page] = Kept {
            first,
            len: len as u32,
        };
        Ok(())
    }

    fn bring_back(&mut self, page: usize, contents: &mut [u8; PAGE]) -> Result<(), PagerError> {
        let kept = self.pages.get(page).copied().unwrap_or(NOT_KEPT);
        if kept.first == END {
            contents.fill(0);
            return Ok(());
        }
        let len = kept.len as usize;
        if len == PAGE {
            self.read(kept.first, contents);
            return Ok(());
        }
        let mut packed = core::mem::take(&mut self.packed);
        self.read(kept.first, &mut packed[..len]);
        let unpacked = decompress_into(&packed[..len], contents);
        self.packed = packed;
        match unpacked {
            Ok(PAGE) => Ok(()),
            _ => Err(PagerError::Failed("the packed page is damaged")),
        }
    }

    fn forget(&mut self, page: usize) {
        let Some(kept) = self.pages.get_mut(page) else {
            return;
        };
        let first = core::mem::replace(kept, NOT_KEPT).first;
        if let Some(last) = self.list_from(first).last() {
            self.next[last as usize] = self.free;
            self.free = first;
        }
    }

    /// Takes so many blocks off the free list, or none.
    fn take(&mut self, count: usize) -> Result<u32, PagerError> {
        let last = self.list_from(self.free).nth(count - 1);
        let last = last.ok_or(PagerError::OutOfMemory)?;
        let first = self.free;
        self.free = core::mem::replace(&mut self.next[last as usize], END);
        Ok(first)
    }

    fn write(&mut self, first: u32, bytes: &[u8]) {
        let mut at = first;
        for part in bytes.chunks(BLOCK) {
            self.blocks[at as usize][..part.len()].copy_from_slice(part);
            at = self.next[at as usize];
        }
    }

    fn read(&self, first: u32, bytes: &mut [u8]) {
        for (part, at) in bytes.chunks_mut(BLOCK).zip(self.list_from(first)) {
            part.copy_from_slice(&self.blocks[at as usize][..part.len()]);
        }
    }

    fn list_from(&self, first: u32) -> impl Iterator<Item = u32> {
        let known = |number: u32| (number != END).then_some(number);
        core::iter::successors(known(first), move |&at| known(self.next[at as usize]))
    }
}

/// Makes a list of `len` equal values, if there is heap for it.
fn list<T: Clone>(len: usize, value: T) -> Result<Box<[T]>, PagerError> {
    let mut list = Vec::new();
    list.try_reserve_exact(len)
        .map_err(|_| PagerError::OutOfMemory)?;
    list.resize(len, value);
    Ok(list.into_boxed_slice())
}

impl Pager for Compressed {
    fn name(&self) -> &'static str {
        "compressed"
    }

    fn supply(&self, _offset_pages: u64) -> Supply {
        Supply::Zeros
    }

    fn page_in(&self, offset_pages: u64, page: &mut [u8; 4096]) -> Result<(), PagerError> {
        self.0.lock().bring_back(offset_pages as usize, page)
    }

    fn page_out(&self, offset_pages: u64, page: &[u8; 4096]) -> Result<(), PagerError> {
        self.0.lock().keep(offset_pages as usize, page)
    }

    fn keeping(&self) -> Keeping {
        Keeping::Swapped
    }

    fn forget(&self, offset_pages: u64) {
        self.0.lock().forget(offset_pages as usize);
    }
}

impl fmt::Debug for Compressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Compressed({} bytes free)", self.free_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(seed: u64) -> [u8; PAGE] {
        let mut state = seed | 1;
        core::array::from_fn(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
    }

    /// Proves M72.
    #[test]
    fn pages_come_back_as_they_went_whatever_they_hold() {
        let swap = Compressed::new(4, 64 << 10).expect("there is heap");
        let mut text = [b'a'; PAGE];
        text[1000..2000].fill(b'b');
        let pages = [[0; PAGE], text, noise(7), [1; PAGE]];

        for (offset, page) in (0..).zip(&pages) {
            assert_eq!(swap.page_out(offset, page), Ok(()));
        }

        for (offset, page) in (0..).zip(&pages) {
            let mut back = [9; PAGE];
            assert_eq!(swap.page_in(offset, &mut back), Ok(()));
            assert_eq!(&back, page);
        }
    }

    /// Proves M72: what is set aside is all there is, and comes back when pages are forgotten.
    #[test]
    fn when_its_room_is_used_up_a_page_is_refused_and_the_others_stay() {
        let swap = Compressed::new(3, 2 * PAGE).expect("there is heap");
        let before = swap.free_bytes();
        assert_eq!(swap.page_out(0, &noise(1)), Ok(()));
        assert_eq!(swap.page_out(1, &noise(2)), Ok(()));

        assert_eq!(swap.page_out(2, &noise(3)), Err(PagerError::OutOfMemory));

        let mut back = [0; PAGE];
        assert_eq!(swap.page_in(1, &mut back), Ok(()));
        assert_eq!(back, noise(2));
        swap.forget(0);
        assert_eq!(swap.page_out(2, &noise(3)), Ok(()));
        swap.forget(1);
        swap.forget(2);
        assert_eq!(swap.free_bytes(), before);
    }
}
