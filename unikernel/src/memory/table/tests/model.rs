//! Random operations over three roots, against a map that anybody can see is right.
//!
//! The addresses are few and lie around the ends of tables, so that operations meet. After every step the invariants of the
//! root that was edited are checked, and a page of the range is accessed as the model says; now and then everything is
//! compared.

use std::collections::BTreeMap;

use super::super::entry::{Change, Leaf, Marks};
use super::super::error::{MapError, OutOfFrames, UnmapError};
use super::super::source::CopyCounts;
use super::super::stale::Stale;
use super::*;
use crate::memory::page::PAGE_SIZE;
use crate::memory::sim::Ring;

const STEPS: u32 = 100_000;
const ROOTS: usize = 3;
/// Frames that only large leaves map; there is no memory.
const FAR: u32 = 1 << 18;

/// What is mapped at a page of 4 KiB: a frame, and how.
type Mapped = (Frame, Attributes);

/// What is mapped: of each root, and of the upper half of all.
type Model = BTreeMap<Page, Mapped>;

/// A small generator of numbers that look random.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

struct Stage<'a> {
    sim: &'a Sim,
    frames: &'a SimFrames<'a>,
    memory: Vec<Frame>,
    tables: Vec<Table<'a>>,
    lower: Vec<Model>,
    upper: Model,
    active: usize,
    random: Random,
}

/// Counts nothing, since the model compares everything.
struct Uncounted;

impl CopyCounts for Uncounted {
    fn copied(&mut self, _page: Page, _leaf: Leaf) -> Result<(), OutOfFrames> {
        Ok(())
    }

    fn take_back(&mut self, _page: Page, _leaf: Leaf) {}
}

impl<'a> Stage<'a> {
    fn new(sim: &'a Sim, frames: &'a SimFrames<'a>, seed: u64) -> Self {
        let first = kernel(sim, frames);
        frames.reserve_zero();
        let memory = (0..24)
            .map(|number| frame_with(sim, frames, number))
            .collect();
        let mut tables: Vec<_> = (1..ROOTS)
            .map(|_| first.create_sharing().expect("there are frames"))
            .collect();
        tables.insert(0, first);
        Self {
            sim,
            frames,
            memory,
            tables,
            lower: vec![Model::new(); ROOTS],
            upper: Model::new(),
            active: 0,
            random: Random(seed),
        }
    }

    /// Chooses a range of few pages, around places where tables end.
    fn range(&mut self) -> PageRange {
        let bases = [
            LOW,
            LOW + (1 << 21),
            LOW + (1 << 30),
            LOW + (1 << 39),
            HIGH + (1 << 21),
            HIGH + (1 << 30),
        ];
        let base = bases[self.random.below(6) as usize];
        let back = if base == LOW { 0 } else { self.random.below(6) };
        let len = 1 + self.random.below(9);
        pages(base - back * PAGE_SIZE, len)
    }

    fn attributes(&mut self, range: PageRange) -> Attributes {
        let mut rights = [
            Rights::READ,
            Rights::READ_WRITE,
            Rights::READ_EXECUTE,
            Rights::empty(),
        ][self.random.below(4) as usize];
        if !range.start().is_upper_half() && self.random.chance(50) {
            rights |= Rights::USER;
        }
        let rights = if rights.contains(Rights::READ) {
            rights
        } else {
            Rights::empty()
        };
        let marks = if rights.contains(Rights::WRITE) {
            [Marks::empty(), Marks::OWNED][self.random.below(2) as usize]
        } else {
            Marks::from_bits_truncate(self.random.below(4) as u8)
        };
        Attributes::new(rights).with_marks(marks)
    }

    fn frame(&mut self) -> Frame {
        self.memory[self.random.below(self.memory.len() as u64) as usize]
    }

    fn model(&mut self, root: usize, page: Page) -> &mut Model {
        if page.is_upper_half() {
            &mut self.upper
        } else {
            &mut self.lower[root]
        }
    }

    fn mapped(&self, root: usize, page: Page) -> Option<Mapped> {
        let model = if page.is_upper_half() {
            &self.upper
        } else {
            &self.lower[root]
        };
        model.get(&page).copied()
    }

    fn first_mapped(&self, root: usize, range: PageRange) -> Option<Page> {
        range.iter().find(|&page| self.mapped(root, page).is_some())
    }

    fn step(&mut self) {
        let root = self.random.below(ROOTS as u64) as usize;
        let range = self.range();
        let failing = self.random.chance(5);
        self.frames.allow(if failing {
            self.random.below(3) as usize
        } else {
            usize::MAX
        });
        match self.random.below(100) {
            0..25 => self.map(root, range),
            25..32 => self.map_large(root),
            32..40 => self.reserve(root, range),
            40..50 => self.replace(root, range.start()),
            50..62 => self.unmap(root, range.start()),
            62..74 => self.unmap_range(root, range),
            74..86 => self.change(root, range),
            86..92 => self.copy(root, range),
            92..96 => self.activate(root),
            _ => self.recreate(root),
        }
        self.frames.allow(usize::MAX);
        check(&self.tables[root], self.frames);
        self.access(range);
    }

    /// Maps one run of memory, which may be all of it.
    fn map(&mut self, root: usize, range: PageRange) {
        let attributes = self.attributes(range);
        let first = self.random.below(self.memory.len() as u64 - range.len()) as usize;
        let run = FrameRange::new(self.memory[first], range.len() as u32);
        let result = self.tables[root].map(range.start(), run, attributes, PageSize::Gib1);
        match result {
            Ok(()) => {
                assert_eq!(self.first_mapped(root, range), None);
                for (page, frame) in range.iter().zip(run.iter()) {
                    self.model(root, page).insert(page, (frame, attributes));
                }
            }
            Err(MapError::AlreadyMapped(page)) => {
                assert_eq!(self.first_mapped(root, range), Some(page))
            }
            Err(MapError::OutOfFrames(page)) => assert!(range.contains(page)),
            Err(error) => panic!("{error}"),
        }
    }

    /// Maps a leaf of 2 MiB where nothing else is, somewhere no memory is.
    fn map_large(&mut self, root: usize) {
        let range = pages(LOW + (1 << 30) - (1 << 21), 512);
        let attributes = self.attributes(range);
        let run = FrameRange::new(Frame::new(FAR), 512);
        let result = self.tables[root].map(range.start(), run, attributes, PageSize::Mib2);
        match result {
            Ok(()) => {
                assert_eq!(self.first_mapped(root, range), None);
                for (page, frame) in range.iter().zip(run.iter()) {
                    self.model(root, page).insert(page, (frame, attributes));
                }
            }
            Err(MapError::AlreadyMapped(_)) => assert!(self.first_mapped(root, range).is_some()),
            Err(error) => assert!(matches!(error, MapError::OutOfFrames(_)), "{error}"),
        }
    }

    fn reserve(&mut self, root: usize, range: PageRange) {
        let result = self.tables[root].reserve(range, Rights::READ_WRITE);
        let zero = super::super::TableFrames::zero_frame(self.frames).expect("it is reserved");
        let attributes = READ.with_marks(Marks::COPY_ON_WRITE);
        match result {
            Ok(()) => {
                assert_eq!(self.first_mapped(root, range), None);
                for page in range.iter() {
                    self.model(root, page).insert(page, (zero, attributes));
                }
            }
            Err(MapError::AlreadyMapped(page)) => {
                assert_eq!(self.first_mapped(root, range), Some(page))
            }
            Err(error) => assert!(matches!(error, MapError::OutOfFrames(_)), "{error}"),
        }
    }

    fn replace(&mut self, root: usize, page: Page) {
        let attributes = self.attributes(PageRange::one(page));
        let frame = self.frame();
        let table = &mut self.tables[root];
        let result = if self.random.chance(50) {
            table.replace_and_flush(page, frame, attributes)
        } else {
            table.replace(page, frame, attributes).map(Stale::flush)
        };
        let Ok(displaced) = result else {
            return;
        };
        let displaced = displaced.map(|leaf| (leaf.frame, leaf.attributes));
        let expected = self.model(root, page).insert(page, (frame, attributes));
        assert_eq!(displaced, expected);
    }

    fn unmap(&mut self, root: usize, page: Page) {
        let expected = self.mapped(root, page);
        let table = &mut self.tables[root];
        let result = if self.random.chance(50) {
            table.unmap_and_flush(page)
        } else {
            table.unmap(page).map(Stale::flush)
        };
        match result {
            Ok(leaf) => {
                assert_eq!(Some((leaf.frame, leaf.attributes)), expected);
                self.model(root, page).remove(&page);
            }
            Err(UnmapError::NotMapped(_)) => assert_eq!(expected, None),
            Err(UnmapError::OutOfFrames(_)) => assert!(expected.is_some()),
        }
    }

    fn unmap_range(&mut self, root: usize, range: PageRange) {
        let mut removed = Vec::new();
        let result = self.tables[root].unmap_range(range, &mut |run| removed.push(run));
        let Ok(count) = result else {
            assert!(removed.is_empty());
            return;
        };
        let mut found = Vec::new();
        for run in &removed {
            for (page, frame) in run.pages.iter().zip(run.frames().iter()) {
                found.push((page, (frame, run.leaf.attributes)));
            }
        }
        let model = self.model(root, range.start());
        let expected: Vec<_> = range
            .iter()
            .filter_map(|page| model.remove_entry(&page))
            .collect();
        assert_eq!(found, expected);
        assert_eq!(count, expected.len() as u64);
    }

    fn change(&mut self, root: usize, range: PageRange) {
        let attributes = self.attributes(range);
        let rights = attributes.rights();
        let share = self.random.chance(30);
        let change = if share {
            Change::share_owned()
        } else {
            Change::rights(rights)
        };
        let Ok(stale) = self.tables[root].change(range, &change) else {
            return;
        };
        let count = stale.flush();
        let mut changed = 0;
        for page in range.iter() {
            let Some((_, attributes)) = self.model(root, page).get_mut(&page) else {
                continue;
            };
            let new = if share {
                shared(*attributes)
            } else {
                granted(*attributes, rights)
            };
            changed += u64::from(new != *attributes);
            *attributes = new;
        }
        assert_eq!(count, changed);
    }

    fn copy(&mut self, root: usize, range: PageRange) {
        let other = (root + 1) % ROOTS;
        if range.start().is_upper_half() {
            return;
        }
        let [to, from] = self
            .tables
            .get_disjoint_mut([root, other])
            .expect("they differ");
        match to.copy(from, range, Change::share_owned(), &mut Uncounted) {
            Ok(()) => {
                assert_eq!(self.first_mapped(root, range), None);
                for page in range.iter() {
                    if let Some((frame, attributes)) = self.mapped(other, page) {
                        self.lower[root].insert(page, (frame, shared(attributes)));
                    }
                }
            }
            Err(MapError::AlreadyMapped(page)) => {
                assert_eq!(self.first_mapped(root, range), Some(page))
            }
            Err(error) => assert!(matches!(error, MapError::OutOfFrames(_)), "{error}"),
        }
    }

    fn activate(&mut self, root: usize) {
        activate(self.sim, &self.tables[root]);
        self.active = root;
    }

    /// Destroys a root and makes another.
    fn recreate(&mut self, root: usize) {
        if root == self.active {
            return;
        }
        self.frames.allow(usize::MAX);
        let new = self.tables[self.active]
            .create_sharing()
            .expect("there are frames");
        let old = std::mem::replace(&mut self.tables[root], new);
        let mut count = 0;
        let result = old.destroy(&mut |run| count += run.pages.len());
        assert!(result.is_ok());
        assert_eq!(count, self.lower[root].len() as u64);
        self.lower[root].clear();
    }

    /// Accesses a page of the active root as a processor does.
    fn access(&mut self, range: PageRange) {
        let page = range
            .get(self.random.below(range.len()))
            .expect("it is in the range");
        let ring = if self.random.chance(50) {
            Ring::User
        } else {
            Ring::Kernel
        };
        let expected = self.mapped(self.active, page);
        if expected.is_some_and(|(frame, _)| frame.number() >= FAR) {
            return;
        }
        let rights = expected.map_or(Rights::empty(), |(_, attributes)| attributes.rights());
        let needed = if ring == Ring::User {
            Rights::USER
        } else {
            Rights::empty()
        };
        let allowed = |right| rights.contains(Rights::READ | needed | right);
        let read = self.sim.read(page.start(), ring);
        assert_eq!(
            read.is_ok(),
            allowed(Rights::READ),
            "{page} {ring:?} {rights}"
        );
        if let (Ok(value), Some((frame, _))) = (read, expected) {
            assert_eq!(value, self.sim.word(frame, 0), "{page}");
        }
        let writable = self.sim.write(page.start(), 0x77, ring);
        assert_eq!(
            writable.is_ok(),
            allowed(Rights::WRITE),
            "{page} {ring:?} {rights}"
        );
        if let (Ok(()), Some((frame, _))) = (writable, expected) {
            assert_eq!(self.sim.word(frame, 0), 0x77, "{page}");
            let number = self.random.below(1 << 30);
            self.sim.set_word(frame, 0, number);
        }
    }

    /// Compares everything that is mapped anywhere with the model.
    fn compare(&self) {
        for (table, lower) in self.tables.iter().zip(&self.lower) {
            check(table, self.frames);
            let mut found = Model::new();
            for half in [Table::lower_half(), PageRange::new(page(HIGH), 1 << 35)] {
                table.runs(half, &mut |run| {
                    for (page, frame) in run.pages.iter().zip(run.frames().iter()) {
                        found.insert(page, (frame, run.leaf.attributes));
                    }
                });
            }
            let expected: Model = lower
                .iter()
                .chain(&self.upper)
                .map(|(page, mapped)| (*page, *mapped))
                .collect();
            assert_eq!(found, expected);
        }
        let zero = super::super::TableFrames::zero_frame(self.frames).expect("it is reserved");
        assert!(
            self.sim.is_zero(zero),
            "M12: nobody wrote to the zero frame"
        );
    }

    /// Unmaps everything, and counts frames.
    fn finish(mut self, before: usize) {
        activate(self.sim, &self.tables[0]);
        let mut first = self.tables.remove(0);
        for table in self.tables {
            assert!(table.destroy(&mut |_| ()).is_ok());
        }
        for half in [Table::lower_half(), PageRange::new(page(HIGH), 1 << 35)] {
            first
                .unmap_range(half, &mut |_| ())
                .expect("whole leaves need no frame");
        }
        // The first root, two shared tables, the zero frame, and memory are not free.
        let in_use = 1 + 2 + 1 + self.memory.len();
        assert_eq!(self.frames.count_free(), before - in_use);
    }
}

/// What sharing makes of attributes.
fn shared(attributes: Attributes) -> Attributes {
    if !attributes.marks().contains(Marks::OWNED) {
        return attributes;
    }
    attributes
        .with_rights(attributes.rights().difference(Rights::WRITE))
        .with_marks(Marks::all())
}

/// What giving rights makes of attributes.
fn granted(attributes: Attributes, rights: Rights) -> Attributes {
    if attributes.marks().contains(Marks::COPY_ON_WRITE) {
        attributes.with_rights(rights.difference(Rights::WRITE))
    } else {
        attributes.with_rights(rights)
    }
}

/// Proves M17, M33, M122, Q2.
#[test]
fn a_hundred_thousand_random_operations_agree_with_a_naive_map() {
    let seed = 0x5eed_0000_0000_0003;
    println!("seed {seed:#x}");
    let sim = Sim::new(256);
    let frames = SimFrames::new(&sim);
    let before = frames.count_free();
    let mut stage = Stage::new(&sim, &frames, seed);

    for number in 0..STEPS {
        stage.step();
        if number % 500 == 0 {
            stage.compare();
        }
    }
    stage.compare();
    stage.finish(before);
}
