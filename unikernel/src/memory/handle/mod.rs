//! Memory as an application holds it: values that own pages, and give them back when they are dropped.
//!
//! ```text
//!   Region::builder()…  ── lazy ──────> Region<Lazy>       zeros, a frame with each first write
//!                       ── committed ─> Region<Committed>  zeros, all frames there
//!                       ── heap ──────> Region<Heap>       lazy, of one space only
//!                       ── guarded ───> Guarded ──take──> Section   between guards
//!                       ── stack ─────> Stack              grows downwards onto a guard
//!                       ── ring ──────> Ring               followed by itself
//!                       ── private ───> Region<Private>    the contents of an Object, as they were
//!                       ── shared ────> Shared             the contents of an Object, as they are
//!                       ── dma ───────> Dma                frames side by side, for a device
//!                       ── device ────> Device             registers of a device
//!                       ── user_owned > UserOwned          memory of ring 3, in some Space
//! ```
//!
//! What can be done with a kind of memory are the methods of its type; what makes no sense does not compile. Slices exist of
//! regions, of what is [`Lent`], and of sections: of memory that nobody else writes. Registers and what a device shares are read
//! and written value by value; memory of ring 3 is copied.
//!
//! | file | what |
//! |---|---|
//! | `builder` | what is wanted |
//! | `region`, `guarded`, `stack`, `ring`, `dma`, `device`, `user` | the kinds |
//! | `object` | contents that outlive memory, and memory that shows them |
//! | `lent` | parts of a region for somebody else |
//! | `view`, `volatile` | how memory is seen: as slices, or value by value |
//! | `space` | address spaces |
//! | `runtime` | what the runtime of a language asks for |
//! | `reserved`, `counters`, `error` | what all of them need |
//!
//! Invariants:
//!
//! - H1: the pages of a handle are reserved for it alone, from when it is made until it is dropped.
//! - H2: a section is somebody's once, and goes back before its region ends.
//! - H3: the frames of a DMA region are counted once, for its pages.

pub mod builder;
mod counters;
mod device;
mod dma;
mod error;
mod guarded;
mod lent;
mod object;
mod region;
mod reserved;
mod ring;
pub mod runtime;
mod space;
mod stack;
#[cfg(test)]
mod tests;
mod user;
mod view;
mod volatile;

pub use self::counters::PageCounts;
pub use self::device::Device;
pub use self::dma::Dma;
pub use self::error::{AlterError, ViewError};
pub use self::guarded::{Guarded, Section};
pub use self::lent::Lent;
pub use self::object::{Object, Shared};
pub use self::region::{Committed, Heap, Lazy, OnDemand, Private, Region};
pub use self::ring::Ring;
pub use self::space::Space;
pub use self::stack::Stack;
pub use self::user::UserOwned;
pub use self::volatile::Register;
