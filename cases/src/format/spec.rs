use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fill, LayerSpec, Step};
use crate::DType;
use crate::dtype::float_dtype;
use crate::observed::{ErrorClass, Observable};
use crate::yaml::Literal;

/// A case: one layer, its data, and what is done with it.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseSpec {
    /// What the case shows, in a sentence or two.
    #[serde(default)]
    pub about: Option<String>,
    /// The layer.
    #[serde(default)]
    pub layer: LayerSpec,
    /// The type of the input, and of everything else unless `layer.dtype` says otherwise.
    #[serde(default = "default_dtype", deserialize_with = "float_dtype")]
    pub dtype: DType,
    /// The input of every forward.
    #[serde(default)]
    pub input: InputSpec,
    /// The gradient of the output for every backward. Left out: correlated with the input, with a mean that
    /// is not zero.
    #[serde(default)]
    pub grad: Option<Fill>,
    /// Short for `steps: [MODE, forward, backward]`.
    #[serde(default)]
    pub mode: Option<Mode>,
    /// The steps, in order.
    #[serde(default)]
    pub steps: Option<Vec<Step>>,
    /// Which data: cases with the same seed, shape and fill have the same data.
    #[serde(default)]
    pub seed: u64,
    /// Values known from elsewhere (a paper, another framework's documentation), compared beside the
    /// oracle's.
    #[serde(default)]
    pub expect: Vec<Expectation>,
}

/// The input of a forward: its shape and how it is filled.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// Batch, channels, and up to three more dimensions; another rank only where the case expects `wrong_rank`.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub shape: Option<Vec<usize>>,
    /// How it is filled. Left out: normal with mean 0.5 and standard deviation 2.
    #[serde(default)]
    pub fill: Option<Fill>,
}

/// The mode of the short form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Training: batch statistics.
    Train,
    /// Evaluation: running statistics, where there are any.
    Eval,
}

/// What is known about one step from elsewhere: tensors, or an error.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// Which step, counted from 1; 0 is the layer as constructed.
    pub step: usize,
    /// The tensor that is known.
    #[serde(default)]
    pub tensor: Option<Observable>,
    /// Its elements in order.
    #[serde(default)]
    pub values: Option<Vec<Literal>>,
    /// How far the published numbers may be from the truth, each: half a unit of their last digit, say.
    #[serde(default)]
    pub within: f64,
    /// The error the step must raise.
    #[serde(default)]
    pub error: Option<ErrorClass>,
    /// Where this is known from.
    #[serde(default)]
    pub source: Option<String>,
}

fn default_dtype() -> DType {
    DType::F32
}
