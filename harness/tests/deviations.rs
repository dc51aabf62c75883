//! Declared deviations: how a file of them is read, and what they do to verdicts.

use bn_api::{DType, ErrorClass, LayerError, Observable, Outcome, Responder, Response};
use bn_cases::Suite;
use bn_harness::deviations::{Affected, Deviations};
use bn_harness::oracle::Oracle;
use bn_harness::results::{CaseResult, RunResults, Verdict};
use bn_harness::runner::Lineup;

mod common;
use common::{
    Change, cases, changed, drawn, each, reference, run, run_lineup, suite, with_answers, with_tensor,
};

fn example() -> Suite {
    suite(
        "
suite: example
defaults: {input: {shape: [6, 2], fill: {normal: {mean: 3, std: 2}}}, mode: train}
cases:
  - {name: single}
  - {name: double, dtype: f64}
  - {name: half, dtype: f16}
  - {name: one-value, input: {shape: [1, 2]}}
",
    )
}

/// One declared deviation, as a file.
fn entry(cases: &str, affects: &str) -> String {
    entry_with(cases, affects, "", "example/double")
}

fn entry_with(cases: &str, affects: &str, more: &str, smallest: &str) -> String {
    format!(
        "deviations:\n  - name: on-purpose\n    cases: [\"{cases}\"]\n    affects: [{affects}]\n{more}    \
         reason: The test wants it.\n    link: \"https://example.org\"\n    smallest: \"{smallest}\"\n"
    )
}

fn read(text: &str) -> Deviations {
    let suite = example();
    Deviations::read("deviations.yaml", text, &cases(&[suite])).expect("nothing is wrong with it")
}

fn refusal(text: &str) -> String {
    let suite = example();
    let problems = Deviations::read("deviations.yaml", text, &cases(&[suite])).expect_err("it is wrong");
    drawn(&problems)
}

mod reading {
    use super::*;

    #[test]
    fn an_entry_covers_the_cases_of_its_filter_and_what_it_names() {
        let suite = example();
        let deviations = read(&entry("dtype=f32,f64", "running_mean, error, crash"));
        let [entry] = &deviations.entries[..] else { panic!("one entry") };
        let covered = suite.cases.iter().filter(|case| entry.covers(case)).map(|case| &*case.name);
        assert_eq!(covered.collect::<Vec<_>>(), ["single", "double", "one-value"]);
        assert!(entry.covers_what(Affected::Tensor(Observable::RunningMean)));
        assert!(entry.covers_what(Affected::Error) && entry.covers_what(Affected::Crash));
        assert!(!entry.covers_what(Affected::Tensor(Observable::Output)));
    }

    #[test]
    fn what_is_said_of_other_cases_is_said_of_those_alone() {
        let elsewhere = "    elsewhere: {cases: [\"dtype=f16\"]}\n";
        let deviations = read(&entry_with("double", "output", elsewhere, "example/double"));
        let covered = |deviations: &Deviations| {
            let suite = example();
            let covered = suite
                .cases
                .iter()
                .filter(|case| deviations.entries[0].covers(case))
                .map(|case| case.name.to_string());
            covered.collect::<Vec<_>>()
        };
        assert_eq!(covered(&deviations), ["double"]);
        assert_eq!(covered(&deviations.elsewhere()), ["double", "half"]);
    }

    #[test]
    fn an_unknown_filter_field_is_found_in_what_is_said_of_other_cases() {
        let elsewhere = "    elsewhere: {cases: [\"dtpye=f16\"]}\n";
        insta::assert_snapshot!(refusal(&entry_with("double", "output", elsewhere, "example/double")));
    }

    #[test]
    fn an_empty_list_is_a_good_file() {
        assert_eq!(read("deviations: []\n").entries.len(), 0);
    }

    #[test]
    fn unknown_word_in_affects() {
        insta::assert_snapshot!(refusal(&entry("double", "output, runing_mean")));
    }

    #[test]
    fn unknown_filter_field() {
        insta::assert_snapshot!(refusal(&entry("dtpye=f32", "output")));
    }

    #[test]
    fn unknown_accuracy() {
        insta::assert_snapshot!(refusal(&entry_with(
            "half",
            "output",
            "    accuracy: storage_aritmetic\n",
            "example/half"
        )));
    }

    #[test]
    fn unknown_key() {
        insta::assert_snapshot!(refusal(&entry_with(
            "half",
            "output",
            "    because: of this\n",
            "example/half"
        )));
    }

    #[test]
    fn missing_reason() {
        let text = entry("double", "output").replace("    reason: The test wants it.\n", "");
        insta::assert_snapshot!(refusal(&text));
    }

    #[test]
    fn several_mistakes_are_reported_together() {
        let text = entry("dtpye=f32", "runing_mean");
        let second = text.replacen("deviations:\n", "", 1).replace("dtpye", "layer.epz");
        insta::assert_snapshot!(refusal(&(text + &second)));
    }
}

/// The results of the whole example, of a backend that changes the reference's answers.
fn results_of(change: Change, deviations: &str) -> RunResults {
    let suites = [example()];
    run(&cases(&suites), reference, &|| changed(change), read(deviations), true)
}

fn of<'a>(results: &'a RunResults, name: &str) -> &'a CaseResult {
    let id = format!("example/{name}");
    results.results.iter().find(|result| result.case == id).expect("a result")
}

fn verdicts(results: &RunResults) -> Vec<Verdict> {
    results.results.iter().map(|result| result.verdict).collect()
}

const NONE: &str = "deviations: []";

fn unchanged(response: Response) -> Response {
    response
}

/// Wrong wherever the running mean moves: in all cases but the one that raises an error.
fn doubles_the_running_mean(response: Response) -> Response {
    with_tensor(response, Observable::RunningMean, |tensor| each(tensor, |value| 2.0 * value))
}

use Verdict::{Error, Fail, Fixed, Known, Pass, Suspect, Unsupported, Vacuous};

#[test]
fn the_reference_passes_undeclared() {
    let results = results_of(unchanged, NONE);
    assert_eq!(verdicts(&results), [Pass; 4]);
    assert!(results.as_expected());
}

#[test]
fn a_deviation_that_is_not_declared_fails_and_names_the_tensor() {
    let results = results_of(doubles_the_running_mean, NONE);
    assert_eq!(verdicts(&results), [Fail, Fail, Fail, Pass]);
    let wrong = common::wrong(of(&results, "single"), Observable::RunningMean).expect("the running mean");
    assert_eq!((wrong.mismatched, wrong.total), (2, 2));
    assert!(wrong.budget_used.is_some_and(|used| used > 1000.0), "{:?}", wrong.budget_used);
    assert!(common::wrong(of(&results, "single"), Observable::RunningVar).is_none());
    assert!(!results.as_expected());
}

#[test]
fn a_deviation_that_is_declared_is_known_and_gives_its_reason() {
    let results = results_of(doubles_the_running_mean, &entry("!one-value", "running_mean"));
    assert_eq!(verdicts(&results), [Known, Known, Known, Pass]);
    assert_eq!(results.deviation_errors, [""; 0]);
    assert!(results.as_expected());
    let reason = of(&results, "single").reason.as_deref();
    assert_eq!(reason, Some("on-purpose: The test wants it. (https://example.org)"));
}

#[test]
fn a_declaration_covers_no_other_case() {
    let results = results_of(doubles_the_running_mean, &entry("double", "running_mean"));
    assert_eq!(verdicts(&results), [Fail, Known, Fail, Pass]);
}

#[test]
fn a_declaration_covers_no_other_tensor() {
    let results = results_of(doubles_the_running_mean, &entry("double", "running_var"));
    assert_eq!(of(&results, "double").verdict, Fail);
    assert_eq!(
        results.deviation_errors,
        ["reference: no case needs the declared deviation `on-purpose`; take it out"]
    );
}

#[test]
fn a_declared_deviation_that_does_not_occur_is_fixed_and_fails_the_run() {
    let results = results_of(doubles_the_running_mean, &entry("!single", "running_mean"));
    assert_eq!(verdicts(&results), [Fail, Known, Known, Fixed]);
    assert_eq!(
        of(&results, "one-value").reason.as_deref(),
        Some("the declared deviation `on-purpose` does not occur here any more")
    );
    assert!(!results.as_expected());
}

#[test]
fn an_entry_that_no_case_needs_is_an_error_beside_its_fixed_cases() {
    let results = results_of(unchanged, &entry("double", "running_mean"));
    assert_eq!(of(&results, "double").verdict, Fixed);
    assert_eq!(
        results.deviation_errors,
        ["reference: no case needs the declared deviation `on-purpose`; take it out"]
    );
}

#[test]
fn an_entry_that_covers_no_case_is_an_error() {
    let results = results_of(unchanged, &entry("nowhere", "output"));
    assert_eq!(verdicts(&results), [Pass; 4]);
    assert_eq!(
        results.deviation_errors,
        ["reference: the declared deviation `on-purpose` covers no case; take it out"]
    );
    assert!(!results.as_expected());
}

#[test]
fn the_smallest_case_must_be_one_that_is_covered() {
    let results = results_of(
        doubles_the_running_mean,
        &entry_with("!one-value", "running_mean", "", "example/one-value"),
    );
    assert_eq!(
        results.deviation_errors,
        [
            "reference: the declared deviation `on-purpose` names `example/one-value` as its smallest case, which it does not cover"
        ]
    );
}

#[test]
fn of_a_part_of_the_cases_no_entry_is_asked_to_be_needed() {
    let suites = [example()];
    let some: Vec<_> = cases(&suites).into_iter().filter(|case| &*case.name == "single").collect();
    let deviations = read(&entry("double", "running_mean"));
    let results = run(&some, reference, &reference, deviations, false);
    assert!(results.as_expected(), "{:?}", results.deviation_errors);
}

/// Off by a few roundings of an f16: too much for f32 arithmetic, little for f16's own.
fn output_off_by_roundings(response: Response) -> Response {
    with_tensor(response, Observable::Output, |tensor| each(tensor, |value| value + 0.004))
}

fn half_arithmetic() -> String {
    entry_with("half", "output", "    accuracy: storage_arithmetic\n", "example/half")
}

#[test]
fn a_declared_accuracy_makes_a_mismatch_within_it_known() {
    assert_eq!(of(&results_of(output_off_by_roundings, NONE), "half").verdict, Fail);
    let results = results_of(output_off_by_roundings, &half_arithmetic());
    assert_eq!(of(&results, "half").verdict, Known);
    assert_eq!(of(&results, "single").verdict, Fail);
    assert_eq!(results.deviation_errors, [""; 0]);
}

#[test]
fn a_mismatch_beyond_a_declared_accuracy_fails() {
    let doubled: Change =
        |response| with_tensor(response, Observable::Output, |tensor| each(tensor, |value| 2.0 * value));
    assert_eq!(of(&results_of(doubled, &half_arithmetic()), "half").verdict, Fail);
}

#[test]
fn a_declared_accuracy_needs_not_be_used_up_in_every_case() {
    let results = results_of(unchanged, &half_arithmetic());
    assert_eq!(of(&results, "half").verdict, Pass);
    assert_eq!(results.deviation_errors.len(), 1, "but in one: {:?}", results.deviation_errors);
}

/// Answers as if nothing had been refused.
fn raises_no_error(response: Response) -> Response {
    with_answers(response, |answers| {
        for answer in answers {
            answer.error = None;
        }
    })
}

/// Refuses every step.
fn raises_errors(response: Response) -> Response {
    with_answers(response, |answers| {
        for answer in answers {
            answer.error = Some(LayerError::new(ErrorClass::Other, "not today"));
        }
    })
}

#[test]
fn accepting_what_should_be_refused_fails_unless_it_is_declared() {
    let results = results_of(raises_no_error, NONE);
    assert_eq!(verdicts(&results), [Pass, Pass, Pass, Fail]);
    let declared = entry_with("one-value", "error", "", "example/one-value");
    let results = results_of(raises_no_error, &declared);
    assert_eq!(of(&results, "one-value").verdict, Known);
    assert!(results.as_expected());
}

#[test]
fn refusing_what_should_be_accepted_fails_unless_it_is_declared() {
    assert_eq!(of(&results_of(raises_errors, NONE), "double").verdict, Fail);
    let declared = entry("double", "error");
    assert_eq!(of(&results_of(raises_errors, &declared), "double").verdict, Known);
}

#[test]
fn an_error_of_another_class_in_other_words_is_still_the_error_that_is_due() {
    let results = results_of(
        |response| {
            with_answers(response, |answers| {
                for error in answers.iter_mut().filter_map(|answer| answer.error.as_mut()) {
                    *error = LayerError::new(ErrorClass::Other, "one row is not enough");
                }
            })
        },
        NONE,
    );
    assert_eq!(of(&results, "one-value").verdict, Pass);
}

#[test]
fn what_cannot_be_expressed_passes_through_with_its_reason() {
    let results = results_of(|_| Response::Unsupported { reason: "no such layer".to_owned() }, NONE);
    assert_eq!(verdicts(&results), [Unsupported; 4]);
    assert_eq!(of(&results, "single").reason.as_deref(), Some("no such layer"));
    assert!(!results.as_expected(), "nothing was compared");
}

#[test]
fn a_declared_deviation_that_cannot_be_expressed_is_not_needed() {
    let not_in_f64: Change = |response| match &response {
        Response::Answered(steps)
            if steps
                .iter()
                .flat_map(|step| &step.tensors)
                .any(|(_, tensor)| tensor.dtype() == DType::F64) =>
        {
            Response::Unsupported { reason: "no such layer".to_owned() }
        }
        _ => response,
    };
    let results = results_of(not_in_f64, &entry("double", "running_mean"));
    assert_eq!(of(&results, "double").verdict, Unsupported);
    assert_eq!(results.deviation_errors.len(), 1);
}

#[test]
fn of_a_backend_that_expresses_nothing_no_declared_deviation_is_missed() {
    let results = results_of(
        |_| Response::Unsupported { reason: "it is not installed".to_owned() },
        &entry("double", "running_mean"),
    );
    assert_eq!(verdicts(&results), [Unsupported; 4]);
    assert_eq!(results.deviation_errors, [] as [String; 0]);
}

#[test]
fn a_wrong_number_of_answers_is_an_error() {
    let results = results_of(|response| with_answers(response, |answers| drop(answers.pop())), NONE);
    assert_eq!(verdicts(&results), [Error; 4]);
    assert_eq!(of(&results, "single").reason.as_deref(), Some("3 answers to 4 steps"));
}

#[test]
fn a_backend_that_cannot_be_asked_is_an_error() {
    let broken: Change = |_| Response::Broken { how: Outcome::Error, message: "cannot start it".to_owned() };
    let results = results_of(broken, &entry("double", "error, crash"));
    assert_eq!(verdicts(&results), [Error; 4], "no declaration covers it");
}

#[test]
fn a_crash_is_a_crash_unless_it_is_declared() {
    let crash: Change = |_| Response::Broken { how: Outcome::Crash, message: "signal 11".to_owned() };
    let results = results_of(crash, &entry("double", "crash"));
    assert_eq!(verdicts(&results), [Verdict::Crash, Known, Verdict::Crash, Verdict::Crash]);
    assert_eq!(of(&results, "single").reason.as_deref(), Some("signal 11"));
    assert_eq!(results.deviation_errors, [""; 0]);
}

/// Answers every step, with nothing.
fn gives_nothing(response: Response) -> Response {
    with_answers(response, |answers| {
        for answer in answers {
            answer.tensors.clear();
        }
    })
}

#[test]
fn an_answer_without_anything_in_it_is_no_pass() {
    let results = results_of(gives_nothing, NONE);
    assert_eq!(verdicts(&results), [Fail; 4]);
    let wrong = common::wrong(of(&results, "single"), Observable::Output).expect("no output");
    assert_eq!(wrong.note.as_deref(), Some("the backend gave no such tensor"));
}

mod oracle {
    use super::*;

    fn judged_by(oracle: fn() -> Box<dyn Responder>, suite: Suite) -> RunResults {
        run(&cases(&[suite]), oracle, &reference, Deviations::default(), true)
    }

    #[test]
    fn without_its_answer_everything_is_suspect() {
        let results = judged_by(
            || changed(|_| Response::Broken { how: Outcome::Crash, message: "signal 9".to_owned() }),
            example(),
        );
        assert_eq!(verdicts(&results), [Suspect; 4]);
        let reason = of(&results, "single").reason.as_deref();
        assert_eq!(reason, Some("the oracle gave no answer: signal 9"));
        assert!(!results.as_expected());
    }

    #[test]
    fn with_too_few_answers_everything_is_suspect() {
        let results = judged_by(
            || changed(|response| with_answers(response, |answers| drop(answers.pop()))),
            example(),
        );
        assert_eq!(verdicts(&results), [Suspect; 4]);
    }

    #[test]
    fn that_gives_nothing_and_a_backend_that_gives_nothing_agree_on_nothing() {
        let nothing = || changed(gives_nothing);
        let lineup =
            || Lineup { oracle: Oracle::Live(nothing()), arbiter: nothing(), backends: vec![nothing()] };
        let results = run_lineup(&cases(&[example()]), &lineup, Deviations::default(), true);
        assert_eq!(verdicts(&results)[..3], [Vacuous; 3]);
        assert!(!results.as_expected());
    }

    const PUBLISHED: &str = "
suite: example
cases:
  - name: single
    layer: {features: 1, eps: 0.5, weight: {values: [3]}, bias: {values: [1]}}
    input: {shape: [4, 1], fill: {values: [1, 2, 3, 6]}}
    steps: [train, forward]
    expect: [{step: 2, tensor: output, values: [-2, -0.5, 1, 5.5], source: worked by hand}]
";

    #[test]
    fn that_agrees_with_what_is_published_is_trusted() {
        assert_eq!(verdicts(&judged_by(reference, suite(PUBLISHED))), [Pass]);
    }

    #[test]
    fn that_disagrees_with_what_is_published_is_suspect() {
        let results = judged_by(reference, suite(&PUBLISHED.replace("5.5", "5.25")));
        assert_eq!(verdicts(&results), [Suspect]);
        assert_eq!(
            of(&results, "single").reason.as_deref(),
            Some("step 2: the file says output[3] is 5.25 ± 0.0, the oracle 5.5 (worked by hand)")
        );
    }

    #[test]
    fn that_raises_no_error_where_one_is_published_is_suspect() {
        let text = PUBLISHED.replace("tensor: output, values: [-2, -0.5, 1, 5.5]", "error: wrong_rank");
        let results = judged_by(reference, suite(&text));
        assert_eq!(verdicts(&results), [Suspect]);
        assert_eq!(
            of(&results, "single").reason.as_deref(),
            Some("step 2: the file expects the error wrong_rank, the oracle raises none (worked by hand)")
        );
    }
}
