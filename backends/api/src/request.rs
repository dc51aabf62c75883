//! One case with its tensors.

use bn_cases::case::{self, Case, Setting};
use bn_cases::data::Role;
use bn_cases::{DType, Tensor};
use serde::{Deserialize, Serialize};

use crate::LayerKind;

/// What a backend is asked to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The case's id.
    pub case: String,
    /// The layer to make.
    pub layer: LayerConfig,
    /// What to do with it, in order.
    pub actions: Vec<Action>,
}

/// The arguments of `torch.nn.BatchNorm{1,2,3}d`, and the contents of parameters and buffers where the case
/// gives them; what is `None` there stays as the constructor leaves it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerConfig {
    /// Which of the three classes.
    pub kind: LayerKind,
    /// Channels, C.
    pub features: usize,
    /// Added to the variance inside the root.
    pub eps: f64,
    /// The weight of the new batch; `None` is the cumulative average.
    pub momentum: Option<f64>,
    /// Whether there are weight and bias.
    pub affine: bool,
    /// Whether there are running statistics.
    pub track_running_stats: bool,
    /// The type of inputs, outputs and their gradients.
    pub input_dtype: DType,
    /// The type of parameters, their gradients and the running statistics.
    pub dtype: DType,
    /// The contents of weight (gamma), of shape (C).
    pub weight: Option<Tensor>,
    /// The contents of bias (beta), of shape (C).
    pub bias: Option<Tensor>,
    /// The contents of the running mean, of shape (C).
    pub running_mean: Option<Tensor>,
    /// The contents of the running variance, of shape (C).
    pub running_var: Option<Tensor>,
    /// The counter of training batches.
    pub num_batches_tracked: Option<i64>,
}

/// One step with its tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Action {
    /// Training mode.
    Train,
    /// Evaluation mode.
    Eval,
    /// A forward.
    Forward {
        /// The input.
        input: Tensor,
        /// Whether no graph is kept, as under `torch.no_grad()`.
        no_grad: bool,
    },
    /// A backward from the latest output; the graph stays.
    Backward {
        /// The gradient with respect to the output, of its shape.
        grad_output: Tensor,
    },
    /// Forget the accumulated gradients of weight and bias.
    ZeroGrad,
    /// `p -= lr · p.grad` for weight and bias.
    Sgd {
        /// The learning rate.
        lr: f64,
    },
    /// Running statistics as constructed.
    ResetRunningStats,
    /// Assignments to the layer's attributes.
    Set(Vec<Setting>),
}

impl Request {
    /// The case with its tensors generated.
    pub fn from_case(case: &Case) -> Self {
        let seed = case.spec.seed;
        let mut latest: Option<Tensor> = None;
        let mut actions = Vec::with_capacity(case.script.len());
        for action in &case.script {
            actions.push(match action {
                case::Action::Train => Action::Train,
                case::Action::Eval => Action::Eval,
                case::Action::ZeroGrad => Action::ZeroGrad,
                case::Action::Sgd { lr } => Action::Sgd { lr: *lr },
                case::Action::ResetRunningStats => Action::ResetRunningStats,
                case::Action::Set(settings) => Action::Set(settings.clone()),
                case::Action::Forward { input, no_grad } => {
                    let input = input.tensor(seed, None);
                    latest = Some(input.clone());
                    Action::Forward { input, no_grad: *no_grad }
                }
                case::Action::Backward { grad } => {
                    Action::Backward { grad_output: grad.tensor(seed, latest.as_ref()) }
                }
            });
        }
        let layer = &case.spec.layer;
        Request {
            case: case.id.clone(),
            layer: LayerConfig {
                kind: case.layer.kind,
                features: case.layer.features,
                eps: layer.eps,
                momentum: layer.momentum,
                affine: layer.affine,
                track_running_stats: layer.track_running_stats,
                input_dtype: case.spec.dtype,
                dtype: case.layer.dtype,
                weight: layer.affine.then(|| case.initial(Role::Weight)).flatten(),
                bias: layer.affine.then(|| case.initial(Role::Bias)).flatten(),
                running_mean: layer.track_running_stats.then(|| case.initial(Role::RunningMean)).flatten(),
                running_var: layer.track_running_stats.then(|| case.initial(Role::RunningVar)).flatten(),
                num_batches_tracked: layer.num_batches_tracked,
            },
            actions,
        }
    }

    /// The same question with every tensor in `dtype`, each element rounded once (not at all when `dtype` is
    /// wider): what the oracle is asked.
    #[must_use]
    pub fn cast(&self, dtype: DType) -> Self {
        let mut request = self.clone();
        let layer = &mut request.layer;
        (layer.input_dtype, layer.dtype) = (dtype, dtype);
        let contents = [&mut layer.weight, &mut layer.bias, &mut layer.running_mean, &mut layer.running_var];
        for tensor in contents.into_iter().flatten() {
            *tensor = tensor.cast(dtype);
        }
        for action in &mut request.actions {
            match action {
                Action::Forward { input: tensor, .. } | Action::Backward { grad_output: tensor } => {
                    *tensor = tensor.cast(dtype);
                }
                Action::Train
                | Action::Eval
                | Action::ZeroGrad
                | Action::Sgd { .. }
                | Action::ResetRunningStats
                | Action::Set(_) => {}
            }
        }
        request
    }
}
