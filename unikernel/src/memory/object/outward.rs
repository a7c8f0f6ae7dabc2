//! Pages that go out: written back to where they came from, or paged out to make room.
//!
//! ```text
//!   Dirty --take_dirty--> Clean --page_out fails--> Dirty          written back
//!   Dirty --evict--> Clean --page_out--> Out                       paged out, unless somebody used it meanwhile
//!   Clean --evict--> Absent                                        dropped: the pager has it
//! ```

use alloc::sync::Arc;

use super::node::{Node, Slot};
use super::pager::{Keeping, Pager, PagerError, Supply};
use super::{ObjectId, Objects};
use crate::memory::frame::PoolHost;
use crate::memory::page::Frame;

/// A page on its way out. It has a share of its frame, so that this stays what it is.
#[must_use = "the page is told what became of it by `written_back` or `paged_out`"]
pub(crate) struct PageOut {
    node: u32,
    generation: u32,
    offset: u64,
    frame: Frame,
    is_changed: bool,
    pager: Arc<dyn Pager>,
}

impl PageOut {
    /// Returns to whom it goes.
    pub(crate) fn pager(&self) -> &dyn Pager {
        &*self.pager
    }

    /// Returns which page it is.
    pub(crate) const fn offset_pages(&self) -> u64 {
        self.offset
    }

    /// Returns its contents.
    pub(crate) const fn frame(&self) -> Frame {
        self.frame
    }

    /// Returns whether the pager has other contents than these.
    pub(crate) const fn is_changed(&self) -> bool {
        self.is_changed
    }
}

impl<H: PoolHost> Objects<H> {
    /// Returns the first page at or after an offset that was changed since it was written back.
    pub(crate) fn next_dirty(&self, id: ObjectId, from: u64) -> Option<u64> {
        let view = self.view(id).ok()?;
        let is_dirty = |&offset: &u64| matches!(self.find(view.top, offset), (_, Slot::Dirty(_)));
        (from..view.len_pages).find(is_dirty)
    }

    /// Takes a changed page to write it back. What is written to it from now on counts as a new change, once the caller has taken
    /// the right to write from all who map it.
    pub(crate) fn take_dirty(&mut self, id: ObjectId, offset: u64) -> Option<PageOut> {
        let top = self.view(id).ok()?.top;
        let (number, slot) = self.find(top, offset);
        match slot {
            Slot::Dirty(frame) => Some(self.take_out(number, offset, frame, slot)),
            _ => None,
        }
    }

    /// Learns what became of a page that was to be written back. Returns the answer.
    pub(crate) fn written_back(
        &mut self,
        page: PageOut,
        answer: Result<(), PagerError>,
    ) -> Result<(), PagerError> {
        if answer.is_err() {
            self.change_if(&page, Slot::Dirty(page.frame));
        }
        self.drop_share(page.frame);
        answer
    }

    /// Chooses a page that can go out to make room, one after the other: the object, and which of its pages.
    pub(crate) fn choose_victim(&mut self) -> Option<(ObjectId, u64)> {
        let views = self.views.len() as u32;
        let (view, offset) = self.hand;
        for step in 0..=views {
            let index = (view + step).checked_rem(views)?;
            let from = if step == 0 { offset } else { 0 };
            if let Some(offset) = self.victim_of(index, from) {
                self.hand = (index, offset + 1);
                let generation = self.views[index as usize].generation;
                return Some((ObjectId::new(index, generation), offset));
            }
        }
        None
    }

    /// Takes a page to page it out, after nobody shows it any more.
    pub(crate) fn evict(&mut self, id: ObjectId, offset: u64) -> Option<PageOut> {
        let top = self.view(id).ok()?.top;
        let slot = self.node(top).slot(offset);
        let frame = slot.frame().filter(|_| can_go(self.node(top), offset))?;
        Some(self.take_out(top, offset, frame, slot))
    }

    /// Learns what became of a page that was to go out. Returns whether its frame is free now: not if somebody used it meanwhile,
    /// or the pager refused.
    pub(crate) fn paged_out(&mut self, page: PageOut, answer: Result<(), PagerError>) -> bool {
        self.drop_share(page.frame);
        let is_unused = self.pool.map_count(page.frame) == Ok(1);
        let is_same = self.is_still(&page);
        let after = match (page.is_changed, answer) {
            _ if !is_same => return false,
            (true, Ok(())) if is_unused => Slot::Out,
            (false, _) if is_unused => Slot::Absent,
            (true, Ok(())) => {
                page.pager.forget(page.offset);
                Slot::Dirty(page.frame)
            }
            (true, Err(_)) => Slot::Dirty(page.frame),
            (false, _) => return false,
        };
        let node = self.node_mut(page.node);
        node.set(page.offset, after);
        let is_gone = after.frame().is_none();
        if is_gone {
            self.drop_share(page.frame);
        }
        is_gone
    }

    fn take_out(&mut self, number: u32, offset: u64, frame: Frame, slot: Slot) -> PageOut {
        self.node_mut(number).set(offset, Slot::Clean(frame));
        let shared = self.pool.add_mapping(frame);
        shared.expect("O4: an object has a share of the frame");
        PageOut {
            node: number,
            generation: self.nodes[number as usize].generation,
            offset,
            frame,
            is_changed: matches!(slot, Slot::Dirty(_)),
            pager: Arc::clone(&self.node(number).pager),
        }
    }

    /// Returns whether the page is where it was, and nobody has written to it.
    fn is_still(&self, page: &PageOut) -> bool {
        let place = &self.nodes[page.node as usize];
        let node = place.content.as_ref();
        place.generation == page.generation
            && node.is_some_and(|node| node.slot(page.offset) == Slot::Clean(page.frame))
    }

    fn change_if(&mut self, page: &PageOut, slot: Slot) {
        if self.is_still(page) {
            self.node_mut(page.node).set(page.offset, slot);
        }
    }

    fn victim_of(&self, index: u32, from: u64) -> Option<u64> {
        let view = self.views[index as usize].content.as_ref()?;
        let node = self.node(view.top);
        (from..view.len_pages).find(|&offset| can_go(node, offset))
    }
}

/// Returns whether a page can leave a node, because nobody else sees that, and the pager brings it back.
fn can_go(node: &Node, offset: u64) -> bool {
    let is_alone = !node.is_frozen() && node.parent.is_none();
    let comes_back = || match node.slot(offset) {
        Slot::Dirty(_) => node.is_kept && node.pager.keeping() == Keeping::Swapped,
        Slot::Clean(_) => node.pager.supply(offset) == Supply::PageIn,
        Slot::Absent | Slot::Out => false,
    };
    is_alone && comes_back()
}
