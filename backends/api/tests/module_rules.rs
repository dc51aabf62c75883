//! The rules of `torch.nn.BatchNorm*d` around a kernel, against `torch/nn/modules/batchnorm.py` and
//! `torch/nn/functional.py` of PyTorch 2.11, read line by line. Oracle and reference share these rules, so they
//! are checked here by themselves. This part: modes, counter, averaging factor, checks, buffers.

mod common;

use bn_api::{DType, ErrorClass, Input, Layer, LayerConfig, Layout, Setting, Slot, Tensor};
use common::{class, config, input, layer, pair, remove, set, values};

#[test]
fn a_new_layer_is_as_pytorch_makes_it() {
    let (layer, _) = layer(&config());
    let state = layer.state().unwrap();
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
    let (mut layer, toy) = layer(&LayerConfig { momentum: None, ..config() });
    for _ in 0..3 {
        layer.forward(&input(&[4, 2]), false).unwrap();
    }
    let factors: Vec<f64> = toy.calls.borrow().iter().map(|call| call.factor).collect();
    assert_eq!(factors, [1.0, 0.5, 1.0 / 3.0]);
}

#[test]
fn evaluation_uses_the_running_statistics_and_leaves_them_and_the_counter() {
    let (mut layer, toy) = layer(&config());
    layer.set_training(false).unwrap();
    layer.forward(&input(&[4, 2]), false).unwrap();
    let calls = toy.calls.borrow();
    assert!(!calls[0].use_batch_stats && calls[0].has_running);
    let state = layer.state().unwrap();
    assert_eq!((values(state.running_mean), state.num_batches_tracked), (vec![0.0, 0.0], Some(0)));
}

#[test]
fn what_the_kernel_made_of_the_statistics_is_the_layers() {
    let (mut layer, _) = layer(&config());
    layer.forward(&input(&[4, 2]), true).unwrap();
    let state = layer.state().unwrap();
    assert_eq!((values(state.running_mean), values(state.running_var)), (vec![1.0, 1.0], vec![2.0, 2.0]));
}

#[test]
fn the_kernel_is_told_how_the_input_lies_in_memory() {
    let (mut layer, toy) = layer(&config());
    layer.forward(&Input { layout: Layout::Sliced, ..input(&[4, 2]) }, false).unwrap();
    layer.backward(&input(&[4, 2]).tensor, Layout::Permuted).unwrap();
    assert_eq!(
        (toy.calls.borrow()[0].layout, &toy.went_back.borrow()[..]),
        (Layout::Sliced, &[Layout::Permuted][..])
    );
}

#[test]
fn without_running_statistics_evaluation_uses_the_batch() {
    let (mut layer, toy) = layer(&LayerConfig { track_running_stats: false, ..config() });
    layer.set_training(false).unwrap();
    layer.forward(&input(&[4, 2]), false).unwrap();
    let call = toy.calls.borrow()[0].clone();
    assert_eq!((call.use_batch_stats, call.has_running, call.factor), (true, false, 0.1));
    // One value per channel is refused wherever the batch's statistics are used.
    assert_eq!(class(layer.forward(&input(&[1, 2]), false)), ErrorClass::OneValuePerChannel);
}

#[test]
fn a_refused_batch_has_been_counted() {
    let (mut layer, toy) = layer(&config());
    assert_eq!(class(layer.forward(&input(&[1, 2]), false)), ErrorClass::OneValuePerChannel);
    assert_eq!(class(layer.forward(&input(&[1, 2, 1]), false)), ErrorClass::OneValuePerChannel);
    assert_eq!(class(layer.forward(&input(&[4, 3]), false)), ErrorClass::WrongFeatures);
    assert_eq!(layer.state().unwrap().num_batches_tracked, Some(3));
    assert!(toy.calls.borrow().is_empty());
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
        // One value per channel comes before it.
        layer.set_training(true).unwrap();
        assert_eq!(class(layer.forward(&input(&[1, 2]), false)), ErrorClass::OneValuePerChannel);
    }
}

#[test]
fn tracking_switched_off_keeps_the_buffers_for_evaluation_and_counts_nothing() {
    let (mut layer, toy) = layer(&config());
    set(&mut layer, &Setting::TrackRunningStats(false));
    layer.forward(&input(&[4, 2]), false).unwrap();
    layer.set_training(false).unwrap();
    layer.forward(&input(&[4, 2]), false).unwrap();
    let calls = toy.calls.borrow();
    assert!(calls[0].use_batch_stats && !calls[0].has_running);
    assert!(!calls[1].use_batch_stats && calls[1].has_running);
    assert_eq!(layer.state().unwrap().num_batches_tracked, Some(0));
}

#[test]
fn tracking_switched_on_makes_no_buffers() {
    let (mut layer, toy) = layer(&LayerConfig { track_running_stats: false, ..config() });
    set(&mut layer, &Setting::TrackRunningStats(true));
    layer.forward(&input(&[4, 2]), false).unwrap();
    assert!(!toy.calls.borrow()[0].has_running);
    assert_eq!(layer.state().unwrap().num_batches_tracked, None);
}

#[test]
fn a_momentum_set_later_weighs_from_the_next_batch_on() {
    let (mut layer, toy) = layer(&config());
    layer.forward(&input(&[4, 2]), false).unwrap();
    set(&mut layer, &Setting::Momentum(None));
    layer.forward(&input(&[4, 2]), false).unwrap();
    let factors: Vec<f64> = toy.calls.borrow().iter().map(|call| call.factor).collect();
    assert_eq!(factors, [0.1, 0.5]);
}

#[test]
fn without_a_counter_nothing_is_counted_and_the_cumulative_average_gives_a_batch_no_weight() {
    let (mut layer, toy) = layer(&LayerConfig { momentum: None, ..config() });
    set(&mut layer, &Setting::NumBatchesTracked(None));
    layer.forward(&input(&[4, 2]), false).unwrap();
    let call = toy.calls.borrow()[0].clone();
    assert_eq!((call.factor, call.has_running), (0.0, true));
    assert_eq!(layer.state().unwrap().num_batches_tracked, None);
    set(&mut layer, &Setting::NumBatchesTracked(Some(3)));
    layer.forward(&input(&[4, 2]), false).unwrap();
    assert_eq!((toy.calls.borrow()[1].factor, layer.state().unwrap().num_batches_tracked), (0.25, Some(4)));
}

#[test]
fn one_buffer_without_the_other_is_refused_in_either_mode_after_it_was_counted() {
    for slot in [Slot::RunningMean, Slot::RunningVar] {
        let (mut layer, toy) = layer(&config());
        remove(&mut layer, slot);
        assert_eq!(class(layer.forward(&input(&[4, 2]), false)), ErrorClass::MissingBuffer);
        layer.set_training(false).unwrap();
        let error = layer.forward(&input(&[4, 2]), false).unwrap_err();
        assert_eq!(error.class, ErrorClass::MissingBuffer);
        assert_eq!(error.message, format!("{} must be defined in evaluation mode", slot.name()));
        assert!(toy.calls.borrow().is_empty());
        assert_eq!(layer.state().unwrap().num_batches_tracked, Some(1));
    }
}

#[test]
fn with_tracking_off_a_missing_buffer_is_missed_in_evaluation_only() {
    let (mut layer, toy) = layer(&config());
    remove(&mut layer, Slot::RunningVar);
    set(&mut layer, &Setting::TrackRunningStats(false));
    layer.forward(&input(&[4, 2]), false).unwrap();
    assert!(!toy.calls.borrow()[0].has_running);
    layer.set_training(false).unwrap();
    assert_eq!(class(layer.forward(&input(&[4, 2]), false)), ErrorClass::MissingBuffer);
}

#[test]
fn without_both_buffers_there_are_only_the_batchs_statistics_and_training_still_counts() {
    let (mut layer, toy) = layer(&config());
    remove(&mut layer, Slot::RunningMean);
    remove(&mut layer, Slot::RunningVar);
    layer.forward(&input(&[4, 2]), false).unwrap();
    layer.set_training(false).unwrap();
    layer.forward(&input(&[4, 2]), false).unwrap();
    let calls = toy.calls.borrow();
    assert!(calls.len() == 2 && calls.iter().all(|call| call.use_batch_stats && !call.has_running));
    assert_eq!(layer.state().unwrap().num_batches_tracked, Some(1));
}

#[test]
fn sizes_are_checked_only_where_there_is_something_of_that_size() {
    let (mut plain, _) = layer(&LayerConfig { affine: false, track_running_stats: false, ..config() });
    assert!(plain.forward(&input(&[4, 3]), false).is_ok());
    let (mut sized, _) = layer(&config());
    assert_eq!(class(sized.forward(&input(&[4, 3]), false)), ErrorClass::WrongFeatures);
    // Statistics that are not handed over are not looked at.
    let (mut untracked, _) = layer(&LayerConfig { affine: false, ..config() });
    set(&mut untracked, &Setting::TrackRunningStats(false));
    assert!(untracked.forward(&input(&[4, 3]), false).is_ok());
}

#[test]
fn a_wrong_size_comes_before_a_missing_buffer_unless_it_is_the_mean_in_evaluation() {
    for (training, slot, expected) in [
        (true, Slot::RunningMean, ErrorClass::WrongFeatures),
        (true, Slot::RunningVar, ErrorClass::WrongFeatures),
        (false, Slot::RunningMean, ErrorClass::MissingBuffer),
        (false, Slot::RunningVar, ErrorClass::WrongFeatures),
    ] {
        let (mut layer, _) = layer(&config());
        remove(&mut layer, slot);
        layer.set_training(training).unwrap();
        assert_eq!(class(layer.forward(&input(&[4, 3]), false)), expected, "{training} {slot:?}");
    }
}

#[test]
fn an_empty_batch_is_counted_and_not_looked_at() {
    let (mut layer, _) = layer(&LayerConfig { statistics_dtype: DType::F64, ..config() });
    assert!(layer.forward(&input(&[0, 3]), false).is_ok());
    remove(&mut layer, Slot::RunningVar);
    assert!(layer.forward(&input(&[0, 3]), false).is_ok());
    layer.set_training(false).unwrap();
    assert!(layer.forward(&input(&[0, 3]), false).is_ok());
    assert_eq!(layer.state().unwrap().num_batches_tracked, Some(2));
}

#[test]
fn without_channels_it_is_the_weight_that_is_missed() {
    let none = LayerConfig { features: 0, ..config() };
    let (mut affine, _) = layer(&none);
    assert_eq!(class(affine.forward(&input(&[4, 0]), false)), ErrorClass::NoChannels);
    let (mut plain, _) = layer(&LayerConfig { affine: false, ..none });
    assert!(plain.forward(&input(&[4, 0]), false).is_ok());
}

#[test]
fn a_full_counter_wraps_as_an_int64_tensor_does() {
    let (mut layer, _) = layer(&LayerConfig { num_batches_tracked: Some(i64::MAX), ..config() });
    layer.forward(&input(&[4, 2]), false).unwrap();
    assert_eq!(layer.state().unwrap().num_batches_tracked, Some(i64::MIN));
}

fn used() -> LayerConfig {
    LayerConfig {
        running_mean: Some(pair(3.0)),
        running_var: Some(pair(4.0)),
        num_batches_tracked: Some(7),
        ..config()
    }
}

/// Mean, variance and counter.
fn statistics(layer: &dyn Layer) -> (Option<f64>, Option<f64>, Option<i64>) {
    let state = layer.state().unwrap();
    let first = |tensor: Option<Tensor>| tensor.map(|tensor| tensor.value(0));
    (first(state.running_mean), first(state.running_var), state.num_batches_tracked)
}

#[test]
fn a_reset_brings_back_the_new_layers_statistics() {
    let (mut layer, _) = layer(&used());
    layer.reset_running_stats().unwrap();
    assert_eq!(statistics(&layer), (Some(0.0), Some(1.0), Some(0)));
}

#[test]
fn a_reset_with_tracking_switched_off_resets_nothing() {
    let (mut layer, _) = layer(&used());
    set(&mut layer, &Setting::TrackRunningStats(false));
    layer.reset_running_stats().unwrap();
    assert_eq!(statistics(&layer), (Some(3.0), Some(4.0), Some(7)));
}

#[test]
fn a_reset_stops_at_what_is_not_there() {
    let stopped = |setting| {
        let (mut layer, _) = layer(&used());
        set(&mut layer, &setting);
        assert_eq!(class(layer.reset_running_stats()), ErrorClass::MissingBuffer);
        statistics(&layer)
    };
    assert_eq!(stopped(Setting::Tensor(Slot::RunningMean, None)), (None, Some(4.0), Some(7)));
    assert_eq!(stopped(Setting::Tensor(Slot::RunningVar, None)), (Some(0.0), None, Some(7)));
    assert_eq!(stopped(Setting::NumBatchesTracked(None)), (Some(0.0), Some(1.0), None));
}

#[test]
fn a_layer_made_without_statistics_misses_them_in_a_reset_once_it_tracks() {
    let (mut layer, _) = layer(&LayerConfig { track_running_stats: false, ..config() });
    layer.reset_running_stats().unwrap();
    set(&mut layer, &Setting::TrackRunningStats(true));
    assert_eq!(class(layer.reset_running_stats()), ErrorClass::MissingBuffer);
}
