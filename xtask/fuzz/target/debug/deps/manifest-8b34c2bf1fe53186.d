/work/main/xtask/fuzz/target/debug/deps/manifest-8b34c2bf1fe53186.d: targets/manifest.rs

/work/main/xtask/fuzz/target/debug/deps/libmanifest-8b34c2bf1fe53186.rmeta: targets/manifest.rs

targets/manifest.rs:
