//! State dictionaries by tch's own means: a safetensors file that `VarStore::load_partial` reads.

use bn_api::{Entries, ErrorClass, LayerError, Loaded, Slot};
use bn_libtorch::{convert, error};
use tch::nn::VarStore;

/// Loads a state dictionary into the layer's tensors.
///
/// `VarStore::load_partial` asks the file for each of its variables and says which it has not found; `VarStore::load`
/// makes an error of the first of these. The file's other entries are left alone by both, so that there is never
/// anything unexpected, the counter of a dictionary of PyTorch's included. A variable takes the type of its entry.
/// An entry that cannot be copied to the variable ends it: what has been loaded by then stays. It goes through its
/// variables in the order of a hash map, which is another in every run; here each variable has a store of its own,
/// in the order of a state dictionary, which is one of the orders that it may take.
///
/// # Errors
/// What tch raises.
pub fn load(
    tensor_of: impl Fn(Slot) -> Option<tch::Tensor>,
    entries: &Entries,
) -> Result<Loaded, LayerError> {
    let file = tempfile::Builder::new().suffix(".safetensors").tempfile().map_err(LayerError::other)?;
    let tensors = entries.iter().map(|(name, tensor)| Ok((name.as_str(), convert::to_torch(tensor)?)));
    let tensors = tensors.collect::<Result<Vec<_>, LayerError>>()?;
    tch::Tensor::write_safetensors(&tensors, file.path()).map_err(error::layer_error)?;
    let mut loaded = Loaded::default();
    for slot in Slot::ALL {
        let Some(tensor) = tensor_of(slot) else { continue };
        let shape = tensor.size();
        let mut one = VarStore::new(tch::Device::Cpu);
        let _ = one.root().add(slot.name(), tensor, false);
        let missing = one.load_partial(file.path()).map_err(|failed| {
            let mut failed = error::layer_error(failed);
            failed.message = error::without_backtrace(&failed.message);
            // What tch stumbles over is told by the dictionary.
            let entry = tensors.iter().find(|(name, _)| *name == slot.name());
            if entry.is_some_and(|(_, entry)| entry.size() != shape) {
                failed.class = ErrorClass::EntryShape;
            }
            failed
        })?;
        loaded.missing.extend(missing);
    }
    Ok(loaded)
}

#[cfg(test)]
mod tests {
    use bn_api::{DType, Layer, LayerConfig, LayerKind, Tensor};

    use super::*;
    use crate::layer::TchLayer;
    use bn_api::worked_example as example;

    fn entries() -> Entries {
        let vector = |values| Tensor::from_values(DType::F32, &[2], values);
        let values = [[5.0, 6.0], [7.0, 8.0], [9.0, 10.0], [11.0, 12.0]];
        Slot::ALL.iter().zip(values).map(|(slot, values)| (slot.name().to_owned(), vector(values))).collect()
    }

    /// The layer's tensors after a load, and the load's answer.
    fn loaded(entries: &Entries) -> (Vec<Tensor>, Result<Loaded, LayerError>) {
        let mut layer = TchLayer::new(&example::config(DType::F32)).unwrap();
        let loaded = layer.load_state(entries, 2);
        let state = layer.state().unwrap();
        let tensors = [state.weight, state.bias, state.running_mean, state.running_var];
        (tensors.into_iter().flatten().collect(), loaded)
    }

    fn first(tensors: &[Tensor]) -> Vec<f64> {
        tensors.iter().map(|tensor| tensor.value(0)).collect()
    }

    #[test]
    fn a_dictionary_is_loaded_and_what_the_layer_does_not_have_is_left_alone() {
        let mut entries = entries();
        entries.push(("num_batches_tracked".to_owned(), Tensor::from_bit_patterns(DType::I64, &[], [3])));
        let (tensors, loaded) = loaded(&entries);
        assert_eq!((first(&tensors), loaded), (vec![5.0, 7.0, 9.0, 11.0], Ok(Loaded::default())));
    }

    #[test]
    fn what_is_missing_is_said_and_the_rest_loaded() {
        let mut entries = entries();
        entries.remove(2);
        entries.remove(0);
        let (tensors, loaded) = loaded(&entries);
        assert_eq!(first(&tensors), [2.0, 7.0, 0.0, 11.0]);
        assert_eq!(loaded.unwrap().missing, ["weight", "running_mean"]);
    }

    #[test]
    fn an_entry_of_another_shape_ends_the_load_with_what_came_before() {
        let mut entries = entries();
        entries[2].1 = Tensor::full(DType::F32, &[3], 9.0);
        let (tensors, loaded) = loaded(&entries);
        assert_eq!(first(&tensors), [5.0, 7.0, 0.0, 1.0]);
        let words = "running_mean: The size of tensor a (2) must match the size of tensor b (3)";
        let words = format!("{words} at non-singleton dimension 0");
        assert_eq!(loaded, Err(LayerError::new(ErrorClass::EntryShape, words)));
    }

    #[test]
    fn a_layer_without_channels_is_loaded() {
        let mut layer = TchLayer::new(&LayerConfig::new(LayerKind::BatchNorm1d, 0, DType::F32)).unwrap();
        let entries = Slot::ALL.map(|slot| (slot.name().to_owned(), Tensor::full(DType::F32, &[0], 0.0)));
        assert_eq!(layer.load_state(&entries.to_vec(), 2), Ok(Loaded::default()));
    }

    #[test]
    fn an_entry_that_broadcasts_to_the_variable_is_taken_where_pytorch_refuses_it() {
        let mut entries = entries();
        entries[2].1 = Tensor::full(DType::F32, &[1], 9.0);
        let (tensors, loaded) = loaded(&entries);
        assert_eq!((tensors[2].values(), loaded), (vec![9.0, 9.0], Ok(Loaded::default())));
    }

    #[test]
    fn a_variable_takes_the_type_of_its_entry_where_pytorch_converts_the_entry() {
        let mut entries = entries();
        entries[2].1 = entries[2].1.cast(DType::F64);
        let (tensors, loaded) = loaded(&entries);
        assert_eq!(loaded, Ok(Loaded::default()));
        assert_eq!(tensors[2], entries[2].1);
    }

    #[test]
    fn a_backward_after_a_load_is_stopped_as_in_pytorch() {
        let mut layer = TchLayer::new(&example::config(DType::F32)).unwrap();
        layer.forward(&example::input(DType::F32), false).unwrap();
        layer.load_state(&entries(), 2).unwrap();
        let error = example::go_back(&mut layer, DType::F32).unwrap_err();
        assert_eq!(error.class, ErrorClass::GraphChanged, "{error}");
    }
}
