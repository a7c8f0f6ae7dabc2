//! What a reader sees and a writer needs. Nothing here allocates.

use alloc::sync::Arc;

use super::node::Slot;
use super::pager::{Pager, Supply};
use super::{ObjectError, ObjectId, Objects};
use crate::memory::frame::{OwnedFrame, PoolHost, SharedFrame};
use crate::memory::page::{Frame, MemoryType};

/// What a reader of a page sees.
pub(crate) enum Found {
    /// This frame.
    Frame {
        /// The frame.
        frame: Frame,
        /// Whether it may be written as well.
        writable: InPlace,
    },
    /// Zeros.
    Zero,
    /// Nothing, until the pager has been asked.
    Absent(PageIn),
    /// Memory that nobody counts.
    Elsewhere {
        /// The frame.
        frame: Frame,
        /// How it is cached.
        memory_type: MemoryType,
        /// Whether it may be written as well.
        writable: InPlace,
    },
    /// Nothing: the object ends before, or has ended.
    OutOfRange,
}

/// Whether a page that a reader sees may be written where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InPlace {
    /// It was written before, or is memory that is there already, and nobody else sees it.
    Yes,
    /// [`Objects::write`] has to be asked first.
    No,
}

/// What a writer of a page needs.
pub(crate) enum Written {
    /// Nothing: this frame may be written.
    InPlace(Frame),
    /// Nothing: this memory may be written, and nobody counts it.
    Elsewhere {
        /// The frame.
        frame: Frame,
        /// How it is cached.
        memory_type: MemoryType,
    },
    /// A copy of this frame, [inserted](Objects::insert).
    Copy {
        /// What is to be copied.
        from: Frame,
    },
    /// A zeroed frame, [inserted](Objects::insert).
    Zero,
    /// That the pager is asked first.
    Absent(PageIn),
    /// Nothing helps: the object ends before, or has ended.
    OutOfRange,
    /// Nothing helps: the object is not written.
    Refused,
}

/// Whether others may still show what a page held before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    /// They may, and have to look again.
    MayShowIt,
    /// There are no others.
    Nobody,
}

/// A page that a pager is to bring in.
pub(crate) struct PageIn {
    node: u32,
    generation: u32,
    offset: u64,
    pager: Arc<dyn Pager>,
}

impl PageIn {
    /// Returns whom to ask.
    pub(crate) fn pager(&self) -> &dyn Pager {
        &*self.pager
    }

    /// Returns for which page.
    pub(crate) const fn offset_pages(&self) -> u64 {
        self.offset
    }
}

impl<H: PoolHost> Objects<H> {
    /// Returns what a reader of a page sees.
    pub(crate) fn read(&self, id: ObjectId, offset: u64) -> Found {
        let Ok(view) = self.view(id) else {
            return Found::OutOfRange;
        };
        if offset >= view.len_pages {
            return Found::OutOfRange;
        }
        let (number, slot) = self.find(view.top, offset);
        let is_alone = number == view.top && !self.node(number).is_frozen() && view.is_writable;
        let writable = if is_alone { InPlace::Yes } else { InPlace::No };
        match slot {
            Slot::Dirty(frame) => Found::Frame { frame, writable },
            Slot::Clean(frame) => Found::Frame {
                frame,
                writable: InPlace::No,
            },
            Slot::Out => Found::Absent(self.page_in(number, offset)),
            Slot::Absent => match self.node(number).pager.supply(offset) {
                Supply::Zeros => Found::Zero,
                Supply::PageIn => Found::Absent(self.page_in(number, offset)),
                Supply::Frame(frame, memory_type) => Found::Elsewhere {
                    frame,
                    memory_type,
                    writable,
                },
                Supply::Beyond => Found::OutOfRange,
            },
        }
    }

    /// Returns what a writer of a page needs. If others see the object's pages, it has a new top after this.
    pub(crate) fn write(&mut self, id: ObjectId, offset: u64) -> Written {
        let Ok(view) = self.view(id) else {
            return Written::OutOfRange;
        };
        if offset >= view.len_pages {
            return Written::OutOfRange;
        }
        if !view.is_writable {
            return Written::Refused;
        }
        let top = self.writable_top(id, view.top);
        match self.node(top).slot(offset) {
            Slot::Clean(frame) | Slot::Dirty(frame) => {
                self.node_mut(top).set(offset, Slot::Dirty(frame));
                Written::InPlace(frame)
            }
            Slot::Out => Written::Absent(self.page_in(top, offset)),
            Slot::Absent => self.source(top, offset),
        }
    }

    /// Puts a frame in that was made for a write, unless somebody was faster: then it is given back.
    pub(crate) fn insert(
        &mut self,
        id: ObjectId,
        offset: u64,
        frame: SharedFrame<'static, H>,
    ) -> Result<Others, ObjectError> {
        let view = self.view(id)?;
        let (top, mappings) = (view.top, view.mappings.len());
        let node = self.node(top);
        if node.is_frozen() || !node.slot(offset).is_absent() {
            return Ok(Others::Nobody);
        }
        self.hold(top, offset, Slot::Dirty(frame.into_entry()));
        self.bypass(top);
        Ok(if mappings > 1 {
            Others::MayShowIt
        } else {
            Others::Nobody
        })
    }

    /// Puts in what a pager has brought, unless somebody was faster, or the page is not wanted any more: then it is given back.
    pub(crate) fn fill(
        &mut self,
        request: &PageIn,
        frame: OwnedFrame<'static, H>,
    ) -> Result<(), ObjectError> {
        let place = &self.nodes[request.node as usize];
        let node = place
            .content
            .as_ref()
            .filter(|_| place.generation == request.generation);
        let (number, offset) = (request.node, request.offset);
        match node.map(|node| node.slot(offset)) {
            Some(Slot::Absent) => {
                let is_kept = self.node(number).is_kept;
                let frame = frame.into_entry();
                let slot = if is_kept {
                    Slot::Clean(frame)
                } else {
                    Slot::Dirty(frame)
                };
                self.hold(number, offset, slot);
            }
            Some(Slot::Out) => {
                request.pager.forget(offset);
                let frame = frame.into_entry();
                self.node_mut(number).set(offset, Slot::Dirty(frame));
            }
            None | Some(Slot::Clean(_) | Slot::Dirty(_)) => {}
        }
        Ok(())
    }

    /// Returns the top that a view may write to: the one it has if nobody else sees it, otherwise a new one.
    fn writable_top(&mut self, id: ObjectId, top: u32) -> u32 {
        if !self.node(top).is_frozen() {
            return top;
        }
        let spare = self.view_mut(id).ok().and_then(|view| view.spare.take());
        let spare = spare.expect("O7: whoever froze the top left slots for the next");
        self.spares -= 1;
        let child = self.push_child(top, spare);
        if let Ok(view) = self.view_mut(id) {
            view.top = child;
        }
        child
    }

    /// Returns what a page is made from that the top does not have.
    fn source(&self, top: u32, offset: u64) -> Written {
        let (number, slot) = self.find(top, offset);
        match slot {
            Slot::Clean(from) | Slot::Dirty(from) => Written::Copy { from },
            Slot::Out => Written::Absent(self.page_in(number, offset)),
            Slot::Absent => match self.node(number).pager.supply(offset) {
                Supply::Zeros => Written::Zero,
                Supply::PageIn => Written::Absent(self.page_in(number, offset)),
                Supply::Frame(frame, memory_type) if number == top => {
                    Written::Elsewhere { frame, memory_type }
                }
                Supply::Frame(from, _) => Written::Copy { from },
                Supply::Beyond => Written::OutOfRange,
            },
        }
    }

    fn page_in(&self, node: u32, offset: u64) -> PageIn {
        PageIn {
            node,
            generation: self.nodes[node as usize].generation,
            offset,
            pager: Arc::clone(&self.node(node).pager),
        }
    }
}
