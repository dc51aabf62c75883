//! How much of each constant of the budgets do sound implementations need? Cases are judged again with less of one.

use std::borrow::Cow;

use bn_api::{Request, Responder, Response, StepAnswer, TensorName};
use bn_cases::{Case, Problems, Suite};
use serde::{Deserialize, Serialize};

use crate::budget::{Accuracy, CaseBudget, Constants};
use crate::judge::compare;
use crate::oracle::Expected;
use crate::parallel;
use crate::results::Verdict;
use crate::sound::Question;

/// How many times what is needed a constant may be.
pub const SLACK: f64 = 4.0;

/// Into how many steps a constant is divided: needs are multiples of one of them.
const STEPS: u32 = 64;

/// Cases that are made to need each constant by itself.
///
/// # Errors
/// What is wrong with them.
pub fn calibration() -> Result<Suite, Problems> {
    bn_cases::load_str("calibration.yaml", include_str!("calibration.yaml"))
}

/// Everyone who answers, and who asks, for one thread.
pub struct Lineup<'a> {
    arbiter: Box<dyn Responder>,
    methods: Vec<(Accuracy, Box<dyn Responder>)>,
    question: Box<dyn FnMut(usize) -> Result<Question<'a>, String> + 'a>,
    /// What is known to be needed of each constant, in steps.
    known: Vec<u32>,
}

impl<'a> Lineup<'a> {
    /// The arbiter knows the exact answers; each method is judged by the accuracy beside it. `question` makes the
    /// question of a number.
    pub fn new(
        arbiter: Box<dyn Responder>,
        methods: Vec<(Accuracy, Box<dyn Responder>)>,
        question: impl FnMut(usize) -> Result<Question<'a>, String> + 'a,
    ) -> Self {
        Lineup { arbiter, methods, question: Box::new(question), known: vec![0; Constants::TABLE.len()] }
    }

    /// Asks these cases.
    pub fn of_cases(
        arbiter: Box<dyn Responder>,
        methods: Vec<(Accuracy, Box<dyn Responder>)>,
        cases: &'a [&'a Case],
    ) -> Self {
        let question = |number: usize| Ok(Question { case: Cow::Borrowed(cases[number]), yaml: None });
        Lineup::new(arbiter, methods, question)
    }
}

/// What is needed of a constant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Need {
    /// The constant's name.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// The share of it that is needed: with less of it a sound method fails. Above 1 where one fails with all of it.
    pub share: f64,
    /// Who needs it; nothing where no one does.
    pub by: Option<Needed>,
    /// What it stands for.
    pub reason: String,
}

/// Where a constant is needed most.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Needed {
    /// The method.
    pub method: String,
    /// The case's id.
    pub case: String,
    /// The step.
    pub step: usize,
    /// The tensor.
    pub tensor: TensorName,
}

impl Need {
    /// Whether the constant is large enough, and not too large.
    pub fn is_tight(&self) -> bool {
        self.share <= 1.0 && self.share * SLACK >= 1.0
    }
}

/// Asks `count` questions on up to `jobs` threads; `open` makes a lineup for each. The needs do not depend on how many
/// there are. `progress` is called after each case with the number of cases done.
///
/// # Errors
/// When no lineup can be had.
pub fn measure<'a, E: Send>(
    jobs: usize,
    count: usize,
    open: &(dyn Fn() -> Result<Lineup<'a>, E> + Sync),
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<Need>, E> {
    let mut largest: Vec<Option<(u32, usize, Needed)>> = vec![None; Constants::TABLE.len()];
    let mut done = 0;
    parallel::each(jobs, count, open, &ask, &mut |number, found: Vec<Found>| {
        for Found { constant, steps, needed } in found {
            let known = &mut largest[constant];
            let larger = known
                .as_ref()
                .is_none_or(|(most, first, _)| steps > *most || (steps == *most && number < *first));
            if larger {
                *known = Some((steps, number, needed));
            }
        }
        done += 1;
        progress(done);
    })?;
    let needs = Constants::TABLE.iter().zip(largest).map(|(&(name, reason), found)| Need {
        name: name.to_owned(),
        value: Constants::DERIVED.get(name).unwrap_or(f64::NAN),
        share: found.as_ref().map_or(0.0, |(steps, ..)| f64::from(*steps) / f64::from(STEPS)),
        by: found.map(|(.., needed)| needed),
        reason: reason.trim().to_owned(),
    });
    Ok(needs.collect())
}

/// What a case needs of a constant, where that is more than was known.
struct Found {
    constant: usize,
    steps: u32,
    needed: Needed,
}

/// Asks one question.
fn ask(lineup: &mut Lineup<'_>, number: usize) -> Vec<Found> {
    let Lineup { arbiter, methods, question, known } = lineup;
    let Ok(Question { case, .. }) = question(number) else { return Vec::new() };
    let request = Request::from_case(&case);
    let Ok(expected) = Expected::of_arbiter(arbiter.as_mut(), &request) else { return Vec::new() };
    let answers = Answers::of(methods, &expected);
    let mut found = Vec::new();
    for (constant, known) in known.iter_mut().enumerate() {
        let fails = |steps: u32| answers.first_failure(&expected, constant, steps);
        let Some(mut failure) = fails(*known) else { continue };
        // With `least` steps a method fails, with `most` none does, or there are no more.
        let (mut least, mut most) = (*known, STEPS + 1);
        while most - least > 1 {
            let middle = u32::midpoint(least, most);
            match fails(middle) {
                Some(at) => (least, failure) = (middle, at),
                None => most = middle,
            }
        }
        *known = most;
        let (method, step, tensor) = failure;
        let needed =
            Needed { method: method.to_owned(), case: case.id.clone(), step, tensor: tensor.clone() };
        found.push(Found { constant, steps: most, needed });
    }
    found
}

/// The accuracy that a constant is about.
fn accuracy_of(constant: usize) -> Accuracy {
    match Constants::TABLE[constant].0 {
        "rounded_inverse_std" => Accuracy::StatisticsRoundedToStorage,
        _ => Accuracy::Sound,
    }
}

/// The answers to a case, equal ones once.
struct Answers {
    /// For each step the accuracy that an answer is judged by, the first method that gave it, and itself.
    steps: Vec<Vec<(Accuracy, String, StepAnswer)>>,
}

impl Answers {
    fn of(methods: &mut [(Accuracy, Box<dyn Responder>)], expected: &Expected<'_>) -> Self {
        let mut steps: Vec<Vec<(Accuracy, String, StepAnswer)>> =
            expected.steps.iter().map(|_| Vec::new()).collect();
        for (accuracy, method) in methods {
            let Response::Answered(answers) = method.respond(expected.request) else { continue };
            for (known, answer) in steps.iter_mut().zip(answers) {
                if !known.iter().any(|(of, _, other)| of == accuracy && *other == answer) {
                    known.push((*accuracy, method.info().name.clone(), answer));
                }
            }
        }
        Answers { steps }
    }

    /// The first method that fails with this many steps of a constant, and where.
    fn first_failure(
        &self,
        expected: &Expected<'_>,
        constant: usize,
        steps: u32,
    ) -> Option<(&str, usize, &TensorName)> {
        let accuracy = accuracy_of(constant);
        if self.steps.iter().flatten().all(|(of, ..)| *of != accuracy) {
            return None;
        }
        let factor = f64::from(steps.min(STEPS)) / f64::from(STEPS);
        let constants = Constants::DERIVED.scaled(Constants::TABLE[constant].0, factor)?;
        let budget = CaseBudget::derive_with(expected.request, &expected.steps, accuracy, constants);
        let of_steps = self.steps.iter().zip(&expected.steps).enumerate();
        of_steps
            .flat_map(|(step, (answers, exact))| answers.iter().map(move |one| (step, exact, one)))
            .find_map(|(step, exact, (of, method, answer))| {
                if *of != accuracy || exact.error.is_some() != answer.error.is_some() {
                    return None;
                }
                let fails = |(name, got): &&(TensorName, bn_api::Tensor)| {
                    exact.tensor(name).is_some_and(|exact| {
                        compare(name, exact, got, budget.of(step, name)).verdict == Verdict::Fail
                    })
                };
                answer.tensors.iter().find(fails).map(|(name, _)| (method.as_str(), step, name))
            })
    }
}
