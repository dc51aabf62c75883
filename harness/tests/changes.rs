//! What is said to have changed from one run to another.

use bn_harness::changes::{Changes, Side, Transition, TransitionKind, compare};
use bn_harness::results::{RunResults, Verdict};
use serde_json::{Value, json};

use TransitionKind::{Added, BudgetDown, BudgetUp, Fixed, NewlyFailing, OtherVerdict, Removed};

/// A result of the backend `candle`.
fn result(case: &str, verdict: &str, budget_used: impl Into<Value>) -> Value {
    of("candle", case, verdict, budget_used)
}

fn of(backend: &str, case: &str, verdict: &str, budget_used: impl Into<Value>) -> Value {
    json!({
        "case": case, "backend": backend, "verdict": verdict, "budget_used": budget_used.into(), "micros": 1,
        "reason": "a reason\nof two lines"
    })
}

/// A run with these results, in which nothing is known of how its cases were chosen.
fn run(results: Vec<Value>) -> RunResults {
    let names = |field: &str| {
        let mut names: Vec<&str> = Vec::new();
        for name in results.iter().filter_map(|result| result[field].as_str()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    };
    let backends: Vec<Value> =
        names("backend").into_iter().map(|name| json!({"name": name, "version": "1", "about": ""})).collect();
    let cases: Vec<Value> = names("case")
        .into_iter()
        .map(|id| json!({"id": id, "suite": "s", "file": "s.yaml", "line": 1, "kappa": null, "words": "as it was"}))
        .collect();
    let mut run = json!({
        "schema_version": 1,
        "run": {
            "bncheck": "0.1.0", "oracle": "libtorch", "backends": backends, "jobs": 1, "seed": null, "flags": [],
            "machine": {"os": "linux", "arch": "x86_64", "cpu": null, "threads": 2},
            "started_unix_ms": 5, "duration_ms": 1
        },
        "cases": cases, "deviation_errors": []
    });
    run["results"] = results.into();
    serde_json::from_value(run).expect("results")
}

/// The same, with a selection.
fn selected(results: Vec<Value>, selection: &Value) -> RunResults {
    let mut run = run(results);
    run.run.selections = vec![serde_json::from_value(selection.clone()).expect("a selection")];
    run
}

fn changes(base: Vec<Value>, new: Vec<Value>) -> Changes {
    compare(&run(base), &run(new), "base.json", 2.0)
}

fn kinds(changes: &Changes) -> Vec<(&str, TransitionKind)> {
    changes.transitions.iter().map(|transition| (transition.case.as_str(), transition.kind)).collect()
}

#[test]
fn of_two_equal_runs_nothing_has_changed() {
    let results =
        || vec![result("a", "pass", 0.5), result("b", "fail", 7.0), result("c", "crash", Value::Null)];
    let changes = changes(results(), results());
    assert_eq!((changes.compared, &changes.transitions[..], &changes.notes[..]), (3, &[][..], &[][..]));
    assert!(changes.is_no_worse(), "an old failure is no new one");
    assert_eq!(changes.baseline.started_unix_ms, 5);
}

#[test]
fn every_pair_of_verdicts_is_newly_failing_fixed_or_another_verdict() {
    for before in Verdict::ALL {
        for after in Verdict::ALL {
            let changes = changes(
                vec![result("a", before.name(), Value::Null)],
                vec![result("a", after.name(), Value::Null)],
            );
            let kind = if before == after {
                None
            } else if before.is_expected() && !after.is_expected() {
                Some(NewlyFailing)
            } else if !before.is_expected() && after == Verdict::Pass {
                Some(Fixed)
            } else {
                Some(OtherVerdict)
            };
            assert_eq!(changes.transitions.first().map(|one| one.kind), kind, "{before} -> {after}");
            assert_eq!(changes.is_no_worse(), kind != Some(NewlyFailing), "{before} -> {after}");
        }
    }
}

#[test]
fn what_is_newly_failing_comes_first_with_its_first_difference() {
    let mut fails = result("z", "fail", 41234.5);
    fails["steps"] = json!([
        {"step": 0, "action": "new layer"},
        {"step": 1, "action": "forward", "tensors": [
            {"tensor": "output", "verdict": "pass", "budget_used": 0.1, "total": 4},
            {"tensor": "running_mean", "verdict": "fail", "budget_used": 41234.5, "total": 4, "mismatched": 3, "worst": {
                "index": [2], "expected": {"decimal": "0.05", "bits": "0x3d4ccccd"},
                "got": {"decimal": "0.1", "bits": "0x3dcccccd"}, "ulps": 8_388_608, "budget": 1e-6
            }}
        ]}
    ]);
    let changes = changes(
        vec![result("a", "error", Value::Null), result("z", "pass", 0.5)],
        vec![result("a", "pass", 0.2), fails],
    );
    assert_eq!(kinds(&changes), [("z", NewlyFailing), ("a", Fixed)]);
    let Transition { before, after, difference, .. } = &changes.transitions[0];
    assert_eq!(*before, Some(Side { verdict: Verdict::Pass, budget_used: Some(0.5) }));
    assert_eq!(*after, Some(Side { verdict: Verdict::Fail, budget_used: Some(41234.5) }));
    let line = "step 1 (forward): running_mean mismatches 3 of 4, worst at [2]: 0.1 where 0.05 should be";
    assert_eq!(difference.as_deref(), Some(line));
    let was = changes.transitions[1].difference.as_deref();
    assert_eq!(was, Some("a reason"), "of what is fixed, what was wrong, in a line");
}

#[test]
fn a_budget_used_has_to_change_by_more_than_the_factor() {
    let change = |before: f64, after: f64| {
        let changes = changes(vec![result("a", "pass", before)], vec![result("a", "pass", after)]);
        changes.transitions.first().map(|one| one.kind)
    };
    assert_eq!(change(0.4, 0.8), None);
    assert_eq!(change(0.4, 0.801), Some(BudgetUp));
    assert_eq!(change(0.801, 0.4), Some(BudgetDown));
    assert_eq!(change(0.0001, 0.09), None, "both are comfortable");
    assert_eq!(change(0.0, 0.2), None, "what is below 0.1 counts as 0.1");
    assert_eq!(change(0.0, 0.21), Some(BudgetUp));
    assert_eq!(change(0.9, 0.0), Some(BudgetDown));
}

#[test]
fn a_failure_may_use_more_of_its_budget_as_well() {
    let changes = changes(vec![result("a", "fail", 2.0)], vec![result("a", "fail", 2e6)]);
    assert_eq!(kinds(&changes), [("a", BudgetUp)]);
    assert!(changes.is_no_worse());
}

#[test]
fn the_factor_is_what_is_asked_for() {
    let (base, new) = (run(vec![result("a", "pass", 0.2)]), run(vec![result("a", "pass", 0.5)]));
    assert_eq!(kinds(&compare(&base, &new, "", 2.0)), [("a", BudgetUp)]);
    assert_eq!(kinds(&compare(&base, &new, "", 3.0)), []);
}

#[test]
fn what_is_measured_on_one_side_only_is_no_ratio() {
    let change = |before: Value, after: Value| {
        let changes = changes(vec![result("a", "fail", before)], vec![result("a", "fail", after)]);
        changes.transitions.first().map(|one| one.kind)
    };
    assert_eq!(change(Value::Null, 3.0.into()), Some(OtherVerdict));
    assert_eq!(change(3.0.into(), Value::Null), Some(OtherVerdict));
    assert_eq!(change(Value::Null, 0.0.into()), None);
    assert_eq!(change(Value::Null, Value::Null), None);
}

#[test]
fn an_infinite_budget_used_is_as_if_read_from_a_file_which_knows_none() {
    let base = run(vec![result("a", "fail", Value::Null)]);
    let mut new = base.clone();
    new.results[0].budget_used = Some(f64::INFINITY);
    assert_eq!(kinds(&compare(&base, &new, "", 2.0)), []);
}

#[test]
fn what_only_one_run_has_is_added_or_removed() {
    let changes = changes(
        vec![result("a", "pass", 0.1), result("b", "pass", 0.1)],
        vec![result("b", "pass", 0.1), result("c", "known", 3.0)],
    );
    assert_eq!(kinds(&changes), [("c", Added), ("a", Removed)]);
    assert!(changes.is_no_worse());
    assert_eq!((changes.transitions[0].before, changes.transitions[1].after), (None, None));
}

#[test]
fn what_is_new_and_fails_is_newly_failing() {
    let changes =
        changes(vec![result("a", "pass", 0.1)], vec![result("a", "pass", 0.1), result("b", "fail", 3.0)]);
    assert_eq!(kinds(&changes), [("b", NewlyFailing)]);
    assert_eq!(changes.transitions[0].before, None);
    assert!(!changes.is_no_worse());
}

#[test]
fn a_backend_that_one_run_did_not_ask_is_said_once() {
    let both = |case: &str| vec![of("candle", case, "pass", 0.1), of("tch-nn", case, "pass", 0.1)];
    let all: Vec<Value> = ["a", "b", "c"].into_iter().flat_map(both).collect();
    let candle: Vec<Value> = ["a", "b", "c"].map(|case| result(case, "pass", 0.1)).to_vec();
    let fewer = changes(all.clone(), candle.clone());
    assert_eq!((fewer.compared, kinds(&fewer)), (3, vec![]));
    assert_eq!(fewer.notes, ["tch-nn was asked in the baseline only: 3 results are not compared"]);
    let more = changes(candle.clone(), all.clone());
    assert_eq!(kinds(&more), []);
    assert_eq!(more.notes, ["tch-nn was not asked in the baseline: 3 results are not compared"]);
    let mut failing = all;
    failing[1] = of("tch-nn", "a", "fail", 5.0);
    let changes = changes(candle, failing);
    assert_eq!(kinds(&changes), [("a", NewlyFailing)], "the baseline does not excuse it");
}

mod a_run_of_chosen_cases {
    use super::*;

    fn everything() -> Value {
        json!({"tier": "full"})
    }

    fn filtered() -> Value {
        json!({"tier": "full", "filter": ["b"]})
    }

    fn passing(cases: &[&str]) -> Vec<Value> {
        cases.iter().map(|case| result(case, "pass", 0.1)).collect()
    }

    #[test]
    fn does_not_remove_the_others() {
        for selection in [
            filtered(),
            json!({"tier": "quick"}),
            json!({"tier": "full", "part": {"number": 1, "of": 3}}),
            json!({"tier": "full", "suites": ["mine"]}),
        ] {
            let base = selected(passing(&["a", "b", "c"]), &everything());
            let changes = compare(&base, &selected(passing(&["b"]), &selection), "", 2.0);
            assert_eq!((changes.compared, kinds(&changes)), (1, vec![]), "{selection}");
            let note = "this run chose among the baseline's cases: 2 cases of it are not compared";
            assert_eq!(changes.notes, [note], "{selection}");
        }
    }

    #[test]
    fn as_a_baseline_does_not_make_the_others_new_unless_they_fail() {
        let base = selected(passing(&["b"]), &filtered());
        let mut results = passing(&["a", "b", "c"]);
        results.push(result("d", "fail", 7.0));
        let changes = compare(&base, &selected(results, &everything()), "", 2.0);
        assert_eq!(kinds(&changes), [("d", NewlyFailing)]);
        let note = "the baseline is of a choice of cases: 2 cases of this run are not compared";
        assert_eq!(changes.notes, [note]);
    }

    #[test]
    fn chosen_alike_adds_and_removes() {
        let base = selected(passing(&["b1", "b2"]), &filtered());
        let changes = compare(&base, &selected(passing(&["b2", "b3"]), &filtered()), "", 2.0);
        assert_eq!(kinds(&changes), [("b3", Added), ("b1", Removed)]);
    }

    #[test]
    fn that_would_have_taken_it_removes_a_case() {
        let base = selected(passing(&["a", "b"]), &json!({"tier": "quick"}));
        let changes = compare(&base, &selected(passing(&["b", "c"]), &everything()), "", 2.0);
        assert_eq!(kinds(&changes), [("a", Removed)]);
    }
}

#[test]
fn a_run_that_is_not_whole_removes_nothing() {
    let base = run(vec![result("a", "pass", 0.1), result("b", "pass", 0.1)]);
    let mut new = run(vec![result("b", "pass", 0.1)]);
    new.run.incomplete = Some("part 2 of 2 is missing".to_owned());
    let changes = compare(&base, &new, "", 2.0);
    assert_eq!(kinds(&changes), []);
    assert_eq!(changes.notes[0], "this run is not whole: part 2 of 2 is missing");
}

#[test]
fn runs_without_a_common_result_are_not_fine() {
    let changes = changes(vec![result("a", "pass", 0.1)], vec![of("tch-nn", "b", "pass", 0.1)]);
    assert_eq!(changes.compared, 0);
    assert!(!changes.is_no_worse());
}

#[test]
fn newly_wrong_declarations_are_no_better_than_newly_failing_cases() {
    let mut base = run(vec![result("a", "pass", 0.1)]);
    let mut new = base.clone();
    base.deviation_errors = vec!["old".to_owned()];
    new.deviation_errors = vec!["old".to_owned(), "new".to_owned()];
    let changes = compare(&base, &new, "", 2.0);
    assert_eq!(changes.deviation_errors, ["new"]);
    assert!(!changes.is_no_worse());
}

#[test]
fn other_versions_and_other_cases_of_the_same_name_are_said() {
    let base = run(vec![result("a", "pass", 0.1), result("b", "pass", 0.1)]);
    let mut new = base.clone();
    new.run.oracle = "libtorch 3".to_owned();
    new.run.backends[0].version = "2".to_owned();
    new.cases[1].words = "as it is now".to_owned();
    assert_eq!(
        compare(&base, &new, "", 2.0).notes,
        [
            "the baseline was judged by libtorch, this run by libtorch 3",
            "candle is 2, in the baseline 1",
            "1 case asked otherwise than in the baseline: b"
        ]
    );
}

#[test]
fn of_a_result_that_is_there_twice_the_last_one_counts() {
    let changes =
        changes(vec![result("a", "pass", 0.1)], vec![result("a", "pass", 0.1), result("a", "fail", 3.0)]);
    assert_eq!((changes.compared, kinds(&changes)), (1, vec![("a", NewlyFailing)]));
}

/// A run of which so many passing cases of the backend b are counted and not listed.
fn counted(results: Vec<Value>, cases: usize) -> RunResults {
    let mut run = run(results);
    let more = json!({"suite": "s", "backend": "b", "verdict": "pass", "count": cases});
    run.left_out = serde_json::from_value(json!({"cases": cases, "results": [more]})).expect("counts");
    run
}

#[test]
fn what_is_counted_and_not_listed_is_not_compared_and_that_is_said() {
    let of_b = |case, verdict| {
        let mut result = result(case, verdict, 0.5);
        result["backend"] = "b".into();
        result
    };
    let (base, new) = (counted(vec![of_b("a", "fail")], 9), run(vec![of_b("a", "fail"), of_b("b", "pass")]));
    let one_way = compare(&base, &new, "base.json", 2.0);
    assert_eq!((one_way.compared, &one_way.transitions[..]), (1, &[][..]), "b may have passed before");
    assert_eq!(
        one_way.notes,
        [
            "of its 10 cases the baseline counts 9 without listing them: they are not compared",
            "1 result that this run lists and the baseline does not are not compared"
        ]
    );
    let other_way = compare(&new, &base, "base.json", 2.0);
    assert_eq!((other_way.compared, &other_way.transitions[..]), (1, &[][..]), "b has not gone");
    let new = run(vec![of_b("a", "fail"), of_b("b", "fail")]);
    let failing = compare(&base, &new, "base.json", 2.0);
    assert_eq!(kinds(&failing), [("b", NewlyFailing)], "a failure is never left out");
}

#[test]
fn cases_by_chance_are_those_of_their_seed() {
    let by_chance = |case: &str, cases: usize, seed: u64| {
        let selection = json!({"tier": "full", "random": {"cases": cases, "seed": seed}});
        let mut run = selected(vec![result(case, "pass", 0.5)], &selection);
        run.run.seed = Some(seed);
        run
    };
    let changes = compare(&by_chance("a", 2, 0), &by_chance("b", 2, 0), "base.json", 2.0);
    assert_eq!(kinds(&changes), [("b", Added), ("a", Removed)]);
    let changes = compare(&by_chance("a", 2, 0), &by_chance("b", 2, 1), "base.json", 2.0);
    assert_eq!(kinds(&changes), []);
    let changes = compare(&by_chance("a", 1, 0), &by_chance("b", 2, 0), "base.json", 2.0);
    assert_eq!(kinds(&changes), [("a", Removed)], "there are more of them now");
}
