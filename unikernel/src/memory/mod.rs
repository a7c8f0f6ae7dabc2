//! Memory, bottom up: frames, page tables, roots. What it needs of a machine it asks through the seam in `machine.rs`.
//!
//! | layer | owns |
//! |---|---|
//! | `frame` | physical frames: who has which, and how many are left |
//! | `table` | page tables: what is mapped where, one body for all levels |
//! | `region` | promises about pages: what an address space has where, before anything is mapped |
//! | `object` | contents that outlive mappings: where they come from, snapshots, names |
//! | `fault` | what a page fault means: a decision, without effects |
//! | `space` | regions, tables and objects under their locks: faults repaired, forks, copies |
//! | `window` | temporary mappings: a frame made visible for a moment, on one CPU |
//! | `root` | whole sets of tables, as an application edits them |
//! | `handle` | memory as an application holds it: [`Region`] and its siblings |
//! | `show` | all there is, as a table and as JSON |
//!
//! Words: a *page* is virtual, a *frame* is physical, a *leaf* maps one onto the other; addresses are in bytes.

#![cfg_attr(
    any(unikernel, not(test)),
    allow(
        dead_code,
        unused_imports,
        reason = "the layers above, which use all of it, are not there yet; tests are"
    )
)]

pub(crate) mod address;
mod dump;
pub(crate) mod fault;
pub(crate) mod frame;
mod handle;
pub(crate) mod kernel;
pub(crate) mod machine;
pub(crate) mod object;
mod owned;
pub(crate) mod page;
pub(crate) mod region;
pub(crate) mod root;
#[cfg(any(test, unikernel_test))]
pub(crate) mod scenario;
pub(crate) mod show;
#[cfg(test)]
pub(crate) mod sim;
pub(crate) mod space;
pub(crate) mod table;
pub(crate) mod window;

pub use self::address::{AddressError, PAGE_SIZE, PhysAddr, VirtAddr};
pub use self::dump::{describe_frame, describe_frames, describe_pages, dump};
pub use self::fault::Violation;
pub use self::frame::error::{AllocateError, FreeError};
pub use self::frame::report::{FrameReport, FreeLists};
pub use self::handle::{
    AlterError, Committed, Device, Dma, Guarded, Heap, Lazy, Lent, Object, OnDemand, PageCounts,
    Private, Region, Register, Ring, Section, Shared, Space, Stack, UserOwned, ViewError, builder,
    runtime,
};
#[cfg(unikernel_test)]
pub(crate) use self::kernel::check_kernel_tables;
pub(crate) use self::kernel::kernel_runs;
#[cfg(unikernel)]
pub(crate) use self::kernel::map_device;
#[cfg(unikernel)]
pub(crate) use self::kernel::{region_name, repair};
pub use self::object::{ObjectError, ObjectId, pager};
pub use self::owned::{OwnedFrame, OwnedFrames, TemporaryMapping, ZERO_FRAME, ZeroFrame};
pub use self::page::{Access, Frame, FrameRange, MemoryType, Page, PageRange, PageSize, Rights};
pub use self::region::{Name, RegionError, ShapeError};
pub use self::root::{Active, Root};
pub use self::show::{describe_regions, dump_regions, regions_as_json};
pub use self::space::transfer::StringError;
pub use self::space::{Fork, ForkError, ReserveError, SpaceError, TransferError};
pub use self::table::entry::{Attributes, Leaf, Marks, Touched};
pub use self::table::error::{AttributesError, ChangeError, MapError, OutOfFrames, UnmapError};
pub use self::table::one::Translation;
pub use self::table::runs::Run;
pub use self::window::WindowError;

/// Values that any bytes are one of, and that are nothing but their bytes: what views of memory are made of.
pub use bytemuck::Pod;

use self::frame::FramePool;
use self::space::Memory;
use crate::arch::machine::frames::PoolMemory;
use crate::arch::machine::paging::Paging;

/// The machine's frames, from the moment boot hands them over; before, and on the host, there are none.
pub(crate) static FRAMES: FramePool<PoolMemory> = FramePool::new(PoolMemory);

/// All spaces and objects of the machine.
pub(crate) static MEMORY: Memory<Paging, PoolMemory> = Memory::new(&Paging, &FRAMES);
