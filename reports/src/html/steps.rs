//! What was compared after a step, as the page holds it: the results' own names, without what goes without saying.

use std::borrow::Cow;

use bn_harness::results::{self, Number, RaisedError, StepResult, TensorResult, Verdict};
use serde::Serialize;

use super::text::{line, passage};

/// A step.
#[derive(Debug, Serialize)]
pub struct Step<'a> {
    #[serde(rename = "step")]
    number: usize,
    action: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorOf<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tensors: Vec<Tensor<'a>>,
}

#[derive(Debug, Serialize)]
struct ErrorOf<'a> {
    verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<Raised<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    got: Option<Raised<'a>>,
}

#[derive(Debug, Serialize)]
struct Raised<'a> {
    class: String,
    message: Cow<'a, str>,
}

#[derive(Debug, Serialize)]
struct Tensor<'a> {
    #[serde(rename = "tensor")]
    name: Cow<'a, str>,
    /// `pass` goes without saying.
    #[serde(skip_serializing_if = "passes")]
    verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget_used: Option<f64>,
    total: usize,
    #[serde(skip_serializing_if = "is_zero")]
    mismatched: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    worst: Option<Worst<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<Cow<'a, str>>,
    /// Whether the run has drawn it. The page has the picture where there was room for it.
    #[serde(skip_serializing_if = "is_false")]
    drawn: bool,
}

#[derive(Debug, Serialize)]
struct Worst<'a> {
    index: &'a [usize],
    expected: NumberOf<'a>,
    got: NumberOf<'a>,
    ulps: Option<u64>,
    budget: Option<f64>,
}

#[derive(Debug, Serialize)]
struct NumberOf<'a> {
    decimal: Cow<'a, str>,
    bits: Cow<'a, str>,
}

/// A known mistake.
#[derive(Debug, PartialEq, Serialize)]
pub struct Mistake<'a> {
    name: Cow<'a, str>,
    about: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<Cow<'a, str>>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn passes(verdict: &Verdict) -> bool {
    *verdict == Verdict::Pass
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_false(value: &bool) -> bool {
    !value
}

/// A step.
pub fn step(step: &StepResult) -> Step<'_> {
    fn raised(raised: &RaisedError) -> Raised<'_> {
        Raised { class: raised.class.to_string(), message: passage(&raised.message) }
    }
    Step {
        number: step.step,
        action: line(&step.action),
        error: step.error.as_ref().map(|error| ErrorOf {
            verdict: error.verdict,
            expected: error.expected.as_ref().map(raised),
            got: error.got.as_ref().map(raised),
        }),
        tensors: step.tensors.iter().map(tensor).collect(),
    }
}

fn tensor(tensor: &TensorResult) -> Tensor<'_> {
    Tensor {
        name: Cow::Owned(line(&tensor.tensor.to_string()).into_owned()),
        verdict: tensor.verdict,
        budget_used: tensor.budget_used.map(round),
        total: tensor.total,
        mismatched: tensor.mismatched,
        worst: tensor.worst.as_ref().map(|worst| Worst {
            index: &worst.index,
            expected: number(&worst.expected),
            got: number(&worst.got),
            ulps: worst.ulps,
            budget: worst.budget.map(round),
        }),
        note: tensor.note.as_deref().map(passage),
        drawn: tensor.picture.is_some(),
    }
}

fn number(number: &Number) -> NumberOf<'_> {
    NumberOf { decimal: line(&number.decimal), bits: line(&number.bits) }
}

/// To four digits: more are not shown, and they do not pack.
pub fn round(share: f64) -> f64 {
    let exponent = share.abs().log10().floor();
    // Powers of ten up to the 22nd are exact; what is beyond takes longer.
    if !(-18.0..=18.0).contains(&exponent) {
        return format!("{share:.3e}").parse().unwrap_or(share);
    }
    let digits = 3 - exponent as i32;
    let scale = 10f64.powi(digits.abs());
    if digits < 0 { (share / scale).round() * scale } else { (share * scale).round() / scale }
}

impl Step<'_> {
    /// The step without how much of its budgets it uses.
    pub fn without_shares(mut self) -> Self {
        for tensor in &mut self.tensors {
            tensor.budget_used = None;
        }
        self
    }

    /// Of a step that differs, what does.
    pub fn difference(mut self) -> Option<Self> {
        self.error.take_if(|error| error.verdict == Verdict::Pass);
        self.tensors.retain(|tensor| tensor.verdict != Verdict::Pass);
        (self.error.is_some() || !self.tensors.is_empty()).then_some(self)
    }
}

impl<'a> Mistake<'a> {
    /// A mistake of the results.
    pub fn of(mistake: &'a results::Mistake) -> Self {
        Mistake {
            name: line(&mistake.name),
            about: passage(&mistake.about),
            link: mistake.link.as_deref().map(line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_four_digits() {
        let shares = [0.0, 0.990_123, 123_456.0, 1.5e-7, 1.234_56e-40, 1e300].map(round);
        assert_eq!(shares, [0.0, 0.9901, 123_500.0, 1.5e-7, 1.235e-40, 1e300]);
    }
}
