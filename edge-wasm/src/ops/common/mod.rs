//! What operations share: what they read and return, and the parts that several of them consist of.

mod cost;
mod earlier;
mod fields;
mod filter;
#[cfg(test)]
pub(super) mod given;
mod layer;
mod maps;
pub(super) mod pool;
mod unfold;

pub use cost::Cost;
pub use earlier::Earlier;
pub use fields::Fields;
pub use filter::Filter;
pub(super) use filter::is_zero;
pub(crate) use layer::Layer;
pub use maps::Maps;
pub use unfold::values;
