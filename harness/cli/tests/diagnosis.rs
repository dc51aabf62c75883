//! What is said of the mistake behind a failure.

mod common;
use common::{Run, bncheck, ended, root};

const EPS_OF_ZERO: &str = "errors/eps-not-positive[eps=0,steps=eval]";

#[test]
fn a_failure_says_which_known_mistake_it_is() {
    let suites = root().join("cases/suites/errors.yaml");
    // Declared deviations are not those of a suite that is named.
    let suites = ["--suites", suites.to_str().expect("UTF-8")];
    let run = Run::with(&[&[EPS_OF_ZERO, "--backend", "candle"][..], &suites[..]].concat());
    assert_eq!(run.ended.code, Some(1), "{:#?}", run.ended);
    for line in [
        "\n  likely: ",
        "\ncandle: 1 of 1 failing case replayed against the known mistakes\n  explains 1 of 1: ",
    ] {
        assert!(run.ended.stdout.contains(line), "no `{line}` in\n{}", run.ended.stdout);
    }
    let replay = [&["replay", EPS_OF_ZERO, "--backend", "candle"][..], &suites[..]].concat();
    let replayed = ended(&mut bncheck(&replay));
    assert!(replayed.stdout.contains("\n  likely: "), "{}", replayed.stdout);
}

#[test]
fn known_mistakes_are_told_when_they_are_run_as_unknown() {
    let arguments = [
        "faults",
        "biased-running-var",
        "bias-missing",
        "--diagnose",
        "--pairs",
        "2",
        "--cases",
        "gradients/kinds",
    ];
    let ended = ended(&mut bncheck(&arguments));
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(ended.stdout.contains("\n2 of 2 unknown mistakes named right (100.0 %), "), "{}", ended.stdout);
    assert!(
        ended.stdout.contains("\npairs: ") && ended.stdout.ends_with("\nenough are named right\n"),
        "{}",
        ended.stdout
    );
}
