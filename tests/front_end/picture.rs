//! A screenshot as a PPM file, and text found in it.

use font8x8::legacy::BASIC_LEGACY;

/// Pixels of a character, as the console draws the font's 8 by 8.
const CELL_WIDTH: usize = 8;
const CELL_HEIGHT: usize = 16;

/// The console's ink: a light grey, in red, green and blue.
const INK: [u8; 3] = [0xc0; 3];

/// What a screen shows.
pub(crate) struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 3]>,
}

impl Picture {
    /// Reads a binary PPM file with one byte for each colour; nothing if it is not a whole one.
    pub(crate) fn from_ppm(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut word = || {
            let end = rest.iter().position(u8::is_ascii_whitespace)?;
            let (word, tail) = rest.split_at(end);
            rest = &tail[1..];
            str::from_utf8(word).ok()
        };
        if word()? != "P6" {
            return None;
        }
        let (width, height) = (word()?.parse().ok()?, word()?.parse().ok()?);
        let is_of_bytes = word()? == "255";
        let (pixels, _) = rest.as_chunks::<3>();
        let is_whole = pixels.len() == usize::checked_mul(width, height)?;
        (is_of_bytes && is_whole).then(|| Self {
            width,
            height,
            pixels: pixels.to_vec(),
        })
    }

    /// Returns how many rows of text there is room for.
    pub(crate) fn rows(&self) -> usize {
        self.height / CELL_HEIGHT
    }

    /// Returns how many pixels are not black.
    pub(crate) fn lit(&self) -> usize {
        self.pixels.iter().filter(|&&pixel| pixel != [0; 3]).count()
    }

    /// Returns whether a row shows exactly this text, from its start on, and nothing else.
    pub(crate) fn shows(&self, row: usize, text: &str) -> bool {
        (0..CELL_HEIGHT).all(|line| {
            let start = (row * CELL_HEIGHT + line) * self.width;
            let pixels = &self.pixels[start..start + self.width];
            pixels
                .iter()
                .enumerate()
                .all(|(x, pixel)| *pixel == expected(text, x, line))
        })
    }
}

/// Returns the colour of a pixel of a row that shows `text`.
fn expected(text: &str, x: usize, line: usize) -> [u8; 3] {
    let byte = text.as_bytes().get(x / CELL_WIDTH).copied();
    let glyph = BASIC_LEGACY[usize::from(byte.unwrap_or(b' '))];
    // Each of the font's eight lines is drawn twice; its lowest bit is the leftmost pixel.
    if glyph[line / 2] >> (x % CELL_WIDTH) & 1 == 1 {
        INK
    } else {
        [0; 3]
    }
}
