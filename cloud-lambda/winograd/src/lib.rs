//! Convolutions with 3×3 kernels by Winograd's minimal filtering, in plain Rust.
//!
//! # The mathematics
//!
//! A convolution with kernel g computes the m×m outputs of a tile d of (m + 2)×(m + 2) inputs with 9m² products for each pair of
//! channels. Winograd's algorithm F(m×m, 3×3) needs only (m + 2)², because it multiplies polynomials by their values at m + 2 points
//! (Lavin, Gray 2015, arXiv 1509.09308, equation 8):
//!
//! > Y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A
//!
//! Bᵀ takes a tile's rows to the values at the points, G a kernel's, ⊙ multiplies value by value, and Aᵀ interpolates. Sums over
//! input channels commute with Aᵀ, so that for each of the (m + 2)² *positions* all channels and tiles are one matrix product:
//!
//! > M\[p\]\[tile, output\] = Σ over inputs of V\[p\]\[tile, input\] · U\[p\]\[input, output\]
//!
//! with U = G g Gᵀ, computed once, and V = Bᵀ d B. The transforms cost additions, but per channel, not per pair of channels.
//!
//! | | points | products for each output | weights to read, times those of the kernel |
//! |---|---|---|---|
//! | direct | | 9 | 1 |
//! | F(2×2, 3×3) | 0, 1, −1, ∞ | 4 | 16/9 |
//! | F(4×4, 3×3) | 0, 1, −1, 2, −2, ∞ | 2.25 | 4 |
//!
//! A tile at the lower or right edge of a map may reach beyond it; these outputs are dropped. [`Size::best`] weighs products against
//! weights, since a single small map has few tiles to use each weight for.
//!
//! # Errors
//!
//! The transforms add numbers of different size, so that sums lose more bits than those of a direct convolution, the more the larger
//! m is; and sums over c input channels lose more the larger c is, about as its square root, if all have one sign. Let |g| ⋆ |d| be the
//! same convolution of absolute values. The result differs from the exact one by at most [`Size::error`] times its largest value, in
//! maps whose values are of about one size; tests hold it to that, up to 256 channels.
//!
//! # The code
//!
//! [`lanes`] has sixteen channels as one value, [`tile`] the transforms, [`product`] the matrix products, and [`convolution`] the way
//! of a map through all three. [`processor`] has the instructions: AVX-512, AVX2 with FMA, NEON, or any.

mod convolution;
mod lanes;
mod processor;
mod product;
mod tile;

pub use convolution::{Convolution, Finish, Size};
pub use processor::Backend;
