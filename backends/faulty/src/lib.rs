//! Batch normalization with one named mistake at a time.
//!
//! A [`Fault`] is real code doing the wrong thing: stages of the kernel ([`bn_stages::Stages`]) or steps of the layer
//! ([`Hooks`]) replaced by mistaken ones. [`catalogue`] lists them all; [`Faulty`] is a backend that makes one of them,
//! or several at once. What cannot be written down as a fault stands in [`NOT_EXPRESSED`], with the reason; what no
//! case shows alone, and the fuzzer's properties do, in [`ONLY_BY_PROPERTY`].

mod change;
mod faults;
mod hard_to_hunt;
mod kernel;
mod layer;
mod not_expressed;
mod only_by_property;

use std::mem::{Discriminant, discriminant};

use bn_api::{Backend, BackendInfo, Layer, LayerConfig, LayerError, ModuleLayer, Observable};
use bn_stages::Stages;

pub use change::Part;
pub use faults::catalogue;
pub use hard_to_hunt::HARD_TO_HUNT;
pub use layer::{Hooks, Inner};
pub use not_expressed::NOT_EXPRESSED;
pub use only_by_property::{ONLY_BY_PROPERTY, OnlyByProperty};

use kernel::FaultyKernel;
use layer::Hooked;

/// A mistake.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// Its name, in kebab-case.
    pub name: &'static str,
    /// What is wrong, in a sentence.
    pub about: &'static str,
    /// The tensors that are the first to show it; beside them a step may show it by raising an error or by raising
    /// none.
    pub tensors: &'static [Observable],
    /// Where it has been made: an issue or a pull request. Nothing where none is known.
    pub link: Option<&'static str>,
    /// What is replaced.
    pub parts: &'static [Part],
}

/// The fault with this name.
pub fn fault(name: &str) -> Option<&'static Fault> {
    catalogue().iter().find(|fault| fault.name == name)
}

/// The backend that makes mistakes.
#[derive(Debug, Clone)]
pub struct Faulty {
    faults: Vec<&'static Fault>,
}

impl Faulty {
    /// With one fault.
    pub fn with(fault: &'static Fault) -> Self {
        Faulty { faults: vec![fault] }
    }

    /// With none: what every other one is compared with.
    pub const fn without() -> Self {
        Faulty { faults: Vec::new() }
    }

    /// With two faults at once; `None` where both replace the same part of the kernel, of which there is only one.
    /// Those of the layer go around one another, the first inside.
    pub fn with_both(first: &'static Fault, second: &'static Fault) -> Option<Self> {
        let of_kernel = |fault: &'static Fault| -> Vec<Discriminant<Part>> {
            fault.parts.iter().filter(|part| part.is_of_kernel()).map(discriminant).collect()
        };
        let second_parts = of_kernel(second);
        let clash = of_kernel(first).iter().any(|part| second_parts.contains(part));
        (!clash).then(|| Faulty { faults: vec![first, second] })
    }
}

impl Backend for Faulty {
    fn info(&self) -> BackendInfo {
        let names: Vec<&str> = self.faults.iter().map(|fault| fault.name).collect();
        let abouts: Vec<&str> = self.faults.iter().map(|fault| fault.about).collect();
        let or = |text: String, none: &str| if self.faults.is_empty() { none.to_owned() } else { text };
        BackendInfo {
            name: or(names.join("+"), "faultless"),
            version: format!("bn-faulty {}", env!("CARGO_PKG_VERSION")),
            about: or(abouts.join("; "), "no mistake"),
            unobservable: Vec::new(),
        }
    }

    fn create(&self, config: &LayerConfig) -> Result<Box<dyn Layer>, LayerError> {
        let parts = || self.faults.iter().flat_map(|fault| fault.parts);
        let mut kernel = FaultyKernel::new(Stages::plain());
        let mut config = config.clone();
        for part in parts() {
            part.change_kernel(&mut kernel);
            if let Part::Config(change) = part {
                change(&mut config);
            }
        }
        let mut module = ModuleLayer::new(kernel, &config);
        for part in parts() {
            if let Part::Unchecked(class) = part {
                module = module.without_check(*class);
            }
        }
        let mut layer: Box<dyn Layer> = Box::new(module);
        for fault in &self.faults {
            let mut hooks = Hooks::plain();
            let hooked = fault.parts.iter().filter(|part| part.change_layer(&mut hooks)).count();
            if hooked > 0 {
                layer = Box::new(Hooked::new(layer, &config, hooks));
            }
        }
        Ok(layer)
    }
}
