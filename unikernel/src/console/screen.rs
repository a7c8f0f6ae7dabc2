//! Text on a framebuffer: characters into pixels, pure.
//!
//! A screen remembers the character of every cell and writes pixels only; a framebuffer is mapped write-combining, where reading
//! is many times slower than writing. Scrolling therefore shifts the remembered characters and draws the cells that changed.

use alloc::vec::Vec;

use font8x8::legacy::BASIC_LEGACY;

use crate::boot::{ColorField, Framebuffer, PixelFormat};

/// Pixels of a cell: the font is 8 by 8, each of its lines is drawn twice.
const CELL_WIDTH: usize = 8;
const CELL_HEIGHT: usize = 16;

/// What is shown for bytes the font does not have.
const UNKNOWN: u8 = b'?';

/// A text screen over the pixels of a framebuffer.
pub(crate) struct Screen {
    pitch_bytes: usize,
    bytes_per_pixel: usize,
    ink: u32,
    columns: usize,
    rows: usize,
    cells: Vec<u8>,
    column: usize,
}

impl Screen {
    /// Makes an empty screen, if the framebuffer has pixels this can draw (direct colour of 24 or 32 bits), room for a cell,
    /// and there is memory for the characters.
    pub(crate) fn new(framebuffer: &Framebuffer) -> Option<Self> {
        let PixelFormat::Rgb { red, green, blue } = framebuffer.format else {
            return None;
        };
        let bytes_per_pixel = match framebuffer.bits_per_pixel {
            24 => 3,
            32 => 4,
            _ => return None,
        };
        let columns = framebuffer.width as usize / CELL_WIDTH;
        let rows = framebuffer.height as usize / CELL_HEIGHT;
        let count = columns.checked_mul(rows).filter(|&count| count > 0)?;
        let mut cells = Vec::new();
        cells.try_reserve_exact(count).ok()?;
        cells.resize(count, b' ');
        let ink = [red, green, blue]
            .into_iter()
            .map(light)
            .fold(0, |all, field| all | field);
        Some(Self {
            pitch_bytes: framebuffer.pitch_bytes as usize,
            bytes_per_pixel,
            ink,
            columns,
            rows,
            cells,
            column: 0,
        })
    }

    /// Adds text at the bottom, drawing what changes into `pixels`, the bytes of the whole framebuffer.
    pub(crate) fn write(&mut self, text: &[u8], pixels: &mut [u8]) {
        for &byte in text {
            match byte {
                b'\n' => self.scroll(pixels),
                b'\r' => self.column = 0,
                b'\t' => self.column = (self.column / 8 + 1) * 8,
                // A character of several bytes is shown once, for its first byte.
                0x80..0xc0 => {}
                _ => self.put(byte, pixels),
            }
        }
    }

    fn put(&mut self, byte: u8, pixels: &mut [u8]) {
        if self.column >= self.columns {
            self.column = 0;
            self.scroll(pixels);
        }
        let byte = if (b' '..0x7f).contains(&byte) {
            byte
        } else {
            UNKNOWN
        };
        self.set((self.rows - 1) * self.columns + self.column, byte, pixels);
        self.column += 1;
    }

    fn scroll(&mut self, pixels: &mut [u8]) {
        for index in 0..self.cells.len() {
            let below = self
                .cells
                .get(index + self.columns)
                .copied()
                .unwrap_or(b' ');
            self.set(index, below, pixels);
        }
    }

    fn set(&mut self, index: usize, byte: u8, pixels: &mut [u8]) {
        if core::mem::replace(&mut self.cells[index], byte) != byte {
            self.draw(index, byte, pixels);
        }
    }

    fn draw(&self, index: usize, byte: u8, pixels: &mut [u8]) {
        let (row, column) = (index / self.columns, index % self.columns);
        let left = column * CELL_WIDTH * self.bytes_per_pixel;
        let glyph = BASIC_LEGACY[usize::from(byte)];
        for line in 0..CELL_HEIGHT {
            let start = (row * CELL_HEIGHT + line) * self.pitch_bytes + left;
            let Some(line_pixels) =
                pixels.get_mut(start..start + CELL_WIDTH * self.bytes_per_pixel)
            else {
                return;
            };
            let bits = glyph[line / 2];
            for (x, pixel) in line_pixels
                .chunks_exact_mut(self.bytes_per_pixel)
                .enumerate()
            {
                let color = if bits >> x & 1 == 1 { self.ink } else { 0 };
                pixel.copy_from_slice(&color.to_le_bytes()[..self.bytes_per_pixel]);
            }
        }
    }
}

/// Returns a light grey's share of a colour field: three quarters of its range.
fn light(field: ColorField) -> u32 {
    let most = 1u64
        .checked_shl(u32::from(field.size))
        .map_or(u64::MAX, |range| range - 1);
    let share = (most - most / 4)
        .checked_shl(u32::from(field.position))
        .unwrap_or(0);
    share as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTH: u32 = 40;
    const HEIGHT: u32 = 32;
    const PITCH: u32 = 200;

    fn framebuffer(bits_per_pixel: u8) -> Framebuffer {
        let field = |position| ColorField { position, size: 8 };
        let format = PixelFormat::Rgb {
            red: field(16),
            green: field(8),
            blue: field(0),
        };
        Framebuffer {
            address: 0xe000_0000,
            pitch_bytes: PITCH,
            width: WIDTH,
            height: HEIGHT,
            bits_per_pixel,
            format,
        }
    }

    /// Returns the screen's pixels as text, a `#` for each that is lit.
    fn picture(pixels: &[u8], rows: core::ops::Range<usize>) -> Vec<String> {
        let lit = |row: usize, x: usize| pixels[row * PITCH as usize + x * 4..][..4] != [0; 4];
        let line = |row| {
            (0..WIDTH as usize)
                .map(|x| if lit(row, x) { '#' } else { '.' })
                .collect()
        };
        rows.map(line).collect()
    }

    fn shown(texts: &[&str]) -> Vec<u8> {
        let mut pixels = vec![0; (PITCH * HEIGHT) as usize];
        let mut screen = Screen::new(&framebuffer(32)).expect("the framebuffer can be drawn on");
        for text in texts {
            screen.write(text.as_bytes(), &mut pixels);
        }
        pixels
    }

    #[test]
    fn a_character_is_drawn_in_the_last_row_at_its_column() {
        let pixels = shown(&[" L"]);

        let picture = picture(&pixels, 16..32);
        assert_eq!(picture[0], "........####............................");
        assert_eq!(picture[1], picture[0]);
        assert_eq!(picture[12], "........#######.........................");
        assert_eq!(picture[15], ".".repeat(WIDTH as usize));
    }

    #[test]
    fn a_new_line_moves_everything_up_and_what_leaves_the_top_is_gone() {
        let one_line = shown(&["L"]);

        assert_eq!(
            picture(&shown(&["L\r\n"]), 0..16),
            picture(&one_line, 16..32)
        );
        assert_eq!(shown(&["L\r\n\r\n"]), shown(&[]));
    }

    #[test]
    fn a_line_that_is_too_long_goes_on_in_the_next() {
        assert_eq!(shown(&["abcdefg"]), shown(&["abcde\r\nfg"]));
    }

    #[test]
    fn characters_the_font_does_not_have_are_shown_once_as_a_question_mark() {
        assert_eq!(shown(&["\u{e9}\u{2500}\u{1}"]), shown(&["???"]));
    }

    #[test]
    fn drawing_anew_equals_scrolling() {
        assert_eq!(shown(&["x\r\ny", "\r\nz"]), shown(&["y\r\nz"]));
    }

    #[test]
    fn pixels_of_24_bits_have_three_bytes_of_colour() {
        let mut pixels = vec![0; (PITCH * HEIGHT) as usize];
        let mut screen = Screen::new(&framebuffer(24)).expect("the framebuffer can be drawn on");

        screen.write(b"L", &mut pixels);

        assert_eq!(
            pixels[16 * PITCH as usize..][..15],
            [0xc0; 12].into_iter().chain([0; 3]).collect::<Vec<u8>>()
        );
    }

    #[test]
    fn a_framebuffer_that_cannot_be_drawn_on_has_no_screen() {
        let palette = Framebuffer {
            format: PixelFormat::Indexed,
            ..framebuffer(32)
        };
        let text = Framebuffer {
            format: PixelFormat::Text,
            ..framebuffer(32)
        };
        let tiny = Framebuffer {
            width: 7,
            ..framebuffer(32)
        };

        for unfit in [palette, text, tiny, framebuffer(16)] {
            assert!(Screen::new(&unfit).is_none(), "{unfit:?}");
        }
    }

    #[test]
    fn too_few_pixels_are_no_panic() {
        let mut screen = Screen::new(&framebuffer(32)).expect("the framebuffer can be drawn on");

        screen.write(b"hello\r\nworld", &mut [0; 100]);
    }
}
