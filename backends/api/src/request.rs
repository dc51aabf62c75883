//! One case with its tensors.

use bn_cases::case::{self, Case, Layout, Slot};
use bn_cases::{DType, Tensor};
use serde::{Deserialize, Serialize};

use crate::LayerKind;

/// One step with its tensors.
pub type Action = case::Action<Tensor>;

/// An assignment with its tensor.
pub type Setting = case::Setting<Tensor>;

/// A layer's input, or that of a model.
pub type Input = case::Input<Tensor>;

/// What a backend is asked to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The case's id.
    pub case: String,
    /// The layers to make, in the order in which a forward runs them.
    pub layers: Vec<LayerConfig>,
    /// What to do with them, in order.
    pub actions: Vec<Action>,
}

/// The arguments of `torch.nn.BatchNorm{1,2,3}d`, and the contents of parameters and buffers where the case
/// gives them; what is `None` there stays as the constructor leaves it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerConfig {
    /// Its path in the model; empty where the layer is all there is.
    pub path: String,
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
    /// The type of weight and bias and their gradients.
    pub dtype: DType,
    /// The type of the running statistics; another one than `dtype` is refused by PyTorch when it is computed with.
    pub statistics_dtype: DType,
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
    /// For the oracle and the arbiter: the type that every tensor is held in and computed with, whatever its type in
    /// PyTorch, which then only decides what is refused and to what a `cast` rounds.
    pub held_in: Option<DType>,
}

impl LayerConfig {
    /// A layer as PyTorch's constructor makes it when nothing but its features and type is said.
    pub fn new(kind: LayerKind, features: usize, dtype: DType) -> Self {
        LayerConfig {
            path: String::new(),
            kind,
            features,
            eps: 1e-5,
            momentum: Some(0.1),
            affine: true,
            track_running_stats: true,
            dtype,
            statistics_dtype: dtype,
            weight: None,
            bias: None,
            running_mean: None,
            running_var: None,
            num_batches_tracked: None,
            held_in: None,
        }
    }

    /// The type of one of its tensors in PyTorch.
    pub fn dtype_of(&self, slot: Slot) -> DType {
        if slot.is_parameter() { self.dtype } else { self.statistics_dtype }
    }

    /// The contents that the case gives a tensor.
    pub fn contents(&self, slot: Slot) -> Option<&Tensor> {
        match slot {
            Slot::Weight => self.weight.as_ref(),
            Slot::Bias => self.bias.as_ref(),
            Slot::RunningMean => self.running_mean.as_ref(),
            Slot::RunningVar => self.running_var.as_ref(),
        }
    }

    /// Whether it is constructed with a tensor.
    pub fn has(&self, slot: Slot) -> bool {
        if slot.is_parameter() { self.affine } else { self.track_running_stats }
    }
}

impl Request {
    /// The case with its tensors generated.
    pub fn from_case(case: &Case) -> Self {
        let seed = case.seed;
        let mut latest: Option<Tensor> = None;
        let mut actions = Vec::with_capacity(case.script.len());
        for action in case.script.iter() {
            let action = action.map(&mut |tensor| tensor.tensor(seed, latest.as_ref()));
            if let Action::Forward { input, .. } = &action {
                latest = Some(input.tensor.clone());
            }
            actions.push(action);
        }
        let layers = (0..case.layers.len()).map(|number| LayerConfig::from_case(case, number)).collect();
        Request { case: case.id.clone(), layers, actions }
    }

    /// The same question with every floating-point tensor held in float64, which changes no number: what the oracle
    /// and the arbiter are asked, [contiguous](Request::contiguous).
    #[must_use]
    pub fn widened(&self) -> Self {
        let wide = |tensor: &Tensor| match tensor.dtype() {
            // An input of integers is refused for its type, and an entry of integers is the counter's.
            DType::I64 => tensor.clone(),
            _ => tensor.cast(DType::F64),
        };
        let layers = self.layers.iter().map(|layer| LayerConfig {
            held_in: Some(DType::F64),
            weight: layer.weight.as_ref().map(wide),
            bias: layer.bias.as_ref().map(wide),
            running_mean: layer.running_mean.as_ref().map(wide),
            running_var: layer.running_var.as_ref().map(wide),
            ..layer.clone()
        });
        Request {
            case: self.case.clone(),
            layers: layers.collect(),
            actions: self.actions.iter().map(|action| action.map(&mut |tensor| wide(tensor))).collect(),
        }
    }

    /// The same question with every input and gradient contiguous, which changes no number. libtorch has kernels of their own for
    /// other layouts, whose mistakes would be the oracle's.
    #[must_use]
    pub fn contiguous(mut self) -> Self {
        for action in &mut self.actions {
            match action {
                Action::Forward { input: Input { layout, .. }, .. } | Action::Backward { layout, .. } => {
                    *layout = Layout::Contiguous;
                }
                _ => {}
            }
        }
        self
    }
}

impl LayerConfig {
    fn from_case(case: &Case, number: usize) -> Self {
        let layer = &case.layers[number];
        let spec = &layer.spec;
        LayerConfig {
            path: layer.path.clone(),
            kind: layer.kind,
            features: layer.features,
            eps: spec.eps,
            momentum: spec.momentum,
            affine: spec.affine,
            track_running_stats: spec.track_running_stats,
            dtype: layer.dtype,
            statistics_dtype: layer.statistics_dtype,
            weight: case.initial(number, Slot::Weight),
            bias: case.initial(number, Slot::Bias),
            running_mean: case.initial(number, Slot::RunningMean),
            running_var: case.initial(number, Slot::RunningVar),
            num_batches_tracked: spec.num_batches_tracked,
            held_in: None,
        }
    }
}
