//! Where cases come from: the suites and files of a run, so that a report can show them without reading any.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A suite of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SuiteInfo {
    /// Its name.
    pub name: String,
    /// The file that it is written in.
    pub file: String,
    /// What it says of itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub about: Option<String>,
    /// The story it tells, where it tells one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub story: Option<StoryInfo>,
    /// Its `defaults`, as written; empty where it has none.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub defaults: String,
    /// Those of its cases that were run, as written: one for each name, in the order of the file.
    pub written: Vec<WrittenCase>,
}

/// What a suite teaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StoryInfo {
    /// What is computed, as a formula.
    pub formula: String,
    /// What people get wrong, and what happens then.
    pub goes_wrong: String,
    /// What is right.
    pub right: String,
    /// Where it is documented: links, each with a word on what stands there.
    pub documented: Vec<String>,
}

/// A case as it is written, before its matrix multiplies it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WrittenCase {
    /// Its name within the suite.
    pub name: String,
    /// The line of the file on which `yaml` begins, counted from 1.
    pub line: usize,
    /// What it says of itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub about: Option<String>,
    /// Its lines in the file; what is very long is cut.
    pub yaml: String,
}
