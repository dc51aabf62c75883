//! Two answers to the same request, bit for bit.

use bn_api::{DType, LayerError, Request, Response, StepAnswer, Tensor};
use bn_harness::results::Number;
use bn_reports::gpu_check::{Difference, LISTED};

/// What a comparison of two answers found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// Whether there were two answers to compare.
    pub both_answered: bool,
    /// Tensors compared.
    pub tensors: usize,
    /// Elements compared.
    pub elements: u64,
    /// Where they differ, [`LISTED`] at most.
    pub differences: Vec<Difference>,
    /// How many more there are.
    pub not_listed: usize,
}

impl Found {
    fn push(&mut self, difference: impl FnOnce() -> Difference) {
        if self.differences.len() < LISTED {
            self.differences.push(difference());
        } else {
            self.not_listed += 1;
        }
    }
}

/// Compares two answers. Where neither is one, for the same kind of reason, there is nothing to compare: the verdicts say
/// what it was.
pub fn compare(request: &Request, labels: [&str; 2], responses: [&Response; 2]) -> Found {
    let mut found = Found::default();
    let whole = Place { case: &request.case, step: 0, action: "new layer" };
    match responses {
        [Response::Answered(one), Response::Answered(other)] if one.len() == other.len() => {
            found.both_answered = true;
            for (step, answers) in one.iter().zip(other).enumerate() {
                let action = step.checked_sub(1).map_or("new layer", |index| request.actions[index].name());
                let place = Place { case: &request.case, step, action };
                steps(&mut found, &place, labels, [answers.0, answers.1]);
            }
        }
        [Response::Unsupported { .. }, Response::Unsupported { .. }]
        | [Response::Broken { .. }, Response::Broken { .. }] => {}
        [one, other] => {
            let [one, other] = [outcome(one), outcome(other)];
            found.push(|| whole.noted(None, format!("{}: {one}; {}: {other}", labels[0], labels[1])));
        }
    }
    found
}

fn outcome(response: &Response) -> String {
    match response {
        Response::Answered(steps) => format!("answers to {} steps", steps.len()),
        Response::Unsupported { reason } => format!("unsupported, {reason}"),
        Response::Broken { message, .. } => format!("no answer, {message}"),
    }
}

/// Where in a case.
struct Place<'a> {
    case: &'a str,
    step: usize,
    action: &'a str,
}

impl Place<'_> {
    fn noted(&self, tensor: Option<String>, note: String) -> Difference {
        let Place { case, step, action } = *self;
        Difference {
            case: case.to_owned(),
            step,
            action: action.to_owned(),
            tensor,
            index: Vec::new(),
            values: None,
            note: Some(note),
        }
    }
}

fn steps(found: &mut Found, place: &Place<'_>, labels: [&str; 2], [one, other]: [&StepAnswer; 2]) {
    if one.error != other.error {
        let said = |error: &Option<LayerError>| {
            error.as_ref().map_or_else(|| "no error".to_owned(), |error| format!("the error {error}"))
        };
        let note = format!("{} raises {}, {} {}", labels[0], said(&one.error), labels[1], said(&other.error));
        found.push(|| place.noted(None, note));
    }
    for (name, tensor) in &one.tensors {
        if let Some(beside) = other.tensor(name) {
            tensors(found, place, &name.to_string(), [tensor, beside]);
        } else {
            let note = format!("{} has it, {} has not", labels[0], labels[1]);
            found.push(|| place.noted(Some(name.to_string()), note));
        }
    }
    for (name, _) in other.tensors.iter().filter(|(name, _)| one.tensor(name).is_none()) {
        let note = format!("{} has it, {} has not", labels[1], labels[0]);
        found.push(|| place.noted(Some(name.to_string()), note));
    }
}

fn tensors(found: &mut Found, place: &Place<'_>, name: &str, [one, other]: [&Tensor; 2]) {
    found.tensors += 1;
    if (one.dtype(), one.shape()) != (other.dtype(), other.shape()) {
        let said = |tensor: &Tensor| format!("{} of shape {:?}", tensor.dtype(), tensor.shape());
        let note = format!("{} beside {}", said(one), said(other));
        return found.push(|| place.noted(Some(name.to_owned()), note));
    }
    found.elements += one.len() as u64;
    if one.bytes() == other.bytes() {
        return;
    }
    let dtype = one.dtype();
    for index in (0..one.len()).filter(|&index| !same(dtype, one.bits(index), other.bits(index))) {
        found.push(|| Difference {
            index: one.position(index),
            values: Some([one, other].map(|tensor| Number::of_bits(dtype, tensor.bits(index)))),
            note: None,
            ..place.noted(Some(name.to_owned()), String::new())
        });
    }
}

/// Whether two bit patterns are the same, or both those of a NaN.
fn same(dtype: DType, one: u64, other: u64) -> bool {
    one == other || (dtype.is_float() && dtype.value_of(one).is_nan() && dtype.value_of(other).is_nan())
}

#[cfg(test)]
mod tests {
    use bn_api::{ErrorClass, InProcess, Observable, Outcome, Responder};
    use bn_reference::Reference;

    use super::*;

    const LABELS: [&str; 2] = ["cuda", "cuda-ptx"];

    /// A request with a forward, and an answer to it.
    fn example() -> (Request, Vec<StepAnswer>) {
        let text =
            "{suite: s, cases: [{name: c, dtype: f32, input: {shape: [2, 3, 4]}, steps: [train, forward]}]}";
        let suite = bn_cases::load_str("suite.yaml", text).expect("a suite");
        let request = Request::from_case(&suite.cases[0]);
        match InProcess::new(Reference).respond(&request) {
            Response::Answered(steps) => (request, steps),
            other => panic!("{other:?}"),
        }
    }

    /// The number of the first step with an output, and its output.
    fn output(steps: &[StepAnswer]) -> (usize, usize) {
        let place =
            |step: &StepAnswer| step.tensors.iter().position(|(name, _)| name.tensor == Observable::Output);
        steps.iter().enumerate().find_map(|(step, answer)| Some((step, place(answer)?))).expect("an output")
    }

    /// The answer with an element of its output replaced by this pattern.
    fn with_bits(steps: &[StepAnswer], index: usize, bits: u64) -> Vec<StepAnswer> {
        let (step, place) = output(steps);
        let mut steps = steps.to_vec();
        let tensor = &mut steps[step].tensors[place].1;
        let patterns: Vec<u64> =
            (0..tensor.len()).map(|at| if at == index { bits } else { tensor.bits(at) }).collect();
        *tensor = Tensor::from_bit_patterns(tensor.dtype(), tensor.shape(), patterns);
        steps
    }

    fn found(request: &Request, one: Vec<StepAnswer>, other: Vec<StepAnswer>) -> Found {
        compare(request, LABELS, [&Response::Answered(one), &Response::Answered(other)])
    }

    #[test]
    fn equal_answers_are_counted_and_do_not_differ() {
        let (request, steps) = example();
        let found = found(&request, steps.clone(), steps.clone());
        assert!(found.both_answered);
        assert_eq!(found.tensors, steps.iter().map(|step| step.tensors.len()).sum::<usize>());
        let elements = steps.iter().flat_map(|step| &step.tensors).map(|(_, tensor)| tensor.len() as u64);
        assert_eq!(found.elements, elements.sum::<u64>());
        assert_eq!(found.differences, []);
    }

    #[test]
    fn one_bit_is_a_difference_with_its_place_and_both_values() {
        let (request, steps) = example();
        let (step, place) = output(&steps);
        let tensor = steps[step].tensors[place].1.clone();
        let other = with_bits(&steps, 3, tensor.bits(3) ^ 1);
        let found = found(&request, steps, other);
        let [difference] = &found.differences[..] else { panic!("{found:?}") };
        assert_eq!((difference.step, difference.action.as_str()), (step, "forward"));
        assert_eq!(difference.tensor.as_deref(), Some("output"));
        assert_eq!(difference.index, tensor.position(3));
        let bits = [tensor.bits(3), tensor.bits(3) ^ 1].map(|bits| Number::of_bits(DType::F32, bits));
        assert_eq!(difference.values.as_ref(), Some(&bits));
        assert_eq!((difference.note.as_ref(), found.not_listed), (None, 0));
    }

    #[test]
    fn zeros_of_either_sign_differ_and_nans_of_any_payload_do_not() {
        let (request, steps) = example();
        let of = |bits| with_bits(&steps, 0, bits);
        assert_eq!(found(&request, of(0), of(0x8000_0000)).differences.len(), 1);
        let nans = [0x7FC0_0000, 0xFFC0_0000, 0x7F80_0001, 0x7FFF_FFFF];
        for one in nans {
            for other in nans {
                assert_eq!(found(&request, of(one), of(other)).differences, []);
            }
            assert_eq!(found(&request, of(one), of(0x7F80_0000)).differences.len(), 1);
        }
    }

    #[test]
    fn errors_and_missing_tensors_are_differences() {
        let (request, steps) = example();
        let (step, place) = output(&steps);
        let mut without = steps.clone();
        without[step].tensors.remove(place);
        without[step].error = Some(LayerError::new(ErrorClass::NoGraph, "no"));
        let notes = |found: Found| -> Vec<String> {
            found.differences.into_iter().filter_map(|difference| difference.note).collect()
        };
        let expected =
            ["cuda raises no error, cuda-ptx the error no (no_graph)", "cuda has it, cuda-ptx has not"];
        assert_eq!(notes(found(&request, steps.clone(), without.clone())), expected);
        assert_eq!(notes(found(&request, without, steps)).len(), 2);
    }

    #[test]
    fn an_answer_beside_none_is_a_difference_and_two_that_are_none_are_not() {
        let (request, steps) = example();
        let broken = |message: &str| Response::Broken { how: Outcome::Error, message: message.to_owned() };
        let unsupported = Response::Unsupported { reason: "too large".to_owned() };
        let notes = |one: &Response, other: &Response| {
            let found = compare(&request, LABELS, [one, other]);
            assert!(!found.both_answered);
            found.differences.first().and_then(|difference| difference.note.clone())
        };
        let answered = Response::Answered(steps);
        let note = notes(&broken("a fault"), &answered).expect("a difference");
        assert!(note.starts_with("cuda: no answer, a fault; cuda-ptx: answers to "), "{note}");
        assert!(notes(&answered, &unsupported).is_some() && notes(&broken("a"), &unsupported).is_some());
        assert_eq!(notes(&broken("a"), &broken("b")), None);
        assert_eq!(notes(&unsupported, &unsupported), None);
    }
}
