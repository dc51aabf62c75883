//! The first difference of a result, in a line.

use std::fmt::Write as _;

use crate::results::{CaseResult, ErrorResult, StepResult, TensorResult, Verdict};

/// How many characters of a reason or message are kept.
const KEPT: usize = 300;

/// What is wrong with a result first: at which step, with which tensor, and by how much; or why there is no answer.
/// Nothing where nothing is said of it.
pub fn first_difference(result: &CaseResult) -> Option<String> {
    let wrong = result.steps.iter().find_map(|step| Some(format!("{}: {}", place(step), in_step(step)?)));
    wrong.or_else(|| result.reason.as_deref().map(first_line))
}

fn place(step: &StepResult) -> String {
    format!("step {} ({})", step.step, first_line(&step.action))
}

fn in_step(step: &StepResult) -> Option<String> {
    let error = step.error.as_ref().filter(|error| is_wrong(error.verdict)).map(of_error);
    error.or_else(|| step.tensors.iter().find(|tensor| is_wrong(tensor.verdict)).map(of_tensor))
}

fn is_wrong(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Fail | Verdict::Suspect)
}

fn of_error(error: &ErrorResult) -> String {
    match (&error.expected, &error.got) {
        (Some(expected), None) => format!("accepts what PyTorch rejects with {}", expected.class),
        (None, Some(got)) => {
            format!("raises an error where PyTorch raises none: {}", first_line(&got.message))
        }
        _ => "raises another error than PyTorch".to_owned(),
    }
}

fn of_tensor(tensor: &TensorResult) -> String {
    let mut text = tensor.tensor.to_string();
    if tensor.mismatched > 0 {
        let _ = write!(text, " mismatches {} of {}", tensor.mismatched, tensor.total);
    }
    match (&tensor.worst, &tensor.note) {
        (Some(worst), _) => {
            let (got, expected) = (first_line(&worst.got.decimal), first_line(&worst.expected.decimal));
            let _ = write!(text, ", worst at {:?}: {got} where {expected} should be", worst.index);
        }
        (None, Some(note)) => {
            let _ = write!(text, ", {}", first_line(note));
        }
        (None, None) => {}
    }
    text
}

/// The first line of a text, cut where it is very long.
fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let mut kept: String = line.chars().take(KEPT).collect();
    if kept.len() < line.len() {
        kept.push('…');
    }
    kept
}
