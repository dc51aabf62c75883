//! The backend: what it can express, and how a layer of tch is made.

use bn_api::{Backend, BackendInfo, Lacks, Layer, LayerConfig, LayerError, guarded};
use bn_libtorch::{LIBTORCH_VERSION, TCH_VERSION, threads};

use crate::layer::{TchLayer, shortened};

const LACKS: Lacks = Lacks {
    cumulative_average: Some(
        "tch::nn::BatchNorm has no cumulative average: its momentum is an f64, never none",
    ),
    untracked: Some("tch::nn::BatchNorm always has running statistics"),
    reset: Some("tch::nn::BatchNorm has no reset_running_stats"),
    settings: Some("tch::nn::BatchNorm keeps its configuration to itself once it is made"),
    new_tensors: Some(
        "tch::nn::BatchNorm's tensors are variables of its VarStore: one put in their place is not trained, cast or \
         saved with it, and the running statistics cannot be none",
    ),
    requires_grad: None,
    cast: None,
    mixed_layer: None,
    state_dict: None,
    integers: None,
    layouts: None,
    counter: Some("tch::nn::BatchNorm has no counter of batches"),
};

/// tch's own layer, `tch::nn::BatchNorm`, on the CPU.
#[derive(Debug, Clone, Copy, Default)]
pub struct TchNn;

impl Backend for TchNn {
    fn info(&self) -> BackendInfo {
        BackendInfo {
            name: "tch-nn".to_owned(),
            version: format!("tch {TCH_VERSION} (libtorch {LIBTORCH_VERSION})"),
            about: "tch::nn::BatchNorm with its default initialisation, on the CPU".to_owned(),
            unobservable: LACKS.unobservable(),
        }
    }

    fn lacks(&self) -> Lacks {
        LACKS
    }

    fn create(&self, config: &LayerConfig) -> Result<Box<dyn Layer>, LayerError> {
        threads::use_one();
        Ok(Box::new(guarded(|| TchLayer::new(config)).map_err(shortened)?))
    }
}

#[cfg(test)]
mod tests {
    use bn_api::DType;

    use super::*;
    use bn_api::worked_example as example;

    #[test]
    fn the_worked_example_comes_out_in_every_pair_of_types() {
        for dtype in DType::FLOATS {
            example::check_training(&TchNn, dtype, dtype);
            example::check_evaluation(&TchNn, dtype, dtype);
        }
        for half in [DType::F16, DType::Bf16] {
            example::check_training(&TchNn, half, DType::F32);
            example::check_evaluation(&TchNn, half, DType::F32);
        }
    }

    #[test]
    fn layers_keep_to_themselves() {
        example::check_layers_are_apart(&TchNn);
    }

    #[test]
    fn gradients_accumulate_until_they_are_zeroed_and_move_the_parameters() {
        example::check_accumulation(&TchNn);
    }

    #[test]
    fn without_gradients_there_is_no_graph_but_the_statistics_move() {
        example::check_no_grad(&TchNn);
    }

    #[test]
    fn what_it_has_no_words_for_is_unsupported() {
        example::check_lacks(&TchNn);
    }
}
