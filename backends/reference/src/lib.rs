//! Batch normalization by the textbook formulas, over [`ndarray`].
//!
//! The formulas stand in [`formulas`], one function each, with the equation of the paper they come from:
//! S. Ioffe and C. Szegedy, *Batch Normalization: Accelerating Deep Network Training by Reducing Internal
//! Covariate Shift*, 2015 (arXiv:1502.03167), Algorithm 1 and the gradients of §3. What surrounds them only
//! brings tensors into the form they need: `f16` and `bf16` are computed in `f32` and rounded once at the
//! end; `f32` and `f64` in their own type.
//!
//! The same formulas over [`DoubleDouble`] are the [`Arbiter`], which is accurate far beyond `f64`.

mod double_double;
pub mod formulas;
mod kernel;

use bn_api::{Backend, BackendInfo, Layer, LayerConfig, LayerError, ModuleLayer};

pub use double_double::DoubleDouble;
pub use kernel::{ArbiterKernel, ReferenceKernel};

/// The backend `reference`.
pub struct Reference;

impl Backend for Reference {
    fn info(&self) -> BackendInfo {
        BackendInfo {
            name: "reference".to_owned(),
            version: format!("bn-reference {}", env!("CARGO_PKG_VERSION")),
            about: "the textbook formulas over ndarray; two-pass variance, f16 and bf16 computed in f32"
                .to_owned(),
            unobservable: Vec::new(),
        }
    }

    fn create(&self, config: &LayerConfig) -> Result<Box<dyn Layer>, LayerError> {
        Ok(Box::new(ModuleLayer::new(ReferenceKernel, config)))
    }
}

/// What `f64` is judged by: the formulas in double-double. It is asked with everything held in float64, and rounds each
/// result once; that rounding is its whole error, but for sums in which more than 50 bits cancel.
pub struct Arbiter;

impl Backend for Arbiter {
    fn info(&self) -> BackendInfo {
        BackendInfo {
            name: "arbiter".to_owned(),
            version: format!("bn-reference {}", env!("CARGO_PKG_VERSION")),
            about: "the textbook formulas in double-double arithmetic, each result rounded once".to_owned(),
            unobservable: Vec::new(),
        }
    }

    fn create(&self, config: &LayerConfig) -> Result<Box<dyn Layer>, LayerError> {
        Ok(Box::new(ModuleLayer::new(ArbiterKernel, config)))
    }
}

#[cfg(test)]
mod tests {
    use bn_api::{DType, worked_example};

    use super::*;

    #[test]
    fn the_worked_example_comes_out_in_every_type() {
        for dtype in DType::FLOATS {
            worked_example::check_training(&Reference, dtype, dtype);
            worked_example::check_evaluation(&Reference, dtype, dtype);
        }
        for half in [DType::F16, DType::Bf16] {
            worked_example::check_training(&Reference, half, DType::F32);
            worked_example::check_evaluation(&Reference, half, DType::F32);
        }
    }

    #[test]
    fn layers_keep_to_themselves() {
        worked_example::check_layers_are_apart(&Reference);
    }

    #[test]
    fn gradients_accumulate_until_they_are_zeroed() {
        worked_example::check_accumulation(&Reference);
    }

    #[test]
    fn without_gradients_the_statistics_move_all_the_same() {
        worked_example::check_no_grad(&Reference);
    }
}
