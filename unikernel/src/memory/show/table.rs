//! What there is, as a table a person can read.
//!
//! ```text
//! 131072 frames: 129812 free, 390 reserved, 870 allocated (…)
//! space 0, the kernel's
//!               from      pages       size rights sharing  regular  cached     cow  name, kind
//!            0x10000         64    256 KiB rw--   private        3       0       0  stack of main, stack
//! …
//! objects
//!      pages       size   resident      dirty        out handles mappings depth  number, pager, name
//!          4     16 KiB          1          1          0       1        2     1  0.0, zeros, board
//! ```

use core::fmt::{self, Formatter, Result};

use super::Listener;
use super::rows::{Part, Row, Size, address};
use crate::memory::frame::Totals;
use crate::memory::object::Description;

/// Writes a table.
pub(super) struct Table<'a, 'f>(pub(super) &'a mut Formatter<'f>);

impl Listener for Table<'_, '_> {
    fn frames(&mut self, totals: &Totals) -> Result {
        writeln!(self.0, "{totals}")
    }

    fn space(&mut self, number: u32, is_kernel: bool) -> Result {
        let whose = if is_kernel { ", the kernel's" } else { "" };
        writeln!(self.0, "space {number}{whose}")?;
        writeln!(
            self.0,
            "{:>18} {:>10} {:>10} rights sharing {:>8} {:>7} {:>7}  name, kind",
            "from", "pages", "size", "regular", "cached", "cow"
        )
    }

    fn region(&mut self, row: &Row) -> Result {
        let (counters, rights) = (row.counters, row.rights);
        write!(
            self.0,
            "{}",
            Range(address(row.pages.start()), row.pages.len())
        )?;
        write!(
            self.0,
            " {rights}   {:<7} {:>8}",
            row.sharing, counters.regular
        )?;
        write!(
            self.0,
            " {:>7} {:>7}",
            counters.cached, counters.copy_on_write
        )?;
        let locked = if row.is_locked { " (locked)" } else { "" };
        writeln!(self.0, "  {}, {}{locked}", row.name, row.make)
    }

    fn kernel_half(&mut self) -> Result {
        writeln!(self.0, "the kernel's half, in every space")?;
        writeln!(
            self.0,
            "{:>18} {:>10} {:>10} rights {:>16}  name",
            "from", "pages", "size", "mapped"
        )
    }

    fn part(&mut self, part: &Part) -> Result {
        let range = Range(address(part.pages.start()), part.pages.len());
        let (rights, mapped, name) = (part.rights, part.mapped, part.name);
        writeln!(self.0, "{range} {rights}   {mapped:>16}  {name}")
    }

    fn objects(&mut self) -> Result {
        writeln!(self.0, "objects")?;
        writeln!(
            self.0,
            "{:>10} {:>10} {:>10} {:>10} {:>10} {:>7} {:>8} {:>5}  number, pager, name",
            "pages", "size", "resident", "dirty", "out", "handles", "mappings", "depth"
        )
    }

    fn object(&mut self, object: &Description) -> Result {
        let pages = object.len_pages;
        write!(self.0, "{pages:>10} {}", Size { pages })?;
        write!(
            self.0,
            " {:>10} {:>10} {:>10}",
            object.resident_pages, object.dirty_pages, object.out_pages
        )?;
        write!(
            self.0,
            " {:>7} {:>8} {:>5}  {}, {}",
            object.handles, object.mappings, object.depth, object.id, object.pager
        )?;
        match &object.name {
            Some(name) => writeln!(self.0, ", {name}"),
            None => writeln!(self.0),
        }
    }

    fn end(&mut self) -> Result {
        Ok(())
    }
}

/// Where something starts, and of how many pages it is.
struct Range(u64, u64);

impl fmt::Display for Range {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self(start, pages) = *self;
        write!(f, "{start:#18x} {pages:>10} {}", Size { pages })
    }
}
