/work/main/xtask/fuzz/target/debug/deps/frame-393371a118ec051e.d: targets/frame.rs

/work/main/xtask/fuzz/target/debug/deps/libframe-393371a118ec051e.rmeta: targets/frame.rs

targets/frame.rs:
