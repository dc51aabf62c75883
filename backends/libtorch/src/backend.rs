//! The backend.

use bn_api::{Backend, BackendInfo, Layer, LayerConfig, LayerError, ModuleLayer};

use crate::{BatchNormKernel, threads};

/// The libtorch this is built against; torch-sys refuses any other.
pub const LIBTORCH_VERSION: &str = "2.11.0";

/// The tch this is built with.
pub const TCH_VERSION: &str = "0.24.0";

/// libtorch's `batch_norm` on the CPU under the rules of `torch.nn.BatchNorm{1,2,3}d`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Libtorch;

impl Backend for Libtorch {
    fn info(&self) -> BackendInfo {
        BackendInfo {
            name: "libtorch".to_owned(),
            version: format!("libtorch {LIBTORCH_VERSION} (tch {TCH_VERSION})"),
            about: "libtorch's batch_norm and autograd on the CPU, under torch.nn's rules".to_owned(),
            unobservable: Vec::new(),
        }
    }

    fn create(&self, config: &LayerConfig) -> Result<Box<dyn Layer>, LayerError> {
        threads::use_one();
        Ok(Box::new(ModuleLayer::new(BatchNormKernel, config)))
    }
}

#[cfg(test)]
mod tests {
    use bn_api::DType;

    use super::*;
    use bn_api::worked_example as example;

    #[test]
    fn the_versions_are_those_it_is_built_with() {
        let lock = include_str!("../../../Cargo.lock");
        assert!(lock.contains(&format!("name = \"tch\"\nversion = \"{TCH_VERSION}\"\n")));
        let libtorch = std::env::var("LIBTORCH").expect("Cargo sets LIBTORCH for its tests");
        let header = format!("{libtorch}/include/torch/headeronly/version.h");
        let header = std::fs::read_to_string(header).expect("libtorch has its headers");
        assert!(header.contains(&format!("\"{LIBTORCH_VERSION}\"")), "{header}");
    }

    #[test]
    fn the_worked_example_comes_out_in_every_pair_of_types() {
        for dtype in DType::FLOATS {
            example::check_training(&Libtorch, dtype, dtype);
            example::check_evaluation(&Libtorch, dtype, dtype);
        }
        for half in [DType::F16, DType::Bf16] {
            example::check_training(&Libtorch, half, DType::F32);
            example::check_evaluation(&Libtorch, half, DType::F32);
        }
    }

    #[test]
    fn layers_keep_to_themselves() {
        example::check_layers_are_apart(&Libtorch);
    }

    #[test]
    fn gradients_accumulate_until_they_are_zeroed_and_move_the_parameters() {
        example::check_accumulation(&Libtorch);
    }

    #[test]
    fn without_gradients_there_is_no_graph_but_the_statistics_move() {
        example::check_no_grad(&Libtorch);
    }
}
