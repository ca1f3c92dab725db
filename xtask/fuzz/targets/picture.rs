//! Any bytes as a picture file: refused, or decoded to pixels of the requested size.
#![no_main]

use fogline_edge::device::picture;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(rgb) = picture::decode(bytes, 8, 1 << 16) {
        assert_eq!(rgb.len(), 8 * 8 * 3);
    }
});
