//! What there is, as JSON.
//!
//! ```text
//! {"version":1,
//!  "frames":{"total":131072,"reserved":390,"free":129812,"used":{"kernel":5,"page tables":40,…}},
//!  "spaces":[{"number":0,"is_kernel":true,"regions":[
//!   {"start":"0x10000","pages":64,"rights":"rw--","sharing":"private","name":"stack of main","is_locked":false,
//!    "counters":{"regular":3,"cached":0,"copy_on_write":0},"kind":"stack"},…]},…],
//!  "kernel":[{"name":"the heap","start":"0xffff800000000000","pages":64,"mapped":64,"rights":"rw--"},…],
//!  "objects":[{"id":"0.0","name":"board","pager":"zeros","pages":4,"resident":1,"dirty":1,"out":0,"handles":1,
//!   "mappings":2,"depth":1},…]}
//! ```
//!
//! | kind | what else it has |
//! |---|---|
//! | `lazy`, `committed`, `stack`, `ring`, `heap` | nothing |
//! | `fixed`, `dma` | `first_frame`, `memory_type` |
//! | `object` | `object`, `offset_pages` |
//! | `guarded` | `section_pages`, `sections`, `sections_used` |
//!
//! An object's `id` is what a region's `object` says; its `name` is `null` if it has none. `resident` and `dirty` are pages of its own:
//! what it shares with snapshots is behind it, at a `depth` of 2 or more.
//!
//! Addresses are text, as not every reader of JSON has numbers of 64 bits. Who adds to this keeps the version; who changes or removes
//! something raises it.

use core::fmt::{self, Formatter, Result, Write};

use super::Listener;
use super::rows::{Make, Part, Row, address};
use crate::memory::frame::{Totals, Use};
use crate::memory::object::Description;

/// What this form is.
const VERSION: u32 = 1;

/// Writes JSON.
pub(super) struct Json<'a, 'f> {
    out: &'a mut Formatter<'f>,
    /// What ends the space that is open, if one is.
    end_of_space: &'static str,
    /// Whether the innermost list has an element.
    has_elements: bool,
}

impl<'a, 'f> Json<'a, 'f> {
    pub(super) fn new(out: &'a mut Formatter<'f>) -> Self {
        Self {
            out,
            end_of_space: "",
            has_elements: false,
        }
    }

    /// Begins an element of the innermost list.
    fn begin_element(&mut self) -> Result {
        let separator = if self.has_elements { "," } else { "" };
        self.has_elements = true;
        write!(self.out, "{separator}\n{{")
    }

    /// Goes back to the list of spaces.
    fn end_space(&mut self) -> Result {
        self.has_elements = !self.end_of_space.is_empty();
        self.out.write_str(core::mem::take(&mut self.end_of_space))
    }
}

impl Listener for Json<'_, '_> {
    fn frames(&mut self, totals: &Totals) -> Result {
        let (all, reserved, free) = (totals.total(), totals.reserved(), totals.free());
        write!(self.out, "{{\"version\":{VERSION},\n\"frames\":{{")?;
        write!(
            self.out,
            "\"total\":{all},\"reserved\":{reserved},\"free\":{free},\"used\":"
        )?;
        for (index, purpose) in Use::ALL.into_iter().enumerate() {
            let separator = if index == 0 { '{' } else { ',' };
            let frames = totals.used_for(purpose);
            write!(self.out, "{separator}\"{purpose}\":{frames}")?;
        }
        self.out.write_str("}},\n\"spaces\":[")
    }

    fn space(&mut self, number: u32, is_kernel: bool) -> Result {
        self.end_space()?;
        self.begin_element()?;
        self.end_of_space = "]}";
        self.has_elements = false;
        write!(
            self.out,
            "\"number\":{number},\"is_kernel\":{is_kernel},\"regions\":["
        )
    }

    fn region(&mut self, row: &Row) -> Result {
        self.begin_element()?;
        let (start, pages) = (address(row.pages.start()), row.pages.len());
        write!(self.out, "\"start\":\"{start:#x}\",\"pages\":{pages},")?;
        write!(self.out, "\"rights\":\"{}\",", row.rights)?;
        write!(self.out, "\"sharing\":\"{}\",", row.sharing)?;
        write!(self.out, "\"name\":{},", Text(row.name.as_str()))?;
        write!(self.out, "\"is_locked\":{},", row.is_locked)?;
        let counters = row.counters;
        write!(
            self.out,
            "\"counters\":{{\"regular\":{},\"cached\":{},\"copy_on_write\":{}}},",
            counters.regular, counters.cached, counters.copy_on_write
        )?;
        write!(self.out, "{}}}", Kind(&row.make))
    }

    fn kernel_half(&mut self) -> Result {
        self.end_space()?;
        self.has_elements = false;
        self.out.write_str("],\n\"kernel\":[")
    }

    fn part(&mut self, part: &Part) -> Result {
        self.begin_element()?;
        let (start, pages) = (address(part.pages.start()), part.pages.len());
        write!(
            self.out,
            "\"name\":{},\"start\":\"{start:#x}\",\"pages\":{pages},\"mapped\":{},\"rights\":\"{}\"}}",
            Text(part.name),
            part.mapped,
            part.rights
        )
    }

    fn objects(&mut self) -> Result {
        self.has_elements = false;
        self.out.write_str("],\n\"objects\":[")
    }

    fn object(&mut self, object: &Description) -> Result {
        self.begin_element()?;
        write!(self.out, "\"id\":\"{}\",\"name\":", object.id)?;
        match &object.name {
            Some(name) => write!(self.out, "{}", Text(name.as_str()))?,
            None => self.out.write_str("null")?,
        }
        write!(self.out, ",\"pager\":{}", Text(object.pager))?;
        let members = [
            ("pages", object.len_pages),
            ("resident", object.resident_pages),
            ("dirty", object.dirty_pages),
            ("out", object.out_pages),
            ("handles", u64::from(object.handles)),
            ("mappings", object.mappings as u64),
            ("depth", object.depth),
        ];
        for (name, number) in members {
            write!(self.out, ",\"{name}\":{number}")?;
        }
        self.out.write_char('}')
    }

    fn end(&mut self) -> Result {
        self.out.write_str("]}")
    }
}

/// The members that say what a region is made of.
struct Kind<'a>(&'a Make);

impl fmt::Display for Kind<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "\"kind\":\"{}\"", self.0.word())?;
        match self.0 {
            Make::Plain(_) => Ok(()),
            Make::Frames(_, first, memory_type) => write!(
                f,
                ",\"first_frame\":{},\"memory_type\":\"{memory_type}\"",
                first.number()
            ),
            Make::Object(object, offset) => {
                write!(f, ",\"object\":\"{object}\",\"offset_pages\":{offset}")
            }
            Make::Guarded { each, count, used } => write!(
                f,
                ",\"section_pages\":{each},\"sections\":{count},\"sections_used\":{used}"
            ),
        }
    }
}

/// Text in quotes, in which nothing ends it early: RFC 8259, section 7.
pub(super) struct Text<'a>(pub(super) &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_char('"')?;
        for character in self.0.chars() {
            match character {
                '"' | '\\' => write!(f, "\\{character}")?,
                '\0'..' ' | '\u{7f}' => write!(f, "\\u{:04x}", u32::from(character))?,
                _ => f.write_char(character)?,
            }
        }
        f.write_char('"')
    }
}
