//! What a case is judged by: libtorch in float64 on the same bits, and above it an arbiter in double-double.

use std::cell::OnceCell;

use bn_api::{Request, Responder, Response, StepAnswer};

use crate::budget::{Accuracy, CaseBudget};
use crate::trial;

/// What a case's answers are judged by: the exact ones, and the budgets, each derived when it is first
/// needed. Computed once however many backends answer.
pub struct Expected<'r> {
    /// The question.
    pub request: &'r Request,
    /// The exact answers: the arbiter's numbers, which the oracle has confirmed as far as float64 goes. That is not far
    /// enough to take the oracle's own: beside what f64 allows its error is as much again, and even beside what f32 does
    /// where sums are exact (it folds the layer to x·a + b, which about a constant of 1e7 is off by 3e-7).
    pub steps: Vec<StepAnswer>,
    /// Where the oracle is outside what float64 allows, a sentence each. No backend is judged then.
    pub doubts: Vec<String>,
    /// By accuracy.
    budgets: [OnceCell<CaseBudget>; Accuracy::COUNT],
}

impl<'r> Expected<'r> {
    /// Asks the oracle and the arbiter, both with every tensor held in float64, which changes no number, and puts the
    /// oracle on trial.
    ///
    /// # Errors
    /// Why one of them gave no answer.
    pub fn ask(
        oracle: &mut dyn Responder,
        arbiter: &mut dyn Responder,
        request: &'r Request,
    ) -> Result<Self, String> {
        let wide = request.widened();
        let answers = answers("oracle", oracle, &wide)?;
        let exact = self::answers("arbiter", arbiter, &wide)?;
        let allowed = CaseBudget::derive(&wide, &exact, Accuracy::Folded);
        let doubts = trial::doubts(&oracle.info().name, &wide, &exact, &allowed, &answers);
        let steps = numbers_of(exact, answers);
        Ok(Expected { request, steps, doubts, budgets: Default::default() })
    }

    /// Asks the arbiter alone.
    ///
    /// # Errors
    /// Why it gave no answer.
    pub fn of_arbiter(arbiter: &mut dyn Responder, request: &'r Request) -> Result<Self, String> {
        let steps = answers("arbiter", arbiter, &request.widened())?;
        Ok(Expected { request, steps, doubts: Vec::new(), budgets: Default::default() })
    }

    /// The largest `|mean| / sqrt(var + eps)` of any channel that it normalises.
    pub fn kappa(&self) -> f64 {
        self.budget().kappa
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

fn answers(who: &str, responder: &mut dyn Responder, request: &Request) -> Result<Vec<StepAnswer>, String> {
    let none = |why: String| format!("the {who} gave no answer: {why}");
    match responder.respond(request) {
        Response::Answered(steps) if steps.len() == request.actions.len() + 1 => Ok(steps),
        Response::Answered(steps) => {
            Err(none(format!("{} answers to {} steps", steps.len(), request.actions.len() + 1)))
        }
        Response::Unsupported { reason } => Err(none(reason)),
        Response::Broken { message, .. } => Err(none(message)),
    }
}

/// The numbers of one and the words of the other, where both raise an error.
fn numbers_of(exact: Vec<StepAnswer>, answers: Vec<StepAnswer>) -> Vec<StepAnswer> {
    let steps = exact.into_iter().zip(answers);
    steps.map(|(exact, answer)| StepAnswer { error: exact.error.and(answer.error), ..exact }).collect()
}
