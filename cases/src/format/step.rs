use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::{Fill, InputSpec};

/// One step of a case. After every step the whole observable state is compared.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Puts the layer into training mode. A new layer is in training mode already.
    Train,
    /// Puts the layer into evaluation mode.
    Eval,
    /// Runs the layer on a new input.
    Forward {
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
    },
    /// Sets the gradients of weight and bias to nothing.
    ZeroGrad,
    /// Plain gradient descent on weight and bias: `p -= lr · p.grad`.
    Sgd {
        /// The learning rate.
        #[serde(default = "default_learning_rate")]
        lr: f64,
    },
    /// Running mean to 0, running variance to 1, counter to 0.
    ResetRunningStats,
    /// Changes attributes of the layer, as an assignment to the module's does in PyTorch; what is left out stays.
    Set {
        /// The weight of the new batch from now on; `null` is the cumulative average.
        #[serde(default, deserialize_with = "given")]
        momentum: Option<Option<f64>>,
        /// Added to the variance inside the root from now on.
        #[serde(default)]
        eps: Option<f64>,
        /// Whether training moves the running statistics. The buffers stay: with `false`, training uses the
        /// batch's statistics and moves nothing, and evaluation still uses the buffers.
        #[serde(default)]
        track_running_stats: Option<bool>,
    },
}

/// A value that may be null, told apart from one that is left out.
#[allow(clippy::option_option, reason = "null is a momentum, left out is none")]
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<f64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

fn default_learning_rate() -> f64 {
    0.1
}
