//! The catalogue against the suites: every fault is caught, first where it says, and without one nothing is.

use std::collections::BTreeSet;

use bn_api::{DType, InProcess, worked_example};
use bn_cases::format::Tier;
use bn_cases::{Case, Suite};
use bn_faulty::{Faulty, HARD_TO_HUNT, NOT_EXPRESSED, ONLY_BY_PROPERTY, Part, catalogue, fault};
use bn_harness::faults::{self, KillMatrix, Lineup};
use bn_harness::oracle::Oracle;
use bn_reference::{Arbiter, Reference};

const SUITES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../cases/suites");

fn suites() -> Vec<Suite> {
    bn_cases::load(&[SUITES.into()]).expect("the suites are right")
}

/// Runs faults over the cases of the quick tier whose ids begin like this, with the reference in float64 for an oracle.
fn run(suites: &[Suite], cases: &str, faults: &(dyn Fn() -> Vec<Faulty> + Sync)) -> KillMatrix {
    let quick = suites.iter().flat_map(|suite| &suite.cases).filter(|case| case.is_in(Tier::Quick));
    let cases: Vec<&Case> = quick.filter(|case| case.id.starts_with(cases)).collect();
    let open = || -> Result<Lineup, ()> {
        Ok(Lineup {
            oracle: Oracle::Live(Box::new(InProcess::new(Reference))),
            arbiter: Box::new(InProcess::new(Arbiter)),
            control: Box::new(InProcess::new(Faulty::without())),
            faults: faults().into_iter().map(|faulty| Box::new(InProcess::new(faulty)) as Box<_>).collect(),
        })
    };
    let jobs = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    faults::run(&cases, &open, jobs, &mut |_| {}).expect("a lineup needs nothing")
}

#[test]
fn every_fault_is_caught_and_first_where_it_says() {
    let suites = suites();
    let matrix = run(&suites, "", &|| catalogue().iter().map(Faulty::with).collect());
    assert_eq!(matrix.void, []);
    let survivors: Vec<&str> = matrix.survivors().map(|fault| fault.name.as_str()).collect();
    let mut elsewhere = BTreeSet::new();
    for run in &matrix.faults {
        let declared = fault(&run.name).expect("it is in the catalogue").tensors;
        // In a model what is wrong in one layer shows in those behind it.
        for catch in run.caught_by.iter().filter(|catch| catch.tensors.iter().all(|it| it.layer.is_empty())) {
            for tensor in catch.tensors.iter().filter(|tensor| !declared.contains(&tensor.tensor)) {
                elsewhere.insert(format!("{} in {}: {}", run.name, tensor.tensor, catch.case));
            }
        }
    }
    assert_eq!((survivors, elsewhere), (Vec::new(), BTreeSet::new()));
}

#[test]
fn without_a_fault_the_worked_example_comes_out() {
    let plain = Faulty::without();
    for dtype in DType::FLOATS {
        worked_example::check_training(&plain, dtype, dtype);
        worked_example::check_evaluation(&plain, dtype, dtype);
    }
    worked_example::check_layers_are_apart(&plain);
    worked_example::check_accumulation(&plain);
    worked_example::check_no_grad(&plain);
}

#[test]
fn names_are_unique_and_in_kebab_case() {
    let mut seen = BTreeSet::new();
    for fault in catalogue() {
        let name = fault.name;
        let is_kebab = name.split('-').all(|word| {
            !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        });
        assert!(is_kebab && seen.insert(name), "{name}");
        assert!(std::ptr::eq(fault, bn_faulty::fault(name).expect("it is in the catalogue")), "{name}");
        assert!(!fault.about.is_empty() && !fault.about.ends_with('.') && !fault.parts.is_empty(), "{name}");
    }
    assert!(seen.len() >= 120, "{}", seen.len());
}

#[test]
fn links_lead_to_an_issue_or_a_pull_request() {
    for fault in catalogue() {
        let Some(link) = fault.link else { continue };
        let path: Vec<&str> = link.strip_prefix("https://github.com/").unwrap_or("").split('/').collect();
        let leads_somewhere =
            matches!(&path[..], [_, _, "issues" | "pull", number] if number.parse::<u32>().is_ok());
        assert!(leads_somewhere, "{}: {link}", fault.name);
    }
}

#[test]
fn what_is_not_expressed_has_a_reason_of_its_own() {
    let names: BTreeSet<&str> = NOT_EXPRESSED.iter().map(|(what, _)| *what).collect();
    let reasons: BTreeSet<&str> = NOT_EXPRESSED.iter().map(|(_, why)| *why).collect();
    assert_eq!((names.len(), reasons.len()), (NOT_EXPRESSED.len(), NOT_EXPRESSED.len()));
}

#[test]
fn what_is_hard_to_hunt_is_in_the_catalogue_and_has_a_reason() {
    for (name, why) in HARD_TO_HUNT {
        assert!(fault(name).is_some() && !why.is_empty(), "{name}");
    }
}

#[test]
fn what_a_property_sees_alone_is_not_in_the_catalogue_and_answers_well_what_is_asked_first() {
    let mut names = BTreeSet::new();
    for only in ONLY_BY_PROPERTY {
        assert!(fault(only.fault.name).is_none() && names.insert(only.fault.name), "{}", only.fault.name);
        worked_example::check_training(&Faulty::with(&only.fault), DType::F32, DType::F32);
        worked_example::check_evaluation(&Faulty::with(&only.fault), DType::F32, DType::F32);
    }
}

#[test]
fn two_faults_show_what_each_of_them_shows() {
    let both = |a: &str, b: &str| {
        let [a, b] = [a, b].map(|name| fault(name).expect("it is in the catalogue"));
        Faulty::with_both(a, b)
    };
    // Two stages, a stage and a hook, two hooks of the same step.
    let pairs = [
        ("biased-running-var", "bias-missing"),
        ("biased-running-var", "counter-stands-still"),
        ("counter-counts-samples", "no-momentum-is-a-tenth"),
    ];
    for (a, b) in pairs {
        assert!(both(a, b).is_some() && both(b, a).is_some(), "{a}, {b}");
    }
    assert!(both("biased-running-var", "running-std").is_none(), "the same stage");

    let suites = suites();
    let caught = |faulty: Faulty| -> BTreeSet<String> {
        let matrix = run(&suites, "gradients/kinds[", &|| vec![faulty.clone()]);
        matrix.faults.into_iter().flat_map(|fault| fault.caught_by).map(|catch| catch.case).collect()
    };
    let alone = |name: &str| caught(Faulty::with(fault(name).expect("it is in the catalogue")));
    let (a, b) = ("biased-running-var", "evaluation-ignored");
    let either: BTreeSet<String> = alone(a).union(&alone(b)).cloned().collect();
    assert!(either.len() > alone(a).len() && either.len() > alone(b).len());
    assert_eq!(caught(both(a, b).expect("they are of different parts")), either);
}

#[test]
fn every_part_is_of_some_use() {
    let parts = || catalogue().iter().flat_map(|fault| fault.parts);
    let used: BTreeSet<String> = parts()
        .map(|part: &Part| format!("{part:?}").split('(').next().unwrap_or_default().to_owned())
        .collect();
    assert!(used.len() > 30, "{used:?}");
}
