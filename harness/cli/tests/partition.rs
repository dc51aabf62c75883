//! One run on several machines: parts, and what they make together.

use std::collections::BTreeSet;

use serde_json::Value;

mod common;
use common::{Run, bncheck, ended, without_times};

fn listed(arguments: &[&str]) -> Vec<String> {
    let ended = ended(bncheck(&["list"]).args(arguments));
    assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:#?}");
    ended.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn the_parts_have_nothing_in_common_and_are_the_whole() {
    let whole = listed(&[]);
    for of in [1, 2, 3, 7] {
        let mut seen = BTreeSet::new();
        for number in 1..=of {
            let part = listed(&["--partition", &format!("{number}/{of}")]);
            let even = whole.len() / of;
            assert!(part.len() > even / 2 && part.len() < 2 * even + 1, "{} of {}", part.len(), whole.len());
            assert!(part.iter().all(|id| seen.insert(id.clone())), "{number}/{of}");
            let order: Vec<&String> = whole.iter().filter(|id| part.contains(id)).collect();
            assert_eq!(part.iter().collect::<Vec<_>>(), order, "in the order of the suites");
        }
        assert_eq!(seen.len(), whole.len(), "of {of}");
    }
}

#[test]
fn a_case_stays_in_its_part_whatever_else_is_selected() {
    let of_all: BTreeSet<String> = listed(&["--partition", "2/3"]).into_iter().collect();
    for filter in [&["exact"][..], &["pitfalls/*", "dtype=f32"], &["--tier", "quick"]] {
        let part = listed(&[filter, &["--partition", "2/3"]].concat());
        let expected: Vec<String> = listed(filter).into_iter().filter(|id| of_all.contains(id)).collect();
        assert_eq!(part, expected, "{filter:?}");
        assert!(!part.is_empty(), "{filter:?}");
    }
}

#[test]
fn a_part_that_cannot_be_is_usage_and_the_message_says_what_would_be_right() {
    for (part, right) in [
        ("0/4", "4 parts are numbered from 1/4 to 4/4"),
        ("5/4", "4 parts are numbered from 1/4 to 4/4"),
        ("1/0", "there is at least one part: 1/1 is all cases"),
        ("a/b", "write the part and how many there are: 1/3 is the first of three"),
        ("3", "write the part and how many there are: 1/3 is the first of three"),
        ("-1/3", "write the part and how many there are: 1/3 is the first of three"),
        ("1/3/5", "write the part and how many there are: 1/3 is the first of three"),
        ("1/99999999999999999999", "write the part and how many there are: 1/3 is the first of three"),
    ] {
        for command in ["run", "list"] {
            let ended = ended(&mut bncheck(&[command, &format!("--partition={part}")]));
            assert_eq!(ended.code, Some(2), "{command} {part}: {ended:#?}");
            assert!(ended.stderr.contains(right), "{command} {part}: {}", ended.stderr);
        }
    }
}

/// `bncheck report` of these runs, in a folder of its own.
fn merged(runs: &[&Run]) -> Run {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = bncheck(&["report"]);
    command.args(runs.iter().map(|run| run.folder.path())).arg("--output").arg(folder.path());
    Run { ended: ended(&mut command), folder }
}

#[test]
fn merged_they_are_the_run_of_the_whole() {
    are_the_whole(&["pitfalls/*", "dtype=f16,f32", "--backend", "reference,candle,tch-nn"]);
}

#[test]
fn merged_they_say_which_declared_deviations_are_needed() {
    // Without a filter these are looked at, and those of cases of the full tier are left undecided.
    let whole = are_the_whole(&["--tier", "quick", "--backend", "candle"]);
    assert!(!whole["run"]["undecided"].as_array().expect("a list").is_empty());
}

/// Runs a selection in one and in three parts, compares, and returns what there is in one.
fn are_the_whole(selection: &[&str]) -> Value {
    let run = |more: &[&str]| {
        let run = Run::with(&[selection, more].concat());
        assert_eq!(run.ended.code, Some(0), "{:#?}", run.ended);
        run
    };
    let whole = run(&[]);
    let parts = ["1/3", "2/3", "3/3"].map(|part| run(&["--partition", part]));
    // In whatever order they come.
    let merged = merged(&[&parts[1], &parts[2], &parts[0]]);
    assert_eq!(merged.ended.code, Some(0), "{:#?}", merged.ended);
    assert_eq!(merged.results()["run"]["parts"].as_array().map(Vec::len), Some(3));
    let [mut whole, mut merged] = [whole.results(), merged.results()];
    without_times(&mut whole);
    without_times(&mut merged);
    for name in ["schema_version", "run", "suites", "cases", "results", "diagnoses", "deviation_errors"] {
        assert!(whole[name] == merged[name], "`{name}` is another");
    }
    assert!(whole == merged);
    whole
}

#[test]
fn a_part_that_is_missing_is_noticed() {
    let run = |part| Run::with(&["exact/means", "--backend", "reference", "--partition", part]);
    let merged = merged(&[&run("1/3"), &run("3/3")]);
    assert_eq!(merged.ended.code, Some(1), "{:#?}", merged.ended);
    assert!(merged.ended.stdout.contains("incomplete: part 2 of 3 is missing\n"), "{}", merged.ended.stdout);
    assert!(!merged.ended.stdout.contains("all as expected"), "{}", merged.ended.stdout);
}

#[test]
fn a_part_without_a_case_is_no_failure_and_belongs_to_the_whole() {
    let id = "exact/means[fill=zero,dtype=f32]";
    let run = |part: &str| Run::with(&[id, "--backend", "reference", "--partition", part]);
    let (one, other) = (run("1/2"), run("2/2"));
    let (full, empty) =
        if one.ended.stdout.contains("all as expected") { (one, other) } else { (other, one) };
    assert_eq!(empty.ended.code, Some(0), "{:#?}", empty.ended);
    assert!(empty.ended.stderr.contains("/2: the 1 selected case is in other parts\n"), "{:#?}", empty.ended);
    assert!(empty.ended.stdout.contains("\nnothing was compared in this part\n"), "{:#?}", empty.ended);
    assert_eq!(empty.results()["cases"].as_array().map(Vec::len), Some(0));
    let merged = merged(&[&empty, &full]);
    assert_eq!(merged.ended.code, Some(0), "{:#?}", merged.ended);
    assert!(merged.ended.stdout.ends_with("\nall as expected\n"), "{:#?}", merged.ended);
    let listed = ended(&mut bncheck(&["list", "exact/means", "--partition", "99999/100000"]));
    assert_eq!((listed.code, &*listed.stdout), (Some(0), ""), "{listed:#?}");
    assert!(listed.stderr.contains("no case is in part 99999/100000: the "), "{}", listed.stderr);
}

#[test]
fn parts_in_which_nothing_is_supported_are_judged_together() {
    // candle has no cumulative average.
    let cumulative = ["pitfalls/1-momentum/every-rank", "momentum=null"];
    let run =
        |part: &str| Run::with(&[&cumulative[..], &["--backend", "candle", "--partition", part]].concat());
    let parts = [run("1/2"), run("2/2")];
    for part in &parts {
        assert_eq!(part.ended.code, Some(0), "{:#?}", part.ended);
        assert!(part.ended.stdout.contains("\nnothing was compared in this part\n"), "{:#?}", part.ended);
    }
    let merged = merged(&[&parts[0], &parts[1]]);
    assert_eq!(merged.ended.code, Some(1), "nothing compared is a failure: {:#?}", merged.ended);
    assert!(merged.ended.stdout.ends_with("\nnothing was compared\n"), "{:#?}", merged.ended);
}

#[test]
fn nothing_selected_is_an_error_in_every_part() {
    for part in ["1/2", "2/2"] {
        assert_eq!(ended(&mut bncheck(&["run", "no-such-case", "--partition", part])).code, Some(4));
    }
}
