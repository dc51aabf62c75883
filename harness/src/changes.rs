//! What has changed from one run to another, case by case.

mod compare;
mod difference;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::results::Verdict;

pub use compare::compare;
pub use difference::first_difference;

/// By how much a budget used has to change to be listed, where nobody says otherwise.
pub const FACTOR: f64 = 2.0;

/// Below this share of the budget there is nothing to worry about: a smaller one counts as this much.
pub const FLOOR: f64 = 0.1;

/// What has changed since a baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Changes {
    /// The run that is compared with.
    pub baseline: Baseline,
    /// By how much a budget used has to change to be listed. A share below [`FLOOR`] counts as that.
    pub factor: f64,
    /// How many results, each of a case and a backend, both runs have.
    #[serde(default)]
    pub compared: usize,
    /// The changes, by kind, then in the order of the cases.
    pub transitions: Vec<Transition>,
    /// What is wrong with the declared deviations and was not in the baseline.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub deviation_errors: Vec<String>,
    /// What is not compared, and what to bear in mind of the rest: a sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub notes: Vec<String>,
}

/// The run that another is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Baseline {
    /// The file it was read from.
    pub source: String,
    /// The version of bncheck that made it.
    pub bncheck: String,
    /// Its oracle.
    pub oracle: String,
    /// When it began, in milliseconds since 1970.
    pub started_unix_ms: u64,
}

/// What has changed for one case and backend.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Transition {
    /// The case's id.
    pub case: String,
    /// The backend's name.
    pub backend: String,
    /// What has happened.
    pub kind: TransitionKind,
    /// What it was; nothing where it is new.
    pub before: Option<Side>,
    /// What it is; nothing where it has gone.
    pub after: Option<Side>,
    /// Of what is not as expected, or was not before: the first difference, in a line.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub difference: Option<String>,
}

/// What has happened to a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TransitionKind {
    /// It is not as expected, and was before, or is new.
    NewlyFailing,
    /// It was not as expected, and passes now.
    Fixed,
    /// Another verdict, otherwise, or one that is measured on one side only.
    OtherVerdict,
    /// The budget used has grown by more than the factor.
    BudgetUp,
    /// The budget used has shrunk by more than the factor.
    BudgetDown,
    /// It is new.
    Added,
    /// It has gone.
    Removed,
}

/// One side of a transition.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Side {
    /// The verdict.
    pub verdict: Verdict,
    /// The budget used.
    pub budget_used: Option<f64>,
}

impl TransitionKind {
    /// All of them, in the order in which they are listed.
    pub const ALL: [TransitionKind; 7] = [
        TransitionKind::NewlyFailing,
        TransitionKind::Fixed,
        TransitionKind::OtherVerdict,
        TransitionKind::BudgetUp,
        TransitionKind::BudgetDown,
        TransitionKind::Added,
        TransitionKind::Removed,
    ];
}

impl Changes {
    /// The transitions of a kind.
    pub fn of_kind(&self, kind: TransitionKind) -> impl Iterator<Item = &Transition> {
        self.transitions.iter().filter(move |transition| transition.kind == kind)
    }

    /// Whether something was compared, and nothing is wrong that was not before.
    pub fn is_no_worse(&self) -> bool {
        self.compared > 0
            && self.deviation_errors.is_empty()
            && self.of_kind(TransitionKind::NewlyFailing).next().is_none()
    }
}
