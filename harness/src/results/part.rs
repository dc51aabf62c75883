//! Which cases a run took, and which runs were merged into one.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RunInfo, RunResults, Verdict};

/// How the cases of a run were chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Selection {
    /// The files or folders of suites that were named; none where the checkout's own were read.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub suites: Vec<String>,
    /// The terms of the filter; none where all cases were taken.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub filter: Vec<String>,
    /// The tier that cases were taken from: `quick`, or `full` for all of them.
    pub tier: String,
    /// Which part of these cases was run, where it was one of several.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub part: Option<Part>,
    /// The cases that were made by chance, where they are not of suites.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub random: Option<RandomCases>,
}

/// Cases that were made by chance. The first ones of a seed are the same ones, however many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RandomCases {
    /// How many.
    pub cases: usize,
    /// Of which seed.
    pub seed: u64,
}

/// One of several parts of a selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Part {
    /// Which, from 1.
    pub number: usize,
    /// How many there are.
    pub of: usize,
}

/// A declared deviation of which a run had some cases and not all, so that it cannot say whether any needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Undecided {
    /// The backend.
    pub backend: String,
    /// The deviation's name.
    pub name: String,
    /// How many cases of the suites it covers.
    pub covered: usize,
    /// How many of them were run.
    pub run: usize,
    /// Whether any of these needs it.
    pub needed: bool,
}

/// A run that was merged with others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PartInfo {
    /// The file it was read from.
    pub source: String,
    /// How many cases it had.
    pub cases: usize,
    /// How many results.
    pub results: usize,
    /// What was run, where and how.
    pub run: RunInfo,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl RunResults {
    /// Whether anything was compared.
    pub fn compares(&self) -> bool {
        let compares = |verdict| matches!(verdict, Verdict::Pass | Verdict::Known);
        self.results.iter().any(|result| compares(result.verdict))
            || self.left_out.results.iter().any(|results| compares(results.verdict))
    }

    /// Whether all its cases were made by chance.
    pub fn is_by_chance(&self) -> bool {
        self.run.seed.is_some() && self.run.selections.iter().all(|selection| selection.random.is_some())
    }

    /// Whether this is one of several parts of a run, or some of them. What the parts compare together is asked of
    /// them together: that one alone compares nothing says nothing.
    pub fn is_part(&self) -> bool {
        let selections = &self.run.selections;
        !selections.is_empty() && selections.iter().all(|selection| selection.part.is_some())
    }
}
