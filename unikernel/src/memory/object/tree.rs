//! The tree of nodes, and what keeps it small.
//!
//! ```text
//!   view a     view b        view c
//!      |          |             |
//!    node 3     node 4          |         what a and b have written since the snapshots
//!        \        /             |
//!         node 1 <--------------+         frozen: several see it
//!            |
//!         node 0  pager                   the bottom
//! ```
//!
//! A page is looked for from a view's top downwards; the first hit counts, and the bottom always answers. Rules:
//!
//! 1. A view points at its top only, a node at its parent only; a node counts the views and children that see it.
//! 2. A snapshot is a second view of the same top, which nobody writes to from then on.
//! 3. A write through a view whose top others see makes a new top for that view. When nobody else sees a node any more, its view
//!    writes to it again, without a copy.
//! 4. A top that holds every page that its parent holds lets go of the parent, and looks at the grandparent instead. What counts
//!    is which pages, not how many; and a bottom whose pager has contents holds all its pages, resident or not.
//! 5. A node that nobody sees is deleted. One that is seen only by one child is merged into it.
//! 6. Pages outside all windows of a view that nobody has a handle of, and whose top nobody else sees, are freed.
//!
//! Invariants:
//!
//! - O1: views and children are counted; each child is on the list of its parent once.
//! - O2: `held` and `uncovered` are what counting gives.
//! - O3: a tree with V views has at most 2 V - 1 nodes, and none of them is deeper than V.
//! - O4: each frame is held by one slot, which has a share of it.
//! - O5: what a pager keeps are pages of one node at most, whose `is_kept` says so. Others have no page that is out, and none that is
//!   as the pager knows it where that may change.

use super::Objects;
use super::node::{Node, Slot, Slots};
use crate::memory::frame::PoolHost;
use crate::memory::page::Frame;

impl<H: PoolHost> Objects<H> {
    /// Returns what lies at an offset for who looks from a node: the first node that has something, or the bottom.
    pub(super) fn find(&self, top: u32, offset: u64) -> (u32, Slot) {
        let mut number = top;
        loop {
            let node = self.node(number);
            let slot = node.slot(offset);
            match node.parent {
                Some(parent) if slot.is_absent() => number = parent,
                _ => return (number, slot),
            }
        }
    }

    /// Makes a new top in front of a node, for one of the views that have that at their top (rule 3).
    pub(super) fn push_child(&mut self, number: u32, slots: Slots) -> u32 {
        let node = Node::child_of(number, self.node(number), slots);
        let child = self.add_node(node);
        self.node_mut(number).views -= 1;
        self.link(number, child);
        child
    }

    /// Puts a frame into a slot that was absent.
    pub(super) fn hold(&mut self, number: u32, offset: u64, slot: Slot) {
        let before = self.node_mut(number).set(offset, slot);
        assert!(before.is_absent(), "O4: {before:?} was there");
        self.note_held(number, offset);
    }

    /// Lets a top go past parents whose pages it all hides (rule 4).
    pub(super) fn bypass(&mut self, number: u32) {
        while let Some(parent) = self.node(number).parent {
            if !self.node(number).hides(self.node(parent)) {
                return;
            }
            let grandparent = self.node(parent).parent;
            self.unlink(parent, number);
            self.node_mut(number).parent = grandparent;
            match grandparent {
                Some(grandparent) => {
                    self.link(grandparent, number);
                    self.recount(number);
                }
                None => self.become_bottom(number, parent),
            }
            self.settle(parent);
        }
    }

    /// Makes a node the bottom that had this one behind it. What pages go out, go out where they did, if nobody else does that.
    fn become_bottom(&mut self, number: u32, before: u32) {
        let before = self.node_mut(before);
        let is_kept = before.is_kept && before.views + before.children == 0;
        before.is_kept &= !is_kept;
        let node = self.node_mut(number);
        node.is_kept |= is_kept;
        node.uncovered = 0;
    }

    /// Deletes or merges a node if too few see it, and then those behind it (rule 5).
    pub(super) fn settle(&mut self, number: u32) {
        let mut next = Some(number);
        while let Some(number) = next {
            let node = self.node(number);
            let parent = node.parent;
            match (node.views, node.children) {
                (0, 0) => self.delete(number),
                (0, 1) => self.merge(number),
                _ => return,
            }
            next = parent;
        }
    }

    /// Frees a page of a node that nobody else sees.
    pub(super) fn drop_page(&mut self, number: u32, offset: u64) {
        let slot = self.node_mut(number).set(offset, Slot::Absent);
        self.release(number, offset, slot);
        let parent = self.node(number).parent;
        let shows = parent.is_some_and(|parent| !self.node(parent).slot(offset).is_absent());
        if shows && !slot.is_absent() {
            self.node_mut(number).uncovered += 1;
        }
    }

    /// Gives up what a slot held.
    fn release(&self, number: u32, offset: u64, slot: Slot) {
        match slot {
            Slot::Clean(frame) | Slot::Dirty(frame) => self.drop_share(frame),
            Slot::Out => self.node(number).pager.forget(offset),
            Slot::Absent => {}
        }
    }

    pub(super) fn drop_share(&self, frame: Frame) {
        self.pool
            .remove_mapping(frame)
            .unwrap_or_else(|error| panic!("O4: an object had a share of the frame: {error}"));
    }

    fn delete(&mut self, number: u32) {
        for offset in 0..self.node(number).slots.len() as u64 {
            let slot = self.node(number).slot(offset);
            self.release(number, offset, slot);
        }
        let node = self.remove_node(number);
        if let Some(parent) = node.parent {
            self.unlink_removed(parent, number, node.next_sibling);
        }
        if node.is_kept {
            self.hand_over(&node);
        }
        if node.parent.is_none() {
            self.ended.push(node.pager);
        }
    }

    /// Lets the pager keep pages for another node of the same origin, or tells it that there is none.
    fn hand_over(&mut self, ended: &Node) {
        let mut nodes = self
            .nodes
            .iter_mut()
            .filter_map(|place| place.content.as_mut());
        match nodes.find(|node| node.is_of(&ended.pager)) {
            Some(heir) => heir.is_kept = true,
            None => ended.pager.release(),
        }
    }

    /// Gives the only child of a node the pages that it lacks, frees the others, and takes the node out.
    fn merge(&mut self, number: u32) {
        let child = self.node(number).first_child;
        let child = child.expect("O1: the node has one child");
        for offset in 0..self.node(number).slots.len() as u64 {
            let slot = self.node(number).slot(offset);
            if slot.is_absent() {
                continue;
            }
            if self.node(child).slot(offset).is_absent() {
                self.node_mut(child).set(offset, slot);
                self.note_held_below(child, offset);
            } else {
                self.release(number, offset, slot);
            }
        }
        let node = self.remove_node(number);
        self.node_mut(child).parent = node.parent;
        self.node_mut(child).is_kept |= node.is_kept;
        if let Some(parent) = node.parent {
            self.unlink_removed(parent, number, node.next_sibling);
            self.link(parent, child);
        }
        self.recount(child);
    }

    /// Notes that a node holds a page more, for itself and those in front of it.
    fn note_held(&mut self, number: u32, offset: u64) {
        let parent = self.node(number).parent;
        if parent.is_some_and(|parent| !self.node(parent).slot(offset).is_absent()) {
            self.node_mut(number).uncovered -= 1;
        }
        self.note_held_below(number, offset);
    }

    fn note_held_below(&mut self, number: u32, offset: u64) {
        let mut child = self.node(number).first_child;
        while let Some(number) = child {
            let node = self.node_mut(number);
            node.uncovered += u64::from(node.slot(offset).is_absent());
            child = node.next_sibling;
        }
    }

    /// Counts anew how many pages the parent holds and a node does not.
    fn recount(&mut self, number: u32) {
        self.node_mut(number).uncovered = self.count_uncovered(number);
    }

    pub(super) fn count_uncovered(&self, number: u32) -> u64 {
        let node = self.node(number);
        let Some(parent) = node.parent.map(|parent| self.node(parent)) else {
            return 0;
        };
        let lacks =
            |offset: &u64| node.slot(*offset).is_absent() && !parent.slot(*offset).is_absent();
        (0..node.slots.len() as u64).filter(lacks).count() as u64
    }

    fn link(&mut self, parent: u32, child: u32) {
        let next = self.node(parent).first_child;
        self.node_mut(child).next_sibling = next;
        let parent = self.node_mut(parent);
        parent.first_child = Some(child);
        parent.children += 1;
    }

    fn unlink(&mut self, parent: u32, child: u32) {
        let next = self.node(child).next_sibling;
        self.unlink_removed(parent, child, next);
    }

    /// Takes a child off the list of its parent, given the sibling after it.
    fn unlink_removed(&mut self, parent: u32, child: u32, next: Option<u32>) {
        self.node_mut(parent).children -= 1;
        if self.node(parent).first_child == Some(child) {
            self.node_mut(parent).first_child = next;
            return;
        }
        let mut at = self.node(parent).first_child;
        while let Some(sibling) = at {
            let node = self.node_mut(sibling);
            if node.next_sibling == Some(child) {
                node.next_sibling = next;
                return;
            }
            at = node.next_sibling;
        }
        panic!("O1: node {child} is not on the list of its parent");
    }
}
