//! Watching a camera: the frames of its stream, whether anything moved, and when a new answer is a new state.

pub mod mjpeg;
pub mod motion;
pub mod states;

pub use mjpeg::Mjpeg;
pub use motion::Motion;
pub use states::{Change, States};
