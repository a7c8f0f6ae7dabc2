//! A simulated machine: memory of its own, a walker that checks rights at every level, and caches that stay stale until they
//! are told.
//!
//! It forgets nothing by itself. A real processor may forget a translation at any time, and then a missing flush goes unnoticed;
//! here it is always noticed. Frames have numbers of their own, which are no addresses of the host.
//!
//! ```text
//!   Cpu   active root
//!         translations   page -> frame, rights            what INVLPG forgets for one page
//!         tables         prefix of a page -> table        what any INVLPG forgets: SDM volume 3A, section 4.10.3
//!   RAM   frames from FIRST_FRAME on, filled with junk
//! ```
//!
//! Tables of the active root are seen through the self slot, by the same walker and the same caches as everything else: an edit
//! through a stale self slot goes astray here too.

#![allow(
    unsafe_code,
    reason = "the functions of the seam are unsafe to call; here is no unsafe block, and nobody to hurt"
)]

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use super::address::VirtAddr;
use super::machine::{Entries, Invalidation, Link, Machine, Place, SelfMap};
use super::page::{Access, ENTRIES, Frame, Level, MemoryType, Page, PageRange, PageSize};

mod frames;
pub(crate) mod pool;

pub(crate) use self::frames::SimFrames;

/// The number of the first frame that has memory.
pub(crate) const FIRST_FRAME: u32 = 0x100;
/// What memory holds that nobody wrote to.
const JUNK: u64 = 0xa5a5_5a5a_dead_beef;
/// Bits of a physical address.
const PHYS_BITS: u32 = 40;

const PRESENT: u64 = 1 << 0;
const WRITE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
const LARGE: u64 = 1 << 7;
const GLOBAL: u64 = 1 << 8;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// Words of a frame.
type Words = [Cell<u64>; ENTRIES];

/// Whose access it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ring {
    /// Ring 0.
    Kernel,
    /// Ring 3.
    User,
}

/// Why an access failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Some entry on the way is not present.
    NotPresent,
    /// Some entry on the way forbids the access.
    Forbidden,
    /// Some entry on the way has a bit set that must not be.
    Reserved,
}

/// An access that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SimFault {
    /// What was accessed.
    pub(crate) address: VirtAddr,
    /// How.
    pub(crate) access: Access,
    /// By whom.
    pub(crate) ring: Ring,
    /// Why it failed.
    pub(crate) cause: Cause,
}

/// A cached translation.
#[derive(Clone, Copy)]
struct Cached {
    /// The first page of the leaf, and how many there are.
    pages: PageRange,
    frame: u32,
    rights: u64,
    is_global: bool,
    is_dirty: bool,
}

/// What one CPU knows.
#[derive(Default)]
struct Cpu {
    active: Option<Frame>,
    /// By size and first page of the leaf.
    translations: BTreeMap<(PageSize, u64), Cached>,
    /// By level and first page: the table there, and the rights on the way.
    tables: BTreeMap<(Level, u64), (u32, u64)>,
}

impl Cpu {
    fn cached(&self, page: Page) -> Option<Cached> {
        let mut sizes = PageSize::UP.into_iter().rev();
        sizes.find_map(|size| self.translations.get(&key(page, size)).copied())
    }

    fn forget(&mut self, pages: PageRange) {
        self.tables.clear();
        self.translations
            .retain(|_, cached| cached.pages.intersection(pages).is_none());
    }
}

fn key(page: Page, size: PageSize) -> (PageSize, u64) {
    (size, page.align_down(size.level()).number())
}

/// The machine.
pub(crate) struct Sim {
    ram: Vec<Words>,
    cpus: RefCell<Vec<Cpu>>,
    current: Cell<usize>,
    open: Cell<usize>,
    most_open: Cell<usize>,
    invalidations: Cell<usize>,
    /// Whether ring 0 obeys write protection, as CR0.WP says.
    pub(crate) write_protect: Cell<bool>,
    /// The largest leaf.
    pub(crate) largest: Cell<PageSize>,
    /// Whether there is a page attribute table.
    pub(crate) has_attribute_table: Cell<bool>,
    /// A leaf that the processor marks dirty just before it is exchanged: the frame of its table, and its index.
    pub(crate) dirty_race: Cell<Option<(Frame, usize)>>,
}

impl Sim {
    /// Makes a machine with one CPU and this many frames.
    pub(crate) fn new(frames: u32) -> Self {
        Self::with_cpus(frames, 1)
    }

    /// Makes a machine with several CPUs. All calls are made by the one chosen with [`Sim::run_on`].
    pub(crate) fn with_cpus(frames: u32, cpus: usize) -> Self {
        Self {
            ram: vec![[const { Cell::new(JUNK) }; ENTRIES]; frames as usize],
            cpus: RefCell::new((0..cpus).map(|_| Cpu::default()).collect()),
            current: Cell::new(0),
            open: Cell::new(0),
            most_open: Cell::new(0),
            invalidations: Cell::new(0),
            write_protect: Cell::new(true),
            largest: Cell::new(PageSize::Gib1),
            has_attribute_table: Cell::new(true),
            dirty_race: Cell::new(None),
        }
    }

    /// Returns all frames that there are.
    pub(crate) fn all_frames(&self) -> impl Iterator<Item = Frame> + use<> {
        (FIRST_FRAME..FIRST_FRAME + self.ram.len() as u32).map(Frame::new)
    }

    /// Chooses the CPU that makes the following calls.
    pub(crate) fn run_on(&self, cpu: usize) {
        self.current.set(cpu);
    }

    /// Returns how many tables have been open at a time, at most.
    pub(crate) fn most_open(&self) -> usize {
        self.most_open.get()
    }

    /// Returns how often CPUs were told to forget something.
    pub(crate) fn invalidations(&self) -> usize {
        self.invalidations.get()
    }

    /// Reads eight bytes at an address that is a multiple of eight.
    pub(crate) fn read(&self, address: VirtAddr, ring: Ring) -> Result<u64, SimFault> {
        let frame = self.access(address, Access::Read, ring)?;
        Ok(self.word(frame, address.page_offset() as usize / 8))
    }

    /// Writes eight bytes at an address that is a multiple of eight.
    pub(crate) fn write(&self, address: VirtAddr, value: u64, ring: Ring) -> Result<(), SimFault> {
        let frame = self.access(address, Access::Write, ring)?;
        self.set_word(frame, address.page_offset() as usize / 8, value);
        Ok(())
    }

    /// Fetches an instruction.
    pub(crate) fn execute(&self, address: VirtAddr, ring: Ring) -> Result<(), SimFault> {
        self.access(address, Access::Execute, ring).map(|_| ())
    }

    /// Reads a word of a frame, as no processor can.
    pub(crate) fn word(&self, frame: Frame, index: usize) -> u64 {
        self.ram[ram_index(frame)][index].get()
    }

    /// Writes a word of a frame, as no processor can.
    pub(crate) fn set_word(&self, frame: Frame, index: usize, value: u64) {
        self.ram[ram_index(frame)][index].set(value);
    }

    /// Fills a frame with junk.
    pub(crate) fn spoil(&self, frame: Frame) {
        self.fill(frame, JUNK);
    }

    /// Returns whether a frame holds zeros only.
    pub(crate) fn is_zero(&self, frame: Frame) -> bool {
        self.ram[ram_index(frame)]
            .iter()
            .all(|word| word.get() == 0)
    }

    fn fill(&self, frame: Frame, value: u64) {
        self.ram[ram_index(frame)]
            .iter()
            .for_each(|word| word.set(value));
    }

    /// Translates for an access, by what is cached if something is, otherwise by the tables. Returns the frame.
    fn access(&self, address: VirtAddr, access: Access, ring: Ring) -> Result<Frame, SimFault> {
        let page = Page::containing(address);
        let fault = |cause| SimFault {
            address,
            access,
            ring,
            cause,
        };
        let cached = self.cpus.borrow()[self.current.get()].cached(page);
        let usable = cached.filter(|cached| access != Access::Write || cached.is_dirty);
        let cached = match usable {
            Some(cached) => cached,
            None => self.walk(page, access, ring).map_err(fault)?,
        };
        if !self.allows(cached.rights, access, ring) {
            // The fault makes the processor forget this translation: SDM volume 3A, section 4.10.4.1.
            self.cpus.borrow_mut()[self.current.get()].forget(PageRange::one(page));
            return Err(fault(Cause::Forbidden));
        }
        let offset = page.number() - cached.pages.start().number();
        Ok(Frame::new(cached.frame + offset as u32))
    }

    fn allows(&self, rights: u64, access: Access, ring: Ring) -> bool {
        let is_write_checked = ring == Ring::User || self.write_protect.get();
        (ring == Ring::Kernel || rights & USER != 0)
            && match access {
                Access::Read => true,
                Access::Write => rights & WRITE != 0 || !is_write_checked,
                Access::Execute => rights & NO_EXECUTE == 0,
            }
    }

    /// Walks the tables and caches what it finds.
    fn walk(&self, page: Page, access: Access, ring: Ring) -> Result<Cached, Cause> {
        let (mut level, mut table, mut rights) = self.start_of_walk(page);
        loop {
            let index = page.index(level);
            let entry = self.word(Frame::new(table), index);
            if entry & PRESENT == 0 {
                return Err(Cause::NotPresent);
            }
            let is_leaf = level == Level::One || entry & LARGE != 0;
            check_reserved(entry, level, is_leaf, self.largest.get())?;
            rights = rights & entry & (WRITE | USER) | (rights | entry) & NO_EXECUTE;
            let is_write = is_leaf && access == Access::Write && self.allows(rights, access, ring);
            let noted = entry | ACCESSED | if is_write { DIRTY } else { 0 };
            self.set_word(Frame::new(table), index, noted);
            if is_leaf {
                return Ok(self.remember(page, level, noted, rights));
            }
            table = ((entry & ADDRESS) >> 12) as u32;
            level = level.below().expect("entries of level 1 are leaves");
            let first = page
                .align_down(level.above().expect("it is below another"))
                .number();
            let mut cpus = self.cpus.borrow_mut();
            cpus[self.current.get()]
                .tables
                .insert((level, first), (table, rights));
        }
    }

    /// Returns where a walk begins: at the lowest table that is cached.
    fn start_of_walk(&self, page: Page) -> (Level, u32, u64) {
        let cpus = self.cpus.borrow();
        let cpu = &cpus[self.current.get()];
        for level in [Level::One, Level::Two, Level::Three] {
            let covered = level.above().expect("only the root has none above");
            let first = page.align_down(covered).number();
            if let Some(&(table, rights)) = cpu.tables.get(&(level, first)) {
                return (level, table, rights);
            }
        }
        let root = cpu
            .active
            .expect("a root is active before memory is accessed");
        (Level::Four, root.number(), WRITE | USER)
    }

    fn remember(&self, page: Page, level: Level, entry: u64, rights: u64) -> Cached {
        let size = level.leaf_size().expect("the root has no leaves");
        let low = if level == Level::One { 0 } else { 1 << 12 };
        let cached = Cached {
            pages: PageRange::new(page.align_down(level), size.pages()),
            frame: ((entry & ADDRESS & !low) >> 12) as u32,
            rights,
            is_global: entry & GLOBAL != 0,
            is_dirty: entry & DIRTY != 0,
        };
        let mut cpus = self.cpus.borrow_mut();
        let translations = &mut cpus[self.current.get()].translations;
        for size in PageSize::UP {
            translations.remove(&key(page, size));
        }
        translations.insert(key(page, size), cached);
        cached
    }

    /// Returns the frame that the CPU sees a linked table of its active root in.
    fn seen_by_self_slot(&self, level: Level, page: Page) -> Frame {
        let map = SelfMap::new(Self::SELF_SLOT.expect("the simulator has one"));
        let address = map.table(level, page).start();
        self.access(address, Access::Write, Ring::Kernel)
            .unwrap_or_else(|fault| panic!("the self slot does not show a table: {fault:?}"))
    }
}

fn ram_index(frame: Frame) -> usize {
    let index = frame.number().checked_sub(FIRST_FRAME);
    index.unwrap_or_else(|| panic!("there is no memory at {frame}")) as usize
}

fn check_reserved(entry: u64, level: Level, is_leaf: bool, largest: PageSize) -> Result<(), Cause> {
    let too_high = entry & ADDRESS >> PHYS_BITS << PHYS_BITS;
    let misaligned = match level.leaf_size() {
        Some(size) if is_leaf && size != PageSize::Kib4 => {
            // Bit 12 belongs to the memory type.
            entry & (size.bytes() - 1) & ADDRESS & !(1 << 12)
        }
        _ => 0,
    };
    let is_too_large = is_leaf && level.leaf_size().is_none_or(|size| size > largest);
    if too_high != 0 || misaligned != 0 || is_too_large {
        return Err(Cause::Reserved);
    }
    Ok(())
}

/// An open table of the simulator.
pub(crate) struct SimTable<'a> {
    sim: &'a Sim,
    frame: Frame,
    words: &'a Words,
}

impl Drop for SimTable<'_> {
    fn drop(&mut self) {
        self.sim.open.set(self.sim.open.get() - 1);
    }
}

impl Entries for SimTable<'_> {
    fn load(&self, index: usize) -> u64 {
        self.words[index].get()
    }

    fn store(&self, index: usize, value: u64) {
        self.words[index].set(value);
    }

    fn exchange(&self, index: usize, current: u64, new: u64) -> Result<(), u64> {
        if self.sim.dirty_race.get() == Some((self.frame, index)) {
            self.sim.dirty_race.set(None);
            self.words[index].set(self.load(index) | ACCESSED | DIRTY);
        }
        match self.load(index) {
            found if found == current => {
                self.store(index, new);
                Ok(())
            }
            found => Err(found),
        }
    }
}

impl Machine for Sim {
    type Table<'a> = SimTable<'a>;

    const SELF_SLOT: Option<usize> = Some(510);

    fn largest_leaf(&self) -> PageSize {
        self.largest.get()
    }

    fn memory_type(&self, wanted: MemoryType) -> MemoryType {
        match wanted {
            MemoryType::WriteCombining if !self.has_attribute_table.get() => {
                MemoryType::UncachedMinus
            }
            other => other,
        }
    }

    unsafe fn open(&self, place: Place) -> SimTable<'_> {
        let frame = match place.link {
            Link::Active { level, page } => self.seen_by_self_slot(level, page),
            Link::Elsewhere => place.frame,
        };
        assert_eq!(frame, place.frame, "{place:?} does not tell the truth");
        self.open.set(self.open.get() + 1);
        self.most_open
            .set(self.most_open.get().max(self.open.get()));
        let words = &self.ram[ram_index(frame)];
        SimTable {
            sim: self,
            frame,
            words,
        }
    }

    unsafe fn zero(&self, frame: Frame) {
        self.fill(frame, 0);
    }

    unsafe fn copy(&self, from: Frame, to: Frame) {
        for (to, from) in self.ram[ram_index(to)]
            .iter()
            .zip(&self.ram[ram_index(from)])
        {
            to.set(from.get());
        }
    }

    unsafe fn activate(&self, root: Frame) {
        let mut cpus = self.cpus.borrow_mut();
        let cpu = &mut cpus[self.current.get()];
        cpu.active = Some(root);
        cpu.tables.clear();
        cpu.translations.retain(|_, cached| cached.is_global);
    }

    fn active(&self) -> Frame {
        let active = self.cpus.borrow()[self.current.get()].active;
        active.unwrap_or(Frame::new(0))
    }

    fn invalidate(&self, stale: &Invalidation) {
        self.invalidations.set(self.invalidations.get() + 1);
        for cpu in self.cpus.borrow_mut().iter_mut() {
            if cpu.active == Some(stale.root) || stale.pages.start().is_upper_half() {
                for pages in stale.ranges(Self::SELF_SLOT) {
                    cpu.forget(pages);
                }
            }
        }
    }
}
