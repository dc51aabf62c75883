//! The kill matrix of the catalogue of known mistakes, as far as a report shows it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which suites notice which known mistakes (`bncheck faults`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FaultMatrix {
    /// How many cases were tried.
    pub cases: usize,
    /// The suites of these, in their order.
    pub suites: Vec<String>,
    /// The mistakes.
    pub faults: Vec<FaultRow>,
    /// How many cases prove nothing: the oracle is in doubt, or an answer without a mistake fails.
    pub void: usize,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FaultRow {
    /// Its name.
    pub name: String,
    /// What is wrong, in a sentence.
    pub about: String,
    /// How many cases of each suite catch it.
    pub caught: Vec<usize>,
    /// The first case that catches it, and where; nothing where none does.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub first: Option<FirstCatch>,
}

/// Where a mistake shows first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FirstCatch {
    /// The case's id.
    pub case: String,
    /// The step; 0 is the new layer.
    pub step: usize,
    /// That step's name.
    pub action: String,
    /// The tensors that are wrong there; none where an error is, or is missing.
    pub tensors: Vec<String>,
}
