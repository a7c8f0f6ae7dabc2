//! The framebuffer that the loader set up, as a description; nothing here draws.

use super::memory_map::PHYSICAL_END;

/// Memory that a screen shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framebuffer {
    /// The physical address of the first pixel.
    pub address: u64,
    /// The distance of two lines, in bytes.
    pub pitch_bytes: u32,
    /// The width in pixels, or in characters where it shows text.
    pub width: u32,
    /// The height in pixels, or in characters where it shows text.
    pub height: u32,
    /// The size of a pixel or character, in bits.
    pub bits_per_pixel: u8,
    /// How a pixel is encoded.
    pub format: PixelFormat,
}

impl Framebuffer {
    /// Returns the length of all lines together, in bytes.
    #[must_use]
    pub const fn len_bytes(&self) -> u64 {
        // Two 32-bit numbers multiply without overflow in 64 bits.
        self.pitch_bytes as u64 * self.height as u64
    }

    /// Returns whether a line holds its pixels and the last line is in memory that can be addressed.
    pub(super) fn is_possible(&self) -> bool {
        let line_bits = u64::from(self.width) * u64::from(self.bits_per_pixel);
        let end = self.address.checked_add(self.len_bytes());
        self.len_bytes() > 0
            && line_bits <= u64::from(self.pitch_bytes) * 8
            && end.is_some_and(|end| end <= PHYSICAL_END)
    }
}

/// How a pixel is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelFormat {
    /// A number in a palette.
    Indexed,
    /// Three fields of bits.
    Rgb {
        /// Where red is.
        red: ColorField,
        /// Where green is.
        green: ColorField,
        /// Where blue is.
        blue: ColorField,
    },
    /// No pixel but a character and its colours, as in the text mode of a VGA.
    Text,
}

/// Which bits of a pixel hold one colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColorField {
    /// The lowest bit.
    pub position: u8,
    /// The number of bits.
    pub size: u8,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCREEN: Framebuffer = Framebuffer {
        address: 0xfd00_0000,
        pitch_bytes: 4096,
        width: 1024,
        height: 768,
        bits_per_pixel: 32,
        format: PixelFormat::Text,
    };

    #[test]
    fn a_framebuffer_holds_its_lines() {
        assert_eq!(SCREEN.len_bytes(), 3 << 20);
        assert!(SCREEN.is_possible());
    }

    #[test]
    fn a_line_that_is_too_short_for_its_pixels_is_impossible() {
        assert!(
            !Framebuffer {
                pitch_bytes: 4095,
                ..SCREEN
            }
            .is_possible()
        );
    }

    #[test]
    fn a_framebuffer_without_lines_or_past_the_last_address_is_impossible() {
        assert!(
            !Framebuffer {
                height: 0,
                ..SCREEN
            }
            .is_possible()
        );
        assert!(
            !Framebuffer {
                address: u64::MAX - 4096,
                ..SCREEN
            }
            .is_possible()
        );
    }
}
