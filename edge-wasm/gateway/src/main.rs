//! `fogline`, for gateways: one WASI 0.2 component that is a command under `wasmtime run` and an HTTP handler under `wasmtime
//! serve`, since a component may be of both worlds.

#[cfg(target_os = "wasi")]
mod component;

#[cfg(target_os = "wasi")]
fn main() -> std::process::ExitCode {
    component::main()
}

/// Whoever builds the whole workspace builds this too.
#[cfg(not(target_os = "wasi"))]
fn main() -> std::process::ExitCode {
    eprintln!("the gateway is a WASI component: build it with --target wasm32-wasip2");
    std::process::ExitCode::FAILURE
}
