//! The traits a backend implements.

use bn_cases::case::{Layout, Slot};
use bn_cases::{DType, Observable, Tensor};
use serde::{Deserialize, Serialize};

use crate::model::count;
use crate::{Entries, Input, Lacks, LayerConfig, LayerError, Loaded, Request, Response, Setting};

/// Who a backend is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendInfo {
    /// Its short name, as used on the command line.
    pub name: String,
    /// The version of the library behind it, with what matters beside: `candle-nn 0.11.1`.
    pub version: String,
    /// What it is, in a sentence.
    pub about: String,
    /// What cannot be seen of its state.
    pub unobservable: Vec<Unobservable>,
}

/// A tensor that a backend does not have, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unobservable {
    /// The tensor.
    pub tensor: Observable,
    /// Why there is none.
    pub reason: String,
}

/// Something that answers requests: a backend in this process, or a worker's end of a pipe.
pub trait Responder {
    /// Who it is.
    fn info(&self) -> &BackendInfo;

    /// Begins to answer the request that [`respond`](Responder::respond) is called with next, where that can go on beside
    /// other work: in a process of its own.
    fn ask(&mut self, _request: &Request) {}

    /// Answers a request. What goes wrong is part of the answer.
    fn respond(&mut self, request: &Request) -> Response;

    /// How long the layers themselves took over each step of the latest answer, in nanoseconds, the new layer first; where
    /// that is not known, nothing.
    fn nanos(&self) -> &[u64] {
        &[]
    }

    /// The most memory that a process of its own has held so far, in bytes; nothing where it has none, or the system does
    /// not say.
    fn peak_memory(&self) -> Option<u64> {
        None
    }

    /// Ends the conversation, after which nothing is asked any more.
    ///
    /// # Errors
    /// What is wrong with the last answer, where that shows only now.
    fn finish(&mut self) -> Result<(), String> {
        Ok(())
    }
}

/// A batch-norm implementation.
///
/// Errors that a layer raises are behaviour, and are compared; only what the backend has no words for is
/// [`unsupported`](Backend::unsupported).
pub trait Backend {
    /// Who it is.
    fn info(&self) -> BackendInfo;

    /// What its layers do not have; nothing unless it says so.
    fn lacks(&self) -> Lacks {
        Lacks::default()
    }

    /// Why this case cannot be expressed, or `None` when it can.
    fn unsupported(&self, request: &Request) -> Option<String> {
        self.lacks().reason(request)
    }

    /// Makes a layer, in training mode.
    ///
    /// # Errors
    /// What the implementation's constructor raises.
    fn create(&self, config: &LayerConfig) -> Result<Box<dyn Layer>, LayerError>;
}

/// A layer with its state: parameters, running statistics, accumulated gradients, the latest graph.
pub trait Layer {
    /// Training or evaluation mode.
    ///
    /// # Errors
    /// What the implementation raises.
    fn set_training(&mut self, training: bool) -> Result<(), LayerError>;

    /// The output for an input of shape (N, C, …), in the same shape. With `no_grad` no graph is kept; the
    /// statistics move all the same.
    ///
    /// # Errors
    /// What the implementation raises.
    fn forward(&mut self, input: &Input, no_grad: bool) -> Result<Output, LayerError>;

    /// Back-propagates the gradient of the latest output, which lies in memory as `layout` says. Gives the gradient
    /// with respect to the latest input, that of this call alone, where one was asked of it; those of weight and bias
    /// are added to what [`gradients`](Layer::gradients) gives.
    ///
    /// # Errors
    /// What the implementation raises; without a graph an error of class `no_graph`.
    fn backward(&mut self, grad_output: &Tensor, layout: Layout) -> Result<Option<Tensor>, LayerError>;

    /// The `.grad` of weight and bias: what has accumulated since [`zero_grad`](Layer::zero_grad).
    ///
    /// # Errors
    /// When they cannot be read.
    fn gradients(&self) -> Result<ParameterGradients, LayerError>;

    /// Forgets the accumulated gradients of weight and bias.
    ///
    /// # Errors
    /// What the implementation raises.
    fn zero_grad(&mut self) -> Result<(), LayerError>;

    /// `p -= lr · p.grad` for weight and bias, where they have a gradient.
    ///
    /// # Errors
    /// What the implementation raises.
    fn sgd(&mut self, lr: f64) -> Result<(), LayerError>;

    /// Running mean 0, running variance 1, counter 0. This and what follows is not asked of a layer whose backend
    /// [lacks](Backend::lacks) it.
    ///
    /// # Errors
    /// What the implementation raises.
    fn reset_running_stats(&mut self) -> Result<(), LayerError> {
        Err(LayerError::other("this layer has no reset_running_stats"))
    }

    /// Changes an attribute of the layer, as an assignment to the module's does in PyTorch.
    ///
    /// # Errors
    /// What the implementation raises.
    fn set(&mut self, setting: &Setting) -> Result<(), LayerError> {
        Err(LayerError::other(format!("this layer cannot set {setting}")))
    }

    /// Whether weight or bias is trained. A layer that has neither need not do anything.
    ///
    /// # Errors
    /// What the implementation raises.
    fn set_requires_grad(&mut self, parameter: Slot, requires_grad: bool) -> Result<(), LayerError> {
        Err(LayerError::other(format!(
            "this layer cannot set {}.requires_grad={requires_grad}",
            parameter.name()
        )))
    }

    /// Converts those of its tensors that it has, and the gradients of its parameters with them.
    ///
    /// # Errors
    /// What the implementation raises.
    fn cast(&mut self, tensors: &[Slot], to: DType) -> Result<(), LayerError> {
        Err(LayerError::other(format!("this layer cannot be cast to {to}: {tensors:?}")))
    }

    /// Takes from a state dictionary, whose names are the layer's own, what fits, and says what does not. `version`
    /// is that of the dictionary's metadata.
    ///
    /// # Errors
    /// What the implementation raises beside that.
    fn load_state(&mut self, entries: &Entries, version: u32) -> Result<Loaded, LayerError> {
        Err(LayerError::other(format!(
            "this layer cannot load {} entries of version {version}",
            entries.len()
        )))
    }

    /// Everything that can be seen of the layer now.
    ///
    /// # Errors
    /// When it cannot be read.
    fn state(&self) -> Result<LayerState, LayerError>;
}

/// What a forward gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// The output, of the input's shape.
    pub tensor: Tensor,
    /// Whether it leads back to anything that requires a gradient.
    pub requires_grad: bool,
}

/// The gradients of weight and bias, each of shape (C); `None` where there is none.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ParameterGradients {
    /// With respect to weight.
    pub weight: Option<Tensor>,
    /// With respect to bias.
    pub bias: Option<Tensor>,
}

/// A layer's parameters and buffers; `None` where the layer has none.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LayerState {
    /// Weight (gamma), of shape (C).
    pub weight: Option<Tensor>,
    /// Bias (beta), of shape (C).
    pub bias: Option<Tensor>,
    /// The running mean, of shape (C).
    pub running_mean: Option<Tensor>,
    /// The running variance, of shape (C).
    pub running_var: Option<Tensor>,
    /// The counter of training batches.
    pub num_batches_tracked: Option<i64>,
}

impl LayerState {
    /// The state as observed tensors.
    pub fn into_tensors(self) -> Vec<(Observable, Tensor)> {
        let counter = self.num_batches_tracked.map(count);
        [
            (Observable::RunningMean, self.running_mean),
            (Observable::RunningVar, self.running_var),
            (Observable::NumBatchesTracked, counter),
            (Observable::Weight, self.weight),
            (Observable::Bias, self.bias),
        ]
        .into_iter()
        .filter_map(|(name, tensor)| Some((name, tensor?)))
        .collect()
    }
}
