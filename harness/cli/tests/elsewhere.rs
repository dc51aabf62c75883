//! What the declared deviations say of cases that they were not written for.
#![cfg(feature = "libtorch")]

mod common;

use std::fs;

use bn_api::{ErrorClass, InProcess, Request};
use bn_cases::{Case, load};
use bn_fuzz::render;
use bn_harness::deviations::Deviations;
use bn_harness::oracle::Expected;
use bn_reference::Arbiter;
use common::{bncheck, ended, root};

/// An entry's smallest case, under another name, is one of those others: it must be known there as well, or what the entry
/// says is out of date.
#[test]
fn the_smallest_case_of_an_entry_is_known_by_what_it_says_of_others() {
    let folders = ["cases/suites", "cases/regressions/found"].map(|folder| root().join(folder));
    let suites = load(&folders).expect("the suites are read");
    let cases: Vec<&Case> = suites.iter().flat_map(|suite| &suite.cases).collect();
    for backend in ["candle", "burn", "tch-nn", "libtorch"] {
        let path = format!("backends/{backend}/deviations.yaml");
        let text = fs::read_to_string(root().join(&path)).expect("it is there");
        let declared = Deviations::read(&path, &text, &cases).expect("nothing is wrong with it");
        let folder = tempfile::tempdir().expect("a folder");
        let mut written = 0;
        for entry in declared.entries.iter().filter(|entry| entry.speaks_of_others()) {
            let smallest = cases.iter().find(|case| case.id == entry.smallest);
            let smallest = smallest.unwrap_or_else(|| panic!("{backend}: {} is no case", entry.smallest));
            let name = format!("others/{}", entry.name);
            let request = Request::from_case(smallest);
            let expected = Expected::of_arbiter(&mut InProcess::new(Arbiter), &request).expect("it answers");
            let errors: Vec<Option<ErrorClass>> =
                expected.steps.iter().map(|step| step.error.as_ref().map(|error| error.class)).collect();
            let yaml = render::suite_of_request(&name, &request, &errors);
            fs::write(folder.path().join(format!("{}.yaml", entry.name)), yaml).expect("it is written");
            written += 1;
        }
        assert!(written >= 2, "{backend} says something of others in {written} entries");
        let others = folder.path().to_str().expect("UTF-8");
        let differential = ["--property", "differential", "--oracle", "arbiter"];
        let asked = ended(bncheck(&["fuzz", "--backend", backend, "--replay", others]).args(differential));
        let wrong: Vec<&str> = asked
            .stdout
            .lines()
            .filter(|line| line.starts_with("  ") && !line.contains("all is as"))
            .collect();
        assert!(asked.code == Some(0), "{backend}: {wrong:#?}\n{}", asked.stderr);
        // As an ordinary run of somebody's own suites they all deviate.
        let run = ended(&mut bncheck(&[
            "run",
            "--suites",
            others,
            "--backend",
            backend,
            "--oracle",
            "arbiter",
            "--tier",
            "full",
            "--format",
            "json",
            "--output",
            folder.path().join("run").to_str().expect("UTF-8"),
        ]));
        let results: serde_json::Value = serde_json::from_str(&run.stdout).expect("it is JSON");
        let results = results["results"].as_array().expect("a list");
        let passes: Vec<&str> = results
            .iter()
            .filter(|result| result["verdict"] == "pass")
            .filter_map(|result| result["case"].as_str())
            .collect();
        assert!(
            results.len() == written && passes.is_empty(),
            "{backend}: of {}, {passes:?} pass",
            results.len()
        );
    }
}
