//! `results.json`: where it goes, what it holds, and that it holds the same every time.
#![cfg(feature = "libtorch")]

use std::collections::BTreeSet;

use serde_json::Value;

mod common;
use common::{Run, bncheck, ended, without_times};

fn list<'a>(value: &'a Value, name: &str) -> &'a Vec<Value> {
    value[name].as_array().unwrap_or_else(|| panic!("no list `{name}`"))
}

fn words<'a>(list: &'a [Value], field: &str) -> BTreeSet<&'a str> {
    list.iter().filter_map(|entry| entry[field].as_str()).collect()
}

#[test]
fn every_case_is_as_expected_on_every_backend_and_the_same_every_time() {
    let mut runs = [&["--jobs", "1"][..], &["--jobs", "2"], &["--jobs", "2"]].map(|arguments| {
        let run = Run::with(arguments);
        assert_eq!(run.ended.code, Some(0), "{:#?}", run.ended);
        run.results()
    });
    assert_eq!(runs[0]["run"]["jobs"], 1);
    assert_eq!(runs[1]["run"]["jobs"], 2);
    runs.iter_mut().for_each(without_times);
    assert!(runs[0] == runs[1], "--jobs changes the results");
    assert!(runs[1] == runs[2], "a second run has other results");

    let [results, ..] = &runs;
    assert_eq!(results["schema_version"], 1);
    let (cases, judged) = (list(results, "cases"), list(results, "results"));
    assert!(cases.len() >= 400, "{} cases", cases.len());
    assert_eq!(judged.len(), 9 * cases.len());
    assert_eq!(words(cases, "id").len(), cases.len(), "ids are unique");
    let cuda = ["cuda", "cuda-acc64", "cuda-ptx", "cuda-ptx-acc64"];
    let backends: BTreeSet<_> =
        ["burn", "candle", "libtorch", "reference", "tch-nn"].into_iter().chain(cuda).collect();
    assert_eq!(words(judged, "backend"), backends);
    assert_eq!(words(judged, "verdict"), BTreeSet::from(["known", "pass", "unsupported"]));
    for result in judged {
        let name = format!("{} {}", result["case"], result["backend"]);
        if result["verdict"] == "pass" {
            assert!(result["budget_used"].as_f64().is_none_or(|used| used <= 1.0), "{name}");
            assert!(result["steps"].as_array().is_some_and(|steps| !steps.is_empty()), "{name}");
        } else {
            assert!(result["reason"].as_str().is_some_and(|reason| reason.len() > 20), "{name}");
        }
    }
    assert!(judged.iter().all(|result| result["backend"] != "reference" || result["verdict"] == "pass"));
    assert!(list(results, "deviation_errors").is_empty());
}

#[test]
fn they_are_written_where_the_output_option_says_and_the_old_ones_are_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = folder.path().join("deep/er");
    let run = |filter: &str| {
        let mut command = bncheck(&["run", filter, "--backend", "reference", "--output"]);
        let ended = ended(command.arg(&output));
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        let path = output.join("results.json");
        assert!(ended.stderr.contains(&format!("results: {}", path.display())), "{}", ended.stderr);
        std::fs::read_to_string(path).expect("it is there")
    };
    let first = run("exact/means");
    assert!(!output.join("results.old.json").exists());
    let second = run("exact/long");
    assert_ne!(first, second);
    assert_eq!(std::fs::read_to_string(output.join("results.old.json")).expect("it is kept"), first);
    let names: BTreeSet<_> = std::fs::read_dir(&output)
        .expect("the folder is there")
        .map(|entry| entry.expect("readable").file_name().into_string().expect("UTF-8"))
        .filter(|name| name != ".lock")
        .collect();
    let each = |name: &str, ending: &str| [format!("{name}.{ending}"), format!("{name}.old.{ending}")];
    let files = [("results", "json"), ("report", "html"), ("junit", "xml"), ("summary", "md")];
    assert_eq!(names, files.into_iter().flat_map(|(name, ending)| each(name, ending)).collect());
}

#[test]
fn as_json_they_are_printed_as_they_are_written() {
    let run = Run::with(&["exact/means", "--backend", "candle,reference", "--format", "json"]);
    assert_eq!(run.ended.code, Some(0), "{:#?}", run.ended);
    let written = std::fs::read_to_string(run.folder.path().join("results.json")).expect("it is there");
    assert_eq!(run.ended.stdout, written);
    let names: Vec<_> = list(&run.results()["run"], "backends").iter().map(|b| b["name"].clone()).collect();
    assert_eq!(names, ["reference", "candle"], "in the order of the columns");
}

#[test]
fn a_replay_prints_them_and_writes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let suites = common::root().join("cases/suites");
    let mut command =
        bncheck(&["replay", "exact/means[fill=zero,dtype=f32]", "--format", "json", "--suites"]);
    let ended = ended(command.arg(suites).current_dir(folder.path()).env("LIBTORCH", common::libtorch()));
    let results: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(list(&results, "cases").len(), 1);
    assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 0);
}

#[test]
fn filters_choose_the_cases() {
    let run = Run::with(&["pitfalls/*", "dtype=f32", "--backend", "reference,candle"]);
    assert_eq!(run.ended.code, Some(0), "{:#?}", run.ended);
    let results = run.results();
    let listed = ended(&mut bncheck(&["list", "pitfalls/*", "dtype=f32"])).stdout;
    let ids: Vec<&str> = list(&results, "cases").iter().filter_map(|case| case["id"].as_str()).collect();
    assert_eq!(ids, listed.lines().collect::<Vec<_>>());
    let is_f64 = |id: &str| id.split(['[', ',', ']']).any(|part| part == "dtype=f64");
    assert!(ids.len() > 10 && ids.iter().all(|id| id.starts_with("pitfalls/") && !is_f64(id)));
    assert_eq!(words(list(&results, "results"), "backend"), BTreeSet::from(["candle", "reference"]));
}

#[test]
fn an_id_with_its_brackets_chooses_one_case() {
    let run = Run::with(&["exact/means[fill=zero,dtype=f32]", "--backend", "reference"]);
    assert_eq!(list(&run.results(), "cases").len(), 1);
}

#[test]
fn a_list_as_json_says_where_each_case_is() {
    let ended = ended(&mut bncheck(&["list", "--format", "json"]));
    let cases: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let cases = cases.as_array().expect("a list");
    let plain = common::ended(&mut bncheck(&["list"])).stdout;
    assert_eq!(plain.lines().count(), cases.len());
    let case = cases.iter().find(|case| case["id"] == "exact/means[fill=zero,dtype=f32]").expect("the case");
    assert_eq!(case["file"], "cases/suites/exact.yaml");
    assert_eq!(case["axes"]["dtype"], "f32");
    assert!(case["line"].as_u64().is_some_and(|line| line > 1));
}
