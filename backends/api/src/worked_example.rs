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

use bn_cases::case::{Frozen, Part, Reach, Slot};
use bn_cases::{DType, ErrorClass, Tensor};

use crate::{
    Action, Backend, Gradients, Input, Layer, LayerConfig, LayerError, LayerKind, Layout, Request, Setting,
};

const X: [f64; 4] = [1.0, 10.0, 3.0, 12.0];
const DY: [f64; 4] = [1.0, 0.0, 0.0, 1.0];

fn matrix(dtype: DType, values: [f64; 4]) -> Tensor {
    Tensor::from_values(dtype, &[2, 2], values)
}

fn vector(dtype: DType, values: [f64; 2]) -> Tensor {
    Tensor::from_values(dtype, &[2], values)
}

/// The layer of the example, of this type; momentum 1/2.
pub fn config(dtype: DType) -> LayerConfig {
    LayerConfig {
        eps: 3.0,
        momentum: Some(0.5),
        weight: Some(vector(dtype, [2.0, 4.0])),
        bias: Some(vector(dtype, [1.0, -1.0])),
        ..LayerConfig::new(LayerKind::BatchNorm1d, 2, dtype)
    }
}

/// The input of the example.
pub fn input(dtype: DType) -> Input {
    Input { tensor: matrix(dtype, X), dtype, layout: Layout::Contiguous, requires_grad: true }
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
        input: Some(matrix(input_dtype, [0.375, -0.75, -0.375, 0.75].map(|value| times * value))),
        weight: Some(vector(dtype, [-0.5, 0.5].map(|value| times * value))),
        bias: Some(vector(dtype, [1.0, 1.0].map(|value| times * value))),
    }
}

/// A backward of the example's gradient: that of the input for this call, and what parameters have accumulated.
///
/// # Errors
/// What the layer raises.
pub fn go_back(layer: &mut dyn Layer, dtype: DType) -> Result<Gradients, LayerError> {
    let input = layer.backward(&grad_output(dtype), Layout::Contiguous)?;
    let parameters = layer.gradients()?;
    Ok(Gradients { input, weight: parameters.weight, bias: parameters.bias })
}

/// Two training steps: output, gradients and statistics.
pub fn check_training(backend: &dyn Backend, input_dtype: DType, dtype: DType) {
    let mut layer = backend.create(&config(dtype)).unwrap();
    assert_eq!(running(&*layer), (vec![0.0, 0.0], vec![1.0, 1.0]));
    let output = layer.forward(&input(input_dtype), false).unwrap().tensor;
    assert_eq!(output, matrix(input_dtype, [0.0, -3.0, 2.0, 1.0]));
    assert_eq!(running(&*layer), (vec![1.0, 5.5], vec![1.5, 1.5]));
    assert_eq!(go_back(layer.as_mut(), input_dtype).unwrap(), gradients(input_dtype, dtype, 1.0));
    layer.forward(&input(input_dtype), false).unwrap();
    assert_eq!(running(&*layer), (vec![1.5, 8.25], vec![1.75, 1.75]));
}

/// Evaluation with running mean (1, 2) and variance (1, 1), so that x^ = (0, 4), (1, 5).
pub fn check_evaluation(backend: &dyn Backend, input_dtype: DType, dtype: DType) {
    let mut config = config(dtype);
    config.running_mean = Some(vector(dtype, [1.0, 2.0]));
    config.running_var = Some(vector(dtype, [1.0, 1.0]));
    let mut layer = backend.create(&config).unwrap();
    layer.set_training(false).unwrap();
    let output = layer.forward(&input(input_dtype), false).unwrap().tensor;
    assert_eq!(output, matrix(input_dtype, [1.0, 15.0, 3.0, 19.0]));
    let expected = Gradients {
        input: Some(matrix(input_dtype, [1.0, 0.0, 0.0, 2.0])),
        weight: Some(vector(dtype, [0.0, 5.0])),
        bias: Some(vector(dtype, [1.0, 1.0])),
    };
    assert_eq!(go_back(layer.as_mut(), input_dtype).unwrap(), expected);
    assert_eq!(running(&*layer), (vec![1.0, 2.0], vec![1.0, 1.0]));
}

/// Two layers made from one configuration: what happens to one does not show in the other.
pub fn check_layers_are_apart(backend: &dyn Backend) {
    let dtype = DType::F32;
    let config = config(dtype);
    let (mut one, mut other) = (backend.create(&config).unwrap(), backend.create(&config).unwrap());
    one.forward(&input(dtype), false).unwrap();
    go_back(one.as_mut(), dtype).unwrap();
    one.sgd(1.0).unwrap();
    assert_eq!(running(&*other), (vec![0.0, 0.0], vec![1.0, 1.0]));
    assert_eq!(other.state().unwrap().weight, config.weight);
    other.forward(&input(dtype), false).unwrap();
    assert_eq!(go_back(other.as_mut(), dtype).unwrap(), gradients(dtype, dtype, 1.0));
}

/// Gradients of the parameters accumulate over backwards until they are zeroed, through one forward or several; those
/// of the input are each call's own. A step of SGD goes along them, and the next forward sees it.
pub fn check_accumulation(backend: &dyn Backend) {
    let dtype = DType::F32;
    let mut layer = backend.create(&config(dtype)).unwrap();
    layer.forward(&input(dtype), false).unwrap();
    go_back(layer.as_mut(), dtype).unwrap();
    let accumulated =
        |times| Gradients { input: gradients(dtype, dtype, 1.0).input, ..gradients(dtype, dtype, times) };
    assert_eq!(go_back(layer.as_mut(), dtype).unwrap(), accumulated(2.0));
    layer.forward(&input(dtype), false).unwrap();
    assert_eq!(go_back(layer.as_mut(), dtype).unwrap(), accumulated(3.0));
    layer.zero_grad().unwrap();
    layer.sgd(1.0).unwrap();
    assert_eq!(layer.state().unwrap().weight, Some(vector(dtype, [2.0, 4.0])));

    layer.forward(&input(dtype), false).unwrap();
    assert_eq!(go_back(layer.as_mut(), dtype).unwrap(), gradients(dtype, dtype, 1.0));
    go_back(layer.as_mut(), dtype).unwrap();
    layer.sgd(0.5).unwrap();
    let state = layer.state().unwrap();
    assert_eq!(state.weight, Some(vector(dtype, [2.5, 3.5])));
    assert_eq!(state.bias, Some(vector(dtype, [0.0, -2.0])));
    // w x^ + b with these.
    let output = layer.forward(&input(dtype), false).unwrap().tensor;
    assert_eq!(output, matrix(dtype, [-1.25, -3.75, 1.25, -0.25]));
}

/// A forward without a graph moves the statistics and cannot be gone back through.
pub fn check_no_grad(backend: &dyn Backend) {
    let dtype = DType::F32;
    let mut layer = backend.create(&config(dtype)).unwrap();
    let before = go_back(layer.as_mut(), dtype).unwrap_err();
    assert_eq!(before.class, ErrorClass::NoGraph);
    layer.forward(&input(dtype), false).unwrap();
    let output = layer.forward(&input(dtype), true).unwrap().tensor;
    assert_eq!(output, matrix(dtype, [0.0, -3.0, 2.0, 1.0]));
    assert_eq!(running(&*layer), (vec![1.5, 8.25], vec![1.75, 1.75]));
    assert_eq!(go_back(layer.as_mut(), dtype).unwrap_err().class, ErrorClass::NoGraph);
    layer.forward(&input(dtype), false).unwrap();
    assert_eq!(go_back(layer.as_mut(), dtype).unwrap(), gradients(dtype, dtype, 1.0));
}

/// What the backend lacks is refused with its reason, and nothing else is.
pub fn check_lacks(backend: &dyn Backend) {
    let plain = config(DType::F32);
    let all = String::new;
    let ask = |layer: LayerConfig, actions: Vec<Action>| {
        backend.unsupported(&Request { case: String::new(), layers: vec![layer], actions })
    };
    let forward = |input| Action::Forward { at: all(), input, no_grad: false };
    let lacks = backend.lacks();
    assert_eq!(ask(plain.clone(), vec![Action::Eval { at: all() }, forward(input(DType::F32))]), None);
    let cumulative = LayerConfig { momentum: None, ..plain.clone() };
    assert_eq!(ask(cumulative, vec![]).as_deref(), lacks.cumulative_average);
    let untracked = LayerConfig { track_running_stats: false, ..plain.clone() };
    assert_eq!(ask(untracked, vec![]).as_deref(), lacks.untracked);
    let mixed = LayerConfig { statistics_dtype: DType::F64, ..plain.clone() };
    assert_eq!(ask(mixed, vec![]).as_deref(), lacks.mixed_layer);
    let integers = Input { dtype: DType::I64, ..input(DType::F32) };
    let sliced = Input { layout: Layout::Sliced, ..input(DType::F32) };
    let set = |setting| Action::Set { at: all(), settings: vec![setting] };
    let affine = Frozen::Affine;
    let steps = [
        (Action::ResetRunningStats { at: all() }, lacks.reset),
        (set(Setting::Eps(1.0)), lacks.settings),
        (set(Setting::Tensor(Slot::RunningMean, None)), lacks.new_tensors),
        (Action::RequiresGrad { at: all(), weight: Some(false), bias: None }, lacks.requires_grad),
        (Action::Freeze { at: all(), what: affine, reach: Reach::All, sticky: false }, lacks.requires_grad),
        (Action::Cast { at: all(), to: DType::F64, what: Part::Layer }, lacks.cast),
        (Action::SaveState { at: all(), name: "it".to_owned() }, lacks.state_dict),
        (forward(integers), lacks.integers),
        (forward(sliced), lacks.layouts),
    ];
    for (step, reason) in steps {
        let name = step.name();
        assert_eq!(ask(plain.clone(), vec![step]).as_deref(), reason, "{name}");
    }
}
