//! The rules of `torch.nn.BatchNorm*d` around a kernel: the types of its tensors, and its state dictionary. Each was
//! tried with PyTorch 2.11.

mod common;

use bn_api::{
    Action, COUNTER, DType, Entries, ErrorClass, Input, Layer, LayerConfig, Loaded, Request, Setting, Slot,
    Tensor,
};
use common::{accumulated, class, config, forward, input, layer, pair, remove, set, values};

/// A number that `f16` rounds to 1.
const ALMOST_ONE: f64 = 1.0 + 1e-4;

fn types(layer: &dyn Layer) -> [DType; 4] {
    let state = layer.state().unwrap();
    [state.weight, state.bias, state.running_mean, state.running_var].map(|tensor| tensor.unwrap().dtype())
}

#[test]
fn a_cast_rounds_what_it_names_and_another_one_does_not_bring_it_back() {
    let (mut layer, _) =
        layer(&LayerConfig { weight: Some(pair(ALMOST_ONE)), bias: Some(pair(ALMOST_ONE)), ..config() });
    layer.cast(&[Slot::Weight, Slot::RunningVar], DType::F16).unwrap();
    assert_eq!(types(&layer), [DType::F16, DType::F32, DType::F32, DType::F16]);
    layer.cast(&Slot::ALL, DType::F32).unwrap();
    assert_eq!(types(&layer), [DType::F32; 4]);
    let state = layer.state().unwrap();
    assert_eq!((values(state.weight), state.bias), (vec![1.0, 1.0], Some(pair(ALMOST_ONE))));
    assert_eq!(state.num_batches_tracked, Some(0));
}

#[test]
fn a_cast_takes_the_gradients_along_and_passes_over_what_is_not_there() {
    let (mut layer, _) = layer(&config());
    forward(&mut layer);
    let grad = Tensor::full(DType::F32, &[2, 2], ALMOST_ONE);
    layer.backward(&grad, bn_api::Layout::Contiguous).unwrap();
    remove(&mut layer, Slot::RunningMean);
    layer.cast(&Slot::ALL, DType::F16).unwrap();
    let gradients = layer.gradients().unwrap();
    assert_eq!(gradients.bias, Some(Tensor::full(DType::F16, &[2], 2.0)));
    assert_eq!(gradients.weight.unwrap().dtype(), DType::F16);
}

/// The layer as the oracle is asked for it: everything held in f64.
fn widened(config: LayerConfig) -> LayerConfig {
    let request = Request { case: String::new(), layers: vec![config], actions: Vec::new() };
    request.widened().layers.remove(0)
}

/// An input of this type, held in f64.
fn wide(dtype: DType, shape: &[usize]) -> Input {
    let plain = input(shape);
    Input { tensor: plain.tensor.cast(DType::F64), dtype, ..plain }
}

#[test]
fn a_request_is_widened_without_a_change_to_any_number() {
    let layers = vec![LayerConfig { weight: Some(pair(ALMOST_ONE)), ..config() }];
    let entries = vec![
        ("bias".to_owned(), pair(2.0)),
        (COUNTER.to_owned(), Tensor::from_bit_patterns(DType::I64, &[], [7])),
    ];
    let from = bn_api::Dictionary { saved: None, without: Vec::new(), entries, version: 2 };
    let load = Action::LoadState { at: String::new(), from, strict: true };
    let forward = Action::Forward { at: String::new(), input: input(&[2, 2]), no_grad: false };
    let wide = Request { case: String::new(), layers, actions: vec![forward, load] }.widened();
    let [layer] = &wide.layers[..] else { panic!("{wide:?}") };
    assert_eq!((layer.dtype, layer.held_in), (DType::F32, Some(DType::F64)));
    assert_eq!(layer.weight, Some(pair(ALMOST_ONE).cast(DType::F64)));
    let [Action::Forward { input: asked, .. }, Action::LoadState { from, .. }] = &wide.actions[..] else {
        panic!("{wide:?}")
    };
    assert_eq!((asked.dtype, asked.tensor.dtype()), (DType::F32, DType::F64));
    let types: Vec<DType> = from.entries.iter().map(|(_, entry)| entry.dtype()).collect();
    assert_eq!(types, [DType::F64, DType::I64]);
}

#[test]
fn held_in_a_wider_type_a_cast_rounds_all_the_same() {
    let (mut layer, _) = layer(&widened(LayerConfig { weight: Some(pair(ALMOST_ONE)), ..config() }));
    layer.cast(&Slot::ALL, DType::F16).unwrap();
    assert_eq!(types(&layer), [DType::F64; 4]);
    assert_eq!(values(layer.state().unwrap().weight), [1.0, 1.0]);
    // What is computed is not rounded: PyTorch's own roundings are what is judged by it.
    layer.forward(&wide(DType::F16, &[2, 2]), false).unwrap();
    let grad = Tensor::full(DType::F64, &[2, 2], ALMOST_ONE);
    layer.backward(&grad, bn_api::Layout::Contiguous).unwrap();
    assert_eq!(accumulated(&layer), (Some(2.0 * ALMOST_ONE), Some(2.0 * ALMOST_ONE)));
    layer.cast(&[Slot::Weight], DType::F16).unwrap();
    assert_eq!(accumulated(&layer), (Some(2.0), Some(2.0 * ALMOST_ONE)));
}

#[test]
fn held_in_one_type_what_does_not_go_together_is_refused_by_the_types_in_pytorch() {
    let forward = |config: LayerConfig, input: Input, training| {
        let (mut layer, _) = layer(&widened(config));
        layer.set_training(training).unwrap();
        layer.forward(&input, false).map(|_| ())
    };
    let half = LayerConfig { dtype: DType::F16, ..config() };
    for training in [true, false] {
        let (f16, f32, f64) = (DType::F16, DType::F32, DType::F64);
        assert!(forward(config(), wide(f32, &[2, 2]), training).is_ok());
        assert!(forward(config(), wide(f16, &[2, 2]), training).is_ok());
        assert_eq!(class(forward(config(), wide(f64, &[2, 2]), training)), ErrorClass::DtypeMismatch);
        assert_eq!(class(forward(half.clone(), wide(f16, &[2, 2]), training)), ErrorClass::DtypeMismatch);
        // An empty batch is not looked at.
        assert!(forward(half.clone(), wide(f16, &[0, 2]), training).is_ok());
    }
    // In training without tracking the statistics have no part in it.
    let (mut layer, _) =
        layer(&widened(LayerConfig { statistics_dtype: DType::F32, dtype: DType::F16, ..config() }));
    set(&mut layer, &Setting::TrackRunningStats(false));
    assert!(layer.forward(&wide(DType::F16, &[2, 2]), false).is_ok());
}

#[test]
fn a_bias_of_another_type_is_noticed_after_a_training_forward_has_moved_the_statistics() {
    let mean_after = |slot, training| {
        let (mut layer, _) = layer(&widened(config()));
        layer.cast(&[slot], DType::F16).unwrap();
        layer.set_training(training).unwrap();
        let forward = layer.forward(&wide(DType::F32, &[2, 2]), false);
        assert_eq!(class(forward), ErrorClass::DtypeMismatch);
        values(layer.state().unwrap().running_mean)[0]
    };
    assert_eq!((mean_after(Slot::Bias, true), mean_after(Slot::Bias, false)), (1.0, 0.0));
    assert_eq!((mean_after(Slot::Weight, true), mean_after(Slot::RunningVar, true)), (0.0, 0.0));
}

#[test]
fn a_new_tensor_is_of_the_type_that_the_layer_was_made_in_whatever_it_was_cast_to() {
    let new = |config: &LayerConfig| {
        let (mut layer, _) = layer(config);
        layer.cast(&Slot::ALL, DType::F16).unwrap();
        set(&mut layer, &Setting::Tensor(Slot::Weight, Some(pair(ALMOST_ONE))));
        layer.state().unwrap().weight.unwrap()
    };
    assert_eq!(new(&config()), pair(ALMOST_ONE));
    assert_eq!(new(&widened(config())), pair(ALMOST_ONE).cast(DType::F64));
}

/// A dictionary of the layer's four tensors and its counter.
fn entries() -> Entries {
    let mut entries: Entries = Slot::ALL
        .iter()
        .zip([5.0, 6.0, 7.0, 8.0])
        .map(|(slot, value)| (slot.name().to_owned(), pair(value)))
        .collect();
    entries.push((COUNTER.to_owned(), counter(&[], 9)));
    entries
}

fn counter(shape: &[usize], value: u64) -> Tensor {
    Tensor::from_bit_patterns(DType::I64, shape, vec![value; shape.iter().product()])
}

fn without(names: &[&str]) -> Entries {
    entries().into_iter().filter(|(name, _)| !names.contains(&name.as_str())).collect()
}

fn with(name: &str, tensor: Tensor) -> Entries {
    let mut entries = without(&[name]);
    entries.push((name.to_owned(), tensor));
    entries
}

/// The first elements of the layer's four tensors, and its counter.
fn seen(layer: &dyn Layer) -> (Vec<f64>, Option<i64>) {
    let state = layer.state().unwrap();
    let tensors = [state.weight, state.bias, state.running_mean, state.running_var];
    (tensors.iter().flatten().map(|tensor| tensor.value(0)).collect(), state.num_batches_tracked)
}

#[test]
fn a_dictionary_is_loaded_in_either_version() {
    for version in [1, 2] {
        let (mut layer, _) = layer(&config());
        assert_eq!(layer.load_state(&entries(), version), Ok(Loaded::default()));
        assert_eq!(seen(&layer), (vec![5.0, 6.0, 7.0, 8.0], Some(9)));
    }
}

#[test]
fn what_does_not_fit_is_said_and_the_rest_is_loaded() {
    let (mut layer, _) = layer(&config());
    let mut entries = without(&["weight", "running_mean"]);
    entries.push(("gamma".to_owned(), pair(1.0)));
    entries.iter_mut().find(|(name, _)| name == "bias").unwrap().1 = Tensor::full(DType::F32, &[3], 6.0);
    let loaded = layer.load_state(&entries, 2).unwrap();
    assert_eq!(loaded.missing, ["weight", "running_mean"]);
    assert_eq!(loaded.unexpected, ["gamma"]);
    assert_eq!(loaded.misshapen, ["bias"]);
    assert_eq!(seen(&layer), (vec![1.0, 0.0, 0.0, 8.0], Some(9)));
}

#[test]
fn entries_that_the_layer_has_no_place_for_are_unexpected() {
    let (mut bare, _) = layer(&LayerConfig { affine: false, track_running_stats: false, ..config() });
    let loaded = bare.load_state(&entries(), 2).unwrap();
    assert_eq!(loaded.unexpected, ["weight", "bias", "running_mean", "running_var", COUNTER]);
    let (mut layer, _) = layer(&config());
    remove(&mut layer, Slot::RunningVar);
    assert_eq!(layer.load_state(&entries(), 2).unwrap().unexpected, ["running_var"]);
}

#[test]
fn a_dictionary_from_before_the_counter_leaves_the_one_there_is() {
    let old = without(&[COUNTER]);
    let load = |version, config: LayerConfig, counter: Option<i64>| {
        let (mut layer, _) = layer(&config);
        set(&mut layer, &Setting::NumBatchesTracked(counter));
        let loaded = layer.load_state(&old, version).unwrap();
        assert_eq!(seen(&layer).1, counter);
        (loaded.missing, loaded.unexpected)
    };
    let named = || vec![COUNTER.to_owned()];
    assert_eq!(load(1, config(), Some(4)), (vec![], vec![]));
    assert_eq!(load(2, config(), Some(4)), (named(), vec![]));
    // PyTorch puts the missing counter into the dictionary of any layer that tracks.
    assert_eq!(load(1, config(), None), (vec![], named()));
    assert_eq!(load(2, config(), None), (vec![], vec![]));
    // And goes by the attribute, not by what is there.
    let (mut untracked, _) = layer(&config());
    set(&mut untracked, &Setting::TrackRunningStats(false));
    assert_eq!(untracked.load_state(&old, 1).unwrap().missing, [COUNTER]);
}

#[test]
fn a_counter_is_a_scalar_or_one_in_a_vector_as_before_pytorch_0_4_and_is_cut_off_to_an_integer() {
    let load = |entry: Tensor| {
        let (mut layer, _) = layer(&config());
        let loaded = layer.load_state(&with(COUNTER, entry), 2).unwrap();
        (loaded.misshapen.is_empty(), seen(&layer).1)
    };
    assert_eq!(load(counter(&[1], 3)), (true, Some(3)));
    assert_eq!(load(Tensor::full(DType::F32, &[], 2.7)), (true, Some(2)));
    assert_eq!(load(counter(&[2], 3)), (false, Some(0)));
    assert_eq!(load(counter(&[1, 1], 3)), (false, Some(0)));
}

#[test]
fn an_entry_is_converted_to_the_type_that_the_layers_tensor_has_now() {
    let (mut layer, _) = layer(&config());
    layer.cast(&[Slot::Weight], DType::F16).unwrap();
    layer.load_state(&with("weight", Tensor::full(DType::F64, &[2], ALMOST_ONE)), 2).unwrap();
    assert_eq!(layer.state().unwrap().weight, Some(Tensor::full(DType::F16, &[2], 1.0)));
    assert_eq!(types(&layer), [DType::F16, DType::F32, DType::F32, DType::F32]);
}
