//! From a kernel to a layer: the rules of PyTorch's module, in one place.
//!
//! Sources: `torch/nn/modules/batchnorm.py` and `torch/nn/functional.py` of PyTorch 2.11.

use bn_cases::{DType, ErrorClass, Tensor};

use crate::{Gradients, Layer, LayerConfig, LayerError, LayerState, Setting};

/// A batch-norm kernel: PyTorch's functional level, without state of its own.
pub trait Kernel {
    /// What a forward keeps for its backward.
    type Saved;

    /// Normalises `call.input`, and moves the running statistics when the batch's are used.
    ///
    /// # Errors
    /// What the implementation raises.
    fn forward(&self, call: Forward<'_>) -> Result<(Tensor, Self::Saved), LayerError>;

    /// The gradients that one backward adds, given the gradient of the output.
    ///
    /// # Errors
    /// What the implementation raises.
    fn backward(&self, saved: &Self::Saved, grad_output: &Tensor) -> Result<Gradients, LayerError>;
}

/// One call of a kernel's forward: the arguments of `torch.nn.functional.batch_norm`.
pub struct Forward<'a> {
    /// The input, of shape (N, C, …).
    pub input: &'a Tensor,
    /// Weight (gamma), of shape (C).
    pub weight: Option<&'a Tensor>,
    /// Bias (beta), of shape (C).
    pub bias: Option<&'a Tensor>,
    /// The running statistics: read when `use_batch_stats` is off, moved when it is on.
    pub running: Option<&'a mut RunningStats>,
    /// Whether to normalise with the batch's statistics.
    pub use_batch_stats: bool,
    /// The weight of the new batch in the running statistics.
    pub factor: f64,
    /// Added to the variance inside the root.
    pub eps: f64,
}

/// Running mean and variance, each of shape (C).
#[derive(Debug, Clone, PartialEq)]
pub struct RunningStats {
    /// The running mean.
    pub mean: Tensor,
    /// The running variance.
    pub var: Tensor,
}

impl RunningStats {
    /// Mean 0 and variance 1, as PyTorch's constructor and `reset_running_stats` leave them.
    pub fn new(dtype: DType, features: usize) -> Self {
        let full = |value| Tensor::full(dtype, &[features], value);
        RunningStats { mean: full(0.0), var: full(1.0) }
    }
}

/// `torch.nn.BatchNorm{1,2,3}d` around a kernel: modes, counter, averaging factor, checks, gradients that
/// accumulate.
pub struct ModuleLayer<K: Kernel> {
    kernel: K,
    config: LayerConfig,
    training: bool,
    weight: Option<Parameter>,
    bias: Option<Parameter>,
    running: Option<RunningStats>,
    num_batches_tracked: Option<i64>,
    graph: Option<Graph<K::Saved>>,
}

struct Parameter {
    value: Tensor,
    grad: Option<Tensor>,
}

struct Graph<S> {
    saved: S,
    grad_input: Option<Tensor>,
}

impl<K: Kernel> ModuleLayer<K> {
    /// A new layer in training mode: weight 1, bias 0, running mean 0, running variance 1, counter 0, unless
    /// `config` gives their contents.
    pub fn new(kernel: K, config: &LayerConfig) -> Self {
        let (dtype, features) = (config.dtype, config.features);
        let parameter = |given: &Option<Tensor>, initial: f64| {
            config.affine.then(|| {
                let value = given.clone().unwrap_or_else(|| Tensor::full(dtype, &[features], initial));
                Parameter { value, grad: None }
            })
        };
        let running = config.track_running_stats.then(|| {
            let initial = RunningStats::new(dtype, features);
            RunningStats {
                mean: config.running_mean.clone().unwrap_or(initial.mean),
                var: config.running_var.clone().unwrap_or(initial.var),
            }
        });
        let counter = config.track_running_stats.then(|| config.num_batches_tracked.unwrap_or(0));
        ModuleLayer {
            kernel,
            training: true,
            weight: parameter(&config.weight, 1.0),
            bias: parameter(&config.bias, 0.0),
            running,
            num_batches_tracked: counter,
            graph: None,
            config: config.clone(),
        }
    }

    fn parameters(&mut self) -> impl Iterator<Item = &mut Parameter> {
        self.weight.iter_mut().chain(&mut self.bias)
    }
}

impl<K: Kernel> Layer for ModuleLayer<K> {
    fn set_training(&mut self, training: bool) -> Result<(), LayerError> {
        self.training = training;
        Ok(())
    }

    fn forward(&mut self, input: &Tensor, no_grad: bool) -> Result<Tensor, LayerError> {
        // A step that fails leaves nothing to go back through.
        self.graph = None;
        let shape = input.shape();
        if !self.config.kind.takes(shape.len()) {
            let message = format!("{:?} takes no input of rank {}", self.config.kind, shape.len());
            return Err(LayerError::new(ErrorClass::WrongRank, message));
        }
        // The counter moves first: a batch that is refused below has been counted.
        let mut factor = self.config.momentum.unwrap_or(0.0);
        if self.training
            && self.config.track_running_stats
            && let Some(counter) = &mut self.num_batches_tracked
        {
            // As an int64 tensor does.
            *counter = counter.wrapping_add(1);
            factor = self.config.momentum.unwrap_or(1.0 / *counter as f64);
        }
        // Without buffers there are only the batch's statistics, in either mode.
        let use_batch_stats = self.training || self.running.is_none();
        if use_batch_stats && input.channels().values == 1 {
            let message =
                format!("Expected more than 1 value per channel when training, got input size {shape:?}");
            return Err(LayerError::new(ErrorClass::OneValuePerChannel, message));
        }
        if self.config.eps <= 0.0 {
            let message = format!("batch_norm eps must be positive, but got {}", self.config.eps);
            return Err(LayerError::new(ErrorClass::EpsNotPositive, message));
        }
        // Sizes are checked against parameters and buffers, where there are any, and not for an empty batch.
        let sized = self.weight.is_some() || self.running.is_some();
        if sized && !input.is_empty() && shape[1] != self.config.features {
            let message = format!("{} channels for a layer of {} features", shape[1], self.config.features);
            return Err(LayerError::new(ErrorClass::WrongFeatures, message));
        }
        // An empty input is scaled by the first weight, which must be there.
        if self.weight.is_some() && self.config.features == 0 {
            let message = "select(): index 0 out of range for tensor of size [0] at dimension 0";
            return Err(LayerError::new(ErrorClass::NoChannels, message));
        }
        let call = Forward {
            input,
            weight: self.weight.as_ref().map(|parameter| &parameter.value),
            bias: self.bias.as_ref().map(|parameter| &parameter.value),
            // In training the buffers are handed over only to be moved.
            running: self.running.as_mut().filter(|_| !self.training || self.config.track_running_stats),
            use_batch_stats,
            factor,
            eps: self.config.eps,
        };
        let (output, saved) = self.kernel.forward(call)?;
        self.graph = (!no_grad).then_some(Graph { saved, grad_input: None });
        Ok(output)
    }

    fn backward(&mut self, grad_output: &Tensor) -> Result<Gradients, LayerError> {
        let graph = self.graph.as_mut().ok_or_else(|| {
            LayerError::new(ErrorClass::NoGraph, "there is no graph: the latest forward kept none")
        })?;
        let new = self.kernel.backward(&graph.saved, grad_output)?;
        let input = accumulate(&mut graph.grad_input, new.input);
        let add = |parameter: &mut Option<Parameter>, grad: Option<Tensor>| {
            Some(accumulate(&mut parameter.as_mut()?.grad, grad?))
        };
        let weight = add(&mut self.weight, new.weight);
        let bias = add(&mut self.bias, new.bias);
        Ok(Gradients { input, weight, bias })
    }

    fn zero_grad(&mut self) -> Result<(), LayerError> {
        for parameter in self.parameters() {
            parameter.grad = None;
        }
        Ok(())
    }

    fn sgd(&mut self, lr: f64) -> Result<(), LayerError> {
        for parameter in self.parameters() {
            let Parameter { value, grad: Some(grad) } = parameter else { continue };
            let dtype = value.dtype();
            let moved = (0..value.len()).map(|i| descend(dtype, value.value(i), grad.value(i), lr));
            *value = Tensor::from_values(dtype, value.shape(), moved);
        }
        Ok(())
    }

    fn reset_running_stats(&mut self) -> Result<(), LayerError> {
        if let Some(running) = &mut self.running {
            *running = RunningStats::new(self.config.dtype, self.config.features);
            self.num_batches_tracked = Some(0);
        }
        Ok(())
    }

    fn set(&mut self, setting: Setting) -> Result<(), LayerError> {
        match setting {
            Setting::Momentum(momentum) => self.config.momentum = momentum,
            Setting::Eps(eps) => self.config.eps = eps,
            // The buffers stay as they are, or stay away.
            Setting::TrackRunningStats(track) => self.config.track_running_stats = track,
        }
        Ok(())
    }

    fn state(&self) -> Result<LayerState, LayerError> {
        Ok(LayerState {
            weight: self.weight.as_ref().map(|parameter| parameter.value.clone()),
            bias: self.bias.as_ref().map(|parameter| parameter.value.clone()),
            running_mean: self.running.as_ref().map(|running| running.mean.clone()),
            running_var: self.running.as_ref().map(|running| running.var.clone()),
            num_batches_tracked: self.num_batches_tracked,
        })
    }
}

/// p - lr·g as `torch.optim.SGD` computes it: `p.add_(g, alpha=-lr)`, with alpha in the type of the computation and
/// one fused multiplication and addition.
fn descend(dtype: DType, p: f64, g: f64, lr: f64) -> f64 {
    match dtype {
        DType::F64 => (-lr).mul_add(g, p),
        _ => f64::from((-(lr as f32)).mul_add(g as f32, p as f32)),
    }
}

/// Adds a gradient to what is there, rounding each sum once to its dtype, and gives the sum.
fn accumulate(sum: &mut Option<Tensor>, new: Tensor) -> Tensor {
    let total = match sum.take() {
        None => new,
        Some(old) => {
            let values = (0..old.len()).map(|i| old.value(i) + new.value(i));
            Tensor::from_values(old.dtype(), old.shape(), values)
        }
    };
    sum.insert(total).clone()
}
