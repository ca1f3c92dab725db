//! Pictures as a disturbed camera sees them, in the manner of ImageNet-C (Hendrycks and Dietterich 2019, arXiv 1903.12261).
//!
//! Each has five severities. Those of blur, noise and fog are CIFAR-10-C's, with lengths in proportion to the picture's side;
//! that benchmark has neither dark pictures nor rotated ones.

use std::f32::consts::TAU;

use fastrand::Rng;
use serde::{Deserialize, Serialize};

/// A way in which pictures get worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Corruption {
    Blur,
    Noise,
    Dark,
    Fog,
    Rotation,
}

/// The greatest severity; the least is 1.
pub const WORST: u8 = 5;
/// The side of the pictures that blur's severities are for.
const SIDE: f32 = 32.0;

// By severity.
const SIGMA: [f32; WORST as usize] = [0.4, 0.6, 0.7, 0.8, 1.0];
const DEVIATION: [f32; WORST as usize] = [0.04, 0.06, 0.08, 0.09, 0.10];
const LIGHT: [f32; WORST as usize] = [0.6, 0.5, 0.4, 0.3, 0.2];
const FOG: [(f32, f32); WORST as usize] =
    [(0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75)];
const DEGREES: [f32; WORST as usize] = [10.0, 20.0, 30.0, 40.0, 50.0];

impl Corruption {
    pub const ALL: [Self; 5] = [Self::Blur, Self::Noise, Self::Dark, Self::Fog, Self::Rotation];

    /// The name, and what is done at this severity.
    pub fn title(self, severity: u8) -> String {
        let at = usize::from(severity - 1);
        match self {
            Self::Blur => format!("blur (Gaussian, {} pixels in 32)", SIGMA[at]),
            Self::Noise => format!("noise (Gaussian, {:.0}% of white)", 100.0 * DEVIATION[at]),
            Self::Dark => format!("dark ({:.0}% of the light)", 100.0 * LIGHT[at]),
            Self::Fog => format!("fog (up to {} of white)", FOG[at].0),
            Self::Rotation => format!("rotation ({}°)", DEGREES[at]),
        }
    }

    /// The picture of `size` x `size` RGB pixels with this done to it, at a severity from 1 to [`WORST`].
    pub fn of(self, rgb: &[u8], size: u32, severity: u8, random: &mut Rng) -> Vec<u8> {
        let (size, at) = (size as usize, usize::from(severity - 1));
        let picture: Vec<f32> = rgb.iter().map(|&level| f32::from(level) / 255.0).collect();
        let picture = match self {
            Self::Blur => blur(&picture, size, SIGMA[at] * size as f32 / SIDE),
            Self::Noise => {
                picture.iter().map(|level| level + DEVIATION[at] * normal(random)).collect()
            }
            Self::Dark => picture.iter().map(|level| level * LIGHT[at]).collect(),
            Self::Fog => fog(&picture, size, FOG[at], random),
            Self::Rotation => rotation(&picture, size, DEGREES[at].to_radians()),
        };
        picture.iter().map(|level| (level.clamp(0.0, 1.0) * 255.0).round() as u8).collect()
    }
}

/// A standard normal number (Box and Muller).
fn normal(random: &mut Rng) -> f32 {
    (-2.0 * (1.0 - random.f32()).ln()).sqrt() * (TAU * random.f32()).cos()
}

/// The index of `at`, or of the nearest pixel inside.
fn inside(at: isize, size: usize) -> usize {
    at.clamp(0, size as isize - 1) as usize
}

/// A Gaussian blur along rows, then along columns.
fn blur(picture: &[f32], size: usize, sigma: f32) -> Vec<f32> {
    let reach = (4.0 * sigma + 0.5) as isize;
    let bell = |at: isize| (-(at * at) as f32 / (2.0 * sigma * sigma)).exp();
    let sum: f32 = (-reach..=reach).map(bell).sum();
    let along = |from: &[f32], step: fn(usize, usize, usize) -> [usize; 2]| -> Vec<f32> {
        let pixel = |at: usize| {
            let (y, x, c) = (at / 3 / size, at / 3 % size, at % 3);
            let term = |offset: isize| {
                let [line, place] = step(y, x, size);
                let place = inside(place as isize + offset, size);
                let [y, x] = step(line, place, size);
                bell(offset) / sum * from[(y * size + x) * 3 + c]
            };
            (-reach..=reach).map(term).sum()
        };
        (0..from.len()).map(pixel).collect()
    };
    along(&along(picture, |y, x, _| [y, x]), |y, x, _| [x, y])
}

/// Fog of a plasma fractal: `thick` of it is added, then the brightest level is made what it was. Its patches are the rougher,
/// the smaller `decay` is.
fn fog(picture: &[f32], size: usize, (thick, decay): (f32, f32), random: &mut Rng) -> Vec<f32> {
    let top = picture.iter().copied().fold(0.0, f32::max);
    let side = size.next_power_of_two();
    let plasma = plasma(side, decay, random);
    let level = |(at, level): (usize, &f32)| {
        let patch = plasma[at / 3 / size * side + at / 3 % size];
        (level + thick * patch) * top / (top + thick)
    };
    picture.iter().enumerate().map(level).collect()
}

/// A plasma fractal from 0 to 1, made by the diamond-square algorithm on a torus; `side` is a power of two.
fn plasma(side: usize, decay: f32, random: &mut Rng) -> Vec<f32> {
    let mut map = vec![0.0_f32; side * side];
    let (mut step, mut wild) = (side, 1.0);
    while step > 1 {
        let half = step / 2;
        // The centres of squares are between their corners; then the middles of edges are between corners and centres.
        for square in [true, false] {
            let first = if square { half } else { 0 };
            for y in (first..side).step_by(if square { step } else { half }) {
                let start = if square || (y / half).is_multiple_of(2) { half } else { 0 };
                for x in (start..side).step_by(step) {
                    let (up, down) = ((y + side - half) % side, (y + half) % side);
                    let (left, right) = ((x + side - half) % side, (x + half) % side);
                    let around = if square {
                        [(up, left), (up, right), (down, left), (down, right)]
                    } else {
                        [(up, x), (down, x), (y, left), (y, right)]
                    };
                    let mean = around.iter().map(|(y, x)| map[y * side + x]).sum::<f32>() / 4.0;
                    map[y * side + x] = mean + wild * (2.0 * random.f32() - 1.0);
                }
            }
        }
        (step, wild) = (half, wild / decay);
    }
    let least = map.iter().copied().fold(f32::INFINITY, f32::min);
    let most = map.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    map.iter().map(|level| (level - least) / (most - least)).collect()
}

/// The picture turned about its centre; what turns in from outside has the colour of the nearest edge.
fn rotation(picture: &[f32], size: usize, angle: f32) -> Vec<f32> {
    let (sine, cosine) = angle.sin_cos();
    let centre = (size as f32 - 1.0) / 2.0;
    let level = |at: usize| {
        let (y, x, c) = ((at / 3 / size) as f32, (at / 3 % size) as f32, at % 3);
        let (down, right) = (y - centre, x - centre);
        let from_y = cosine * down + sine * right + centre;
        let from_x = cosine * right - sine * down + centre;
        let there = |dy: f32, dx: f32| {
            let y = inside((from_y.floor() + dy) as isize, size);
            let x = inside((from_x.floor() + dx) as isize, size);
            picture[(y * size + x) * 3 + c]
        };
        let (below, beside) = (from_y - from_y.floor(), from_x - from_x.floor());
        let upper = there(0.0, 0.0) * (1.0 - beside) + there(0.0, 1.0) * beside;
        let lower = there(1.0, 0.0) * (1.0 - beside) + there(1.0, 1.0) * beside;
        upper * (1.0 - below) + lower * below
    };
    (0..picture.len()).map(level).collect()
}
