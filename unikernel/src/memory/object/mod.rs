//! Objects: contents that outlive a mapping. Files, boot modules, shared memory, snapshots.
//!
//! An object is a *view*: what handles and regions point to. Its pages lie in the nodes of a tree, which views of one origin
//! share; a [snapshot](Objects::snapshot) is a second view of the same pages, and what is written later through either goes to a
//! node of its own.
//!
//! | file | what |
//! |---|---|
//! | `mod.rs` | views: made, named, mapped, ended |
//! | `access.rs` | what a reader sees, what a writer needs: for the fault handler |
//! | `outward.rs` | pages written back, and paged out |
//! | `node.rs`, `tree.rs` | nodes, and the rules that keep trees small |
//! | `pager.rs` | where contents come from |
//! | `check.rs` | whether all of this agrees, and what it looks like |
//!
//! # Frames and memory
//!
//! An object has one share of each of its frames; every page that shows it has another. All that a fault may need is allocated
//! before: eight bytes for each page when an object is made, and as much again with each snapshot. So nothing in `access.rs`
//! allocates.
//!
//! # Lock
//!
//! All objects have one lock, which the caller holds. Spaces are locked before, never after.

mod access;
mod check;
mod error;
mod name;
mod node;
mod outward;
pub mod pager;
#[cfg(test)]
mod tests;
mod tree;

use alloc::sync::Arc;
use alloc::vec::Vec;

pub(crate) use self::access::{Found, InPlace, Others, PageIn, Written};
pub(crate) use self::check::Description;
pub use self::error::ObjectError;
pub use self::name::ObjectId;
use self::node::{Node, Slots, slots};
pub(crate) use self::outward::PageOut;
use self::pager::Keeping;
pub(crate) use self::pager::{Pager, PagerError};
use crate::memory::frame::{FramePool, PoolHost};
use crate::memory::page::PageRange;
use crate::memory::region::Name;

/// The most pages of an object: those of half an address space.
const MOST_PAGES: u64 = 1 << 35;

/// All objects.
pub(crate) struct Objects<H: PoolHost + 'static> {
    pool: &'static FramePool<H>,
    views: Vec<Place<View>>,
    nodes: Vec<Place<Node>>,
    /// Places of nodes that are free, from the last to the first.
    free_nodes: Vec<u32>,
    /// How many new tops may still be needed: so many places stay free.
    spares: usize,
    /// Where the search for pages that can go out goes on.
    hand: (u32, u64),
    /// Pagers of objects that have ended, until somebody without a lock drops them: they may hold memory and objects themselves.
    ended: Vec<Arc<dyn Pager>>,
}

/// A place that is used again, so that names of what was there before can be told from those of what is there now.
struct Place<T> {
    generation: u32,
    content: Option<T>,
}

/// Contents, as those see them who have this object.
struct View {
    top: u32,
    len_pages: u64,
    handles: u32,
    mappings: Vec<Mapping>,
    name: Option<Name>,
    /// The slots of the next top, from a snapshot until the first write after it.
    spare: Option<Slots>,
    is_writable: bool,
    is_snapshot: bool,
}

/// A part of a space that shows a part of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    /// The number of the space.
    pub(crate) space: u32,
    /// Its pages.
    pub(crate) pages: PageRange,
    /// Which page of the object the first of them shows.
    pub(crate) offset_pages: u64,
}

impl<H: PoolHost> Objects<H> {
    /// Makes what knows no object yet.
    pub(crate) const fn new(pool: &'static FramePool<H>) -> Self {
        Self {
            pool,
            views: Vec::new(),
            nodes: Vec::new(),
            free_nodes: Vec::new(),
            spares: 0,
            hand: (0, 0),
            ended: Vec::new(),
        }
    }

    /// Makes an object, with one handle. Named ones can be [opened](Self::open) by others.
    pub(crate) fn create(
        &mut self,
        len_pages: u64,
        pager: Arc<dyn Pager>,
        name: Option<&str>,
    ) -> Result<ObjectId, ObjectError> {
        if !(1..=MOST_PAGES).contains(&len_pages) {
            return Err(ObjectError::Size(len_pages));
        }
        let name = name.map(Name::new);
        if let Some(name) = name.filter(|&name| self.named(name).is_some()) {
            return Err(ObjectError::NameTaken(name));
        }
        let slots = slots(len_pages)?;
        self.reserve_nodes(1)?;
        self.reserve_view()?;
        let is_writable = pager.keeping() != Keeping::Refused;
        let top = self.add_node(Node::bottom(slots, pager));
        Ok(self.add_view(View {
            top,
            len_pages,
            handles: 1,
            mappings: Vec::new(),
            name,
            spare: None,
            is_writable,
            is_snapshot: false,
        }))
    }

    /// Adds a handle to the object with a name.
    pub(crate) fn open(&mut self, name: &str) -> Result<ObjectId, ObjectError> {
        let name = Name::new(name);
        let id = self.named(name).ok_or(ObjectError::NoName(name))?;
        self.add_handle(id)?;
        Ok(id)
    }

    /// Adds a handle.
    pub(crate) fn add_handle(&mut self, id: ObjectId) -> Result<(), ObjectError> {
        self.view_mut(id)?.handles += 1;
        Ok(())
    }

    /// Takes a handle away. Without handles and mappings the object ends, and its frames are free.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub(crate) fn drop_handle(&mut self, id: ObjectId) {
        let view = self.view_mut(id).expect("O6: a handle keeps its object");
        view.handles = view
            .handles
            .checked_sub(1)
            .expect("O6: handles are counted");
        self.after_loss(id);
    }

    /// Makes a second object with the same contents, with one handle. The caller takes the right to write from all who map the
    /// first one: from now on its pages stay as they are, and writes make copies.
    pub(crate) fn snapshot(&mut self, id: ObjectId) -> Result<ObjectId, ObjectError> {
        let view = self.view(id)?;
        let (top, len_pages) = (view.top, view.len_pages);
        let theirs = slots(len_pages)?;
        let ours = match view.spare {
            None if view.is_writable => Some(slots(len_pages)?),
            _ => None,
        };
        self.reserve_nodes(1 + usize::from(ours.is_some()))?;
        self.reserve_view()?;
        if ours.is_some() {
            self.view_mut(id)?.spare = ours;
            self.spares += 1;
        }
        self.spares += 1;
        self.node_mut(top).views += 1;
        Ok(self.add_view(View {
            top,
            len_pages,
            handles: 1,
            mappings: Vec::new(),
            name: None,
            spare: Some(theirs),
            is_writable: true,
            is_snapshot: true,
        }))
    }

    /// Notes that a part of a space shows a part of the object.
    pub(crate) fn attach(&mut self, id: ObjectId, mapping: Mapping) -> Result<(), ObjectError> {
        let view = self.view_mut(id)?;
        let Mapping {
            pages,
            offset_pages,
            ..
        } = mapping;
        let end = offset_pages.checked_add(pages.len());
        if end.is_none_or(|end| end > view.len_pages) {
            return Err(ObjectError::BeyondEnd {
                pages,
                offset_pages,
                len_pages: view.len_pages,
            });
        }
        if let Some(before) = view
            .mappings
            .iter_mut()
            .find(|before| before.goes_on(&mapping))
        {
            let len = before.pages.len() + pages.len();
            before.pages = PageRange::new(before.pages.start(), len);
            return Ok(());
        }
        view.reserve_mapping()?;
        view.mappings.push(mapping);
        Ok(())
    }

    /// Makes room for one mapping more, so that a part can be taken out of the middle of one.
    pub(crate) fn prepare_split(&mut self, id: ObjectId) -> Result<(), ObjectError> {
        self.view_mut(id)?.reserve_mapping()
    }

    /// Notes that these pages of a space do not show the object any more. A part out of the middle of a mapping needs
    /// [room](Self::prepare_split).
    pub(crate) fn detach(&mut self, id: ObjectId, mapping: Mapping) {
        let view = self.view_mut(id).expect("O6: a mapping keeps its object");
        let mut index = 0;
        while let Some(known) = view.mappings.get(index).copied() {
            let is_same_space = known.space == mapping.space;
            match known
                .pages
                .intersection(mapping.pages)
                .filter(|_| is_same_space)
            {
                None => index += 1,
                Some(gone) => {
                    view.mappings.swap_remove(index);
                    view.mappings
                        .extend(known.without(gone).into_iter().flatten());
                }
            }
        }
        self.after_loss(id);
    }

    /// Takes the pager of an object that has ended, for the caller to drop when it holds no lock.
    pub(crate) fn take_ended(&mut self) -> Option<Arc<dyn Pager>> {
        self.ended.pop()
    }

    /// Returns the first mapping with pages at or behind this page of this space, in the order of spaces and pages. Who goes on behind
    /// it meets everything that was mapped all the time, whatever comes and goes meanwhile.
    pub(crate) fn mapping_from(&self, id: ObjectId, from: (u32, u64)) -> Option<Mapping> {
        let mappings = self.mappings(id).copied();
        let behind = mappings.filter(|mapping| (mapping.space, mapping.pages.end_number()) > from);
        behind.min_by_key(|mapping| (mapping.space, mapping.pages.start()))
    }

    /// Returns how many handles an object has; nothing if it has ended.
    pub(crate) fn handles(&self, id: ObjectId) -> Option<u32> {
        self.view(id).ok().map(|view| view.handles)
    }

    /// Returns who maps the object.
    pub(crate) fn mappings(&self, id: ObjectId) -> impl Iterator<Item = &Mapping> {
        self.view(id).into_iter().flat_map(|view| &view.mappings)
    }

    /// Returns how many pages the object has; nothing if it has ended.
    pub(crate) fn len_pages(&self, id: ObjectId) -> Option<u64> {
        self.view(id).ok().map(|view| view.len_pages)
    }

    /// Checks that the object can be written.
    pub(crate) fn check_writable(&self, id: ObjectId) -> Result<(), ObjectError> {
        if self.view(id)?.is_writable {
            Ok(())
        } else {
            Err(ObjectError::ReadOnly(id))
        }
    }

    /// Gives an object that shares no pages with another another size, and returns the one it had. Pages beyond it are freed.
    pub(crate) fn resize(&mut self, id: ObjectId, len_pages: u64) -> Result<u64, ObjectError> {
        let view = self.view(id)?;
        let (top, before) = (view.top, view.len_pages);
        if !(1..=MOST_PAGES).contains(&len_pages) {
            return Err(ObjectError::Size(len_pages));
        }
        let is_beyond = |mapping: &Mapping| mapping.offset_pages + mapping.pages.len() > len_pages;
        if view.mappings.iter().any(is_beyond) {
            return Err(ObjectError::Mapped(id));
        }
        let node = self.node(top);
        if node.parent.is_some() || node.is_frozen() {
            return Err(ObjectError::Shared(id));
        }
        let mut resized = slots(len_pages)?;
        for offset in len_pages..before {
            self.drop_page(top, offset);
        }
        let node = self.node_mut(top);
        let kept = node.slots.len().min(resized.len());
        resized[..kept].copy_from_slice(&node.slots[..kept]);
        node.slots = resized;
        // What a pager brings that was asked before is for pages that may be gone, or others.
        self.nodes[top as usize].generation += 1;
        let view = self.view_mut(id)?;
        view.len_pages = len_pages;
        if view.spare.take().is_some() {
            self.spares -= 1;
        }
        Ok(before)
    }

    /// Ends an object that nobody has any more, or frees those of its pages that nobody can see.
    fn after_loss(&mut self, id: ObjectId) {
        let Ok(view) = self.view(id) else {
            return;
        };
        if view.handles > 0 {
            return;
        }
        if !view.mappings.is_empty() {
            self.trim(id);
            return;
        }
        let place = &mut self.views[id.index()];
        place.generation += 1;
        let view = place.content.take().expect("O6: it was there just now");
        self.spares -= usize::from(view.spare.is_some());
        self.node_mut(view.top).views -= 1;
        self.settle(view.top);
    }

    /// Frees pages outside all windows on an object without handles (rule 6).
    fn trim(&mut self, id: ObjectId) {
        let Ok(view) = self.view(id) else {
            return;
        };
        let (top, len_pages) = (view.top, view.len_pages);
        if self.node(top).is_frozen() {
            return;
        }
        for offset in 0..len_pages {
            let is_seen = self.mappings(id).any(|mapping| mapping.shows(offset));
            if !is_seen && !self.node(top).slot(offset).is_absent() {
                self.drop_page(top, offset);
            }
        }
    }

    fn named(&self, name: Name) -> Option<ObjectId> {
        let mut views = (0..).zip(&self.views);
        views.find_map(|(index, place)| {
            let view = place.content.as_ref()?;
            (view.name == Some(name)).then_some(ObjectId::new(index, place.generation))
        })
    }

    fn view(&self, id: ObjectId) -> Result<&View, ObjectError> {
        let place = self.views.get(id.index());
        place
            .filter(|place| place.generation == id.generation())
            .and_then(|place| place.content.as_ref())
            .ok_or(ObjectError::NoObject(id))
    }

    fn view_mut(&mut self, id: ObjectId) -> Result<&mut View, ObjectError> {
        let place = self.views.get_mut(id.index());
        place
            .filter(|place| place.generation == id.generation())
            .and_then(|place| place.content.as_mut())
            .ok_or(ObjectError::NoObject(id))
    }

    /// Makes room for one view more.
    fn reserve_view(&mut self) -> Result<(), ObjectError> {
        let is_full = self.views.iter().all(|place| place.content.is_some());
        if is_full {
            push_free(&mut self.views)?;
        }
        Ok(())
    }

    fn add_view(&mut self, view: View) -> ObjectId {
        let mut places = (0..).zip(&mut self.views);
        let (index, place) = places
            .find(|(_, place)| place.content.is_none())
            .expect("O7: room was made for a view");
        place.content = Some(view);
        ObjectId::new(index, place.generation)
    }

    /// Makes room for so many nodes, besides those that will be needed for sure.
    fn reserve_nodes(&mut self, count: usize) -> Result<(), ObjectError> {
        while self.free_nodes.len() < self.spares + count {
            self.free_nodes
                .try_reserve(self.nodes.len() + 1 - self.free_nodes.len())
                .map_err(|_| ObjectError::OutOfMemory { len_pages: 0 })?;
            push_free(&mut self.nodes)?;
            self.free_nodes.push(self.nodes.len() as u32 - 1);
        }
        // Objects end without memory for it.
        self.ended
            .try_reserve(self.nodes.len())
            .map_err(|_| ObjectError::OutOfMemory { len_pages: 0 })
    }

    fn add_node(&mut self, node: Node) -> u32 {
        let number = self.free_nodes.pop().expect("O7: room was made for a node");
        self.nodes[number as usize].content = Some(node);
        number
    }

    fn remove_node(&mut self, number: u32) -> Node {
        let place = &mut self.nodes[number as usize];
        place.generation += 1;
        self.free_nodes.push(number);
        place.content.take().expect("O7: the node is there")
    }

    fn node(&self, number: u32) -> &Node {
        let place = &self.nodes[number as usize];
        place.content.as_ref().expect("O7: the node is there")
    }

    fn node_mut(&mut self, number: u32) -> &mut Node {
        let place = &mut self.nodes[number as usize];
        place.content.as_mut().expect("O7: the node is there")
    }
}

fn push_free<T>(places: &mut Vec<Place<T>>) -> Result<(), ObjectError> {
    places
        .try_reserve(1)
        .map_err(|_| ObjectError::OutOfMemory { len_pages: 0 })?;
    places.push(Place {
        generation: 0,
        content: None,
    });
    Ok(())
}

impl View {
    fn reserve_mapping(&mut self) -> Result<(), ObjectError> {
        let reserved = self.mappings.try_reserve(1);
        reserved.map_err(|_| ObjectError::OutOfMemory { len_pages: 0 })
    }
}

impl Mapping {
    /// Returns whether another mapping begins where this one ends, in the space and in the object.
    fn goes_on(&self, next: &Self) -> bool {
        self.space == next.space
            && self.pages.end_number() == next.pages.start().number()
            && self.offset_pages + self.pages.len() == next.offset_pages
    }

    /// Returns whether a page of the object is shown.
    fn shows(&self, offset: u64) -> bool {
        (self.offset_pages..self.offset_pages + self.pages.len()).contains(&offset)
    }

    /// Returns what is left below and above when some of the pages go.
    fn without(&self, gone: PageRange) -> [Option<Self>; 2] {
        let first = self.pages.start().number();
        let part = |from: u64, to: u64| {
            let pages = PageRange::new(self.pages.get(from - first)?, to - from);
            (from < to).then_some(Self {
                pages,
                offset_pages: self.offset_pages + (from - first),
                ..*self
            })
        };
        [
            part(first, gone.start().number()),
            part(gone.end_number(), self.pages.end_number()),
        ]
    }
}
