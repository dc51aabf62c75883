//! Batch normalization computed in many ways, all of them sound.
//!
//! What they have in common is that each is a stable algorithm of the literature, so that none may fail anywhere: a
//! budget that one of them breaks is too small. What tells them apart is everything that an implementer is free to
//! choose: the order of sums ([`sums`]), the way to the variance ([`statistics`]), the nesting of loops ([`loops`]),
//! and the form of a formula ([`forms`]). [`METHODS`] puts them together.

pub mod forms;
pub mod loops;
mod methods;
mod rounded;
pub mod statistics;
pub mod sums;

use bn_api::{Backend, BackendInfo, Layer, LayerConfig, LayerError, ModuleLayer};
use bn_stages::StagedKernel;

pub use methods::{METHODS, Method};
pub use rounded::STATISTICS_ROUNDED;

/// A method as a backend.
#[derive(Debug, Clone, Copy)]
pub struct Sound(pub &'static Method);

impl Backend for Sound {
    fn info(&self) -> BackendInfo {
        BackendInfo {
            name: self.0.name.to_owned(),
            version: format!("bn-sound {}", env!("CARGO_PKG_VERSION")),
            about: self.0.about.to_owned(),
            unobservable: Vec::new(),
        }
    }

    fn create(&self, config: &LayerConfig) -> Result<Box<dyn Layer>, LayerError> {
        Ok(Box::new(ModuleLayer::new(StagedKernel(self.0.stages), config)))
    }
}
