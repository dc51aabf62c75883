//! The verdict on one backend's answer to a case.

use bn_api::{Outcome, Responder, Response, StepAnswer};

use crate::deviations::{Affected, Declared, Deviation};
use crate::finds::Sign;
use crate::judge::{compare_declared, judge};
use crate::oracle::Expected;
use crate::results::{StepResult, TensorResult, Verdict};
use crate::vacuity::Vacuity;

/// The verdict on one backend's answer, and what it is made of.
pub struct Overall {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, where no step says it.
    pub reason: Option<String>,
    /// The steps, where there are answers to them.
    pub steps: Vec<StepResult>,
}

impl Overall {
    /// Where no step says why.
    pub fn new(verdict: Verdict, reason: String) -> Self {
        Overall { verdict, reason: Some(reason), steps: Vec::new() }
    }
}

/// What an answer is judged by.
pub struct Context<'a> {
    /// The exact answer and its budgets.
    pub expected: &'a Expected<'a>,
    /// What an idle backend would answer.
    pub vacuity: &'a Vacuity<'a>,
    /// Who answered.
    pub backend: &'a dyn Responder,
    /// What it answered to the case before.
    pub latest: &'a [StepAnswer],
    /// The steps' names, the new layer first.
    pub names: &'a [&'static str],
    /// What is declared of the case.
    pub declared: &'a Declared<'a>,
}

impl Context<'_> {
    /// The verdict, and to `needed` which of the declared deviations it needed.
    pub fn verdict(&self, response: &Response, needed: &mut Vec<usize>) -> Overall {
        match response {
            Response::Unsupported { reason } => Overall::new(Verdict::Unsupported, reason.clone()),
            Response::Broken { how: Outcome::Error, message } => {
                Overall::new(Verdict::Error, message.clone())
            }
            Response::Broken { how: Outcome::Timeout, message } => {
                Overall::new(Verdict::Timeout, message.clone())
            }
            Response::Broken { how: Outcome::Crash, message } => {
                match self.declared.covering.iter().find(|(_, entry)| entry.covers_what(Affected::Crash)) {
                    Some((number, entry)) => {
                        needed.push(*number);
                        Overall::new(Verdict::Known, describe(entry))
                    }
                    None => Overall::new(Verdict::Crash, message.clone()),
                }
            }
            Response::Answered(answers) if answers.len() != self.expected.steps.len() => {
                let message = format!("{} answers to {} steps", answers.len(), self.expected.steps.len());
                Overall::new(Verdict::Error, message)
            }
            Response::Answered(answers) => self.judged(answers, needed),
        }
    }

    fn judged(&self, answers: &[StepAnswer], needed: &mut Vec<usize>) -> Overall {
        let budget = self.expected.budget();
        let mut steps = judge(self.expected, budget, answers, self.backend.info(), self.names);
        for (step, answer) in steps.iter_mut().zip(answers) {
            self.declare(step, answer, needed);
        }
        self.know_by_what_shows(&mut steps, needed);
        self.vacuity.annotate(&mut steps, answers, self.latest);
        let verdicts = || {
            let errors = steps.iter().filter_map(|step| step.error.as_ref().map(|error| error.verdict));
            errors.chain(steps.iter().flat_map(|step| step.tensors.iter().map(|tensor| tensor.verdict)))
        };
        let compared = steps
            .iter()
            .any(|step| step.error.is_some() || step.tensors.iter().any(TensorResult::was_compared));
        let mut covering = self.declared.covering.iter();
        let no_longer = covering.find(|(number, entry)| entry.must_occur() && !needed.contains(number));
        let (verdict, reason) = if verdicts().any(|verdict| verdict == Verdict::Fail) {
            (Verdict::Fail, None)
        } else if verdicts().any(|verdict| verdict == Verdict::Suspect) {
            (Verdict::Suspect, None)
        } else if let Some((_, entry)) = no_longer {
            let reason = format!("the declared deviation `{}` does not occur here any more", entry.name);
            (Verdict::Fixed, Some(reason))
        } else if !needed.is_empty() {
            let mut numbers = needed.clone();
            numbers.sort_unstable();
            let entries = numbers.into_iter().filter_map(|number| self.declared.entry(number));
            (Verdict::Known, Some(entries.map(describe).collect::<Vec<_>>().join("\n")))
        } else if !compared {
            (Verdict::Vacuous, Some("nothing was compared".to_owned()))
        } else if let Some(why) = self.vacuity.of_case() {
            (Verdict::Vacuous, Some(why))
        } else if let Some((verdict, why)) = self.vacuity.of_results(&steps, self.backend.info()) {
            (verdict, Some(why))
        } else {
            (Verdict::Pass, None)
        };
        Overall { verdict, reason, steps }
    }

    /// Turns failures that are declared into known ones.
    fn declare(&self, step: &mut StepResult, answer: &StepAnswer, needed: &mut Vec<usize>) {
        let mut need = |number: usize| {
            if !needed.contains(&number) {
                needed.push(number);
            }
        };
        if let Some(error) = &mut step.error
            && error.verdict == Verdict::Fail
            && let Some((number, _)) =
                self.declared.covering.iter().find(|(_, entry)| entry.covers_what(Affected::Error))
        {
            error.verdict = Verdict::Known;
            need(*number);
        }
        for tensor in &mut step.tensors {
            if tensor.verdict != Verdict::Fail {
                continue;
            }
            let covering = self
                .declared
                .covering
                .iter()
                .filter(|(_, entry)| entry.covers_what(Affected::Tensor(tensor.tensor.tensor)));
            for (number, entry) in covering {
                let within_class = entry.accuracy.is_none_or(|accuracy| {
                    compare_declared(self.expected, accuracy, step.step, &tensor.tensor, answer)
                });
                if within_class {
                    tensor.verdict = Verdict::Known;
                    need(*number);
                    break;
                }
            }
        }
    }

    /// Turns what is wrong first, where an entry says that of cases it was not written for, into something known, and what
    /// comes after it as well: that no longer starts where PyTorch does.
    fn know_by_what_shows(&self, steps: &mut [StepResult], needed: &mut Vec<usize>) {
        if self.declared.showing.is_empty() {
            return;
        }
        let signs = steps.iter().enumerate();
        let mut signs = signs.filter_map(|(place, step)| Some((place, Sign::of_step(Verdict::Fail, step)?)));
        let Some((place, sign)) = signs.next() else { return };
        let shown = sign.to_string();
        let Some((number, _)) = self.declared.showing.iter().find(|(_, entry)| entry.shows(&shown)) else {
            return;
        };
        if !needed.contains(number) {
            needed.push(*number);
        }
        for step in &mut steps[place..] {
            let error = step.error.as_mut().map(|error| &mut error.verdict);
            let tensors = step.tensors.iter_mut().map(|tensor| &mut tensor.verdict);
            for verdict in error.into_iter().chain(tensors).filter(|verdict| **verdict == Verdict::Fail) {
                *verdict = Verdict::Known;
            }
        }
    }
}

fn describe(entry: &Deviation) -> String {
    format!("{}: {} ({})", entry.name, entry.reason.trim(), entry.link)
}

/// The largest budget that any tensor used.
pub(super) fn largest_budget(steps: &[StepResult]) -> Option<f64> {
    steps.iter().flat_map(|step| &step.tensors).filter_map(|tensor| tensor.budget_used).reduce(f64::max)
}
