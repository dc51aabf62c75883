//! Batch normalization in stages that can be replaced one by one.
//!
//! [`Stages`] is the formulas of `bn-reference` cut into functions: how the input is read, how numbers are added up,
//! how the statistics are found, moved and applied, and the same for the way back. With [`Stages::plain`] it is
//! sequential two-pass code with one rounding an operation. `bn-sound` replaces a stage by another correct one,
//! `bn-faulty` by one with a mistake.

pub mod arithmetic;
mod kernel;
pub mod plain;
mod stages;
pub mod sums;

pub use arithmetic::Arithmetic;
pub use kernel::{Context, Running, Saved, StagedKernel};
pub use stages::{Moments, Rows, Stages, Statistics, Sums};
