//! Budgets and comparison: whatever the numbers are, the judge comes to a verdict, the exact answer passes, and what is
//! no number does not pass for one.

use bn_api::{
    Action, BackendInfo, DType, InProcess, Input, LayerConfig, LayerKind, Layout, Observable, Request, Slot,
    StepAnswer, Tensor, TensorName,
};
use bn_harness::budget::TensorBudget;
use bn_harness::judge::{compare, judge};
use bn_harness::oracle::Expected;
use bn_harness::results::Verdict;
use bn_reference::Arbiter;

use super::bytes::Bytes;

const FLOATS: [DType; 4] = [DType::F16, DType::Bf16, DType::F32, DType::F64];

/// Compares numbers with budgets.
///
/// # Panics
/// When that goes wrong.
pub fn budgets(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    if bytes.below(2) == 0 {
        numbers(&mut bytes);
    } else {
        layer(&mut bytes);
    }
}

/// Any tensors and any budgets.
fn numbers(bytes: &mut Bytes<'_>) {
    let dtype = bytes.of(&FLOATS);
    let count = bytes.below(5);
    let exact: Vec<f64> = (0..count).map(|_| bytes.number()).collect();
    let budget: Vec<f64> = (0..count).map(|_| bytes.number().abs()).collect();
    let exact = Tensor::from_values(DType::F64, &[count], exact);
    let budget = TensorBudget::new(TensorName::from(Observable::Output), dtype, budget);
    let got = bytes.tensor(dtype, &[count]);
    check(&exact, &got, &budget);
    let name = TensorName::from(Observable::Output);
    let other = bytes.of(&FLOATS);
    let length = bytes.below(5);
    let (more, less) = (bytes.tensor(other, &[count]), bytes.tensor(dtype, &[length]));
    for (exact, got) in [(&exact, &more), (&exact, &less), (&more, &got), (&less, &got)] {
        let _ = compare(&name, exact, got, Some(&budget));
    }
}

/// A small layer on any data, and any answer to it.
fn layer(bytes: &mut Bytes<'_>) {
    let request = request(bytes);
    let expected = Expected::of_arbiter(&mut InProcess::new(Arbiter), &request).expect("the arbiter answers");
    let budget = expected.budget();
    let names = vec!["step"; expected.steps.len()];
    let rounded: Vec<StepAnswer> = expected
        .steps
        .iter()
        .enumerate()
        .map(|(step, exact)| {
            let round = |(name, tensor): &(TensorName, Tensor)| {
                let dtype = budget.of(step, name).map_or(tensor.dtype(), |budget| budget.dtype);
                (name.clone(), tensor.cast(dtype))
            };
            StepAnswer { tensors: exact.tensors.iter().map(round).collect(), ..exact.clone() }
        })
        .collect();
    let info = BackendInfo {
        name: "fuzzed".to_owned(),
        version: "1".to_owned(),
        about: String::new(),
        unobservable: Vec::new(),
    };
    for step in judge(&expected, budget, &rounded, &info, &names) {
        for tensor in step.tensors {
            let verdict = tensor.verdict;
            assert_eq!(verdict, Verdict::Pass, "the exact {tensor:?}\nof step {}: {request:?}", step.step);
        }
    }
    let mut answers = rounded;
    for (step, answer) in answers.iter_mut().enumerate() {
        for (name, tensor) in &mut answer.tensors {
            let budget = budget.of(step, name).expect("every tensor has a budget");
            if tensor.dtype() == DType::I64 {
                continue;
            }
            let got = bytes.tensor(tensor.dtype(), tensor.shape());
            let exact = expected.steps[step].tensor(name).expect("it is there");
            check(exact, &got, budget);
            *tensor = got;
        }
        if bytes.below(8) == 7 {
            answer.tensors.pop();
        }
    }
    let _ = judge(&expected, budget, &answers, &info, &names);
}

/// What holds of any two tensors.
fn check(exact: &Tensor, got: &Tensor, budget: &TensorBudget) {
    let name = TensorName::from(Observable::Output);
    let passes = |exact: &Tensor, got: &Tensor, budget: &TensorBudget| {
        compare(&name, exact, got, Some(budget)).verdict == Verdict::Pass
    };
    let whole = passes(exact, got, budget);
    let dtype = budget.dtype;
    let mut each = true;
    for index in 0..exact.len() {
        let (due, value, allowed) = (exact.value(index), got.value(index), budget.elements[index]);
        let alone = |value: f64| {
            passes(
                &Tensor::from_values(DType::F64, &[1], [due]),
                &Tensor::from_values(dtype, &[1], [value]),
                &TensorBudget::new(name.clone(), dtype, vec![allowed]),
            )
        };
        let passed = alone(value);
        each &= passed;
        if !(due.is_finite() && allowed.is_finite()) {
            continue;
        }
        let what = || format!("{value:?} of {dtype} for {due:?} ± {allowed:?}");
        assert!(!(passed && value.is_nan()), "no NaN passes: {}", what());
        if passed && value.is_infinite() {
            let reached = dtype.round(due + allowed.copysign(value));
            assert!(reached == value, "no infinity passes that is not within the budget: {}", what());
        }
        if !value.is_finite() {
            continue;
        }
        let nearer = dtype.round(due + (value - due) / 2.0);
        if passed && nearer.is_finite() && (nearer - due).abs() <= (value - due).abs() {
            assert!(alone(nearer), "what is nearer passes as well, {nearer:?}: {}", what());
        }
        let right = dtype.round(due);
        if (right - due).abs() <= allowed {
            assert!(alone(right), "the exact number passes: {}", what());
        }
    }
    assert_eq!(whole, each, "a tensor passes where each of its elements does");
}

/// A layer and its steps.
fn request(bytes: &mut Bytes<'_>) -> Request {
    let dtype = bytes.of(&FLOATS);
    let features = 1 + bytes.below(2);
    let shape = match bytes.below(3) {
        0 => vec![1 + bytes.below(4), features],
        1 => vec![1 + bytes.below(2), features, bytes.below(4)],
        _ => vec![bytes.below(3), features, 1 + bytes.below(2), 2],
    };
    let kind = LayerKind::for_rank(shape.len()).expect("a rank that a layer takes");
    let mut layer = LayerConfig::new(kind, features, dtype);
    layer.eps = bytes.of(&[1e-5, 0.0, 1e-12, 1.0, -1.0, 1e30, 1e300]);
    layer.momentum = bytes.of(&[Some(0.1), None, Some(1.0), Some(0.0), Some(-1.0), Some(1e30)]);
    layer.affine = bytes.below(4) > 0;
    layer.track_running_stats = bytes.below(4) > 0;
    for slot in Slot::ALL {
        if layer.has(slot) && bytes.below(2) == 1 {
            let tensor = Some(bytes.tensor(dtype, &[features]));
            match slot {
                Slot::Weight => layer.weight = tensor,
                Slot::Bias => layer.bias = tensor,
                Slot::RunningMean => layer.running_mean = tensor,
                Slot::RunningVar => layer.running_var = tensor,
            }
        }
    }
    let at = String::new;
    let mode = |trains: bool| if trains { Action::Train { at: at() } } else { Action::Eval { at: at() } };
    let mut actions = vec![mode(bytes.below(2) == 0)];
    for _ in 0..=bytes.below(2) {
        let tensor = bytes.tensor(dtype, &shape);
        let input = Input { tensor, dtype, layout: Layout::Contiguous, requires_grad: true };
        actions.push(Action::Forward { at: at(), input, no_grad: false });
        actions.push(Action::Backward { grad: bytes.tensor(dtype, &shape), layout: Layout::Contiguous });
        match bytes.below(4) {
            1 => actions.push(Action::Sgd { at: at(), lr: bytes.of(&[0.1, 1.0, 0.0, 1e30]) }),
            2 => actions.push(mode(false)),
            _ => {}
        }
    }
    Request { case: "fuzzed".to_owned(), layers: vec![layer], actions }
}
