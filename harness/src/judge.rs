//! Compares an answer with the exact one, tensor by tensor, element by element.

use bn_api::{BackendInfo, DType, LayerError, Observable, StepAnswer, Tensor, TensorName};
use bn_cases::case::{Published, PublishedAnswer};
use bn_cases::is_same_path;

use crate::budget::{Accuracy, CaseBudget, TensorBudget};
use crate::oracle::Expected;
use crate::results::{ErrorResult, Number, RaisedError, StepResult, TensorResult, Verdict, Worst};

/// Judges the answers to all steps of a case. `step_names` has one name a step, the new layer first.
pub fn judge(
    expected: &Expected<'_>,
    budget: &CaseBudget,
    answers: &[StepAnswer],
    info: &BackendInfo,
    step_names: &[&str],
) -> Vec<StepResult> {
    expected
        .steps
        .iter()
        .zip(answers)
        .zip(step_names)
        .enumerate()
        .map(|(step, ((_, answer), name))| judge_step(expected, budget, step, answer, info, name))
        .collect()
}

/// Judges the answer to one step, which has this name.
pub fn judge_step(
    expected: &Expected<'_>,
    budget: &CaseBudget,
    step: usize,
    answer: &StepAnswer,
    info: &BackendInfo,
    name: &str,
) -> StepResult {
    let exact = &expected.steps[step];
    StepResult {
        step,
        action: name.to_owned(),
        error: judge_error(exact.error.as_ref(), answer.error.as_ref()),
        tensors: judge_tensors(budget, step, exact, answer, info),
    }
}

fn judge_error(expected: Option<&LayerError>, got: Option<&LayerError>) -> Option<ErrorResult> {
    let raised = |error: &LayerError| RaisedError {
        class: error.class,
        message: first_line(&error.message).to_owned(),
    };
    let verdict = match (expected, got) {
        (None, None) => return None,
        // A backend may reject in its own words.
        (Some(_), Some(_)) => Verdict::Pass,
        _ => Verdict::Fail,
    };
    Some(ErrorResult { verdict, expected: expected.map(raised), got: got.map(raised) })
}

fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}

fn judge_tensors(
    budget: &CaseBudget,
    step: usize,
    exact: &StepAnswer,
    answer: &StepAnswer,
    info: &BackendInfo,
) -> Vec<TensorResult> {
    // A step that raised an error against expectation gave nothing of its own; that is one mistake, not two.
    let own_expected = exact.error.is_some() == answer.error.is_some();
    let mut results = Vec::new();
    for name in names(exact, answer) {
        if is_of_the_step(name.tensor) && !own_expected {
            continue;
        }
        results.push(match (exact.tensor(name), answer.tensor(name)) {
            (None, None) => continue,
            (None, Some(_)) => whole(name, Verdict::Fail, 0, "PyTorch has no such tensor here"),
            (Some(exact), None) => match info.unobservable.iter().find(|known| known.tensor == name.tensor) {
                Some(known) => whole(name, Verdict::Unsupported, 0, &known.reason),
                None => whole(name, Verdict::Fail, exact.len(), "the backend gave no such tensor"),
            },
            (Some(exact), Some(got)) => compare(name, exact, got, budget.of(step, name)),
        });
    }
    results
}

/// Whether a tensor is what a step gives, not part of the state that stays.
pub(crate) fn is_of_the_step(tensor: Observable) -> bool {
    matches!(
        tensor,
        Observable::Output | Observable::GradInput | Observable::GradWeight | Observable::GradBias
    )
}

/// The tensors of either answer, each once: layer by layer, in the order in which they are compared.
fn names<'a>(exact: &'a StepAnswer, answer: &'a StepAnswer) -> Vec<&'a TensorName> {
    let mut layers: Vec<&str> = Vec::new();
    let mut names: Vec<(usize, &TensorName)> = Vec::new();
    for (name, _) in exact.tensors.iter().chain(&answer.tensors) {
        let known = layers.iter().position(|layer| is_same_path(layer, &name.layer));
        let layer = known.unwrap_or_else(|| {
            layers.push(&name.layer);
            layers.len() - 1
        });
        if !names.iter().any(|(of, known)| *of == layer && known.tensor == name.tensor) {
            names.push((layer, name));
        }
    }
    names.sort_by_key(|(layer, name)| (*layer, name.tensor));
    names.into_iter().map(|(_, name)| name).collect()
}

fn whole(tensor: &TensorName, verdict: Verdict, mismatched: usize, note: &str) -> TensorResult {
    TensorResult {
        tensor: tensor.clone(),
        verdict,
        budget_used: None,
        total: mismatched,
        mismatched,
        worst: None,
        note: Some(note.to_owned()),
        picture: None,
    }
}

/// Compares one tensor. Numbers by their budget; NaN and infinities by class, place and sign.
pub fn compare(
    tensor: &TensorName,
    exact: &Tensor,
    got: &Tensor,
    budget: Option<&TensorBudget>,
) -> TensorResult {
    let Some(TensorBudget { dtype, elements: budget, .. }) = budget else {
        return whole(tensor, Verdict::Suspect, exact.len(), "there is no budget for this tensor");
    };
    let dtype = *dtype;
    if got.dtype() != dtype {
        let note = format!("the answer is {}, PyTorch's {dtype}", got.dtype());
        return whole(tensor, Verdict::Fail, exact.len(), &note);
    }
    if got.shape() != exact.shape() {
        let note = format!("the answer's shape is {:?}, PyTorch's {:?}", got.shape(), exact.shape());
        return whole(tensor, Verdict::Fail, exact.len(), &note);
    }
    if budget.len() != exact.len() {
        // No budget, no verdict: this is a mistake of bncheck's, and must not pass.
        return whole(tensor, Verdict::Suspect, exact.len(), "there is no budget for this tensor");
    }
    let exact_values = exact.values();
    if budget.iter().zip(&exact_values).any(|(budget, exact)| budget.is_nan() && exact.is_finite()) {
        return whole(tensor, Verdict::Suspect, exact.len(), "the budget of this tensor cannot be computed");
    }
    let mut tally = Tally::default();
    for (index, (&budget, (&exact, got))) in
        budget.iter().zip(exact_values.iter().zip(got.values())).enumerate()
    {
        tally.add(index, used(dtype, exact, got, budget));
    }
    let worst = (tally.mismatched > 0).then(|| {
        let index = tally.worst_index;
        let expected_bits = dtype.bits_of(exact.value(index));
        Worst {
            index: got.position(index),
            expected: Number::of_bits(dtype, expected_bits),
            got: Number::of_bits(dtype, got.bits(index)),
            ulps: dtype.ulps_between(expected_bits, got.bits(index)),
            budget: Some(budget[index]).filter(|budget| budget.is_finite()),
        }
    });
    TensorResult {
        tensor: tensor.clone(),
        verdict: if tally.mismatched == 0 { Verdict::Pass } else { Verdict::Fail },
        budget_used: tally.largest.filter(|used| used.is_finite()),
        total: tally.compared,
        mismatched: tally.mismatched,
        worst,
        note: tally.note(exact.len()),
        picture: None,
    }
}

/// Whether an answer passes whose element number `index` is `got(index)` and which has the exact one's shape: what
/// [`compare`] says of it, as soon as it is known.
pub(crate) fn passes(exact: &Tensor, budget: &TensorBudget, got: impl Fn(usize) -> f64) -> bool {
    let TensorBudget { dtype, elements, .. } = budget;
    let is_outside = |(index, &budget): (usize, &f64)| {
        let exact = exact.value(index);
        (budget.is_nan() && exact.is_finite()) || used(*dtype, exact, got(index), budget).is_outside()
    };
    elements.len() == exact.len() && !elements.iter().enumerate().any(is_outside)
}

/// Whether any element of an answer would be judged.
pub(crate) fn judges_any(exact: &Tensor, budget: &TensorBudget) -> bool {
    let TensorBudget { dtype, elements, .. } = budget;
    let judged = |(index, &budget): (usize, &f64)| {
        let exact = exact.value(index);
        let cannot_be_computed = budget.is_nan() && exact.is_finite();
        cannot_be_computed || used(*dtype, exact, dtype.round(exact), budget) != Used::NotJudged
    };
    elements.iter().enumerate().any(judged)
}

/// Whether a tensor of an answer is within the budget of a declared accuracy.
pub fn compare_declared(
    expected: &Expected<'_>,
    accuracy: Accuracy,
    step: usize,
    tensor: &TensorName,
    answer: &StepAnswer,
) -> bool {
    let budget = expected.budget_for(accuracy).of(step, tensor);
    let exact = expected.steps.get(step).and_then(|exact| exact.tensor(tensor));
    let (Some(exact), Some(got)) = (exact, answer.tensor(tensor)) else { return false };
    compare(tensor, exact, got, budget).verdict == Verdict::Pass
}

/// How one element compares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Used {
    /// Its error over its budget.
    Of(f64),
    /// The same NaN or infinity as expected.
    SameClass,
    /// A NaN, an infinity or a number where something else should be.
    OtherClass,
    /// A sound implementation may overflow or lose everything on the way here: anything goes.
    NotJudged,
}

impl Used {
    /// Whether it is wrong.
    pub fn is_outside(self) -> bool {
        match self {
            Used::Of(share) => share > 1.0,
            Used::OtherClass => true,
            Used::SameClass | Used::NotJudged => false,
        }
    }
}

/// How a number compares with the exact one, given how far it may be away.
pub(crate) fn used(dtype: DType, exact: f64, got: f64, budget: f64) -> Used {
    if !budget.is_finite() {
        // Without bound, as opposed to without a budget that could be computed: an overflow, or a root that a
        // sound answer has and the exact one has not.
        if budget == f64::INFINITY {
            return Used::NotJudged;
        }
        // From infinities and NaNs on the way, algorithms that are all sound make one or the other of them
        // (Welford's mean of an infinite value is NaN, the plain one infinite), but never a number.
        return match (exact.is_finite(), got.is_finite()) {
            (true, _) => Used::NotJudged,
            (false, false) => Used::SameClass,
            (false, true) => Used::OtherClass,
        };
    }
    if exact.is_nan() || got.is_nan() {
        return if exact.is_nan() && got.is_nan() { Used::SameClass } else { Used::OtherClass };
    }
    if exact.is_infinite() {
        return if exact == got { Used::SameClass } else { Used::OtherClass };
    }
    if got.is_infinite() {
        // Right when the exact number, or one within its budget on that side, is too large for the type.
        let overflows = dtype.round(exact + budget.copysign(got)) == got;
        return if overflows { Used::SameClass } else { Used::OtherClass };
    }
    let error = (got - exact).abs();
    // An exact answer uses nothing, even of a budget of 0.
    Used::Of(if error == 0.0 { 0.0 } else { error / budget })
}

#[derive(Default)]
struct Tally {
    compared: usize,
    mismatched: usize,
    not_judged: usize,
    largest: Option<f64>,
    worst_index: usize,
    worst: f64,
}

impl Tally {
    fn add(&mut self, index: usize, used: Used) {
        let badness = match used {
            Used::NotJudged => {
                self.not_judged += 1;
                return;
            }
            Used::SameClass => 0.0,
            Used::OtherClass => f64::INFINITY,
            Used::Of(share) => {
                self.largest = Some(self.largest.unwrap_or(0.0).max(share));
                share
            }
        };
        self.compared += 1;
        if used.is_outside() {
            if self.mismatched == 0 || badness > self.worst {
                (self.worst, self.worst_index) = (badness, index);
            }
            self.mismatched += 1;
        }
    }

    fn note(&self, elements: usize) -> Option<String> {
        (self.not_judged > 0).then(|| {
            format!(
                "{} of {elements} elements not judged: a sound answer may be anything there",
                self.not_judged
            )
        })
    }
}

/// Compares the oracle's answers with what the case file knows from elsewhere. Each disagreement is a
/// sentence.
pub fn check_published(expected: &Expected<'_>, published: &[Published]) -> Vec<String> {
    let mut doubts = Vec::new();
    for known in published {
        let Some(answer) = expected.steps.get(known.step) else { continue };
        let source = known.source.as_ref().map(|source| format!(" ({source})")).unwrap_or_default();
        match (&known.what, &answer.error) {
            (PublishedAnswer::Error(class), Some(error)) if *class == error.class => {}
            (PublishedAnswer::Error(class), Some(error)) => doubts.push(format!(
                "step {}: the file expects the error {class}, the oracle raises {}{source}",
                known.step, error.class
            )),
            (PublishedAnswer::Error(class), None) => doubts.push(format!(
                "step {}: the file expects the error {class}, the oracle raises none{source}",
                known.step
            )),
            (PublishedAnswer::Tensor { tensor, values, within }, _) => {
                let Some(exact) = answer.tensor(tensor) else {
                    doubts.push(format!("step {}: the oracle gives no {tensor}{source}", known.step));
                    continue;
                };
                let budget = expected.budget().of(known.step, tensor);
                for (index, &value) in values.iter().enumerate() {
                    let own = budget.and_then(|budget| budget.elements.get(index)).copied();
                    let allowed = within + own.unwrap_or(0.0);
                    let exact = exact.value(index);
                    let agree = (exact.is_nan() && value.is_nan())
                        || exact == value
                        || (exact - value).abs() <= allowed;
                    if !agree {
                        doubts.push(format!(
                            "step {}: the file says {tensor}[{index}] is {value:?} ± {within:?}, the oracle {exact:?}{source}",
                            known.step
                        ));
                    }
                }
            }
        }
    }
    doubts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(exact: &Tensor, got: &Tensor, budget: &[f64]) -> TensorResult {
        let name = TensorName::from(Observable::Output);
        let budget = TensorBudget::new(name.clone(), DType::F32, budget.to_vec());
        compare(&name, exact, got, Some(&budget))
    }

    fn verdict(exact: f64, got: f64, budget: f64) -> (Verdict, Option<f64>) {
        let tensor = |dtype, value| Tensor::from_values(dtype, &[1], [value]);
        let (exact, got) = (tensor(DType::F64, exact), tensor(DType::F32, got));
        let result = compared(&exact, &got, &[budget]);
        (result.verdict, result.budget_used)
    }

    #[test]
    fn a_number_passes_up_to_its_budget() {
        assert_eq!(verdict(1.0, 1.5, 0.5), (Verdict::Pass, Some(1.0)));
        assert_eq!(verdict(1.0, 1.5, 0.25), (Verdict::Fail, Some(2.0)));
        assert_eq!(verdict(1.0, 1.0, 0.0), (Verdict::Pass, Some(0.0)));
        assert_eq!(verdict(1.0, 1.5, 0.0), (Verdict::Fail, None));
    }

    #[test]
    fn classes_must_agree() {
        let (nan, inf) = (f64::NAN, f64::INFINITY);
        assert_eq!(verdict(nan, nan, nan).0, Verdict::Pass);
        assert_eq!(verdict(nan, 1.0, nan).0, Verdict::Fail);
        assert_eq!(verdict(1.0, nan, 0.1).0, Verdict::Fail);
        assert_eq!(verdict(inf, inf, 0.1).0, Verdict::Pass);
        assert_eq!(verdict(inf, -inf, 0.1).0, Verdict::Fail);
        assert_eq!(verdict(inf, 1.0, 0.1).0, Verdict::Fail);
        assert_eq!(verdict(1.0, inf, 0.1).0, Verdict::Fail);
    }

    #[test]
    fn of_what_is_not_a_number_the_kind_counts_only_where_it_is_certain() {
        let (nan, inf) = (f64::NAN, f64::INFINITY);
        assert_eq!(verdict(nan, inf, inf).0, Verdict::Pass);
        assert_eq!(verdict(inf, nan, nan).0, Verdict::Pass);
        assert_eq!(verdict(nan, 1.0, nan).0, Verdict::Fail);
        assert_eq!(verdict(1.0, 1.0, nan).0, Verdict::Suspect);
    }

    #[test]
    fn infinity_is_right_where_the_number_is_too_large_for_the_type() {
        assert_eq!(verdict(1e39, f64::INFINITY, 1e32).0, Verdict::Pass);
        assert_eq!(verdict(1e39, f64::NEG_INFINITY, 1e32).0, Verdict::Fail);
        assert_eq!(verdict(1e38, f64::INFINITY, 1e32).0, Verdict::Fail);
    }

    #[test]
    fn an_element_with_an_infinite_budget_is_not_compared() {
        let tensor = Tensor::from_values(DType::F32, &[2], [1.0, 2.0]);
        let exact = tensor.cast(DType::F64);
        let result = compared(&exact, &tensor, &[f64::INFINITY, 1.0]);
        assert_eq!((result.verdict, result.total), (Verdict::Pass, 1));
        assert!(result.note.is_some());
    }

    #[test]
    fn another_dtype_or_shape_fails_as_a_whole() {
        let exact = Tensor::from_values(DType::F64, &[2], [1.0, 2.0]);
        let half = exact.cast(DType::F16);
        let result = compared(&exact, &half, &[1.0, 1.0]);
        assert_eq!((result.verdict, result.mismatched), (Verdict::Fail, 2));
        let column = Tensor::from_values(DType::F32, &[2, 1], [1.0, 2.0]);
        assert_eq!(compared(&exact, &column, &[1.0, 1.0]).verdict, Verdict::Fail);
    }
}
