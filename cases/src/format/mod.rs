//! The case format as serde types. The JSON Schema is generated from these, so a doc comment here is what an
//! editor shows.

mod fill;
mod layer;
pub(crate) mod schema;
mod spec;
mod step;

pub use fill::{Along, Fill, Place};
pub use layer::LayerSpec;
pub use schema::{SCHEMA_ID, json_schema};
pub use spec::{CaseSpec, Expectation, InputSpec, Mode, ModelNode, Tier};
pub use step::{LoadSpec, SetSpec, Step};
