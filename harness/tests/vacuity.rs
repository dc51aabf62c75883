//! Comparisons that show nothing, and backends that do nothing: neither passes, and the reason is said.

use bn_api::{Observable, Responder, Response, Tensor, TensorName};
use bn_cases::Suite;
use bn_harness::deviations::Deviations;
use bn_harness::oracle::Oracle;
use bn_harness::results::{CaseResult, RunResults, TensorResult, Verdict};

mod common;
use common::{Change, cases, changed, each, reference, run, run_lineup, suite, with_answers, with_tensor};

use Verdict::{Fail, Pass, Unsupported, Vacuous};

/// What becomes of a suite's cases where a backend answers that changes the reference's answers.
fn judged(text: &str, change: Change) -> RunResults {
    let suites: [Suite; 1] = [suite(text)];
    run(&cases(&suites), reference, &|| changed(change), Deviations::default(), false)
}

/// A suite of one case.
fn one(case: &str) -> String {
    format!("{{suite: one, cases: [{{name: case, {case}}}]}}")
}

/// What becomes of its one case.
fn result(case: &str, change: Change) -> CaseResult {
    judged(&one(case), change).results.remove(0)
}

fn tensor(result: &CaseResult, step: usize, name: Observable) -> &TensorResult {
    let tensors = &result.steps[step].tensors;
    tensors.iter().find(|tensor| tensor.tensor == TensorName::from(name)).expect("it is there")
}

fn note(result: &CaseResult, step: usize, name: Observable) -> Option<&str> {
    tensor(result, step, name).note.as_deref()
}

fn unchanged(response: Response) -> Response {
    response
}

/// The reason why the reference's own answer to a case shows nothing.
#[track_caller]
fn why_vacuous(case: &str) -> String {
    let result = result(case, unchanged);
    assert_eq!(result.verdict, Vacuous, "{result:#?}");
    result.reason.expect("a reason")
}

#[track_caller]
fn passes(case: &str) -> CaseResult {
    let result = result(case, unchanged);
    assert_eq!((result.verdict, result.reason.as_deref()), (Pass, None), "{result:#?}");
    result
}

mod a_case {
    use super::*;

    #[test]
    fn of_which_the_only_gradient_is_constant_in_training_shows_nothing_of_a_backward() {
        let case = "layer: {affine: false}, input: {shape: [4, 3]},
            steps: [train, forward, {backward: {grad: {constant: 1}}}]";
        assert_eq!(
            why_vacuous(case),
            "a backward that computes nothing would pass\nstep 3: as grad_input zeros would pass"
        );
    }

    #[test]
    fn of_which_another_backward_shows_something_passes_with_a_note() {
        let case = "layer: {affine: false}, input: {shape: [4, 3]},
            steps: [train, forward, {backward: {grad: {constant: 1}}}, backward]";
        let result = passes(case);
        assert_eq!(note(&result, 3, Observable::GradInput), Some("zeros would pass as well"));
        assert_eq!(note(&result, 4, Observable::GradInput), None);
    }

    #[test]
    fn of_a_constant_gradient_shows_the_gradient_of_bias() {
        let result =
            passes("input: {shape: [4, 3]}, steps: [train, forward, {backward: {grad: {constant: 1}}}]");
        assert_eq!(note(&result, 3, Observable::GradInput), Some("zeros would pass as well"));
        assert_eq!(note(&result, 3, Observable::GradBias), None);
    }

    #[test]
    fn of_a_gradient_of_zeros_shows_nothing_of_a_backward() {
        let case = "input: {shape: [4, 3]}, steps: [eval, forward, {backward: {grad: {constant: 0}}}]";
        let expected = "a backward that computes nothing would pass
step 3: as grad_input zeros and the incoming gradient, unchanged, would pass
step 3: as grad_weight zeros would pass
step 3: as grad_bias zeros would pass";
        assert_eq!(why_vacuous(case), expected);
    }

    const CONSTANT: &str = "input: {shape: [4, 3], fill: {constant: 2}}, steps: [train, forward]";

    #[test]
    fn of_constant_channels_shows_where_the_statistics_go() {
        let result = passes(CONSTANT);
        assert_eq!(note(&result, 2, Observable::Output), Some("zeros would pass as well"));
    }

    #[test]
    fn of_constant_channels_whose_statistics_stay_shows_nothing() {
        let case = format!("layer: {{momentum: 0}}, {CONSTANT}");
        let expected = "a forward that computes nothing would pass\nstep 2: as output zeros would pass";
        assert_eq!(why_vacuous(&case), expected);
        let case = case.replace("momentum: 0", "momentum: 0, bias: {values: [1, 2, 3]}");
        assert!(why_vacuous(&case).ends_with("step 2: as output the bias alone would pass"));
    }

    #[test]
    fn of_constant_channels_in_evaluation_shows_their_statistics() {
        passes(
            "layer: {running_var: {constant: 3}}, input: {shape: [4, 3], fill: {constant: 2}},
            steps: [eval, forward]",
        );
    }

    #[test]
    fn that_expects_the_very_answer_means_it() {
        let case = format!("layer: {{momentum: 0, bias: {{values: [1, 2, 3]}}}}, {CONSTANT}");
        let values = "[1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3]";
        passes(&format!("{case}, expect: [{{step: 2, tensor: output, values: {values}}}]"));
    }

    #[test]
    fn that_shows_less_than_its_type_can_tell_shows_nothing() {
        // As constructed, evaluation multiplies by 1 - 5e-6.
        let case = "input: {shape: [4, 3]}, steps: [eval, forward], dtype";
        assert_eq!(
            why_vacuous(&format!("{case}: bf16")),
            "a forward that computes nothing would pass\nstep 2: as output the input, unchanged, would pass"
        );
        passes(&format!("{case}: f32"));
    }

    #[test]
    fn that_asks_for_a_standstill_passes() {
        // Each is right to stay where it is, and the output shows that the layer was run.
        let result =
            passes("layer: {momentum: 0}, input: {shape: [4, 3]}, steps: [train, forward, eval, forward]");
        assert_eq!(note(&result, 2, Observable::RunningMean), None);
        passes("input: {shape: [4, 3]}, steps: [train, forward, backward, {sgd: {lr: 0}}]");
        passes("input: {shape: [0, 3]}, steps: [eval, forward, backward]");
        passes("layer: {weight: {constant: 0}}, input: {shape: [4, 3]}, steps: [eval, forward, backward]");
    }

    #[test]
    fn that_expects_an_error_shows_it() {
        passes("input: {shape: [1, 3]}, steps: [train, forward]");
    }

    #[test]
    fn of_statistics_that_do_not_move_as_far_as_their_type_can_tell_says_so() {
        let case = "layer: {momentum: 1e-9, running_mean: {constant: 4}}, input: {shape: [4, 3]},
            steps: [train, forward], dtype: f32";
        let result = passes(case);
        let expected = Some("what it was before the step would pass as well");
        assert_eq!(note(&result, 2, Observable::RunningMean), expected);
    }

    #[test]
    fn without_a_forward_is_about_what_the_layer_holds() {
        passes("input: {shape: [4, 3]}, steps: [eval]");
        let nothing = "layer: {affine: false, track_running_stats: false}, input: {shape: [4, 3]},
            steps: [eval]";
        assert_eq!(why_vacuous(nothing), "nothing was compared");
    }

    #[test]
    fn with_all_its_budgets_infinite_is_vacuous() {
        // The square of each deviation is beyond f32.
        let case = "layer: {affine: false, track_running_stats: false},
            input: {shape: [4, 1], fill: {values: [1e38, -1e38, 3e38, -3e38]}}, dtype: f32, steps: [train, forward]";
        let result = result(case, unchanged);
        assert_eq!((result.verdict, result.reason.as_deref()), (Vacuous, Some("nothing was compared")));
        let output = tensor(&result, 2, Observable::Output);
        assert!(!output.was_compared());
        assert_eq!(
            output.note.as_deref(),
            Some("4 of 4 elements not judged: a sound answer may be anything there")
        );
    }
}

mod a_backend {
    use super::*;

    /// Everything differs from everything else.
    const CASE: &str = "
        layer: {features: 2, weight: {values: [3, 0.5]}, bias: {values: [1, -1]}},
        input: {shape: [3, 2], fill: {values: [1, 20, 2, 40, 5, 70]}},
        grad: {values: [1, 2, 0, 5, -3, 1]},
        dtype: f32, steps: [train, forward, backward, eval, forward]";

    fn note_of(name: Observable, step: usize, change: Change) -> Option<String> {
        let result = result(CASE, change);
        assert_eq!((result.verdict, tensor(&result, step, name).verdict), (Fail, Fail), "{result:#?}");
        tensor(&result, step, name).note.clone()
    }

    #[test]
    fn that_returns_its_input_fails_and_is_found_out() {
        let note = note_of(Observable::Output, 2, |response| {
            with_tensor(response, Observable::Output, |output| {
                Tensor::from_values(output.dtype(), output.shape(), [1.0, 20.0, 2.0, 40.0, 5.0, 70.0])
            })
        });
        assert_eq!(note.as_deref(), Some("the output is the input, unchanged"));
    }

    #[test]
    fn that_returns_the_gradient_fails_and_is_found_out() {
        let note = note_of(Observable::GradInput, 3, |response| {
            with_tensor(response, Observable::GradInput, |grad| {
                Tensor::from_values(grad.dtype(), grad.shape(), [1.0, 2.0, 0.0, 5.0, -3.0, 1.0])
            })
        });
        assert_eq!(note.as_deref(), Some("grad_input is the incoming gradient, unchanged"));
    }

    #[test]
    fn that_returns_untouched_memory_fails_and_is_found_out() {
        let output = |change| note_of(Observable::Output, 2, change);
        let zeros = output(|response| with_tensor(response, Observable::Output, |it| each(it, |_| 0.0)));
        assert_eq!(zeros.as_deref(), Some("every element is 0"));
        let nan = output(|response| with_tensor(response, Observable::Output, |it| each(it, |_| f64::NAN)));
        assert_eq!(nan.as_deref(), Some("every element is NaN"));
        let same = output(|response| with_tensor(response, Observable::Output, |it| each(it, |_| 0.25)));
        assert_eq!(same.as_deref(), Some("every element is 0.25"));
    }

    #[test]
    fn that_returns_what_an_earlier_step_gave_fails_and_is_found_out() {
        let note = note_of(Observable::Output, 5, |response| {
            with_answers(response, |answers| answers[5].tensors[0] = answers[2].tensors[0].clone())
        });
        assert_eq!(note.as_deref(), Some("it is that of step 2, bit for bit"));
    }

    #[test]
    fn that_leaves_the_statistics_where_they_are_fails_and_is_found_out() {
        let note = note_of(Observable::RunningVar, 2, |response| {
            with_tensor(response, Observable::RunningVar, |it| each(it, |_| 1.0))
        });
        assert_eq!(note.as_deref(), Some("it is that of step 1, bit for bit"));
    }

    /// Answers each case with the outputs of the one before.
    struct Stale {
        inner: Box<dyn Responder>,
        kept: Option<Tensor>,
    }

    impl Responder for Stale {
        fn info(&self) -> &bn_api::BackendInfo {
            self.inner.info()
        }

        fn respond(&mut self, request: &bn_api::Request) -> Response {
            with_answers(self.inner.respond(request), |answers| {
                for (name, tensor) in answers.iter_mut().flat_map(|answer| &mut answer.tensors) {
                    if name.tensor == Observable::Output {
                        let own = tensor.clone();
                        *tensor = self.kept.take().unwrap_or_else(|| own.clone());
                        self.kept = Some(own);
                    }
                }
            })
        }
    }

    #[test]
    fn that_returns_what_the_case_before_was_answered_fails_and_is_found_out() {
        let text = "{suite: two, defaults: {mode: eval, input: {shape: [4, 3]}},
            cases: [{name: a}, {name: b, seed: 7}]}";
        let suites = [suite(text)];
        let open = || bn_harness::runner::Lineup {
            oracle: Oracle::Live(reference()),
            arbiter: common::arbiter(),
            backends: vec![Box::new(Stale { inner: reference(), kept: None })],
        };
        // On one thread, one case comes after the other.
        let options = bn_harness::runner::Options {
            jobs: 1,
            deviations: &[Deviations::default()],
            all: None,
            bncheck: "test",
            flags: Vec::new(),
            keep: bn_harness::runner::Keep::All,
            seed: None,
        };
        let open = || Ok::<_, std::convert::Infallible>(open());
        let Ok(results) = bn_harness::runner::run(&cases(&suites), &open, options, &mut |_, _| {});
        assert_eq!(results.results[0].verdict, Pass);
        let stale = &results.results[1];
        assert_eq!(stale.verdict, Fail);
        let step = stale.steps.iter().position(|step| step.action == "forward").expect("a forward");
        let expected = "it is in the answer to the case before this one, bit for bit";
        assert_eq!(note(stale, step, Observable::Output), Some(expected));
    }

    #[test]
    fn whose_idle_answer_is_within_a_wide_budget_does_not_pass() {
        let case = "layer: {affine: false}, input: {shape: [4, 3]}, dtype: f32,
            grad: {normal: {mean: 1, std: 1e-7}}, steps: [train, forward, backward]";
        let zeros: Change =
            |response| with_tensor(response, Observable::GradInput, |grad| each(grad, |_| 0.0));
        let result = result(case, zeros);
        let grad = tensor(&result, 3, Observable::GradInput);
        assert_eq!((result.verdict, grad.verdict), (Vacuous, Vacuous), "{result:#?}");
        assert_eq!(grad.note.as_deref(), Some("the answer is zeros, and passes only as the budget is wide"));
    }

    #[test]
    fn that_gives_no_tensor_at_all_fails() {
        let result = result(CASE, |response| {
            with_answers(response, |answers| answers.iter_mut().for_each(|answer| answer.tensors.clear()))
        });
        assert_eq!(result.verdict, Fail);
        assert_eq!(note(&result, 2, Observable::Output), Some("the backend gave no such tensor"));
    }

    /// The reference, of which some tensors cannot be seen.
    struct Hidden {
        inner: Box<dyn Responder>,
        info: bn_api::BackendInfo,
    }

    impl Responder for Hidden {
        fn info(&self) -> &bn_api::BackendInfo {
            &self.info
        }

        fn respond(&mut self, request: &bn_api::Request) -> Response {
            let hidden: Vec<Observable> = self.info.unobservable.iter().map(|known| known.tensor).collect();
            with_answers(self.inner.respond(request), |answers| {
                for answer in answers {
                    answer.tensors.retain(|(name, _)| !hidden.contains(&name.tensor));
                }
            })
        }
    }

    fn with_hidden(hidden: &'static [Observable]) -> RunResults {
        let open = || {
            let inner = reference();
            let mut info = inner.info().clone();
            let reason = "for the test".to_owned();
            info.unobservable = hidden
                .iter()
                .map(|&tensor| bn_api::Unobservable { tensor, reason: reason.clone() })
                .collect();
            let backends: Vec<Box<dyn Responder>> = vec![Box::new(Hidden { inner, info })];
            bn_harness::runner::Lineup {
                oracle: Oracle::Live(reference()),
                arbiter: common::arbiter(),
                backends,
            }
        };
        let suites = [suite(&one(CASE))];
        run_lineup(&cases(&suites), &open, Deviations::default(), false)
    }

    #[test]
    fn of_which_nothing_can_be_seen_is_not_as_expected() {
        let results = with_hidden(&Observable::ALL);
        assert_eq!(results.results[0].verdict, Vacuous);
        assert_eq!(results.results[0].reason.as_deref(), Some("nothing was compared"));
        assert!(!results.as_expected());
    }

    #[test]
    fn of_which_nothing_that_is_computed_can_be_seen_is_not_as_expected() {
        use Observable::{GradInput, Output, RunningMean, RunningVar};
        let results = with_hidden(&[Output, RunningMean, RunningVar]);
        let reason = results.results[0].reason.as_deref();
        assert_eq!(reason, Some("nothing was compared of what a forward gives or moves"));
        assert_eq!(with_hidden(&[GradInput]).results[0].verdict, Pass);
    }

    #[test]
    fn that_has_no_gradients_cannot_be_asked_for_them_and_passes_nothing() {
        use Observable::{GradBias, GradInput, GradWeight};
        let results = with_hidden(&[GradInput, GradWeight, GradBias]);
        assert_eq!(results.results[0].verdict, Unsupported);
        let reason = results.results[0].reason.as_deref();
        assert_eq!(reason, Some("what a backward gives is not there to compare: for the test"));
        assert!(!results.as_expected());
    }

    #[test]
    fn that_supports_no_case_of_a_run_is_not_as_expected() {
        let nothing: Change = |_| Response::Unsupported { reason: "for the test".to_owned() };
        let results = judged(&one(CASE), nothing);
        assert_eq!(results.results[0].verdict, Unsupported);
        assert!(results.unexpected().next().is_none() && !results.as_expected());
    }
}
