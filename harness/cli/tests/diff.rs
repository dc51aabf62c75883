//! What has changed from one run to another: `bncheck diff`, and `bncheck run --baseline`.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

mod common;
use common::{Ended, Run, bncheck, ended, folder_with};

/// A suite of which `tch-nn` fails the first case, as its weights are random.
const MINE: &str = "{suite: mine, cases: [\
    {name: as-constructed, input: {shape: [4, 3]}, mode: train}, \
    {name: not-affine, layer: {affine: false}, matrix: {dtype: [f32, f64]}, input: {shape: [4, 3]}, mode: train}]}\n";

/// A run of it, and the folder of the suite.
fn mine(arguments: &[&str]) -> (TempDir, Run) {
    let folder = folder_with("mine.yaml", MINE);
    let suite = folder.path().join("mine.yaml");
    let suite = ["--suites", suite.to_str().expect("UTF-8"), "--backend", "reference,tch-nn"];
    (folder, Run::with(&[arguments, &suite].concat()))
}

fn results_of(run: &Run) -> PathBuf {
    run.folder.path().join("results.json")
}

/// The results of a run with something changed, as a file of their own.
fn changed(run: &Run, change: impl FnOnce(&mut Value)) -> (TempDir, PathBuf) {
    let mut results = run.results();
    change(&mut results);
    let folder = folder_with("changed.json", results.to_string());
    let path = folder.path().join("changed.json");
    (folder, path)
}

/// The result of a case on a backend.
fn result<'a>(results: &'a mut Value, case: &str, backend: &str) -> &'a mut Value {
    let all = results["results"].as_array_mut().expect("results");
    all.iter_mut().find(|one| one["case"] == case && one["backend"] == backend).expect("it is there")
}

/// As if what fails had passed.
fn as_if_passed(results: &mut Value) {
    let result = result(results, "mine/as-constructed", "tch-nn");
    assert_eq!(result["verdict"], "fail");
    (result["verdict"], result["budget_used"]) = ("pass".into(), 0.25.into());
}

fn diff(base: &Path, new: &Path, more: &[&str]) -> Ended {
    ended(bncheck(&["diff"]).arg(base).arg(new).args(more))
}

fn unwrapped(text: &str) -> String {
    text.replace(['│', '\n'], " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_run_and_itself_do_not_differ_although_it_fails() {
    let (_folder, run) = mine(&[]);
    assert_eq!(run.ended.code, Some(1), "{:#?}", run.ended);
    let same = diff(&results_of(&run), run.folder.path(), &[]);
    assert_eq!(same.code, Some(0), "{same:#?}");
    assert!(same.stdout.starts_with("6 results compared with "), "{}", same.stdout);
    assert!(same.stdout.ends_with("\nnothing has changed\n"), "{}", same.stdout);
    assert_eq!(same.stderr, "");
}

#[test]
fn what_newly_fails_is_shown_with_its_first_difference_and_ends_with_1() {
    let (_folder, run) = mine(&[]);
    let (_base, base) = changed(&run, as_if_passed);
    let worse = diff(&base, run.folder.path(), &[]);
    assert_eq!(worse.code, Some(1), "{worse:#?}");
    let lines: Vec<&str> = worse.stdout.lines().collect();
    assert_eq!(lines[0], "Newly failing, 1");
    assert_eq!(lines[1], "  fail  tch-nn  mine/as-constructed  was pass");
    assert!(
        lines[2].starts_with("    step 0 (new layer): weight mismatches 3 of 3, worst at ["),
        "{}",
        lines[2]
    );
    assert!(lines[2].contains(" where 1.0 should be"), "{}", lines[2]);
    assert!(lines[3].starts_with("    replay: "), "{}", lines[3]);
    assert!(lines[3].ends_with(" replay 'mine/as-constructed' --backend tch-nn"), "{}", lines[3]);
    assert!(worse.stdout.ends_with("\n1 newly failing\n"), "{}", worse.stdout);

    let better = diff(run.folder.path(), &base, &[]);
    assert_eq!(better.code, Some(0), "{better:#?}");
    assert!(
        better.stdout.starts_with("Fixed, 1\n  pass  tch-nn  mine/as-constructed  was fail\n"),
        "{better:#?}"
    );
    assert!(better.stdout.ends_with("\nnothing newly failing; 1 fixed\n"), "{better:#?}");
}

#[test]
fn a_changed_budget_is_listed_by_the_factor() {
    let (_folder, run) = mine(&[]);
    let (_new, new) = changed(&run, |results| {
        let result = result(results, "mine/not-affine[dtype=f32]", "reference");
        let before = result["budget_used"].as_f64().expect("it is measured").max(0.1);
        result["budget_used"] = (before * 2.5).into();
    });
    let more = diff(run.folder.path(), &new, &[]);
    assert_eq!(more.code, Some(0), "more of the budget is no failure: {more:#?}");
    assert!(more.stdout.starts_with("Budget used, up by more than 2 times, 1\n"), "{}", more.stdout);
    assert!(more.stdout.contains("  reference  mine/not-affine[dtype=f32]\n"), "{}", more.stdout);
    assert!(diff(run.folder.path(), &new, &["--factor", "3"]).stdout.ends_with("\nnothing has changed\n"));
    let less = diff(&new, run.folder.path(), &[]).stdout;
    assert!(less.starts_with("Budget used, down by more than 2 times, 1\n"), "{less}");
}

#[test]
fn as_json_it_is_for_programs() {
    let (_folder, run) = mine(&[]);
    let (_base, base) = changed(&run, as_if_passed);
    let json = diff(&base, run.folder.path(), &["--format", "json"]);
    assert_eq!(json.code, Some(1));
    let said: Value = serde_json::from_str(&json.stdout).expect("JSON and nothing else");
    assert_eq!((&said["schema_version"], &said["changes"]["compared"]), (&json!(1), &json!(6)));
    let [transition] = &said["changes"]["transitions"].as_array().expect("a list")[..] else {
        panic!("{said:#}");
    };
    assert_eq!(transition["kind"], "newly_failing");
    assert_eq!(transition["before"], json!({"verdict": "pass", "budget_used": 0.25}));
    assert_eq!(transition["after"]["verdict"], "fail");
}

#[test]
fn for_github_what_newly_fails_is_annotated_and_nothing_else() {
    let (_folder, run) = mine(&[]);
    let (_base, base) = changed(&run, as_if_passed);
    let worse = diff(&base, run.folder.path(), &["--format", "github"]);
    assert_eq!(worse.code, Some(1));
    assert!(worse.stdout.starts_with("::error file="), "{}", worse.stdout);
    assert_eq!(worse.stdout.matches("::error ").count(), 1, "{}", worse.stdout);
    assert!(worse.stdout.contains("\nNewly failing, 1\n"), "{}", worse.stdout);
    let same = diff(run.folder.path(), run.folder.path(), &["--format", "github"]);
    assert_eq!((same.code, same.stdout.contains("::error")), (Some(0), false), "an old failure is no news");
}

#[test]
fn as_a_page_it_is_the_report_on_the_new_run_with_what_has_changed() {
    let (_folder, run) = mine(&[]);
    let (_base, base) = changed(&run, as_if_passed);
    let page = run.folder.path().join("pages/changes.html");
    let ended = diff(&base, run.folder.path(), &["--html", page.to_str().expect("UTF-8")]);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert_eq!(ended.stderr, format!("report: {}\n", page.display()));
    assert!(ended.stdout.starts_with("Newly failing, 1\n"), "{}", ended.stdout);
    let html = std::fs::read_to_string(&page).expect("it is written");
    assert!(html.starts_with("<!DOCTYPE html>") || html.starts_with("<!doctype html>"), "{}", &html[..100]);
    let (with, without) = (html, std::fs::read_to_string(run.folder.path().join("report.html")));
    assert_ne!(with, without.expect("the run's own page"), "what has changed is in it");
}

#[test]
fn long_lists_are_cut_unless_all_is_asked_for() {
    let run = Run::with(&["exact/*", "--backend", "reference"]);
    let (_base, base) = changed(&run, |results| {
        for result in results["results"].as_array_mut().expect("results") {
            result["verdict"] = "fail".into();
        }
    });
    let count = run.results()["results"].as_array().expect("results").len();
    assert!(count > 20, "{count}");
    let cut = diff(&base, run.folder.path(), &[]).stdout;
    assert_eq!(cut.matches("\n  pass  reference  ").count(), 20, "{cut}");
    assert!(cut.contains(&format!("\n  … and {} more: --all lists them\n", count - 20)), "{cut}");
    let all = diff(&base, run.folder.path(), &["--all"]).stdout;
    assert_eq!(all.matches("\n  pass  reference  ").count(), count, "{all}");
}

#[test]
fn filters_choose_among_the_cases_as_everywhere() {
    let (_folder, run) = mine(&[]);
    let (_base, base) = changed(&run, as_if_passed);
    let with = |filter: &[&str]| diff(&base, run.folder.path(), filter);
    for (filter, compared, code) in [
        (&["not-affine"][..], 4, 0),
        (&["dtype=f64"], 2, 0),
        (&["not-affine", "dtype!=f64"], 2, 0),
        (&["!not-affine"], 2, 1),
        (&["mine/not-affine[dtype=f32]"], 2, 0),
        (&["layer.affine=true"], 2, 1),
    ] {
        let ended = with(filter);
        assert_eq!(ended.code, Some(code), "{filter:?}: {ended:#?}");
        assert!(
            ended.stdout.contains(&format!("{compared} results compared with ")),
            "{filter:?}: {ended:#?}"
        );
    }
    let none = with(&["no-such-case"]);
    assert_eq!(none.code, Some(4), "{none:#?}");
    assert!(unwrapped(&none.stderr).contains("no case of these results is selected by `no-such-case`"));
    let unknown = with(&["dtpye=f32"]);
    assert_eq!(unknown.code, Some(2), "{unknown:#?}");
    assert!(unwrapped(&unknown.stderr).contains("did you mean `dtype`?"), "{unknown:#?}");
}

#[test]
fn a_run_of_some_cases_and_backends_is_compared_with_a_full_one_without_noise() {
    let base = Run::with(&["exact/*", "--backend", "reference,candle"]);
    let new = Run::with(&["exact/means", "dtype=f32", "--backend", "reference"]);
    let ended = diff(base.folder.path(), new.folder.path(), &[]);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(ended.stdout.contains("note: candle was asked in the baseline only: "), "{}", ended.stdout);
    assert!(ended.stdout.contains("note: this run chose among the baseline's cases: "), "{}", ended.stdout);
    assert!(!ended.stdout.contains("Removed"), "{}", ended.stdout);
    assert!(ended.stdout.contains("\n3 results compared with "), "{}", ended.stdout);
    assert!(ended.stdout.ends_with("\nnothing has changed\n"), "{}", ended.stdout);
}

#[test]
fn a_case_that_is_gone_or_new_is_named() {
    let (_folder, run) = mine(&[]);
    let (_less, less) = changed(&run, |results| {
        let gone = "mine/not-affine[dtype=f64]";
        results["cases"].as_array_mut().expect("cases").retain(|case| case["id"] != gone);
        results["results"].as_array_mut().expect("results").retain(|result| result["case"] != gone);
    });
    let removed = diff(run.folder.path(), &less, &[]);
    assert_eq!(removed.code, Some(0));
    assert!(
        removed.stdout.starts_with("Removed, 1 case\n  mine/not-affine[dtype=f64]  2 pass\n"),
        "{removed:#?}"
    );
    let added = diff(&less, run.folder.path(), &[]).stdout;
    assert!(added.starts_with("Added, 1 case\n  mine/not-affine[dtype=f64]  2 pass\n"), "{added}");
}

#[test]
fn runs_without_a_common_result_end_with_1() {
    let one = Run::with(&["exact/means", "dtype=f32", "--backend", "reference"]);
    let other = Run::with(&["exact/means", "dtype=f32", "--backend", "candle"]);
    let ended = diff(one.folder.path(), other.folder.path(), &[]);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(
        ended.stdout.contains("nothing was compared: this run has no result in common"),
        "{}",
        ended.stdout
    );
}

mod what_cannot_be_read {
    use super::*;

    const GOOD: &[&str] = &["exact/means[fill=zero,dtype=f32]", "--backend", "reference"];

    /// A file with this content.
    fn file(content: &str) -> (TempDir, PathBuf) {
        let folder = folder_with("results.json", content);
        let path = folder.path().join("results.json");
        (folder, path)
    }

    #[test]
    fn is_6_for_the_baseline_and_2_for_the_new_run() {
        let run = Run::with(GOOD);
        let good = run.folder.path();
        let whole = std::fs::read_to_string(results_of(&run)).expect("it is there");
        let half = whole[..whole.find("\"results\"").expect("results") + 20].to_owned();
        let other = whole.replace("\"schema_version\": 1", "\"schema_version\": 9");
        for (content, said) in [
            ("", "is empty"),
            ("# no results\n", "is not a results file: it is not JSON"),
            ("{\"cases\": []}", "is not a results file: it has no `schema_version`"),
            (
                &*other,
                "holds results of schema version 9, written by bncheck 0.1.0; this bncheck reads version 1",
            ),
            (&*half, "is not whole: the file is cut off, or still being written"),
        ] {
            let (_folder, path) = file(content);
            for (ended, code) in [(diff(&path, good, &[]), 6), (diff(good, &path, &[]), 2)] {
                assert_eq!(ended.code, Some(code), "{said}: {ended:#?}");
                assert!(unwrapped(&ended.stderr).contains(said), "{said}: {ended:#?}");
                assert_eq!(ended.stdout, "", "{said}");
            }
        }
        let missing = good.join("nowhere.json");
        let base = diff(&missing, good, &[]);
        assert_eq!(base.code, Some(6), "{base:#?}");
        let text = unwrapped(&base.stderr);
        assert!(text.contains("there is no baseline: there are no results: "), "{text}");
        assert!(text.contains("`bncheck run` writes results.json to target/bncheck"), "{text}");
        assert_eq!(diff(good, &missing, &[]).code, Some(2));
    }

    #[test]
    fn what_is_cut_off_is_shown_by_a_report_and_the_message_says_so() {
        let run = Run::with(GOOD);
        let whole = std::fs::read_to_string(results_of(&run)).expect("it is there");
        let (_folder, path) = file(&whole[..whole.len() - 10]);
        let text = unwrapped(&diff(&path, run.folder.path(), &[]).stderr);
        assert!(text.contains("`bncheck report "), "{text}");
        assert!(text.contains("shows what is there; to compare it, run its cases again"), "{text}");
    }

    #[test]
    fn a_factor_below_one_is_usage() {
        for factor in ["0.5", "nan", "inf", "two", "-3"] {
            let ended = ended(&mut bncheck(&["diff", "a", "b", &format!("--factor={factor}")]));
            assert_eq!(ended.code, Some(2), "{ended:#?}");
            assert!(ended.stderr.contains("a factor is a number of at least 1"), "{}", ended.stderr);
        }
    }
}

mod a_run_with_a_baseline {
    use super::*;

    #[test]
    fn that_is_missing_runs_nothing_and_ends_with_6() {
        let folder = tempfile::tempdir().expect("a folder");
        let nowhere = folder.path().join("nowhere");
        let run = Run::with(&["exact/means", "--baseline", nowhere.to_str().expect("UTF-8")]);
        assert_eq!(run.ended.code, Some(6), "{:#?}", run.ended);
        assert!(!run.ended.stderr.contains("running"), "{}", run.ended.stderr);
        assert!(!results_of(&run).exists());
    }

    #[test]
    fn says_what_has_changed_after_the_table_and_in_the_results() {
        let (_folder, base) = mine(&[]);
        let (_base, changed) = changed(&base, as_if_passed);
        let (_folder, run) = mine(&["--baseline", changed.to_str().expect("UTF-8")]);
        assert_eq!(run.ended.code, Some(1), "{:#?}", run.ended);
        let text = &run.ended.stdout;
        let (table, changes) = text.split_once("\n1 not as expected\n\n").expect("the end of the table");
        assert!(table.contains("backend"), "{text}");
        assert!(
            changes.starts_with("Newly failing, 1\n  fail  tch-nn  mine/as-constructed  was pass\n"),
            "{text}"
        );
        let results = run.results();
        assert_eq!(results["changes"]["transitions"][0]["kind"], "newly_failing");
        assert_eq!(results["changes"]["baseline"]["source"], changed.to_str().expect("UTF-8"));
    }

    #[test]
    fn with_the_same_failures_is_still_not_as_expected() {
        let (_folder, base) = mine(&[]);
        let (_folder, run) = mine(&["--baseline", base.folder.path().to_str().expect("UTF-8")]);
        assert_eq!(run.ended.code, Some(1), "what is accepted is declared: {:#?}", run.ended);
        assert!(run.ended.stdout.ends_with("\nnothing has changed\n"), "{}", run.ended.stdout);
    }

    #[test]
    fn may_be_the_run_before_in_the_same_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let output = folder.path().to_str().expect("UTF-8");
        let arguments = ["run", "exact/means", "dtype=f32", "--backend", "reference", "--output", output];
        assert_eq!(ended(&mut bncheck(&arguments)).code, Some(0));
        let again = ended(bncheck(&arguments).args(["--baseline", output]));
        assert_eq!(again.code, Some(0), "{again:#?}");
        assert!(again.stdout.contains("\n3 results compared with "), "{}", again.stdout);
    }

    #[test]
    fn a_factor_needs_one() {
        let ended = ended(&mut bncheck(&["run", "exact/means", "--factor", "3"]));
        assert_eq!(ended.code, Some(2));
        assert!(ended.stderr.contains("--baseline <PATH>"), "{}", ended.stderr);
    }
}
