//! The backend: what it can express.

use bn_api::{Action, Backend, BackendInfo, Lacks, Layer, LayerConfig, LayerError, Layout, Request};

use crate::layer::CandleLayer;

/// The candle-nn this is built with.
const CANDLE_NN_VERSION: &str = "0.11.1";

const LACKS: Lacks = Lacks {
    cumulative_average: Some(
        "candle_nn::BatchNorm has no cumulative average: its momentum is an f64, never none",
    ),
    untracked: Some("candle_nn::BatchNorm always has running statistics"),
    reset: Some("candle_nn::BatchNorm has no reset_running_stats"),
    settings: Some("candle_nn::BatchNorm keeps its configuration to itself once it is made"),
    new_tensors: Some("candle_nn::BatchNorm keeps its tensors to itself once it is made"),
    requires_grad: Some(
        "candle has no requires_grad: a variable that is not to be trained is left out of the optimizer's list",
    ),
    cast: Some("a variable of candle keeps its type: a layer of another type is another layer"),
    mixed_layer: None,
    state_dict: None,
    integers: None,
    layouts: None,
    counter: Some("candle_nn::BatchNorm has no counter of batches"),
};

/// Why the gradient of a batch that one sample stands for cannot be had.
const NO_EXPANDED_GRADIENT: &str =
    "candle gives an expanded input's gradient for the one sample that is stored, summed over the batch";

/// Why a dictionary cannot be loaded in part.
const ALWAYS_STRICT: &str = "candle_nn::VarMap has no strict=False: what the file lacks is always an error";

/// candle's own layer, `candle_nn::BatchNorm`, on the CPU.
#[derive(Debug, Clone, Copy, Default)]
pub struct Candle;

impl Backend for Candle {
    fn info(&self) -> BackendInfo {
        BackendInfo {
            name: "candle".to_owned(),
            version: format!("candle-nn {CANDLE_NN_VERSION}"),
            about: "candle_nn::BatchNorm with candle's autograd, on the CPU".to_owned(),
            unobservable: LACKS.unobservable(),
        }
    }

    fn lacks(&self) -> Lacks {
        LACKS
    }

    fn unsupported(&self, request: &Request) -> Option<String> {
        let lacks = |action: &Action| match action {
            Action::Forward { input, no_grad, .. } => {
                let asked = input.layout == Layout::Expanded && input.requires_grad && !no_grad;
                asked.then(|| NO_EXPANDED_GRADIENT.to_owned())
            }
            Action::LoadState { strict, .. } => (!strict).then(|| ALWAYS_STRICT.to_owned()),
            _ => None,
        };
        LACKS.reason(request).or_else(|| request.actions.iter().find_map(lacks))
    }

    fn create(&self, config: &LayerConfig) -> Result<Box<dyn Layer>, LayerError> {
        Ok(Box::new(CandleLayer::new(config)?))
    }
}

#[cfg(test)]
mod tests {
    use bn_api::{DType, Dictionary, Input};

    use super::*;
    use bn_api::worked_example as example;

    #[test]
    fn the_version_is_the_one_it_is_built_with() {
        let lock = include_str!("../../../Cargo.lock");
        assert!(lock.contains(&format!("name = \"candle-nn\"\nversion = \"{CANDLE_NN_VERSION}\"\n")));
    }

    #[test]
    fn the_worked_example_comes_out() {
        for dtype in [DType::F32, DType::F64] {
            example::check_training(&Candle, dtype, dtype);
        }
        for dtype in DType::FLOATS {
            example::check_evaluation(&Candle, dtype, dtype);
        }
    }

    #[test]
    fn layers_keep_to_themselves() {
        example::check_layers_are_apart(&Candle);
    }

    #[test]
    fn gradients_accumulate_until_they_are_zeroed_and_move_the_parameters() {
        example::check_accumulation(&Candle);
    }

    #[test]
    fn without_gradients_there_is_no_graph_but_the_statistics_move() {
        example::check_no_grad(&Candle);
    }

    #[test]
    fn what_it_has_no_words_for_is_unsupported() {
        example::check_lacks(&Candle);
    }

    #[test]
    fn of_layouts_and_state_dictionaries_a_part_is_unsupported() {
        let ask = |action| {
            let layers = vec![example::config(DType::F32)];
            Candle.unsupported(&Request { case: String::new(), layers, actions: vec![action] })
        };
        let expanded = |requires_grad, no_grad| {
            let input = Input { layout: Layout::Expanded, requires_grad, ..example::input(DType::F32) };
            ask(Action::Forward { at: String::new(), input, no_grad })
        };
        assert_eq!(expanded(true, false).as_deref(), Some(NO_EXPANDED_GRADIENT));
        assert_eq!((expanded(true, true), expanded(false, false)), (None, None));
        let load = |strict| {
            let from = Dictionary { saved: None, without: Vec::new(), entries: Vec::new(), version: 2 };
            ask(Action::LoadState { at: String::new(), from, strict })
        };
        assert_eq!((load(true), load(false).as_deref()), (None, Some(ALWAYS_STRICT)));
    }
}
