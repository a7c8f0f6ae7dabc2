//! Spaces on the simulated machine: every access goes through its walker and its caches, and every fault through
//! [`resolve`](super::AddressSpace::resolve).

#![allow(
    unsafe_code,
    reason = "switching spaces is unsafe; on a simulated machine nobody is hurt"
)]

mod corners;
mod failure;
mod faults;
mod fork;
mod model;
mod objects;
mod regions;
mod regressions;
mod sweeps;
mod switching;
mod transfers;

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::{Memory, Place, Request, ReserveError};
use crate::memory::address::VirtAddr;
use crate::memory::fault::{Fault, Ring, Violation};
use crate::memory::frame::FramePool;
use crate::memory::machine::Machine;
use crate::memory::page::{Access, Page, PageRange, PageSize, Rights};
use crate::memory::region::{Commitment, Kind, Name, Sharing};
use crate::memory::sim::pool::{SimMemory, pool_over};
use crate::memory::sim::{self, Sim, SimFault};
use crate::memory::table::PageTable;

type Space = Arc<super::AddressSpace<Sim, SimMemory>>;

/// A machine with the space of its kernel.
struct World {
    sim: &'static Sim,
    pool: &'static FramePool<SimMemory>,
    memory: &'static Memory<Sim, SimMemory>,
    kernel: Space,
}

impl World {
    /// Makes a machine with this many frames.
    fn new(frames: u32) -> Self {
        Self::of(Sim::new(frames))
    }

    fn of(sim: Sim) -> Self {
        Self::bounded(sim, bounds())
    }

    /// Makes a machine whose regions lie in these pages.
    fn bounded(sim: Sim, bounds: PageRange) -> Self {
        let sim: &'static Sim = Box::leak(Box::new(sim));
        let pool = pool_over(sim);
        pool.zero_frame().expect("the machine has frames");
        let root = PageTable::create_first(sim, pool).expect("the machine has frames");
        // SAFETY: on a simulated machine nothing is in use yet.
        unsafe { sim.activate(root.root()) };
        let memory: &'static _ = Box::leak(Box::new(Memory::new(sim, pool)));
        let kernel = memory
            .create_kernel(root.root(), bounds)
            .expect("there is heap");
        Self {
            sim,
            pool,
            memory,
            kernel: Arc::clone(kernel),
        }
    }

    fn free(&self) -> u64 {
        self.pool.totals().free()
    }

    /// Reserves private lazy memory.
    fn lazy(&self, space: &Space, len_pages: u64) -> PageRange {
        space
            .reserve(private(len_pages, Rights::READ_WRITE))
            .expect("there is room")
    }

    /// Makes this the space that the CPU is in.
    fn enter(&self, space: &Space) {
        // SAFETY: on a simulated machine nothing but tests uses the lower half.
        unsafe { self.memory.switch(&super::Target::Space(space)) };
    }

    fn read(&self, address: VirtAddr) -> Result<u64, Violation> {
        self.access(|sim| sim.read(address, sim::Ring::Kernel))
    }

    fn write(&self, address: VirtAddr, value: u64) -> Result<(), Violation> {
        self.access(|sim| sim.write(address, value, sim::Ring::Kernel))
    }

    fn execute(&self, address: VirtAddr) -> Result<(), Violation> {
        self.access(|sim| sim.execute(address, sim::Ring::Kernel))
    }

    /// Accesses an address, writing 9 if it is a write.
    fn access_at(&self, address: VirtAddr, access: Access) -> Result<(), Violation> {
        match access {
            Access::Read => self.read(address).map(drop),
            Access::Write => self.write(address, 9),
            Access::Execute => self.execute(address),
        }
    }

    /// Accesses memory as a processor does: again after each fault that was resolved.
    fn access<T>(&self, access: impl Fn(&Sim) -> Result<T, SimFault>) -> Result<T, Violation> {
        for _ in 0..8 {
            match access(self.sim) {
                Ok(value) => return Ok(value),
                Err(fault) => self.memory.resolve(fault_of(fault))?,
            }
        }
        Err(Violation::NoProgress)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.memory.check_invariants();
        }
    }
}

fn fault_of(fault: SimFault) -> Fault {
    Fault {
        address: fault.address,
        access: fault.access,
        by: match fault.ring {
            sim::Ring::Kernel => Ring::Kernel,
            sim::Ring::User => Ring::User,
        },
    }
}

/// The pages that tests reserve in: 64 GiB from 64 KiB on.
fn bounds() -> PageRange {
    PageRange::new(page(16), (64 << 30 >> 12) - 16)
}

fn page(number: u64) -> Page {
    Page::from_number(number).expect("tests use small numbers")
}

/// Returns the address of the word with this number in a range of pages.
fn at(range: PageRange, page: u64) -> VirtAddr {
    range.get(page).expect("the page is in the range").start()
}

fn private(len_pages: u64, rights: Rights) -> Request {
    request(
        len_pages,
        rights,
        Kind::Anonymous {
            commitment: Commitment::Lazy,
        },
        Sharing::Private,
    )
}

fn request(len_pages: u64, rights: Rights, kind: Kind, sharing: Sharing) -> Request {
    Request {
        len_pages,
        place: Place::Anywhere(PageSize::Kib4),
        rights,
        kind,
        sharing,
        name: Name::new("test"),
    }
}

fn part(range: PageRange, first: u64, len: u64) -> PageRange {
    PageRange::new(range.get(first).expect("the part begins inside"), len)
}

/// Asserts that an access is refused because the region forbids it.
fn forbidden<T>(access: Access) -> Result<T, Violation> {
    Err(Violation::Forbidden(access))
}
