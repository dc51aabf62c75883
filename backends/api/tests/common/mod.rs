//! A kernel whose numbers can be told in advance, and layers around it.
#![allow(dead_code, reason = "every test program uses a part")]

use std::cell::RefCell;
use std::rc::Rc;

use bn_api::{
    DType, ErrorClass, Forward, Gradients, Input, Kernel, Layer, LayerConfig, LayerError, LayerKind, Layout,
    ModuleLayer, RunningStats, Setting, Slot, Tensor, Wanted,
};

/// What the kernel was called with.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    pub use_batch_stats: bool,
    pub has_running: bool,
    pub factor: f64,
    pub layout: Layout,
}

/// y = w·x + b for each channel, whatever the statistics, which a training forward moves by 1. Notes its calls.
#[derive(Clone, Default)]
pub struct Toy {
    pub calls: Rc<RefCell<Vec<Call>>>,
    /// The layouts of the gradients that came.
    pub went_back: Rc<RefCell<Vec<Layout>>>,
}

/// What a forward keeps.
pub struct Saved {
    x: Tensor,
    weight: Option<Tensor>,
    bias: Option<Tensor>,
}

impl Kernel for Toy {
    type Saved = Saved;

    fn forward(&self, call: Forward<'_>) -> Result<(Tensor, Saved), LayerError> {
        self.calls.borrow_mut().push(Call {
            use_batch_stats: call.use_batch_stats,
            has_running: call.running.is_some(),
            factor: call.factor,
            layout: call.layout,
        });
        if let (true, Some(running)) = (call.use_batch_stats, call.running) {
            let moved = |old: &Tensor| by_element(old, |i| old.value(i) + 1.0);
            *running = RunningStats { mean: moved(&running.mean), var: moved(&running.var) };
        }
        let x = call.input;
        let saved = Saved { x: x.clone(), weight: call.weight.cloned(), bias: call.bias.cloned() };
        let of = |parameter: &Option<Tensor>, i| {
            parameter.as_ref().map(|parameter| parameter.value(x.channels().channel_of(i)))
        };
        let y = |i| of(&saved.weight, i).unwrap_or(1.0) * x.value(i) + of(&saved.bias, i).unwrap_or(0.0);
        Ok((by_element(x, y), saved))
    }

    fn backward(
        &self,
        saved: &Saved,
        dy: &Tensor,
        layout: Layout,
        wanted: Wanted,
    ) -> Result<Gradients, LayerError> {
        self.went_back.borrow_mut().push(layout);
        let channels = saved.x.channels();
        let sums = |like: &Tensor, value: &dyn Fn(usize) -> f64| {
            by_element(like, |channel| channels.indices(channel).map(value).sum())
        };
        let weight = |i| saved.weight.as_ref().map_or(1.0, |weight| weight.value(channels.channel_of(i)));
        let of_weight = saved.weight.as_ref().filter(|_| wanted.weight);
        let of_bias = saved.bias.as_ref().filter(|_| wanted.bias);
        Ok(Gradients {
            input: wanted.input.then(|| by_element(&saved.x, |i| weight(i) * dy.value(i))),
            weight: of_weight.map(|like| sums(like, &|i| saved.x.value(i) * dy.value(i))),
            bias: of_bias.map(|like| sums(like, &|i| dy.value(i))),
        })
    }
}

fn by_element(like: &Tensor, value: impl Fn(usize) -> f64) -> Tensor {
    Tensor::from_values(like.dtype(), like.shape(), (0..like.len()).map(value))
}

/// Two channels, in f32.
pub fn config() -> LayerConfig {
    LayerConfig::new(LayerKind::BatchNorm1d, 2, DType::F32)
}

pub fn layer(config: &LayerConfig) -> (ModuleLayer<Toy>, Toy) {
    let toy = Toy::default();
    (ModuleLayer::new(toy.clone(), config), toy)
}

/// The same number in both channels.
pub fn pair(value: f64) -> Tensor {
    Tensor::full(DType::F32, &[2], value)
}

/// 0, 1, 2, … of which a gradient is asked.
pub fn input(shape: &[usize]) -> Input {
    let count: usize = shape.iter().product();
    let tensor = Tensor::from_values(DType::F32, shape, (0..count).map(|i| i as f64));
    Input { tensor, dtype: DType::F32, layout: Layout::Contiguous, requires_grad: true }
}

/// The example input (0, 1), (2, 3) and, for its output, a gradient of ones: those of weight are 2 and 4, of bias 2.
pub fn forward(layer: &mut dyn Layer) {
    layer.forward(&input(&[2, 2]), false).unwrap();
}

/// See [`forward`].
pub fn back(layer: &mut dyn Layer) -> Result<Option<Tensor>, LayerError> {
    layer.backward(&Tensor::full(DType::F32, &[2, 2], 1.0), Layout::Contiguous)
}

/// The first element of the gradients of weight and bias.
pub fn accumulated(layer: &dyn Layer) -> (Option<f64>, Option<f64>) {
    let gradients = layer.gradients().unwrap();
    let first = |gradient: Option<Tensor>| gradient.map(|gradient| gradient.value(0));
    (first(gradients.weight), first(gradients.bias))
}

pub fn set(layer: &mut dyn Layer, setting: &Setting) {
    layer.set(setting).unwrap();
}

pub fn remove(layer: &mut dyn Layer, slot: Slot) {
    set(layer, &Setting::Tensor(slot, None));
}

pub fn class<T: std::fmt::Debug>(result: Result<T, LayerError>) -> ErrorClass {
    result.expect_err("it is refused").class
}

pub fn values(tensor: Option<Tensor>) -> Vec<f64> {
    tensor.expect("there is one").values()
}
