//! Constant bytes: a boot module.

use super::{Keeping, Pager, PagerError, Supply};
use crate::memory::page::PAGE_SIZE;

/// Bytes that are somewhere for good, such as a boot module. Each page is copied when it is first read; behind the last byte are
/// zeros. The object itself cannot be written; private mappings and snapshots of it can.
#[derive(Clone, Copy, Debug)]
pub struct Bytes(&'static [u8]);

impl Bytes {
    /// Makes a pager of bytes.
    #[must_use]
    pub const fn new(bytes: &'static [u8]) -> Self {
        Self(bytes)
    }

    /// Returns how many pages hold all bytes.
    #[must_use]
    pub const fn len_pages(&self) -> u64 {
        (self.0.len() as u64).div_ceil(PAGE_SIZE)
    }
}

impl Pager for Bytes {
    fn name(&self) -> &'static str {
        "bytes"
    }

    fn supply(&self, offset_pages: u64) -> Supply {
        if offset_pages < self.len_pages() {
            Supply::PageIn
        } else {
            Supply::Beyond
        }
    }

    fn page_in(&self, offset_pages: u64, page: &mut [u8; 4096]) -> Result<(), PagerError> {
        let start = usize::try_from(offset_pages * PAGE_SIZE).ok();
        let rest = start.and_then(|start| self.0.get(start..));
        let rest = rest.ok_or(PagerError::Failed("the bytes end before"))?;
        let len = rest.len().min(page.len());
        page[..len].copy_from_slice(&rest[..len]);
        page[len..].fill(0);
        Ok(())
    }

    fn page_out(&self, _offset_pages: u64, _page: &[u8; 4096]) -> Result<(), PagerError> {
        Err(PagerError::Failed("the bytes are constant"))
    }

    fn keeping(&self) -> Keeping {
        Keeping::Refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves M72, M74.
    #[test]
    fn pages_hold_the_bytes_and_zeros_behind_them() {
        static FILE: [u8; 5000] = [7; 5000];
        let pager = Bytes::new(&FILE);
        let mut page = [1; 4096];

        assert_eq!(pager.len_pages(), 2);
        assert_eq!(pager.page_in(0, &mut page), Ok(()));
        assert_eq!(page, [7; 4096]);
        assert_eq!(pager.page_in(1, &mut page), Ok(()));
        assert_eq!(page[..904], [7; 904]);
        assert_eq!(page[904..], [0; 4096 - 904]);
        assert_eq!(pager.supply(2), Supply::Beyond);
        assert!(pager.page_in(2, &mut page).is_err());
    }
}
