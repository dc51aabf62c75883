//! The steps of a case, resolved. Generic over what stands for a tensor: before its data exist how they are made,
//! afterwards the data.

use std::fmt::{self, Display};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Generated;
use crate::DType;

/// One step, resolved. `at` is the path of the part of the model that it speaks to; the empty path is all of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action<T = Generated> {
    /// Training mode.
    Train {
        /// The part.
        at: String,
    },
    /// Evaluation mode.
    Eval {
        /// The part.
        at: String,
    },
    /// A forward on a new input.
    Forward {
        /// The part.
        at: String,
        /// The input.
        input: Input<T>,
        /// Whether no graph is kept, as under `torch.no_grad()`.
        no_grad: bool,
    },
    /// A backward from the latest output; the graph stays.
    Backward {
        /// The gradient with respect to the output, of its shape.
        grad: T,
        /// How it lies in memory.
        layout: Layout,
    },
    /// Evaluation mode for layers, weight and bias out of training, or both.
    Freeze {
        /// The part.
        at: String,
        /// What of its layers.
        what: Frozen,
        /// Which of its layers.
        reach: Reach,
        /// Whether the part's `train()` does it again.
        sticky: bool,
    },
    /// The opposite.
    Unfreeze {
        /// The part.
        at: String,
        /// What of its layers.
        what: Frozen,
        /// Which of its layers.
        reach: Reach,
    },
    /// Assignments to `requires_grad`.
    RequiresGrad {
        /// The part.
        at: String,
        /// That of weight.
        weight: Option<bool>,
        /// That of bias.
        bias: Option<bool>,
    },
    /// Another type.
    Cast {
        /// The part.
        at: String,
        /// The type.
        to: DType,
        /// Of which tensors.
        what: Part,
    },
    /// Forget the accumulated gradients of weight and bias.
    ZeroGrad {
        /// The part.
        at: String,
    },
    /// `p -= lr · p.grad` for weight and bias.
    Sgd {
        /// The part.
        at: String,
        /// The learning rate.
        lr: f64,
    },
    /// Running statistics as constructed.
    ResetRunningStats {
        /// The part.
        at: String,
    },
    /// Assignments to the layers' attributes.
    Set {
        /// The part.
        at: String,
        /// The assignments, in order.
        settings: Vec<Setting<T>>,
    },
    /// Keep a state dictionary.
    SaveState {
        /// The part.
        at: String,
        /// Under this name.
        name: String,
    },
    /// Load a state dictionary.
    LoadState {
        /// The part.
        at: String,
        /// The dictionary.
        from: Dictionary<T>,
        /// Whether missing and unexpected entries are errors.
        strict: bool,
    },
}

/// The input of a forward.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Input<T> {
    /// Its elements.
    pub tensor: T,
    /// Its type in PyTorch, which the rules go by even where the elements are held in a wider one.
    pub dtype: DType,
    /// How it lies in memory.
    pub layout: Layout,
    /// Whether a gradient is asked of it.
    pub requires_grad: bool,
}

/// A state dictionary: one that was saved, with some entries left out and some put in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dictionary<T> {
    /// The name it was saved under; nothing where it starts empty.
    pub saved: Option<String>,
    /// Entries that are left out.
    pub without: Vec<String>,
    /// Entries that are put in, by name.
    pub entries: Vec<(String, T)>,
    /// The version in its metadata.
    pub version: u32,
}

/// An assignment to an attribute of a layer that has been constructed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Setting<T = Generated> {
    /// The weight of the new batch in the running statistics; `None` is the cumulative average.
    Momentum(Option<f64>),
    /// Added to the variance inside the root.
    Eps(f64),
    /// Whether training moves the running statistics.
    TrackRunningStats(bool),
    /// A new parameter or buffer, or none.
    Tensor(Slot, Option<T>),
    /// A new counter, or none.
    NumBatchesTracked(Option<i64>),
}

/// The four tensors of a layer that have one element a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Slot {
    /// Weight (gamma).
    Weight,
    /// Bias (beta).
    Bias,
    /// The running mean.
    RunningMean,
    /// The running variance.
    RunningVar,
}

/// How a tensor lies in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// The last dimension varies fastest, without gaps.
    #[default]
    Contiguous,
    /// The channels vary fastest: `torch.channels_last` (rank 4) or `torch.channels_last_3d` (rank 5).
    ChannelsLast,
    /// The dimensions lie in the opposite order: the first varies fastest.
    Permuted,
    /// A window into a larger tensor, away from its beginning, with gaps between the rows. What lies around it is NaN.
    Sliced,
    /// One sample that stands for the whole batch: its stride along the batch is 0. Every sample has the same elements.
    Expanded,
}

impl Layout {
    /// The name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Layout::Contiguous => "contiguous",
            Layout::ChannelsLast => "channels_last",
            Layout::Permuted => "permuted",
            Layout::Sliced => "sliced",
            Layout::Expanded => "expanded",
        }
    }
}

/// What `freeze` freezes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Frozen {
    /// The running statistics: `eval()`.
    #[default]
    Statistics,
    /// Weight and bias: `requires_grad = False`.
    Affine,
    /// Both.
    Both,
}

impl Frozen {
    /// Whether it holds the running statistics.
    pub const fn statistics(self) -> bool {
        matches!(self, Frozen::Statistics | Frozen::Both)
    }

    /// Whether it holds weight and bias.
    pub const fn affine(self) -> bool {
        matches!(self, Frozen::Affine | Frozen::Both)
    }
}

/// How far down a model `freeze` goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Every layer below, as `apply` goes.
    #[default]
    All,
    /// Direct children only, as a loop over `named_children()` goes: what is nested deeper is missed.
    Children,
}

/// Which tensors of a layer `cast` converts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// All four: `layer.half()`.
    #[default]
    Layer,
    /// Weight and bias.
    Parameters,
    /// Running mean and variance.
    Statistics,
    /// The weight alone.
    Weight,
    /// The bias alone.
    Bias,
    /// The running mean alone.
    RunningMean,
    /// The running variance alone.
    RunningVar,
}

impl Part {
    /// Its tensors.
    pub const fn slots(self) -> &'static [Slot] {
        match self {
            Part::Layer => &Slot::ALL,
            Part::Parameters => &[Slot::Weight, Slot::Bias],
            Part::Statistics => &[Slot::RunningMean, Slot::RunningVar],
            Part::Weight => &[Slot::Weight],
            Part::Bias => &[Slot::Bias],
            Part::RunningMean => &[Slot::RunningMean],
            Part::RunningVar => &[Slot::RunningVar],
        }
    }
}

impl Slot {
    /// All of them, in the order of a state dictionary.
    pub const ALL: [Slot; 4] = [Slot::Weight, Slot::Bias, Slot::RunningMean, Slot::RunningVar];

    /// The name in files and state dictionaries.
    pub const fn name(self) -> &'static str {
        match self {
            Slot::Weight => "weight",
            Slot::Bias => "bias",
            Slot::RunningMean => "running_mean",
            Slot::RunningVar => "running_var",
        }
    }

    /// Whether it is a parameter, not a buffer.
    pub const fn is_parameter(self) -> bool {
        matches!(self, Slot::Weight | Slot::Bias)
    }
}

/// `momentum=None`, `eps=0.001`: as one would assign it in Python.
impl<T> Display for Setting<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Setting::Momentum(None) => f.write_str("momentum=None"),
            Setting::Momentum(Some(momentum)) => write!(f, "momentum={momentum}"),
            Setting::Eps(eps) => write!(f, "eps={eps}"),
            Setting::TrackRunningStats(true) => f.write_str("track_running_stats=True"),
            Setting::TrackRunningStats(false) => f.write_str("track_running_stats=False"),
            Setting::Tensor(slot, None) => write!(f, "{}=None", slot.name()),
            Setting::Tensor(slot, Some(_)) => write!(f, "{}=a new tensor", slot.name()),
            Setting::NumBatchesTracked(None) => f.write_str("num_batches_tracked=None"),
            Setting::NumBatchesTracked(Some(count)) => write!(f, "num_batches_tracked={count}"),
        }
    }
}

impl<T> Action<T> {
    /// The step's name, as in the format.
    pub fn name(&self) -> &'static str {
        match self {
            Action::Train { .. } => "train",
            Action::Eval { .. } => "eval",
            Action::Forward { no_grad: false, .. } => "forward",
            Action::Forward { no_grad: true, .. } => "forward (no_grad)",
            Action::Backward { .. } => "backward",
            Action::Freeze { .. } => "freeze",
            Action::Unfreeze { .. } => "unfreeze",
            Action::RequiresGrad { .. } => "requires_grad",
            Action::Cast { .. } => "cast",
            Action::ZeroGrad { .. } => "zero_grad",
            Action::Sgd { .. } => "sgd",
            Action::ResetRunningStats { .. } => "reset_running_stats",
            Action::Set { .. } => "set",
            Action::SaveState { .. } => "save_state",
            Action::LoadState { .. } => "load_state",
        }
    }

    /// The part of the model that it speaks to.
    pub fn at(&self) -> &str {
        match self {
            Action::Train { at }
            | Action::Eval { at }
            | Action::Forward { at, .. }
            | Action::Freeze { at, .. }
            | Action::Unfreeze { at, .. }
            | Action::RequiresGrad { at, .. }
            | Action::Cast { at, .. }
            | Action::ZeroGrad { at }
            | Action::Sgd { at, .. }
            | Action::ResetRunningStats { at }
            | Action::Set { at, .. }
            | Action::SaveState { at, .. }
            | Action::LoadState { at, .. } => at,
            Action::Backward { .. } => "",
        }
    }

    /// The same step with something else for each tensor.
    pub fn map<U>(&self, new: &mut dyn FnMut(&T) -> U) -> Action<U> {
        match self {
            Action::Train { at } => Action::Train { at: at.clone() },
            Action::Eval { at } => Action::Eval { at: at.clone() },
            Action::Forward { at, input, no_grad } => {
                let Input { tensor, dtype, layout, requires_grad } = input;
                let (dtype, layout, requires_grad) = (*dtype, *layout, *requires_grad);
                let input = Input { tensor: new(tensor), dtype, layout, requires_grad };
                Action::Forward { at: at.clone(), input, no_grad: *no_grad }
            }
            Action::Backward { grad, layout } => Action::Backward { grad: new(grad), layout: *layout },
            Action::Freeze { at, what, reach, sticky } => {
                Action::Freeze { at: at.clone(), what: *what, reach: *reach, sticky: *sticky }
            }
            Action::Unfreeze { at, what, reach } => {
                Action::Unfreeze { at: at.clone(), what: *what, reach: *reach }
            }
            Action::RequiresGrad { at, weight, bias } => {
                Action::RequiresGrad { at: at.clone(), weight: *weight, bias: *bias }
            }
            Action::Cast { at, to, what } => Action::Cast { at: at.clone(), to: *to, what: *what },
            Action::ZeroGrad { at } => Action::ZeroGrad { at: at.clone() },
            Action::Sgd { at, lr } => Action::Sgd { at: at.clone(), lr: *lr },
            Action::ResetRunningStats { at } => Action::ResetRunningStats { at: at.clone() },
            Action::Set { at, settings } => {
                let settings = settings.iter().map(|setting| setting.map(new)).collect();
                Action::Set { at: at.clone(), settings }
            }
            Action::SaveState { at, name } => Action::SaveState { at: at.clone(), name: name.clone() },
            Action::LoadState { at, from, strict } => {
                let Dictionary { saved, without, entries, version } = from;
                let entries = entries.iter().map(|(name, entry)| (name.clone(), new(entry))).collect();
                let (saved, without) = (saved.clone(), without.clone());
                let from = Dictionary { saved, without, entries, version: *version };
                Action::LoadState { at: at.clone(), from, strict: *strict }
            }
        }
    }
}

impl<T> Setting<T> {
    fn map<U>(&self, new: &mut dyn FnMut(&T) -> U) -> Setting<U> {
        match self {
            Setting::Momentum(momentum) => Setting::Momentum(*momentum),
            Setting::Eps(eps) => Setting::Eps(*eps),
            Setting::TrackRunningStats(track) => Setting::TrackRunningStats(*track),
            Setting::Tensor(slot, tensor) => Setting::Tensor(*slot, tensor.as_ref().map(new)),
            Setting::NumBatchesTracked(count) => Setting::NumBatchesTracked(*count),
        }
    }
}
