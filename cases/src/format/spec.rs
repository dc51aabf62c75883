use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fill, LayerSpec, Step};
use crate::DType;
use crate::case::Layout;
use crate::dtype::{float_dtype, optional_dtype};
use crate::observed::{ErrorClass, Observable};
use crate::yaml::Literal;

/// A case: a layer or a model of some, their data, and what is done with them.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseSpec {
    /// What the case shows, in a sentence or two.
    #[serde(default)]
    pub about: Option<String>,
    /// When the case is run: always, or only where everything is.
    #[serde(default)]
    pub tier: Tier,
    /// The layer; of a model, what its layers have in common.
    #[serde(default)]
    pub layer: LayerSpec,
    /// A small model in the place of the one layer: its parts in order, each layer running on the output of the one
    /// before.
    #[serde(default)]
    pub model: Option<Vec<ModelNode>>,
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

/// When a case is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// In every run.
    #[default]
    Quick,
    /// Only with `--tier full`, or when a filter asks for it.
    Full,
}

impl Tier {
    /// The name in files and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Tier::Quick => "quick",
            Tier::Full => "full",
        }
    }
}

/// A part of a model: a layer, or what holds some.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelNode {
    /// Its name; paths are names with dots between them (`block.inner`).
    #[schemars(regex(pattern = r"^[A-Za-z0-9_+-]+$"))]
    pub name: String,
    /// Where the layer differs from the case's `layer`.
    #[serde(default)]
    pub layer: Option<LayerSpec>,
    /// The parts of a part that is no layer itself.
    #[serde(default)]
    pub children: Option<Vec<ModelNode>>,
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
    /// Its type where it is not the case's `dtype`; also `i64`, which batch normalization does not take.
    #[serde(default, deserialize_with = "optional_dtype")]
    #[schemars(with = "Option<InputType>")]
    pub dtype: Option<DType>,
    /// How it lies in memory. Left out: contiguous.
    #[serde(default)]
    pub layout: Option<Layout>,
    /// Whether a gradient is asked of it. Left out: yes.
    #[serde(default)]
    pub requires_grad: Option<bool>,
}

/// The types that an input can be written in.
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(dead_code, reason = "describes the field to editors; it is read as a DType")]
enum InputType {
    /// IEEE binary16.
    F16,
    /// bfloat16.
    Bf16,
    /// IEEE binary32.
    F32,
    /// IEEE binary64.
    F64,
    /// 64-bit signed integers, which batch normalization refuses.
    I64,
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
    /// Of which layer of a model, by its path.
    #[serde(default)]
    pub layer: Option<String>,
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
