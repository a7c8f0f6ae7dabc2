//! The invariants of a root, looked at one by one: for tests after every step, and for debug builds.

use super::entry::{Entry, Half, Marks};
use super::node;
use super::root::half;
use super::{PageTable, TableFrames};
use crate::memory::machine::{Machine, Place};
use crate::memory::page::{ENTRIES, Frame, Level, MemoryType, Page, Rights};

/// A table that is being looked at.
#[derive(Clone, Copy)]
struct Table {
    place: Place,
    level: Level,
    /// The first page it covers.
    first: Page,
    /// What the entries on the way to it let through.
    allowed: Rights,
}

impl<M: Machine, F: TableFrames> PageTable<'_, M, F> {
    /// Looks at every entry, and tells `tables` the frame of every table that is this root's own, the root included.
    ///
    /// # Panics
    ///
    /// If an invariant does not hold, with its name.
    pub(crate) fn check_invariants(&self, tables: &mut impl FnMut(Frame)) {
        tables(self.root);
        let first = Page::from_number(0).expect("0 is a page");
        let place = self.cursor().place(self.root, Level::Four, first);
        self.check_table(
            &Table {
                place,
                level: Level::Four,
                first,
                allowed: Rights::all(),
            },
            tables,
        );
    }

    /// Looks at a table and everything below. Returns how many of its entries are used.
    fn check_table(&self, table: &Table, tables: &mut impl FnMut(Frame)) -> u32 {
        let mut used = 0;
        let mut node = node::open(self.machine, table.place);
        for index in 0..ENTRIES {
            let entry = node.load(index);
            if entry.is_absent() {
                continue;
            }
            used += 1;
            let offset = index as u64 * table.level.entry_pages();
            let page =
                Page::from_number(table.first.number() + offset).expect("tables cover pages");
            assert!(!entry.is_dying(), "T5: {page} is half unmapped: {entry:?}");
            if table.level == Level::Four && Some(index) == M::SELF_SLOT {
                assert_eq!(
                    entry.bits() & !Entry::TOUCHED,
                    Entry::self_slot(self.root).bits(),
                    "T7: the self slot"
                );
            } else if entry.is_table(table.level) {
                drop(node);
                self.check_link(table, page, entry, tables);
                node = node::open(self.machine, table.place);
            } else {
                self.check_leaf(table, page, entry);
            }
        }
        used
    }

    fn check_link(&self, above: &Table, page: Page, entry: Entry, tables: &mut impl FnMut(Frame)) {
        let is_shared = above.level == Level::Four && page.is_upper_half();
        let level = above
            .level
            .below()
            .expect("entries of level 1 are no tables");
        assert!(entry.is_present(), "T3: the table at {page} is not present");
        if !is_shared {
            tables(entry.frame());
        }
        let table = Table {
            place: self.cursor().place(entry.frame(), level, page),
            level,
            first: page,
            allowed: above.allowed.intersection(entry.rights()),
        };
        let used = self.check_table(&table, tables);
        if is_shared {
            assert_eq!(entry.used(), 0, "T2: shared tables are not counted");
        } else {
            assert_eq!(
                entry.used(),
                used,
                "T2: used entries of the table of {level:?} at {page}"
            );
            assert_ne!(used, 0, "T2: the table of {level:?} at {page} is empty");
        }
    }

    fn check_leaf(&self, table: &Table, page: Page, entry: Entry) {
        let size = table.level.leaf_size().expect("T7: the root has no leaves");
        let leaf = entry.leaf(size);
        let rights = leaf.attributes.rights();
        let is_shared = leaf.attributes.marks().contains(Marks::COPY_ON_WRITE);
        if entry.is_present() {
            assert!(
                table.allowed.contains(rights),
                "T3: {page} is {rights}, but not the way there"
            );
        }
        assert!(
            !(is_shared && rights.contains(Rights::WRITE)),
            "T4: {page} is writable and copy-on-write"
        );
        if let Some(zero) = self.frames.zero_frame() {
            let distance = u64::from(zero.number()).checked_sub(u64::from(leaf.frame.number()));
            if distance.is_some_and(|distance| distance < size.pages()) {
                assert_eq!(
                    leaf.attributes.marks(),
                    Marks::COPY_ON_WRITE,
                    "T4: zero frame at {page}"
                );
                assert_eq!(
                    leaf.attributes.memory_type(),
                    MemoryType::WriteBack,
                    "T4: zero frame at {page}"
                );
            }
        }
        assert!(
            leaf.frame.is_aligned(size),
            "T7: {page} maps {} by {size}",
            leaf.frame
        );
        let is_upper = half(page) == Half::Upper;
        assert_eq!(entry.is_global(), is_upper, "T6: {page}");
        assert!(
            !(is_upper && rights.contains(Rights::USER)),
            "T6: {page} is for ring 3"
        );
    }
}
