//! State dictionaries by burn's own means: a record in a JSON file that `load_file` reads.

use bn_api::{Entries, ErrorClass, LayerError, Slot, guarded};
use burn_core::module::Module;
use burn_core::record::{FullPrecisionSettings, PrettyJsonFileRecorder};
use burn_core::tensor::backend::AutodiffBackend;
use burn_nn::{BatchNorm, BatchNormConfig};
use serde_json::Value;

use crate::convert::to_data;

/// The record's name of a tensor.
fn field(slot: Slot) -> &'static str {
    match slot {
        Slot::Weight => "gamma",
        Slot::Bias => "beta",
        Slot::RunningMean | Slot::RunningVar => slot.name(),
    }
}

/// The layer with what a state dictionary holds.
///
/// The file is one that a layer of burn has written, with the dictionary's entries in the place of its tensors: gamma is
/// weight and beta is bias there. A tensor keeps its id, as in the record of this very layer. An entry that a record has
/// no field for is put beside them under its own name.
///
/// # Errors
/// What burn raises or panics on.
pub fn load<B: AutodiffBackend>(
    module: &BatchNorm<B>,
    entries: &Entries,
) -> Result<BatchNorm<B>, LayerError> {
    let recorder = PrettyJsonFileRecorder::<FullPrecisionSettings>::new();
    let device = B::Device::default();
    let file = tempfile::Builder::new().suffix(".json").tempfile().map_err(LayerError::other)?;
    // Not the layer's own: writing its record would settle its running statistics, which a load does not.
    let other: BatchNorm<B> = BatchNormConfig::new(module.gamma.shape().num_elements()).init(&device);
    let ids = [(Slot::Weight, module.gamma.id), (Slot::Bias, module.beta.id)];
    other.save_file(file.path(), &recorder).map_err(LayerError::other)?;
    let text = std::fs::read_to_string(file.path()).map_err(LayerError::other)?;
    let mut json: Value = serde_json::from_str(&text).map_err(LayerError::other)?;
    let item = json
        .get_mut("item")
        .and_then(Value::as_object_mut)
        .ok_or_else(|| LayerError::other("a record of burn without an item"))?;
    let template = item[field(Slot::Weight)].clone();
    let found = |name: &str| entries.iter().find(|(known, _)| known == name).map(|(_, tensor)| tensor);
    for slot in Slot::ALL {
        match found(slot.name()) {
            None => drop(item.remove(field(slot))),
            Some(tensor) => {
                let entry = &mut item[field(slot)];
                entry["param"] = serde_json::to_value(to_data(tensor)).map_err(LayerError::other)?;
                if let Some((_, id)) = ids.iter().find(|(known, _)| *known == slot) {
                    entry["id"] = id.serialize().into();
                }
            }
        }
    }
    for (name, tensor) in entries {
        if Slot::ALL.iter().all(|slot| slot.name() != name) {
            let mut entry = template.clone();
            entry["param"] = serde_json::to_value(to_data(tensor)).map_err(LayerError::other)?;
            item.insert(name.clone(), entry);
        }
    }
    std::fs::write(file.path(), json.to_string()).map_err(LayerError::other)?;
    let loaded =
        guarded(|| module.clone().load_file(file.path(), &recorder, &device).map_err(LayerError::other));
    loaded.map_err(|mut error| {
        // burn has no classes; what it stumbles over is told by the dictionary.
        if Slot::ALL.iter().any(|slot| found(slot.name()).is_none()) {
            error.class = ErrorClass::MissingEntry;
        }
        error
    })
}

#[cfg(test)]
mod tests {
    use bn_api::worked_example as example;
    use bn_api::{DType, Layer, Loaded, Tensor};
    use burn_autodiff::Autodiff;
    use burn_ndarray::NdArray;

    use super::*;
    use crate::layer::BurnLayer;

    type Made = BurnLayer<Autodiff<NdArray>>;

    fn made() -> Made {
        Made::new(&example::config(DType::F32)).unwrap()
    }

    fn entries() -> Entries {
        let vector = |values| Tensor::from_values(DType::F32, &[2], values);
        let values = [[5.0, 6.0], [7.0, 8.0], [9.0, 10.0], [11.0, 12.0]];
        Slot::ALL.iter().zip(values).map(|(slot, values)| (slot.name().to_owned(), vector(values))).collect()
    }

    /// The tensors after a load, and the load's answer.
    fn loaded(entries: &Entries) -> (Vec<Tensor>, Result<Loaded, LayerError>) {
        let mut layer = made();
        let loaded = layer.load_state(entries, 2);
        let state = layer.state().unwrap();
        let tensors = [state.weight, state.bias, state.running_mean, state.running_var];
        (tensors.into_iter().flatten().collect(), loaded)
    }

    #[test]
    fn a_dictionary_is_loaded_and_what_the_layer_does_not_have_is_left_alone() {
        let mut entries = entries();
        entries.push(("num_batches_tracked".to_owned(), Tensor::from_bit_patterns(DType::I64, &[], [3])));
        let (tensors, loaded) = loaded(&entries);
        let expected: Vec<_> = entries.into_iter().take(4).map(|(_, tensor)| tensor).collect();
        assert_eq!((tensors, loaded), (expected, Ok(Loaded::default())));
    }

    #[test]
    fn every_bit_arrives() {
        let mut entries = entries();
        entries[2].1 = Tensor::from_bit_patterns(DType::F32, &[2], [0x7fc0_1234, 0x8000_0001]);
        assert_eq!(loaded(&entries).0[2], entries[2].1);
    }

    #[test]
    fn an_entry_of_another_type_is_converted_to_the_devices() {
        let mut entries = entries();
        entries[2].1 = entries[2].1.cast(DType::F64);
        assert_eq!(loaded(&entries).0[2], entries[2].1.cast(DType::F32));
    }

    #[test]
    fn without_an_entry_nothing_is_loaded() {
        for (missing, field) in ["gamma", "beta", "running_mean", "running_var"].iter().enumerate() {
            let mut entries = entries();
            entries.remove(missing);
            let (tensors, loaded) = loaded(&entries);
            let error = loaded.unwrap_err();
            assert_eq!(error.class, ErrorClass::MissingEntry);
            assert!(error.message.contains(&format!("missing field `{field}`")), "{error}");
            let firsts: Vec<f64> = tensors.iter().map(|tensor| tensor.value(0)).collect();
            assert_eq!(firsts, [2.0, 1.0, 0.0, 1.0]);
        }
    }

    #[test]
    fn a_tensor_of_another_shape_takes_the_place_of_the_layers() {
        let mut entries = entries();
        entries[0].1 = Tensor::full(DType::F32, &[3], 9.0);
        let (tensors, loaded) = loaded(&entries);
        assert_eq!((&tensors[0], loaded), (&entries[0].1, Ok(Loaded::default())));
    }

    #[test]
    fn gradients_stay_as_the_ids_do() {
        let mut layer = made();
        layer.forward(&example::input(DType::F32), false).unwrap();
        example::go_back(&mut layer, DType::F32).unwrap();
        let before = layer.gradients().unwrap();
        layer.load_state(&entries(), 2).unwrap();
        assert_eq!(layer.gradients().unwrap(), before);
        layer.sgd(2.0).unwrap();
        assert_eq!(layer.state().unwrap().weight.unwrap().values(), [6.0, 5.0]);
    }

    /// `RunningState::update` keeps a new value aside until the next `value_sync`, which a load does not empty. What
    /// reads the state between the two, as bncheck does after every step, settles it.
    #[test]
    fn running_statistics_that_are_loaded_after_a_training_forward_are_lost_unless_they_were_read_between() {
        for (read, expected) in [(false, [1.0, 5.5]), (true, [9.0, 10.0])] {
            let mut layer = made();
            layer.forward(&example::input(DType::F32), true).unwrap();
            if read {
                layer.state().unwrap();
            }
            layer.load_state(&entries(), 2).unwrap();
            assert_eq!(example::running(&layer).0, expected);
        }
    }
}
