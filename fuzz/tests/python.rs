//! Cases as Python scripts for PyTorch alone. None of these tests needs PyTorch: whether the scripts say the truth is seen
//! where there is one (`just audit-oracle`).

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use bn_api::Request;
use bn_cases::format::Tier;
use bn_cases::{Case, load, load_str};
use bn_fuzz::render::python::script;
use bn_fuzz::{random, render};

const SUITES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../cases/suites");

/// Where a script's own lines begin.
const BEGINNING: &str = "\n# The case.\n";

fn case(cases: &str) -> Case {
    let text = format!("suite: shown\nabout: What is shown.\ncases:\n{cases}");
    let suite = load_str("shown.yaml", &text).unwrap_or_else(|problems| panic!("{problems:?}"));
    let [case] = <[Case; 1]>::try_from(suite.cases).expect("one case");
    case
}

fn script_of(case: &Case) -> String {
    script(case, "bncheck export --python ID").unwrap_or_else(|error| panic!("{}: {error}", case.id))
}

/// What a script does, without what compares.
fn steps_of(case: &Case) -> String {
    let script = script_of(case);
    let (_, steps) = script.split_once(BEGINNING).expect("it begins");
    steps.to_owned()
}

#[test]
fn a_training_step_of_one_layer() {
    let case = case(
        "  - name: training
    about: One batch, there and back, and a step along the gradient.
    layer: {momentum: null, weight: {values: [1, 0.5]}}
    input: {shape: [4, 2], fill: {values: [1, 2, 3, 4, 5, 6, 7, 9]}}
    grad: {values: [1, 0, 0, 0, 0, 0, 0, 0x1p-149]}
    steps: [train, forward, backward, {sgd: {lr: 0.5}}, eval, {forward: {no_grad: true}}]
",
    );
    insta::assert_snapshot!(script_of(&case));
}

#[test]
fn a_model_with_state_dictionaries() {
    let case = case(
        "  - name: model
    dtype: f64
    layer: {features: 1}
    model:
      - {name: stem}
      - {name: block, children: [{name: bn-1, layer: {affine: false, statistics_dtype: f32}}]}
    input: {shape: [2, 1, 1, 2], fill: {values: [1, 2, 3, 5]}, layout: channels_last}
    steps:
      - train
      - save_state: {name: before}
      - freeze: {at: block, sticky: true}
      - train
      - forward
      - backward
      - cast: {at: stem, to: f32, what: parameters}
      - load_state: {from: before, without: [stem.weight], entries: {stem.bias: {values: [2]}}, strict: false}
",
    );
    insta::assert_snapshot!(steps_of(&case));
}

#[test]
fn errors_that_are_due() {
    let case = case(
        "  - name: errors
    dtype: bf16
    layer: {features: 2, track_running_stats: false}
    input: {shape: [1, 2], fill: {constant: 0.1}, layout: sliced}
    steps:
      - train
      - forward
      - backward
      - set: {weight: null, momentum: 0.5}
      - requires_grad: {bias: false}
      - forward: {input: {shape: [3, 2], layout: expanded, requires_grad: false}}
      - backward
      - load_state: {entries: {weight: {values: [1, 2]}}}
",
    );
    insta::assert_snapshot!(steps_of(&case));
}

#[test]
fn its_header_is_a_suite_of_the_same_case() {
    let suites = load(&[PathBuf::from(SUITES)]).expect("the suites load");
    let of_suites = suites.into_iter().flat_map(|suite| suite.cases).step_by(25);
    for case in of_suites.chain((0..60).map(|number| random::case(5, number))) {
        let script = script_of(&case);
        let lines = script.lines().skip_while(|line| *line != "# As a suite of bncheck's:").skip(2);
        let lines =
            lines.take_while(|line| *line != "#").map(|line| line.strip_prefix("#   ").expect("a comment"));
        let text: Vec<&str> = lines.collect();
        let read = render::read_back("header.yaml", &text.join("\n"))
            .unwrap_or_else(|why| panic!("{}: {why}", case.id));
        let (mut asked, read) = (Request::from_case(&case), Request::from_case(&read));
        asked.case.clone_from(&read.case);
        // NaNs are not equal to themselves, their bits are.
        assert_eq!(format!("{asked:?}"), format!("{read:?}"), "{}", case.id);
    }
}

#[test]
fn python_reads_the_scripts_of_all_quick_cases_and_of_some_made_by_chance() {
    let suites = load(&[PathBuf::from(SUITES)]).expect("the suites load");
    let quick = suites.into_iter().flat_map(|suite| suite.cases).filter(|case| case.is_in(Tier::Quick));
    let cases: Vec<Case> = quick.chain((0..200).map(|number| random::case(0, number))).collect();
    let reader = "\
import sys

count = 0
while size := sys.stdin.buffer.readline():
    compile(sys.stdin.buffer.read(int(size)), 'script', 'exec')
    count += 1
print(count)
";
    let mut python = Command::new("python3");
    let mut python = python
        .args(["-W", "error", "-c", reader])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is there: the tests need it, as README.md says");
    let mut input = python.stdin.take().expect("it is piped");
    for case in &cases {
        let script = script_of(case);
        assert!(script.contains(BEGINNING), "{}", case.id);
        if let Err(error) = write!(input, "{}\n{script}", script.len()) {
            panic!("Python has ended, before {}: {error}", case.id);
        }
    }
    drop(input);
    let output = python.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), cases.len().to_string());
}
