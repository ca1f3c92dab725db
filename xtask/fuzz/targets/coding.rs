//! Any bytes as a coder and a coded map: the coder is refused, or the coded map is refused, or is the one code of its map.
#![no_main]

use fogline::coding::Coder;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // The first two bytes say how long the coder's file is.
    let Some((length, rest)) = bytes.split_first_chunk() else { return };
    let file = usize::from(u16::from_le_bytes(*length)).min(rest.len());
    let (file, coded) = rest.split_at(file);
    let Ok(coder) = Coder::read(file) else { return };
    // Larger maps take longer, but reach no other code.
    if coder.packed_len() > 4096 {
        return;
    }
    if let Ok(map) = coder.decode(coded) {
        // No value takes more than 16 bits, and each is at least one bit of the map.
        assert!(coded.len() <= 16 * map.len() + 4);
        assert_eq!(coder.encode(&map), coded);
    }
});
