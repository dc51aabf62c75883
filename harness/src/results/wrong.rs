//! What is wrong with a result.

use super::{CaseResult, ErrorResult, StepResult, TensorResult, Verdict};

/// Something that is not as it should be after a step.
#[derive(Debug, Clone, Copy)]
pub enum Wrong<'a> {
    /// An error is raised that should not be, or none that should.
    Error(&'a ErrorResult),
    /// A tensor differs, or nobody can say.
    Tensor(&'a TensorResult),
}

impl StepResult {
    /// What is wrong after the step: the error first, then the tensors in their order.
    pub fn wrong(&self) -> impl Iterator<Item = Wrong<'_>> {
        let is_wrong = |verdict| matches!(verdict, Verdict::Fail | Verdict::Suspect);
        let error = self.error.as_ref().filter(move |error| is_wrong(error.verdict)).map(Wrong::Error);
        let tensors = self.tensors.iter().filter(move |tensor| is_wrong(tensor.verdict)).map(Wrong::Tensor);
        error.into_iter().chain(tensors)
    }
}

impl CaseResult {
    /// What is wrong first, and after which step.
    pub fn first_wrong(&self) -> Option<(&StepResult, Wrong<'_>)> {
        self.steps.iter().find_map(|step| Some((step, step.wrong().next()?)))
    }
}
