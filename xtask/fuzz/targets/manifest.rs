//! Any bytes as a manifest: refused, or parsed to something that survives a round trip.
#![no_main]

use fogline::manifest::Manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(manifest) = Manifest::parse(bytes) {
        let again = serde_json::to_vec(&manifest).expect("what was read can be written");
        assert_eq!(Manifest::parse(&again).as_ref(), Ok(&manifest));
        assert_eq!(manifest.pair_digest(), manifest.clone().pair_digest());
    }
});
