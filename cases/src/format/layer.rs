use schemars::JsonSchema;
use serde::Deserialize;

use super::Fill;
use crate::DType;
use crate::case::LayerKind;
use crate::dtype::optional_float_dtype;

/// A batch-norm layer: the arguments of `torch.nn.BatchNorm{1,2,3}d` and, where given, the contents of its
/// parameters and buffers. What is left out is as the constructor of the backend leaves it, so that wrong
/// initial values show.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LayerSpec {
    /// Which of PyTorch's three classes. Left out: the one that takes the first input's rank.
    pub kind: Option<LayerKind>,
    /// The number of channels, C. Left out: the second dimension of the first input.
    #[schemars(range(min = 0))]
    pub features: Option<usize>,
    /// Added to the variance inside the root.
    pub eps: f64,
    /// The weight of the new batch in the running statistics (PyTorch's convention); `null` is the cumulative
    /// average, `1/num_batches_tracked`.
    pub momentum: Option<f64>,
    /// Whether the layer has a learnable weight (gamma) and bias (beta).
    pub affine: bool,
    /// Whether the layer keeps running statistics.
    pub track_running_stats: bool,
    /// The type of parameters and running statistics. Left out: the case's `dtype`. The other choice PyTorch
    /// allows is `f32` beside an input of `f16` or `bf16`.
    #[serde(deserialize_with = "optional_float_dtype")]
    pub dtype: Option<DType>,
    /// The type of the running statistics where it is not that of the parameters, which PyTorch refuses to compute
    /// with.
    #[serde(deserialize_with = "optional_float_dtype")]
    pub statistics_dtype: Option<DType>,
    /// The contents of weight (gamma). Left out: as constructed, ones in PyTorch.
    pub weight: Option<Fill>,
    /// The contents of bias (beta). Left out: as constructed, zeros in PyTorch.
    pub bias: Option<Fill>,
    /// The contents of the running mean before the first step. Left out: as constructed, zeros in PyTorch.
    pub running_mean: Option<Fill>,
    /// The contents of the running variance before the first step. Left out: as constructed, ones in PyTorch.
    pub running_var: Option<Fill>,
    /// The counter of training batches before the first step. Left out: as constructed, 0 in PyTorch.
    #[schemars(range(min = 0))]
    pub num_batches_tracked: Option<i64>,
}

impl Default for LayerSpec {
    /// The defaults of `torch.nn.BatchNorm2d`.
    fn default() -> Self {
        LayerSpec {
            kind: None,
            features: None,
            eps: 1e-5,
            momentum: Some(0.1),
            affine: true,
            track_running_stats: true,
            dtype: None,
            statistics_dtype: None,
            weight: None,
            bias: None,
            running_mean: None,
            running_var: None,
            num_batches_tracked: None,
        }
    }
}
