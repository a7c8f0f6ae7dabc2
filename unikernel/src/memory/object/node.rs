//! A node of the tree: pages, and the node whose pages show where it has none.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::error::ObjectError;
use super::pager::{Keeping, Pager};
use crate::memory::page::Frame;

/// What a node has at an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// Nothing: ask the parent, or at the bottom the pager.
    Absent,
    /// A frame as its pager knows it.
    Clean(Frame),
    /// A frame that was written to since.
    Dirty(Frame),
    /// Contents that went to the pager.
    Out,
}

impl Slot {
    pub(super) const fn frame(self) -> Option<Frame> {
        match self {
            Self::Clean(frame) | Self::Dirty(frame) => Some(frame),
            Self::Absent | Self::Out => None,
        }
    }

    pub(super) fn is_absent(self) -> bool {
        self == Self::Absent
    }

    /// Notes that the pager does not know the contents.
    pub(super) const fn change(&mut self) {
        if let Self::Clean(frame) = *self {
            *self = Self::Dirty(frame);
        }
    }
}

/// The slots of a node.
pub(super) type Slots = Box<[Slot]>;

/// Makes slots without pages, if there is heap for them.
pub(super) fn slots(len_pages: u64) -> Result<Slots, ObjectError> {
    let error = ObjectError::OutOfMemory { len_pages };
    let len = usize::try_from(len_pages).map_err(|_| error)?;
    let mut slots = Vec::new();
    slots.try_reserve_exact(len).map_err(|_| error)?;
    slots.resize(len, Slot::Absent);
    Ok(slots.into_boxed_slice())
}

/// Pages, and where to look for those that are not here.
pub(super) struct Node {
    pub(super) slots: Slots,
    /// How many slots are not absent.
    pub(super) held: u64,
    /// How many pages the parent holds and this node does not.
    pub(super) uncovered: u64,
    /// The node that shows where this one has nothing; none at the bottom.
    pub(super) parent: Option<u32>,
    /// The first of the nodes whose parent this is, and the next with the same parent.
    pub(super) first_child: Option<u32>,
    pub(super) next_sibling: Option<u32>,
    pub(super) children: u32,
    /// How many views have this node at their top.
    pub(super) views: u32,
    /// At the bottom: where contents come from.
    pub(super) pager: Arc<dyn Pager>,
    /// Whether the pager keeps pages for this node: for one node at most of those that come from one object.
    pub(super) is_kept: bool,
}

impl Node {
    /// Makes the node of a new object.
    pub(super) fn bottom(slots: Slots, pager: Arc<dyn Pager>) -> Self {
        Self {
            slots,
            held: 0,
            uncovered: 0,
            parent: None,
            first_child: None,
            next_sibling: None,
            children: 0,
            views: 1,
            pager,
            is_kept: true,
        }
    }

    /// Makes a node in front of another one, for one view.
    pub(super) fn child_of(number: u32, parent: &Self, slots: Slots) -> Self {
        Self {
            uncovered: parent.held,
            parent: Some(number),
            is_kept: false,
            ..Self::bottom(slots, Arc::clone(&parent.pager))
        }
    }

    /// Returns whether somebody else sees the pages of this node: another view, or a node in front of it. Then they stay as
    /// they are.
    pub(super) const fn is_frozen(&self) -> bool {
        self.views + self.children > 1
    }

    pub(super) fn slot(&self, offset: u64) -> Slot {
        let slot = usize::try_from(offset)
            .ok()
            .and_then(|offset| self.slots.get(offset));
        slot.copied().unwrap_or(Slot::Absent)
    }

    /// Puts something in a slot, and returns what was there.
    pub(super) fn set(&mut self, offset: u64, slot: Slot) -> Slot {
        let place = &mut self.slots[offset as usize];
        let before = core::mem::replace(place, slot);
        self.held += u64::from(before.is_absent());
        self.held -= u64::from(slot.is_absent());
        before
    }

    /// Returns whether nobody behind this node is asked for a page any more.
    pub(super) fn hides(&self, parent: &Self) -> bool {
        let is_all = self.held == self.slots.len() as u64;
        let has_more_than_pages = parent.parent.is_none() && !parent.supplies_zeros();
        self.uncovered == 0 && (is_all || !has_more_than_pages)
    }

    /// Returns whether contents come from this pager.
    pub(super) fn is_of(&self, pager: &Arc<dyn Pager>) -> bool {
        core::ptr::addr_eq(Arc::as_ptr(&self.pager), Arc::as_ptr(pager))
    }

    /// Returns whether what is absent at the bottom is zeros.
    pub(super) fn supplies_zeros(&self) -> bool {
        matches!(self.pager.keeping(), Keeping::InMemory | Keeping::Swapped)
            && self.pager.supply(0) == super::pager::Supply::Zeros
    }
}
