//! Scaling with a triangle filter, to the same levels as Pillow's `BILINEAR`, with which pairs are trained.
//!
//! A pixel of the result is a weighted mean of the pixels under a triangle: two pixels of the result wide when shrinking, two
//! of the picture when enlarging. Columns are scaled before rows, weights are whole numbers, and levels are rounded after
//! each of the two steps, so that every machine and every program that does the same gets the same levels.

/// The fraction bits of a weight: with a level's 8 bits, a sum takes 30 of the 31 that an `i32` has.
const FRACTION: u32 = 22;
const HALF: i32 = 1 << (FRACTION - 1);

/// The pixels that one pixel of the result is made of.
struct Window {
    first: usize,
    weights: Vec<i32>,
}

/// A window for each of `to` pixels in a line of `from`.
fn windows(from: u32, to: u32) -> Vec<Window> {
    let scale = f64::from(from) / f64::from(to);
    let reach = scale.max(1.0);
    let window = |at| {
        let centre = (f64::from(at) + 0.5) * scale;
        // Casts cut off the fraction, and turn what is negative into 0.
        let first = (centre - reach + 0.5) as u32;
        let end = ((centre + reach + 0.5) as u32).min(from);
        let height = |x: u32| (1.0 - ((f64::from(x) - centre + 0.5) / reach).abs()).max(0.0);
        let sum: f64 = (first..end).map(height).sum();
        let whole = |height: f64| (0.5 + height / sum * f64::from(1 << FRACTION)) as i32;
        Window { first: first as usize, weights: (first..end).map(height).map(whole).collect() }
    };
    (0..to).map(window).collect()
}

/// A sum of weighted levels, to which [`HALF`] was added, as a level.
fn level(sum: i32) -> u8 {
    (sum >> FRACTION).clamp(0, 255) as u8
}

/// Scales a square of `side` x `side` RGB pixels to `size` x `size`. `row` writes the given row of the square.
pub(super) fn scale(side: u32, size: u32, mut row: impl FnMut(u32, &mut [[u8; 3]])) -> Vec<u8> {
    let windows = windows(side, size);
    let (wide, narrow) = (side as usize, size as usize * 3);
    let mut line = vec![[0; 3]; wide];
    let mut rows = Vec::with_capacity(wide * narrow);
    for y in 0..side {
        row(y, &mut line);
        for Window { first, weights } in &windows {
            let mut sums = [HALF; 3];
            for (pixel, &weight) in line[*first..].iter().zip(weights) {
                for (sum, &value) in sums.iter_mut().zip(pixel) {
                    *sum += i32::from(value) * weight;
                }
            }
            rows.extend(sums.map(level));
        }
    }
    let mut scaled = Vec::with_capacity(size as usize * narrow);
    let mut sums = vec![0; narrow];
    for Window { first, weights } in &windows {
        sums.fill(HALF);
        for (row, &weight) in rows.chunks_exact(narrow).skip(*first).zip(weights) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += i32::from(value) * weight;
            }
        }
        scaled.extend(sums.iter().map(|&sum| level(sum)));
    }
    scaled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_size_lacks_a_window_and_none_overflows() {
        for (from, to) in [(1, 224), (3, 2), (2, 3), (31, 32), (7211, 1), (7211, 224), (224, 1024)]
        {
            for Window { first, weights } in windows(from, to) {
                assert!(!weights.is_empty() && first + weights.len() <= from as usize);
                let sum: i32 = weights.iter().sum();
                assert!((sum - (1 << FRACTION)).unsigned_abs() as usize <= weights.len());
                assert!(sum.checked_mul(255).and_then(|sum| sum.checked_add(HALF)).is_some());
            }
        }
    }

    #[test]
    fn one_colour_stays_itself() {
        for (side, size) in [(1, 64), (5, 32), (500, 7), (96, 96)] {
            let scaled = scale(side, size, |_, line| line.fill([0, 128, 255]));
            assert_eq!(scaled, [0, 128, 255].repeat((size * size) as usize), "{side} to {size}");
        }
    }
}
