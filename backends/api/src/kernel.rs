//! What a bare kernel is asked: PyTorch's functional level, without state of its own.

use bn_cases::case::Layout;
use bn_cases::{DType, Tensor};

use crate::LayerError;

/// A batch-norm kernel. [`ModuleLayer`](crate::ModuleLayer) makes a layer of it.
pub trait Kernel {
    /// What a forward keeps for its backward.
    type Saved;

    /// Normalises `call.input`, and moves the running statistics when the batch's are used.
    ///
    /// # Errors
    /// What the implementation raises.
    fn forward(&self, call: Forward<'_>) -> Result<(Tensor, Self::Saved), LayerError>;

    /// The gradients that one backward adds, given the gradient of the output, which lies in memory as `layout` says.
    /// Those that are not wanted may be left out.
    ///
    /// # Errors
    /// What the implementation raises.
    fn backward(
        &self,
        saved: &Self::Saved,
        grad_output: &Tensor,
        layout: Layout,
        wanted: Wanted,
    ) -> Result<Gradients, LayerError>;
}

/// One call of a kernel's forward: the arguments of `torch.nn.functional.batch_norm`.
pub struct Forward<'a> {
    /// The input, of shape (N, C, …).
    pub input: &'a Tensor,
    /// How it lies in memory.
    pub layout: Layout,
    /// Weight (gamma), of shape (C).
    pub weight: Option<&'a Tensor>,
    /// Bias (beta), of shape (C).
    pub bias: Option<&'a Tensor>,
    /// The running statistics: read when `use_batch_stats` is off, moved when it is on.
    pub running: Option<&'a mut RunningStats>,
    /// Whether to normalise with the batch's statistics.
    pub use_batch_stats: bool,
    /// The weight of the new batch in the running statistics.
    pub factor: f64,
    /// Added to the variance inside the root.
    pub eps: f64,
}

impl Forward<'_> {
    /// The output's type: the input's. Integers, of which only an empty batch is not refused, become the type of what they
    /// are scaled by.
    pub fn output_dtype(&self) -> DType {
        match (self.input.dtype(), self.weight.or(self.bias)) {
            (DType::I64, Some(parameter)) => parameter.dtype(),
            (dtype, _) => dtype,
        }
    }
}

/// Which gradients are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// That with respect to the input.
    pub input: bool,
    /// That with respect to weight.
    pub weight: bool,
    /// That with respect to bias.
    pub bias: bool,
}

impl Wanted {
    /// All three.
    pub const ALL: Wanted = Wanted { input: true, weight: true, bias: true };

    /// Whether any is.
    pub fn any(self) -> bool {
        self.input || self.weight || self.bias
    }
}

/// Gradients that one backward gives; `None` where one is not wanted, or there is nothing to have it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Gradients {
    /// With respect to the input, of its shape and dtype.
    pub input: Option<Tensor>,
    /// With respect to weight, of shape (C).
    pub weight: Option<Tensor>,
    /// With respect to bias, of shape (C).
    pub bias: Option<Tensor>,
}

/// Running mean and variance, each of shape (C).
#[derive(Debug, Clone, PartialEq)]
pub struct RunningStats {
    /// The running mean.
    pub mean: Tensor,
    /// The running variance.
    pub var: Tensor,
}

impl RunningStats {
    /// Mean 0 and variance 1, as PyTorch's constructor and `reset_running_stats` leave them.
    pub fn new(dtype: DType, features: usize) -> Self {
        let full = |value| Tensor::full(dtype, &[features], value);
        RunningStats { mean: full(0.0), var: full(1.0) }
    }
}
