//! The life of a root: made, shared, activated, destroyed.

use super::entry::{Entry, Half};
use super::error::{OutOfFrames, StillActive};
use super::node;
use super::runs::Run;
use super::{PageTable, TableFrames};
use crate::memory::machine::Machine;
use crate::memory::page::{ENTRIES, Frame, Level, Page, PageRange};

/// The first entry of the root that belongs to the upper half.
const UPPER: usize = ENTRIES / 2;

impl<'a, M: Machine, F: TableFrames> PageTable<'a, M, F> {
    /// Makes the first root. It maps nothing, and its upper half is to be prepared before anything is mapped there.
    pub(crate) fn create_first(machine: &'a M, frames: &'a F) -> Result<Self, OutOfFrames> {
        let root = frames.take().ok_or(OutOfFrames)?;
        let table = Self {
            machine,
            frames,
            root,
        };
        if let Some(slot) = M::SELF_SLOT {
            table.open_root().store(slot, Entry::self_slot(root));
        }
        Ok(table)
    }

    /// Makes a root that shares the upper half of this one, and maps nothing in the lower half.
    pub(crate) fn create_sharing(&self) -> Result<Self, OutOfFrames> {
        let new = Self::create_first(self.machine, self.frames)?;
        let (from, to) = (self.open_root(), new.open_root());
        for slot in (UPPER..ENTRIES).filter(|&slot| Some(slot) != M::SELF_SLOT) {
            let shared = from.load(slot);
            if !shared.is_absent() {
                to.store(slot, shared);
            }
        }
        drop(to);
        drop(from);
        Ok(new)
    }

    /// Takes up a root that was made before, by its frame. It was made by this module, and nobody else edits it meanwhile.
    #[must_use]
    pub(crate) const fn at(machine: &'a M, frames: &'a F, root: Frame) -> Self {
        Self {
            machine,
            frames,
            root,
        }
    }

    /// Makes the tables that all roots share for these entries of the root, before there is a second root. Only pages of
    /// prepared entries can be mapped in the upper half.
    ///
    /// # Panics
    ///
    /// If an entry does not belong to the upper half, or is the self slot.
    pub(crate) fn prepare_upper_half(
        &mut self,
        slots: impl Iterator<Item = usize> + Clone,
    ) -> Result<(), OutOfFrames> {
        for slot in slots.clone() {
            assert!(
                (UPPER..ENTRIES).contains(&slot),
                "T7: entry {slot} is not of the upper half"
            );
            assert_ne!(
                Some(slot),
                M::SELF_SLOT,
                "T7: entry {slot} points at the root"
            );
        }
        let mut made = [false; ENTRIES];
        for slot in slots {
            if !self.open_root().load(slot).is_absent() {
                continue;
            }
            let Some(frame) = self.frames.take() else {
                self.take_back_prepared(&made);
                return Err(OutOfFrames);
            };
            self.open_root().store(slot, Entry::shared_table(frame));
            made[slot] = true;
        }
        Ok(())
    }

    fn take_back_prepared(&mut self, made: &[bool; ENTRIES]) {
        for slot in (UPPER..ENTRIES).filter(|&slot| made[slot]) {
            let entry = self.open_root().load(slot);
            self.open_root().store(slot, Entry::ABSENT);
            self.frames.give_back(entry.frame());
        }
    }

    /// Returns whether this CPU translates by this root.
    #[must_use]
    pub(crate) fn is_active(&self) -> bool {
        self.machine.active() == self.root
    }

    /// Destroys a root that no CPU translates by: tells `sink` every run of the lower half, and gives back all tables there and
    /// the root. The upper half, which others share, stays. An active root comes back in the error, unchanged.
    pub(crate) fn destroy(self, sink: &mut dyn FnMut(Run)) -> Result<(), (Self, StillActive)> {
        if self.is_active() {
            return Err((self, StillActive));
        }
        let mut table = self;
        table.take_out(Self::lower_half(), sink);
        let root = table.open_root();
        for slot in UPPER..ENTRIES {
            root.store(slot, Entry::ABSENT);
        }
        drop(root);
        table.frames.give_back(table.root);
        Ok(())
    }

    /// Returns all pages that are not shared.
    #[must_use]
    pub(crate) fn lower_half() -> PageRange {
        let first = Page::from_number(0).expect("0 is a page");
        PageRange::new(first, UPPER as u64 * Level::Four.entry_pages())
    }

    fn open_root(&self) -> node::Node<M::Table<'a>> {
        let first = Page::from_number(0).expect("0 is a page");
        let place = self.cursor().place(self.root, Level::Four, first);
        node::open(self.machine, place)
    }
}

/// Returns which half a page lies in.
pub(super) const fn half(page: Page) -> Half {
    if page.is_upper_half() {
        Half::Upper
    } else {
        Half::Lower
    }
}
