//! Known mistakes run as if unknown: the diagnosis names them, and says nothing of what is not among them.

use std::convert::Infallible;

use bn_api::{BackendInfo, InProcess, Observable, Request, Responder, Response, Tensor};
use bn_cases::format::Tier;
use bn_cases::{Case, Suite};
use bn_faulty::{Faulty, catalogue, fault};
use bn_harness::deviations::Deviations;
use bn_harness::diagnosis::measure::{WANTED, measure};
use bn_harness::diagnosis::{Lineup, Suspects, diagnose};
use bn_harness::oracle::Oracle;
use bn_harness::results::{Mistake, RunResults, Verdict};
use bn_harness::{faults, runner};
use bn_reference::{Arbiter, Reference};

const SUITES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../cases/suites");

fn suites() -> Vec<Suite> {
    bn_cases::load(&[SUITES.into()]).expect("the suites are right")
}

/// Every so many-th case of the quick tier.
fn some(suites: &[Suite], every: usize) -> Vec<&Case> {
    let quick = suites.iter().flat_map(|suite| &suite.cases).filter(|case| case.is_in(Tier::Quick));
    quick.step_by(every).collect()
}

struct Catalogue(Vec<Mistake>);

fn suspects() -> Box<dyn Suspects> {
    let mistake = |name: &str, about: &str| Mistake { name: name.into(), about: about.into(), link: None };
    Box::new(Catalogue(catalogue().iter().map(|fault| mistake(fault.name, fault.about)).collect()))
}

impl Suspects for Catalogue {
    fn mistakes(&self) -> &[Mistake] {
        &self.0
    }

    fn answer(&mut self, which: &[usize], request: &Request) -> Option<Response> {
        let faulty = match *which {
            [one] => Faulty::with(&catalogue()[one]),
            [one, other] => Faulty::with_both(&catalogue()[one], &catalogue()[other])?,
            _ => return None,
        };
        Some(InProcess::new(faulty).respond(request))
    }
}

fn named(name: &str) -> &'static bn_faulty::Fault {
    fault(name).expect("it is in the catalogue")
}

/// Runs a backend over cases and diagnoses it.
fn run(cases: &[&Case], backend: &(dyn Fn() -> Box<dyn Responder> + Sync)) -> RunResults {
    let oracle = || Box::new(InProcess::new(Reference));
    let arbiter = || Box::new(InProcess::new(Arbiter));
    let open = || -> Result<runner::Lineup, Infallible> {
        Ok(runner::Lineup { oracle: Oracle::Live(oracle()), arbiter: arbiter(), backends: vec![backend()] })
    };
    let deviations = [Deviations::default()];
    let options = runner::Options {
        jobs: 2,
        deviations: &deviations,
        all: None,
        bncheck: "test",
        flags: Vec::new(),
        keep: runner::Keep::All,
        seed: None,
    };
    let Ok(mut results) = runner::run(cases, &open, options, &mut |_, _| {});
    let open = || -> Result<Lineup, Infallible> {
        Ok(Lineup {
            oracle: Oracle::Live(oracle()),
            arbiter: arbiter(),
            patients: vec![backend()],
            suspects: suspects(),
        })
    };
    let Ok(()) = diagnose(&mut results, cases, &open, 2);
    results
}

#[test]
fn of_known_mistakes_run_as_unknown_enough_are_named() {
    let suites = suites();
    let cases = some(&suites, 9);
    let all = || catalogue().iter().map(|fault| Box::new(InProcess::new(Faulty::with(fault))) as Box<_>);
    let open = || -> Result<faults::Lineup, Infallible> {
        Ok(faults::Lineup {
            oracle: Oracle::Live(Box::new(InProcess::new(Reference))),
            arbiter: Box::new(InProcess::new(Arbiter)),
            control: Box::new(InProcess::new(Faulty::without())),
            faults: all().collect(),
        })
    };
    let Ok(matrix) = faults::run(&cases, &open, 2, &mut |_| {});
    let open = || -> Result<Lineup, Infallible> {
        Ok(Lineup {
            oracle: Oracle::Live(Box::new(InProcess::new(Reference))),
            arbiter: Box::new(InProcess::new(Arbiter)),
            patients: all().collect(),
            suspects: suspects(),
        })
    };
    let Ok(measured) = measure(&matrix, &cases, &open, 2);
    let missed: Vec<_> = measured.unknowns.iter().filter(|unknown| !unknown.is_right()).collect();
    assert!(measured.unknowns.len() >= 190, "{}", measured.unknowns.len());
    assert!(measured.share() >= WANTED, "{} missed: {missed:#?}", missed.len());
}

#[test]
fn a_mistake_is_named_in_the_case_and_of_the_backend() {
    let suites = suites();
    let biased = || Box::new(InProcess::new(Faulty::with(named("biased-running-var")))) as Box<_>;
    let results = run(&some(&suites, 11), &biased);
    let failing: Vec<_> = results.results.iter().filter(|it| it.verdict == Verdict::Fail).collect();
    assert!(failing.len() > 5, "{}", failing.len());
    let diagnosed: Vec<_> = failing.iter().filter(|result| !result.diagnosis.is_empty()).collect();
    assert_eq!(diagnosed.len(), failing.len().min(bn_harness::diagnosis::FAILING));
    for result in diagnosed {
        assert_eq!(result.diagnosis[0].mistakes[0].name, "biased-running-var", "{}", result.case);
    }
    let [of_backend] = &results.diagnoses[..] else { panic!("one backend") };
    assert_eq!(of_backend.failing, failing.len());
    assert_eq!(of_backend.explanations[0].explains, of_backend.replayed);
}

#[test]
fn two_mistakes_at_once_are_named_where_none_alone_explains_it() {
    let suites = suites();
    let both = || {
        let both = Faulty::with_both(named("biased-running-var"), named("bias-missing"));
        Box::new(InProcess::new(both.expect("they are of different parts"))) as Box<_>
    };
    let results = run(&some(&suites, 11), &both);
    let first = &results.diagnoses[0].explanations[0].alike[0];
    let mut names: Vec<&str> = first.mistakes.iter().map(|mistake| mistake.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["bias-missing", "biased-running-var"]);
}

/// Outputs that are wrong in a way that nobody has thought of.
struct Strange(InProcess<Reference>);

impl Responder for Strange {
    fn info(&self) -> &BackendInfo {
        self.0.info()
    }

    fn respond(&mut self, request: &Request) -> Response {
        let mut response = self.0.respond(request);
        if let Response::Answered(answers) = &mut response {
            for (name, tensor) in answers.iter_mut().flat_map(|answer| &mut answer.tensors) {
                if name.tensor == Observable::Output {
                    let strange = |(place, value)| 1.37 * value + 0.01 * (1.7 * place as f64).sin();
                    let values: Vec<f64> = tensor.values().into_iter().enumerate().map(strange).collect();
                    *tensor = Tensor::from_values(tensor.dtype(), tensor.shape(), values);
                }
            }
        }
        response
    }
}

#[test]
fn nothing_is_said_of_a_mistake_that_is_not_in_the_catalogue() {
    let suites = suites();
    let results = run(&some(&suites, 11), &|| Box::new(Strange(InProcess::new(Reference))));
    let [of_backend] = &results.diagnoses[..] else { panic!("one backend") };
    assert!(of_backend.failing > 5 && of_backend.replayed > 5);
    let diagnosed: Vec<_> = results.results.iter().filter(|it| !it.diagnosis.is_empty()).collect();
    assert!(diagnosed.is_empty() && of_backend.explanations.is_empty(), "{diagnosed:#?}");
}

#[test]
fn nothing_is_said_of_a_backend_that_is_right() {
    let suites = suites();
    let results = run(&some(&suites, 40), &|| Box::new(InProcess::new(Reference)));
    assert!(results.as_expected() && results.diagnoses.is_empty());
}
