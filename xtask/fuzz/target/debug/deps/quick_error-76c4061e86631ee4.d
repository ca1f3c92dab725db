/work/main/xtask/fuzz/target/debug/deps/quick_error-76c4061e86631ee4.d: /root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/quick-error-2.0.1/src/lib.rs

/work/main/xtask/fuzz/target/debug/deps/libquick_error-76c4061e86631ee4.rmeta: /root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/quick-error-2.0.1/src/lib.rs

/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/quick-error-2.0.1/src/lib.rs:
