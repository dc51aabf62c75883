//! A layer whose steps can be replaced one by one.

use bn_api::{
    DType, Entries, Input, Layer, LayerConfig, LayerError, LayerState, Layout, Loaded, Output,
    ParameterGradients, Setting, Slot, Tensor,
};

/// What is done at each step of a layer.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "each is the method of bn_api::Layer of the same name")]
pub struct Hooks {
    pub set_training: fn(&mut Inner, bool) -> Result<(), LayerError>,
    pub forward: fn(&mut Inner, &Input, bool) -> Result<Output, LayerError>,
    pub backward: fn(&mut Inner, &Tensor, Layout) -> Result<Option<Tensor>, LayerError>,
    pub gradients: fn(&Inner) -> Result<ParameterGradients, LayerError>,
    pub zero_grad: fn(&mut Inner) -> Result<(), LayerError>,
    pub sgd: fn(&mut Inner, f64) -> Result<(), LayerError>,
    pub reset: fn(&mut Inner) -> Result<(), LayerError>,
    pub set: fn(&mut Inner, &Setting) -> Result<(), LayerError>,
    pub requires_grad: fn(&mut Inner, Slot, bool) -> Result<(), LayerError>,
    pub cast: fn(&mut Inner, &[Slot], DType) -> Result<(), LayerError>,
    pub load_state: fn(&mut Inner, &Entries, u32) -> Result<Loaded, LayerError>,
}

impl Hooks {
    /// Every step as the layer does it.
    pub const fn plain() -> Self {
        Hooks {
            set_training: |inner, training| inner.layer.set_training(training),
            forward: |inner, input, no_grad| inner.layer.forward(input, no_grad),
            backward: |inner, grad, layout| inner.layer.backward(grad, layout),
            gradients: |inner| inner.layer.gradients(),
            zero_grad: |inner| inner.layer.zero_grad(),
            sgd: |inner, lr| inner.layer.sgd(lr),
            reset: |inner| inner.layer.reset_running_stats(),
            set: |inner, setting| inner.layer.set(setting),
            requires_grad: |inner, slot, required| inner.layer.set_requires_grad(slot, required),
            cast: |inner, slots, to| inner.layer.cast(slots, to),
            load_state: |inner, entries, version| inner.layer.load_state(entries, version),
        }
    }
}

/// The layer inside, and what a hook may want to know of it.
pub struct Inner {
    /// The layer.
    pub layer: Box<dyn Layer>,
    /// Its attributes as they are now; the tensors are those that it was made with.
    pub config: LayerConfig,
    /// Whether it is in training mode.
    pub training: bool,
    /// `requires_grad` of weight and bias.
    pub trained: [bool; 2],
    /// How many training forwards there have been.
    pub batches: u32,
    /// Of the hooks: the latest input.
    pub input: Option<Input>,
    /// Of the hooks: a state set aside.
    pub aside: Option<LayerState>,
    /// Of the hooks: gradients set aside.
    pub gradients: ParameterGradients,
    /// Of the hooks: a mark.
    pub mark: bool,
}

impl Inner {
    /// Whether the next forward moves running statistics.
    pub fn moves(&self) -> bool {
        self.training && self.config.track_running_stats
    }

    /// Puts a tensor in the place of a running statistic, in the type that this one has.
    ///
    /// # Errors
    /// What the layer raises.
    pub fn put(&mut self, slot: Slot, tensor: Option<&Tensor>) -> Result<(), LayerError> {
        self.layer.set(&Setting::Tensor(slot, tensor.cloned()))?;
        match tensor {
            // A new tensor is rounded to the type that the layer was made with; one that is loaded is not.
            Some(tensor) if tensor.dtype() != self.config.dtype_of(slot) && self.config.held_in.is_none() => {
                self.layer.cast(&[slot], tensor.dtype())?;
                let entry = (slot.name().to_owned(), tensor.clone());
                self.layer.load_state(&vec![entry], 1).map(|_| ())
            }
            _ => Ok(()),
        }
    }

    /// Puts the running statistics back as they were.
    ///
    /// # Errors
    /// What the layer raises.
    pub fn put_statistics(&mut self, state: &LayerState) -> Result<(), LayerError> {
        self.put(Slot::RunningMean, state.running_mean.as_ref())?;
        self.put(Slot::RunningVar, state.running_var.as_ref())
    }

    /// Puts a counter in the place of the one there is.
    ///
    /// # Errors
    /// What the layer raises.
    pub fn put_counter(&mut self, count: Option<i64>) -> Result<(), LayerError> {
        self.layer.set(&Setting::NumBatchesTracked(count))
    }
}

/// A layer with hooks.
pub(crate) struct Hooked {
    inner: Inner,
    hooks: Hooks,
}

impl Hooked {
    /// Around a new layer.
    pub fn new(layer: Box<dyn Layer>, config: &LayerConfig, hooks: Hooks) -> Self {
        let inner = Inner {
            layer,
            config: config.clone(),
            training: true,
            trained: [true; 2],
            batches: 0,
            input: None,
            aside: None,
            gradients: ParameterGradients::default(),
            mark: false,
        };
        Hooked { inner, hooks }
    }
}

impl Layer for Hooked {
    fn set_training(&mut self, training: bool) -> Result<(), LayerError> {
        self.inner.training = training;
        (self.hooks.set_training)(&mut self.inner, training)
    }

    fn forward(&mut self, input: &Input, no_grad: bool) -> Result<Output, LayerError> {
        self.inner.batches += u32::from(self.inner.training);
        (self.hooks.forward)(&mut self.inner, input, no_grad)
    }

    fn backward(&mut self, grad_output: &Tensor, layout: Layout) -> Result<Option<Tensor>, LayerError> {
        (self.hooks.backward)(&mut self.inner, grad_output, layout)
    }

    fn gradients(&self) -> Result<ParameterGradients, LayerError> {
        (self.hooks.gradients)(&self.inner)
    }

    fn zero_grad(&mut self) -> Result<(), LayerError> {
        (self.hooks.zero_grad)(&mut self.inner)
    }

    fn sgd(&mut self, lr: f64) -> Result<(), LayerError> {
        (self.hooks.sgd)(&mut self.inner, lr)
    }

    fn reset_running_stats(&mut self) -> Result<(), LayerError> {
        (self.hooks.reset)(&mut self.inner)
    }

    fn set(&mut self, setting: &Setting) -> Result<(), LayerError> {
        match setting {
            Setting::Momentum(momentum) => self.inner.config.momentum = *momentum,
            Setting::Eps(eps) => self.inner.config.eps = *eps,
            Setting::TrackRunningStats(track) => self.inner.config.track_running_stats = *track,
            Setting::Tensor(Slot::Weight, _) => self.inner.trained[0] = true,
            Setting::Tensor(Slot::Bias, _) => self.inner.trained[1] = true,
            Setting::Tensor(..) | Setting::NumBatchesTracked(_) => {}
        }
        (self.hooks.set)(&mut self.inner, setting)
    }

    fn set_requires_grad(&mut self, parameter: Slot, requires_grad: bool) -> Result<(), LayerError> {
        self.inner.trained[usize::from(parameter == Slot::Bias)] = requires_grad;
        (self.hooks.requires_grad)(&mut self.inner, parameter, requires_grad)
    }

    fn cast(&mut self, tensors: &[Slot], to: DType) -> Result<(), LayerError> {
        (self.hooks.cast)(&mut self.inner, tensors, to)
    }

    fn load_state(&mut self, entries: &Entries, version: u32) -> Result<Loaded, LayerError> {
        (self.hooks.load_state)(&mut self.inner, entries, version)
    }

    fn state(&self) -> Result<LayerState, LayerError> {
        self.inner.layer.state()
    }
}
