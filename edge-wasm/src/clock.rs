//! The time, in a browser as elsewhere: `std`'s clock panics there.

use core::time::Duration;

/// Time since some fixed moment.
#[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))]
pub fn now() -> Duration {
    use std::sync::LazyLock;
    use std::time::Instant;

    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    BEGAN.elapsed()
}

/// Time since some fixed moment.
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
pub fn now() -> Duration {
    use wasm_bindgen::prelude::*;

    // Declared here rather than taken from `Window`, so that the engine runs in a worker too.
    #[wasm_bindgen]
    extern "C" {
        #[wasm_bindgen(js_namespace = performance, js_name = now)]
        fn performance_now() -> f64;
    }
    Duration::from_secs_f64(performance_now() / 1e3)
}
