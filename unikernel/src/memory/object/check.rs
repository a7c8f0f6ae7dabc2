//! Whether objects, nodes and frames agree, recounted from nothing; and what objects look like in a dump.

use super::node::{Node, Slot};
use super::pager::Keeping;
use super::{ObjectId, Objects, View};
use crate::memory::frame::PoolHost;
use crate::memory::page::Frame;
use crate::memory::region::Name;

/// An object in a dump.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Description {
    /// Its name here.
    pub(crate) id: ObjectId,
    /// What others call it.
    pub(crate) name: Option<Name>,
    /// Where its contents come from.
    pub(crate) pager: &'static str,
    /// How many pages it has.
    pub(crate) len_pages: u64,
    /// How many of them have a frame at its top.
    pub(crate) resident_pages: u64,
    /// How many of these were changed.
    pub(crate) dirty_pages: u64,
    /// How many are out.
    pub(crate) out_pages: u64,
    /// Handles.
    pub(crate) handles: u32,
    /// Mappings.
    pub(crate) mappings: usize,
    /// How many nodes it looks through.
    pub(crate) depth: u64,
}

impl<H: PoolHost> Objects<H> {
    /// Returns every object.
    #[cfg(test)]
    pub(crate) fn describe(&self) -> impl Iterator<Item = Description> {
        let after = |before: &Description| self.describe_next(before.id.place() + 1);
        core::iter::successors(self.describe_next(0), after)
    }

    /// Returns the first object in a place or behind it.
    pub(crate) fn describe_next(&self, place: u32) -> Option<Description> {
        let mut places = (0..).zip(&self.views).skip(place as usize);
        places.find_map(|(index, place)| {
            let view = place.content.as_ref()?;
            Some(self.describe_view(ObjectId::new(index, place.generation), view))
        })
    }

    fn describe_view(&self, id: ObjectId, view: &View) -> Description {
        let node = self.node(view.top);
        let count =
            |is: fn(&Slot) -> bool| node.slots.iter().filter(|slot| is(slot)).count() as u64;
        Description {
            id,
            name: view.name,
            pager: node.pager.name(),
            len_pages: view.len_pages,
            resident_pages: count(|slot| slot.frame().is_some()),
            dirty_pages: count(|slot| matches!(slot, Slot::Dirty(_))),
            out_pages: count(|slot| *slot == Slot::Out),
            handles: view.handles,
            mappings: view.mappings.len(),
            depth: self.chain(view.top).count() as u64,
        }
    }

    /// Returns every frame of every object.
    pub(crate) fn frames(&self) -> impl Iterator<Item = Frame> {
        let nodes = self.nodes.iter().filter_map(|place| place.content.as_ref());
        nodes.flat_map(|node| node.slots.iter().filter_map(|slot| slot.frame()))
    }

    /// Checks O1 to O7.
    ///
    /// # Panics
    ///
    /// With the invariant that is broken.
    pub(crate) fn check_invariants(&self) {
        let numbers = || (0..self.nodes.len() as u32).filter(|&number| self.is_there(number));
        for number in numbers() {
            self.check_node(number);
        }
        let free = self.nodes.len() - numbers().count();
        assert_eq!(self.free_nodes.len(), free, "O7: free places");
        let views = self.views.iter().filter_map(|place| place.content.as_ref());
        let spares = views.clone().filter(|view| view.spare.is_some()).count();
        assert_eq!(self.spares, spares, "O7: spare slots");
        assert!(free >= spares, "O7: {free} places for {spares} new tops");
        for view in views {
            assert!(
                view.handles > 0 || !view.mappings.is_empty(),
                "O6: nobody has it"
            );
            let has_slots = view.spare.is_some() || !view.is_writable;
            let is_frozen = self.node(view.top).is_frozen();
            assert!(!is_frozen || has_slots, "O7: no slots for a new top");
        }
        self.check_sizes();
    }

    fn check_node(&self, number: u32) {
        let node = self.node(number);
        let children = self.children(number).count() as u32;
        assert_eq!(node.children, children, "O1: children of node {number}");
        let views = self.views.iter().filter_map(|place| place.content.as_ref());
        let views = views.filter(|view| view.top == number).count() as u32;
        assert_eq!(node.views, views, "O1: views of node {number}");
        assert!(views + children > 0, "O1: nobody sees node {number}");
        assert!(
            views > 0 || children > 1,
            "O1: node {number} was to be merged"
        );
        let held = node.slots.iter().filter(|slot| !slot.is_absent()).count() as u64;
        assert_eq!(node.held, held, "O2: pages of node {number}");
        let uncovered = self.count_uncovered(number);
        assert_eq!(node.uncovered, uncovered, "O2: uncovered by node {number}");
        let is_out = node.slots.contains(&Slot::Out);
        assert!(node.is_kept || !is_out, "O5: node {number} has pages out");
        let is_clean = node.slots.iter().any(|slot| matches!(slot, Slot::Clean(_)));
        assert!(
            node.is_kept || !is_clean || node.pager.keeping() != Keeping::WrittenBack,
            "O5: node {number} has pages that the pager may know otherwise"
        );
    }

    /// Checks O3 for each tree, which is known by its bottom.
    fn check_sizes(&self) {
        for bottom in (0..self.nodes.len() as u32).filter(|&number| self.is_there(number)) {
            if self.node(bottom).parent.is_some() {
                continue;
            }
            let is_in = |number: &u32| self.chain(*number).last() == Some(bottom);
            let nodes = (0..self.nodes.len() as u32)
                .filter(|&number| self.is_there(number))
                .filter(is_in);
            let views: u64 = nodes
                .clone()
                .map(|number| u64::from(self.node(number).views))
                .sum();
            let deepest = nodes
                .clone()
                .map(|number| self.chain(number).count() as u64)
                .max();
            assert!((nodes.count() as u64) < 2 * views, "O3: too many nodes");
            assert!(
                deepest <= Some(views),
                "O3: {deepest:?} deep for {views} views"
            );
        }
    }

    fn is_there(&self, number: u32) -> bool {
        self.nodes[number as usize].content.is_some()
    }

    /// Returns a node and all behind it.
    fn chain(&self, top: u32) -> impl Iterator<Item = u32> {
        core::iter::successors(Some(top), |&number| self.node(number).parent)
    }

    fn children(&self, number: u32) -> impl Iterator<Item = &Node> {
        let first = self.node(number).first_child;
        let next = |child: &u32| self.node(*child).next_sibling;
        core::iter::successors(first, next).map(move |child| {
            let child = self.node(child);
            assert_eq!(child.parent, Some(number), "O1: a child has another parent");
            child
        })
    }
}
