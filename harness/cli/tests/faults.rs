//! `bncheck faults`: what it prints, and how it ends.

mod common;

use common::{Ended, bncheck, ended};
use serde_json::Value;

#[track_caller]
fn ends_with(code: i32, arguments: &[&str]) -> Ended {
    let ended = ended(&mut bncheck(arguments));
    assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:#?}");
    ended
}

/// Diagnostics are wrapped at the width of a terminal, names after a hyphen.
fn unwrapped(text: &str) -> String {
    let line = text.replace(['│', '\n'], " ").split_whitespace().collect::<Vec<_>>().join(" ");
    line.replace("- ", "-")
}

#[test]
fn a_fault_is_caught_and_said_where() {
    let text = ends_with(0, &["faults", "biased-running-var", "--cases", "gradients/few-values"]).stdout;
    let line = "caught    biased-running-var by 3 cases, first: gradients/few-values[shape=two-rows] step 2 forward: \
                running_var\n";
    assert!(text.starts_with(line), "{text}");
    assert!(
        text.contains("\n1 fault, 1 caught, 0 survive; 3 cases, 0 of them alone with a fault; "),
        "{text}"
    );
    assert!(text.ends_with("\nevery fault is caught\n"), "{text}");
}

#[test]
fn a_fault_that_survives_fails_the_run() {
    let arguments =
        ["faults", "biased-running-var", "bias-missing", "--cases", "gradients/kinds", "mode=eval"];
    let text = ends_with(1, &arguments).stdout;
    assert!(text.starts_with("SURVIVES  biased-running-var: running_var averages the biased"), "{text}");
    assert!(text.contains("\ncaught    bias-missing by "), "{text}");
    assert!(text.contains("\n2 faults, 1 caught, 1 survives; "), "{text}");
    assert!(text.ends_with("\na fault survives: the cases have a hole\n"), "{text}");
}

#[test]
fn a_case_that_alone_catches_a_fault_is_named() {
    let cases = ["--cases", "gradients/few-values[shape=two-rows]"];
    let text = ends_with(0, &[["faults", "biased-running-var"], cases].concat()).stdout;
    let lines =
        "Cases that alone catch a fault\n  gradients/few-values[shape=two-rows]: biased-running-var\n";
    assert!(text.contains(lines), "{text}");
}

#[test]
fn an_unknown_name_lists_the_near_ones() {
    let text = unwrapped(&ends_with(2, &["faults", "biassed-running-var"]).stderr);
    assert!(text.contains("there is no fault `biassed-running-var`"), "{text}");
    assert!(text.contains("did you mean `biased-running-var`, `"), "{text}");
    let text = unwrapped(&ends_with(2, &["faults", "running-var"]).stderr);
    assert!(text.contains("`biased-running-var`") && text.contains("faults --list"), "{text}");
}

#[test]
fn no_case_for_them_is_said() {
    let text = unwrapped(&ends_with(4, &["faults", "--cases", "there/is/none"]).stderr);
    assert!(text.contains("no case is selected by `there/is/none`"), "{text}");
}

#[test]
fn programs_get_the_whole_matrix() {
    let arguments = ["faults", "biased-running-var", "--cases", "gradients/few-values", "--format", "json"];
    let matrix: Value = serde_json::from_str(&ends_with(0, &arguments).stdout).expect("JSON");
    assert_eq!(matrix["cases"].as_array().map(Vec::len), Some(3));
    let caught = &matrix["faults"][0]["caught_by"][0];
    assert_eq!((caught["step"].as_u64(), caught["action"].as_str()), (Some(2), Some("forward")));
}

#[test]
fn the_catalogue_can_be_read() {
    let text = ends_with(0, &["faults", "--list"]).stdout;
    for part in
        ["momentum-inverted: momentum weighs the old", "/issues/1491", "Known mistakes that no case can show"]
    {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
    let list = ends_with(0, &["faults", "one-pass-variance", "--list", "--format", "json"]).stdout;
    let list: Value = serde_json::from_str(&list).expect("JSON");
    assert_eq!(list[0]["tensors"][0], "output");
}
