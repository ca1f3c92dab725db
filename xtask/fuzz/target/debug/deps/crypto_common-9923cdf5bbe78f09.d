/work/main/xtask/fuzz/target/debug/deps/crypto_common-9923cdf5bbe78f09.d: /root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/crypto-common-0.1.7/src/lib.rs

/work/main/xtask/fuzz/target/debug/deps/libcrypto_common-9923cdf5bbe78f09.rmeta: /root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/crypto-common-0.1.7/src/lib.rs

/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/crypto-common-0.1.7/src/lib.rs:
