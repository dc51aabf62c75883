//! The oracle on trial: is it within what float64 allows about the arbiter's answers?
//!
//! Where it is not, no backend can be judged by it, and it is not the backend's failure.

use std::fmt::Write as _;

use bn_api::{LayerError, Request, StepAnswer, Tensor, TensorName};

use crate::budget::{CaseBudget, TensorBudget};
use crate::judge::{compare, passes};
use crate::results::{TensorResult, Verdict};

/// Where the answers of the oracle of this name are outside what float64 allows, a sentence a tensor. `exact` are the
/// arbiter's, and `allowed` is the budget of the widened request about them.
pub fn doubts(
    oracle: &str,
    request: &Request,
    exact: &[StepAnswer],
    allowed: &CaseBudget,
    answers: &[StepAnswer],
) -> Vec<String> {
    let mut doubts = Vec::new();
    for (step, (exact, answer)) in exact.iter().zip(answers).enumerate() {
        let action = step.checked_sub(1).map(|index| request.actions[index].name());
        let mut doubt = |what: String| {
            let name = action.unwrap_or("new layer");
            doubts.push(format!("the oracle is in doubt: step {step}, {name}: {what}"));
        };
        // A step that ends in another way gives other tensors as well; that is one doubt, not several.
        if let Some(what) = error_doubt(oracle, exact.error.as_ref(), answer.error.as_ref()) {
            doubt(what);
            continue;
        }
        for (name, exact) in &exact.tensors {
            let what = match answer.tensor(name) {
                Some(got) => tensor_doubt(oracle, name, &compare(name, exact, got, allowed.of(step, name))),
                None => Some(format!("{oracle} has no {name}, the arbiter has")),
            };
            what.into_iter().for_each(&mut doubt);
        }
        for (name, _) in answer.tensors.iter().filter(|(name, _)| exact.tensor(name).is_none()) {
            doubt(format!("{oracle} has {name}, the arbiter has none"));
        }
    }
    doubts
}

/// Whether there is no doubt, as the oracle is within budgets that are all finite, and no wider than those allowed.
pub fn is_beyond_doubt(exact: &[StepAnswer], narrower: &CaseBudget, answers: &[StepAnswer]) -> bool {
    let within = |budget: &TensorBudget, exact: &Tensor, got: &Tensor| {
        let alike = got.dtype() == budget.dtype && got.shape() == exact.shape();
        let finite = || budget.elements.iter().all(|allowed| allowed.is_finite());
        alike && finite() && passes(exact, budget, |index| got.value(index))
    };
    exact.iter().zip(answers).enumerate().all(|(step, (exact, answer))| {
        let class = |answer: &StepAnswer| answer.error.as_ref().map(|error| error.class);
        let all_there = exact.tensors.len() == answer.tensors.len() && class(exact) == class(answer);
        all_there
            && exact.tensors.iter().all(|(name, exact)| {
                let (got, budget) = (answer.tensor(name), narrower.of(step, name));
                got.zip(budget).is_some_and(|(got, budget)| within(budget, exact, got))
            })
    })
}

/// The words of an error are each one's own; its class is not.
fn error_doubt(oracle: &str, exact: Option<&LayerError>, got: Option<&LayerError>) -> Option<String> {
    let said = |error: Option<&LayerError>| {
        error.map_or_else(|| "no error".to_owned(), |error| format!("the error {}", error.class))
    };
    let agree = exact.map(|error| error.class) == got.map(|error| error.class);
    (!agree).then(|| format!("{oracle} raises {}, the arbiter {}", said(got), said(exact)))
}

fn tensor_doubt(oracle: &str, name: &TensorName, result: &TensorResult) -> Option<String> {
    if result.verdict == Verdict::Pass {
        return None;
    }
    let Some(worst) = &result.worst else {
        return Some(format!("{name}: {}", result.note.as_deref().unwrap_or("it cannot be compared")));
    };
    let (got, exact) = (&worst.got.decimal, &worst.expected.decimal);
    let mut what =
        format!("{name}{:?} is {got} in {oracle}'s float64 and {exact} in double-double", worst.index);
    // Beside what is infinite or NaN, and where only one number is right, it is not a matter of how far.
    let finite = [got, exact].into_iter().all(|number| number.parse().is_ok_and(f64::is_finite));
    if let Some(used) = result.budget_used.filter(|_| finite) {
        let _ = write!(what, ", {used:.3} times what float64 allows");
    }
    Some(what)
}
