//! The backend: what it can express.

use bn_api::{Backend, BackendInfo, Lacks, Layer, LayerConfig, LayerError};

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
    counter: Some("candle_nn::BatchNorm has no counter of batches"),
};

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

    fn create(&self, config: &LayerConfig) -> Result<Box<dyn Layer>, LayerError> {
        Ok(Box::new(CandleLayer::new(config)?))
    }
}

#[cfg(test)]
mod tests {
    use bn_api::DType;

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
        let named = [LACKS.cumulative_average, LACKS.untracked, LACKS.reset, LACKS.settings, LACKS.counter];
        assert!(named.iter().all(Option::is_some));
    }
}
