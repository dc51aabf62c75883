//! State dictionaries by candle's own means: a safetensors file that `VarMap::load` reads.

use std::collections::HashMap;

use bn_api::{Entries, ErrorClass, LayerError, Loaded, Slot, Tensor};
use candle_nn::VarMap;

use crate::convert::{dtype, to_candle};
use crate::error::other;
use crate::vars;

/// Loads a state dictionary.
///
/// `VarMap::load` asks the file for each of its variables and leaves the file's other entries alone, so that there is
/// never anything unexpected, the counter of a dictionary of PyTorch's included. What is missing, or of another shape
/// or type, ends it: what has been loaded by then stays. It goes through its variables in the order of a hash map,
/// which is another in every run; here each variable has a map of its own, in the order of a state dictionary, which
/// is one of the orders that `VarMap::load` may take.
///
/// # Errors
/// What candle raises.
pub fn load(all: &VarMap, entries: &Entries) -> Result<Loaded, LayerError> {
    let file = tempfile::Builder::new().suffix(".safetensors").tempfile().map_err(LayerError::other)?;
    let tensors = entries.iter().map(|(name, tensor)| Ok((name.as_str(), to_candle(tensor)?)));
    let tensors = tensors.collect::<Result<HashMap<_, _>, LayerError>>()?;
    candle_core::safetensors::save(&tensors, file.path()).map_err(other)?;
    for slot in Slot::ALL {
        let Some(var) = vars::get(all, slot) else { continue };
        let mut one = VarMap::new();
        vars::put(&one, slot, var.clone());
        one.load(file.path()).map_err(|error| {
            // candle has no classes; what it stumbles over is told by the dictionary.
            let entry = entries.iter().find(|(name, _)| name == slot.name()).map(|(_, entry)| entry);
            let path = file.path().display().to_string();
            let message = other(error).message.replace(&format!("\"{path}\""), "the state dictionary");
            // What `VarMap` puts its own words around may carry a backtrace in the lines that follow.
            LayerError::new(class(&var, entry), message.lines().next().unwrap_or_default())
        })?;
    }
    Ok(Loaded::default())
}

fn class(var: &candle_core::Tensor, entry: Option<&Tensor>) -> ErrorClass {
    match entry {
        None => ErrorClass::MissingEntry,
        Some(entry) if entry.shape() != var.dims() => ErrorClass::EntryShape,
        Some(entry) if dtype(entry.dtype()) != var.dtype() => ErrorClass::DtypeMismatch,
        Some(_) => ErrorClass::Other,
    }
}

#[cfg(test)]
mod tests {
    use bn_api::{DType, Layer, LayerConfig, LayerKind};

    use super::*;
    use crate::layer::CandleLayer;
    use bn_api::worked_example as example;

    fn entries() -> Entries {
        let vector = |values| Tensor::from_values(DType::F32, &[2], values);
        let values = [[5.0, 6.0], [7.0, 8.0], [9.0, 10.0], [11.0, 12.0]];
        Slot::ALL.iter().zip(values).map(|(slot, values)| (slot.name().to_owned(), vector(values))).collect()
    }

    /// The first element of each tensor after a load, and the load's answer.
    fn loaded(entries: &Entries) -> (Vec<f64>, Result<Loaded, LayerError>) {
        let mut layer = CandleLayer::new(&example::config(DType::F32)).unwrap();
        let loaded = layer.load_state(entries, 2);
        let state = layer.state().unwrap();
        let tensors = [state.weight, state.bias, state.running_mean, state.running_var];
        (tensors.into_iter().map(|tensor| tensor.unwrap().value(0)).collect(), loaded)
    }

    #[test]
    fn a_dictionary_is_loaded_and_what_the_layer_does_not_have_is_left_alone() {
        let mut entries = entries();
        entries.push(("num_batches_tracked".to_owned(), Tensor::from_bit_patterns(DType::I64, &[], [3])));
        assert_eq!(loaded(&entries), (vec![5.0, 7.0, 9.0, 11.0], Ok(Loaded::default())));
    }

    #[test]
    fn what_is_missing_or_does_not_fit_ends_the_load_with_what_came_before() {
        let ended = |entries: &Entries, class, words: &str| {
            let (values, loaded) = loaded(entries);
            let error = loaded.unwrap_err();
            assert_eq!((values, error), (vec![5.0, 7.0, 0.0, 1.0], LayerError::new(class, words)));
        };
        let mut missing = entries();
        missing.remove(2);
        ended(&missing, ErrorClass::MissingEntry, "tensor `running_mean` not found");
        let mut misshapen = entries();
        misshapen[2].1 = Tensor::full(DType::F32, &[1], 9.0);
        let setting = "error setting running_mean using data from the state dictionary: ";
        let words = format!("{setting}shape mismatch in set, lhs: [2], rhs: [1]");
        ended(&misshapen, ErrorClass::EntryShape, &words);
        let mut wide = entries();
        wide[2].1 = wide[2].1.cast(DType::F64);
        let words = format!("{setting}dtype mismatch in copy_strided, lhs: F64, rhs: F32");
        ended(&wide, ErrorClass::DtypeMismatch, &words);
    }

    #[test]
    fn an_empty_dictionary_lacks_the_first_tensor() {
        let (values, loaded) = loaded(&Vec::new());
        assert_eq!((values, loaded.unwrap_err().class), (vec![2.0, 1.0, 0.0, 1.0], ErrorClass::MissingEntry));
    }

    #[test]
    fn a_layer_without_channels_is_loaded() {
        let mut layer = CandleLayer::new(&LayerConfig::new(LayerKind::BatchNorm1d, 0, DType::F32)).unwrap();
        let entries = Slot::ALL.map(|slot| (slot.name().to_owned(), Tensor::full(DType::F32, &[0], 0.0)));
        assert_eq!(layer.load_state(&entries.to_vec(), 2), Ok(Loaded::default()));
    }

    #[test]
    fn a_backward_after_a_load_goes_through_the_new_weight_unnoticed() {
        let mut layer = CandleLayer::new(&example::config(DType::F32)).unwrap();
        layer.forward(&example::input(DType::F32), false).unwrap();
        layer.load_state(&entries(), 2).unwrap();
        let gradient = example::go_back(&mut layer, DType::F32).unwrap().input.unwrap();
        assert_eq!(gradient.value(0), 0.375 * 5.0 / 2.0);
    }
}
