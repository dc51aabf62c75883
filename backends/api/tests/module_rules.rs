//! The rules of `torch.nn.BatchNorm*d` around a kernel, against `torch/nn/modules/batchnorm.py` and
//! `torch/nn/functional.py` of PyTorch 2.11, read line by line. Oracle and reference share these rules, so they
//! are checked here by themselves.

use std::cell::RefCell;
use std::rc::Rc;

use bn_api::{
    DType, ErrorClass, Forward, Gradients, Kernel, Layer, LayerConfig, LayerError, LayerKind, ModuleLayer,
    Setting, Tensor,
};

/// What the kernel was called with.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Call {
    use_batch_stats: bool,
    has_running: bool,
    factor: f64,
}

/// A kernel that only notes how it is called; its gradients are ones.
#[derive(Clone, Default)]
struct Recorder(Rc<RefCell<Vec<Call>>>);

impl Kernel for Recorder {
    type Saved = ();

    fn forward(&self, call: Forward<'_>) -> Result<(Tensor, ()), LayerError> {
        self.0.borrow_mut().push(Call {
            use_batch_stats: call.use_batch_stats,
            has_running: call.running.is_some(),
            factor: call.factor,
        });
        Ok((call.input.clone(), ()))
    }

    fn backward(&self, (): &(), grad_output: &Tensor) -> Result<Gradients, LayerError> {
        let ones =
            |shape: &[usize]| Tensor::from_values(DType::F32, shape, vec![1.0; shape.iter().product()]);
        Ok(Gradients { input: ones(grad_output.shape()), weight: Some(ones(&[2])), bias: Some(ones(&[2])) })
    }
}

fn config() -> LayerConfig {
    LayerConfig {
        kind: LayerKind::BatchNorm1d,
        features: 2,
        eps: 1e-5,
        momentum: Some(0.1),
        affine: true,
        track_running_stats: true,
        input_dtype: DType::F32,
        dtype: DType::F32,
        weight: None,
        bias: None,
        running_mean: None,
        running_var: None,
        num_batches_tracked: None,
    }
}

fn layer(config: &LayerConfig) -> (ModuleLayer<Recorder>, Recorder) {
    let recorder = Recorder::default();
    (ModuleLayer::new(recorder.clone(), config), recorder)
}

fn input(shape: &[usize]) -> Tensor {
    Tensor::from_values(DType::F32, shape, (0..shape.iter().product()).map(|i: usize| i as f64))
}

fn class(result: Result<Tensor, LayerError>) -> ErrorClass {
    result.expect_err("the input is refused").class
}

#[test]
fn a_new_layer_is_as_pytorch_makes_it() {
    let (layer, _) = layer(&config());
    let state = layer.state().unwrap();
    let values = |tensor: Option<Tensor>| tensor.unwrap().values();
    assert_eq!(values(state.weight), [1.0, 1.0]);
    assert_eq!(values(state.bias), [0.0, 0.0]);
    assert_eq!(values(state.running_mean), [0.0, 0.0]);
    assert_eq!(values(state.running_var), [1.0, 1.0]);
    assert_eq!(state.num_batches_tracked, Some(0));
}

#[test]
fn a_layer_without_affine_or_statistics_has_none() {
    let (layer, _) = layer(&LayerConfig { affine: false, track_running_stats: false, ..config() });
    let state = layer.state().unwrap();
    assert!(state.weight.is_none() && state.bias.is_none());
    assert!(state.running_mean.is_none() && state.running_var.is_none());
    assert_eq!(state.num_batches_tracked, None);
}

#[test]
fn momentum_null_weighs_by_the_counter_after_it_has_moved() {
    let (mut layer, calls) = layer(&LayerConfig { momentum: None, ..config() });
    for _ in 0..3 {
        layer.forward(&input(&[4, 2]), false).unwrap();
    }
    let factors: Vec<f64> = calls.0.borrow().iter().map(|call| call.factor).collect();
    assert_eq!(factors, [1.0, 0.5, 1.0 / 3.0]);
}

#[test]
fn evaluation_uses_the_running_statistics_and_leaves_the_counter() {
    let (mut layer, calls) = layer(&config());
    layer.set_training(false).unwrap();
    layer.forward(&input(&[4, 2]), false).unwrap();
    assert!(!calls.0.borrow()[0].use_batch_stats);
    assert_eq!(layer.state().unwrap().num_batches_tracked, Some(0));
}

#[test]
fn without_running_statistics_evaluation_uses_the_batch() {
    let (mut layer, calls) = layer(&LayerConfig { track_running_stats: false, ..config() });
    layer.set_training(false).unwrap();
    layer.forward(&input(&[4, 2]), false).unwrap();
    assert_eq!(calls.0.borrow()[0], Call { use_batch_stats: true, has_running: false, factor: 0.1 });
    // One value per channel is refused wherever the batch's statistics are used.
    assert_eq!(class(layer.forward(&input(&[1, 2]), false)), ErrorClass::OneValuePerChannel);
}

#[test]
fn a_refused_batch_has_been_counted() {
    let (mut layer, calls) = layer(&config());
    assert_eq!(class(layer.forward(&input(&[1, 2]), false)), ErrorClass::OneValuePerChannel);
    assert_eq!(class(layer.forward(&input(&[1, 2, 1]), false)), ErrorClass::OneValuePerChannel);
    assert_eq!(layer.state().unwrap().num_batches_tracked, Some(2));
    assert!(calls.0.borrow().is_empty());
}

#[test]
fn a_wrong_rank_is_refused_before_anything_is_counted() {
    let (mut layer, _) = layer(&config());
    assert_eq!(class(layer.forward(&input(&[4, 2, 1, 1]), false)), ErrorClass::WrongRank);
    assert_eq!(layer.state().unwrap().num_batches_tracked, Some(0));
}

#[test]
fn one_value_per_channel_is_fine_in_evaluation() {
    let (mut layer, _) = layer(&config());
    layer.set_training(false).unwrap();
    assert!(layer.forward(&input(&[1, 2]), false).is_ok());
}

#[test]
fn eps_must_be_positive_in_either_mode() {
    for eps in [0.0, -1e-5] {
        let (mut layer, _) = layer(&LayerConfig { eps, ..config() });
        assert_eq!(class(layer.forward(&input(&[4, 2]), false)), ErrorClass::EpsNotPositive);
        layer.set_training(false).unwrap();
        assert_eq!(class(layer.forward(&input(&[4, 2]), false)), ErrorClass::EpsNotPositive);
    }
}

#[test]
fn a_backward_needs_a_graph() {
    let (mut layer, _) = layer(&config());
    let grad = input(&[4, 2]);
    assert_eq!(layer.backward(&grad).unwrap_err().class, ErrorClass::NoGraph);
    layer.forward(&input(&[4, 2]), true).unwrap();
    assert_eq!(layer.backward(&grad).unwrap_err().class, ErrorClass::NoGraph);
    layer.forward(&input(&[4, 2]), false).unwrap();
    assert!(layer.backward(&grad).is_ok());
}

#[test]
fn gradients_accumulate_the_inputs_since_its_forward_the_parameters_since_zero_grad() {
    let (mut layer, _) = layer(&config());
    let grad = input(&[4, 2]);
    let first = |gradients: &Gradients| {
        let weight = gradients.weight.as_ref().unwrap().value(0);
        (gradients.input.value(0), weight)
    };
    layer.forward(&input(&[4, 2]), false).unwrap();
    assert_eq!(first(&layer.backward(&grad).unwrap()), (1.0, 1.0));
    assert_eq!(first(&layer.backward(&grad).unwrap()), (2.0, 2.0));
    layer.forward(&input(&[4, 2]), false).unwrap();
    assert_eq!(first(&layer.backward(&grad).unwrap()), (1.0, 3.0));
    layer.zero_grad().unwrap();
    assert_eq!(first(&layer.backward(&grad).unwrap()), (2.0, 1.0));
}

#[test]
fn gradient_descent_moves_what_has_a_gradient() {
    let (mut layer, _) = layer(&config());
    layer.sgd(0.5).unwrap();
    assert_eq!(layer.state().unwrap().weight.unwrap().values(), [1.0, 1.0]);
    layer.forward(&input(&[4, 2]), false).unwrap();
    layer.backward(&input(&[4, 2])).unwrap();
    layer.sgd(0.5).unwrap();
    let state = layer.state().unwrap();
    assert_eq!(state.weight.unwrap().values(), [0.5, 0.5]);
    assert_eq!(state.bias.unwrap().values(), [-0.5, -0.5]);
}

#[test]
fn a_reset_brings_back_the_new_layers_statistics() {
    let given = |value| Some(Tensor::from_values(DType::F32, &[2], [value, value]));
    let config = LayerConfig {
        running_mean: given(3.0),
        running_var: given(4.0),
        num_batches_tracked: Some(7),
        ..config()
    };
    let (mut layer, _) = layer(&config);
    layer.reset_running_stats().unwrap();
    let state = layer.state().unwrap();
    assert_eq!(state.running_mean.unwrap().values(), [0.0, 0.0]);
    assert_eq!(state.running_var.unwrap().values(), [1.0, 1.0]);
    assert_eq!(state.num_batches_tracked, Some(0));
}

#[test]
fn tracking_switched_off_keeps_the_buffers_for_evaluation_and_counts_nothing() {
    let (mut layer, calls) = layer(&config());
    layer.set(Setting::TrackRunningStats(false)).unwrap();
    layer.forward(&input(&[4, 2]), false).unwrap();
    layer.set_training(false).unwrap();
    layer.forward(&input(&[4, 2]), false).unwrap();
    let calls = calls.0.borrow();
    assert!(calls[0].use_batch_stats && !calls[0].has_running);
    assert!(!calls[1].use_batch_stats && calls[1].has_running);
    assert_eq!(layer.state().unwrap().num_batches_tracked, Some(0));
}

#[test]
fn tracking_switched_on_makes_no_buffers() {
    let (mut layer, calls) = layer(&LayerConfig { track_running_stats: false, ..config() });
    layer.set(Setting::TrackRunningStats(true)).unwrap();
    layer.forward(&input(&[4, 2]), false).unwrap();
    assert!(!calls.0.borrow()[0].has_running);
    assert_eq!(layer.state().unwrap().num_batches_tracked, None);
}

#[test]
fn a_momentum_set_later_weighs_from_the_next_batch_on() {
    let (mut layer, calls) = layer(&config());
    layer.forward(&input(&[4, 2]), false).unwrap();
    layer.set(Setting::Momentum(None)).unwrap();
    layer.forward(&input(&[4, 2]), false).unwrap();
    let factors: Vec<f64> = calls.0.borrow().iter().map(|call| call.factor).collect();
    assert_eq!(factors, [0.1, 0.5]);
}

#[test]
fn sizes_are_checked_only_where_there_is_something_of_that_size() {
    let (mut plain, _) = layer(&LayerConfig { affine: false, track_running_stats: false, ..config() });
    assert!(plain.forward(&input(&[4, 3]), false).is_ok());
    let (mut sized, _) = layer(&config());
    assert_eq!(class(sized.forward(&input(&[4, 3]), false)), ErrorClass::WrongFeatures);
    assert!(sized.forward(&input(&[0, 3]), false).is_ok(), "an empty batch is not looked at");
}

#[test]
fn a_full_counter_wraps_as_an_int64_tensor_does() {
    let (mut layer, _) = layer(&LayerConfig { num_batches_tracked: Some(i64::MAX), ..config() });
    layer.forward(&input(&[4, 2]), false).unwrap();
    assert_eq!(layer.state().unwrap().num_batches_tracked, Some(i64::MIN));
}
