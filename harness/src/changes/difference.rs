//! The first difference of a result, in a line.

use std::fmt::Write as _;

use crate::results::{CaseResult, ErrorResult, TensorResult, Wrong};

/// How many characters of a reason or message are kept.
const KEPT: usize = 300;

/// What is wrong with a result first: at which step, with which tensor, and by how much; or why there is no answer.
/// Nothing where nothing is said of it.
pub fn first_difference(result: &CaseResult) -> Option<String> {
    let Some((step, wrong)) = result.first_wrong() else {
        return result.reason.as_deref().map(first_line);
    };
    let what = match wrong {
        Wrong::Error(error) => of_error(error),
        Wrong::Tensor(tensor) => of_tensor(tensor),
    };
    Some(format!("step {} ({}): {what}", step.step, first_line(&step.action)))
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
