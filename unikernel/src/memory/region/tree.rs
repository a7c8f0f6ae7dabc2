//! Spans in order: a balanced tree in a slab.
//!
//! The tree knows where spans start and end and nothing else; what they stand for lies elsewhere, under the same index. It is an
//! AVL tree: the heights of two subtrees side by side differ by one at most, so a million spans are at most 28 steps deep. Nodes
//! are one cache line each and name their children by index. The index that stands for no child is out of every slab's bounds,
//! so that the check of the bounds, which has to be made anyway, is also the check for the end.
//!
//! Each node also knows, of the whole subtree below it:
//!
//! ```text
//!        low                                      high
//!         |==a==|   gap   |==node==| gap |==b==|   |         gap: the widest of the gaps inside
//! ```
//!
//! All three follow from the two children alone, which keeps rotations simple, and they lead a search for room straight to the
//! first gap that is wide enough.
//!
//! Invariants:
//!
//! - T1: spans are not empty, in order, and do not overlap.
//! - T2: the heights of two children differ by one at most.
//! - T3: `low`, `high`, `gap` and `height` of a node follow from its children.
//! - T4: each slot holds one span, or is on the list of free ones.

use core::ops::Range;

use super::error::RegionError;
use super::slab::{INLINE, Slab};

/// The index of no node.
const NONE: u32 = u32::MAX;

const LEFT: usize = 0;
const RIGHT: usize = 1;

/// One span, and what is known of all spans below it.
#[repr(align(64))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Node {
    start: u64,
    end: u64,
    /// Those before and those after. In a free slot, the first one names the next free slot.
    children: [u32; 2],
    low: u64,
    high: u64,
    gap: u64,
    height: u32,
}

impl Node {
    /// A slot that is free, and knows of no other.
    const FREE: Self = Self {
        start: 0,
        end: 0,
        children: [NONE; 2],
        low: 0,
        high: 0,
        gap: 0,
        height: 0,
    };
}

/// Where room is looked for: at or above `from`, `len` long, from a multiple of `align` on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) len: u64,
    pub(super) from: u64,
    pub(super) align: u64,
}

impl Wanted {
    /// Returns where the room starts, if the gap has it.
    pub(super) fn fit(self, gap: Range<u64>) -> Option<u64> {
        let start = gap
            .start
            .max(self.from)
            .checked_next_multiple_of(self.align)?;
        (start.checked_add(self.len)? <= gap.end).then_some(start)
    }
}

/// Spans in order.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Slab<Node>,
    root: u32,
    /// The first free slot among those below `fresh`.
    free: u32,
    /// Slots from this one on were never used.
    fresh: u32,
    len: u32,
}

impl Tree {
    /// Makes a tree without spans. It has eight slots.
    pub(super) const fn new() -> Self {
        Self {
            nodes: Slab::new([Node::FREE; INLINE]),
            root: NONE,
            free: NONE,
            fresh: 0,
            len: 0,
        }
    }

    /// Returns how many spans there are.
    pub(super) const fn len(&self) -> usize {
        self.len as usize
    }

    /// Returns how many slots `more` further spans take.
    pub(super) fn slots_for(&self, more: usize) -> Result<usize, RegionError> {
        self.len()
            .checked_add(more)
            .filter(|&slots| slots < NONE as usize)
            .ok_or(RegionError::OutOfMemory)
    }

    /// Makes at least so many slots. Out of memory, there are as many as before.
    pub(super) fn prepare(&mut self, slots: usize) -> Result<(), RegionError> {
        self.nodes.grow(slots, || Node::FREE)
    }

    /// Returns the span that holds a key.
    #[inline]
    pub(super) fn find(&self, key: u64) -> Option<u32> {
        let nodes = self.nodes.as_slice();
        let mut at = self.root;
        while let Some(node) = nodes.get(at as usize) {
            if key < node.start {
                at = node.children[LEFT];
            } else if key < node.end {
                return Some(at);
            } else {
                at = node.children[RIGHT];
            }
        }
        None
    }

    /// Returns the first span that ends after a key: the one that holds it, or else the next.
    pub(super) fn first_from(&self, key: u64) -> Option<u32> {
        let mut found = None;
        let mut at = self.root;
        while let Some(node) = self.get(at) {
            if key < node.end {
                found = Some(at);
                at = node.children[LEFT];
            } else {
                at = node.children[RIGHT];
            }
        }
        found
    }

    /// Returns the last span that starts before a key.
    pub(super) fn last_before(&self, key: u64) -> Option<u32> {
        let mut found = None;
        let mut at = self.root;
        while let Some(node) = self.get(at) {
            if node.start < key {
                found = Some(at);
                at = node.children[RIGHT];
            } else {
                at = node.children[LEFT];
            }
        }
        found
    }

    /// Returns the span with an index.
    pub(super) fn span(&self, index: u32) -> Range<u64> {
        let node = self.node(index);
        node.start..node.end
    }

    /// Adds a span that overlaps no other, and returns its index.
    ///
    /// # Panics
    ///
    /// If there is no slot; see [`Tree::prepare`].
    pub(super) fn insert(&mut self, span: Range<u64>) -> u32 {
        let new = self.take_slot();
        *self.node_mut(new) = Node {
            start: span.start,
            end: span.end,
            low: span.start,
            high: span.end,
            height: 1,
            ..Node::FREE
        };
        self.len += 1;
        self.root = self.insert_below(self.root, new);
        new
    }

    /// Removes the span with an index.
    pub(super) fn remove(&mut self, index: u32) {
        let start = self.node(index).start;
        self.root = self.remove_below(self.root, start);
        *self.node_mut(index) = Node {
            children: [self.free, NONE],
            ..Node::FREE
        };
        self.free = index;
        self.len -= 1;
    }

    /// Gives the span with an index another start and end, which lie in the gaps beside it or in itself.
    pub(super) fn set_span(&mut self, index: u32, span: Range<u64>) {
        let node = self.node_mut(index);
        let key = node.start;
        (node.start, node.end) = (span.start, span.end);
        // The order is what it was, so the way down to the old start is still the way to the node.
        self.refresh(self.root, index, key);
    }

    /// Returns where the first room of the kind starts, within bounds that hold all spans.
    pub(super) fn find_room(&self, wanted: Wanted, bounds: Range<u64>) -> Option<u64> {
        let Some(root) = self.get(self.root) else {
            return wanted.fit(bounds);
        };
        wanted
            .fit(bounds.start..root.low)
            .or_else(|| self.room_below(self.root, wanted))
            .or_else(|| wanted.fit(root.high..bounds.end))
    }

    fn get(&self, index: u32) -> Option<&Node> {
        self.nodes.as_slice().get(index as usize)
    }

    fn node(&self, index: u32) -> &Node {
        &self.nodes.as_slice()[index as usize]
    }

    fn node_mut(&mut self, index: u32) -> &mut Node {
        &mut self.nodes.as_mut_slice()[index as usize]
    }

    fn height(&self, index: u32) -> u32 {
        self.get(index).map_or(0, |node| node.height)
    }

    fn take_slot(&mut self) -> u32 {
        if self.free != NONE {
            let slot = self.free;
            self.free = self.node(slot).children[LEFT];
            return slot;
        }
        assert!(
            (self.fresh as usize) < self.nodes.as_slice().len(),
            "T4: a slot is prepared for each span"
        );
        self.fresh += 1;
        self.fresh - 1
    }

    /// Returns where the first room inside the subtree starts: between its spans, not before or after them.
    fn room_below(&self, at: u32, wanted: Wanted) -> Option<u64> {
        let node = self.get(at)?;
        if node.gap < wanted.len || node.high <= wanted.from {
            return None;
        }
        let [left, right] = node.children;
        let before = || wanted.fit(self.get(left)?.high..node.start);
        let after = || wanted.fit(node.end..self.get(right)?.low);
        self.room_below(left, wanted)
            .or_else(before)
            .or_else(after)
            .or_else(|| self.room_below(right, wanted))
    }

    /// Puts a node into the subtree, and returns its new top.
    fn insert_below(&mut self, at: u32, new: u32) -> u32 {
        let Some(node) = self.get(at) else {
            return new;
        };
        let side = side_of(self.node(new).start, node.start);
        let child = self.insert_below(node.children[side], new);
        self.node_mut(at).children[side] = child;
        self.balance(at)
    }

    /// Takes the node that starts at `start` out of the subtree, and returns its new top.
    fn remove_below(&mut self, at: u32, start: u64) -> u32 {
        let node = *self.node(at);
        if node.start != start {
            let side = side_of(start, node.start);
            let child = self.remove_below(node.children[side], start);
            self.node_mut(at).children[side] = child;
            return self.balance(at);
        }
        match node.children {
            [only, NONE] | [NONE, only] => only,
            [left, right] => {
                let (rest, first) = self.take_first(right);
                self.node_mut(first).children = [left, rest];
                self.balance(first)
            }
        }
    }

    /// Takes the first node out of the subtree; returns its new top, and the node.
    fn take_first(&mut self, at: u32) -> (u32, u32) {
        let [left, right] = self.node(at).children;
        if left == NONE {
            return (right, at);
        }
        let (rest, first) = self.take_first(left);
        self.node_mut(at).children[LEFT] = rest;
        (self.balance(at), first)
    }

    /// Brings what is known of subtrees up to date on the way from `at` to the node `index`, which is found under `key`.
    fn refresh(&mut self, at: u32, index: u32, key: u64) {
        if at != index {
            let node = self.node(at);
            let child = node.children[side_of(key, node.start)];
            self.refresh(child, index, key);
        }
        self.update(at);
    }

    /// Makes the heights of the children differ by one at most, after a change by one below; returns the new top.
    fn balance(&mut self, at: u32) -> u32 {
        let [left, right] = self.node(at).children.map(|child| self.height(child));
        if left > right + 1 {
            self.lift(at, LEFT)
        } else if right > left + 1 {
            self.lift(at, RIGHT)
        } else {
            self.update(at);
            at
        }
    }

    /// Makes the higher subtree's top the top of both.
    fn lift(&mut self, at: u32, side: usize) -> u32 {
        let child = self.node(at).children[side];
        let [outer, inner] = [side, 1 - side].map(|side| self.node(child).children[side]);
        if self.height(inner) > self.height(outer) {
            let top = self.rotate(child, 1 - side);
            self.node_mut(at).children[side] = top;
        }
        self.rotate(at, side)
    }

    /// Makes the child on one side the top, and its parent a child of it.
    fn rotate(&mut self, at: u32, side: usize) -> u32 {
        let top = self.node(at).children[side];
        let middle = self.node(top).children[1 - side];
        self.node_mut(at).children[side] = middle;
        self.node_mut(top).children[1 - side] = at;
        self.update(at);
        self.update(top);
        top
    }

    /// Works out what a node knows of its subtree.
    fn update(&mut self, at: u32) {
        let known = self.known_of(at);
        *self.node_mut(at) = known;
    }

    /// Returns a node with what follows from its children.
    fn known_of(&self, at: u32) -> Node {
        let mut node = *self.node(at);
        (node.low, node.high, node.gap, node.height) = (node.start, node.end, 0, 1);
        if let Some(left) = self.get(node.children[LEFT]) {
            node.low = left.low;
            node.gap = left.gap.max(node.start - left.high);
            node.height = left.height + 1;
        }
        if let Some(right) = self.get(node.children[RIGHT]) {
            node.high = right.high;
            node.gap = node.gap.max(right.gap).max(right.low - node.end);
            node.height = node.height.max(right.height + 1);
        }
        node
    }

    /// Checks T1 to T4.
    ///
    /// # Panics
    ///
    /// If one does not hold.
    pub(super) fn check_invariants(&self) {
        let mut end = 0;
        let spans = self.check_below(self.root, &mut end);
        assert_eq!(spans, self.len(), "T4: spans");
        let mut slots = spans;
        let mut free = self.free;
        while free != NONE {
            assert!(slots < self.fresh as usize, "T4: the free list is a ring");
            slots += 1;
            free = self.node(free).children[LEFT];
        }
        assert_eq!(slots, self.fresh as usize, "T4: slots are lost");
    }

    /// Checks a subtree, whose spans start at or after `end`; moves `end` behind them, and counts them.
    fn check_below(&self, at: u32, end: &mut u64) -> usize {
        let Some(node) = self.get(at) else {
            return 0;
        };
        let [left, right] = node.children;
        let before = self.check_below(left, end);
        assert!(*end <= node.start && node.start < node.end, "T1: {node:?}");
        *end = node.end;
        let after = self.check_below(right, end);
        let lean = self.height(left).abs_diff(self.height(right));
        assert!(lean <= 1, "T2: {node:?}");
        assert_eq!(*node, self.known_of(at), "T3");
        before + 1 + after
    }
}

/// Returns on which side of a node that starts at `start` a key is.
const fn side_of(key: u64, start: u64) -> usize {
    if key < start { LEFT } else { RIGHT }
}

#[cfg(test)]
impl Tree {
    /// Returns how many slots there are.
    pub(super) const fn slots(&self) -> usize {
        self.nodes.as_slice().len()
    }

    /// Returns how many nodes a walk meets at most.
    pub(super) fn steps(&self) -> u32 {
        self.height(self.root)
    }
}
