//! SVG, as far as the picture needs it: rectangles, polygons and text that stays within its room.

use std::fmt::Write;

/// What text looks like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Font {
    /// Height in pixels.
    pub(super) size: f64,
    pub(super) face: Face,
    pub(super) colour: &'static str,
}

/// The faces of the picture. Each is a list of which every system has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Face {
    Plain,
    Bold,
    Mono,
}

/// Which point of a text its place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A rectangle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Box {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// Elements, one after the other.
#[derive(Debug, Default)]
pub(super) struct Svg {
    body: String,
}

const SANS: &str = "Inter,'Segoe UI','Helvetica Neue','Liberation Sans',Arial,sans-serif";
const MONO: &str =
    "'JetBrains Mono',SFMono-Regular,Menlo,Consolas,'Liberation Mono','DejaVu Sans Mono',monospace";

/// What guards are filled with.
pub(super) const HATCH: &str = "url(#hatch)";

impl Svg {
    /// Adds a rectangle that is filled, and drawn around if there is a colour for that.
    pub(super) fn rect(&mut self, place: Box, fill: &str, stroke: Option<&str>) {
        let Box {
            x,
            y,
            width,
            height,
        } = place;
        let stroke = stroke.map_or(String::new(), |colour| format!(" stroke=\"{colour}\""));
        self.add(&format!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{fill}\"{stroke}/>"
        ));
    }

    /// Adds a filled polygon.
    pub(super) fn polygon(&mut self, points: &[(f64, f64)], fill: &str) {
        let points: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        self.add(&format!(
            "<polygon points=\"{}\" fill=\"{fill}\"/>",
            points.join(" ")
        ));
    }

    /// Adds a dotted horizontal line.
    pub(super) fn dots(&mut self, from: (f64, f64), to_x: f64, colour: &str) {
        let (x, y) = from;
        self.add(&format!(
            "<line x1=\"{x:.1}\" y1=\"{y:.1}\" x2=\"{to_x:.1}\" y2=\"{y:.1}\" stroke=\"{colour}\" stroke-dasharray=\"1.5 4\"/>"
        ));
    }

    /// Adds text on a baseline. If it might be wider than `room`, it is cut, and whoever points at it sees all of it.
    pub(super) fn text(
        &mut self,
        at: (f64, f64),
        text: &str,
        (font, anchor): (Font, Anchor),
        room: f64,
    ) {
        let class = match font.face {
            Face::Plain => "",
            Face::Bold => " class=\"b\"",
            Face::Mono => " class=\"m\" xml:space=\"preserve\"",
        };
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let words = match font.cut(text, room) {
            None => escaped(text),
            Some(cut) => format!("{}…<title>{}</title>", escaped(cut), escaped(text)),
        };
        let ((x, y), size, colour) = (at, font.size, font.colour);
        self.add(&format!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" fill=\"{colour}\"{class}{anchor}>{words}</text>"
        ));
    }

    fn add(&mut self, element: &str) {
        self.body.push_str(element);
        self.body.push('\n');
    }

    /// Returns the whole file, of this size and with this title for those who cannot see it.
    pub(super) fn finish(self, width: f64, height: f64, title: &str) -> String {
        let mut file = String::new();
        let _infallible = write!(
            file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
             height=\"{height:.0}\" font-family=\"{SANS}\" role=\"img\">\n<title>{}</title>\n\
             <style>.b{{font-weight:600}}.m{{font-family:{MONO}}}</style>\n\
             <defs><pattern id=\"hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" \
             patternTransform=\"rotate(45)\"><rect width=\"6\" height=\"6\" fill=\"#f6f7f9\"/>\
             <rect width=\"2\" height=\"6\" fill=\"#b9c1cc\"/></pattern></defs>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{}</svg>\n",
            escaped(title),
            self.body
        );
        file
    }
}

impl Font {
    /// Returns how wide text is at most, in any of the faces.
    pub(super) fn width(&self, text: &str) -> f64 {
        text.chars().map(|character| self.width_of(character)).sum()
    }

    /// Returns as much of a text as there is room for with a mark behind it; nothing if there is room for all of it.
    fn cut<'t>(&self, text: &'t str, room: f64) -> Option<&'t str> {
        if self.width(text) <= room {
            return None;
        }
        let mut left = room - self.width_of('…');
        let fits = text.char_indices().find(|&(_, character)| {
            left -= self.width_of(character);
            left < 0.0
        });
        fits.map(|(at, _)| &text[..at])
    }

    fn width_of(&self, character: char) -> f64 {
        let em = match (self.face, character) {
            (_, '…' | '\u{1100}'..) => 1.0,
            (Face::Mono, _) => 0.62,
            (_, 'm' | 'w' | 'M' | 'W' | '@' | '%') => 0.95,
            (_, 'A'..='Z') => 0.74,
            (_, 'i' | 'j' | 'l' | 't' | 'f' | 'r' | ' ' | '.' | ',' | ':' | '\'') => 0.42,
            _ => 0.61,
        };
        em * self.size
    }
}

/// Returns text as it is written between tags and in quotes. Characters that XML does not know become a mark.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\0'..='\u{1f}' | '\u{7f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const FONT: Font = Font {
        size: 10.0,
        face: Face::Plain,
        colour: "#000",
    };

    #[test]
    fn what_means_something_in_xml_is_escaped() {
        assert_eq!(escaped("a<b> & \"c\""), "a&lt;b&gt; &amp; &quot;c&quot;");
        assert_eq!(escaped("\0ä\n"), "\u{fffd}ä\u{fffd}");
    }

    #[test]
    fn text_that_might_be_too_wide_is_cut_between_characters_and_other_text_is_not() {
        assert_eq!(FONT.cut("short", 100.0), None);
        assert_eq!(FONT.cut("aaaaaaaa", 30.0), Some("aaa"));
        assert_eq!(FONT.cut("漢漢漢漢", 30.0), Some("漢漢"));
        assert_eq!(FONT.cut("漢", 1.0), Some(""));

        let mut svg = Svg::default();
        svg.text((0.0, 0.0), "a & aaaaa", (FONT, Anchor::Start), 30.0);
        let file = svg.finish(100.0, 100.0, "t");
        assert!(
            file.contains(">a &amp;…<title>a &amp; aaaaa</title></text>"),
            "{file}"
        );
    }

    #[test]
    fn wide_letters_are_taken_for_wide() {
        assert!(FONT.width("WWWW") > FONT.width("iiii"));
        assert_eq!(FONT.width("漢"), 10.0);
    }
}
