//! The rules of `torch.nn.BatchNorm*d` around a kernel: what has a graph, what has a gradient, and what may be changed
//! in between. Each was tried with PyTorch 2.11.

mod common;

use bn_api::{DType, Entries, ErrorClass, Input, Layer, LayerConfig, Setting, Slot, Tensor};
use common::{accumulated, back, class, config, forward, input, layer, pair, remove, set, values};

fn untrained() -> Input {
    Input { requires_grad: false, ..input(&[2, 2]) }
}

fn freeze(layer: &mut dyn Layer) {
    layer.set_requires_grad(Slot::Weight, false).unwrap();
    layer.set_requires_grad(Slot::Bias, false).unwrap();
}

#[test]
fn a_backward_needs_a_graph() {
    let (mut layer, _) = layer(&config());
    assert_eq!(class(back(&mut layer)), ErrorClass::NoGraph);
    layer.forward(&input(&[2, 2]), true).unwrap();
    assert_eq!(class(back(&mut layer)), ErrorClass::NoGraph);
    forward(&mut layer);
    assert!(back(&mut layer).is_ok());
    layer.forward(&input(&[1, 2]), false).unwrap_err();
    assert_eq!(class(back(&mut layer)), ErrorClass::NoGraph);
}

#[test]
fn gradients_of_parameters_accumulate_since_zero_grad_and_the_inputs_is_each_calls_own() {
    let (mut layer, _) = layer(&LayerConfig { weight: Some(pair(3.0)), ..config() });
    let mut go_back = |fresh: bool| {
        if fresh {
            forward(&mut layer);
        }
        let gradient = back(&mut layer).unwrap().unwrap();
        assert_eq!(gradient.values(), [3.0; 4]);
        accumulated(&layer)
    };
    assert_eq!(go_back(true), (Some(2.0), Some(2.0)));
    assert_eq!(go_back(false), (Some(4.0), Some(4.0)));
    assert_eq!(go_back(true), (Some(6.0), Some(6.0)));
    layer.zero_grad().unwrap();
    assert_eq!(accumulated(&layer), (None, None));
}

#[test]
fn gradient_descent_moves_what_has_a_gradient() {
    let (mut layer, _) = layer(&config());
    layer.sgd(0.5).unwrap();
    assert_eq!(values(layer.state().unwrap().weight), [1.0, 1.0]);
    forward(&mut layer);
    back(&mut layer).unwrap();
    layer.sgd(0.5).unwrap();
    let state = layer.state().unwrap();
    assert_eq!((values(state.weight), values(state.bias)), (vec![0.0, -1.0], vec![-1.0, -1.0]));
}

#[test]
fn a_frozen_parameter_still_goes_down_an_old_gradient() {
    let (mut layer, _) = layer(&config());
    forward(&mut layer);
    back(&mut layer).unwrap();
    freeze(&mut layer);
    layer.sgd(0.5).unwrap();
    assert_eq!(values(layer.state().unwrap().weight), [0.0, -1.0]);
}

#[test]
fn an_output_requires_a_gradient_where_the_input_or_a_parameter_does() {
    let (mut layer, _) = layer(&config());
    let mut requires_grad = |input: &Input, frozen: bool| {
        for slot in [Slot::Weight, Slot::Bias] {
            layer.set_requires_grad(slot, !frozen).unwrap();
        }
        layer.forward(input, false).unwrap().requires_grad
    };
    assert!(requires_grad(&untrained(), false) && requires_grad(&input(&[2, 2]), true));
    assert!(!requires_grad(&untrained(), true));
    assert_eq!(class(back(&mut layer)), ErrorClass::NoGraph);
    assert!(!layer.forward(&input(&[2, 2]), true).unwrap().requires_grad);
}

#[test]
fn only_what_is_asked_for_has_a_gradient() {
    let (mut layer, _) = layer(&config());
    layer.set_requires_grad(Slot::Weight, false).unwrap();
    layer.forward(&untrained(), false).unwrap();
    assert_eq!(back(&mut layer).unwrap(), None);
    assert_eq!(accumulated(&layer), (None, Some(2.0)));
}

#[test]
fn a_gradient_needs_the_parameter_trained_at_the_forward_and_at_the_backward() {
    let (mut layer, _) = layer(&config());
    forward(&mut layer);
    layer.set_requires_grad(Slot::Weight, false).unwrap();
    back(&mut layer).unwrap();
    assert_eq!(accumulated(&layer), (None, Some(2.0)));
    forward(&mut layer);
    layer.set_requires_grad(Slot::Weight, true).unwrap();
    back(&mut layer).unwrap();
    assert_eq!(accumulated(&layer), (None, Some(4.0)));
    forward(&mut layer);
    back(&mut layer).unwrap();
    assert_eq!(accumulated(&layer), (Some(2.0), Some(6.0)));
}

#[test]
fn where_nothing_is_asked_for_any_more_the_kernel_is_not_asked() {
    let (mut layer, toy) = layer(&config());
    layer.forward(&untrained(), false).unwrap();
    freeze(&mut layer);
    assert_eq!(back(&mut layer), Ok(None));
    assert!(toy.went_back.borrow().is_empty());
}

#[test]
fn a_new_parameter_has_no_gradient_and_gets_none_from_the_old_graph() {
    let (mut layer, _) = layer(&LayerConfig { weight: Some(pair(3.0)), ..config() });
    forward(&mut layer);
    back(&mut layer).unwrap();
    set(&mut layer, &Setting::Tensor(Slot::Weight, Some(pair(5.0))));
    assert_eq!(accumulated(&layer), (None, Some(2.0)));
    // The graph goes through the old one.
    assert_eq!(values(back(&mut layer).unwrap()), [3.0; 4]);
    assert_eq!(accumulated(&layer), (None, Some(4.0)));
    forward(&mut layer);
    assert_eq!(values(back(&mut layer).unwrap()), [5.0; 4]);
    assert_eq!(accumulated(&layer), (Some(2.0), Some(6.0)));
}

#[test]
fn a_new_parameter_is_trained_and_a_missing_one_takes_no_part() {
    let (mut layer, _) = layer(&config());
    freeze(&mut layer);
    set(&mut layer, &Setting::Tensor(Slot::Weight, Some(pair(5.0))));
    remove(&mut layer, Slot::Bias);
    layer.forward(&untrained(), false).unwrap();
    back(&mut layer).unwrap();
    assert_eq!(accumulated(&layer), (Some(2.0), None));
    assert!(layer.state().unwrap().bias.is_none());
}

/// Whether a backward still goes after something was done to the layer, whose weight and bias have a gradient.
fn goes_after(training: bool, shape: &[usize], change: impl Fn(&mut dyn Layer)) -> bool {
    let (mut layer, _) = layer(&config());
    layer.set_training(training).unwrap();
    forward(&mut layer);
    back(&mut layer).unwrap();
    layer.forward(&input(shape), false).unwrap();
    change(&mut layer);
    let grad = Tensor::full(DType::F32, shape, 1.0);
    match layer.backward(&grad, bn_api::Layout::Contiguous) {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.class, ErrorClass::GraphChanged, "{error}");
            false
        }
    }
}

fn load(layer: &mut dyn Layer, slot: Slot) {
    let entries: Entries = vec![(slot.name().to_owned(), pair(5.0))];
    layer.load_state(&entries, 2).unwrap();
}

fn replace(layer: &mut dyn Layer, slot: Slot) {
    set(layer, &Setting::Tensor(slot, Some(pair(5.0))));
}

const FULL: [usize; 2] = [2, 2];

#[test]
fn a_graph_is_of_no_use_once_its_weight_or_statistics_were_changed_in_place() {
    for training in [true, false] {
        assert!(!goes_after(training, &FULL, |layer| layer.sgd(0.5).unwrap()));
        assert!(!goes_after(training, &FULL, |layer| layer.reset_running_stats().unwrap()));
        for slot in [Slot::Weight, Slot::RunningMean, Slot::RunningVar] {
            assert!(!goes_after(training, &FULL, |layer| load(layer, slot)), "{slot:?}");
        }
    }
}

#[test]
fn the_bias_is_not_part_of_a_graph_nor_is_a_step_without_a_gradient_a_change() {
    assert!(goes_after(true, &FULL, |layer| load(layer, Slot::Bias)));
    let descend = |layer: &mut dyn Layer| {
        layer.zero_grad().unwrap();
        layer.sgd(0.5).unwrap();
    };
    assert!(goes_after(true, &FULL, descend));
}

#[test]
fn statistics_that_the_forward_did_not_have_may_be_changed() {
    let (mut layer, _) = layer(&config());
    set(&mut layer, &Setting::TrackRunningStats(false));
    forward(&mut layer);
    load(&mut layer, Slot::RunningMean);
    assert!(back(&mut layer).is_ok());
    // The graph of an empty batch has none either, but the weight.
    assert!(goes_after(true, &[0, 2], |layer| layer.reset_running_stats().unwrap()));
    assert!(!goes_after(true, &[0, 2], |layer| load(layer, Slot::Weight)));
}

#[test]
fn a_new_tensor_in_the_place_of_one_leaves_the_graph_alone_whatever_becomes_of_it() {
    for slot in Slot::ALL {
        assert!(goes_after(true, &FULL, |layer| replace(layer, slot)), "{slot:?}");
        let replace_and_load = |layer: &mut dyn Layer| {
            replace(layer, slot);
            load(layer, slot);
        };
        assert!(goes_after(true, &FULL, replace_and_load), "{slot:?}");
    }
    // The other one is still the graph's.
    let replace_and_reset = |slots: &'static [Slot]| {
        move |layer: &mut dyn Layer| {
            for slot in slots {
                replace(layer, *slot);
            }
            layer.reset_running_stats().unwrap();
        }
    };
    assert!(!goes_after(true, &FULL, replace_and_reset(&[Slot::RunningMean])));
    assert!(goes_after(true, &FULL, replace_and_reset(&[Slot::RunningMean, Slot::RunningVar])));
}

#[test]
fn settings_and_the_counter_leave_the_graph_alone_and_so_does_a_later_backward() {
    let settings = [Setting::Eps(1.0), Setting::Momentum(None), Setting::NumBatchesTracked(Some(9))];
    for setting in settings {
        assert!(goes_after(true, &FULL, |layer| set(layer, &setting)));
    }
    assert!(goes_after(true, &FULL, |layer| back(layer).map(|_| ()).unwrap()));
}
