//! What a person sees at the end of a run. Each snapshot is to be read as that person.

use bn_api::{ErrorClass, Observable};
use bn_harness::results::{
    CaseResult, ErrorResult, Number, RaisedError, RunResults, SCHEMA_VERSION, StepResult, TensorResult,
    Verdict, Worst,
};
use bn_reports::terminal::{self, Invocation};
use serde_json::{Value, json};

const CASE: &str = "pitfalls/momentum/three-batches[momentum=0.1,dtype=f32]";

/// A run with these results, of the backends `reference` and `candle`.
fn a_run(results: Vec<CaseResult>) -> RunResults {
    let mut cases: Vec<Value> = Vec::new();
    for result in &results {
        if !cases.iter().any(|case| case["id"] == result.case.as_str()) {
            cases.push(json!({
                "id": result.case, "suite": "pitfalls/momentum",
                "file": "cases/suites/pitfalls/momentum.yaml", "line": 12, "kappa": 0.25,
            }));
        }
    }
    let mut run: RunResults = serde_json::from_value(json!({
        "schema_version": SCHEMA_VERSION,
        "run": {
            "bncheck": "0.1.0",
            "oracle": "libtorch 2.11.0 in float64",
            "backends": [
                {"name": "reference", "version": "bn-reference 0.1.0", "about": ""},
                {"name": "candle", "version": "candle-nn 0.11.1", "about": ""},
            ],
            "machine": {"os": "linux", "arch": "x86_64", "cpu": null, "threads": 2},
            "jobs": 2, "seed": null, "flags": ["run"], "started_unix_ms": 0, "duration_ms": 1540,
        },
        "cases": cases,
        "results": [],
        "deviation_errors": [],
    }))
    .expect("a run");
    run.results = results;
    run
}

fn a_result(backend: &str, verdict: Verdict, steps: Vec<StepResult>) -> CaseResult {
    CaseResult {
        case: CASE.to_owned(),
        backend: backend.to_owned(),
        verdict,
        reason: None,
        budget_used: steps
            .iter()
            .flat_map(|step| &step.tensors)
            .filter_map(|tensor| tensor.budget_used)
            .reduce(f64::max),
        steps,
        diagnosis: Vec::new(),
        micros: 350,
    }
}

fn because(reason: &str, result: CaseResult) -> CaseResult {
    CaseResult { reason: Some(reason.to_owned()), ..result }
}

fn a_step(step: usize, action: &str, tensors: Vec<TensorResult>) -> StepResult {
    StepResult { step, action: action.to_owned(), error: None, tensors }
}

fn passed(tensor: Observable, used: f64) -> TensorResult {
    TensorResult {
        tensor: tensor.into(),
        verdict: Verdict::Pass,
        budget_used: Some(used),
        total: 4,
        mismatched: 0,
        worst: None,
        note: None,
        picture: None,
    }
}

/// A running mean that is twice what it should be.
fn doubled_mean() -> TensorResult {
    TensorResult {
        verdict: Verdict::Fail,
        budget_used: Some(41234.5),
        mismatched: 3,
        worst: Some(Worst {
            index: vec![2],
            expected: Number { decimal: "0.05".to_owned(), bits: "0x3d4ccccd".to_owned() },
            got: Number { decimal: "0.1".to_owned(), bits: "0x3dcccccd".to_owned() },
            ulps: Some(8_388_608),
            budget: Some(1.2125e-6),
        }),
        ..passed(Observable::RunningMean, 0.0)
    }
}

fn a_failure() -> CaseResult {
    let wrong = vec![passed(Observable::Output, 0.21), doubled_mean(), passed(Observable::RunningVar, 0.08)];
    a_result(
        "candle",
        Verdict::Fail,
        vec![
            a_step(0, "new layer", vec![passed(Observable::RunningMean, 0.0)]),
            a_step(1, "train", vec![passed(Observable::RunningMean, 0.0)]),
            a_step(2, "forward", wrong.clone()),
            a_step(3, "forward", wrong.clone()),
            a_step(4, "eval", wrong),
        ],
    )
}

fn raised(class: ErrorClass, message: &str) -> RaisedError {
    RaisedError { class, message: message.to_owned() }
}

fn an_error_step(verdict: Verdict, expected: Option<RaisedError>, got: Option<RaisedError>) -> StepResult {
    let mut step = a_step(2, "forward", vec![passed(Observable::RunningMean, 0.0)]);
    step.error = Some(ErrorResult { verdict, expected, got });
    step
}

fn passes(backend: &str) -> CaseResult {
    a_result(backend, Verdict::Pass, vec![a_step(1, "forward", vec![passed(Observable::Output, 0.31)])])
}

/// As a terminal without colours shows it.
fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn shown(results: &RunResults) -> String {
    let invocation = Invocation {
        program: "target/debug/bncheck".to_owned(),
        suites: Vec::new(),
        ..Invocation::default()
    };
    plain(&terminal::run(results, &invocation))
}

fn shown_one(result: CaseResult) -> String {
    shown(&a_run(vec![passes("reference"), result]))
}

#[test]
fn all_as_expected() {
    insta::assert_snapshot!(shown_one(passes("candle")));
}

#[test]
fn a_tensor_out_of_its_budget() {
    insta::assert_snapshot!(shown_one(a_failure()));
}

#[test]
fn the_same_step_by_step() {
    insta::assert_snapshot!(plain(&terminal::full(&a_failure())));
}

#[test]
fn a_nan_where_a_number_should_be() {
    let mut tensor = doubled_mean();
    tensor.budget_used = None;
    tensor.note = Some("1 of 4 elements not judged: a sound answer may be anything there".to_owned());
    if let Some(worst) = &mut tensor.worst {
        worst.got = Number { decimal: "NaN".to_owned(), bits: "0x7fc00000".to_owned() };
        worst.ulps = None;
    }
    let result = a_result("candle", Verdict::Fail, vec![a_step(2, "forward", vec![tensor])]);
    insta::assert_snapshot!(shown_one(result));
}

#[test]
fn a_counter_that_must_be_exact() {
    let tensor = TensorResult {
        tensor: Observable::NumBatchesTracked.into(),
        verdict: Verdict::Fail,
        budget_used: None,
        total: 1,
        mismatched: 1,
        worst: Some(Worst {
            index: vec![],
            expected: Number { decimal: "3".to_owned(), bits: "0x0000000000000003".to_owned() },
            got: Number { decimal: "2".to_owned(), bits: "0x0000000000000002".to_owned() },
            ulps: Some(1),
            budget: Some(0.0),
        }),
        note: None,
        picture: None,
    };
    let result = a_result("candle", Verdict::Fail, vec![a_step(2, "forward (no_grad)", vec![tensor])]);
    insta::assert_snapshot!(shown_one(result));
}

#[test]
fn a_tensor_of_another_dtype() {
    let tensor = TensorResult {
        budget_used: None,
        mismatched: 4,
        worst: None,
        note: Some("the answer is f16, PyTorch's f32".to_owned()),
        ..doubled_mean()
    };
    let result = a_result("candle", Verdict::Fail, vec![a_step(2, "forward", vec![tensor])]);
    insta::assert_snapshot!(shown_one(result));
}

#[test]
fn what_pytorch_rejects_is_accepted() {
    let expected = raised(
        ErrorClass::OneValuePerChannel,
        "Expected more than 1 value per channel when training, got input size [1, 3]",
    );
    let step = an_error_step(Verdict::Fail, Some(expected), None);
    insta::assert_snapshot!(shown_one(a_result("candle", Verdict::Fail, vec![step])));
}

#[test]
fn an_error_where_pytorch_raises_none() {
    let got = raised(ErrorClass::DtypeMismatch, "dtype mismatch in add, lhs: F16, rhs: F32");
    let step = an_error_step(Verdict::Fail, None, Some(got));
    insta::assert_snapshot!(shown_one(a_result("candle", Verdict::Fail, vec![step])));
}

#[test]
fn an_error_where_one_should_be_shown_step_by_step() {
    let expected = raised(ErrorClass::EpsNotPositive, "batch_norm eps must be positive, but got 0");
    let got = raised(ErrorClass::EpsNotPositive, "eps cannot be negative");
    let step = an_error_step(Verdict::Pass, Some(expected), Some(got));
    insta::assert_snapshot!(plain(&terminal::full(&a_result("candle", Verdict::Pass, vec![step]))));
}

#[test]
fn a_known_deviation_is_counted_and_its_reason_shown_on_replay() {
    let mut tensor = doubled_mean();
    tensor.verdict = Verdict::Known;
    let reason = "takes-eps-zero: An eps of 0 is accepted. (https://example.org/1)\n\
                  half-arithmetic: Every operation is rounded. (https://example.org/2)";
    let result =
        because(reason, a_result("candle", Verdict::Known, vec![a_step(2, "forward", vec![tensor])]));
    insta::assert_snapshot!(shown_one(result.clone()));
    insta::assert_snapshot!(plain(&terminal::full(&result)));
}

#[test]
fn a_deviation_that_is_fixed() {
    let reason = "the declared deviation `takes-eps-zero` does not occur here any more";
    insta::assert_snapshot!(shown_one(because(reason, a_result("candle", Verdict::Fixed, vec![]))));
}

#[test]
fn a_backend_that_cannot_express_the_case() {
    let reason = "candle_nn::BatchNorm has no momentum of None";
    let result = because(reason, a_result("candle", Verdict::Unsupported, vec![]));
    insta::assert_snapshot!(shown_one(result.clone()));
    insta::assert_snapshot!(plain(&terminal::full(&result)));
}

#[test]
fn an_oracle_in_doubt() {
    let reason = "step 2: the file says output[0] is 1.0 ± 0.0, the oracle 1.5 (worked by hand)";
    insta::assert_snapshot!(shown_one(because(reason, a_result("candle", Verdict::Suspect, vec![]))));
}

#[test]
fn a_tensor_without_a_budget() {
    let tensor = TensorResult {
        verdict: Verdict::Suspect,
        budget_used: None,
        mismatched: 4,
        note: Some("there is no budget for this tensor".to_owned()),
        ..passed(Observable::GradInput, 0.0)
    };
    let result = a_result("candle", Verdict::Suspect, vec![a_step(3, "backward", vec![tensor])]);
    insta::assert_snapshot!(shown_one(result));
}

#[test]
fn a_crash_with_its_last_words() {
    let reason = "the worker was ended by signal 11 (SIGSEGV); it last said: loading kernels\n\
                  CUDA error: an illegal memory access was encountered\n\
                  \tat kernel.cu:31";
    insta::assert_snapshot!(shown_one(because(reason, a_result("candle", Verdict::Crash, vec![]))));
}

#[test]
fn nothing_compared_is_no_success() {
    insta::assert_snapshot!(shown(&a_run(vec![])));
}

#[test]
fn of_many_failures_ten_are_shown() {
    let failures = (0..13).map(|number| CaseResult { case: format!("many/case-{number}"), ..a_failure() });
    let text = shown(&a_run(failures.collect()));
    assert_eq!(text.matches("fail  candle  many/").count(), 10, "{text}");
    assert_eq!(text.matches("  replay: ").count(), 10, "{text}");
    assert!(text.contains("\n… and 3 more, all of them in results.json\n"), "{text}");
    assert!(text.ends_with("\n13 not as expected\n"), "{text}");
}

#[test]
fn wrong_declarations_fail_the_run() {
    let mut results = a_run(vec![passes("reference"), passes("candle")]);
    results.deviation_errors = vec![
        "candle: the declared deviation `old` covers no case; take it out".to_owned(),
        "candle: no case needs the declared deviation `older`; take it out".to_owned(),
    ];
    insta::assert_snapshot!(shown(&results));
}

#[test]
fn the_replay_line_is_a_command_for_any_suite_and_any_place() {
    let line = |program: &str, suites: &[&str], case: &str| {
        let suites = suites.iter().map(ToString::to_string).collect();
        Invocation { program: program.to_owned(), suites, ..Invocation::default() }
            .replay(case, Some("candle"))
    };
    assert_eq!(line("bncheck", &[], "a/b[x=1]"), "bncheck replay 'a/b[x=1]' --backend candle");
    assert_eq!(
        line("./bncheck", &["mine.yaml", "my suites"], "a/b"),
        "./bncheck replay 'a/b' --backend candle --suites mine.yaml 'my suites'"
    );
    assert_eq!(
        line("/home/o'neill/bncheck", &[], "a/b"),
        r"'/home/o'\''neill/bncheck' replay 'a/b' --backend candle"
    );
}

/// Every text that comes from elsewhere is this one.
fn made_of(text: &str) -> [String; 3] {
    let mut step = an_error_step(Verdict::Fail, None, Some(raised(ErrorClass::Other, text)));
    text.clone_into(&mut step.action);
    step.tensors = vec![TensorResult { note: Some(text.to_owned()), ..doubled_mean() }];
    let failure =
        CaseResult { case: text.to_owned(), ..because(text, a_result("candle", Verdict::Fail, vec![step])) };
    let mut results = a_run(vec![failure.clone()]);
    text.clone_into(&mut results.cases[0].file);
    text.clone_into(&mut results.run.oracle);
    text.clone_into(&mut results.run.backends[1].version);
    results.deviation_errors = vec![text.to_owned()];
    let expected = raised(ErrorClass::Other, text);
    let accepted =
        a_result("candle", Verdict::Fail, vec![an_error_step(Verdict::Fail, Some(expected), None)]);
    let invocation =
        Invocation { program: text.to_owned(), suites: vec![text.to_owned()], ..Invocation::default() };
    [
        terminal::run(&results, &invocation),
        terminal::full(&failure),
        terminal::mismatch(&results, &accepted, &invocation),
    ]
}

#[test]
fn hostile_texts_cannot_reach_the_terminal() {
    let hostile = "\u{1b}[31m\u{1b}]0;title\u{7}\r\u{8}one\ntwo\u{202e}three\u{2066}\u{2028}\u{9b}2J";
    let escapes = |text: &String| text.matches('\u{1b}').count();
    for (text, usual) in made_of(hostile).iter().zip(made_of("one\ntwo")) {
        assert_eq!(escapes(text), escapes(&usual), "only our own colours: {text:?}");
        let harmful = |c: &char| {
            (c.is_control() && !matches!(c, '\n' | '\u{1b}')) || "\u{202e}\u{2066}\u{2028}".contains(*c)
        };
        assert_eq!(text.chars().find(harmful), None, "{text:?}");
    }
    insta::assert_snapshot!(plain(&made_of(hostile)[0]));
}

#[test]
fn shares_of_a_budget_are_short() {
    let shares = [0.0, 1e-9, 0.000_999, 0.001, 0.3141, 1.0, 9.9996, 12.34, 9999.0, 41234.5, 3e200];
    let texts: Vec<String> = shares.into_iter().map(terminal::budget_used).collect();
    assert_eq!(
        texts,
        ["0", "1e-9", "1e-3", "0.001", "0.314", "1.000", "10.000", "12.3", "9999.0", "4.1e4", "3.0e200"]
    );
}
