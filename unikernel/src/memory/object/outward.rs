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
    /// Returns whether changes are to be written back to where the contents come from.
    pub(crate) fn is_written_back(&self, id: ObjectId) -> bool {
        let view = self.view(id);
        view.is_ok_and(|view| self.node(view.top).pager.keeping() == Keeping::WrittenBack)
    }

    /// Returns whether changes are to be written back before the object ends, though nobody asked: what was made as a snapshot is
    /// to keep them apart.
    pub(crate) fn is_written_back_at_end(&self, id: ObjectId) -> bool {
        self.is_written_back(id) && self.view(id).is_ok_and(|view| !view.is_snapshot)
    }

    /// Returns the first page at or after an offset that was changed since it was written back.
    pub(crate) fn next_dirty(&self, id: ObjectId, from: u64) -> Option<u64> {
        let view = self.view(id).ok()?;
        let is_dirty = |&offset: &u64| matches!(self.find(view.top, offset), (_, Slot::Dirty(_)));
        (from..view.len_pages).find(is_dirty)
    }

    /// Takes a changed page to write it back. What is written to it from now on counts as a new change, once the caller has taken
    /// the right to write from all who map it. From now on the pager has what this object shows; what snapshots of it show is kept in
    /// memory only.
    pub(crate) fn take_dirty(&mut self, id: ObjectId, offset: u64) -> Option<PageOut> {
        let top = self.view(id).ok()?.top;
        let (number, slot) = self.find(top, offset);
        match slot {
            Slot::Dirty(frame) => {
                self.keep_by_pager(number);
                Some(self.take_out(number, offset, frame, slot))
            }
            _ => None,
        }
    }

    /// Learns what became of a page that was to be written back. Returns the answer. The caller drops the page when it holds no lock:
    /// it may be the last that has its pager.
    pub(crate) fn written_back(
        &mut self,
        page: &PageOut,
        answer: Result<(), PagerError>,
    ) -> Result<(), PagerError> {
        if answer.is_err()
            && let Some(number) = self.holder(page)
        {
            self.node_mut(number)
                .set(page.offset, Slot::Dirty(page.frame));
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
    /// or the pager refused. The page is dropped as in [`written_back`](Self::written_back).
    pub(crate) fn paged_out(&mut self, page: &PageOut, answer: Result<(), PagerError>) -> bool {
        self.drop_share(page.frame);
        let Some(number) = self.holder(page) else {
            self.forget_if_in_memory(page);
            return false;
        };
        let is_unused = self.pool.map_count(page.frame) == Ok(1);
        let after = match (page.is_changed, answer) {
            (true, Ok(())) if is_unused && self.node(number).is_kept => Slot::Out,
            (false, _) if is_unused => Slot::Absent,
            (true, Ok(())) => {
                page.pager.forget(page.offset);
                Slot::Dirty(page.frame)
            }
            (true, Err(_)) => Slot::Dirty(page.frame),
            (false, _) => return false,
        };
        let node = self.node_mut(number);
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

    /// Returns the node that holds the page, if nobody has written to it: the one that held it, or one that this was merged into.
    fn holder(&self, page: &PageOut) -> Option<u32> {
        let holds = |number: &u32| {
            let node = self.nodes[*number as usize].content.as_ref();
            node.is_some_and(|node| node.slot(page.offset) == Slot::Clean(page.frame))
        };
        let here = Some(page.node).filter(&holds);
        here.or_else(|| (0..self.nodes.len() as u32).find(holds))
    }

    /// Lets the pager forget a page that it took, when that is in memory again, or gone.
    fn forget_if_in_memory(&self, page: &PageOut) {
        let place = &self.nodes[page.node as usize];
        let node = place.content.as_ref();
        let node = node.filter(|_| place.generation == page.generation);
        if page.is_changed && node.is_some_and(|node| node.slot(page.offset) != Slot::Out) {
            page.pager.forget(page.offset);
        }
    }

    /// Makes a node the one whose pages the pager keeps. What others have as the pager knew it counts as changed from now on: the
    /// pager will know something else.
    fn keep_by_pager(&mut self, number: u32) {
        if self.node(number).is_kept || self.node(number).pager.keeping() != Keeping::WrittenBack {
            return;
        }
        let pager = Arc::clone(&self.node(number).pager);
        let nodes = self
            .nodes
            .iter_mut()
            .filter_map(|place| place.content.as_mut());
        for node in nodes.filter(|node| node.is_of(&pager) && node.is_kept) {
            node.is_kept = false;
            node.slots.iter_mut().for_each(Slot::change);
        }
        self.node_mut(number).is_kept = true;
    }

    fn victim_of(&self, index: u32, from: u64) -> Option<u64> {
        let view = self.views[index as usize].content.as_ref()?;
        let node = self.node(view.top);
        (from..view.len_pages).find(|&offset| can_go(node, offset))
    }
}

/// Returns whether a page can leave a node, because nobody else sees that, and the pager brings it back.
fn can_go(node: &Node, offset: u64) -> bool {
    let is_alone = !node.is_frozen() && node.parent.is_none() && node.is_kept;
    let comes_back = || match node.slot(offset) {
        Slot::Dirty(_) => node.pager.keeping() == Keeping::Swapped,
        Slot::Clean(_) => node.pager.supply(offset) == Supply::PageIn,
        Slot::Absent | Slot::Out => false,
    };
    is_alone && comes_back()
}
