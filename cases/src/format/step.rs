use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::{Fill, InputSpec};
use crate::DType;
use crate::case::{Frozen, Layout, Part, Reach, Slot};
use crate::dtype::float_dtype;

/// One step of a case. After every step the whole observable state is compared. `at` says which part of a model a
/// step speaks to: the path of a layer or of what holds some (`block.inner`); left out, the whole model.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Puts the layers into training mode, as `train()` does. New layers are in training mode already.
    Train {
        /// Which part of the model.
        #[serde(default)]
        at: Option<String>,
    },
    /// Puts the layers into evaluation mode, as `eval()` does.
    Eval {
        /// Which part of the model.
        #[serde(default)]
        at: Option<String>,
    },
    /// Runs the layers on a new input, each on the output of the one before.
    Forward {
        /// Which part of the model.
        #[serde(default)]
        at: Option<String>,
        /// Whether to run under `torch.no_grad()`: no graph is kept, statistics move as ever.
        #[serde(default)]
        no_grad: bool,
        /// An input of its own; fields left out are those of the case's `input`.
        #[serde(default)]
        input: Option<InputSpec>,
    },
    /// Back-propagates a gradient of the latest output. The graph is kept, so that it can be repeated;
    /// gradients accumulate until `zero_grad`, as PyTorch's `.grad` does.
    Backward {
        /// The gradient with respect to the output. Left out: the case's `grad`.
        #[serde(default)]
        grad: Option<Fill>,
        /// How the gradient lies in memory.
        #[serde(default)]
        layout: Layout,
    },
    /// Freezes layers: puts them into evaluation mode, takes weight and bias out of training, or both.
    Freeze {
        /// Which part of the model.
        #[serde(default)]
        at: Option<String>,
        /// What is frozen.
        #[serde(default)]
        what: Frozen,
        /// How far down.
        #[serde(default)]
        reach: Reach,
        /// Whether that part's `train()` is overridden to freeze again whenever it is called.
        #[serde(default)]
        sticky: bool,
    },
    /// The opposite of `freeze`; an overridden `train()` is the inherited one again.
    Unfreeze {
        /// Which part of the model.
        #[serde(default)]
        at: Option<String>,
        /// What is unfrozen.
        #[serde(default)]
        what: Frozen,
        /// How far down.
        #[serde(default)]
        reach: Reach,
    },
    /// Sets `requires_grad` of weight and bias; what is left out stays.
    RequiresGrad {
        /// Which part of the model.
        #[serde(default)]
        at: Option<String>,
        /// Whether weight is trained.
        #[serde(default)]
        weight: Option<bool>,
        /// Whether bias is trained.
        #[serde(default)]
        bias: Option<bool>,
    },
    /// Converts layers to another type, as `half()` and `to(dtype)` do.
    Cast {
        /// Which part of the model.
        #[serde(default)]
        at: Option<String>,
        /// The new type.
        #[serde(deserialize_with = "float_dtype")]
        to: DType,
        /// Which of the layers' tensors.
        #[serde(default)]
        what: Part,
    },
    /// Sets the gradients of weight and bias to nothing.
    ZeroGrad {
        /// Which part of the model.
        #[serde(default)]
        at: Option<String>,
    },
    /// Plain gradient descent on weight and bias: `p -= lr · p.grad`, wherever there is a `.grad`.
    Sgd {
        /// Which part of the model.
        #[serde(default)]
        at: Option<String>,
        /// The learning rate; not negative.
        #[serde(default = "default_learning_rate")]
        lr: f64,
    },
    /// Running mean to 0, running variance to 1, counter to 0, in layers whose `track_running_stats` is set.
    ResetRunningStats {
        /// Which part of the model.
        #[serde(default)]
        at: Option<String>,
    },
    /// Changes attributes of layers, as an assignment to the module's does in PyTorch; what is left out stays.
    Set(Box<SetSpec>),
    /// Keeps a copy of the part's `state_dict()` under a name.
    SaveState {
        /// Which part of the model.
        #[serde(default)]
        at: Option<String>,
        /// The name.
        name: String,
    },
    /// Loads a state dictionary into a part, as `load_state_dict` does: what fits is copied even where the whole is
    /// refused.
    LoadState(Box<LoadSpec>),
}

/// What `set` assigns.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SetSpec {
    /// Which part of the model.
    pub at: Option<String>,
    /// The weight of the new batch from now on; `null` is the cumulative average.
    #[serde(deserialize_with = "given")]
    pub momentum: Option<Option<f64>>,
    /// Added to the variance inside the root from now on.
    pub eps: Option<f64>,
    /// Whether training moves the running statistics. The buffers stay: with `false`, training uses the
    /// batch's statistics and moves nothing, and evaluation still uses the buffers.
    pub track_running_stats: Option<bool>,
    /// A new weight, of the type that the case gives weights; `null` takes it away.
    #[serde(deserialize_with = "given")]
    pub weight: Option<Option<Fill>>,
    /// A new bias; `null` takes it away.
    #[serde(deserialize_with = "given")]
    pub bias: Option<Option<Fill>>,
    /// A new buffer in the place of the running mean, of the type that the case gives statistics; `null` takes it
    /// away.
    #[serde(deserialize_with = "given")]
    pub running_mean: Option<Option<Fill>>,
    /// A new buffer in the place of the running variance; `null` takes it away.
    #[serde(deserialize_with = "given")]
    pub running_var: Option<Option<Fill>>,
    /// A new counter; `null` takes it away.
    #[serde(deserialize_with = "given")]
    pub num_batches_tracked: Option<Option<i64>>,
}

/// What `load_state` loads.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LoadSpec {
    /// Which part of the model.
    pub at: Option<String>,
    /// The name that `save_state` gave; left out, the dictionary starts empty.
    pub from: Option<String>,
    /// Entries to put into the dictionary, or in the place of those that are there: `running_mean`, or
    /// `block.inner.running_mean` in a model. A name that no layer has is an unexpected entry.
    pub entries: BTreeMap<String, Fill>,
    /// Entries to leave out.
    pub without: Vec<String>,
    /// The version in the dictionary's metadata. Before version 2 there was no `num_batches_tracked`, and its absence
    /// is no error.
    #[schemars(range(min = 1, max = 2))]
    pub version: u32,
    /// Whether missing and unexpected entries are errors. A wrong shape always is.
    pub strict: bool,
}

impl Default for LoadSpec {
    fn default() -> Self {
        LoadSpec {
            at: None,
            from: None,
            entries: BTreeMap::new(),
            without: Vec::new(),
            version: 2,
            strict: true,
        }
    }
}

impl Step {
    /// The part of the model that the step speaks to; nothing where it is the whole.
    pub fn at(&self) -> Option<&str> {
        match self {
            Step::Train { at }
            | Step::Eval { at }
            | Step::Forward { at, .. }
            | Step::Freeze { at, .. }
            | Step::Unfreeze { at, .. }
            | Step::RequiresGrad { at, .. }
            | Step::Cast { at, .. }
            | Step::ZeroGrad { at }
            | Step::Sgd { at, .. }
            | Step::ResetRunningStats { at }
            | Step::SaveState { at, .. } => at.as_deref(),
            Step::Set(set) => set.at.as_deref(),
            Step::LoadState(load) => load.at.as_deref(),
            Step::Backward { .. } => None,
        }
    }

    /// The same, to be changed; nothing of a backward, which goes back through whatever the latest forward ran.
    pub fn at_mut(&mut self) -> Option<&mut Option<String>> {
        match self {
            Step::Train { at }
            | Step::Eval { at }
            | Step::Forward { at, .. }
            | Step::Freeze { at, .. }
            | Step::Unfreeze { at, .. }
            | Step::RequiresGrad { at, .. }
            | Step::Cast { at, .. }
            | Step::ZeroGrad { at }
            | Step::Sgd { at, .. }
            | Step::ResetRunningStats { at }
            | Step::SaveState { at, .. } => Some(at),
            Step::Set(set) => Some(&mut set.at),
            Step::LoadState(load) => Some(&mut load.at),
            Step::Backward { .. } => None,
        }
    }
}

impl SetSpec {
    /// What is assigned to a parameter or a running statistic, to be changed.
    #[allow(clippy::option_option, reason = "null is a value, left out is none")]
    pub fn tensor_mut(&mut self, slot: Slot) -> &mut Option<Option<Fill>> {
        match slot {
            Slot::Weight => &mut self.weight,
            Slot::Bias => &mut self.bias,
            Slot::RunningMean => &mut self.running_mean,
            Slot::RunningVar => &mut self.running_var,
        }
    }
}

/// A value that may be null, told apart from one that is left out.
#[allow(clippy::option_option, reason = "null is a value, left out is none")]
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

fn default_learning_rate() -> f64 {
    0.1
}
