//! What is done with the layers.

mod fit;
mod plan;
mod states;

pub use fit::{Around, fit};
pub use plan::{InputPlan, StepPlan, input, plan};
