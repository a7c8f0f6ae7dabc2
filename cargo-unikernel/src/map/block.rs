//! Blocks in the order of their addresses, the highest at the top, and what lies between them.
//!
//! ```text
//!                      ·········· 127 TiB free ··········
//!                     ┌───────────────────────────────────┐
//!                     │▒▒▒▒ name                     size │   filled as far as it is mapped
//!                     │▒▒▒▒ what it is  rights, how much  │
//!   start of a block  └───────────────────────────────────┘
//! ```
//!
//! Heights grow with the logarithm of sizes, so that one page can be read and a terabyte fits.

use super::snapshot::{Kind, Part, Region, shown_address, size};
use super::style::{self, ADDRESS, DETAIL, FAINT, FIGURE, NAME, NOTE, Paint};
use super::svg::{Anchor, Box, HATCH, Svg};

/// How wide a column of blocks is, with its addresses.
pub(super) const COLUMN: f64 = 550.0;
/// How wide the addresses are.
const ADDRESSES: f64 = 148.0;
const BLOCK: f64 = COLUMN - ADDRESSES;
/// From the edge of a block to its text.
const INSET: f64 = 10.0;
/// How high the place between two blocks is.
const BETWEEN: f64 = 18.0;
/// How high a guard is.
const GUARD: f64 = 6.0;
/// How high the row of sections is.
const SECTIONS: f64 = 16.0;
/// More sections than this are not drawn one by one.
const MOST_SECTIONS: u64 = 32;
/// Gaps in the upper half that are no larger are guards of the kernel's stacks.
const GUARD_BYTES: u64 = 4096;
/// The first address of the upper half.
pub(super) const UPPER: u64 = 1 << 47 | 0xffff << 48;

/// A block to draw.
pub(super) struct Block<'a> {
    name: &'a str,
    start: u64,
    end: u64,
    pages: u64,
    mapped: u64,
    to_be_copied: u64,
    paint: Paint,
    inside: Inside,
    /// On the right, beside the name.
    figure: String,
    /// In a second line, if there is one: left and right.
    detail: Option<(String, String)>,
}

/// What a block shows besides how much of it is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inside {
    Nothing,
    /// A guard at the lowest page.
    Guard,
    /// Sections, of which some are in use.
    Sections(u64, u64),
}

/// How much room there is for each block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Density {
    /// Two lines each.
    Airy,
    /// One line each.
    Tight,
}

impl<'a> Block<'a> {
    /// Makes the block of a region.
    pub(super) fn region(region: &'a Region, density: Density) -> Self {
        let word = region.kind.word();
        let (rights, all, mapped) = (&region.rights, region.pages, region.mapped());
        let (figure, detail) = match density {
            Density::Tight => (format!("{word} {rights} {:>9}", size(all)), None),
            Density::Airy => {
                let right = format!("{rights} {mapped}/{all} pages");
                (size(all), Some((make(region), right)))
            }
        };
        Self {
            name: &region.name,
            start: region.start,
            end: region.end(),
            pages: all,
            mapped,
            to_be_copied: region.counters.copy_on_write,
            paint: style::of_kind(&region.kind),
            inside: Inside::of(&region.kind),
            figure,
            detail,
        }
    }

    /// Makes the block of a part of the kernel.
    pub(super) fn part(part: &'a Part) -> Self {
        let amount = if part.mapped < part.pages {
            format!("{} of {}", size(part.mapped), size(part.pages))
        } else {
            size(part.pages)
        };
        Self {
            name: &part.name,
            start: part.start,
            end: part.end(),
            pages: part.pages,
            mapped: part.mapped,
            to_be_copied: 0,
            paint: style::of_part(part),
            inside: Inside::Nothing,
            figure: format!("{} {amount:>9}", part.rights),
            detail: None,
        }
    }

    fn height(&self) -> f64 {
        let lines = if self.detail.is_some() { 42.0 } else { 24.0 };
        lines + self.inside.height() + (self.pages.max(1) as f64).log2() * 0.8
    }

    fn draw(&self, svg: &mut Svg, x: f64, y: f64) {
        let whole = Box {
            x: x + ADDRESSES,
            y,
            width: BLOCK,
            height: self.height(),
        };
        svg.rect(whole, "#ffffff", None);
        self.fill(svg, whole);
        self.draw_inside(svg, whole);
        svg.rect(whole, "none", Some(self.paint.edge));
        self.label(svg, whole);
        let foot = whole.y + whole.height;
        svg.dots((whole.x - 10.0, foot), whole.x, FAINT);
        svg.text(
            (whole.x - 12.0, foot + 1.0),
            &shown_address(self.start),
            (ADDRESS, Anchor::End),
            ADDRESSES - 12.0,
        );
    }

    /// Fills as much of the block as is mapped.
    fn fill(&self, svg: &mut Svg, whole: Box) {
        if matches!(self.inside, Inside::Sections(..)) {
            return;
        }
        let width = |pages: u64| match pages {
            0 => 0.0,
            pages => (whole.width * pages as f64 / self.pages.max(1) as f64).max(3.0),
        };
        let all = width(self.mapped).min(whole.width);
        let own = width(self.mapped - self.to_be_copied.min(self.mapped)).min(all);
        for (width, colour) in [(all, self.paint.pale), (own, self.paint.full)] {
            if width > 0.0 {
                svg.rect(Box { width, ..whole }, colour, None);
            }
        }
    }

    fn draw_inside(&self, svg: &mut Svg, whole: Box) {
        let bottom = |height| Box {
            y: whole.y + whole.height - height,
            height,
            ..whole
        };
        match self.inside {
            Inside::Nothing => {}
            Inside::Guard => svg.rect(bottom(GUARD), HATCH, None),
            Inside::Sections(count, used) => {
                svg.rect(bottom(SECTIONS), HATCH, None);
                self.draw_sections(svg, bottom(SECTIONS), count.min(MOST_SECTIONS), used);
            }
        }
    }

    /// Draws sections, those in use filled, with a guard on each side. Of very many, as many as can be seen.
    fn draw_sections(&self, svg: &mut Svg, row: Box, count: u64, used: u64) {
        let stride = (row.width - GUARD) / count.max(1) as f64;
        for index in 0..count {
            let place = Box {
                x: row.x + GUARD + stride * index as f64,
                y: row.y + 2.0,
                width: stride - GUARD,
                height: row.height - 4.0,
            };
            let fill = if index < used {
                self.paint.full
            } else {
                "#ffffff"
            };
            svg.rect(place, fill, Some(self.paint.edge));
        }
    }

    fn label(&self, svg: &mut Svg, whole: Box) {
        let (left, right) = (whole.x + INSET, whole.x + whole.width - INSET);
        let lines = if self.detail.is_some() { 17.0 } else { 0.0 };
        let line = whole.y + (whole.height - self.inside.height() - lines) / 2.0 + 4.5;
        let figure = FIGURE.width(&self.figure);
        let room = whole.width - 3.0 * INSET - figure;
        svg.text((left, line), self.name, (NAME, Anchor::Start), room);
        svg.text((right, line), &self.figure, (FIGURE, Anchor::End), figure);
        if let Some((what, how)) = &self.detail {
            let line = line + 17.0;
            let how_wide = FIGURE.width(how);
            let room = whole.width - 3.0 * INSET - how_wide;
            svg.text((left, line), what, (DETAIL, Anchor::Start), room);
            svg.text((right, line), how, (FIGURE, Anchor::End), how_wide);
        }
    }
}

impl Inside {
    const fn of(kind: &Kind) -> Self {
        match kind {
            Kind::Stack => Self::Guard,
            Kind::Guarded {
                sections,
                sections_used,
                ..
            } => Self::Sections(*sections, *sections_used),
            _ => Self::Nothing,
        }
    }

    /// Returns how much of the block's height it takes, at the bottom.
    const fn height(self) -> f64 {
        match self {
            Self::Nothing => 0.0,
            Self::Guard => GUARD,
            Self::Sections(..) => SECTIONS,
        }
    }
}

/// Says what a region is made of.
fn make(region: &Region) -> String {
    let word = region.kind.word();
    let what = match &region.kind {
        Kind::Fixed { memory_type } | Kind::Dma { memory_type } => format!("{word}, {memory_type}"),
        Kind::Object {
            object,
            offset_pages,
        } => format!("{word} {object} from page {offset_pages}"),
        Kind::Guarded {
            section_pages,
            sections,
            sections_used,
        } => {
            let each = size(*section_pages);
            format!("{sections_used} of {sections} sections of {each} in use")
        }
        _ => word.to_owned(),
    };
    format!("{what}, {}", region.sharing)
}

/// Draws blocks, given from the lowest up, of a half that ends at `half`. Returns where they end.
pub(super) fn draw_all(
    svg: &mut Svg,
    (x, mut y): (f64, f64),
    blocks: &[Block<'_>],
    half: std::ops::RangeInclusive<u64>,
) -> f64 {
    let mut above = *half.end();
    for block in blocks.iter().rev() {
        y = draw_gap(svg, (x, y), block.end..=above);
        block.draw(svg, x, y);
        y += block.height();
        above = block.start.saturating_sub(1);
    }
    let lowest = *half.start()..=above;
    draw_gap(svg, (x, y), lowest)
}

/// Draws what lies between two blocks, if anything. Returns where it ends.
fn draw_gap(svg: &mut Svg, (x, y): (f64, f64), gap: std::ops::RangeInclusive<u64>) -> f64 {
    let Some(bytes) = gap.end().checked_sub(*gap.start()) else {
        return y;
    };
    let (left, right) = (x + ADDRESSES, x + COLUMN);
    if bytes < GUARD_BYTES && *gap.start() >= UPPER {
        let (width, height) = (right - left, GUARD);
        let place = Box {
            x: left,
            y,
            width,
            height,
        };
        svg.rect(place, HATCH, Some(FAINT));
        return y + GUARD;
    }
    let words = if *gap.start() == 0 && bytes < 1 << 20 {
        format!("{}: null pointers, never mapped", size((bytes >> 12) + 1))
    } else {
        format!("{} free", size((bytes >> 12) + 1))
    };
    let middle = (left + right) / 2.0;
    let room = NOTE.width(&words) / 2.0 + 8.0;
    let line = y + BETWEEN / 2.0;
    svg.dots((left, line), middle - room, FAINT);
    svg.dots((middle + room, line), right, FAINT);
    let at = (middle, line + 3.5);
    svg.text(at, &words, (NOTE, Anchor::Middle), 2.0 * room);
    y + BETWEEN
}
