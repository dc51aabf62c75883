//! `bncheck fuzz` and `bncheck promote`, as somebody would use them who has written a kernel.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use common::own::succeeds;
use common::{Ended, bncheck, ended, root};
use serde_json::Value;
use tempfile::TempDir;

/// A kernel in C++ that averages the biased variance: what somebody has ported with one line wrong.
fn wrong_kernel() -> &'static Path {
    static KERNEL: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = KERNEL.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let home = root().join("backends/cpp");
        let sound = fs::read_to_string(home.join("examples/plain_bn.cpp")).expect("it is there");
        let wrong = sound.replace("sizes.n() / (sizes.n() - 1)", "1.0");
        assert_ne!(sound, wrong, "the line that is made wrong is still there");
        let source = folder.path().join("wrong_bn.cpp");
        fs::write(&source, wrong.replace("\"../", &format!("\"{}/", home.display()))).expect("written");
        let program = folder.path().join("wrong_bn");
        let mut compiler =
            std::process::Command::new(std::env::var_os("CXX").unwrap_or_else(|| "c++".into()));
        compiler.args(["-O2", "-std=c++17", "-I"]).arg(&home).arg("-o").arg(&program).arg(&source);
        succeeds(&mut compiler);
        (folder, program)
    });
    path
}

fn fuzz(output: &Path, more: &[&str]) -> Ended {
    let output = output.to_str().expect("UTF-8");
    let kernel = format!("mine={}", wrong_kernel().display());
    let arguments = ["fuzz", "--output", output, "--oracle", "arbiter", "--backend-cmd", &kernel];
    ended(&mut bncheck(&[&arguments[..], more].concat()))
}

fn results(output: &Path) -> Value {
    let text = fs::read_to_string(output.join("fuzz.json")).expect("it is written");
    serde_json::from_str(&text).expect("it is JSON")
}

/// The finds, without how many cases were tried.
fn finds(results: &Value) -> Vec<Value> {
    let mut finds = results["finds"].as_array().expect("a list").clone();
    for find in &mut finds {
        find["file"].take();
    }
    finds
}

#[test]
fn a_mistake_in_a_kernel_becomes_a_case_that_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = fuzz(folder.path(), &["--cases", "300", "--seed", "3", "--property", "differential"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stdout.contains("biased-running-var"), "{}", run.stdout);
    let results = results(folder.path());
    let of_it = |find: &&Value| find["diagnosis"][0]["name"] == "biased-running-var";
    let find = results["finds"].as_array().and_then(|finds| finds.iter().find(of_it)).expect("it is found");
    assert!(find["steps"].as_u64() <= Some(2) && find["elements"].as_u64() <= Some(8), "{find:#}");
    let file = find["file"].as_str().expect("it is written");
    let text = fs::read_to_string(file).expect("it is there");
    assert!(text.contains("# Likely: ") && text.contains("#: Keep it:  bncheck promote"), "{text}");

    // It is still there, and a sound backend has no such thing.
    let again = fuzz(folder.path(), &["--replay", file]);
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.stdout.contains("mine step 1, forward: running_var is off"), "{}", again.stdout);
    let arguments = ["fuzz", "--oracle", "arbiter", "--backend", "reference", "--replay", file];
    let sound = ended(&mut bncheck(&arguments));
    assert_eq!(sound.code, Some(0), "{sound:?}");
    assert!(sound.stdout.contains("all is as it should be: reference"), "{}", sound.stdout);

    // Kept, it is a suite as any other.
    let kept = folder.path().join("kept");
    let kept_as = kept.to_str().expect("UTF-8");
    let promote =
        ["promote", file, "--name", "biased", "--about", "n/(n-1) is \"missing\".", "--to", kept_as];
    let promoted = ended(&mut bncheck(&promote));
    assert_eq!(promoted.code, Some(0), "{promoted:?}");
    assert!(!Path::new(file).exists());
    let text = fs::read_to_string(kept.join("biased.yaml")).expect("it is there");
    assert!(text.contains("suite: found/biased\nabout: \"n/(n-1) is \\\"missing\\\".\"\n"), "{text}");
    assert!(!text.contains("#:"), "{text}");
    let listed = ended(&mut bncheck(&["list", "--suites", kept_as]));
    assert_eq!(listed.stdout.trim(), "found/biased/found");
    // Not twice, and nothing that is no case.
    fs::write(file, &text).expect("written");
    let twice = ended(&mut bncheck(&promote));
    assert_eq!(twice.code, Some(2));
    assert!(twice.stderr.contains("is there already"), "{}", twice.stderr);
    let none = ended(&mut bncheck(&["promote", "LICENSE-MIT", "--to", kept_as]));
    assert_eq!(none.code, Some(2));
    assert!(none.stderr.contains("it is no suite"), "{}", none.stderr);
}

#[test]
fn a_hunt_goes_on_where_it_was_and_says_what_of_its_state_is_damaged() {
    let of = |cases: &'static str| ["--cases", cases, "--property", "differential,same-twice"];
    let whole = tempfile::tempdir().expect("a folder");
    fuzz(whole.path(), &[&of("200")[..], &["--seed", "11"]].concat());
    let folder = tempfile::tempdir().expect("a folder");
    fuzz(folder.path(), &[&of("80")[..], &["--seed", "11"]].concat());
    // The end of the state is damaged: what it was before counts.
    let state = folder.path().join("state");
    let mut bytes = fs::read(&state).expect("it is there");
    bytes.extend(b"00000000 {\"done\": 99");
    fs::write(&state, bytes).expect("written");
    let resumed = fuzz(folder.path(), &[&of("200")[..], &["--resume"]].concat());
    assert!(resumed.stderr.contains("its checksum is wrong; it is left out"), "{}", resumed.stderr);
    assert!(resumed.stderr.contains("hunting with seed 11"), "{}", resumed.stderr);
    let (whole, resumed) = (results(whole.path()), results(folder.path()));
    assert_eq!(resumed["asked_now"], 120);
    assert_eq!(finds(&resumed), finds(&whole));
    assert_eq!((&resumed["backends"], &resumed["coverage"]), (&whole["backends"], &whole["coverage"]));
    // Another hunt is not gone on with.
    let other = fuzz(folder.path(), &["--cases", "300", "--seed", "12", "--resume"]);
    assert_eq!(other.code, Some(2));
    assert!(other.stderr.contains("is the state of another hunt"), "{}", other.stderr);
}

#[test]
fn what_cannot_be_asked_for_is_said() {
    for (arguments, says) in [
        (&["fuzz", "--property", "permuted-bach"][..], "did you mean `permuted-batch`?"),
        (&["fuzz", "--time", "soon"], "a time above 0: 30s, 5m, 8h"),
        (&["fuzz", "--cases", "0"], "0 is not in 1.."),
        (&["fuzz", "--backend", "cundle"], "did you mean `candle`?"),
        (&["promote", "nowhere.yaml"], "nowhere.yaml cannot be kept"),
        (&["promote", "README.md", "--name", "a/b"], "`a/b` is no name"),
    ] {
        let run = ended(&mut bncheck(arguments));
        assert_eq!(run.code, Some(2), "{run:?}");
        let words = run.stderr.split_whitespace().collect::<Vec<_>>().join(" ").replace("│ ", "");
        assert!(words.contains(says), "{says}: {}", run.stderr);
    }
}
