//! A pair's coder, at the edge and in the cloud.

use std::sync::Arc;

use fogline::coding::Coder;
use fogline_edge::kernel::Backend;
use fogline_edge::session::Session;
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen::prelude::wasm_bindgen;

use crate::Random;

/// A coder with the map of a random picture.
#[cfg_attr(all(target_arch = "wasm32", target_os = "unknown"), wasm_bindgen)]
pub struct Coding {
    coder: Arc<Coder>,
    map: Vec<u8>,
    coded: Vec<u8>,
}

#[cfg_attr(all(target_arch = "wasm32", target_os = "unknown"), wasm_bindgen)]
impl Coding {
    /// Loads a pair's `manifest.json` and `edge.fog`; `None` if it has no coder.
    ///
    /// # Panics
    /// If the pair is invalid.
    pub fn of(manifest: &[u8], fog: &[u8], seed: u32) -> Option<Self> {
        let mut session = Session::load(manifest, fog, Backend::fastest()).expect("a packed pair");
        let coder = Arc::clone(session.coder()?);
        let mut random = Random::new(seed);
        let bytes = 3 * session.manifest().input.size.pow(2);
        let picture: Vec<u8> = (0..bytes).map(|_| random.bits() as u8).collect();
        let (_, map, _) = session.run_through(&picture);
        let coded = coder.encode(&map);
        Some(Self { coder, map, coded })
    }

    /// Codes the map `times` times.
    pub fn encode(&self, times: u32) {
        for _ in 0..times {
            core::hint::black_box(self.coder.encode(core::hint::black_box(&self.map)));
        }
    }

    /// Decodes it `times` times.
    ///
    /// # Panics
    /// If it does not come back.
    pub fn decode(&self, times: u32) {
        for _ in 0..times {
            let map = self.coder.decode(core::hint::black_box(&self.coded));
            assert_eq!(map.as_ref(), Ok(&self.map), "the map comes back");
        }
    }
}
