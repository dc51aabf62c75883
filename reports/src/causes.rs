//! Why results are not as expected, so that what comes from one mistake is told once.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use bn_harness::results::{
    BackendDiagnosis, CaseInfo, CaseResult, ErrorResult, Mistake, RunResults, Suspicion, TensorResult,
    Verdict, Wrong,
};

use crate::terminal::thousands;

/// Results that are not as expected for the same reason. Its texts are as they came: whoever shows them makes them
/// harmless.
#[derive(Debug, Clone, PartialEq)]
pub struct Cause<'a> {
    /// The backend; nothing where it is not to blame, as where the oracle is in doubt.
    pub backend: Option<&'a str>,
    /// What is wrong, in a line.
    pub what: String,
    /// The results, in the order of the run.
    pub results: Vec<&'a CaseResult>,
}

impl Cause<'_> {
    /// The verdict on the first of them.
    pub fn verdict(&self) -> Verdict {
        self.results.first().map_or(Verdict::Error, |first| first.verdict)
    }

    /// How many cases they are of.
    pub fn cases(&self) -> usize {
        self.results.iter().map(|result| result.case.as_str()).collect::<HashSet<_>>().len()
    }
}

/// The cases of a run by their ids.
pub fn by_id(results: &RunResults) -> HashMap<&str, &CaseInfo> {
    results.cases.iter().map(|case| (case.id.as_str(), case)).collect()
}

/// Why results are not as expected; what the most of them come from first, then in the order of the run.
///
/// What is diagnosed as the same mistake of the same backend is one cause. What is not diagnosed is one cause where the
/// same backend's same tensor differs first after the same action, or where the same is said but for numbers.
pub fn of(results: &RunResults) -> Vec<Cause<'_>> {
    let mut causes: Vec<Cause> = Vec::new();
    let mut places: HashMap<(Option<&str>, Verdict, String), usize> = HashMap::new();
    for result in results.unexpected() {
        let blamed = !matches!(result.verdict, Verdict::Suspect | Verdict::Vacuous);
        let backend = blamed.then_some(result.backend.as_str());
        let (what, kind) = diagnosed(results, result).map_or_else(
            || {
                let symptom = symptom(result);
                let kind = alike(&symptom);
                (symptom, kind)
            },
            |mistake| (mistake.clone(), mistake),
        );
        let place = *places.entry((backend, result.verdict, kind)).or_insert(causes.len());
        if place == causes.len() {
            causes.push(Cause { backend, what, results: Vec::new() });
        }
        causes[place].results.push(result);
    }
    causes.sort_by_cached_key(|cause| Reverse(cause.cases()));
    causes
}

/// The text with every number the same: what tells causes apart are the words.
fn alike(what: &str) -> String {
    let mut text = String::with_capacity(what.len());
    for c in what.chars() {
        match c {
            '0'..='9' if text.ends_with('#') => {}
            '0'..='9' => text.push('#'),
            c => text.push(c),
        }
    }
    text
}

/// The mistake that reproduces the result, and the most of the backend's others.
fn diagnosed(results: &RunResults, result: &CaseResult) -> Option<String> {
    let first = result.diagnosis.first()?;
    let of_backend = |diagnosis: &&BackendDiagnosis| diagnosis.backend == result.backend;
    let explanations = results.diagnoses.iter().find(of_backend).map_or(&[][..], |found| &found.explanations);
    let is_named = |suspicion: &Suspicion| result.diagnosis.iter().any(|own| is_same(own, suspicion));
    let explanation = explanations.iter().find(|explanation| explanation.alike.iter().any(is_named));
    let Some(explanation) = explanation else {
        return Some(sentence(first));
    };
    let or = match explanation.alike.len() - 1 {
        0 => String::new(),
        1 => ", or another that cannot be told from it".to_owned(),
        others => format!(", or one of {others} others that cannot be told from it"),
    };
    Some(sentence(&explanation.alike[0]) + &or)
}

fn is_same(one: &Suspicion, other: &Suspicion) -> bool {
    let names = |suspicion: &Suspicion| -> Vec<String> {
        suspicion.mistakes.iter().map(|mistake| mistake.name.clone()).collect()
    };
    names(one) == names(other)
}

fn sentence(suspicion: &Suspicion) -> String {
    let one = |mistake: &Mistake| format!("{} [{}]", mistake.about, mistake.name);
    suspicion.mistakes.iter().map(one).collect::<Vec<_>>().join(" and ")
}

/// What shows first, without what only this case has.
fn symptom(result: &CaseResult) -> String {
    let is_told_by_steps = result.verdict == Verdict::Fail || result.reason.is_none();
    match result.first_wrong().filter(|_| is_told_by_steps) {
        Some((step, Wrong::Error(error))) => format!("{}: {}", step.action, error_line(error)),
        Some((step, Wrong::Tensor(tensor))) if step.step == 0 => {
            format!("{} of a new layer differs", tensor.tensor)
        }
        Some((step, Wrong::Tensor(tensor))) => format!("{} differs after {}", tensor.tensor, step.action),
        None => said(result),
    }
}

/// What differs first, with its figures, in a line; the reason where no step says it.
pub fn difference(result: &CaseResult) -> String {
    let Some((step, wrong)) = result.first_wrong() else {
        return said(result);
    };
    let what = match wrong {
        Wrong::Error(error) => error_line(error),
        Wrong::Tensor(tensor) => tensor_line(tensor),
    };
    format!("step {} ({}): {what}", step.step, step.action)
}

/// The first line of the reason, or what the verdict says of itself.
fn said(result: &CaseResult) -> String {
    let reason = result.reason.as_deref().unwrap_or_default();
    let line = reason.lines().map(str::trim).find(|line| !line.is_empty());
    let unsaid = match result.verdict {
        Verdict::Vacuous => "nothing is compared that an idle backend would get wrong",
        verdict => verdict.name(),
    };
    line.unwrap_or(unsaid).to_owned()
}

fn error_line(error: &ErrorResult) -> String {
    let line = match (&error.expected, &error.got) {
        (Some(expected), None) => format!("accepts what PyTorch rejects with {}", expected.class),
        (None, Some(got)) => format!("raises an error where PyTorch raises none: {}", got.message.trim()),
        (Some(expected), Some(_)) => format!("another error than PyTorch's {}", expected.class),
        (None, None) => "an error".to_owned(),
    };
    line.lines().next().unwrap_or_default().to_owned()
}

fn tensor_line(tensor: &TensorResult) -> String {
    let mut line = tensor.tensor.to_string();
    if tensor.mismatched > 0 {
        let _ = write!(line, " mismatches {} of {}", tensor.mismatched, tensor.total);
    }
    if let Some(worst) = &tensor.worst {
        if !worst.index.is_empty() {
            let _ = write!(line, ", worst at {:?}", worst.index);
        }
        let _ = write!(line, ": {} where {} should be", worst.got.decimal, worst.expected.decimal);
        if let Some(ulps) = worst.ulps {
            let _ = write!(line, ", {} ulp apart", thousands(ulps));
        }
    } else if let Some(note) = &tensor.note {
        let _ = write!(line, ": {note}");
    }
    line
}
