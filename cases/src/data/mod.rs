//! Deterministic data: the bits of every tensor follow from the case alone.

mod fill;
mod rng;

pub use fill::{FillError, check, generate};
pub use rng::{Draws, Role};
