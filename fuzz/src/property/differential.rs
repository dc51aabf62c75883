//! Against an oracle: the property that looks at numbers.

use std::fmt::{self, Write as _};

use bn_api::{
    Action, Backend, BackendInfo, ErrorClass, InProcess, Request, Responder, Response, StepAnswer, guarded,
};
use bn_cases::Case;
use bn_cases::format::CaseSpec;
use bn_harness::budget::CaseBudget;
use bn_harness::judge::judge;
use bn_harness::oracle::Expected;
use bn_harness::results::{StepResult, TensorResult, Verdict};
use bn_reference::{Arbiter, Reference};

use super::{Asked, Broken, Held, Property, Spot};
use crate::render;

/// The suite that a generated case is in.
pub const SUITE: &str = "fuzz";

/// A case of which the property does not hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Violation {
    /// The case, as a suite.
    pub yaml: String,
    /// What is wrong, in words.
    pub what: String,
    /// Where: the first step, and its tensor where it is one.
    pub place: Option<Place>,
}

/// The first thing of an answer that is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// The step, from 1; 0 is the layer as constructed.
    pub step: usize,
    /// The tensor; nothing where an error was raised that should not be, or the other way round.
    pub tensor: Option<Box<TensorResult>>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n\n{}", self.what, self.yaml)
    }
}

impl std::error::Error for Violation {}

/// *The reference backend is within the budget of the reference formulas in float64, or double-double for f64, and
/// these agree.*
///
/// # Errors
/// When it is not, or when the case does not load.
pub fn reference_is_within_budget(spec: &CaseSpec) -> Result<(), Violation> {
    is_within_budget(Reference, spec)
}

/// *This backend is within the budget of the reference formulas in float64.*
///
/// # Errors
/// When it is not, or when the case does not load.
pub fn is_within_budget(backend: impl Backend, spec: &CaseSpec) -> Result<(), Violation> {
    let yaml = render::suite(SUITE, spec);
    let violation = |what: String| Violation { yaml: yaml.clone(), what, place: None };
    let case = loads_as_it_is(spec).map_err(&violation)?;
    let mut oracle = InProcess::new(Reference);
    match answers_within_budget(&mut InProcess::new(backend), &mut oracle, &case) {
        Ok(()) => Ok(()),
        Err(Wrong { what, place }) => Err(Violation { yaml, what, place }),
    }
}

/// *What a strategy makes is a case of the format, and reads back as the same.*
///
/// # Errors
/// What the reader refuses, or what came back.
pub fn loads_as_it_is(spec: &CaseSpec) -> Result<Case, String> {
    let case = render::read_back("generated.yaml", &render::suite(SUITE, spec))?;
    if case.spec() == *spec {
        Ok(case)
    } else {
        Err(format!("the case was read as another:\nwritten {spec:?}\nread    {:?}", case.spec()))
    }
}

/// What is wrong with an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Wrong {
    /// In words.
    pub what: String,
    /// Where.
    pub place: Option<Place>,
}

impl From<String> for Wrong {
    fn from(what: String) -> Self {
        Wrong { what, place: None }
    }
}

/// *A contestant's answers to a case are within the budget of an oracle's, and the oracle's are what float64 allows.*
///
/// # Errors
/// The first thing that is not.
pub fn answers_within_budget(
    contestant: &mut dyn Responder,
    oracle: &mut dyn Responder,
    case: &Case,
) -> Result<(), Wrong> {
    let request = Request::from_case(case);
    let expected = Expected::ask(oracle, &mut InProcess::new(Arbiter), &request).map_err(Wrong::from)?;
    if let Some(doubt) = expected.doubts.first() {
        return Err(Wrong::from(doubt.clone()));
    }
    let answers = match contestant.respond(&request) {
        Response::Answered(answers) => answers,
        Response::Unsupported { reason } => return Err(Wrong::from(format!("unsupported: {reason}"))),
        Response::Broken { message, .. } => return Err(Wrong::from(format!("broken: {message}"))),
    };
    within(&expected, expected.budget(), &answers, contestant.info())
}

/// Whether answers to a request are within a budget of what is expected.
fn within(
    expected: &Expected<'_>,
    budget: &CaseBudget,
    answers: &[StepAnswer],
    info: &BackendInfo,
) -> Result<(), Wrong> {
    let (got, steps) = (answers.len(), expected.steps.len());
    if got != steps {
        return Err(Wrong::from(format!("{got} answers to {steps} steps")));
    }
    let actions = expected.request.actions.iter().map(Action::name);
    let names: Vec<&str> = std::iter::once("new layer").chain(actions).collect();
    // The judge lets every backend reject in its own words, and a panic pass where any error is due.
    for (step, (due, got)) in expected.steps.iter().zip(answers).enumerate() {
        let place = || Some(Place { step, tensor: None });
        for (who, error) in [("the oracle", &due.error), ("the contestant", &got.error)] {
            if let Some(error) = error.as_ref().filter(|error| error.class == ErrorClass::Panic) {
                let what = format!("step {step}, {}: {who} panicked: {}", names[step], error.message);
                return Err(Wrong { what, place: place() });
            }
        }
        if let (Some(due), Some(got)) = (&due.error, &got.error)
            && due.class != got.class
        {
            let what = format!("step {step}, {}: the error due is {due}, the one raised {got}", names[step]);
            return Err(Wrong { what, place: place() });
        }
    }
    let judged = || Ok(judge(expected, budget, answers, info, &names));
    let steps = guarded(judged).map_err(|panic| Wrong::from(format!("the judge panicked: {panic}")))?;
    steps.iter().find_map(first_wrong).map_or(Ok(()), Err)
}

/// The answers are within the budgets of what is expected.
pub struct Differential;

impl Property for Differential {
    fn name(&self) -> &'static str {
        "differential"
    }

    fn about(&self) -> &'static str {
        "answers are within their budgets of the oracle's"
    }

    fn check(&self, asked: &mut Asked<'_>) -> Result<Held, Broken> {
        if !asked.expected.doubts.is_empty() {
            return Ok(Held::NotHere("the oracle is in doubt"));
        }
        within(asked.expected, asked.budget(), asked.answers, asked.backend.info())?;
        Ok(Held::Yes)
    }
}

impl From<Wrong> for Broken {
    fn from(Wrong { what, place }: Wrong) -> Self {
        let spot = place.map(|Place { step, tensor }| Spot { step, tensor: tensor.map(|it| it.tensor) });
        Broken { what, spot, transformed: None }
    }
}

fn is_wrong(verdict: Verdict) -> bool {
    !matches!(verdict, Verdict::Pass)
}

fn first_wrong(step: &StepResult) -> Option<Wrong> {
    let at = format!("step {}, {}", step.step, step.action);
    if let Some(error) = step.error.as_ref().filter(|error| is_wrong(error.verdict)) {
        let words = |error: Option<&bn_harness::results::RaisedError>| {
            error.map_or_else(|| "none".to_owned(), |error| format!("{} ({})", error.message, error.class))
        };
        let (due, got) = (words(error.expected.as_ref()), words(error.got.as_ref()));
        let what = format!("{at}: the error due is {due}, the one raised {got}");
        return Some(Wrong { what, place: Some(Place { step: step.step, tensor: None }) });
    }
    let tensor = step.tensors.iter().find(|tensor| is_wrong(tensor.verdict))?;
    let mut what = format!(
        "{at}: {} is {:?}, {} of {} elements off",
        tensor.tensor, tensor.verdict, tensor.mismatched, tensor.total
    );
    if let Some(used) = tensor.budget_used {
        let _ = write!(what, ", budget used {used:.3}");
    }
    if let Some(worst) = &tensor.worst {
        let _ = write!(
            what,
            "; at {:?} {:?} is due, {:?} came, the budget is {:?}",
            worst.index, worst.expected, worst.got, worst.budget
        );
    }
    if let Some(note) = &tensor.note {
        let _ = write!(what, " ({note})");
    }
    Some(Wrong { what, place: Some(Place { step: step.step, tensor: Some(Box::new(tensor.clone())) }) })
}
