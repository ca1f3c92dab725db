//! The component under the real wasmtime CLI, with the real function on the local stack, and with scripted functions where
//! one has to fail.
//!
//! `cargo xtask test` builds them, brings the stack up and says where they are:
//! FOGLINE_WASMTIME, FOGLINE_COMPONENT (in its machine code), FOGLINE_MODEL (the pair's folder), FOGLINE_CLOUD, FOGLINE_MOSQUITTO.

mod auth;
mod away;
mod bench;
mod cameras;
mod classify;
mod cloud;
mod config;
mod dashboard;
mod docs;
mod door;
mod load;
mod measure;
mod mosquitto;
mod pull;
mod quota;
mod serve;
mod server;
mod sources;
mod spool;
mod trace;
mod trust;
mod watch;
mod web;
