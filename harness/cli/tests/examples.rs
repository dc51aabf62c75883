//! The examples of backends in C++ and in Rust, as somebody would build and run them.
#![cfg(unix)]

mod common;

use std::path::Path;
use std::process::Command;

use common::own::{compiled, succeeds};
use common::{Run, program, root};
use serde_json::Value;

/// The verdicts of a program on the quick cases, which has none that is not as expected.
#[track_caller]
fn verdicts(program: &Path) -> Vec<String> {
    let run = Run::with(&["--backend-cmd", &format!("example={}", program.display())]);
    assert_eq!(run.ended.code, Some(0), "{:#?}", run.ended);
    let results = run.results();
    let verdict = |result: &Value| result["verdict"].as_str().expect("a verdict").to_owned();
    let verdicts: Vec<String> = results["results"].as_array().expect("results").iter().map(verdict).collect();
    assert!(verdicts.len() > 1000, "{} cases", verdicts.len());
    verdicts
}

#[test]
fn the_one_in_cpp_passes_every_quick_case() {
    let verdicts = verdicts(&compiled("examples/plain_bn.cpp").path);
    assert!(verdicts.iter().all(|verdict| verdict == "pass"), "{verdicts:?}");
}

#[test]
fn the_one_in_rust_passes_every_quick_case_that_it_has_words_for() {
    // Into the directory that these tests were built to, where its dependencies are.
    let target = program().parent().and_then(Path::parent).expect("the target directory");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--package", "bn-api", "--example", "own_layer"]);
    succeeds(cargo.current_dir(root()).env("CARGO_TARGET_DIR", target));
    let verdicts = verdicts(&target.join("debug/examples/own_layer"));
    let passed = verdicts.iter().filter(|verdict| *verdict == "pass").count();
    assert!(verdicts.iter().all(|verdict| verdict == "pass" || verdict == "unsupported"), "{verdicts:?}");
    assert!(passed > 200, "{passed} passed");
}

#[test]
fn the_header_reads_and_writes_the_example_frames_and_refuses_what_is_none() {
    let frames = compiled("tests/frames.cpp");
    let output = succeeds(Command::new(&frames.path).arg(root().join("docs/protocol")));
    let said = String::from_utf8_lossy(&output.stdout);
    let looked_at = said.split(' ').next().and_then(|count| count.parse::<u32>().ok());
    assert!(looked_at.is_some_and(|count| count > 200), "{said}");
}
