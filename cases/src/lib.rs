//! What is asked: the case format of bncheck, the expansion of suites into cases, and their data.
//!
//! A file of cases becomes a [`Suite`]; each of its cases is multiplied over its matrix into [`Case`]s, whose
//! tensors [`data`] generates from the case alone. Nothing here knows a backend.

pub mod case;
pub mod data;
mod dtype;
mod excerpt;
mod expand;
mod filter;
pub mod format;
pub mod number;
mod observed;
mod problem;
mod recent;
mod resolve;
mod suite;
mod tensor;
mod variant;
mod written;
pub mod yaml;

pub use case::Case;
pub use dtype::DType;
pub use expand::MAX_EXPANSION;
pub use filter::{Filter, FilterError, wildcard};
pub use observed::{ErrorClass, Observable, TensorName, is_same_path};
pub use problem::{MAX_PROBLEMS, Problem, Problems, Source, Span, did_you_mean, near};
pub use resolve::{MAX_CASE_BYTES, MAX_LAYERS, MAX_STEPS};
pub use suite::{MAX_CASES, MAX_VALUES, Suite, load, load_str};
pub use tensor::{Channels, Tensor};
pub use written::Written;
