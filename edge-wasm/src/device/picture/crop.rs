//! A part of a picture.

use core::str::FromStr;

/// A part of a picture in parts of its sides, so that it fits every resolution of a camera.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Crop {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

impl Crop {
    /// The part that begins at `left` and `top`, all from 0 to 1; `None` if it is empty or not within the picture.
    pub fn new([left, top, width, height]: [f64; 4]) -> Option<Self> {
        let within = |from: f64, length: f64| {
            // Rounding may put the sum of decimal fractions a little above one.
            from >= 0.0 && length > 0.0 && from + length <= 1.0 + 1e-9
        };
        (within(left, width) && within(top, height)).then_some(Self { left, top, width, height })
    }

    /// Left, top, width and height in parts of the picture.
    pub fn parts(self) -> [f64; 4] {
        [self.left, self.top, self.width, self.height]
    }

    /// Left, top, width and height in pixels of a picture of this size; at least one pixel.
    pub(super) fn of(self, width: u32, height: u32) -> [u32; 4] {
        let span = |from: f64, length: f64, side: u32| {
            let start = ((from * f64::from(side)).round() as u32).min(side - 1);
            let end = (((from + length) * f64::from(side)).round() as u32).clamp(start + 1, side);
            (start, end - start)
        };
        let (left, across) = span(self.left, self.width, width);
        let (top, down) = span(self.top, self.height, height);
        [left, top, across, down]
    }
}

impl FromStr for Crop {
    type Err = String;

    /// Reads `LEFT,TOP,WIDTH,HEIGHT`.
    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Option<Vec<f64>> =
            text.split(',').map(|part| part.trim().parse().ok()).collect();
        numbers.and_then(|numbers| Self::new(numbers.try_into().ok()?)).ok_or_else(|| {
            format!("'{text}' is not LEFT,TOP,WIDTH,HEIGHT in parts of the picture: 0.25,0,0.5,1 is its middle")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_pixels_within_the_picture() {
        let of = |text: &str, width, height| text.parse::<Crop>().unwrap().of(width, height);
        assert_eq!(of("0.25,0,0.5,1", 640, 480), [160, 0, 320, 480]);
        assert_eq!(of("0, 0, 1, 1", 3, 7), [0, 0, 3, 7]);
        assert_eq!(of("0.9,0.7,0.1,0.3", 10, 10), [9, 7, 1, 3]);
        assert_eq!(of("0.999,0.999,0.001,0.001", 2, 1), [1, 0, 1, 1]);
    }

    #[test]
    fn what_is_no_part_is_refused() {
        for text in
            ["", "1", "0,0,1", "0,0,0,1", "0.5,0,0.6,1", "-0.1,0,1,1", "NaN,0,1,1", "0,0,1,1,1"]
        {
            assert!(text.parse::<Crop>().is_err(), "{text}");
        }
    }
}
