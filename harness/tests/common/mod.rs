//! What the tests of the harness share: cases, and runs with backends made up for the occasion.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::convert::Infallible;
use std::path::Path;

use bn_api::{BackendInfo, InProcess, Observable, Request, Responder, Response, StepAnswer, Tensor};
use bn_cases::{Case, Suite};
use bn_harness::deviations::Deviations;
use bn_harness::oracle::{Expected, Oracle};
use bn_harness::results::{CaseResult, RunResults, TensorResult};
use bn_harness::runner::{self, Keep, Lineup, Options};
use bn_reference::{Arbiter, Reference};

/// The repository's suites.
pub fn all_suites() -> Vec<Suite> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cases/suites");
    bn_cases::load(&[folder]).unwrap_or_else(|problems| panic!("{}", drawn(&problems)))
}

/// A suite from its text.
pub fn suite(text: &str) -> Suite {
    bn_cases::load_str("suite.yaml", text).unwrap_or_else(|problems| panic!("{}", drawn(&problems)))
}

/// The cases of suites.
pub fn cases(suites: &[Suite]) -> Vec<&Case> {
    suites.iter().flat_map(|suite| &suite.cases).collect()
}

/// A diagnostic as a terminal without colours shows it.
pub fn drawn(problem: &dyn miette::Diagnostic) -> String {
    let mut text = String::new();
    miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor())
        .with_width(100)
        .render_report(&mut text, problem)
        .expect("writing to a string");
    text
}

/// What a made-up backend does with the reference's answer.
pub type Change = fn(Response) -> Response;

/// The reference backend, with its answers changed.
pub struct Changed {
    inner: InProcess<Reference>,
    change: Change,
}

impl Responder for Changed {
    fn info(&self) -> &BackendInfo {
        self.inner.info()
    }

    fn respond(&mut self, request: &Request) -> Response {
        (self.change)(self.inner.respond(request))
    }
}

/// The reference backend with its answers changed.
pub fn changed(change: Change) -> Box<dyn Responder> {
    Box::new(Changed { inner: InProcess::new(Reference), change })
}

/// The reference backend.
pub fn reference() -> Box<dyn Responder> {
    Box::new(InProcess::new(Reference))
}

/// The arbiter.
pub fn arbiter() -> Box<dyn Responder> {
    Box::new(InProcess::new(Arbiter))
}

/// The answers with a tensor of every step replaced.
pub fn with_tensor(response: Response, name: Observable, replace: fn(&Tensor) -> Tensor) -> Response {
    with_answers(response, |answers| {
        for (known, tensor) in answers.iter_mut().flat_map(|answer| &mut answer.tensors) {
            if known.tensor == name {
                *tensor = replace(tensor);
            }
        }
    })
}

/// The answers, changed; there must be some.
pub fn with_answers(response: Response, change: impl FnOnce(&mut Vec<StepAnswer>)) -> Response {
    match response {
        Response::Answered(mut answers) => {
            change(&mut answers);
            Response::Answered(answers)
        }
        other => panic!("the reference answers: {other:?}"),
    }
}

/// A tensor with every number changed.
pub fn each(tensor: &Tensor, change: fn(f64) -> f64) -> Tensor {
    Tensor::from_values(tensor.dtype(), tensor.shape(), tensor.values().into_iter().map(change))
}

/// Asks `oracle`, with the arbiter above it, and `backend` about the cases, with these declared deviations. `complete` says that the
/// cases are all there are.
pub fn run(
    cases: &[&Case],
    oracle: fn() -> Box<dyn Responder>,
    backend: &(dyn Fn() -> Box<dyn Responder> + Sync),
    deviations: Deviations,
    complete: bool,
) -> RunResults {
    let open = || Lineup { oracle: Oracle::Live(oracle()), arbiter: arbiter(), backends: vec![backend()] };
    run_lineup(cases, &open, deviations, complete)
}

/// Asks a lineup of one backend.
pub fn run_lineup(
    cases: &[&Case],
    open: &(dyn Fn() -> Lineup + Sync),
    deviations: Deviations,
    complete: bool,
) -> RunResults {
    let open = || Ok::<_, Infallible>(open());
    let deviations = [deviations];
    let all = complete.then_some(cases);
    let options = Options {
        jobs: 2,
        deviations: &deviations,
        all,
        bncheck: "test",
        flags: Vec::new(),
        keep: Keep::All,
        seed: None,
    };
    match runner::run(cases, &open, options, &mut |_, _| {}) {
        Ok(results) => results,
        Err(never) => match never {},
    }
}

/// What a case is judged by where the reference is the oracle.
pub fn expected(request: &Request) -> Expected<'_> {
    Expected::ask(reference().as_mut(), arbiter().as_mut(), request).expect("both answer")
}

/// What became of a tensor in the first step that has it and in which it is not as it should be.
pub fn wrong(result: &CaseResult, name: Observable) -> Option<&TensorResult> {
    let tensors = result.steps.iter().flat_map(|step| &step.tensors);
    tensors.into_iter().find(|tensor| tensor.tensor.tensor == name && tensor.mismatched > 0)
}
