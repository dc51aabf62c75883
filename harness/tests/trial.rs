//! The oracle on trial: it must be within what float64 allows about the arbiter's answers, or nobody is judged by it.

use bn_api::{
    BackendInfo, ErrorClass, InProcess, LayerError, Observable, Request, Responder, Response, Tensor,
};
use bn_cases::Suite;
use bn_harness::budget::{Accuracy, CaseBudget};
use bn_harness::deviations::Deviations;
use bn_harness::oracle::Oracle;
use bn_harness::results::{CaseResult, Verdict};
use bn_harness::runner::Lineup;
use bn_reference::Arbiter;

mod common;
use common::{arbiter, cases, changed, each, reference, run_lineup, suite, with_answers, with_tensor};

/// The same case in a type that the oracle is far more accurate than, and in its own.
fn example() -> Suite {
    suite(
        "
suite: example
cases:
  - name: images
    matrix: {dtype: [f16, f32, f64]}
    input: {shape: [2, 3, 4], fill: {channels: {mean: [0, 10, -1000], std: [1]}}}
    steps: [train, forward, backward]
",
    )
}

/// The number of elements of the example's output that are before the one at [1, 0, 3].
const BEFORE: usize = 15;

/// The arbiter's answers, but one element of the output is this many of its budgets off.
struct Off {
    inner: InProcess<Arbiter>,
    budgets: f64,
    accuracy: Accuracy,
}

/// An oracle, which may fold.
fn off(budgets: f64) -> Box<dyn Responder> {
    Box::new(Off { inner: InProcess::new(Arbiter), budgets, accuracy: Accuracy::Folded })
}

/// A backend.
fn backend_off(budgets: f64) -> Box<dyn Responder> {
    Box::new(Off { inner: InProcess::new(Arbiter), budgets, accuracy: Accuracy::Sound })
}

impl Responder for Off {
    fn info(&self) -> &BackendInfo {
        self.inner.info()
    }

    fn respond(&mut self, request: &Request) -> Response {
        with_answers(self.inner.respond(request), |answers| {
            let budget = CaseBudget::derive(request, answers, self.accuracy);
            for (step, answer) in answers.iter_mut().enumerate() {
                for (name, tensor) in &mut answer.tensors {
                    if name.tensor == Observable::Output {
                        let allowed = &budget.of(step, name).expect("it has a budget").elements;
                        let mut values = tensor.values();
                        values[BEFORE] += self.budgets * allowed[BEFORE];
                        *tensor = Tensor::from_values(tensor.dtype(), tensor.shape(), values);
                    }
                }
            }
        })
    }
}

type Make = fn() -> Box<dyn Responder>;

/// f16, f32 and f64.
fn judged_by(oracle: Make, arbiter: Make, backend: Make) -> Vec<CaseResult> {
    let open = || Lineup { oracle: Oracle::Live(oracle()), arbiter: arbiter(), backends: vec![backend()] };
    run_lineup(&cases(&[example()]), &open, Deviations::default(), false).results
}

fn verdicts(results: &[CaseResult]) -> Vec<Verdict> {
    results.iter().map(|result| result.verdict).collect()
}

fn wrong() -> Box<dyn Responder> {
    changed(|response| with_tensor(response, Observable::Output, |output| each(output, |x| x + 1.0)))
}

/// Every backend's verdict is `suspect`, the right one's and the wrong one's; gives the reasons.
fn is_suspect(oracle: Make) -> Vec<String> {
    let mut reasons = Vec::new();
    for backend in [reference as Make, wrong as Make] {
        let results = judged_by(oracle, arbiter, backend);
        assert_eq!(verdicts(&results), [Verdict::Suspect; 3], "{:?}", results[0].reason);
        reasons = results.into_iter().map(|result| result.reason.expect("it says why")).collect();
    }
    reasons
}

#[test]
fn an_oracle_in_f64_is_trusted() {
    assert_eq!(verdicts(&judged_by(reference, arbiter, reference)), [Verdict::Pass; 3]);
    assert_eq!(verdicts(&judged_by(reference, arbiter, wrong)), [Verdict::Fail; 3]);
}

#[test]
fn off_by_less_than_float64_allows_it_is_trusted() {
    for oracle in [(|| off(0.9)) as Make, || off(-0.9)] {
        assert_eq!(verdicts(&judged_by(oracle, arbiter, reference)), [Verdict::Pass; 3]);
        assert_eq!(verdicts(&judged_by(oracle, arbiter, wrong)), [Verdict::Fail; 3]);
    }
}

#[test]
fn off_by_more_in_one_element_it_is_in_doubt_in_every_type() {
    for reason in is_suspect(|| off(4.25)) {
        let start = "the oracle is in doubt: step 2, forward: output[1, 0, 3] is ";
        assert!(reason.starts_with(start), "{reason}");
        assert!(reason.contains(" in arbiter's float64 and "), "{reason}");
        assert!(reason.contains(" in double-double, 4.2"), "{reason}");
        assert!(reason.ends_with(" times what float64 allows"), "{reason}");
    }
}

#[test]
fn an_oracle_that_computes_in_f32_is_in_doubt() {
    is_suspect(|| {
        changed(|response| {
            let in_f32 = |output: &Tensor| each(output, |x| f64::from(x as f32));
            with_tensor(response, Observable::Output, in_f32)
        })
    });
}

#[test]
fn a_number_that_is_none_is_a_doubt_without_a_measure() {
    for reason in is_suspect(|| {
        changed(|response| with_tensor(response, Observable::RunningVar, |var| each(var, |_| f64::NAN)))
    }) {
        assert!(
            reason.contains("running_var[0] is NaN in reference's float64 and 1.0 in double"),
            "{reason}"
        );
        assert!(!reason.contains("times"), "{reason}");
    }
}

#[test]
fn another_error_is_a_doubt() {
    let reasons = is_suspect(|| {
        changed(|response| {
            with_answers(response, |answers| {
                answers[3].error = Some(LayerError::new(ErrorClass::NoGraph, "no"));
            })
        })
    });
    let expected =
        "the oracle is in doubt: step 3, backward: reference raises the error no_graph, the arbiter no error";
    assert_eq!(reasons[0], expected);
}

#[test]
fn a_tensor_too_few_too_many_or_of_another_shape_is_a_doubt() {
    let without: Make = || {
        changed(|response| {
            with_answers(response, |answers| {
                answers[2].tensors.retain(|(name, _)| name.tensor != Observable::Output);
            })
        })
    };
    assert!(is_suspect(without)[0].ends_with("step 2, forward: reference has no output, the arbiter has"));
    let with: Make = || {
        changed(|response| {
            with_answers(response, |answers| {
                let more = answers[2].tensors[0].clone();
                answers[1].tensors.push(more);
            })
        })
    };
    assert!(is_suspect(with)[0].ends_with("step 1, train: reference has output, the arbiter has none"));
    let reshaped: Make = || {
        changed(|response| {
            with_tensor(response, Observable::Output, |output| {
                Tensor::from_values(output.dtype(), &[24], output.values())
            })
        })
    };
    assert!(is_suspect(reshaped)[0].contains("step 2, forward: output: the answer's shape is [24]"));
}

#[test]
fn without_an_arbiter_nobody_is_judged() {
    let none: Make = || changed(|_| Response::Unsupported { reason: "on leave".to_owned() });
    for result in judged_by(reference, none, reference) {
        assert_eq!(result.verdict, Verdict::Suspect);
        assert_eq!(result.reason.as_deref(), Some("the arbiter gave no answer: on leave"));
    }
}

#[test]
fn without_an_oracle_the_arbiter_alone_judges_and_the_run_says_so() {
    let run = |backend: Make| {
        let open = || Lineup { oracle: Oracle::Nobody, arbiter: arbiter(), backends: vec![backend()] };
        run_lineup(&cases(&[example()]), &open, Deviations::default(), false)
    };
    let results = run(reference);
    assert_eq!(verdicts(&results.results), [Verdict::Pass; 3]);
    assert!(results.run.oracle.starts_with("none: "), "{}", results.run.oracle);
    assert_eq!(verdicts(&run(wrong).results), [Verdict::Fail; 3]);
}

#[test]
fn what_is_in_f64_is_judged_by_the_arbiter_and_not_by_an_oracle_that_is_off_itself() {
    let oracle: Make = || off(0.9);
    let verdict = |backend: Make| judged_by(oracle, arbiter, backend)[2].verdict;
    // Nearly two budgets from the oracle.
    assert_eq!(verdict(|| backend_off(-0.95)), Verdict::Pass);
    // A tenth of a budget from the oracle.
    assert_eq!(verdict(|| backend_off(1.1)), Verdict::Fail);
}
