//! The backend: what it can express.

use bn_api::{Backend, BackendInfo, Lacks, Layer, LayerConfig, LayerError, Request};
use burn_autodiff::Autodiff;
use burn_ndarray::NdArray;

use crate::layer::BurnLayer;
use crate::unsupported::{LACKS, reason};

/// The burn that this is built with.
const BURN_VERSION: &str = "0.21.0";

/// burn's own layer, `burn_nn::BatchNorm`, on the CPU.
#[derive(Debug, Clone, Copy, Default)]
pub struct Burn;

impl Backend for Burn {
    fn info(&self) -> BackendInfo {
        BackendInfo {
            name: "burn".to_owned(),
            version: format!("burn-nn {BURN_VERSION} (burn-ndarray)"),
            about: "burn_nn::BatchNorm with burn-autodiff on burn-ndarray, on the CPU".to_owned(),
            unobservable: LACKS.unobservable(),
        }
    }

    fn lacks(&self) -> Lacks {
        LACKS
    }

    fn unsupported(&self, request: &Request) -> Option<String> {
        reason(request)
    }

    fn create(&self, config: &LayerConfig) -> Result<Box<dyn Layer>, LayerError> {
        Ok(Box::new(BurnLayer::<Autodiff<NdArray>>::new(config)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bn_api::worked_example as example;

    #[test]
    fn the_version_is_the_one_it_is_built_with() {
        let lock = include_str!("../../../Cargo.lock");
        for name in ["burn-nn", "burn-autodiff", "burn-ndarray", "burn-optim"] {
            assert!(lock.contains(&format!("name = \"{name}\"\nversion = \"{BURN_VERSION}\"\n")), "{name}");
        }
    }

    #[test]
    fn layers_keep_to_themselves() {
        example::check_layers_are_apart(&Burn);
    }
}
