//! Several runs made into one.

use bn_harness::merge::{Merged, Source, merge};
use bn_harness::results::{Part, RunResults, Verdict};
use serde_json::{Value, json};

const CASES: [&str; 4] = ["s/a", "s/b", "t/a", "t/b"];

/// A run of these cases on these backends, each result a pass.
fn run(cases: &[&str], backends: &[&str]) -> RunResults {
    let suite = |id: &str| id.split_once('/').map_or(id, |(suite, _)| suite).to_owned();
    let ordinal = |id: &&str| CASES.iter().position(|case| case == id);
    let infos: Vec<Value> = cases
        .iter()
        .map(|id| {
            json!({"id": id, "suite": suite(id), "name": id, "file": "s.yaml", "line": ordinal(id), "kappa": 0.5,
                "words": "words", "ordinal": ordinal(id)})
        })
        .collect();
    let mut suites: Vec<Value> = Vec::new();
    for id in cases {
        let written = json!({"name": id, "line": ordinal(id), "yaml": "name: x"});
        match suites.iter_mut().find(|known| known["name"] == suite(id)) {
            Some(known) => known["written"].as_array_mut().expect("a list").push(written),
            None => suites.push(json!({"name": suite(id), "file": "s.yaml", "written": [written]})),
        }
    }
    let results: Vec<Value> = cases
        .iter()
        .flat_map(|case| backends.iter().map(move |backend| (case, backend)))
        .map(|(case, backend)| {
            json!({"case": case, "backend": backend, "verdict": "pass", "budget_used": 0.5, "micros": 1})
        })
        .collect();
    let columns: Vec<Value> =
        backends.iter().map(|name| json!({"name": name, "version": "1", "about": ""})).collect();
    let run = json!({
        "schema_version": 1,
        "run": {
            "bncheck": "0.1.0", "oracle": "libtorch", "backends": columns, "jobs": 2, "seed": null, "flags": ["run"],
            "machine": {"os": "linux", "arch": "x86_64", "cpu": null, "threads": 2},
            "started_unix_ms": 5, "duration_ms": 10, "selections": [{"tier": "full"}]
        },
        "suites": suites, "cases": infos, "results": results, "deviation_errors": []
    });
    serde_json::from_value(run).expect("results")
}

fn part(cases: &[&str], backends: &[&str], number: usize, of: usize) -> RunResults {
    let mut run = run(cases, backends);
    run.run.selections[0].part = Some(Part { number, of });
    run.run.flags = vec!["run".to_owned(), "--partition".to_owned(), format!("{number}/{of}")];
    run
}

#[track_caller]
fn merged(runs: Vec<RunResults>) -> Merged {
    let name = |(place, results)| Source { name: format!("{place}.json"), results };
    merge(runs.into_iter().enumerate().map(name).collect()).expect("there are runs")
}

fn names(results: &RunResults) -> Vec<(&str, &str)> {
    results.results.iter().map(|result| (result.case.as_str(), result.backend.as_str())).collect()
}

#[test]
fn nothing_comes_of_nothing_and_one_run_stays_as_it_is() {
    assert_eq!(merge(Vec::new()), None);
    let run = run(&CASES, &["candle"]);
    let alone = merged(vec![run.clone()]);
    assert_eq!(alone, Merged { results: run, replaced: 0, warnings: Vec::new() });
}

#[test]
fn parts_of_a_run_make_the_run_in_whatever_order_they_come() {
    let whole = run(&CASES, &["candle", "tch-nn"]);
    let parts = [
        part(&["s/b", "t/b"], &["candle", "tch-nn"], 2, 3),
        part(&[], &["candle", "tch-nn"], 3, 3),
        part(&["s/a", "t/a"], &["candle", "tch-nn"], 1, 3),
    ];
    let Merged { mut results, replaced, warnings } = merged(parts.to_vec());
    assert_eq!((replaced, &warnings[..]), (0, &[][..]));
    assert_eq!(results.run.duration_ms, 30, "the times add up");
    let sources: Vec<&str> = results.run.parts.iter().map(|part| part.source.as_str()).collect();
    assert_eq!(sources, ["0.json", "1.json", "2.json"]);
    assert_eq!(results.run.parts[0].run.flags, ["run", "--partition", "2/3"]);
    assert_eq!((results.run.parts[0].cases, results.run.parts[0].results), (2, 4));
    results.run.parts.clear();
    results.run.duration_ms = whole.run.duration_ms;
    assert_eq!(results, whole);
}

#[test]
fn a_part_that_is_missing_makes_it_incomplete() {
    let one = part(&["s/a"], &["candle"], 1, 3);
    let two = part(&["s/b"], &["candle"], 2, 3);
    let three = part(&["t/a"], &["candle"], 3, 3);
    let some = merged(vec![one.clone(), two.clone()]).results;
    assert_eq!(some.run.incomplete.as_deref(), Some("part 3 of 3 is missing"));
    assert!(!some.as_expected() && some.is_part());
    let more = merged(vec![one.clone(), one]).results.run.incomplete;
    assert_eq!(more.as_deref(), Some("2 of 3 parts are missing, part 2 first"));
    let all = merged(vec![some, three]).results;
    assert_eq!(all.run.incomplete, None, "the last part may come later");
    assert!(all.as_expected() && !all.is_part());
    assert_eq!(all.run.parts.len(), 3, "runs that were merged before are listed one by one");
    assert_eq!(all.run.flags, ["run"]);
}

#[test]
fn a_part_that_is_missing_for_one_backend_is_named_with_it() {
    let runs = vec![
        part(&["s/a"], &["candle"], 1, 2),
        part(&["s/b"], &["candle"], 2, 2),
        part(&["s/a"], &["tch-nn"], 1, 2),
    ];
    let why = merged(runs).results.run.incomplete;
    assert_eq!(why.as_deref(), Some("part 2 of 2 is missing for tch-nn"));
}

#[test]
fn a_file_that_claims_any_number_of_parts_takes_no_longer() {
    let runs = vec![part(&["s/a"], &["candle"], 1, usize::MAX), part(&["s/b"], &["candle"], 7, 0)];
    let why = merged(runs).results.run.incomplete.expect("it is not whole");
    assert!(why.ends_with("parts are missing, part 2 first"), "{why}");
}

#[test]
fn what_was_not_whole_stays_so() {
    let mut cut_off = run(&["s/a"], &["candle"]);
    cut_off.run.incomplete = Some("the file is cut off".to_owned());
    let merged = merged(vec![cut_off, run(&["s/b"], &["candle"])]).results;
    assert_eq!(merged.run.incomplete.as_deref(), Some("0.json: the file is cut off"));
    assert!(!merged.as_expected());
}

#[test]
fn backends_become_columns_of_the_same_cases() {
    let merged = merged(vec![run(&CASES[..2], &["candle"]), run(&CASES[..2], &["tch-nn"])]).results;
    let columns: Vec<&str> = merged.run.backends.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(columns, ["candle", "tch-nn"]);
    assert_eq!(names(&merged), [("s/a", "candle"), ("s/a", "tch-nn"), ("s/b", "candle"), ("s/b", "tch-nn")]);
    assert_eq!((merged.cases.len(), merged.suites.len()), (2, 1));
}

#[test]
fn of_a_result_that_is_in_several_runs_the_last_one_is_kept() {
    let mut first = run(&CASES, &["candle"]);
    first.results[1].verdict = Verdict::Fail;
    let Merged { results, replaced, .. } = merged(vec![first, run(&["s/b"], &["candle"])]);
    assert_eq!(replaced, 1);
    assert_eq!(names(&results), CASES.map(|case| (case, "candle")));
    assert!(results.as_expected());
}

#[test]
fn what_does_not_fit_together_is_said() {
    let first = run(&CASES[..2], &["candle"]);
    let mut second = first.clone();
    second.run.bncheck = "0.2.0".to_owned();
    second.run.oracle = "libtorch 3".to_owned();
    second.run.backends[0].version = "2".to_owned();
    second.cases[1].line = 99;
    let Merged { results, warnings, .. } = merged(vec![first, second]);
    assert_eq!(
        warnings,
        [
            "0.json has bncheck 0.1.0, 1.json has 0.2.0",
            "0.json has the oracle libtorch, 1.json has libtorch 3",
            "candle is of several versions: 1 and 2",
            "1 case is written otherwise in 1.json, whose text is kept: s/b"
        ]
    );
    assert_eq!((&*results.run.bncheck, &*results.run.oracle), ("0.1.0 and 0.2.0", "libtorch and libtorch 3"));
    assert_eq!(results.cases[1].line, 99);
}

#[test]
fn other_suites_keep_the_order_of_the_runs() {
    let mut mine = run(&["s/a"], &["candle"]);
    mine.run.selections[0].suites = vec!["mine.yaml".to_owned()];
    let merged = merged(vec![run(&["t/b"], &["candle"]), mine]).results;
    assert_eq!(names(&merged), [("t/b", "candle"), ("s/a", "candle")], "places are of one list of suites");
    assert_eq!(merged.run.selections.len(), 2);
}

#[test]
fn errors_of_declarations_are_gathered_but_for_runs_that_were_replaced() {
    let with = |cases: &[&str], error: &str| {
        let mut run = run(cases, &["candle"]);
        run.deviation_errors = vec![error.to_owned(), "in both".to_owned()];
        run
    };
    let errors = |runs| merged(runs).results.deviation_errors;
    assert_eq!(errors(vec![with(&["s/a"], "one"), with(&["s/b"], "two")]), ["one", "in both", "two"]);
    assert_eq!(errors(vec![with(&["s/a"], "one"), with(&["s/a", "s/b"], "two")]), ["two", "in both"]);
}

#[test]
fn what_explains_failures_adds_up() {
    let with = |case: &str, alike: &[&str], explains: usize| {
        let suspicion = |name: &&str| json!({"mistakes": [{"name": name, "about": ""}], "explains": explains, "fit": 0.5});
        let alike: Vec<Value> = alike.iter().map(suspicion).collect();
        let mut run = run(&[case], &["candle"]);
        run.results[0].verdict = Verdict::Fail;
        run.diagnoses = serde_json::from_value(json!([
            {"backend": "candle", "failing": 1, "replayed": 1, "explanations": [{"explains": explains, "alike": alike}]}
        ]))
        .expect("a diagnosis");
        run
    };
    let merged =
        merged(vec![with("s/a", &["x", "y"], 1), with("s/b", &["x", "z"], 1), with("t/a", &["q"], 1)]);
    let [diagnosis] = &merged.results.diagnoses[..] else { panic!("{:?}", merged.results.diagnoses) };
    assert_eq!((diagnosis.failing, diagnosis.replayed), (3, 3));
    let first = &diagnosis.explanations[0];
    assert_eq!((first.explains, first.alike.len()), (2, 1), "y and z are told apart by the other run");
    assert_eq!((&*first.alike[0].mistakes[0].name, first.alike[0].explains), ("x", 2));
    assert_eq!(diagnosis.explanations[1].explains, 1);
}

#[test]
fn declarations_that_no_part_can_decide_on_are_decided_together() {
    let with = |number: usize, run: usize, needed: bool| {
        let mut one = part(&CASES[number - 1..number], &["candle"], number, 2);
        let undecided =
            json!([{"backend": "candle", "name": "x", "covered": 3, "run": run, "needed": needed}]);
        one.run.undecided = serde_json::from_value(undecided).expect("it is one");
        one
    };
    let come_to = |runs: Vec<RunResults>| {
        let results = merged(runs).results;
        (results.deviation_errors, results.run.undecided.len())
    };
    let error = "candle: no case needs the declared deviation `x`; take it out".to_owned();
    assert_eq!(come_to(vec![with(1, 1, false), with(2, 2, false)]), (vec![error], 0));
    assert_eq!(come_to(vec![with(1, 1, true), with(2, 2, false)]), (vec![], 0));
    assert_eq!(come_to(vec![with(1, 1, false), with(2, 1, false)]), (vec![], 1), "one case is still missing");
    assert_eq!(come_to(vec![with(1, 2, false), with(1, 2, false)]), (vec![], 0), "twice the same cases");
}

/// A run of one case, and so many more that are counted.
fn counted(case: &str, backend: &str, cases: usize) -> RunResults {
    let mut run = run(&[case], &[backend]);
    let of_suite = |suite| json!({"suite": suite, "backend": backend, "verdict": "pass", "count": cases / 2});
    let counts =
        json!({"cases": cases, "not_recorded": cases / 2, "results": [of_suite("s"), of_suite("t")]});
    run.left_out = serde_json::from_value(counts).expect("counts");
    run
}

#[test]
fn what_is_counted_and_not_listed_is_added_up() {
    let seed = |mut run: RunResults, seed| {
        let selection = json!([{"tier": "full", "random": {"cases": 11, "seed": seed}}]);
        run.run.selections = serde_json::from_value(selection).expect("a selection");
        for more in &mut run.left_out.results {
            more.suite = format!("{}{seed}", more.suite);
        }
        run
    };
    let two = merged(vec![seed(counted("s/a", "candle", 10), 1), seed(counted("t/a", "candle", 10), 2)]);
    assert_eq!((two.results.left_out.cases, two.results.left_out.not_recorded), (20, 10));
    assert_eq!((two.results.case_count(), two.results.left_out.count()), (22, 20));
    assert!(two.warnings.is_empty(), "{:?}", two.warnings);
    assert_eq!(two.results.run.parts[0].results, 11);
    assert!(two.results.as_expected());
}

#[test]
fn the_same_cases_on_another_backend_are_no_more_cases() {
    let two = merged(vec![counted("s/a", "candle", 10), counted("t/a", "burn", 10)]);
    assert_eq!((two.results.case_count(), two.results.left_out.count()), (11, 20));
    assert_eq!(two.results.left_out.cases, 9, "one that the other does not list is listed");
    assert!(two.warnings.is_empty(), "{:?}", two.warnings);
}

#[test]
fn that_something_may_be_counted_twice_is_said() {
    let two = merged(vec![counted("s/a", "candle", 10), run(&["t/a"], &["candle"])]);
    let [warning] = &two.warnings[..] else { panic!("{:?}", two.warnings) };
    assert_eq!(
        warning,
        "0.json does not list all results of candle in t, and 1.json has some as well: what is in both is counted twice"
    );
    let number = |number| {
        let mut part = part(&["s/a"], &["candle"], number, 2);
        part.left_out = counted("s/a", "candle", 10).left_out;
        part
    };
    let parts = merged(vec![number(1), number(2)]);
    assert!(parts.warnings.is_empty(), "parts have no case in common: {:?}", parts.warnings);
}
