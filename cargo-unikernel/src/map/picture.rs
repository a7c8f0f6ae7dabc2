//! The picture: the whole address space as a strip, below it each half in detail, and what frames are used for.
//!
//! ```text
//!   title
//!   [ lower half |░░ not canonical ░░| upper half ]
//!    \           \                  /            /
//!     [ regions of ]            [ parts of the ]
//!     [ each space ]            [ kernel       ]
//!   [ frames in use |               free         ]
//!   [ heap | tables | records | …                ]
//!   legend
//! ```
//!
//! A pure function: the same memory makes the same picture, so that changes of a picture in a repository are changes of memory.

use super::block::{self, Block, COLUMN, Density, UPPER};
use super::snapshot::{Frames, Snapshot, Space, shown_address, size};
use super::style::{self, ADDRESS, DETAIL, FAINT, GREY, HEADING, NOTE, SUBTITLE, TITLE, WEDGE};
use super::svg::{Anchor, Box, Font, HATCH, Svg};

const WIDTH: f64 = 1200.0;
const MARGIN: f64 = 40.0;
const INNER: f64 = WIDTH - 2.0 * MARGIN;
/// Where the right column starts.
const RIGHT: f64 = WIDTH - MARGIN - COLUMN;
/// More regions than this have one line each.
const MOST_AIRY: usize = 14;

/// The strip: where it is, and how wide each half of it is drawn.
const STRIP: Box = Box {
    x: MARGIN,
    y: 116.0,
    width: INNER,
    height: 30.0,
};
const HALF: f64 = 440.0;
/// Where the upper half starts in the strip.
const UPPER_X: f64 = WIDTH - MARGIN - HALF;
/// Bytes of a half.
const HALF_BYTES: u64 = 1 << 47;

/// Draws a memory under a title.
#[must_use]
pub fn draw(title: &str, snapshot: &Snapshot) -> String {
    let mut svg = Svg::default();
    draw_head(&mut svg, title, snapshot);
    draw_strip(&mut svg, snapshot);
    let top = STRIP.y + STRIP.height + 70.0;
    let left = draw_spaces(&mut svg, (MARGIN, top), &snapshot.spaces);
    let right = draw_kernel(&mut svg, (RIGHT, top), snapshot);
    let bottom = draw_frames(&mut svg, left.max(right) + 44.0, &snapshot.frames);
    let bottom = draw_signs(&mut svg, bottom + 30.0);
    svg.finish(WIDTH, bottom + MARGIN, title)
}

fn draw_head(svg: &mut Svg, title: &str, snapshot: &Snapshot) {
    let regions: usize = snapshot
        .spaces
        .iter()
        .map(|space| space.regions.len())
        .sum();
    let frames = &snapshot.frames;
    let told = format!(
        "{} in {}, {} of the kernel, {} of {} memory free",
        counted(regions, "region"),
        counted(snapshot.spaces.len(), "address space"),
        counted(snapshot.kernel.len(), "part"),
        size(frames.free),
        size(frames.total),
    );
    start(svg, (MARGIN, 54.0), title, TITLE);
    start(svg, (MARGIN, 80.0), &told, SUBTITLE);
}

/// Draws all 2^64 addresses, with the halves to scale and the hole between them not.
fn draw_strip(svg: &mut Svg, snapshot: &Snapshot) {
    let below = STRIP.y + STRIP.height;
    for (x, column) in [(MARGIN, MARGIN), (UPPER_X, RIGHT)] {
        let foot = below + 48.0;
        let (strip, column) = ((x, x + HALF), (column, column + COLUMN));
        let wedge = [
            (strip.0, below),
            (strip.1, below),
            (column.1, foot),
            (column.0, foot),
        ];
        svg.polygon(&wedge, WEDGE);
    }
    let halves = [MARGIN, UPPER_X].map(|x| Box {
        x,
        width: HALF,
        ..STRIP
    });
    svg.rect(STRIP, HATCH, None);
    for half in halves {
        svg.rect(half, "#ffffff", None);
    }
    for region in snapshot.spaces.iter().flat_map(|space| &space.regions) {
        let edge = style::of_kind(&region.kind).edge;
        mark(svg, MARGIN, region.start, (region.pages, edge));
    }
    for part in &snapshot.kernel {
        let edge = style::of_part(part).edge;
        let offset = part.start.wrapping_sub(UPPER);
        mark(svg, UPPER_X, offset, (part.pages, edge));
    }
    for place in halves.into_iter().chain([STRIP]) {
        svg.rect(place, "none", Some(GREY));
    }
    label_strip(svg);
}

fn label_strip(svg: &mut Svg) {
    let above = STRIP.y - 7.0;
    for (x, words, font) in [
        (MARGIN + HALF / 2.0, "lower half, 128 TiB: regions", DETAIL),
        (WIDTH / 2.0, "not canonical: no pointer leads here", NOTE),
        (
            UPPER_X + HALF / 2.0,
            "upper half, 128 TiB: the kernel",
            DETAIL,
        ),
    ] {
        middle(svg, (x, above), words, font);
    }
    let below = STRIP.y + STRIP.height + 14.0;
    start(svg, (MARGIN + 2.0, below), "0", ADDRESS);
    end(
        svg,
        (MARGIN + HALF, below),
        &shown_address(HALF_BYTES),
        ADDRESS,
    );
    start(svg, (UPPER_X, below), &shown_address(UPPER), ADDRESS);
    end(svg, (WIDTH - MARGIN - 2.0, below), "2^64", ADDRESS);
}

/// Marks in a half where something lies, at least so wide that it can be seen.
fn mark(svg: &mut Svg, x: f64, offset: u64, (pages, colour): (u64, &str)) {
    let scale = HALF / HALF_BYTES as f64;
    let width = (pages as f64 * 4096.0 * scale).clamp(2.0, HALF);
    let x = (x + offset as f64 * scale).min(x + HALF - width);
    let place = Box {
        x,
        y: STRIP.y + 5.0,
        width,
        height: STRIP.height - 10.0,
    };
    svg.rect(place, colour, None);
}

/// Draws the regions of each space, one space below the other. Returns where they end.
fn draw_spaces(svg: &mut Svg, (x, mut y): (f64, f64), spaces: &[Space]) -> f64 {
    let regions: usize = spaces.iter().map(|space| space.regions.len()).sum();
    let density = if regions > MOST_AIRY {
        Density::Tight
    } else {
        Density::Airy
    };
    for space in spaces {
        let whose = if space.is_kernel {
            ", the kernel's"
        } else {
            ""
        };
        let heading = format!("Space {}{whose}", space.number);
        start(svg, (x, y), &heading, HEADING);
        y += 12.0;
        let blocks: Vec<Block<'_>> = space
            .regions
            .iter()
            .map(|region| Block::region(region, density))
            .collect();
        if blocks.is_empty() {
            start(svg, (x, y + 14.0), "nothing is reserved here", NOTE);
            y += 16.0;
        } else {
            y = block::draw_all(svg, (x, y), &blocks, 0..=HALF_BYTES - 1);
        }
        y += 32.0;
    }
    y - 32.0
}

/// Draws the parts of the kernel. Returns where they end.
fn draw_kernel(svg: &mut Svg, (x, y): (f64, f64), snapshot: &Snapshot) -> f64 {
    let heading = match snapshot.spaces.len() {
        0 | 1 => "The kernel",
        _ => "The kernel, in every space",
    };
    start(svg, (x, y), heading, HEADING);
    let blocks: Vec<Block<'_>> = snapshot.kernel.iter().map(Block::part).collect();
    block::draw_all(svg, (x, y + 12.0), &blocks, UPPER..=u64::MAX)
}

/// Draws what frames are used for: of all frames, and of those in use. Returns where that ends.
fn draw_frames(svg: &mut Svg, y: f64, frames: &Frames) -> f64 {
    let heading = format!("Frames: {} of 4 KiB", frames.total);
    start(svg, (MARGIN, y), &heading, HEADING);
    let uses = frames.uses();
    let (free, used): (Vec<_>, Vec<_>) = uses.iter().partition(|(name, _)| *name == "free");
    let in_use = frames.total - frames.free;
    let all = Box {
        y: y + 14.0,
        height: 14.0,
        ..STRIP
    };
    let share = in_use as f64 / frames.total.max(1) as f64 * INNER;
    let share = share.clamp(3.0, INNER);
    svg.rect(all, style::of_use("free"), None);
    svg.rect(
        Box {
            width: share,
            ..all
        },
        GREY,
        None,
    );
    svg.rect(all, "none", Some(FAINT));
    let (from, to) = (all.y + all.height, all.y + all.height + 18.0);
    let wedge = [
        (MARGIN, from),
        (MARGIN + share, from),
        (MARGIN + INNER, to),
        (MARGIN, to),
    ];
    svg.polygon(&wedge, WEDGE);
    let mut x = MARGIN;
    for (name, count) in &used {
        let width = *count as f64 / in_use.max(1) as f64 * INNER;
        let place = Box {
            x,
            y: to,
            width,
            height: 26.0,
        };
        svg.rect(place, style::of_use(name), None);
        x += width;
    }
    let uses: Vec<_> = used.into_iter().chain(free).collect();
    draw_uses(svg, to + 26.0 + 24.0, &uses)
}

/// Draws what each colour of frames means. Returns where that ends.
fn draw_uses(svg: &mut Svg, y: f64, uses: &[(&str, u64)]) -> f64 {
    const IN_A_ROW: usize = 4;
    let width = INNER / IN_A_ROW as f64;
    for (index, (name, frames)) in uses.iter().enumerate() {
        let (row, column) = (index / IN_A_ROW, index % IN_A_ROW);
        let at = (MARGIN + width * column as f64, y + 22.0 * row as f64);
        let words = format!("{name}: {} ({frames})", size(*frames));
        sign(svg, at, style::of_use(name), None);
        start(svg, (at.0 + 24.0, at.1), &words, DETAIL);
    }
    y + 22.0 * (uses.len().div_ceil(IN_A_ROW) as f64 - 1.0)
}

/// Draws what the ways of filling a block mean. Returns where that ends.
fn draw_signs(svg: &mut Svg, y: f64) -> f64 {
    let edge = Some("#3f78bd");
    let signs = [
        ("#b7d3f5", edge, "mapped"),
        ("#e4eefb", edge, "mapped, copied at the first write"),
        ("#ffffff", edge, "reserved, no frame yet"),
        (HATCH, Some(FAINT), "guard: never mapped"),
    ];
    let width = INNER / signs.len() as f64;
    for (index, (fill, stroke, words)) in signs.into_iter().enumerate() {
        let at = (MARGIN + width * index as f64, y);
        sign(svg, at, fill, stroke);
        start(svg, (at.0 + 24.0, y), words, DETAIL);
    }
    y
}

fn sign(svg: &mut Svg, (x, y): (f64, f64), fill: &str, stroke: Option<&str>) {
    let place = Box {
        x,
        y: y - 11.0,
        width: 16.0,
        height: 13.0,
    };
    svg.rect(place, fill, stroke);
}

fn start(svg: &mut Svg, at: (f64, f64), text: &str, font: Font) {
    svg.text(at, text, (font, Anchor::Start), INNER);
}

fn middle(svg: &mut Svg, at: (f64, f64), text: &str, font: Font) {
    svg.text(at, text, (font, Anchor::Middle), INNER);
}

fn end(svg: &mut Svg, at: (f64, f64), text: &str, font: Font) {
    svg.text(at, text, (font, Anchor::End), INNER);
}

fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::snapshot::tests::EXAMPLE;
    use super::super::svg::Face;
    use super::*;

    /// A text of a picture, and where it is.
    #[derive(Debug)]
    struct Label {
        words: String,
        place: Box,
    }

    /// Returns an attribute of an element.
    fn attribute<'e>(element: &'e str, name: &str) -> Option<&'e str> {
        let (_, rest) = element.split_once(&format!(" {name}=\""))?;
        rest.split_once('"').map(|(value, _)| value)
    }

    impl Label {
        fn parse(element: &str) -> Option<Self> {
            let (head, rest) = element.strip_prefix("<text")?.split_once('>')?;
            let number = |name| attribute(head, name)?.parse::<f64>().ok();
            let words = rest.strip_suffix("</text>")?;
            let shown = words
                .split_once("<title>")
                .map_or(words, |(shown, _)| shown);
            let words = shown.replace("&amp;", "&");
            let face = match attribute(head, "class") {
                Some("m") => Face::Mono,
                Some(_) => Face::Bold,
                None => Face::Plain,
            };
            let (size, colour) = (number("font-size")?, "");
            let font = Font { size, face, colour };
            let width = font.width(&words);
            let x = match attribute(head, "text-anchor") {
                None => number("x")?,
                Some("middle") => number("x")? - width / 2.0,
                Some(_) => number("x")? - width,
            };
            let place = Box {
                x,
                y: number("y")? - size * 0.75,
                width,
                height: size * 0.95,
            };
            Some(Self { words, place })
        }

        fn overlaps(&self, other: &Self) -> bool {
            let (a, b) = (self.place, other.place);
            let beside = a.x + a.width <= b.x || b.x + b.width <= a.x;
            let over = a.y + a.height <= b.y || b.y + b.height <= a.y;
            !beside && !over
        }
    }

    fn labels(picture: &str) -> Vec<Label> {
        picture.lines().filter_map(Label::parse).collect()
    }

    /// Returns a memory with so many regions of all kinds and sizes, with names as wide as names can be.
    fn with_regions(count: u64) -> Snapshot {
        let mut snapshot = Snapshot::parse(EXAMPLE).unwrap();
        let models = snapshot.spaces[0].regions.clone();
        let regions = &mut snapshot.spaces[0].regions;
        let mut start = 0x10000;
        for index in regions.len() as u64..count {
            let mut region = models[index as usize % models.len()].clone();
            region.name = format!("{index:02}{}", "W".repeat(21));
            region.pages = 1 << (index % 30);
            region.start = start;
            region.counters.regular = region.pages / (index + 1);
            start = region.end() + (index % 3) * 4096 * 700;
            regions.push(region);
        }
        regions.sort_by_key(|region| region.start);
        regions.drain(..models.len());
        snapshot
    }

    /// Checks that no two labels of a picture lie over each other, and that all lie in it.
    fn check_labels(picture: &str) {
        let labels = labels(picture);
        for (index, label) in labels.iter().enumerate() {
            let over = labels[..index].iter().find(|other| label.overlaps(other));
            assert!(over.is_none(), "{label:?} lies over {over:?}");
            let (left, right) = (label.place.x, label.place.x + label.place.width);
            assert!(left >= 0.0 && right <= WIDTH, "{label:?}");
            assert!(!label.words.is_empty(), "{label:?}");
        }
    }

    #[test]
    fn no_label_lies_over_another_however_many_regions_there_are() {
        for count in [3, 4, 12, 20, 43, 200] {
            check_labels(&draw("program, 512 MiB", &with_regions(count)));
        }
    }

    #[test]
    fn labels_that_lie_over_each_other_are_found() {
        let mut svg = Svg::default();
        start(&mut svg, (10.0, 20.0), "here", DETAIL);
        start(&mut svg, (20.0, 24.0), "and here", DETAIL);

        let picture = svg.finish(100.0, 100.0, "");
        let labels = labels(&picture);

        assert!(labels[0].overlaps(&labels[1]));
    }

    #[test]
    fn everything_that_has_a_name_is_named() {
        let picture = draw("a <title>", &Snapshot::parse(EXAMPLE).unwrap());

        for text in [
            ">a &lt;title&gt;<",
            ">stack of main<",
            ">&lt;book&gt; &amp; &quot;co&quot;<",
            ">object 3.1 from page 0, shared<",
            ">1 of 4 sections of 20 KiB in use, private<",
            ">0x7f00_00000000<",
            ">the boot stack<",
            ">Space 1<",
            ">nothing is reserved here<",
            ">heap: 480 KiB (120)<",
        ] {
            assert!(picture.contains(text), "{text} is missing in {picture}");
        }
    }

    #[test]
    fn every_element_is_closed_and_every_attribute_quoted() {
        let picture = draw("t", &Snapshot::parse(EXAMPLE).unwrap());
        let mut open = Vec::new();
        for piece in picture.split('<').skip(1) {
            let (tag, _) = piece.split_once('>').expect("a tag ends");
            assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop(), Some(name));
            } else if !tag.ends_with('/') {
                open.push(tag.split(' ').next().expect("a tag has a name"));
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }

    #[test]
    fn a_memory_of_nothing_is_drawn_too() {
        let nothing = r#"{"version":1,"frames":{"total":0,"reserved":0,"free":0,"used":{}},
            "spaces":[],"kernel":[],"objects":[]}"#;

        check_labels(&draw("nothing", &Snapshot::parse(nothing).unwrap()));
    }
}
