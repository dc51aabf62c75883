//! Hunts through cases made by chance, for mistakes that are known.

use std::cell::Cell;

use bn_api::wire::Stop;
use bn_api::{BackendInfo, InProcess, Request, Responder, Response};
use bn_faulty::{Fault, Faulty, catalogue, fault};
use bn_fuzz::hunt::{Lineup, Options, State, StateError, hunt};
use bn_fuzz::property::{PROPERTIES, Property};
use bn_fuzz::render::read_back;
use bn_harness::diagnosis::Suspects;
use bn_harness::finds::{Find, Hunt};
use bn_harness::oracle::Oracle;
use bn_harness::results::{Mistake, Verdict};
use bn_reference::{Arbiter, Reference};

/// The catalogue of `bn_faulty`, as the program has it.
struct Catalogue(Vec<Mistake>);

impl Catalogue {
    fn new() -> Self {
        let mistake = |fault: &Fault| Mistake {
            name: fault.name.to_owned(),
            about: fault.about.to_owned(),
            link: fault.link.map(str::to_owned),
        };
        Catalogue(catalogue().iter().map(mistake).collect())
    }
}

impl Suspects for Catalogue {
    fn mistakes(&self) -> &[Mistake] {
        &self.0
    }

    fn answer(&mut self, which: &[usize], request: &Request) -> Option<Response> {
        let [one] = which else { return None };
        Some(InProcess::new(Faulty::with(&catalogue()[*one])).respond(request))
    }
}

fn boxed(backend: impl bn_api::Backend + 'static) -> Box<dyn Responder> {
    Box::new(InProcess::new(backend))
}

struct Plan<'a> {
    backends: &'a (dyn Fn() -> Vec<Box<dyn Responder>> + Sync),
    properties: &'a [&'static dyn Property],
    cases: usize,
    jobs: usize,
}

fn hunted(plan: &Plan<'_>, state: &mut State) -> Hunt {
    let options = Options {
        seed: 5,
        cases: plan.cases,
        time: None,
        jobs: plan.jobs,
        properties: plan.properties,
        deviations: &[],
        bncheck: "test",
        oracle: "the arbiter".to_owned(),
        stop: &Stop::default(),
    };
    let open = || {
        Ok::<_, StateError>(Lineup {
            oracle: Oracle::Nobody,
            arbiter: boxed(Arbiter),
            backends: (plan.backends)(),
            threads: Vec::new(),
            suspects: Box::new(Catalogue::new()),
        })
    };
    hunt(&options, &open, state, &mut |_| {}).expect("it can be done")
}

fn faulty(names: &[&str]) -> Vec<Box<dyn Responder>> {
    names.iter().map(|name| boxed(Faulty::with(fault(name).expect("it is in the catalogue")))).collect()
}

/// How much of a find is compared, where how long it took is not.
fn told(finds: &[Find]) -> Vec<(&str, String, usize, &str, &str)> {
    finds
        .iter()
        .map(|find| (&*find.backend, find.sign.to_string(), find.times, &*find.first, &*find.yaml))
        .collect()
}

#[test]
fn a_sound_backend_has_no_finds() {
    let backends = || vec![boxed(Reference)];
    let plan = Plan { backends: &backends, properties: PROPERTIES, cases: 300, jobs: 2 };
    let hunt = hunted(&plan, &mut State::default());
    assert!(hunt.as_expected(), "{:?} {:?}", hunt.finds, hunt.flaky);
    let of_it = &hunt.backends[0];
    assert_eq!(of_it.passed + of_it.vacuous, 300);
    assert!(of_it.properties_held > 100, "{}", of_it.properties_held);
    assert!(hunt.coverage.values > 90 && hunt.coverage.values <= hunt.coverage.of_values);
}

#[test]
fn each_bug_is_one_find_whatever_the_number_of_threads() {
    let known = ["eps-outside-the-root", "biased-running-var", "inverse-std-in-half"];
    let backends = || faulty(&known);
    let of = |jobs| {
        let properties = &PROPERTIES[..1];
        hunted(&Plan { backends: &backends, properties, cases: 400, jobs }, &mut State::default())
    };
    let (one, two) = (of(1), of(2));
    assert_eq!(told(&one.finds), told(&two.finds));
    for name in known {
        let of_it: Vec<&Find> = one.finds.iter().filter(|find| find.backend == name).collect();
        let likeliest = |find: &&Find| find.diagnosis.first().map(|mistake| mistake.name.clone());
        let diagnoses: Vec<_> = of_it.iter().map(likeliest).collect();
        assert!(of_it.iter().any(|find| find.diagnosis.iter().any(|one| one.name == name)), "{diagnoses:?}");
        for find in of_it {
            assert!(find.steps <= 4 && find.elements <= 64, "{find:?}");
            assert!(read_back("find.yaml", &find.yaml).is_ok(), "{}", find.yaml);
        }
    }
}

#[test]
fn a_hunt_that_goes_on_finds_what_one_without_a_break_does() {
    let backends = || faulty(&["biased-running-var"]);
    let plan = |cases| Plan { backends: &backends, properties: PROPERTIES, cases, jobs: 2 };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state");
    let whole = hunted(&plan(300), &mut State::default());
    let mut state = State::new_in(&path, "this").expect("it is kept");
    hunted(&plan(120), &mut state);
    let mut state = State::resumed_from(&path, "this").expect("it is read").expect("it is this hunt");
    assert_eq!(state.next(), 120);
    let resumed = hunted(&plan(300), &mut state);
    assert_eq!(told(&resumed.finds), told(&whole.finds));
    assert_eq!((resumed.cases, resumed.asked_now), (300, 180));
    assert_eq!(resumed.backends, whole.backends);
}

/// Wrong once in a while, whatever it is asked.
struct Moody {
    sound: InProcess<Reference>,
    wrong: InProcess<Faulty>,
    asked: Cell<usize>,
}

impl Responder for Moody {
    fn info(&self) -> &BackendInfo {
        self.sound.info()
    }

    fn respond(&mut self, request: &Request) -> Response {
        self.asked.set(self.asked.get() + 1);
        if self.asked.get() == 30 { self.wrong.respond(request) } else { self.sound.respond(request) }
    }
}

#[test]
fn what_does_not_happen_again_is_flaky_with_both_outcomes() {
    let wrong = fault("eps-missing").expect("it is in the catalogue");
    let backends = || -> Vec<Box<dyn Responder>> {
        let (sound, wrong) = (InProcess::new(Reference), InProcess::new(Faulty::with(wrong)));
        vec![Box::new(Moody { sound, wrong, asked: Cell::new(0) })]
    };
    let plan = Plan { backends: &backends, properties: &PROPERTIES[..1], cases: 60, jobs: 1 };
    let hunt = hunted(&plan, &mut State::default());
    assert_eq!(hunt.finds, []);
    assert!(!hunt.as_expected());
    let [flaky] = &hunt.flaky[..] else { panic!("{:?}", hunt.flaky) };
    assert_eq!((&*flaky.case, &*flaky.again), ("random/s5/29", "all was as it should be"));
    assert!(flaky.first.starts_with("step "), "{}", flaky.first);
}

/// Ends with its process on whatever has three dimensions or fewer.
struct Crashing(InProcess<Reference>);

impl Responder for Crashing {
    fn info(&self) -> &BackendInfo {
        self.0.info()
    }

    fn respond(&mut self, request: &Request) -> Response {
        let is_flat = |action: &bn_api::Action| match action {
            bn_api::Action::Forward { input, .. } => input.tensor.shape().len() <= 3,
            _ => false,
        };
        if request.actions.iter().any(is_flat) {
            let message = "the worker was ended by signal 11 (SIGSEGV)".to_owned();
            return Response::Broken { how: bn_api::Outcome::Crash, message };
        }
        self.0.respond(request)
    }
}

#[test]
fn a_crash_is_a_find_and_becomes_small_as_well() {
    let backends = || -> Vec<Box<dyn Responder>> { vec![Box::new(Crashing(InProcess::new(Reference)))] };
    let plan = Plan { backends: &backends, properties: &PROPERTIES[..1], cases: 40, jobs: 1 };
    let hunt = hunted(&plan, &mut State::default());
    let [find] = &hunt.finds[..] else { panic!("{:?}", hunt.finds) };
    assert_eq!(find.sign.verdict, Verdict::Crash);
    assert!(find.steps == 1 && find.elements <= 2, "{}", find.yaml);
}
