//! The oracle: libtorch in float64 on the same bits.

use std::cell::OnceCell;

use bn_api::{Request, Responder, Response, StepAnswer};

use crate::budget::{Accuracy, CaseBudget};

/// What a case's answers are judged by: the exact ones, and the budgets, each derived when it is first
/// needed. Computed once however many backends answer.
pub struct Expected<'r> {
    /// The question.
    pub request: &'r Request,
    /// The exact answers.
    pub steps: Vec<StepAnswer>,
    /// By accuracy.
    budgets: [OnceCell<CaseBudget>; Accuracy::COUNT],
}

impl<'r> Expected<'r> {
    /// Asks the oracle: every tensor is held in float64, which changes no number.
    ///
    /// # Errors
    /// Why the oracle gave no answer.
    pub fn ask(oracle: &mut dyn Responder, request: &'r Request) -> Result<Self, String> {
        match oracle.respond(&request.widened()) {
            Response::Answered(steps) if steps.len() == request.actions.len() + 1 => {
                Ok(Expected { request, steps, budgets: Default::default() })
            }
            Response::Answered(steps) => {
                Err(format!("{} answers to {} steps", steps.len(), request.actions.len() + 1))
            }
            Response::Unsupported { reason } => Err(reason),
            Response::Broken { message, .. } => Err(message),
        }
    }

    /// The budgets of a sound answer.
    pub fn budget(&self) -> &CaseBudget {
        self.budget_for(Accuracy::Sound)
    }

    /// The budgets of a declared accuracy.
    pub fn budget_for(&self, accuracy: Accuracy) -> &CaseBudget {
        let derive = || CaseBudget::derive(self.request, &self.steps, accuracy);
        self.budgets[accuracy as usize].get_or_init(derive)
    }
}
