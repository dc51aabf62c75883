//! A recording gives back the very answers that it was made of, and says so where it cannot.

mod common;

use std::fmt::Debug;

use bn_api::{
    ErrorClass, InProcess, LayerError, Observable, Outcome, Request, Responder, Response, StepAnswer, Tensor,
};
use bn_cases::Suite;
use bn_harness::recorded::{
    Agreement, FORM, Provenance, RecordedCase, RecordedError, Recording, compare, write,
};
use bn_harness::results::{Machine, Unrecorded};
use bn_reference::{Arbiter, Reference};
use common::suite;

fn example() -> Suite {
    suite(
        "suite: recorded
cases:
  - name: steps
    input: {shape: [4, 3, 5], fill: {normal: {mean: 100, std: 2}}}
    matrix:
      dtype: [f16, f32, f64]
    steps: [forward, backward, {sgd: {lr: 0.5}}, forward, eval, forward]
  - name: refused
    input: {shape: [1, 3], fill: {normal: {}}}
    steps: [forward]
  - name: nothing
    input: {shape: [0, 3], fill: {normal: {}}}
    steps: [eval, forward]
",
    )
}

fn questions() -> Vec<Request> {
    common::cases(&[example()])
        .into_iter()
        .map(|case| Request::from_case(case).widened().contiguous())
        .collect()
}

fn exact(request: &Request) -> Vec<StepAnswer> {
    answered(InProcess::new(Arbiter).respond(request))
}

/// The oracle of these tests: the reference formulas in float64.
fn oracle(request: &Request) -> Response {
    InProcess::new(Reference).respond(request)
}

fn answered(response: Response) -> Vec<StepAnswer> {
    match response {
        Response::Answered(steps) => steps,
        other => panic!("{other:?}"),
    }
}

fn provenance() -> Provenance {
    Provenance {
        oracle: "reference".into(),
        version: "bn-reference 1.2.3".into(),
        arbiter: "bn-reference 1.2.3".into(),
        bncheck: "1.2.3".into(),
        made: "2026-11-27".into(),
        machine: Machine { os: "linux".into(), arch: "x86_64".into(), cpu: None, threads: 2 },
        kernels: "AVX2".into(),
        cases: 0,
        questions: String::new(),
    }
}

/// The file of what `answer` makes of each question.
fn recorded(answer: impl Fn(&Request) -> Response) -> Vec<u8> {
    let cases: Vec<RecordedCase> = questions()
        .iter()
        .map(|request| RecordedCase::of(request, &exact(request), &answer(request)))
        .collect();
    write(provenance(), &cases).expect("it is small")
}

fn read(file: &[u8]) -> Recording {
    Recording::read(file).expect("it is a recording")
}

/// Every bit of tensors, where `==` of answers is of numbers.
#[track_caller]
fn same(one: &impl Debug, other: &impl Debug) {
    assert_eq!(format!("{one:?}"), format!("{other:?}"));
}

#[test]
fn every_bit_and_every_word_of_an_answer_comes_back() {
    let recording = read(&recorded(oracle));
    assert_eq!(recording.len(), 5);
    for request in questions() {
        let answer = recording.answer(&request, &exact(&request)).expect("it is recorded");
        same(&answer, &oracle(&request));
    }
}

/// The oracle's answer with a tensor put into each place of that name.
fn with(name: Observable, change: impl Fn(&Tensor) -> Tensor) -> impl Fn(&Request) -> Response {
    move |request| {
        let mut steps = answered(oracle(request));
        for (found, tensor) in steps.iter_mut().flat_map(|step| &mut step.tensors) {
            if found.tensor == name {
                *tensor = change(tensor);
            }
        }
        Response::Answered(steps)
    }
}

#[test]
fn numbers_far_from_the_arbiters_come_back_as_well() {
    let odd = [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 5e-324, f64::MAX, -1e-200];
    let strange = |tensor: &Tensor| {
        let values = (0..tensor.len()).map(|index| odd[index % odd.len()]);
        Tensor::from_values(tensor.dtype(), tensor.shape(), values)
    };
    let answer = with(Observable::Output, strange);
    let recording = read(&recorded(&answer));
    for request in questions() {
        same(&recording.answer(&request, &exact(&request)).expect("it is recorded"), &answer(&request));
    }
}

#[test]
fn an_answer_of_another_form_than_the_arbiters_comes_back_as_well() {
    let flat = |tensor: &Tensor| Tensor::from_values(tensor.dtype(), &[tensor.len()], tensor.values());
    let answer = |request: &Request| {
        let Response::Answered(mut steps) = with(Observable::Output, flat)(request) else {
            panic!("an answer")
        };
        let last = steps.last_mut().expect("a new layer");
        last.error = Some(LayerError::new(ErrorClass::Other, "in words of its own:\n\u{1b}[31m \u{3b5}"));
        last.tensors.pop();
        Response::Answered(steps)
    };
    let recording = read(&recorded(answer));
    for request in questions() {
        same(&recording.answer(&request, &exact(&request)).expect("it is recorded"), &answer(&request));
    }
}

#[test]
fn no_answer_comes_back_as_none() {
    let crash = || Response::Broken { how: Outcome::Crash, message: "signal 11".into() };
    let late = || Response::Broken { how: Outcome::Timeout, message: "30 s".into() };
    let cannot = || Response::Unsupported { reason: "on leave".into() };
    for answer in [crash as fn() -> Response, late, cannot] {
        let recording = read(&recorded(|_| answer()));
        let request = &questions()[0];
        same(&recording.answer(request, &exact(request)).expect("it is recorded"), &answer());
    }
}

#[test]
fn a_case_that_was_not_recorded_has_no_answer() {
    let recording = read(&recorded(oracle));
    let request = Request { case: "mine/other".into(), ..questions()[0].clone() };
    assert_eq!(recording.answer(&request, &exact(&request)), Err(Unrecorded::NotRecorded));
}

#[test]
fn a_case_that_has_changed_by_a_bit_has_no_answer() {
    let recording = read(&recorded(oracle));
    let mut request = questions()[0].clone();
    request.layers[0].eps = request.layers[0].eps.next_up();
    assert_eq!(recording.answer(&request, &exact(&request)), Err(Unrecorded::OtherForm));
    let mut request = questions()[0].clone();
    for action in &mut request.actions {
        *action = action.map(&mut |tensor: &Tensor| {
            let bits = (0..tensor.len()).map(|index| tensor.bits(index) ^ 1);
            Tensor::from_bit_patterns(tensor.dtype(), tensor.shape(), bits)
        });
    }
    assert_eq!(recording.answer(&request, &exact(&request)), Err(Unrecorded::OtherForm));
}

#[test]
fn an_arbiter_that_has_changed_by_a_bit_is_noticed() {
    let recording = read(&recorded(oracle));
    let request = &questions()[0];
    let mut steps = exact(request);
    let (_, tensor) = &mut steps[1].tensors[0];
    let bits = (0..tensor.len()).map(|index| tensor.bits(index) ^ u64::from(index == 1));
    *tensor = Tensor::from_bit_patterns(tensor.dtype(), tensor.shape(), bits);
    assert_eq!(recording.answer(request, &steps), Err(Unrecorded::OtherForm));
    assert_eq!(recording.answer(request, &[]), Err(Unrecorded::OtherForm));
}

#[test]
fn it_says_with_what_it_was_made_and_of_what() {
    let recording = read(&recorded(oracle));
    let about = recording.provenance();
    assert_eq!((about.cases, about.questions.len()), (5, 64));
    assert_eq!(recording.about(), "bn-reference 1.2.3 in float64, recorded 2026-11-27");
    assert_eq!(Provenance { cases: 0, questions: String::new(), ..about.clone() }, provenance());
    // The same questions and answers make the same file.
    assert_eq!(recorded(oracle), recorded(oracle));
}

#[test]
fn a_file_that_is_damaged_anywhere_is_refused() {
    let file = recorded(oracle);
    for at in 0..file.len() {
        let mut damaged = file.clone();
        damaged[at] ^= 4;
        assert!(Recording::read(&damaged).is_err(), "byte {at}");
    }
    for length in 0..file.len() {
        assert!(Recording::read(&file[..length]).is_err(), "{length} bytes");
    }
    let longer = [&file[..], &[0]].concat();
    assert!(matches!(Recording::read(&longer), Err(RecordedError::Damaged(_))));
}

#[test]
fn another_form_and_another_file_are_told_apart() {
    let file = recorded(oracle);
    let text = |file: &[u8]| Recording::read(file).expect_err("it is refused").to_string();
    let first = format!("bncheck recorded oracle {FORM}\n");
    let rest = file.strip_prefix(first.as_bytes()).expect("it begins so");
    let other = [b"bncheck recorded oracle 77\n", rest].concat();
    assert_eq!(text(&other), format!("it is of form 77, and this bncheck reads form {FORM}"));
    let none = "it is no recording of an oracle, which begins with `bncheck recorded oracle 1`";
    for file in [&b""[..], b"{}\n", b"bncheck recorded oracle x\n", &vec![0; 1 << 20], &file[..20]] {
        assert_eq!(text(file), none);
    }
    assert!(text(&file[..file.len() - 1]).starts_with("it is damaged: "));
}

/// How the oracle's answer to the first question goes together with what `change` makes of it.
fn agreement(change: impl Fn(&mut Vec<StepAnswer>)) -> Agreement {
    let request = &questions()[2];
    let recorded = oracle(request);
    let mut steps = answered(recorded.clone());
    change(&mut steps);
    compare(request, &exact(request), &recorded, &Response::Answered(steps))
}

/// Adds to a number of the output of the first forward.
fn add(amount: f64) -> impl Fn(&mut Vec<StepAnswer>) {
    move |steps| {
        let (_, output) = &mut steps[1].tensors[0];
        let mut values = output.values();
        values[3] += amount;
        *output = Tensor::from_values(output.dtype(), output.shape(), values);
    }
}

#[test]
fn the_same_answer_agrees_to_the_bit_and_one_a_little_off_within_what_float64_allows() {
    assert_eq!(agreement(|_| ()), Agreement::ToTheBit);
    assert_eq!(agreement(add(1e-15)), Agreement::Within);
}

#[test]
fn an_answer_further_off_or_with_another_error_does_not_agree() {
    let apart = |change: &dyn Fn(&mut Vec<StepAnswer>)| match agreement(change) {
        Agreement::Apart(why) => why,
        other => panic!("{other:?}"),
    };
    let far = apart(&add(1e-9));
    assert!(far.contains("step 1, forward: output[0, 0, 3] is ") && far.contains("libtorch"), "{far}");
    let error = |message: &'static str| {
        apart(&|steps| steps[2].error = Some(LayerError::new(ErrorClass::NoGraph, message)))
    };
    assert_eq!(error("no graph"), "step 2: no error was recorded, now it is no graph (no_graph)");
    let fewer = apart(&|steps| drop(steps.pop()));
    assert!(fewer.ends_with("no error was recorded, now it is no answer"), "{fewer}");
}
