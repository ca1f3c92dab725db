/work/main/xtask/fuzz/target/debug/deps/picture-e1a03c1c247835b8.d: targets/picture.rs

/work/main/xtask/fuzz/target/debug/deps/libpicture-e1a03c1c247835b8.rmeta: targets/picture.rs

targets/picture.rs:
