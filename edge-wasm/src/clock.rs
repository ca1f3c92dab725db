//! A monotonic clock that also works in a browser, where `std`'s clock panics.

use core::time::Duration;

/// The time since a fixed moment in this process.
#[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))]
pub fn now() -> Duration {
    use std::sync::LazyLock;
    use std::time::Instant;

    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    BEGAN.elapsed()
}

/// The time since a fixed moment in this page or worker.
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
pub fn now() -> Duration {
    use wasm_bindgen::prelude::*;

    // Declared here instead of taken from `Window`, so that the engine also runs in a worker.
    #[wasm_bindgen]
    extern "C" {
        #[wasm_bindgen(js_namespace = performance, js_name = now)]
        fn performance_now() -> f64;
    }
    Duration::from_secs_f64(performance_now() / 1e3)
}
