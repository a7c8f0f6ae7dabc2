//! Random histories of spaces beside a naive model: for each space, what every page would read as.

use std::collections::BTreeMap;
use std::vec::Vec;

use super::corners::Disk;
use super::*;
use crate::memory::object::ObjectId;
use crate::memory::object::pager::{Compressed, Zeros};
use crate::memory::space::transfer::Bytes;
use crate::memory::space::{Fork, SpaceError};

/// The pages that the histories play in: few, so that everything meets everything.
const FIRST: u64 = 512 - 20;
const PAGES: u64 = 40;
const MOST_SPACES: usize = 4;
const MOST_OBJECTS: usize = 4;
const OBJECT_PAGES: u64 = 12;

/// What a page of a space promises and holds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cell {
    is_writable: bool,
    holds: Holds,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Holds {
    /// Its own word.
    Own(u64),
    /// A page of an object.
    Shared(usize, u64),
    /// A page of an object, until it was written.
    Copied(usize, u64, Option<u64>),
    /// A page of a ring that begins at this page: both halves hold the same words.
    Ring(u64, usize, u64),
}

impl Holds {
    /// Returns where the ring begins that this is a page of.
    fn ring(self) -> Option<u64> {
        match self {
            Self::Ring(first, ..) => Some(first),
            _ => None,
        }
    }
}

struct ModelSpace {
    space: Space,
    cells: BTreeMap<u64, Cell>,
}

impl ModelSpace {
    /// Returns whether a range has a part of a ring only.
    fn cuts_ring(&self, range: PageRange) -> bool {
        let ring = |number: u64| self.cells.get(&number).and_then(|cell| cell.holds.ring());
        let (start, end) = (range.start().number(), range.end_number());
        let parts = |at: u64| ring(at).is_some() && ring(at) == ring(at - 1);
        parts(start) || parts(end)
    }
}

struct ModelObject {
    id: ObjectId,
    words: [u64; OBJECT_PAGES as usize],
    has_handle: bool,
}

struct Model {
    world: World,
    spaces: Vec<ModelSpace>,
    /// Objects are never taken off the list; those that ended are just not used any more.
    objects: Vec<ModelObject>,
    /// The words of the first half of each ring there ever was.
    rings: Vec<[u64; PAGES as usize]>,
    random: Random,
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % limit
    }
}

impl Model {
    fn new(seed: u64, frames: u32) -> Self {
        let world = World::new(frames);
        let spaces = std::vec![ModelSpace {
            space: world
                .memory
                .create(&world.kernel)
                .expect("there are frames"),
            cells: BTreeMap::new(),
        }];
        Self {
            world,
            spaces,
            objects: Vec::new(),
            rings: Vec::new(),
            random: Random(seed | 1),
        }
    }

    fn some_range(&mut self) -> PageRange {
        let first = self.random.below(PAGES);
        let len = 1 + self.random.below((PAGES - first).min(12));
        PageRange::new(page(FIRST + first), len)
    }

    fn some_space(&mut self) -> usize {
        self.random.below(self.spaces.len() as u64) as usize
    }

    fn some_object(&mut self) -> Option<usize> {
        let known: Vec<_> = (0..self.objects.len())
            .filter(|&index| self.objects[index].has_handle)
            .collect();
        let index = self.random.below(known.len().max(1) as u64) as usize;
        known.get(index).copied()
    }

    fn step(&mut self, step: u64) {
        match self.random.below(38) {
            32 => self.reserve_ring(),
            33 => self.commit(),
            34..=35 => self.copy(),
            36 => self.sync(),
            37 => self.resize_object(),
            0..=2 => self.reserve(),
            3 => self.unmap(),
            4 => self.protect(),
            5 => self.discard(),
            6 => self.fork(),
            7 => self.exit(),
            8 => self.create_object(),
            9 => self.snapshot(),
            10 => self.drop_object(),
            11..=12 => self.map_object(),
            13 => {
                self.world.memory.page_out(3);
            }
            14 => self.resize(),
            15..=24 => self.write(step),
            _ => self.read(),
        }
    }

    fn reserve(&mut self) {
        let (at, range) = (self.some_space(), self.some_range());
        let is_writable = self.random.below(4) > 0;
        let is_committed = self.random.below(8) == 0;
        let request = Request {
            place: Place::At(range.start()),
            kind: Kind::Anonymous {
                commitment: if is_committed {
                    Commitment::Committed
                } else {
                    Commitment::Lazy
                },
            },
            ..private(range.len(), rights(is_writable))
        };
        self.add(at, range, request, |_| Cell {
            is_writable,
            holds: Holds::Own(0),
        });
    }

    fn map_object(&mut self) {
        let (at, range) = (self.some_space(), self.some_range());
        let Some(index) = self.some_object() else {
            return;
        };
        let offset_pages = self.random.below(OBJECT_PAGES);
        let is_shared = self.random.below(2) == 0;
        let sharing = if is_shared {
            Sharing::Shared
        } else {
            Sharing::Private
        };
        let kind = Kind::Object {
            object: self.objects[index].id,
            offset_pages,
        };
        let request = Request {
            place: Place::At(range.start()),
            ..request(range.len(), Rights::READ_WRITE, kind, sharing)
        };
        if offset_pages + range.len() > OBJECT_PAGES {
            assert!(self.spaces[at].space.reserve(request).is_err());
            return;
        }
        self.add(at, range, request, |page| {
            let offset = offset_pages + (page - range.start().number());
            Cell {
                is_writable: true,
                holds: if is_shared {
                    Holds::Shared(index, offset)
                } else {
                    Holds::Copied(index, offset, None)
                },
            }
        });
    }

    fn add(&mut self, at: usize, range: PageRange, request: Request, cell: impl Fn(u64) -> Cell) {
        let space = &mut self.spaces[at];
        let is_free = range
            .iter()
            .all(|page| !space.cells.contains_key(&page.number()));
        let reserved = space.space.reserve(request);
        if reserved == Err(ReserveError::OutOfFrames) {
            return;
        }
        assert_eq!(reserved.is_ok(), is_free, "{range:?}: {reserved:?}");
        if is_free {
            let cells = range
                .iter()
                .map(|page| (page.number(), cell(page.number())));
            space.cells.extend(cells);
        }
    }

    fn unmap(&mut self) {
        let (at, range) = (self.some_space(), self.some_range());
        let space = &mut self.spaces[at];
        if space.cuts_ring(range) {
            assert!(space.space.unmap(range).is_err());
            return;
        }
        let before = space.cells.len();
        space
            .cells
            .retain(|&number, _| !range.contains(page(number)));
        let gone = (before - space.cells.len()) as u64;
        assert_eq!(space.space.unmap(range), Ok(gone));
    }

    fn protect(&mut self) {
        let (at, range) = (self.some_space(), self.some_range());
        let is_writable = self.random.below(2) == 0;
        let space = &mut self.spaces[at];
        let is_covered = !space.cuts_ring(range)
            && range
                .iter()
                .all(|page| space.cells.contains_key(&page.number()));
        let changed = space.space.protect(range, rights(is_writable));
        assert_eq!(changed.is_ok(), is_covered, "{range:?}: {changed:?}");
        if is_covered {
            for page in range.iter() {
                let cell = space.cells.get_mut(&page.number());
                cell.expect("it is covered").is_writable = is_writable;
            }
        }
    }

    fn discard(&mut self) {
        let (at, range) = (self.some_space(), self.some_range());
        let space = &mut self.spaces[at];
        let is_possible = range.iter().all(|page| {
            let cell = space.cells.get(&page.number());
            cell.is_some_and(|cell| !matches!(cell.holds, Holds::Shared(..) | Holds::Ring(..)))
        });
        let discarded = space.space.discard(range);
        assert_eq!(discarded.is_ok(), is_possible, "{range:?}: {discarded:?}");
        if is_possible {
            for page in range.iter() {
                let cell = space.cells.get_mut(&page.number()).expect("it is covered");
                cell.holds = match cell.holds {
                    Holds::Own(_) => Holds::Own(0),
                    Holds::Copied(object, offset, _) => Holds::Copied(object, offset, None),
                    shared => shared,
                };
            }
        }
    }

    fn resize(&mut self) {
        let (at, range) = (self.some_space(), self.some_range());
        let space = &mut self.spaces[at];
        let region = space.space.inspect(|regions, _| {
            let region = regions.first_in(range)?;
            let is_possible = matches!(region.kind(), Kind::Anonymous { .. } | Kind::Object { .. });
            Some((region.range(), is_possible))
        });
        let Some((before, true)) = region else {
            return;
        };
        let cell = space.cells[&before.start().number()];
        let (object, offset) = match cell.holds {
            Holds::Shared(object, offset) | Holds::Copied(object, offset, _) => (object, offset),
            _ => (usize::MAX, 0),
        };
        // Without a handle, pages that nobody shows are gone, if no snapshot holds them.
        if self
            .objects
            .get(object)
            .is_some_and(|object| !object.has_handle)
        {
            return;
        }
        let wanted = PageRange::new(before.start(), range.len());
        let others = wanted
            .iter()
            .filter(|&page| !before.contains(page))
            .any(|page| space.cells.contains_key(&page.number()));
        let is_beyond = object != usize::MAX
            && range.len() > before.len()
            && offset + range.len() > OBJECT_PAGES;
        let resized = space.space.resize(before.start(), range.len());
        if resized == Err(SpaceError::OutOfFrames) {
            return;
        }
        assert_eq!(
            resized.is_ok(),
            !others && !is_beyond,
            "{before:?}: {resized:?}"
        );
        if resized.is_err() {
            return;
        }
        for page in before.iter().filter(|&page| !wanted.contains(page)) {
            space.cells.remove(&page.number());
        }
        for page in wanted.iter().filter(|&page| !before.contains(page)) {
            let offset = offset + page.number() - before.start().number();
            let holds = match cell.holds {
                Holds::Shared(object, _) => Holds::Shared(object, offset),
                Holds::Copied(object, ..) => Holds::Copied(object, offset, None),
                _ => Holds::Own(0),
            };
            space.cells.insert(page.number(), Cell { holds, ..cell });
        }
    }

    fn fork(&mut self) {
        if self.spaces.len() == MOST_SPACES {
            return;
        }
        let at = self.some_space();
        let how = match self.random.below(3) {
            0 => Fork::Eager,
            _ => Fork::CopyOnWrite,
        };
        let Ok(space) = self.spaces[at].space.fork(how) else {
            return;
        };
        let cells = self.spaces[at].cells.clone();
        self.spaces.push(ModelSpace { space, cells });
    }

    fn exit(&mut self) {
        if self.spaces.len() > 1 {
            let at = self.some_space();
            self.spaces.swap_remove(at);
            self.world.enter(&Arc::clone(&self.world.kernel));
            self.world.memory.forget_previous();
        }
    }

    fn create_object(&mut self) {
        let live = self
            .objects
            .iter()
            .filter(|object| object.has_handle)
            .count();
        if live == MOST_OBJECTS {
            return;
        }
        let id = self.world.memory.with_objects(|objects| {
            let swap = Compressed::new(OBJECT_PAGES, 16 << 10).expect("there is heap");
            match self.random.below(3) {
                0 => objects.create(OBJECT_PAGES, Arc::new(Zeros), None),
                1 => objects.create(OBJECT_PAGES, Disk::of(&[0; OBJECT_PAGES as usize]), None),
                _ => objects.create(OBJECT_PAGES, Arc::new(swap), None),
            }
        });
        self.objects.push(ModelObject {
            id: id.expect("there is heap"),
            words: [0; OBJECT_PAGES as usize],
            has_handle: true,
        });
    }

    fn snapshot(&mut self) {
        let live = self
            .objects
            .iter()
            .filter(|object| object.has_handle)
            .count();
        let Some(index) = self.some_object().filter(|_| live < MOST_OBJECTS) else {
            return;
        };
        let ModelObject { id, words, .. } = self.objects[index];
        let id = self.world.memory.snapshot(id).expect("there is heap");
        self.objects.push(ModelObject {
            id,
            words,
            has_handle: true,
        });
    }

    fn drop_object(&mut self) {
        if let Some(index) = self.some_object() {
            let object = &mut self.objects[index];
            object.has_handle = false;
            self.world.memory.drop_handle(object.id);
        }
    }

    fn reserve_ring(&mut self) {
        let (at, range) = (self.some_space(), self.some_range());
        let range = PageRange::new(range.start(), range.len().next_multiple_of(2));
        let half = range.len() / 2;
        let (first, ring) = (range.start().number(), self.rings.len());
        let request = Request {
            place: Place::At(range.start()),
            ..request(range.len(), Rights::READ_WRITE, Kind::Ring, Sharing::Shared)
        };
        self.rings.push([0; PAGES as usize]);
        self.add(at, range, request, |page| Cell {
            is_writable: true,
            holds: Holds::Ring(first, ring, (page - first) % half),
        });
    }

    fn commit(&mut self) {
        let (at, range) = (self.some_space(), self.some_range());
        let space = &self.spaces[at];
        let is_possible = range.iter().all(|page| {
            let cell = space.cells.get(&page.number());
            cell.is_some_and(|cell| matches!(cell.holds, Holds::Own(_)))
        });
        match space.space.commit(range) {
            Err(SpaceError::OutOfFrames) if is_possible => {}
            committed => assert_eq!(committed.is_ok(), is_possible, "{range:?}: {committed:?}"),
        }
    }

    /// Copies the words of pages from one space to another, or within one.
    fn copy(&mut self) {
        let (from, to) = (self.some_space(), self.some_space());
        let (source, target) = (self.some_range(), self.some_range());
        let pages = source.len().min(target.len());
        let bytes = |at: usize, range: PageRange| Bytes {
            space: &*self.spaces[at].space,
            address: range.start().start(),
            by: Ring::Kernel,
        };
        let (read, written) = (bytes(from, source), bytes(to, target));
        let copied = self.world.memory.copy(&read, &written, pages * 4096);
        let done = copied.map_or_else(|error| error.transferred / 4096, |()| pages);
        let mut refusal = None;
        for page in 0..pages {
            let (source, target) = (
                source.start().number() + page,
                target.start().number() + page,
            );
            let expected = self.expected(from, source);
            let cell = self.spaces[to].cells.get(&target).copied();
            refusal = match (expected, cell) {
                (Err(violation), _) => Some(violation),
                (_, None) => Some(Violation::Unmapped),
                (_, Some(cell)) if !cell.is_writable => Some(Violation::Forbidden(Access::Write)),
                _ => None,
            };
            match (refusal, expected) {
                (None, Ok(word)) if page < done => self.hold(to, target, word),
                _ => break,
            }
        }
        match copied.map_err(|error| error.violation) {
            Err(Violation::OutOfFrames(_)) => {}
            copied => assert_eq!(copied.err(), refusal, "{source:?} {target:?}"),
        }
    }

    fn sync(&mut self) {
        if let Some(index) = self.some_object() {
            assert!(self.world.memory.sync(self.objects[index].id).is_ok());
        }
    }

    /// Makes an object smaller, and then as large as before.
    fn resize_object(&mut self) {
        let Some(index) = self.some_object() else {
            return;
        };
        let len = 1 + self.random.below(OBJECT_PAGES);
        let ModelObject { id, words, .. } = &mut self.objects[index];
        self.world.memory.with_objects(|objects| {
            let is_file = objects.is_written_back(*id);
            if !is_file && objects.resize(*id, len).is_ok() {
                words[len as usize..].fill(0);
                assert_eq!(objects.resize(*id, OBJECT_PAGES), Ok(len));
            }
        });
    }

    fn hold(&mut self, at: usize, number: u64, value: u64) {
        let cell = self.spaces[at].cells.get_mut(&number);
        match &mut cell.expect("it can be written").holds {
            Holds::Own(word) => *word = value,
            Holds::Copied(_, _, copy) => *copy = Some(value),
            Holds::Shared(object, offset) => {
                self.objects[*object].words[*offset as usize] = value;
            }
            Holds::Ring(_, ring, offset) => self.rings[*ring][*offset as usize] = value,
        }
    }

    fn write(&mut self, value: u64) {
        let at = self.some_space();
        let number = FIRST + self.random.below(PAGES);
        self.world.enter(&self.spaces[at].space);
        let written = self.world.write(page(number).start(), value);
        let Some(cell) = self.spaces[at].cells.get(&number) else {
            assert_eq!(written, Err(Violation::Unmapped));
            return;
        };
        if !cell.is_writable {
            assert_eq!(written, forbidden(Access::Write));
            return;
        }
        match written {
            Err(Violation::OutOfFrames(_)) => return,
            written => assert_eq!(written, Ok(())),
        }
        self.hold(at, number, value);
    }

    fn read(&mut self) {
        let at = self.some_space();
        let number = FIRST + self.random.below(PAGES);
        self.world.enter(&self.spaces[at].space);
        let expected = self.expected(at, number);
        match self.world.read(page(number).start()) {
            Err(Violation::OutOfFrames(_)) if expected.is_ok() => {}
            read => assert_eq!(read, expected, "page {number}"),
        }
    }

    fn expected(&self, at: usize, number: u64) -> Result<u64, Violation> {
        let cell = self.spaces[at].cells.get(&number);
        Ok(match cell.ok_or(Violation::Unmapped)?.holds {
            Holds::Own(word) | Holds::Copied(_, _, Some(word)) => word,
            Holds::Shared(object, offset) | Holds::Copied(object, offset, None) => {
                self.objects[object].words[offset as usize]
            }
            Holds::Ring(_, ring, offset) => self.rings[ring][offset as usize],
        })
    }

    fn check(&self) {
        self.world.memory.check_invariants();
        for at in 0..self.spaces.len() {
            self.world.enter(&self.spaces[at].space);
            for number in FIRST..FIRST + PAGES {
                match self.world.read(page(number).start()) {
                    Err(Violation::OutOfFrames(_)) => {}
                    read => assert_eq!(read, self.expected(at, number), "page {number}"),
                }
            }
        }
    }

    fn end(mut self) {
        for object in self.objects.iter().filter(|object| object.has_handle) {
            self.world.memory.drop_handle(object.id);
        }
        self.spaces.clear();
        self.world.enter(&Arc::clone(&self.world.kernel));
        self.world.memory.forget_previous();
        let totals = self.world.pool.totals();
        assert_eq!(totals.used_for(crate::memory::frame::Use::User), 0);
        assert_eq!(totals.used_for(crate::memory::frame::Use::PageCache), 0);
    }
}

fn rights(is_writable: bool) -> Rights {
    if is_writable {
        Rights::READ_WRITE
    } else {
        Rights::READ
    }
}

fn run(seed: u64, frames: u32, steps: u64, check_every: u64) {
    std::println!("seed {seed:#x}, {frames} frames");
    let mut model = Model::new(seed, frames);
    for step in 1..=steps {
        model.step(step);
        if step % check_every == 0 {
            model.check();
        }
    }
    model.check();
    model.end();
}

/// Proves M35, M40, M44, M48, M61, M75, M78, M82, M84, M97, M118: whatever happens to spaces and objects, every page reads as the
/// model says, and nothing is lost. A million steps, with every invariant checked after each of the first, and often later.
#[test]
fn every_page_reads_as_the_model_says_whatever_happened() {
    for seed in [1, 0xfeed, 0x1234_5678, 0xdead_beef] {
        run(seed, 600, 2_500, 1);
        run(seed ^ 0xaaaa_0000, 600, 197_500, 50);
        run(seed ^ 0x5555_0000, 100, 50_000, 50);
    }
}
