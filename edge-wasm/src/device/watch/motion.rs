//! A cheap look at whether anything moved.

/// Cells along each side of the grid that frames are compared on.
const CELLS: usize = 16;
/// The change of a cell's mean brightness, of 255, that counts: more than noise and less than a person far away.
const CHANGE: i32 = 12;

/// Compares frames with the last one that was looked at. Comparing with that one, and not with the one before, finds slow changes,
/// too.
#[derive(Debug, Clone)]
pub struct Motion {
    share: f64,
    last: Option<[i32; CELLS * CELLS]>,
}

impl Motion {
    /// A frame counts as moved if at least this share of a grid's cells changed; 0 lets all frames count.
    pub fn new(share: f64) -> Self {
        Self { share, last: None }
    }

    /// Whether a frame of `size` x `size` RGB pixels differs from the last one that did, or is `wanted` anyway. If so, later ones
    /// are compared with this one.
    pub fn moved(&mut self, rgb: &[u8], size: usize, wanted: bool) -> bool {
        let cells = cells(rgb, size);
        let changed = self.last.map_or(1.0, |last| {
            let far = cells.iter().zip(last).filter(|(now, then)| (*now - then).abs() > CHANGE);
            far.count() as f64 / cells.len() as f64
        });
        let moved = wanted || self.share == 0.0 || changed >= self.share;
        if moved {
            self.last = Some(cells);
        }
        moved
    }
}

/// The mean brightness of each cell, 0 to 255.
fn cells(rgb: &[u8], size: usize) -> [i32; CELLS * CELLS] {
    let (mut sums, mut counts) = ([0; CELLS * CELLS], [0; CELLS * CELLS]);
    for (at, &[r, g, b]) in rgb.as_chunks::<3>().0.iter().enumerate() {
        let (x, y) = (at % size, at / size);
        let cell = y * CELLS / size * CELLS + x * CELLS / size;
        // Brightness as JPEG has it (ITU-R BT.601), in whole numbers.
        sums[cell] += (i32::from(r) * 77 + i32::from(g) * 150 + i32::from(b) * 29) >> 8;
        counts[cell] += 1;
    }
    core::array::from_fn(|cell| sums[cell] / counts[cell].max(1))
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use super::*;

    const SIZE: usize = 32;

    /// A grey frame with noise, and a white square of this side in it.
    fn frame(noise: u32, square: usize) -> Vec<u8> {
        let level = |at: usize| {
            let (x, y) = (at / 3 % SIZE, at / 3 / SIZE);
            let random = (at as u32 ^ noise).wrapping_mul(2_654_435_761) >> 29;
            if x < square && y < square { 255 } else { 100 + random as u8 }
        };
        (0..SIZE * SIZE * 3).map(level).collect()
    }

    #[test]
    fn noise_is_no_motion_and_what_comes_in_is() {
        let mut motion = Motion::new(0.01);
        assert!(motion.moved(&frame(1, 0), SIZE, false), "the first frame");
        assert!((2..50).all(|noise| !motion.moved(&frame(noise, 0), SIZE, false)));
        assert!(motion.moved(&frame(9, 4), SIZE, false), "4 of 256 cells");
        assert!(!motion.moved(&frame(10, 4), SIZE, false));
        assert!(motion.moved(&frame(11, 0), SIZE, false), "it left");
        assert!(motion.moved(&frame(11, 0), SIZE, true), "it is wanted");
    }

    #[test]
    fn a_slow_change_adds_up() {
        let mut motion = Motion::new(0.5);
        let grey = |level: u8| vec![level; SIZE * SIZE * 3];
        let moved = (0..=60).filter(|&level| motion.moved(&grey(100 + level), SIZE, false)).count();
        assert_eq!(moved, 5, "the first, and then each 13 levels later");
    }

    #[test]
    fn without_a_share_every_frame_counts() {
        let mut motion = Motion::new(0.0);
        assert!((0..5).all(|_| motion.moved(&frame(1, 0), SIZE, false)));
    }

    #[test]
    fn frames_of_any_size_have_a_grid() {
        for size in [16, 33, 224] {
            let mut motion = Motion::new(0.01);
            let (dark, light) = (vec![0; size * size * 3], vec![200; size * size * 3]);
            assert!(motion.moved(&dark, size, false) && motion.moved(&light, size, false));
        }
    }
}
