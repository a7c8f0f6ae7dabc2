//! Random operations against a naive model: a list of pages, each with what it shows.

use super::*;

/// Marsaglia's xorshift, so that a seed is enough to repeat a run.
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// Takes the range out of every region it meets, as an unmapping does.
pub(super) fn cut_out(map: &mut RegionMap, range: PageRange) {
    let pieces: Vec<Piece> = map.pieces(range).expect("all can be divided").collect();
    map.prepare(1).expect("the host has memory");
    for Piece { region, range, cut } in pieces {
        let done = match cut {
            Cut::Whole => map
                .remove(region)
                .map(drop)
                .ok_or(RegionError::NoRegion(region)),
            Cut::Head => map.shrink_from_start(region, range.len()),
            Cut::Tail => map.shrink_from_end(region, range.len()),
            Cut::Middle => cut_middle(map, region, range),
        };
        assert_eq!(done, Ok(()));
    }
}

fn cut_middle(map: &mut RegionMap, region: Page, range: PageRange) -> Result<(), RegionError> {
    map.split(region, range.start(), Counters::NONE)?;
    map.shrink_from_start(range.start(), range.len())
}

/// What a naive observer knows of a page.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cell {
    /// Which region it belongs to; those are numbered as they come.
    region: u64,
    name: Name,
    content: Content,
    is_locked: bool,
}

const START: u64 = 0x1000;

struct Model {
    map: RegionMap,
    random: Random,
    /// The pages from `START` on.
    cells: Vec<Option<Cell>>,
    longest: u64,
    made: u64,
}

impl Model {
    fn new(seed: u64, pages: u64, longest: u64) -> Self {
        std::println!("seed {seed:#x}");
        Self {
            map: RegionMap::new(range(START, pages)),
            random: Random(seed),
            cells: std::vec![None; pages as usize],
            longest,
            made: 0,
        }
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..30 => self.insert(),
            30..36 => self.finish_making(),
            36..48 => self.remove(),
            48..58 => self.split(),
            58..64 => self.shrink(),
            64..76 => self.resize(),
            76..84 => self.join(),
            84..90 => self.cut_out(),
            _ => self.find_room(),
        }
    }

    fn any_page(&mut self) -> u64 {
        self.random.below(self.cells.len() as u64)
    }

    fn any_len(&mut self) -> u64 {
        1 + self.random.below(self.longest)
    }

    /// Returns the extent of the region around a page, as far as it can be seen from the pages.
    fn around(&self, at: u64) -> Option<(u64, u64)> {
        let region = self.cells[at as usize]?.region;
        let same = |&index: &usize| self.cells[index].is_some_and(|cell| cell.region == region);
        let start = (0..=at as usize).rev().take_while(same).last()?;
        let len = (start..self.cells.len()).take_while(same).count();
        Some((start as u64, len as u64))
    }

    fn any_region(&mut self) -> Option<(u64, u64, Cell)> {
        let at = self.any_page();
        let (start, len) = self.around(at)?;
        Some((start, len, self.cells[start as usize]?))
    }

    fn is_free(&self, start: u64, len: u64) -> bool {
        let end = start + len;
        end <= self.cells.len() as u64
            && self.cells[start as usize..end as usize]
                .iter()
                .all(Option::is_none)
    }

    fn kind(&mut self, len: u64) -> Kind {
        match self.random.below(8) {
            0..3 => LAZY,
            3 => fixed(self.random.below(4) as u32 * 8),
            4 if len.is_multiple_of(2) => Kind::Ring,
            _ => object(self.random.below(4) * 8),
        }
    }

    fn insert(&mut self) {
        let (start, len) = (self.any_page(), self.any_len());
        let kind = self.kind(len);
        let name = Name::new(["even", "odd"][self.random.below(2) as usize]);
        let is_locked = self.random.below(10) == 0;
        let pages = range(START + start, len);
        let new = Region::new(pages, Rights::READ, kind, Sharing::Shared, name).unwrap();
        let shown = contents(&new, START + start, len);
        let is_free = self.is_free(start, len);

        let added = if is_locked {
            self.map.reserve(new)
        } else {
            self.map.insert(new)
        };

        assert_eq!(added.is_ok(), is_free, "R1: {start} + {len}");
        if is_free {
            self.made += 1;
            for (offset, content) in shown.into_iter().enumerate() {
                self.cells[start as usize + offset] = Some(Cell {
                    region: self.made,
                    name,
                    content,
                    is_locked,
                });
            }
        }
    }

    fn clear(&mut self, start: u64, len: u64) {
        self.cells[start as usize..(start + len) as usize].fill(None);
    }

    fn finish_making(&mut self) {
        let Some((start, len, cell)) = self.any_region() else {
            return;
        };
        if self.random.below(2) == 0 {
            let published = self.map.publish(page(START + start));
            assert_eq!(published.is_ok(), cell.is_locked);
            for cell in self.cells[start as usize..(start + len) as usize].iter_mut() {
                cell.iter_mut().for_each(|cell| cell.is_locked = false);
            }
        } else if self.map.abandon(page(START + start)).is_ok() {
            assert!(cell.is_locked);
            self.clear(start, len);
        }
    }

    fn remove(&mut self) {
        let at = self.any_page();
        let removed = self.map.remove(page(START + at));
        let expected = self.around(at).filter(|&(start, _)| start == at);
        assert_eq!(
            removed.map(|region| region.range()),
            expected.map(|(start, len)| range(START + start, len))
        );
        if let Some((start, len)) = expected {
            self.clear(start, len);
        }
    }

    /// Returns whether the region may be divided, as the model sees it.
    fn is_divisible(cell: Cell) -> bool {
        !cell.is_locked && !matches!(cell.content, Content::Twin(_))
    }

    fn split(&mut self) {
        let Some((start, len, cell)) = self.any_region() else {
            return;
        };
        let at = start + self.random.below(len + 1);
        let split = self
            .map
            .split(page(START + start), page(START + at), Counters::NONE);
        let can_be = Self::is_divisible(cell) && at > start && at < start + len;
        assert_eq!(split.is_ok(), can_be, "{start} + {len} at {at}");
        if can_be {
            self.made += 1;
            self.renumber(at, start + len - at, self.made);
        }
    }

    fn renumber(&mut self, start: u64, len: u64, region: u64) {
        for cell in self.cells[start as usize..(start + len) as usize].iter_mut() {
            cell.iter_mut().for_each(|cell| cell.region = region);
        }
    }

    fn shrink(&mut self) {
        let Some((start, len, cell)) = self.any_region() else {
            return;
        };
        let pages = self.random.below(len + 2);
        let can_be = pages < len && !cell.is_locked && (pages == 0 || Self::is_divisible(cell));
        let region = page(START + start);
        let (shrunk, gone) = if self.random.below(2) == 0 {
            (self.map.shrink_from_start(region, pages), start)
        } else {
            let kept = len.saturating_sub(pages);
            (self.map.shrink_from_end(region, pages), start + kept)
        };
        assert_eq!(shrunk.is_ok(), can_be, "{start} + {len} by {pages}");
        if can_be {
            self.clear(gone, pages);
        }
    }

    fn resize(&mut self) {
        let Some((start, len, cell)) = self.any_region() else {
            return;
        };
        let new = self.any_len();
        let end = start + len;
        let room = (end..).take_while(|&at| self.is_free(at, 1)).count() as u64;
        assert_eq!(self.map.room_after(page(START + start)), room);
        let has_one_size = matches!(cell.content, Content::Twin(_) | Content::Frame(..));

        let resized = self.map.resize(page(START + start), new);

        let can_be = !cell.is_locked && !has_one_size && new <= len + room;
        assert_eq!(resized.is_ok(), can_be, "{start} + {len} to {new}");
        if !can_be {
            return;
        }
        if new < len {
            self.clear(start + new, len - new);
        }
        for offset in len..new {
            let content = advanced(cell.content, offset);
            self.cells[(start + offset) as usize] = Some(Cell { content, ..cell });
        }
    }

    /// Returns whether the pages on both sides of `at` could be of one region.
    fn goes_on(&self, at: u64) -> bool {
        let (Some(below), Some(above)) = (
            at.checked_sub(1)
                .and_then(|below| self.cells[below as usize]),
            self.cells.get(at as usize).copied().flatten(),
        ) else {
            return false;
        };
        Self::is_divisible(below)
            && Self::is_divisible(above)
            && below.name == above.name
            && advanced(below.content, 1) == above.content
    }

    fn join(&mut self) {
        let Some((mut start, mut len, _)) = self.any_region() else {
            return;
        };

        let joined = self.map.join_around(page(START + start));

        if self.goes_on(start + len) {
            len += self.around(start + len).map_or(0, |(_, len)| len);
        }
        if self.goes_on(start) {
            let (before, more) = self.around(start - 1).expect("it goes on");
            (start, len) = (before, len + more);
        }
        assert_eq!(joined, page(START + start));
        self.made += 1;
        self.renumber(start, len, self.made);
    }

    fn cut_out(&mut self) {
        let start = self.any_page();
        let len = self
            .random
            .below(3 * self.longest)
            .min(self.cells.len() as u64 - start);
        let pages = range(START + start, len);
        let is_cut = |at: u64| {
            let (Some(below), Some(above)) = (
                at.checked_sub(1)
                    .and_then(|below| self.cells[below as usize]),
                self.cells.get(at as usize).copied().flatten(),
            ) else {
                return false;
            };
            below.region == above.region && !Self::is_divisible(above)
        };
        let meets_locked = self.cells[start as usize..(start + len) as usize]
            .iter()
            .flatten()
            .any(|cell| cell.is_locked);
        let can_be = len == 0 || !(is_cut(start) || is_cut(start + len) || meets_locked);

        assert_eq!(self.map.pieces(pages).is_ok(), can_be, "{pages:?}");
        if !can_be {
            return;
        }
        cut_out(&mut self.map, pages);
        let tail = self.cells.get((start + len) as usize).copied().flatten();
        let head = start.checked_sub(1).and_then(|at| self.cells[at as usize]);
        if let (Some(head), Some(tail), true) = (head, tail, len > 0)
            && head.region == tail.region
        {
            let (whole, whole_len) = self.around(start).expect("it is in a region");
            self.made += 1;
            self.renumber(start + len, whole + whole_len - start - len, self.made);
        }
        self.clear(start, len);
    }

    fn find_room(&mut self) {
        let (from, len) = (self.any_page(), self.any_len());
        let align = 1 + self.random.below(4);
        let room = |from: u64| {
            (from..self.cells.len() as u64)
                .find(|&at| (START + at).is_multiple_of(align) && self.is_free(at, len))
                .map(|at| page(START + at))
        };

        let free = self.map.find_free(len, page(START + from), align);
        let near = self.map.find_near(len, page(START + from), align);

        assert_eq!(free, room(from), "{len} from {from} at {align}");
        assert_eq!(near, free.or_else(|| room(0)));
    }

    fn check(&mut self) {
        self.map.check_invariants();
        let mut at = 0;
        let mut regions = self.map.iter();
        while at < self.cells.len() as u64 {
            let Some((start, len)) = self.around(at) else {
                at += 1;
                continue;
            };
            let region = regions.next().expect("R1: a region is missing");
            assert_eq!(region.range(), range(START + start, len));
            self.check_region(region, start);
            at += len;
        }
        assert!(regions.next().is_none(), "R1: there is one region more");
    }

    fn check_region(&self, region: &Region, start: u64) {
        for (offset, at) in region.range().iter().enumerate() {
            let cell = self.cells[start as usize + offset].expect("it is of this region");
            assert_eq!(region.content(at), cell.content, "R2");
            assert_eq!(region.name(), cell.name);
            assert_eq!(region.is_locked(), cell.is_locked);
        }
    }

    fn check_page(&mut self) {
        let at = self.any_page();
        let number = page(START + at);
        let found = self.map.find(number).map(|region| region.content(number));
        let cell = self.cells[at as usize];
        assert_eq!(found, cell.map(|cell| cell.content), "R2: {at}");
        let is_seen = self.map.find_for_fault(number).is_some();
        assert_eq!(
            is_seen,
            cell.is_some_and(|cell| !cell.is_locked),
            "R6: {at}"
        );
    }
}

/// Returns what lies `pages` pages after such a page in one region.
fn advanced(content: Content, pages: u64) -> Content {
    match content {
        Content::Frame(first, memory_type) => {
            Content::Frame(Frame::new(first.number() + pages as u32), memory_type)
        }
        Content::Object(object, offset) => Content::Object(object, offset + pages),
        same => same,
    }
}

/// Proves M41, M42, M43, M44, M45, M46, M47, M53, M58.
#[test]
fn the_map_agrees_with_a_naive_list_after_every_one_of_100_000_operations() {
    for seed in [0x5eed_0041, 0x5eed_0042, 0x5eed_0043, 0x5eed_0044] {
        let mut model = Model::new(seed, 400, 24);
        for _ in 0..25_000 {
            model.step();
            model.check();
            model.check_page();
        }
    }
}

/// Proves M41, M42, M44: as above, with about a thousand regions at a time.
#[test]
fn a_large_map_agrees_with_a_naive_list() {
    let mut model = Model::new(0x5eed_0045, 6_000, 8);
    let mut most = 0;
    for step in 0..40_000 {
        model.step();
        model.check_page();
        if step % 128 == 0 {
            model.check();
        }
        most = most.max(model.map.len());
    }

    assert!(most > 500, "only {most} regions at a time");
}
