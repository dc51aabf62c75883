//! What a bncheck does that is built without libtorch: `cargo test -p bncheck --no-default-features --test without_libtorch`.
#![cfg(not(feature = "libtorch"))]

mod common;

use common::{Run, bncheck, ended};

#[test]
fn backends_are_judged_by_the_recording() {
    let run = Run::with(&["--backend", "reference,candle"]);
    assert_eq!(run.ended.code, Some(0), "{:#?}", run.ended);
    assert!(run.ended.stdout.contains(" in float64, recorded 20"), "{:#?}", run.ended);
    assert!(run.ended.stderr.contains("this bncheck is built without libtorch"), "{:#?}", run.ended);
    assert!(!run.ended.stdout.contains("arbiter alone"), "{:#?}", run.ended);
}

#[test]
fn backends_on_libtorch_say_why_they_are_not_there() {
    let run = Run::with(&["exact/means"]);
    assert_eq!(run.ended.code, Some(0), "{:#?}", run.ended);
    let results = run.results();
    let of_tch =
        results["results"].as_array().expect("a list").iter().filter(|result| result["backend"] == "tch-nn");
    for result in of_tch {
        assert_eq!(result["verdict"], "unsupported");
        assert_eq!(result["reason"], "this bncheck is built without libtorch");
    }
}

#[test]
fn what_needs_libtorch_ends_with_exit_code_5() {
    let asked: [&[&str]; 5] = [
        &["run", "exact/means", "--backend", "libtorch"],
        &["run", "exact/means", "--backend", "tch-nn"],
        &["run", "exact/means", "--oracle", "libtorch"],
        &["record", "--check"],
        &["worker", "libtorch"],
    ];
    for arguments in asked {
        let ended = ended(&mut bncheck(arguments));
        assert_eq!(ended.code, Some(5), "{arguments:?}: {ended:#?}");
        assert!(ended.stderr.contains("this bncheck is built without libtorch"), "{arguments:?}: {ended:#?}");
    }
}

#[test]
fn the_doctor_misses_nothing() {
    let ended = ended(&mut bncheck(&["doctor"]));
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let has = |word: &str, what: &str| {
        ended.stdout.lines().any(|line| line.starts_with(word) && line.contains(what))
    };
    assert!(has("absent", "libtorch") && has("absent", "backend tch-nn"), "{}", ended.stdout);
    assert!(has("ok", "recorded oracle") && has("ok", "backend candle"), "{}", ended.stdout);
}

#[test]
fn lists_and_stories_and_schemas_are_printed() {
    for arguments in [&["list"][..], &["explain", "exact/means[fill=zero,dtype=f32]"], &["schema", "results"]]
    {
        let ended = ended(&mut bncheck(arguments));
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:#?}");
    }
}
