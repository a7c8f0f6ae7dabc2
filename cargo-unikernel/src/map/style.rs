//! Colours and fonts of the picture.

use super::snapshot::{Kind, Part};
use super::svg::{Face, Font};

/// Colours of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Paint {
    /// Where something is mapped.
    pub(super) full: &'static str,
    /// Where something is mapped that a write has to copy first.
    pub(super) pale: &'static str,
    /// Around all of it.
    pub(super) edge: &'static str,
}

const BLUE: Paint = Paint {
    full: "#b7d3f5",
    pale: "#e4eefb",
    edge: "#3f78bd",
};
const GREEN: Paint = Paint {
    full: "#b5e0bf",
    pale: "#e1f3e5",
    edge: "#36894f",
};
const AMBER: Paint = Paint {
    full: "#f6d691",
    pale: "#fcf0d5",
    edge: "#b27d12",
};
const VIOLET: Paint = Paint {
    full: "#d6c5f2",
    pale: "#efe8fb",
    edge: "#7a55b8",
};
const TEAL: Paint = Paint {
    full: "#aee2e0",
    pale: "#dff4f3",
    edge: "#24868a",
};
const CORAL: Paint = Paint {
    full: "#f6c3b1",
    pale: "#fce8e1",
    edge: "#bf5a36",
};
const SLATE: Paint = Paint {
    full: "#d9dfe7",
    pale: "#eef1f5",
    edge: "#76828f",
};

/// Returns the colours of a kind of region.
pub(super) const fn of_kind(kind: &Kind) -> Paint {
    match kind {
        Kind::Lazy | Kind::Committed => BLUE,
        Kind::Stack | Kind::Guarded { .. } => GREEN,
        Kind::Heap => AMBER,
        Kind::Object { .. } => VIOLET,
        Kind::Ring => TEAL,
        Kind::Fixed { .. } | Kind::Dma { .. } => CORAL,
    }
}

/// Returns the colours of a part of the kernel.
pub(super) fn of_part(part: &Part) -> Paint {
    if part.rights.contains('x') {
        CORAL
    } else if part.name.contains("stack") {
        GREEN
    } else if part.name.contains("heap") {
        AMBER
    } else if part.rights.contains('w') {
        BLUE
    } else {
        SLATE
    }
}

/// Returns the colour of what frames are used for.
pub(super) fn of_use(name: &str) -> &'static str {
    match name {
        "kernel" => "#7f9fd1",
        "page tables" => "#b98fd0",
        "frame records" => "#6fb7c9",
        "heap" => "#eeb54a",
        "user" => "#74bd86",
        "page cache" => "#a58bdb",
        "reserved" => "#aab3bf",
        "free" => "#edf0f4",
        _ => "#d49a86",
    }
}

/// Text.
pub(super) const INK: &str = "#1c2430";
/// Text of less weight.
pub(super) const GREY: &str = "#5d6875";
/// Lines that only lead.
pub(super) const FAINT: &str = "#c9d0d9";
/// What leads from an overview to its details.
pub(super) const WEDGE: &str = "#f3f5f8";

pub(super) const TITLE: Font = font(25.0, Face::Bold, INK);
pub(super) const SUBTITLE: Font = font(14.0, Face::Plain, GREY);
pub(super) const HEADING: Font = font(15.0, Face::Bold, INK);
pub(super) const NAME: Font = font(13.0, Face::Bold, INK);
pub(super) const DETAIL: Font = font(11.5, Face::Plain, INK);
pub(super) const FIGURE: Font = font(11.5, Face::Mono, INK);
pub(super) const ADDRESS: Font = font(11.0, Face::Mono, GREY);
pub(super) const NOTE: Font = font(10.5, Face::Plain, GREY);

const fn font(size: f64, face: Face, colour: &'static str) -> Font {
    Font { size, face, colour }
}
