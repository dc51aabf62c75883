//! What must hold of every case.
//!
//! A [`Property`] looks at a backend's answers to one request, may ask the backend something else that follows from
//! it, and says whether what must hold does. [`Differential`] is the one that needs an oracle. All others are
//! *metamorphic*: they compare answers of the same backend, to the request and to a change of it whose answer is
//! known once that to the request is, and need none. Two answers of a sound implementation, each within its budget of
//! the exact one, are no further apart than both budgets together; nothing else is tolerated. `docs/properties.md`
//! has a table of them.

mod again;
mod ask;
mod compare;
mod differential;
mod exact;
mod layout;
mod linear;
mod own;
mod permuted;
mod rewrite;
mod round_trip;
mod running;
mod scaled;
mod sums;

use std::fmt;

use bn_api::{Request, Responder, StepAnswer, TensorName};
use bn_cases::did_you_mean;
use bn_harness::budget::{Accuracy, CaseBudget};
use bn_harness::oracle::Expected;
use thiserror::Error;

pub use differential::{
    Differential, Place, SUITE, Violation, Wrong, answers_within_budget, is_within_budget, loads_as_it_is,
    reference_is_within_budget,
};

/// The name of the property that asks a backend with another number of threads.
pub const THREADS: &str = "any-threads";

/// Something that must hold of a backend's answers to every case.
pub trait Property: Sync {
    /// Its name, in kebab-case.
    fn name(&self) -> &'static str;

    /// What must hold, in a sentence.
    fn about(&self) -> &'static str;

    /// What it says of one request.
    ///
    /// # Errors
    /// What does not hold, and where.
    fn check(&self, asked: &mut Asked<'_>) -> Result<Held, Broken>;
}

/// That nothing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// It holds.
    Yes,
    /// There is nothing that it could say of this request, for this reason.
    NotHere(&'static str),
}

/// That a property does not hold.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("{what}")]
pub struct Broken {
    /// What is wrong, in words.
    pub what: String,
    /// Where. Where the changed request is a script of the property's own, the step is one of that.
    pub spot: Option<Spot>,
    /// The request whose answer shows it, where it is not the one that was given.
    pub transformed: Option<Request>,
}

impl Broken {
    /// Without a place.
    fn new(what: impl Into<String>) -> Self {
        Broken { what: what.into(), spot: None, transformed: None }
    }

    /// What is wrong with a tensor, or where there is none, with the error of a step.
    fn at(step: usize, tensor: Option<TensorName>, what: String) -> Self {
        Broken { what, spot: Some(Spot { step, tensor }), transformed: None }
    }

    /// Shown by this request.
    fn by(self, transformed: &Request) -> Self {
        Broken { transformed: Some(transformed.clone()), ..self }
    }
}

/// A place in the answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// The step, from 1; 0 is the layer as constructed.
    pub step: usize,
    /// The tensor; nothing where it is the error of the step.
    pub tensor: Option<TensorName>,
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tensor {
            Some(tensor) => write!(f, "step {}, {tensor}", self.step),
            None => write!(f, "step {}", self.step),
        }
    }
}

/// A request that has been answered, and who may be asked more.
pub struct Asked<'a> {
    /// The request.
    pub request: &'a Request,
    /// The backend's answers to it: one for the new layer and one a step.
    pub answers: &'a [StepAnswer],
    /// What the answers are judged by. Metamorphic properties know its budgets alone, never its numbers.
    pub expected: &'a Expected<'a>,
    /// How accurate the backend claims to be, which the budgets go by.
    pub accuracy: Accuracy,
    /// The backend.
    pub backend: &'a mut dyn Responder,
    /// The same backend with another number of threads, where there is one.
    pub threads: Option<&'a mut dyn Responder>,
}

impl Asked<'_> {
    /// How far the answers may be from the exact ones.
    pub fn budget(&self) -> &CaseBudget {
        self.expected.budget_for(self.accuracy)
    }
}

/// All properties; the differential one first, as what it finds needs no other.
pub static PROPERTIES: &[&dyn Property] = &[
    &Differential,
    &permuted::Batch,
    &permuted::Channels,
    &permuted::Split,
    &scaled::Scaled,
    &layout::OtherLayouts,
    &linear::LinearGradient,
    &sums::InputGradientVanishes,
    &sums::BiasGradient,
    &sums::EvaluationIsAffine,
    &running::ClosedForm,
    &running::PlainAverage,
    &running::BatchComesBack,
    &round_trip::SavedAndLoaded,
    &round_trip::CastAndBack,
    &again::Twice,
    &again::Threads,
];

/// No property has this name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no property `{name}`; {way_out}")]
pub struct Unknown {
    name: String,
    /// The one that may be meant, or all there are.
    way_out: String,
}

/// The property with this name.
///
/// # Errors
/// When there is none; the error says which name is close, or all of them.
pub fn find(name: &str) -> Result<&'static dyn Property, Unknown> {
    let names = || PROPERTIES.iter().map(|property| property.name());
    PROPERTIES.iter().find(|property| property.name() == name).copied().ok_or_else(|| {
        let all = || format!("there are {}", names().collect::<Vec<_>>().join(", "));
        Unknown { name: name.to_owned(), way_out: did_you_mean(name, names()).unwrap_or_else(all) }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_property_is_found_by_its_name_and_a_misspelt_one_is_guessed() {
        for property in PROPERTIES {
            assert_eq!(find(property.name()).map(Property::name), Ok(property.name()));
            assert!(!property.about().is_empty() && !property.about().ends_with('.'), "{}", property.name());
        }
        let unknown = |name| find(name).err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(
            unknown("permuted-bach"),
            "there is no property `permuted-bach`; did you mean `permuted-batch`?"
        );
        assert!(unknown("xyz").starts_with("there is no property `xyz`; there are differential, "));
    }

    #[test]
    fn names_are_unique_and_in_kebab_case() {
        let names: BTreeSet<&str> = PROPERTIES.iter().map(|property| property.name()).collect();
        assert_eq!(names.len(), PROPERTIES.len());
        assert!(names.iter().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '-')));
    }
}
