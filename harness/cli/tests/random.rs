//! Cases made by chance, of which nobody holds any: `run --random`.

mod common;

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Run, bncheck, ended, folder_with, program, root, without_times};
use serde_json::Value;

/// The arbiter is in this process, and needs no libtorch.
const ARBITER: [&str; 2] = ["--oracle", "arbiter"];

fn run(arguments: &[&str]) -> Run {
    Run::with(&[arguments, &ARBITER].concat())
}

fn list<'a>(results: &'a Value, of: &str) -> &'a [Value] {
    results[of].as_array().expect("a list")
}

/// How many results of each backend and verdict there are, listed or not.
fn counts(results: &Value) -> BTreeMap<(String, String), u64> {
    let mut counts = BTreeMap::new();
    let none = Vec::new();
    let listed = list(results, "results").iter().map(|result| (result, 1));
    let left_out = results["left_out"]["results"].as_array().unwrap_or(&none);
    let left_out = left_out.iter().map(|more| (more, more["count"].as_u64().expect("a number")));
    for (result, count) in listed.chain(left_out) {
        let text = |field: &str| result[field].as_str().expect("a text").to_owned();
        *counts.entry((text("backend"), text("verdict"))).or_default() += count;
    }
    counts
}

/// The lines of the table of verdicts.
fn table(run: &Run) -> Vec<String> {
    let rows = run.ended.stdout.lines().skip_while(|line| !line.starts_with("backend"));
    rows.take_while(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn what_is_not_listed_is_counted_in_the_results_and_in_all_that_is_made_of_them() {
    let of =
        |keep| run(&["--random", "3000", "--seed", "7", "--backend", "reference,candle", "--keep", keep]);
    let (all, notable) = (of("all"), of("notable"));
    let (listed, counted) = (all.results(), notable.results());
    assert_eq!(counts(&listed), counts(&counted));
    assert_eq!(counts(&listed).values().sum::<u64>(), 6000);
    assert_eq!(listed.get("left_out"), None);
    let left_out = counted["left_out"]["cases"].as_u64().expect("a number");
    assert_eq!(list(&counted, "cases").len() as u64 + left_out, 3000);
    assert!(left_out > 1000, "{left_out}");
    assert_eq!(counted["run"]["seed"], 7);
    // What is listed is listed as it would be among all of them.
    for result in list(&counted, "results") {
        let same = list(&listed, "results")
            .iter()
            .find(|other| (&other["case"], &other["backend"]) == (&result["case"], &result["backend"]));
        let same = same.expect("it is among all of them");
        assert_eq!((&same["verdict"], &same["steps"]), (&result["verdict"], &result["steps"]), "{result}");
    }
    assert_eq!((table(&all), all.ended.code), (table(&notable), notable.ended.code));
    assert!(!table(&all).is_empty(), "{}", all.ended.stdout);
    let said = format!("\n{left_out} cases are counted and not listed\n");
    let markdown = std::fs::read_to_string(notable.folder.path().join("summary.md")).expect("written");
    for text in [&notable.ended.stdout, &markdown] {
        assert!(text.contains(&said), "{text}");
    }
    assert!(!all.ended.stdout.contains("not listed"));
    assert!(notable.ended.stdout.contains("\n3000 cases × 2 backends against "), "{}", notable.ended.stdout);
    assert!(notable.ended.stdout.contains("\nthe cases are made by chance, of seed 7\n"));
}

#[test]
fn a_sound_backend_is_as_expected_and_the_first_cases_are_those_of_every_run_of_the_seed() {
    let (few, more) =
        (run(&["--random", "100", "--backend", "reference"]), run(&["--random", "300", "-b", "reference"]));
    assert_eq!((few.ended.code, more.ended.code), (Some(0), Some(0)), "{:#?}", more.ended);
    let (few, more) = (few.results(), more.results());
    assert_eq!(few["run"]["seed"], 0, "when nobody says another");
    for of in ["cases", "results"] {
        let mut first = list(&more, of)[..100].to_vec();
        first.iter_mut().for_each(without_times);
        let mut all = list(&few, of).to_vec();
        all.iter_mut().for_each(without_times);
        assert!(first == all, "{of} differ");
    }
    assert_eq!(list(&few, "cases")[42]["id"], "random/s0/42");
    let other = run(&["--random", "100", "--seed", "1", "--backend", "reference"]).results();
    assert_ne!(list(&few, "cases")[0]["words"], list(&other, "cases")[0]["words"]);
}

#[test]
fn one_of_them_is_replayed_and_explained_by_its_id_and_can_be_copied_out_of_the_report() {
    let results = run(&["--random", "30", "--seed", "3", "--backend", "reference"]).results();
    let written = &list(&results, "suites")[0];
    assert_eq!(written["name"], "random/s3");
    for number in [0, 17, 29] {
        let id = format!("random/s3/{number}");
        let verdict = list(&results, "results")[number]["verdict"].as_str().expect("a verdict");
        let replayed = ended(bncheck(&["replay", &id, "--backend", "reference"]).args(ARBITER));
        assert_eq!(replayed.code, Some(0), "{replayed:#?}");
        assert!(replayed.stdout.starts_with(&format!("{verdict}  reference  {id}\n")), "{}", replayed.stdout);
        let explained = ended(&mut bncheck(&["explain", &id]));
        assert_eq!(explained.code, Some(0), "{explained:#?}");
        let words = list(&results, "cases")[number]["words"].as_str().expect("a text");
        assert!(explained.stdout.contains(words), "{}", explained.stdout);
        let lines = list(written, "written")[number]["yaml"].as_str().expect("a text");
        let folder = folder_with("copied.yaml", lines);
        let file = folder.path().join("copied.yaml").display().to_string();
        let copied = run(&["--suites", &file, "--backend", "reference"]).results();
        assert_eq!(list(&copied, "results")[0]["case"], id);
        assert_eq!(list(&copied, "results")[0]["steps"], list(&results, "results")[number]["steps"]);
    }
    for id in ["random/s3/x", "random/s03/1", "random/s3"] {
        let ended = ended(&mut bncheck(&["replay", id]));
        assert_eq!(ended.code, Some(2), "{ended:#?}");
        assert!(ended.stderr.contains(&format!("there is no case `{id}`")), "{}", ended.stderr);
    }
}

#[test]
fn a_run_that_was_killed_is_gone_on_with() {
    const SOME: [&str; 6] = ["--random", "1500", "--keep", "notable", "--backend", "reference"];
    let whole = run(&SOME).results();
    let folder = tempfile::tempdir().expect("a folder");
    let journal = folder.path().join("journal.jsonl");
    let start = |arguments: &[&str]| {
        let mut command = Command::new(program());
        command.arg("run").args(arguments).args(ARBITER).arg("--output").arg(folder.path());
        command.current_dir(root()).env_remove("CARGO").env_remove("CARGO_PKG_NAME");
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it can be started")
    };
    let mut child = start(&SOME);
    let lines = || std::fs::read(&journal).unwrap_or_default().split(|byte| *byte == b'\n').count();
    let since = Instant::now();
    while lines() < 300 && child.try_wait().expect("it is ours").is_none() {
        assert!(since.elapsed() < Duration::from_secs(100), "it journals nothing");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().expect("killed");
    child.wait().expect("it ends");
    for (other, what) in [
        (
            &["--random", "1499", "--keep", "notable", "--backend", "reference"][..],
            "the cases made by chance",
        ),
        (&[&SOME[..], &["--seed", "1"]].concat(), "the cases made by chance"),
        (&["--random", "1500", "--backend", "reference"], "the cases that are listed"),
    ] {
        let output = start(&[other, &["--resume"]].concat()).wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr).replace(['│', '\n'], " ");
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(&format!("is of another run: {what}: it was ")), "{said}");
    }
    let output = start(&[&SOME[..], &["--resume"]].concat()).wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("cases are done already"), "{output:?}");
    let text = std::fs::read_to_string(folder.path().join("results.json")).expect("written");
    let (mut resumed, mut whole) = (serde_json::from_str(&text).expect("JSON"), whole);
    without_times(&mut resumed);
    without_times(&mut whole);
    assert!(resumed == whole);
}

#[test]
fn what_cannot_be_asked_for_is_usage_and_the_message_says_why() {
    for (arguments, why) in [
        (&["--random", "0"][..], "0 is not in 1..=100000000"),
        (&["--random", "many"], "invalid digit found in string"),
        (&["--random", "5", "--seed", "x"], "invalid digit found in string"),
        (&["--random", "5", "--seed", "-1"], "unexpected argument '-1'"),
        (&["--seed", "5"], "--random <N>"),
        (&["--random", "5", "exact/*"], "cannot be used with"),
        (&["--random", "5", "--tier", "full"], "cannot be used with"),
        (&["--random", "5", "--partition", "1/2"], "cannot be used with"),
        (&["--random", "5", "--suites", "cases"], "cannot be used with"),
        (&["--keep", "some"], "[possible values: all, notable]"),
    ] {
        let ended = ended(bncheck(&["run"]).args(arguments));
        assert_eq!(ended.code, Some(2), "{arguments:?}: {ended:#?}");
        assert!(ended.stderr.contains(why), "{arguments:?}: {}", ended.stderr);
    }
}
