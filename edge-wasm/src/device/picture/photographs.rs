//! Photographs at each size that a pair may have: `tests/pictures/photographs.py` states what recipe and page make of them.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::PathBuf;

use fogline::manifest::sha256_hex;
use image::{ImageFormat, RgbImage, imageops};
use serde::Deserialize;

use super::{MOST_PIXELS, decode};

/// SHA-256 of the RGB bytes, by size.
type Scaled = BTreeMap<String, String>;

#[derive(Deserialize)]
struct Told {
    photographs: BTreeMap<String, Photograph>,
    enlarged: Enlarged,
}

#[derive(Deserialize)]
struct Photograph {
    width: u32,
    height: u32,
    scaled: Scaled,
}

#[derive(Deserialize)]
struct Enlarged {
    of: String,
    times: u32,
    scaled: Scaled,
}

fn pictures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/pictures")
}

fn told() -> Told {
    serde_json::from_slice(&std::fs::read(pictures().join("photographs.json")).unwrap()).unwrap()
}

fn photograph(name: &str) -> Vec<u8> {
    std::fs::read(pictures().join("photographs").join(name)).unwrap()
}

fn check(name: &str, file: &[u8], scaled: &Scaled) {
    assert!(!scaled.is_empty());
    for (size, digest) in scaled {
        let rgb = decode(file, size.parse().unwrap(), MOST_PIXELS).unwrap();
        assert_eq!(sha256_hex(&rgb), *digest, "{name} at {size}");
    }
}

#[test]
fn photographs_have_the_same_pixels_as_in_the_recipe_at_every_size() {
    let told = told().photographs;
    let sides: Vec<u32> = told.values().map(|p| p.width.min(p.height)).collect();
    // Both ways, and as it is.
    assert!(sides.contains(&32) && sides.iter().any(|side| *side < 32), "{sides:?}");
    assert!(sides.iter().any(|side| *side > 224), "{sides:?}");
    for (name, Photograph { scaled, .. }) in told {
        check(&name, &photograph(&name), &scaled);
    }
}

#[test]
fn a_large_photograph_has_the_same_pixels_too() {
    let Enlarged { of, times, scaled } = told().enlarged;
    let told = &told().photographs[&of];
    // The square of a JPEG is all that `decode` gives of it, so the photograph itself is decoded here.
    let small =
        libjpeg_turbo_rs::decompress_to(&photograph(&of), libjpeg_turbo_rs::PixelFormat::Rgb)
            .unwrap();
    let small = RgbImage::from_raw(told.width, told.height, small.data).unwrap();
    let (width, height) = (told.width * times, told.height * times);
    let large = imageops::resize(&small, width, height, imageops::FilterType::Nearest);
    let mut file = Vec::new();
    large.write_to(&mut Cursor::new(&mut file), ImageFormat::Png).unwrap();
    check("enlarged", &file, &scaled);
}
