//! What a person sees of the changes between two runs. Each snapshot is to be read as that person.

use bn_harness::results::RunResults;
use bn_reports::changes::{Shown, newly_failing, text};
use bn_reports::terminal::Invocation;
use serde_json::{Value, json};

const CASE: &str = "pitfalls/momentum/three-batches[momentum=0.1,dtype=f32]";

fn side(verdict: &str, used: impl Into<Value>) -> Value {
    json!({"verdict": verdict, "budget_used": used.into()})
}

fn change(kind: &str, backend: &str, case: &str, before: &Value, after: &Value) -> Value {
    json!({"case": case, "backend": backend, "kind": kind, "before": before, "after": after})
}

fn because(mut change: Value, difference: &str) -> Value {
    change["difference"] = difference.into();
    change
}

/// A run with these changes since its baseline.
fn a_run(transitions: &[Value], notes: &[&str]) -> RunResults {
    let results: Vec<Value> = transitions
        .iter()
        .filter(|one| !one["after"].is_null())
        .map(|one| {
            json!({"case": one["case"], "backend": one["backend"], "verdict": one["after"]["verdict"],
                "budget_used": null, "micros": 1})
        })
        .collect();
    let run = json!({
        "schema_version": 1,
        "run": {
            "bncheck": "0.1.0", "oracle": "libtorch", "backends": [], "jobs": 2, "seed": null, "flags": ["run"],
            "machine": {"os": "linux", "arch": "x86_64", "cpu": null, "threads": 2},
            "started_unix_ms": 1, "duration_ms": 2
        },
        "cases": [], "results": results, "deviation_errors": ["an old one"],
        "changes": {
            "baseline": {"source": "main/results.json", "bncheck": "0.1.0", "oracle": "libtorch",
                "started_unix_ms": 1_795_729_620_000_u64},
            "factor": 2.0, "compared": 2400, "transitions": transitions, "notes": notes
        }
    });
    serde_json::from_value(run).expect("results")
}

fn shown(results: &RunResults, limit: Option<usize>) -> String {
    let changes = results.changes.as_ref().expect("it has a baseline");
    let invocation =
        Invocation { program: "bncheck".to_owned(), suites: Vec::new(), ..Invocation::default() };
    let text = text(changes, &Shown { limit, all: "--all lists them".to_owned() }, &invocation);
    anstream::adapter::strip_str(&text).to_string()
}

fn newly(backend: &str, case: &str, before: &Value) -> Value {
    let line = "step 2 (forward): running_mean mismatches 3 of 4, worst at [2]: 0.1 where 0.05 should be";
    because(change("newly_failing", backend, case, before, &side("fail", 41234.5)), line)
}

#[test]
fn changes_of_every_kind() {
    let crash = because(
        change("newly_failing", "tch-nn", CASE, &Value::Null, &side("crash", Value::Null)),
        "the worker was ended by signal 11 (SIGSEGV)",
    );
    let transitions = [
        newly("candle", CASE, &side("pass", 0.31)),
        crash,
        because(
            change("fixed", "candle", "exact/means[dtype=f32]", &side("fail", 3.0), &side("pass", 0.2)),
            "step 1 (forward): output mismatches 1 of 60",
        ),
        change("other_verdict", "candle", "exact/a", &side("pass", 0.2), &side("known", 17.0)),
        change("other_verdict", "candle", "exact/b", &side("fail", 12.0), &side("fail", Value::Null)),
        change("budget_up", "reference", "exact/c", &side("pass", 0.25), &side("pass", 0.99)),
        change("budget_up", "reference", "exact/d", &side("pass", 0.0), &side("pass", 0.3)),
        change("budget_down", "libtorch", "exact/e", &side("pass", 0.9), &side("pass", 0.01)),
        change("added", "reference", "exact/new", &Value::Null, &side("pass", 0.1)),
        change("added", "candle", "exact/new", &Value::Null, &side("unsupported", Value::Null)),
        change("removed", "reference", "exact/old", &side("pass", 0.1), &Value::Null),
        change("removed", "candle", "exact/old", &side("pass", 0.1), &Value::Null),
    ];
    let notes = ["cuda was asked in the baseline only: 300 results are not compared"];
    insta::assert_snapshot!(shown(&a_run(&transitions, &notes), None));
}

#[test]
fn nothing_has_changed() {
    insta::assert_snapshot!(shown(&a_run(&[], &[]), None));
}

#[test]
fn something_is_fixed_and_nothing_newly_fails() {
    let fixed = change("fixed", "candle", CASE, &side("fail", 3.0), &side("pass", 0.2));
    insta::assert_snapshot!(shown(&a_run(&[fixed], &[]), None));
}

#[test]
fn declared_deviations_that_are_newly_wrong() {
    let mut run = a_run(&[], &[]);
    run.changes.as_mut().expect("it is there").deviation_errors =
        vec!["candle: no case needs `x`".to_owned()];
    insta::assert_snapshot!(shown(&run, None));
}

#[test]
fn runs_that_have_nothing_in_common() {
    let mut run = a_run(&[], &["cuda was not asked in the baseline: 300 results are not compared"]);
    run.changes.as_mut().expect("it is there").compared = 0;
    insta::assert_snapshot!(shown(&run, None));
}

#[test]
fn a_long_list_is_cut_and_says_how_to_see_all() {
    let many: Vec<Value> =
        (0..30).map(|number| newly("candle", &format!("s/{number}"), &side("pass", 0.1))).collect();
    let run = a_run(&many, &[]);
    let cut = shown(&run, Some(2));
    insta::assert_snapshot!(cut);
    let all = shown(&run, None);
    assert_eq!((cut.matches("replay:").count(), all.matches("replay:").count()), (2, 30));
    assert!(!all.contains("--all"));
}

#[test]
fn hostile_texts_cannot_reach_the_terminal() {
    let hostile = "\u{1b}[2J\u{202e}x\n::error::\u{7}";
    let change =
        because(change("newly_failing", hostile, hostile, &Value::Null, &side("fail", 2.0)), hostile);
    let mut run = a_run(&[change, newly("candle", &"y".repeat(1 << 20), &Value::Null)], &[hostile]);
    let changes = run.changes.as_mut().expect("it is there");
    changes.baseline.source = hostile.to_owned();
    changes.baseline.bncheck = hostile.to_owned();
    changes.baseline.started_unix_ms = u64::MAX;
    changes.deviation_errors = vec![hostile.to_owned()];
    let text = shown(&run, None);
    assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{text}");
    assert!(!text.lines().any(|line| line.trim_start().starts_with("::")), "{text}");
    assert!(text.len() < 10_000, "{} bytes", text.len());
}

#[test]
fn what_is_newly_failing_is_a_run_of_its_own() {
    let run = a_run(
        &[
            newly("candle", "a", &Value::Null),
            change("other_verdict", "candle", "b", &side("crash", 1.0), &side("fail", 2.0)),
        ],
        &[],
    );
    let failing = newly_failing(&run);
    assert_eq!(failing.results.iter().map(|result| result.case.as_str()).collect::<Vec<_>>(), ["a"]);
    assert!(failing.deviation_errors.is_empty(), "the old one is not new");
}
