//! `bncheck report`: the report again, of one run or of several.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

mod common;
use common::{Ended, Run, bncheck, ended, folder_with};

const ONE: &[&str] = &["exact/means", "dtype=f32", "--backend", "reference"];

fn report(arguments: &[&Path]) -> Ended {
    ended(bncheck(&["report"]).args(arguments))
}

fn read(folder: &Path, name: &str) -> String {
    let path = folder.join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn results(folder: &Path) -> Value {
    serde_json::from_str(&read(folder, "results.json")).expect("JSON")
}

/// What is in a folder beside its lock.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("readable").file_name().into_string().expect("UTF-8")).collect();
    names.retain(|name| name != ".lock");
    names.sort();
    names
}

fn unwrapped(text: &str) -> String {
    text.replace(['│', '\n'], " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A copy of a run's results with a text replaced by another, in a folder of its own.
fn altered(run: &Run, from: &str, to: &str) -> TempDir {
    let text = read(run.folder.path(), "results.json");
    assert!(text.contains(from), "no `{from}`");
    folder_with("results.json", text.replace(from, to))
}

#[test]
fn of_one_run_it_is_made_again_in_its_place_and_to_the_bit() {
    let run = Run::with(&["pitfalls/*", "dtype=f32", "--backend", "reference,candle"]);
    let folder = run.folder.path();
    let before: Vec<(String, String)> =
        names(folder).into_iter().map(|name| (name.clone(), read(folder, &name))).collect();
    let again = report(&[folder]);
    assert_eq!(again.code, Some(0), "{again:#?}");
    for (name, text) in &before {
        assert!(read(folder, name) == *text, "{name} is another");
    }
    assert_eq!(names(folder).len(), before.len(), "nothing is taken for a run before: {:?}", names(folder));
    // The same table, and no line about running anything.
    assert_eq!(again.stdout, run.ended.stdout);
    assert!(again.stderr.starts_with("results: "), "{}", again.stderr);
}

#[test]
fn all_that_is_written_is_named() {
    let run = Run::with(ONE);
    for (what, name) in [
        ("results", "results.json"),
        ("report", "report.html"),
        ("junit", "junit.xml"),
        ("summary", "summary.md"),
    ] {
        let line = format!("{what}: {}\n", run.folder.path().join(name).display());
        assert!(run.ended.stderr.contains(&line), "no `{line}` in {}", run.ended.stderr);
        assert!(report(&[run.folder.path()]).stderr.contains(&line), "{line}");
    }
}

#[test]
fn what_a_run_left_last_is_meant_when_nothing_is_named() {
    let run = Run::with(ONE);
    let here = tempfile::tempdir().expect("a folder");
    let without = ended(bncheck(&["report"]).current_dir(here.path()));
    assert_eq!(without.code, Some(2), "{without:#?}");
    let text = unwrapped(&without.stderr);
    assert!(text.contains("there are no results: target/bncheck does not exist"), "{text}");
    assert!(text.contains("`bncheck run` writes results.json to target/bncheck"), "{text}");

    let usual = here.path().join("target/bncheck");
    std::fs::create_dir_all(&usual).expect("a folder");
    std::fs::copy(run.folder.path().join("results.json"), usual.join("results.json")).expect("copied");
    // Neither a checkout nor libtorch is needed.
    let mut command = bncheck(&["report"]);
    let with = ended(command.current_dir(here.path()).env("LIBTORCH", here.path()));
    assert_eq!(with.code, Some(0), "{with:#?}");
    assert!(names(&usual).contains(&"summary.md".to_owned()));
}

#[test]
fn it_goes_where_the_output_option_says_and_keeps_what_is_there() {
    let (first, second) = (Run::with(ONE), Run::with(&["exact/long", "--backend", "reference"]));
    let output = tempfile::tempdir().expect("a folder");
    for run in [&first, &second] {
        let ended = report(&[run.folder.path(), Path::new("--output"), output.path()]);
        assert_eq!(ended.code, Some(0), "{ended:#?}");
    }
    let old = read(output.path(), "results.old.json");
    assert_eq!(old, read(first.folder.path(), "results.json"));
    assert_eq!(results(output.path()), second.results());
    assert!(names(output.path()).contains(&"junit.old.xml".to_owned()));
}

#[test]
fn it_ends_as_a_run_with_these_results() {
    let run = Run::with(ONE);
    let failing =
        altered(&run, "\"verdict\":\"pass\",\"budget_used\":", "\"verdict\":\"fail\",\"budget_used\":");
    let ended = report(&[failing.path()]);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.stdout.contains("3 not as expected"), "{}", ended.stdout);
}

#[test]
fn it_is_printed_in_every_format() {
    let run = Run::with(ONE);
    let folder = run.folder.path();
    let with = |format: &str| {
        let ended = report(&[folder, Path::new("--format"), Path::new(format)]);
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        ended.stdout
    };
    assert_eq!(with("json"), read(folder, "results.json"));
    assert_eq!(with("junit"), read(folder, "junit.xml"));
    assert!(with("junit").starts_with("<?xml version=\"1.0\""), "{}", with("junit"));
    assert!(with("github").ends_with("\nall as expected\n") && !with("github").contains("::error"));
    for format in ["junit", "github", "json"] {
        let ran = Run::with(&[ONE, &["--format", format]].concat());
        assert_eq!(ran.ended.code, Some(0), "{:#?}", ran.ended);
        let head = |text: &str| text.chars().take(40).collect::<String>();
        assert_eq!(head(&ran.ended.stdout), head(&with(format)), "{format}");
    }
}

mod of_several_runs {
    use super::*;

    fn merged(runs: &[&Path]) -> (Ended, TempDir) {
        let output = tempfile::tempdir().expect("a folder");
        let mut arguments = runs.to_vec();
        arguments.extend([Path::new("--output"), output.path()]);
        (report(&arguments), output)
    }

    #[test]
    fn backends_are_columns_side_by_side() {
        let reference = Run::with(ONE);
        let candle = Run::with(&["exact/means", "dtype=f32", "--backend", "candle"]);
        let (ended, output) = merged(&[reference.folder.path(), candle.folder.path()]);
        assert_eq!((ended.code, ended.stderr.contains("warning")), (Some(0), false), "{ended:#?}");
        assert!(ended.stdout.contains("3 cases × 2 backends"), "{}", ended.stdout);
        let results = results(output.path());
        assert_eq!(results["results"].as_array().map(Vec::len), Some(6));
        let parts = results["run"]["parts"].as_array().expect("parts");
        assert!(parts[1]["run"]["flags"].to_string().contains("candle"), "{parts:#?}");
        assert!(parts[1]["run"]["machine"]["os"].is_string(), "each says on which machine it ran");
    }

    #[test]
    fn of_what_is_in_several_the_last_is_kept_and_said() {
        let run = Run::with(ONE);
        let failing = altered(&run, "\"verdict\":\"pass\"", "\"verdict\":\"fail\"");
        let (ended, _output) = merged(&[failing.path(), run.folder.path()]);
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        assert!(
            ended.stderr.contains("3 results are in several files: of each the last one is kept\n"),
            "{ended:#?}"
        );
        assert_eq!(merged(&[run.folder.path(), failing.path()]).0.code, Some(1));
    }

    #[test]
    fn other_versions_and_other_texts_are_warned_of() {
        let run = Run::with(ONE);
        let oracle = altered(&run, "\"oracle\":\"libtorch 2.11.0", "\"oracle\":\"libtorch 2.12.0");
        let (ended, output) = merged(&[run.folder.path(), oracle.path()]);
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        assert!(
            ended.stderr.contains("warning: ") && ended.stderr.contains("has the oracle libtorch 2.11.0")
        );
        let oracle = results(output.path())["run"]["oracle"].to_string();
        assert!(oracle.contains("2.11.0") && oracle.contains(" and libtorch 2.12.0"), "{oracle}");

        let text = altered(&run, "cases/suites/exact.yaml", "cases/suites/other.yaml");
        let warned = merged(&[run.folder.path(), text.path()]).0.stderr;
        assert!(warned.contains("3 cases are written otherwise in "), "{warned}");
    }

    #[test]
    fn one_that_cannot_be_read_is_named() {
        let run = Run::with(ONE);
        let empty = folder_with("results.json", "");
        let (ended, output) = merged(&[run.folder.path(), empty.path()]);
        assert_eq!(ended.code, Some(2), "{ended:#?}");
        assert!(unwrapped(&ended.stderr).contains("is empty"), "{ended:#?}");
        assert!(names(output.path()).is_empty(), "nothing is written");
    }
}

mod of_a_file_that_is_not_whole {
    use super::*;

    /// Results, cut off within the results.
    fn cut_off() -> (Run, TempDir) {
        let run = Run::with(&["exact/*", "--backend", "reference"]);
        let text = read(run.folder.path(), "results.json");
        let place = text.find("\"results\": [").expect("results");
        let folder = folder_with("results.json", &text[..place + (text.len() - place) / 2]);
        (run, folder)
    }

    #[test]
    fn what_is_there_is_shown_and_it_is_not_as_expected() {
        let (run, folder) = cut_off();
        let damaged = read(folder.path(), "results.json");
        let ended = report(&[folder.path()]);
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        assert!(
            ended.stdout.contains("\nincomplete: the file is cut off, or still being written: "),
            "{ended:#?}"
        );
        assert!(!ended.stdout.contains("all as expected"), "{}", ended.stdout);
        assert_eq!(read(folder.path(), "results.json"), damaged, "it is left as it is");
        assert!(read(folder.path(), "summary.md").contains("cut off"));
        assert!(read(folder.path(), "junit.xml").contains("cut off"));

        let output = tempfile::tempdir().expect("a folder");
        let elsewhere = report(&[folder.path(), Path::new("--output"), output.path()]);
        assert_eq!(elsewhere.code, Some(1));
        let (part, whole) = (results(output.path()), run.results());
        let list = |results: &Value| results["results"].as_array().expect("results").clone();
        assert!(!list(&part).is_empty() && list(&part).len() < list(&whole).len());
        assert!(list(&whole).starts_with(&list(&part)), "nothing is invented");
        // What was read once is known not to be whole ever after.
        assert_eq!(report(&[output.path()]).code, Some(1));
    }

    #[test]
    fn merged_with_others_the_whole_is_not_whole() {
        let (run, folder) = cut_off();
        let output = tempfile::tempdir().expect("a folder");
        let ended = report(&[run.folder.path(), folder.path(), Path::new("--output"), output.path()]);
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        assert!(ended.stdout.contains("\nincomplete: "), "{}", ended.stdout);
    }
}

mod with_more {
    use super::*;

    #[test]
    fn the_known_mistakes_are_put_beside_the_results() {
        let folder = tempfile::tempdir().expect("a folder");
        let output = folder.path().to_str().expect("UTF-8");
        let faults = ["faults", "biased-running-var", "--cases", "exact/means", "--output", output];
        let ended = ended(&mut bncheck(&faults));
        let path = folder.path().join("faults.json");
        assert!(ended.stderr.contains(&format!("faults: {}\n", path.display())), "{ended:#?}");
        let run = Run::with(ONE);
        let with = report(&[run.folder.path(), Path::new("--faults"), &path]);
        assert_eq!(with.code, Some(0), "{with:#?}");
        let results = run.results();
        assert_eq!(results["faults"]["faults"][0]["name"], "biased-running-var");
        assert_eq!(results["faults"]["suites"], serde_json::json!(["exact"]));
    }

    #[test]
    fn a_file_that_holds_no_mistakes_is_refused() {
        let run = Run::with(ONE);
        for file in ["results.json", "nowhere.json"] {
            let path = run.folder.path().join(file);
            let ended = report(&[run.folder.path(), Path::new("--faults"), &path]);
            assert_eq!(ended.code, Some(2), "{ended:#?}");
            let text = unwrapped(&ended.stderr);
            assert!(text.contains("cannot read the known mistakes from"), "{text}");
            assert!(text.contains("`bncheck faults` writes faults.json"), "{text}");
        }
    }

    #[test]
    fn what_has_changed_since_a_baseline() {
        let run = Run::with(ONE);
        let base =
            altered(&run, "\"verdict\":\"pass\",\"budget_used\"", "\"verdict\":\"crash\",\"budget_used\"");
        let ended = report(&[run.folder.path(), Path::new("--baseline"), base.path()]);
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        assert!(ended.stdout.contains("\nFixed, 3\n"), "{}", ended.stdout);
        assert_eq!(run.results()["changes"]["transitions"].as_array().map(Vec::len), Some(3));
        let missing = report(&[run.folder.path(), Path::new("--baseline"), Path::new("no/such")]);
        assert_eq!(missing.code, Some(6), "{missing:#?}");
    }
}
