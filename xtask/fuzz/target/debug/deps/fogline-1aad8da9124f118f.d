/work/main/xtask/fuzz/target/debug/deps/fogline-1aad8da9124f118f.d: /work/main/shared/src/lib.rs /work/main/shared/src/energy.rs /work/main/shared/src/frame.rs /work/main/shared/src/manifest.rs /work/main/shared/src/manifest/check.rs /work/main/shared/src/packed.rs /work/main/shared/src/policy.rs /work/main/shared/src/refusal.rs /work/main/shared/src/../policies.json

/work/main/xtask/fuzz/target/debug/deps/libfogline-1aad8da9124f118f.rmeta: /work/main/shared/src/lib.rs /work/main/shared/src/energy.rs /work/main/shared/src/frame.rs /work/main/shared/src/manifest.rs /work/main/shared/src/manifest/check.rs /work/main/shared/src/packed.rs /work/main/shared/src/policy.rs /work/main/shared/src/refusal.rs /work/main/shared/src/../policies.json

/work/main/shared/src/lib.rs:
/work/main/shared/src/energy.rs:
/work/main/shared/src/frame.rs:
/work/main/shared/src/manifest.rs:
/work/main/shared/src/manifest/check.rs:
/work/main/shared/src/packed.rs:
/work/main/shared/src/policy.rs:
/work/main/shared/src/refusal.rs:
/work/main/shared/src/../policies.json:
