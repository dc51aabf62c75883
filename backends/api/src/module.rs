//! From a kernel to a layer: the rules of PyTorch's module, in one place.
//!
//! Sources: `torch/nn/modules/batchnorm.py`, `torch/nn/modules/module.py` and `torch/nn/functional.py` of PyTorch 2.11.

use bn_cases::case::{Layout, Slot};
use bn_cases::{DType, ErrorClass, Tensor};

use crate::model::accumulate;
use crate::{
    COUNTER, Entries, Forward, Input, Kernel, Layer, LayerConfig, LayerError, LayerState, Loaded, Output,
    ParameterGradients, RunningStats, Setting, Wanted, dtypes,
};

/// `torch.nn.BatchNorm{1,2,3}d` around a kernel: modes, counter, averaging factor, checks, gradients that
/// accumulate, casts, state dictionaries.
pub struct ModuleLayer<K: Kernel> {
    kernel: K,
    /// The attributes as they are now.
    config: LayerConfig,
    training: bool,
    weight: Option<Parameter>,
    bias: Option<Parameter>,
    mean: Option<Held>,
    var: Option<Held>,
    num_batches_tracked: Option<i64>,
    graph: Option<Graph<K::Saved>>,
    unchecked: Option<ErrorClass>,
}

/// A tensor of the layer.
#[derive(Debug, Clone)]
struct Held {
    /// Its elements, in the type that they are held in.
    value: Tensor,
    /// Its type in PyTorch.
    dtype: DType,
}

struct Parameter {
    held: Held,
    grad: Option<Tensor>,
    requires_grad: bool,
}

impl Parameter {
    fn new(held: Held) -> Self {
        Parameter { held, grad: None, requires_grad: true }
    }
}

/// The graph of the latest forward.
struct Graph<S> {
    saved: S,
    /// What required a gradient at the forward.
    wanted: Wanted,
    /// The tensors that the graph refers to, and that must not be changed in place: the layer's own of that time.
    refers_to: Vec<Slot>,
    /// Whether one was.
    changed: bool,
}

impl<K: Kernel> ModuleLayer<K> {
    /// A new layer in training mode: weight 1, bias 0, running mean 0, running variance 1, counter 0, unless
    /// `config` gives their contents.
    pub fn new(kernel: K, config: &LayerConfig) -> Self {
        let initial = |slot: Slot, value: f64| {
            let dtype = config.dtype_of(slot);
            let given = config.contents(slot).cloned();
            let value = given.unwrap_or_else(|| Tensor::full(dtype, &[config.features], value));
            config.has(slot).then(|| Held { value: held_as(config, dtype, &value), dtype })
        };
        ModuleLayer {
            kernel,
            training: true,
            weight: initial(Slot::Weight, 1.0).map(Parameter::new),
            bias: initial(Slot::Bias, 0.0).map(Parameter::new),
            mean: initial(Slot::RunningMean, 0.0),
            var: initial(Slot::RunningVar, 1.0),
            num_batches_tracked: config.track_running_stats.then(|| config.num_batches_tracked.unwrap_or(0)),
            graph: None,
            unchecked: None,
            config: config.clone(),
        }
    }

    /// The layer without the check that raises errors of this class before a forward: one that is wrong on purpose.
    #[must_use]
    pub fn without_check(self, class: ErrorClass) -> Self {
        ModuleLayer { unchecked: Some(class), ..self }
    }

    fn parameters(&mut self) -> impl Iterator<Item = &mut Parameter> {
        self.weight.iter_mut().chain(&mut self.bias)
    }

    fn held(&mut self, slot: Slot) -> Option<&mut Held> {
        match slot {
            Slot::Weight => self.weight.as_mut().map(|parameter| &mut parameter.held),
            Slot::Bias => self.bias.as_mut().map(|parameter| &mut parameter.held),
            Slot::RunningMean => self.mean.as_mut(),
            Slot::RunningVar => self.var.as_mut(),
        }
    }

    /// Notes that a tensor was changed in place.
    fn touch(&mut self, slot: Slot) {
        if let Some(graph) = &mut self.graph {
            graph.changed |= graph.refers_to.contains(&slot);
        }
    }

    /// Whether the buffers are handed to the kernel: in training only to be moved.
    fn hands_buffers(&self) -> bool {
        !self.training || self.config.track_running_stats
    }

    /// What PyTorch refuses before and within its kernel. The counter has moved by then.
    fn check(&self, input: &Input, use_batch_stats: bool) -> Result<(), LayerError> {
        let refused = |class, message| Err(LayerError::new(class, message));
        let shape = input.tensor.shape();
        let checks = |class| self.unchecked != Some(class);
        if use_batch_stats && input.tensor.channels().values == 1 && checks(ErrorClass::OneValuePerChannel) {
            let message =
                format!("Expected more than 1 value per channel when training, got input size {shape:?}");
            return refused(ErrorClass::OneValuePerChannel, message);
        }
        if self.config.eps <= 0.0 && checks(ErrorClass::EpsNotPositive) {
            let message = format!("batch_norm eps must be positive, but got {}", self.config.eps);
            return refused(ErrorClass::EpsNotPositive, message);
        }
        // An empty input is scaled by the first weight and moved by the first bias, which must be there, and nothing
        // else is looked at.
        if input.tensor.is_empty() {
            if (self.weight.is_some() || self.bias.is_some()) && self.config.features == 0 {
                let message = "select(): index 0 out of range for tensor of size [0] at dimension 0";
                return refused(ErrorClass::NoChannels, message.to_owned());
            }
            return Ok(());
        }
        let (mean, var) = if self.hands_buffers() { (&self.mean, &self.var) } else { (&None, &None) };
        // Tensor by tensor, from the running mean on, PyTorch looks whether it is there and of the right size.
        let sized = mean.is_some() || var.is_some() || self.weight.is_some() || self.bias.is_some();
        if sized && shape[1] != self.config.features && (use_batch_stats || mean.is_some()) {
            let message = format!("{} channels for a layer of {} features", shape[1], self.config.features);
            return refused(ErrorClass::WrongFeatures, message);
        }
        if mean.is_some() != var.is_some() && checks(ErrorClass::MissingBuffer) {
            let message = if use_batch_stats {
                "running_mean and running_var must either both be None or neither be None"
            } else if mean.is_none() {
                "running_mean must be defined in evaluation mode"
            } else {
                "running_var must be defined in evaluation mode"
            };
            return refused(ErrorClass::MissingBuffer, message.to_owned());
        }
        Ok(())
    }

    /// Where everything is held in one type the kernel cannot see what does not go together: what PyTorch refuses for
    /// the types, and whether only after the running statistics have moved.
    fn check_types(&self, input: &Input, use_batch_stats: bool) -> Result<(), (LayerError, bool)> {
        if self.config.held_in.is_none() || input.tensor.is_empty() {
            return Ok(());
        }
        let (mean, var) = if self.hands_buffers() { (&self.mean, &self.var) } else { (&None, &None) };
        let parameter =
            |parameter: &Option<Parameter>| parameter.as_ref().map(|parameter| parameter.held.dtype);
        let buffer = |held: &Option<Held>| held.as_ref().map(|held| held.dtype);
        let tensors = [parameter(&self.weight), parameter(&self.bias), buffer(mean), buffer(var)];
        dtypes::check(input.dtype, tensors.into_iter().flatten()).map_err(|error| {
            (error, use_batch_stats && dtypes::moves_before_it_refuses(input.dtype, tensors))
        })
    }
}

/// A tensor as the layer holds it: rounded to its type in PyTorch, in the type it is held in.
fn held_as(config: &LayerConfig, dtype: DType, tensor: &Tensor) -> Tensor {
    let rounded = tensor.cast(dtype);
    config.held_in.map_or(rounded.clone(), |held_in| rounded.cast(held_in))
}

impl<K: Kernel> Layer for ModuleLayer<K> {
    fn set_training(&mut self, training: bool) -> Result<(), LayerError> {
        self.training = training;
        Ok(())
    }

    fn forward(&mut self, input: &Input, no_grad: bool) -> Result<Output, LayerError> {
        // A step that fails leaves nothing to go back through.
        self.graph = None;
        let shape = input.tensor.shape();
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
        let use_batch_stats = self.training || (self.mean.is_none() && self.var.is_none());
        self.check(input, use_batch_stats)?;
        let refused = self.check_types(input, use_batch_stats);
        if let Err((error, false)) = refused {
            return Err(error);
        }
        let handed = self.hands_buffers();
        let mut running = match (&self.mean, &self.var) {
            (Some(mean), Some(var)) if handed => {
                Some(RunningStats { mean: mean.value.clone(), var: var.value.clone() })
            }
            _ => None,
        };
        let call = Forward {
            input: &input.tensor,
            layout: input.layout,
            weight: self.weight.as_ref().map(|parameter| &parameter.held.value),
            bias: self.bias.as_ref().map(|parameter| &parameter.held.value),
            running: running.as_mut(),
            use_batch_stats,
            factor,
            eps: self.config.eps,
        };
        let computed = self.kernel.forward(call);
        let has_running = running.is_some();
        if let (Some(moved), Some(mean), Some(var)) = (running, &mut self.mean, &mut self.var) {
            (mean.value, var.value) = (moved.mean, moved.var);
        }
        refused.map_err(|(error, _)| error)?;
        let (tensor, saved) = computed?;
        let required = |parameter: &Option<Parameter>| {
            parameter.as_ref().is_some_and(|parameter| parameter.requires_grad)
        };
        let wanted =
            Wanted { input: input.requires_grad, weight: required(&self.weight), bias: required(&self.bias) };
        let requires_grad = wanted.any() && !no_grad;
        let mut refers_to = Vec::new();
        if self.weight.is_some() {
            refers_to.push(Slot::Weight);
        }
        if has_running && !input.tensor.is_empty() {
            refers_to.extend([Slot::RunningMean, Slot::RunningVar]);
        }
        self.graph = requires_grad.then_some(Graph { saved, wanted, refers_to, changed: false });
        Ok(Output { tensor, requires_grad })
    }

    fn backward(&mut self, grad_output: &Tensor, layout: Layout) -> Result<Option<Tensor>, LayerError> {
        let graph = self.graph.as_ref().ok_or_else(|| {
            LayerError::new(ErrorClass::NoGraph, "there is no graph: the latest forward kept none")
        })?;
        if graph.changed && self.unchecked != Some(ErrorClass::GraphChanged) {
            let message = "one of the variables needed for gradient computation has been modified by an inplace \
                 operation";
            return Err(LayerError::new(ErrorClass::GraphChanged, message));
        }
        // What required a gradient at the forward must still do so now. A new weight in the place of the one that the
        // graph refers to has no part in it.
        let still = |parameter: &Option<Parameter>| {
            parameter.as_ref().is_some_and(|parameter| parameter.requires_grad)
        };
        let wanted = Wanted {
            input: graph.wanted.input,
            weight: graph.wanted.weight && still(&self.weight),
            bias: graph.wanted.bias && still(&self.bias),
        };
        if !wanted.any() {
            return Ok(None);
        }
        let new = self.kernel.backward(&graph.saved, grad_output, layout, wanted)?;
        for (parameter, grad, wanted) in
            [(&mut self.weight, new.weight, wanted.weight), (&mut self.bias, new.bias, wanted.bias)]
        {
            if let (Some(parameter), Some(grad), true) = (parameter, grad, wanted) {
                accumulate(&mut parameter.grad, grad);
            }
        }
        Ok(new.input.filter(|_| wanted.input))
    }

    fn gradients(&self) -> Result<ParameterGradients, LayerError> {
        let grad =
            |parameter: &Option<Parameter>| parameter.as_ref().and_then(|parameter| parameter.grad.clone());
        Ok(ParameterGradients { weight: grad(&self.weight), bias: grad(&self.bias) })
    }

    fn zero_grad(&mut self) -> Result<(), LayerError> {
        for parameter in self.parameters() {
            parameter.grad = None;
        }
        Ok(())
    }

    fn sgd(&mut self, lr: f64) -> Result<(), LayerError> {
        if self.weight.as_ref().is_some_and(|weight| weight.grad.is_some()) {
            self.touch(Slot::Weight);
        }
        for parameter in self.parameters() {
            let Parameter { held: Held { value, .. }, grad: Some(grad), .. } = parameter else { continue };
            let dtype = value.dtype();
            let moved = (0..value.len()).map(|i| descend(dtype, value.value(i), grad.value(i), lr));
            *value = Tensor::from_values(dtype, value.shape(), moved);
        }
        Ok(())
    }

    fn reset_running_stats(&mut self) -> Result<(), LayerError> {
        // The attribute decides, not whether there is anything to reset.
        if !self.config.track_running_stats {
            return Ok(());
        }
        for (slot, value) in [(Slot::RunningMean, 0.0), (Slot::RunningVar, 1.0)] {
            let Some(held) = self.held(slot) else {
                let message = format!("{} is None and cannot be reset", slot.name());
                return Err(LayerError::new(ErrorClass::MissingBuffer, message));
            };
            held.value = Tensor::full(held.value.dtype(), held.value.shape(), value);
            self.touch(slot);
        }
        let Some(counter) = &mut self.num_batches_tracked else {
            let message = "num_batches_tracked is None and cannot be reset";
            return Err(LayerError::new(ErrorClass::MissingBuffer, message));
        };
        *counter = 0;
        Ok(())
    }

    fn set(&mut self, setting: &Setting) -> Result<(), LayerError> {
        match setting {
            Setting::Momentum(momentum) => self.config.momentum = *momentum,
            Setting::Eps(eps) => self.config.eps = *eps,
            // The buffers stay as they are, or stay away.
            Setting::TrackRunningStats(track) => self.config.track_running_stats = *track,
            Setting::NumBatchesTracked(count) => self.num_batches_tracked = *count,
            Setting::Tensor(slot, tensor) => {
                let dtype = self.config.dtype_of(*slot);
                let new =
                    tensor.as_ref().map(|tensor| Held { value: held_as(&self.config, dtype, tensor), dtype });
                // The graph keeps what it refers to; what happens to the new tensor is nothing to it. Gradients of a
                // parameter that is not the layer's any more are not seen.
                if let Some(graph) = &mut self.graph {
                    graph.refers_to.retain(|other| other != slot);
                    match slot {
                        Slot::Weight => graph.wanted.weight = false,
                        Slot::Bias => graph.wanted.bias = false,
                        Slot::RunningMean | Slot::RunningVar => {}
                    }
                }
                match slot {
                    Slot::Weight => self.weight = new.map(Parameter::new),
                    Slot::Bias => self.bias = new.map(Parameter::new),
                    Slot::RunningMean => self.mean = new,
                    Slot::RunningVar => self.var = new,
                }
            }
        }
        Ok(())
    }

    fn set_requires_grad(&mut self, parameter: Slot, requires_grad: bool) -> Result<(), LayerError> {
        let parameter = if parameter == Slot::Weight { &mut self.weight } else { &mut self.bias };
        if let Some(parameter) = parameter {
            parameter.requires_grad = requires_grad;
        }
        Ok(())
    }

    fn cast(&mut self, tensors: &[Slot], to: DType) -> Result<(), LayerError> {
        let config = self.config.clone();
        for slot in tensors {
            if let Some(held) = self.held(*slot) {
                *held = Held { value: held_as(&config, to, &held.value), dtype: to };
            }
            let parameter = match slot {
                Slot::Weight => &mut self.weight,
                Slot::Bias => &mut self.bias,
                Slot::RunningMean | Slot::RunningVar => continue,
            };
            if let Some(Parameter { grad: Some(grad), .. }) = parameter {
                *grad = held_as(&config, to, grad);
            }
        }
        Ok(())
    }

    fn load_state(&mut self, entries: &Entries, version: u32) -> Result<Loaded, LayerError> {
        let entry = |name: &str| entries.iter().find(|(known, _)| known == name).map(|(_, tensor)| tensor);
        let config = self.config.clone();
        let mut loaded = Loaded::default();
        let mut known = Vec::new();
        for slot in Slot::ALL {
            let name = slot.name();
            let Some(held) = self.held(slot) else { continue };
            known.push(name);
            match entry(name) {
                None => loaded.missing.push(name.to_owned()),
                Some(tensor) if tensor.shape() != held.value.shape() => {
                    loaded.misshapen.push(name.to_owned());
                }
                Some(tensor) => {
                    // What is held in a wider type has been rounded where it is of a narrower one.
                    held.value = tensor.cast(config.held_in.unwrap_or(held.dtype));
                    self.touch(slot);
                }
            }
        }
        // Dictionaries from before version 2 have no counter; a layer that tracks keeps the one it has.
        let excused = version < 2 && self.config.track_running_stats;
        match (&mut self.num_batches_tracked, entry(COUNTER)) {
            // One of shape (1), as before PyTorch 0.4, goes as well.
            (Some(counter), Some(tensor)) if matches!(tensor.shape(), [] | [1]) => {
                // As an integer it has more bits than a number of f64 has.
                let is_integer = tensor.dtype() == DType::I64;
                *counter = if is_integer { tensor.bits(0) as i64 } else { tensor.value(0) as i64 };
            }
            (Some(_), Some(_)) => loaded.misshapen.push(COUNTER.to_owned()),
            (Some(_), None) if !excused => loaded.missing.push(COUNTER.to_owned()),
            // Where the layer has none either, it is given one, which then is an entry too many.
            (None, None) if excused => loaded.unexpected.push(COUNTER.to_owned()),
            _ => {}
        }
        if self.num_batches_tracked.is_some() {
            known.push(COUNTER);
        }
        let names = entries.iter().map(|(name, _)| name);
        loaded.unexpected.extend(names.filter(|name| !known.contains(&name.as_str())).cloned());
        Ok(loaded)
    }

    fn state(&self) -> Result<LayerState, LayerError> {
        let value = |held: &Option<Held>| held.as_ref().map(|held| held.value.clone());
        let parameter = |parameter: &Option<Parameter>| parameter.as_ref().map(|it| it.held.value.clone());
        Ok(LayerState {
            weight: parameter(&self.weight),
            bias: parameter(&self.bias),
            running_mean: value(&self.mean),
            running_var: value(&self.var),
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
