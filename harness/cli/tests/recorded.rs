//! Judged by what was recorded of libtorch: with the same verdicts as by libtorch itself, and without it.
#![cfg(feature = "libtorch")]

mod common;

use std::path::{Path, PathBuf};

use common::{Ended, Run, bncheck, ended, root};
use serde_json::Value;
use tempfile::TempDir;

/// What is committed, and part of the program.
fn committed() -> PathBuf {
    root().join("harness/recorded/libtorch.recording")
}

/// The provenance, and the packed answers.
fn parts(file: &Path) -> (Value, Vec<u8>) {
    let bytes = std::fs::read(file).expect("a recording");
    let mut parts = bytes.splitn(4, |&byte| byte == b'\n');
    assert_eq!(parts.next(), Some(&b"bncheck recorded oracle 1"[..]));
    let about = serde_json::from_slice(parts.next().expect("provenance")).expect("JSON");
    let packed = parts.nth(1).expect("answers");
    (about, packed.to_vec())
}

#[test]
fn libtorch_still_answers_what_is_committed_in_every_case_of_the_full_tier() {
    let ended = ended(bncheck(&["record", "--check"]).env("NO_COLOR", "1"));
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let (about, _) = parts(&committed());
    let cases = about["cases"].as_u64().expect("a number");
    assert!(cases >= 2856, "{about}");
    // Kernels for AVX2 and for AVX-512 give the same bits; others, sums in another order.
    if has_vectors() {
        let said = format!("{cases} the same to the bit, 0 within what float64 allows, 0 apart");
        assert!(ended.stdout.contains(&said), "{}", ended.stdout);
    }
}

fn has_vectors() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        let asked = std::env::var_os("ATEN_CPU_CAPABILITY").is_some();
        !asked && is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}

#[test]
fn with_kernels_for_no_vectors_all_is_within_what_float64_allows_and_no_error_another() {
    let ended = ended(bncheck(&["record", "--check"]).env("ATEN_CPU_CAPABILITY", "default"));
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(
        ended.stdout.contains("default here: ") && ended.stdout.ends_with(", 0 apart\n"),
        "{}",
        ended.stdout
    );
}

#[test]
fn the_committed_file_is_small_and_says_where_it_is_from() {
    let size = std::fs::metadata(committed()).expect("it is there").len();
    assert!(size <= 5_000_000, "{size} bytes");
    let (about, _) = parts(&committed());
    assert_eq!(
        (&about["oracle"], &about["bncheck"]),
        (&"libtorch".into(), &env!("CARGO_PKG_VERSION").into())
    );
    assert!(about["version"].as_str().is_some_and(|version| version.starts_with("libtorch 2.11.0 (tch ")));
    assert_eq!(about["questions"].as_str().map(str::len), Some(64));
}

/// The results of a run, without what takes time and who was the oracle.
fn judged(arguments: &[&str]) -> (Value, Value) {
    let run = Run::with(arguments);
    assert_eq!(run.ended.code, Some(0), "{:#?}", run.ended);
    let results = run.results();
    let mut all = results["results"].clone();
    for result in all.as_array_mut().expect("a list") {
        result["micros"] = 0.into();
    }
    (all, results)
}

#[test]
fn all_cases_are_judged_as_by_libtorch_itself() {
    let of = |oracle| judged(&["--tier", "full", "--backend", "reference,candle", "--oracle", oracle]);
    let ((live, by_live), (recorded, by_recorded)) = (of("libtorch"), of("recorded"));
    assert!(live.as_array().is_some_and(|results| results.len() >= 2 * 2856));
    assert!(live == recorded, "the two differ");
    assert_eq!(by_live["cases"], by_recorded["cases"]);
    let oracle = |results: &Value| results["run"]["oracle"].as_str().expect("a text").to_owned();
    assert!(oracle(&by_live).ends_with(" in float64"), "{}", oracle(&by_live));
    assert!(oracle(&by_recorded).contains(" in float64, recorded 20"), "{}", oracle(&by_recorded));
}

#[test]
fn without_libtorch_the_recording_is_taken_and_the_summary_says_so() {
    let empty = tempfile::tempdir().expect("a folder");
    let mut command = bncheck(&["run", "exact/means"]);
    command.env("LIBTORCH", empty.path()).arg("--output").arg(empty.path());
    let ended = ended(&mut command);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(
        ended.stdout.contains(" against libtorch 2.11.0 (tch 0.24.0) in float64, recorded 20"),
        "{ended:#?}"
    );
    assert!(ended.stderr.contains("judged by what was recorded of it"), "{ended:#?}");
    let of = |backend: &str, text: &str| {
        ended.stdout.lines().any(|line| line.starts_with(backend) && line.contains(text))
    };
    assert!(of("libtorch ", "libtorch (not here)") && of("tch-nn ", "tch-nn (not here)"), "{ended:#?}");
}

#[test]
fn nobody_beside_the_arbiter_judges_when_that_is_asked_for() {
    let run = Run::with(&["exact/means", "--backend", "reference", "--oracle", "arbiter"]);
    assert_eq!(run.ended.code, Some(0), "{:#?}", run.ended);
    assert!(run.ended.stdout.contains(" against none: the arbiter alone, "), "{:#?}", run.ended);
}

/// A suite of two cases in a folder.
fn mine(eps: &str) -> TempDir {
    let case = |name: &str, eps: &str| {
        format!(
            "  - name: {name}\n    layer: {{eps: {eps}}}\n    input: {{shape: [4, 3], fill: {{normal: {{}}}}}}\n    steps: [forward]\n"
        )
    };
    let text = format!("suite: mine\ncases:\n{}{}", case("same", "1e-5"), case("changed", eps));
    common::folder_with("mine.yaml", text)
}

fn run_mine(folder: &TempDir, more: &[&str]) -> Run {
    let suites = folder.path().join("mine.yaml");
    let suites = suites.to_str().expect("UTF-8");
    Run::with(&[&["--suites", suites, "--backend", "reference", "--oracle", "recorded"], more].concat())
}

#[test]
fn cases_that_are_not_recorded_are_judged_by_the_arbiter_alone_and_counted() {
    let run = run_mine(&mine("1e-3"), &[]);
    assert_eq!(run.ended.code, Some(0), "{:#?}", run.ended);
    let said = "2 cases are judged by the arbiter alone: they are not in the recording";
    assert!(run.ended.stdout.contains(said), "{:#?}", run.ended);
    assert_eq!(run.results()["cases"][0]["unrecorded"], "not_recorded");
}

#[test]
fn ones_own_cases_can_be_recorded_and_one_that_has_changed_since_is_noticed() {
    let folder = mine("1e-3");
    let (suites, file) = (folder.path().join("mine.yaml"), folder.path().join("mine.recording"));
    let recorded = ended(bncheck(&["record", "--suites"]).arg(&suites).arg("--output").arg(&file));
    assert_eq!(recorded.code, Some(0), "{recorded:#?}");
    assert_eq!(parts(&file).0["cases"], 2);
    let file = file.to_str().expect("UTF-8");
    let run = run_mine(&folder, &["--recording", file]);
    assert_eq!((run.ended.code, &run.results()["cases"][1]["unrecorded"]), (Some(0), &Value::Null));
    assert!(!run.ended.stdout.contains("arbiter alone"), "{:#?}", run.ended);
    let changed = mine("1e-4");
    let run = run_mine(&changed, &["--recording", file]);
    let said = "1 case is judged by the arbiter alone: it was recorded in another form: `bncheck record` records it anew";
    assert!(run.ended.stdout.contains(said), "{:#?}", run.ended);
    let unrecorded: Vec<Value> = run.results()["cases"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|case| case["unrecorded"].clone())
        .collect();
    assert_eq!(unrecorded, [Value::Null, "other_form".into()]);
    let mut check = bncheck(&["record", "--check", file, "--suites"]);
    let check = ended(check.arg(changed.path().join("mine.yaml")));
    assert_eq!(check.code, Some(1), "{check:#?}");
    assert!(check.stdout.contains("mine/changed: was recorded in another form"), "{check:#?}");
}

#[test]
fn a_recording_that_cannot_be_read_is_one_message_and_exit_code_5() {
    let whole = std::fs::read(committed()).expect("it is there");
    let (_, rest) = whole.split_at(b"bncheck recorded oracle 1".len());
    let mut flipped = whole.clone();
    flipped[1_000_000] ^= 1;
    let wrong = [
        (&b"no recording"[..], "it is no recording of an oracle"),
        (&[b"bncheck recorded oracle 9", rest].concat(), "it is of form 9, and this bncheck reads form 1"),
        (&whole[..whole.len() - 1], "it is damaged: "),
        (&whole[..40], "it is damaged: it ends early"),
        (&flipped, "it is damaged: "),
    ];
    for (bytes, said) in wrong {
        let folder = common::folder_with("a.recording", bytes);
        let refused = refused(&folder.path().join("a.recording"));
        assert!(refused.contains(said), "no `{said}` in {refused}");
    }
    assert!(refused(Path::new("/nowhere/a.recording")).contains("No such file"));
}

/// What is said of a recording, in one line.
fn refused(file: &Path) -> String {
    let mut command = bncheck(&["run", "exact/means", "--backend", "reference", "--recording"]);
    let Ended { code, stderr, .. } = ended(command.arg(file));
    assert_eq!(code, Some(5), "{stderr}");
    assert!(stderr.contains("records it anew"), "{stderr}");
    let words = stderr.split_whitespace().filter(|word| *word != "│");
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_recording_beside_another_oracle_is_refused() {
    for oracle in ["libtorch", "arbiter"] {
        let ended = ended(&mut bncheck(&["run", "--oracle", oracle, "--recording", "a.recording"]));
        assert_eq!(ended.code, Some(2), "{ended:#?}");
        assert!(ended.stderr.contains("`--recording` goes with `--oracle recorded` alone"), "{ended:#?}");
    }
}
