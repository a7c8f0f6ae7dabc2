//! The address space of a running image: asked for, understood, drawn.
//!
//! ```text
//! image built to answer ──> QEMU ──> ask (NMI) ──> text between markers ──> Snapshot ──┬─> picture (SVG)
//!                                     qmp              answer                          └─> table
//! ```
//!
//! The form of the text is described where it is written, in the library's `memory/show`.

mod answer;
pub(crate) mod ask;

mod block;
mod picture;
mod qmp;
pub mod snapshot;
mod style;
mod svg;
mod table;

pub use self::picture::draw;
pub(crate) use self::table::table;
