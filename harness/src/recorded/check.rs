//! Does the oracle still answer what was recorded?

use bn_api::{Request, Response, StepAnswer};

use super::digest;
use crate::budget::{Accuracy, CaseBudget};
use crate::trial;

/// How a recorded answer and one of today go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Agreement {
    /// They are the same, every bit of them.
    ToTheBit,
    /// The errors are the same, and all numbers within what float64 allows about the arbiter's, as those of kernels with
    /// other vector instructions are.
    Within,
    /// They are not.
    Apart(String),
}

/// Compares two answers to a request (with everything [held in float64](Request::widened)), to which the arbiter answered
/// `exact`.
pub fn compare(request: &Request, exact: &[StepAnswer], recorded: &Response, now: &Response) -> Agreement {
    if digest::of_response(recorded) == digest::of_response(now) {
        return Agreement::ToTheBit;
    }
    let (Response::Answered(recorded), Response::Answered(now)) = (recorded, now) else {
        return Agreement::Apart(format!("{} was recorded, now it is {}", word(recorded), word(now)));
    };
    let errors = |steps: &[StepAnswer]| steps.iter().map(|step| step.error.clone()).collect::<Vec<_>>();
    let (before, after) = (errors(recorded), errors(now));
    if let Some(step) = (0..before.len().max(after.len())).find(|&step| before.get(step) != after.get(step)) {
        let said = |errors: &[Option<bn_api::LayerError>]| match errors.get(step) {
            Some(Some(error)) => error.to_string(),
            Some(None) => "no error".to_owned(),
            None => "no answer".to_owned(),
        };
        return Agreement::Apart(format!(
            "step {step}: {} was recorded, now it is {}",
            said(&before),
            said(&after)
        ));
    }
    let allowed = CaseBudget::derive(request, exact, Accuracy::Folded);
    let doubts = |who: &str, answers: &[StepAnswer]| trial::doubts(who, request, exact, &allowed, answers);
    let mut doubts = doubts("the recording", recorded).into_iter().chain(doubts("libtorch", now));
    doubts.next().map_or(Agreement::Within, Agreement::Apart)
}

fn word(response: &Response) -> String {
    match response {
        Response::Answered(_) => "an answer".to_owned(),
        Response::Unsupported { reason } => format!("unsupported ({reason})"),
        Response::Broken { message, .. } => format!("none ({message})"),
    }
}
