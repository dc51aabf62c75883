//! The names of what is observed: tensors and error classes, shared by case files, answers and verdicts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A tensor that is compared after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Observable {
    /// The layer's output, of the input's shape and dtype. Seen after `forward`.
    Output,
    /// The gradient with respect to the latest input. Seen after `backward`.
    GradInput,
    /// The accumulated gradient with respect to weight. Seen after `backward`.
    GradWeight,
    /// The accumulated gradient with respect to bias. Seen after `backward`.
    GradBias,
    /// The running mean. Seen after every step, as all that follow.
    RunningMean,
    /// The running variance.
    RunningVar,
    /// The counter of training batches.
    NumBatchesTracked,
    /// The weight (gamma).
    Weight,
    /// The bias (beta).
    Bias,
}

impl Observable {
    /// All of them, in the order in which they are compared.
    pub const ALL: [Observable; 9] = [
        Observable::Output,
        Observable::GradInput,
        Observable::GradWeight,
        Observable::GradBias,
        Observable::RunningMean,
        Observable::RunningVar,
        Observable::NumBatchesTracked,
        Observable::Weight,
        Observable::Bias,
    ];

    /// The name in files and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Observable::Output => "output",
            Observable::GradInput => "grad_input",
            Observable::GradWeight => "grad_weight",
            Observable::GradBias => "grad_bias",
            Observable::RunningMean => "running_mean",
            Observable::RunningVar => "running_var",
            Observable::NumBatchesTracked => "num_batches_tracked",
            Observable::Weight => "weight",
            Observable::Bias => "bias",
        }
    }
}

impl std::fmt::Display for Observable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The name of a tensor among those that are compared after a step: in a model, of which layer it is.
///
/// Written `running_mean`, or `block.inner.running_mean`.
#[derive(Debug, Clone, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(clippy::derived_hash_with_manual_eq, reason = "what is equal is the same as it would be derived")]
#[serde(into = "String", try_from = "String")]
pub struct TensorName {
    /// The layer's path; empty where the case has one layer and no model.
    pub layer: String,
    /// Which of its tensors.
    pub tensor: Observable,
}

impl TensorName {
    /// The name of a tensor of the layer at this path.
    pub fn new(layer: impl Into<String>, tensor: Observable) -> Self {
        TensorName { layer: layer.into(), tensor }
    }

    /// Whether it is this tensor of the layer at this path.
    #[inline]
    pub fn is(&self, layer: &str, tensor: Observable) -> bool {
        self.tensor == tensor && is_same_path(&self.layer, layer)
    }
}

impl PartialEq for TensorName {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.is(&other.layer, other.tensor)
    }
}

/// Whether two paths in a model are the same. Most are empty, and where comparing no bytes is a call like any other (of
/// `memcmp`, with addresses that are none) it takes longer than all else around it.
#[inline]
pub fn is_same_path(one: &str, other: &str) -> bool {
    one.len() == other.len() && (one.is_empty() || one == other)
}

impl From<Observable> for TensorName {
    /// The tensor of a case with one layer.
    fn from(tensor: Observable) -> Self {
        TensorName::new("", tensor)
    }
}

impl From<TensorName> for String {
    fn from(name: TensorName) -> Self {
        name.to_string()
    }
}

impl TryFrom<String> for TensorName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let (layer, tensor) = name.rsplit_once('.').unwrap_or(("", &name));
        let known = Observable::ALL.into_iter().find(|known| known.name() == tensor);
        known
            .map(|tensor| TensorName::new(layer, tensor))
            .ok_or_else(|| format!("no tensor is called `{name}`"))
    }
}

impl std::fmt::Display for TensorName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.layer.as_str() {
            "" => f.pad(self.tensor.name()),
            layer => f.pad(&format!("{layer}.{}", self.tensor)),
        }
    }
}

/// Why a step raises an error, independent of the words a backend uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// One value per channel where batch statistics are used ("Expected more than 1 value per channel when
    /// training").
    OneValuePerChannel,
    /// `eps` is not above zero ("`batch_norm` eps must be positive").
    EpsNotPositive,
    /// The input's rank is not one that this `BatchNorm{1,2,3}d` takes.
    WrongRank,
    /// The input's channels are not the layer's.
    WrongFeatures,
    /// A weight without any channel to take it from (`select(): index 0 out of range`).
    NoChannels,
    /// The types of input and parameters do not go together.
    DtypeMismatch,
    /// One of the two running statistics is there and the other is not, or neither is where one is needed.
    MissingBuffer,
    /// A backward without a graph: no forward yet, or one under `no_grad`, or nothing that requires a gradient.
    NoGraph,
    /// A backward through a graph of which a weight or a running statistic was changed in place since its forward.
    GraphChanged,
    /// A state dictionary lacks an entry.
    MissingEntry,
    /// A state dictionary has an entry that no layer has.
    UnexpectedEntry,
    /// An entry of a state dictionary has another shape than the layer's tensor.
    EntryShape,
    /// The backend stopped with a panic or an exception of the wrong kind.
    Panic,
    /// Anything else.
    Other,
}

impl ErrorClass {
    /// The name in files and reports.
    pub const fn name(self) -> &'static str {
        match self {
            ErrorClass::OneValuePerChannel => "one_value_per_channel",
            ErrorClass::EpsNotPositive => "eps_not_positive",
            ErrorClass::WrongRank => "wrong_rank",
            ErrorClass::WrongFeatures => "wrong_features",
            ErrorClass::NoChannels => "no_channels",
            ErrorClass::DtypeMismatch => "dtype_mismatch",
            ErrorClass::MissingBuffer => "missing_buffer",
            ErrorClass::NoGraph => "no_graph",
            ErrorClass::GraphChanged => "graph_changed",
            ErrorClass::MissingEntry => "missing_entry",
            ErrorClass::UnexpectedEntry => "unexpected_entry",
            ErrorClass::EntryShape => "entry_shape",
            ErrorClass::Panic => "panic",
            ErrorClass::Other => "other",
        }
    }
}

impl std::fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
