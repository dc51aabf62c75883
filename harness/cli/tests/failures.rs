//! What is said when an answer is wrong, and whether the line to copy works.
#![cfg(feature = "libtorch")]

use std::path::Path;

mod common;
use common::{Run, command, ended, folder_with, root};

/// `tch::nn::BatchNorm` draws a weight where PyTorch has ones. Nobody declares that for a suite of one's own.
const NO_WEIGHT: &str = "
suite: mine
cases:
  - name: no-weight
    input: {shape: [4, 3], fill: {normal: {std: 2}}}
    steps: [train, forward, backward]
";

/// candle evaluates in f16's own arithmetic.
const HALF: &str = "
suite: mine
cases:
  - name: half
    dtype: f16
    layer:
      running_mean: {constant: 0.3}
      running_var: {constant: 0.7}
      weight: {constant: 1.7}
      bias: {constant: -1.1}
    input: {shape: [4, 3], fill: {normal: {std: 2}}}
    steps: [eval, forward]
";

/// Runs a suite of one's own on one backend; the words of the failure.
fn failure(text: &str, backend: &str) -> (String, tempfile::TempDir) {
    let folder = folder_with("my suite.yaml", text);
    let path = folder.path().join("my suite.yaml");
    let run = Run::with(&["--backend", backend, "--suites", path.to_str().expect("UTF-8")]);
    assert_eq!(run.ended.code, Some(1), "{:#?}", run.ended);
    (run.ended.stdout, folder)
}

/// The line after this one, and so on.
fn lines_from<'a>(text: &'a str, first: &str) -> Vec<&'a str> {
    text.lines().map(str::trim_end).skip_while(|line| !line.starts_with(first)).collect()
}

fn is_bits(word: &str, digits: usize) -> bool {
    word.strip_prefix("0x")
        .is_some_and(|hex| hex.len() == digits && hex.chars().all(|c| c.is_ascii_hexdigit()))
}

#[test]
fn a_failure_names_the_step_the_tensor_and_the_worst_element() {
    let (text, folder) = failure(HALF, "candle");
    let lines = lines_from(&text, "fail  candle  mine/half");
    assert_eq!(lines[1], format!("  {}:4", folder.path().join("my suite.yaml").display()));
    assert_eq!(lines[2], "  step 2 (forward)");
    let words: Vec<&str> = lines[3].split_whitespace().collect();
    let ["fail", "output", "mismatches", wrong, "of", "12", "budget", "used", used] = words[..] else {
        panic!("{}", lines[3]);
    };
    assert!((1..=12).contains(&wrong.parse::<usize>().expect("a number")), "{wrong}");
    assert!(used.parse::<f64>().expect("a number") > 1.0, "{used}");
    assert!(lines[4].starts_with("      worst at [") && lines[4].ends_with(']'), "{}", lines[4]);
    for (line, side) in [(lines[5], "expected"), (lines[6], "got")] {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [first, decimal, bits] = words[..] else { panic!("{line}") };
        assert_eq!(first, side);
        assert!(decimal.parse::<f64>().is_ok() && is_bits(bits, 4), "{line}");
    }
    assert!(lines[7].contains(" ulp apart, allowed ± "), "{}", lines[7]);
    assert!(lines[8..].iter().any(|line| line.starts_with("  replay: ")), "{text}");
}

#[test]
fn what_follows_the_first_mismatch_is_counted() {
    let (text, _folder) = failure(NO_WEIGHT, "tch-nn");
    let lines = lines_from(&text, "fail  tch-nn  mine/no-weight");
    assert_eq!(lines[2], "  step 0 (new layer)");
    assert_eq!(lines[3], "    fail         weight               mismatches 3 of 3");
    assert!(lines[5].trim().starts_with("expected        1.0  0x3f800000"), "{}", lines[5]);
    assert!(lines[7].ends_with(" ulp apart, must be exact"), "{}", lines[7]);
    assert_eq!(lines[8], "  3 later steps differ as well");
    assert!(text.ends_with("\n1 not as expected\n"), "{text}");
}

#[cfg(unix)]
#[test]
fn the_replay_line_works_as_it_stands() {
    let (text, _folder) = failure(NO_WEIGHT, "tch-nn");
    let line = text.lines().find_map(|line| line.strip_prefix("  replay: ")).expect("a replay line");
    let mut shell = command(Path::new("sh"));
    let replayed = ended(shell.args(["-c", line]).current_dir("/"));
    assert_eq!(replayed.code, Some(1), "{line}: {replayed:#?}");
    for part in
        ["fail  tch-nn  mine/no-weight\n", "  step 0 (new layer)\n", "  step 3 (backward)\n", "grad_input"]
    {
        assert!(replayed.stdout.contains(part), "no `{part}` in\n{}", replayed.stdout);
    }
}

#[cfg(unix)]
#[test]
fn the_replay_line_of_an_explanation_works_too() {
    let folder = folder_with("my suite.yaml", HALF);
    let path = folder.path().join("my suite.yaml");
    let mut explain = common::bncheck(&["explain", "mine/half", "--suites"]);
    let text = ended(explain.arg(path)).stdout;
    let line = text.lines().find_map(|line| line.strip_prefix("run it: ")).expect("a line to run");
    let replayed = ended(command(Path::new("sh")).args(["-c", &format!("{line} --backend reference")]));
    assert_eq!(replayed.code, Some(0), "{line}: {replayed:#?}");
}

#[test]
fn a_published_value_that_libtorch_does_not_agree_with_is_a_mismatch() {
    let text = "
suite: mine
cases:
  - name: half-way
    layer: {features: 1, eps: 0.5, weight: {values: [3]}, bias: {values: [1]}}
    input: {shape: [4, 1], fill: {values: [1, 2, 3, 6]}}
    steps: [train, forward]
    expect: [{step: 2, tensor: output, values: [-2, -0.5, 1, 5.25], source: misprinted}]
";
    let (text, _folder) = failure(text, "reference");
    let lines = lines_from(&text, "suspect  reference  mine/half-way");
    assert!(
        lines[2].contains("the file says output[3] is 5.25 ± 0.0, the oracle 5.5 (misprinted)"),
        "{text}"
    );
}

#[test]
fn declared_deviations_speak_of_the_own_suites_only() {
    let id = "as-constructed/every-rank[shape=rows]";
    let own = Run::with(&[id, "--backend", "tch-nn"]);
    assert_eq!(own.ended.code, Some(0), "{:#?}", own.ended);
    let suites = root().join("cases/suites/as-constructed.yaml");
    let foreign = Run::with(&[id, "--backend", "tch-nn", "--suites", suites.to_str().expect("UTF-8")]);
    assert_eq!(foreign.ended.code, Some(1), "{:#?}", foreign.ended);
}
