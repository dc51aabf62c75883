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
    /// A backward without a graph: no forward yet, or one under `no_grad`.
    NoGraph,
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
            ErrorClass::NoGraph => "no_graph",
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
