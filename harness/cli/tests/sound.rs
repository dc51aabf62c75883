//! Implementations that are known to be sound: none may fail anywhere.

mod common;

use common::{Ended, bncheck, ended, folder_with};
use serde_json::Value;

fn sound(arguments: &[&str]) -> Ended {
    ended(bncheck(&["sound"]).args(arguments))
}

#[track_caller]
fn results(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

#[test]
fn no_method_fails_on_the_quick_tier_or_on_generated_cases() {
    let ended = sound(&["--tier", "quick", "--cases", "300"]);
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("\n0 of "), "{}", ended.stdout);
}

#[test]
fn no_method_fails_on_what_was_found_before() {
    let regressions = concat!(env!("CARGO_MANIFEST_DIR"), "/../../cases/regressions");
    let ended = sound(&["--cases", "0", "--format", "json", "--suites", regressions]);
    let results = results(&ended);
    // The one case that no file can put into words: it has to expect an error that PyTorch does not raise.
    let alarms: Vec<&Value> =
        results["alarms"].as_array().unwrap().iter().map(|alarm| &alarm["case"]).collect();
    assert_eq!(alarms, ["fuzz/empty-batch-of-other-channels/found"], "{}", ended.stdout);
}

/// A case of a file of its own.
fn one_case() -> tempfile::TempDir {
    folder_with("one.yaml", "{suite: one, cases: [{name: a, input: {shape: [4, 3]}, mode: train}]}\n")
}

#[test]
fn every_method_is_judged_and_its_largest_budgets_are_told() {
    let folder = one_case();
    let path = folder.path().to_str().unwrap();
    let ended = sound(&["--cases", "0", "--format", "json", "--suites", path]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let results = results(&ended);
    let methods = results["methods"].as_array().unwrap();
    assert!(methods.len() >= 12, "{} methods", methods.len());
    for method in methods {
        assert_eq!((&method["judged"], &method["alarms"]), (&Value::from(1), &Value::from(0)), "{method}");
        let uses = method["uses"].as_array().unwrap();
        let output = uses.iter().find(|one| one["tensor"] == "output").unwrap();
        assert_eq!((&output["dtype"], &output["case"]), (&Value::from("f32"), &Value::from("one/a")));
        assert!(output["used"].as_f64().is_some_and(|used| used <= 1.0), "{output}");
    }
}

#[test]
fn what_is_found_does_not_depend_on_the_number_of_threads() {
    let folder = one_case();
    let path = folder.path().to_str().unwrap();
    let found = |jobs: &str| {
        sound(&["--cases", "40", "--seed", "5", "--format", "json", "--jobs", jobs, "--suites", path]).stdout
    };
    assert_eq!(found("1"), found("3"));
}

#[test]
fn a_case_of_a_seed_can_be_asked_alone() {
    let folder = one_case();
    let path = folder.path().to_str().unwrap();
    let ended = sound(&[
        "--cases",
        "1",
        "--seed",
        "7",
        "--method",
        "welford,kahan",
        "--format",
        "json",
        "--suites",
        path,
    ]);
    let results = results(&ended);
    let methods: Vec<&str> = results["methods"]
        .as_array()
        .unwrap()
        .iter()
        .map(|method| method["name"].as_str().unwrap())
        .collect();
    assert_eq!((methods, &results["cases"]), (vec!["welford", "kahan"], &Value::from(2)));
}

#[test]
fn an_unknown_method_is_named_with_those_that_there_are() {
    let ended = sound(&["--method", "welfort"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("`welfort`") && ended.stderr.contains("`welford`"), "{}", ended.stderr);
}
