//! `fogline` for gateways: one WASI 0.2 component that is both a command for `wasmtime run` and an HTTP handler for
//! `wasmtime serve`.

#[cfg(target_os = "wasi")]
mod component;

#[cfg(target_os = "wasi")]
fn main() -> std::process::ExitCode {
    component::main()
}

/// On other targets, only says how to build the component, so that the whole workspace builds.
#[cfg(not(target_os = "wasi"))]
fn main() -> std::process::ExitCode {
    eprintln!("the gateway is a WASI component: build it with --target wasm32-wasip2");
    std::process::ExitCode::FAILURE
}
