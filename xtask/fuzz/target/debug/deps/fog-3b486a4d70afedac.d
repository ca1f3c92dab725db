/work/main/xtask/fuzz/target/debug/deps/fog-3b486a4d70afedac.d: targets/fog.rs

/work/main/xtask/fuzz/target/debug/deps/libfog-3b486a4d70afedac.rmeta: targets/fog.rs

targets/fog.rs:
