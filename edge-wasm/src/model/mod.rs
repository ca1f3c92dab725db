//! The packed edge model: its program, its file format, and the checks of both before it runs.

mod error;
mod file;
mod limits;
mod program;
mod read;

pub use error::FogError;
pub use file::Model;
pub use program::{Program, Stretch, VERSION};
