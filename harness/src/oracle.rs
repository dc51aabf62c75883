//! What a case is judged by: libtorch in float64 on the same bits, and above it an arbiter in double-double.

use std::cell::OnceCell;
use std::sync::Arc;

use bn_api::{BackendInfo, Request, Responder, Response, StepAnswer};

use crate::budget::{Accuracy, CaseBudget, Constants};
use crate::recorded::Recording;
use crate::results::Unrecorded;
use crate::trial;

/// Who says what is right, so that the arbiter is not believed alone.
pub enum Oracle {
    /// libtorch, asked in float64.
    Live(Box<dyn Responder>),
    /// What it answered when it was recorded. A case that was not is judged by the arbiter alone.
    Recorded(Arc<Recording>),
    /// Nobody: the arbiter is believed alone.
    Nobody,
}

impl Oracle {
    /// Who it is, for the results of a run.
    pub fn about(&self, arbiter: &BackendInfo) -> String {
        match self {
            Oracle::Live(oracle) => format!("{} in float64", oracle.info().version),
            Oracle::Recorded(recording) => recording.about(),
            Oracle::Nobody => format!("none: the arbiter alone, {} in double-double", arbiter.version),
        }
    }

    /// What a case is judged by.
    ///
    /// # Errors
    /// Why oracle or arbiter gave no answer.
    pub fn expect<'r>(
        &mut self,
        arbiter: &mut dyn Responder,
        request: &'r Request,
    ) -> Result<Expected<'r>, String> {
        match self {
            Oracle::Live(oracle) => Expected::ask(oracle.as_mut(), arbiter, request),
            Oracle::Recorded(recording) => Expected::of_recording(recording, arbiter, request),
            Oracle::Nobody => Expected::of_arbiter(arbiter, request),
        }
    }
}

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
    /// Why the arbiter alone is behind this, where a recorded oracle says nothing of the case.
    pub unrecorded: Option<Unrecorded>,
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
        let wide = request.widened().contiguous();
        // It answers while the arbiter does.
        oracle.ask(&wide);
        let arbitrated =
            answers("arbiter", arbiter.respond(&wide), &wide).map(|exact| Arbitrated::of(&wide, exact));
        let answers = answers("oracle", oracle.respond(&wide), &wide)?;
        Ok(Self::tried(request, &wide, arbitrated?, &oracle.info().name, answers))
    }

    /// Asks the arbiter, and takes the oracle's answer from a recording. Where there is none in it, the arbiter is
    /// believed alone, and [`unrecorded`](Self::unrecorded) says so.
    ///
    /// # Errors
    /// Why one of them gave no answer.
    pub fn of_recording(
        recording: &Recording,
        arbiter: &mut dyn Responder,
        request: &'r Request,
    ) -> Result<Self, String> {
        let wide = request.widened().contiguous();
        let exact = answers("arbiter", arbiter.respond(&wide), &wide)?;
        match recording.answer(&wide, &exact) {
            Ok(recorded) => {
                let answers = answers("oracle", recorded, &wide)?;
                let arbitrated = Arbitrated::of(&wide, exact);
                Ok(Self::tried(request, &wide, arbitrated, &recording.provenance().oracle, answers))
            }
            Err(why) => Ok(Expected { unrecorded: Some(why), ..Self::new(request, exact, Vec::new()) }),
        }
    }

    /// Puts the oracle on trial.
    fn tried(
        request: &'r Request,
        wide: &Request,
        arbitrated: Arbitrated,
        oracle: &str,
        answers: Vec<StepAnswer>,
    ) -> Self {
        let Arbitrated { exact, narrower } = arbitrated;
        let doubts = if trial::is_beyond_doubt(&exact, &narrower, &answers) {
            Vec::new()
        } else {
            let allowed = CaseBudget::derive(wide, &exact, Accuracy::Folded);
            trial::doubts(oracle, wide, &exact, &allowed, &answers)
        };
        Self::new(request, numbers_of(exact, answers), doubts)
    }

    fn new(request: &'r Request, steps: Vec<StepAnswer>, doubts: Vec<String>) -> Self {
        Expected { request, steps, doubts, unrecorded: None, budgets: Default::default() }
    }

    /// Asks the arbiter alone.
    ///
    /// # Errors
    /// Why it gave no answer.
    pub fn of_arbiter(arbiter: &mut dyn Responder, request: &'r Request) -> Result<Self, String> {
        let wide = request.widened().contiguous();
        Ok(Self::new(request, answers("arbiter", arbiter.respond(&wide), &wide)?, Vec::new()))
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

/// The arbiter's answers to a widened request, and budgets about them that an oracle is mostly within.
struct Arbitrated {
    exact: Vec<StepAnswer>,
    narrower: CaseBudget,
}

impl Arbitrated {
    fn of(wide: &Request, exact: Vec<StepAnswer>) -> Self {
        // Without what sums lose one way budgets are narrower, and derived sooner. Few oracles need all that is allowed.
        let by_chance = Constants { sum_drift: 0.0, ..Constants::DERIVED };
        let narrower = CaseBudget::derive_with(wide, &exact, Accuracy::Folded, by_chance);
        Arbitrated { exact, narrower }
    }
}

fn answers(who: &str, response: Response, request: &Request) -> Result<Vec<StepAnswer>, String> {
    let none = |why: String| format!("the {who} gave no answer: {why}");
    match response {
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
