//! The walk: one body for all levels and all operations.
//!
//! A [`Cursor`] goes over every entry that covers a part of a range, from the root down and from the lowest page up, and asks a
//! [`Visitor`] what to do with each. What an operation is, is its visitor: a few lines in a file of its own. What all have in
//! common is here: opening one table at a time, counting used entries, and leaving the self slot alone.
//!
//! The table of an entry is closed while the walk is below it, and opened again after: so one window is enough, whatever the
//! depth. That costs one opening for each table, not for each page.

use super::entry::Entry;
use super::node;
use crate::memory::machine::{Link, Machine, Place};
use crate::memory::page::{Frame, Level, Page, PageRange};

/// An entry on the walk, and which pages of the range it covers.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    /// The pages of the range that the entry covers, one at least.
    pub(super) pages: PageRange,
    /// The level of the table that holds the entry.
    pub(super) level: Level,
}

impl At {
    /// Returns the first page of the range that the entry covers.
    #[inline]
    pub(super) const fn page(self) -> Page {
        self.pages.start()
    }

    /// Returns whether all that the entry covers is in the range.
    #[inline]
    pub(super) const fn is_whole(self) -> bool {
        self.pages.len() == self.level.entry_pages()
    }

    /// Returns whether the entry is one of the upper half of the root, which all roots share.
    #[inline]
    pub(super) fn is_shared(self) -> bool {
        self.level == Level::Four && self.page().is_upper_half()
    }
}

/// What is to become of an entry.
pub(super) enum Step {
    /// It stays.
    Keep,
    /// It was absent, and is used from now on.
    Put(Entry),
    /// It was used, and is used differently from now on.
    Change(Entry),
    /// It was used, and becomes absent or dying.
    Take(Entry),
    /// It becomes absent, and did not count as used.
    Clear,
    /// It is replaced by an entry that points to a table, perhaps the same, and the walk goes on there.
    Through(Entry),
    /// It stays, and the walk ends.
    Stop,
}

/// An operation on the entries of a range.
pub(super) trait Visitor {
    /// Decides about an entry.
    fn visit(&mut self, at: At, entry: Entry) -> Step;

    /// Learns what was in an entry until it was replaced, with all that the processor noted.
    fn replaced(&mut self, _at: At, _old: Entry) {}

    /// Decides about an entry that points to a table, after the walk has been there. Its count of used entries is right
    /// again. Returns what it is to be.
    fn leave(&mut self, _at: At, entry: Entry) -> Entry {
        entry
    }
}

/// A visitor that is called.
struct Seldom<'a>(&'a mut dyn Visitor);

impl Visitor for Seldom<'_> {
    fn visit(&mut self, at: At, entry: Entry) -> Step {
        self.0.visit(at, entry)
    }

    fn replaced(&mut self, at: At, old: Entry) {
        self.0.replaced(at, old);
    }

    fn leave(&mut self, at: At, entry: Entry) -> Entry {
        self.0.leave(at, entry)
    }
}

/// How a walk ended.
#[derive(Clone, Copy)]
struct Walked {
    /// By how much the number of used entries in the table changed.
    used: i32,
    is_stopped: bool,
}

/// Where a page, or the lack of it, was found.
#[derive(Clone, Copy)]
pub(super) struct Found {
    /// The table that holds the entry.
    pub(super) place: Place,
    /// The level of that table.
    pub(super) level: Level,
    /// A leaf or an absent entry.
    pub(super) entry: Entry,
}

/// A way through the tables of one root.
pub(super) struct Cursor<'a, M> {
    pub(super) machine: &'a M,
    pub(super) root: Frame,
    /// Whether this CPU translates by the root.
    is_active: bool,
}

impl<'a, M: Machine> Cursor<'a, M> {
    /// Returns the way through the tables of a root, which is activated or left by nobody meanwhile.
    #[inline]
    pub(super) fn new(machine: &'a M, root: Frame) -> Self {
        let is_active = machine.active() == root;
        Self {
            machine,
            root,
            is_active,
        }
    }

    /// Returns whether this CPU translates by the root.
    #[inline(always)]
    pub(super) const fn is_active(&self) -> bool {
        self.is_active
    }

    /// Returns where the table at `frame` is linked: on the way to `page`.
    #[inline(always)]
    pub(super) const fn place(&self, frame: Frame, level: Level, page: Page) -> Place {
        let link = if self.is_active {
            Link::Active { level, page }
        } else {
            Link::Elsewhere
        };
        Place { frame, link }
    }

    /// Follows tables towards a page until there is a leaf or nothing. Where the self slot shows tables is nothing.
    #[inline]
    pub(super) fn find(&self, page: Page) -> Found {
        let root = self.place(self.root, Level::Four, page);
        if Some(page.index(Level::Four)) == M::SELF_SLOT {
            return Found {
                place: root,
                level: Level::Four,
                entry: Entry::ABSENT,
            };
        }
        let follow = |above: Found, level| {
            let place = self.place(above.entry.frame(), level, page);
            self.look(place, level, page)
        };
        // Written out, so that each level is a constant.
        let mut found = self.look(root, Level::Four, page);
        if found.entry.leads_on() {
            found = follow(found, Level::Three);
            if found.entry.leads_on() {
                found = follow(found, Level::Two);
                if found.entry.leads_on() {
                    found = follow(found, Level::One);
                }
            }
        }
        found
    }

    #[inline(always)]
    fn look(&self, place: Place, level: Level, page: Page) -> Found {
        let entry = node::open(self.machine, place).load(page.index(level));
        Found {
            place,
            level,
            entry,
        }
    }

    /// Shows every entry that covers a part of the range to the visitor, until that stops the walk.
    pub(super) fn walk(&self, range: PageRange, visitor: &mut impl Visitor) {
        if !range.is_empty() {
            let root = self.place(self.root, Level::Four, range.start());
            self.table(root, Level::Four, range, visitor);
        }
    }

    /// As [`walk`](Self::walk), for visitors that come by seldom: they share one body, and are called instead of built in.
    pub(super) fn walk_seldom(&self, range: PageRange, visitor: &mut dyn Visitor) {
        self.walk(range, &mut Seldom(visitor));
    }

    /// Walks over a part of one table. The lowest level, where nearly all entries are, gets a body of its own by the compiler.
    fn table(
        &self,
        place: Place,
        level: Level,
        range: PageRange,
        visitor: &mut impl Visitor,
    ) -> Walked {
        if level == Level::One {
            self.entries(place, Level::One, range, visitor)
        } else {
            self.entries(place, level, range, visitor)
        }
    }

    #[inline(always)]
    fn entries(
        &self,
        place: Place,
        level: Level,
        range: PageRange,
        visitor: &mut impl Visitor,
    ) -> Walked {
        let mut rest = range;
        let mut node = node::open(self.machine, place);
        let mut used = 0;
        while let Some(pages) = rest.pop_entry(level) {
            let at = At { pages, level };
            let index = pages.start().index(level);
            if level == Level::Four && Some(index) == M::SELF_SLOT {
                continue;
            }
            let entry = node.load(index);
            match visitor.visit(at, entry) {
                Step::Keep => {}
                Step::Put(new) => {
                    node.store(index, new);
                    used += 1;
                }
                Step::Change(new) => visitor.replaced(at, node.replace(index, entry, new)),
                Step::Take(new) => {
                    visitor.replaced(at, node.replace(index, entry, new));
                    used -= 1;
                }
                Step::Clear => node.store(index, Entry::ABSENT),
                Step::Through(table) => {
                    if table != entry {
                        node.store(index, table);
                    }
                    drop(node);
                    let below = self.below(place, at, table, visitor);
                    node = node::open(self.machine, place);
                    let left = visitor.leave(at, count(at, table, below.used));
                    if left != table {
                        node.store(index, left);
                    }
                    used += i32::from(left.is_used()) - i32::from(entry.is_used());
                    if below.is_stopped {
                        return Walked {
                            used,
                            is_stopped: true,
                        };
                    }
                }
                Step::Stop => {
                    return Walked {
                        used,
                        is_stopped: true,
                    };
                }
            }
        }
        Walked {
            used,
            is_stopped: false,
        }
    }

    /// Walks over the table that an entry points to.
    fn below(&self, above: Place, at: At, table: Entry, visitor: &mut impl Visitor) -> Walked {
        let level = at.level.below().expect("entries of level 1 are no tables");
        let place = match above.link {
            Link::Active { .. } if table.is_present() => {
                self.place(table.frame(), level, at.page())
            }
            _ => Place {
                frame: table.frame(),
                link: Link::Elsewhere,
            },
        };
        self.table(place, level, at.pages, visitor)
    }
}

/// Counts entries of the table that an entry points to, unless the entry has copies that would disagree.
fn count(at: At, table: Entry, by: i32) -> Entry {
    if at.is_shared() || table.is_dying() || by == 0 {
        table
    } else {
        table.with_used_changed(by)
    }
}
