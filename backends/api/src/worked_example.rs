//! One batch norm worked out by hand, and checks of a backend against it: the first test of a new backend, before
//! any case is run. All numbers are exact in every floating-point type. A check panics, as a test does, where the
//! backend answers something else.
//!
//! Two channels, two samples, eps 3, weight (2, 4), bias (1, -1):
//!
//! ```text
//! x = 1 10    mean 2 11, variance 1 1 (of the sample: 2 2), standard deviation sqrt(1 + 3) = 2
//!     3 12    x^ = (x - mean) / 2 = -1/2 -1/2    y = w x^ + b = 0 -3
//!                                    1/2  1/2                   2  1
//! dy = 1 0    db = 1 1,  dw = sum x^ dy = -1/2 1/2
//!      0 1    dx = w / 2 · (dy - db / 2 - x^ dw / 2) =  3/8 -3/4
//!                                                     -3/8  3/4
//! ```

#![allow(clippy::missing_panics_doc, reason = "the module says so once for all its checks")]

use bn_cases::{DType, ErrorClass, Tensor};

use crate::{Action, Backend, Gradients, Layer, LayerConfig, LayerKind, Request, Setting};

const X: [f64; 4] = [1.0, 10.0, 3.0, 12.0];
const DY: [f64; 4] = [1.0, 0.0, 0.0, 1.0];

fn matrix(dtype: DType, values: [f64; 4]) -> Tensor {
    Tensor::from_values(dtype, &[2, 2], values)
}

fn vector(dtype: DType, values: [f64; 2]) -> Tensor {
    Tensor::from_values(dtype, &[2], values)
}

/// The layer of the example, with inputs of `input_dtype` and all else of `dtype`; momentum 1/2.
pub fn config(input_dtype: DType, dtype: DType) -> LayerConfig {
    LayerConfig {
        kind: LayerKind::BatchNorm1d,
        features: 2,
        eps: 3.0,
        momentum: Some(0.5),
        affine: true,
        track_running_stats: true,
        input_dtype,
        dtype,
        weight: Some(vector(dtype, [2.0, 4.0])),
        bias: Some(vector(dtype, [1.0, -1.0])),
        running_mean: None,
        running_var: None,
        num_batches_tracked: None,
    }
}

/// The input of the example.
pub fn input(dtype: DType) -> Tensor {
    matrix(dtype, X)
}

/// The gradient of the output.
pub fn grad_output(dtype: DType) -> Tensor {
    matrix(dtype, DY)
}

/// The layer's running statistics.
pub fn running(layer: &dyn Layer) -> (Vec<f64>, Vec<f64>) {
    let state = layer.state().unwrap();
    (state.running_mean.unwrap().values(), state.running_var.unwrap().values())
}

fn gradients(input_dtype: DType, dtype: DType, times: f64) -> Gradients {
    Gradients {
        input: matrix(input_dtype, [0.375, -0.75, -0.375, 0.75].map(|value| times * value)),
        weight: Some(vector(dtype, [-0.5, 0.5].map(|value| times * value))),
        bias: Some(vector(dtype, [1.0, 1.0].map(|value| times * value))),
    }
}

/// Two training steps: output, gradients and statistics.
pub fn check_training(backend: &dyn Backend, input_dtype: DType, dtype: DType) {
    let mut layer = backend.create(&config(input_dtype, dtype)).unwrap();
    assert_eq!(running(&*layer), (vec![0.0, 0.0], vec![1.0, 1.0]));
    let output = layer.forward(&input(input_dtype), false).unwrap();
    assert_eq!(output, matrix(input_dtype, [0.0, -3.0, 2.0, 1.0]));
    assert_eq!(running(&*layer), (vec![1.0, 5.5], vec![1.5, 1.5]));
    assert_eq!(layer.backward(&grad_output(input_dtype)).unwrap(), gradients(input_dtype, dtype, 1.0));
    layer.forward(&input(input_dtype), false).unwrap();
    assert_eq!(running(&*layer), (vec![1.5, 8.25], vec![1.75, 1.75]));
}

/// Evaluation with running mean (1, 2) and variance (1, 1), so that x^ = (0, 4), (1, 5).
pub fn check_evaluation(backend: &dyn Backend, input_dtype: DType, dtype: DType) {
    let mut config = config(input_dtype, dtype);
    config.running_mean = Some(vector(dtype, [1.0, 2.0]));
    config.running_var = Some(vector(dtype, [1.0, 1.0]));
    let mut layer = backend.create(&config).unwrap();
    layer.set_training(false).unwrap();
    let output = layer.forward(&input(input_dtype), false).unwrap();
    assert_eq!(output, matrix(input_dtype, [1.0, 15.0, 3.0, 19.0]));
    let expected = Gradients {
        input: matrix(input_dtype, [1.0, 0.0, 0.0, 2.0]),
        weight: Some(vector(dtype, [0.0, 5.0])),
        bias: Some(vector(dtype, [1.0, 1.0])),
    };
    assert_eq!(layer.backward(&grad_output(input_dtype)).unwrap(), expected);
    assert_eq!(running(&*layer), (vec![1.0, 2.0], vec![1.0, 1.0]));
}

/// Two layers made from one configuration: what happens to one does not show in the other.
pub fn check_layers_are_apart(backend: &dyn Backend) {
    let dtype = DType::F32;
    let config = config(dtype, dtype);
    let (mut one, mut other) = (backend.create(&config).unwrap(), backend.create(&config).unwrap());
    one.forward(&input(dtype), false).unwrap();
    one.backward(&grad_output(dtype)).unwrap();
    one.sgd(1.0).unwrap();
    assert_eq!(running(&*other), (vec![0.0, 0.0], vec![1.0, 1.0]));
    assert_eq!(other.state().unwrap().weight, config.weight);
    other.forward(&input(dtype), false).unwrap();
    assert_eq!(other.backward(&grad_output(dtype)).unwrap(), gradients(dtype, dtype, 1.0));
}

/// Gradients accumulate over backwards, the input's until the next forward, the parameters' until they are
/// zeroed; a step of SGD goes along them, and the next forward sees it.
pub fn check_accumulation(backend: &dyn Backend) {
    let dtype = DType::F32;
    let mut layer = backend.create(&config(dtype, dtype)).unwrap();
    layer.forward(&input(dtype), false).unwrap();
    layer.backward(&grad_output(dtype)).unwrap();
    assert_eq!(layer.backward(&grad_output(dtype)).unwrap(), gradients(dtype, dtype, 2.0));
    layer.forward(&input(dtype), false).unwrap();
    let third = layer.backward(&grad_output(dtype)).unwrap();
    assert_eq!(third.input, gradients(dtype, dtype, 1.0).input);
    assert_eq!(third.weight, gradients(dtype, dtype, 3.0).weight);
    layer.zero_grad().unwrap();
    layer.sgd(1.0).unwrap();
    assert_eq!(layer.state().unwrap().weight, Some(vector(dtype, [2.0, 4.0])));

    layer.forward(&input(dtype), false).unwrap();
    assert_eq!(layer.backward(&grad_output(dtype)).unwrap(), gradients(dtype, dtype, 1.0));
    layer.backward(&grad_output(dtype)).unwrap();
    layer.sgd(0.5).unwrap();
    let state = layer.state().unwrap();
    assert_eq!(state.weight, Some(vector(dtype, [2.5, 3.5])));
    assert_eq!(state.bias, Some(vector(dtype, [0.0, -2.0])));
    // w x^ + b with these.
    let output = layer.forward(&input(dtype), false).unwrap();
    assert_eq!(output, matrix(dtype, [-1.25, -3.75, 1.25, -0.25]));
}

/// A forward without a graph moves the statistics and cannot be gone back through.
pub fn check_no_grad(backend: &dyn Backend) {
    let dtype = DType::F32;
    let mut layer = backend.create(&config(dtype, dtype)).unwrap();
    let before = layer.backward(&grad_output(dtype)).unwrap_err();
    assert_eq!(before.class, ErrorClass::NoGraph);
    layer.forward(&input(dtype), false).unwrap();
    let output = layer.forward(&input(dtype), true).unwrap();
    assert_eq!(output, matrix(dtype, [0.0, -3.0, 2.0, 1.0]));
    assert_eq!(running(&*layer), (vec![1.5, 8.25], vec![1.75, 1.75]));
    assert_eq!(layer.backward(&grad_output(dtype)).unwrap_err().class, ErrorClass::NoGraph);
    layer.forward(&input(dtype), false).unwrap();
    assert_eq!(layer.backward(&grad_output(dtype)).unwrap(), gradients(dtype, dtype, 1.0));
}

/// What the backend lacks is refused with its reason, and nothing else is.
pub fn check_lacks(backend: &dyn Backend) {
    let plain = config(DType::F32, DType::F32);
    let ask = |layer: LayerConfig, actions: Vec<Action>| {
        backend.unsupported(&Request { case: String::new(), layer, actions })
    };
    let lacks = backend.lacks();
    assert_eq!(ask(plain.clone(), vec![Action::Eval]), None);
    let cumulative = LayerConfig { momentum: None, ..plain.clone() };
    assert_eq!(ask(cumulative, vec![]).as_deref(), lacks.cumulative_average);
    let untracked = LayerConfig { track_running_stats: false, ..plain.clone() };
    assert_eq!(ask(untracked, vec![]).as_deref(), lacks.untracked);
    assert_eq!(ask(plain.clone(), vec![Action::ResetRunningStats]).as_deref(), lacks.reset);
    let set = Action::Set(vec![Setting::Eps(1.0)]);
    assert_eq!(ask(plain, vec![set]).as_deref(), lacks.settings);
}
