//! What is judged of methods that should be sound, and how a false alarm is told.

mod common;

use std::borrow::Cow;
use std::convert::Infallible;

use bn_api::{ErrorClass, LayerError, Observable, Responder, TensorName};
use bn_cases::Case;
use bn_harness::oracle::Oracle;
use bn_harness::sound::{self, Lineup, Question, SoundResults};
use common::{arbiter, cases, changed, each, reference, suite, with_answers, with_tensor};

const TWO: &str = "{suite: two, cases: [
    {name: a, input: {shape: [4, 3]}, mode: train},
    {name: b, dtype: f64, input: {shape: [5, 2]}, steps: [train, forward, eval, forward]}]}";

/// Asks the reference about the cases, and these methods.
fn asked(cases: &[&Case], jobs: usize, methods: fn() -> Vec<Box<dyn Responder>>) -> SoundResults {
    let open = || {
        Ok::<_, Infallible>(Lineup {
            oracle: Oracle::Live(reference()),
            arbiter: arbiter(),
            methods: methods(),
            question: Box::new(|number| Ok(Question { case: Cow::Borrowed(cases[number]), yaml: None })),
        })
    };
    let Ok(results) = sound::run(jobs, cases.len(), &open, &mut |_, _| {});
    results
}

/// A reference whose running means are off.
fn off() -> Box<dyn Responder> {
    changed(|response| {
        with_tensor(response, Observable::RunningMean, |tensor| each(tensor, |value| value + 1.0))
    })
}

#[test]
fn a_sound_method_has_no_alarm_and_its_largest_uses_are_noted() {
    let suite = suite(TWO);
    let results = asked(&cases(std::slice::from_ref(&suite)), 2, || vec![reference()]);
    assert!(results.as_expected(), "{:#?}", results.alarms);
    assert_eq!((results.cases, results.methods[0].judged, results.methods[0].alarms), (2, 2, 0));
    let outputs = results.largest().into_iter().filter(|(_, one)| one.tensor == Observable::Output);
    let cases: Vec<&str> = outputs.map(|(_, one)| one.case.as_str()).collect();
    assert_eq!(cases, ["two/a", "two/b"]);
}

#[test]
fn a_false_alarm_comes_with_its_case_step_tensor_and_element() {
    let suite = suite(TWO);
    let results = asked(&cases(std::slice::from_ref(&suite)), 1, || vec![reference(), off()]);
    assert!(!results.as_expected());
    let alarms: Vec<usize> = results.methods.iter().map(|method| method.alarms).collect();
    assert_eq!(alarms, [0, 2]);
    let case = &results.alarms[0];
    let alarm = &case.alarms[0];
    assert_eq!((case.case.as_str(), alarm.step, alarm.action.as_str()), ("two/a", 0, "new layer"));
    assert_eq!(alarm.tensor, Some(TensorName::from(Observable::RunningMean)));
    assert!(alarm.worst.as_ref().is_some_and(|worst| worst.got.decimal == "1.0"), "{alarm:?}");
}

/// A reference that raises errors of this class.
fn raises<const PANIC: bool>() -> Box<dyn Responder> {
    changed(|response| {
        with_answers(response, |answers| {
            let class = if PANIC { ErrorClass::Panic } else { ErrorClass::Other };
            for answer in answers.iter_mut().filter(|answer| answer.error.is_some()) {
                answer.error = Some(LayerError::new(class, "another"));
            }
        })
    })
}

#[test]
fn an_error_of_another_class_and_a_panic_are_alarms() {
    let suite = suite("{suite: one, cases: [{name: a, input: {shape: [1, 3]}, steps: [forward]}]}");
    let results = asked(&cases(std::slice::from_ref(&suite)), 1, || {
        vec![reference(), raises::<false>(), raises::<true>()]
    });
    let alarms: Vec<usize> = results.methods.iter().map(|method| method.alarms).collect();
    assert_eq!(alarms, [0, 1, 1]);
}

#[test]
fn a_question_that_cannot_be_asked_and_a_doubted_oracle_are_alarms() {
    let open = || {
        Ok::<_, Infallible>(Lineup {
            oracle: Oracle::Live(reference()),
            arbiter: arbiter(),
            methods: vec![reference()],
            question: Box::new(|_| Err("it does not load".to_owned())),
        })
    };
    let Ok(results) = sound::run(1, 1, &open, &mut |_, _| {});
    assert_eq!(results.alarms[0].alarms[0].note.as_deref(), Some("it does not load"));
    let doubted = suite(
        "{suite: one, cases: [{name: a, input: {shape: [2, 1]}, steps: [forward],
            expect: [{step: 1, tensor: output, values: [9, 9]}]}]}",
    );
    let results = asked(&cases(std::slice::from_ref(&doubted)), 1, || vec![reference()]);
    assert_eq!((results.alarms[0].alarms[0].method.as_str(), results.methods[0].judged), ("the oracle", 0));
}

#[test]
fn nothing_judged_is_not_as_expected() {
    assert!(!asked(&[], 1, || vec![reference()]).as_expected());
}

#[test]
fn results_of_other_cases_are_added() {
    let suite = suite(TWO);
    let cases = cases(std::slice::from_ref(&suite));
    let mut apart = asked(&cases[..1], 1, || vec![reference(), off()]);
    apart.append(asked(&cases[1..], 1, || vec![reference(), off()]));
    assert_eq!(apart, asked(&cases, 1, || vec![reference(), off()]));
}
