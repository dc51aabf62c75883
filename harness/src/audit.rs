//! Is the oracle right? Compares bncheck's semantics with what PyTorch's own modules answered.
//!
//! A recording is made by `harness/audit/record.py` from the cases that `bncheck export` prints: JSON lines, the first
//! of which says with what it was made.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;

use bn_api::{Action, DType, ErrorClass, Request, Responder, Response, StepAnswer, Tensor, TensorName};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::budget::{Accuracy, CaseBudget};

/// How far apart two answers of the same kernels may be, in units in the last place: the module above them may add a
/// rounding of its own (gradient descent in another type).
const ULPS: u64 = 2;

/// The form of recordings that is read: the number that `record.py` writes.
const RECORDING: u32 = 2;

/// With what a recording was made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Provenance {
    /// The version of the recording's form.
    pub recording: u32,
    /// The version of PyTorch.
    pub torch: String,
    /// The version of Python.
    pub python: String,
    /// The instruction set.
    pub machine: String,
    /// What libtorch's kernels were dispatched to.
    pub capability: String,
    /// The day it was made.
    pub made: String,
    /// How to make it again.
    pub command: String,
}

/// What PyTorch answered to one case.
#[derive(Debug, Clone, Deserialize)]
pub struct RecordedCase {
    /// The case's id.
    pub case: String,
    /// The answers with every tensor in float64; nothing where the case is about types.
    pub float64: Option<Vec<RecordedStep>>,
    /// The answers in the case's own dtypes.
    pub own: Vec<RecordedStep>,
}

/// What PyTorch answered to one step.
#[derive(Debug, Clone, Deserialize)]
pub struct RecordedStep {
    /// The error it raised.
    pub error: Option<RecordedError>,
    /// The step's own tensors and the state after it.
    pub tensors: BTreeMap<TensorName, RecordedTensor>,
}

/// An error that PyTorch raised.
#[derive(Debug, Clone, Deserialize)]
pub struct RecordedError {
    /// Its class.
    pub class: ErrorClass,
    /// Its first line.
    pub message: String,
}

/// A tensor as bits, in exports and recordings: the hexadecimal text of its little-endian bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordedTensor {
    dtype: DType,
    shape: Vec<usize>,
    hex: String,
}

/// A recording that cannot be read.
#[derive(Debug, Error)]
pub enum RecordingError {
    /// The file ends or fails early.
    #[error("cannot read the recording: {0}")]
    Io(#[from] std::io::Error),
    /// A line is not what it should be.
    #[error("line {line} of the recording is wrong: {why}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// Why.
        why: serde_json::Error,
    },
    /// It is of another form.
    #[error(
        "the recording is of form {0}, this bncheck reads form {RECORDING}: record anew with `just record-oracle`"
    )]
    Version(u32),
    /// There is no line.
    #[error("the recording is empty")]
    Empty,
}

impl From<&Tensor> for RecordedTensor {
    fn from(tensor: &Tensor) -> Self {
        let digit = |value: u8| char::from_digit(u32::from(value), 16).expect("four bits");
        let hex = tensor.bytes().iter().flat_map(|byte| [byte >> 4, byte & 15]).map(digit).collect();
        RecordedTensor { dtype: tensor.dtype(), shape: tensor.shape().to_vec(), hex }
    }
}

impl RecordedTensor {
    fn tensor(&self) -> Option<Tensor> {
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
        let bytes: Option<Vec<u8>> = self
            .hex
            .as_bytes()
            .chunks(2)
            .map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?))
            .collect();
        Tensor::from_bytes(self.dtype, self.shape.clone(), bytes?)
    }
}

/// Reads a recording.
///
/// # Errors
/// When a line is not part of a recording.
pub fn read(lines: impl BufRead) -> Result<(Provenance, Vec<RecordedCase>), RecordingError> {
    let mut lines = lines.lines().enumerate();
    let (_, first) = lines.next().ok_or(RecordingError::Empty)?;
    let provenance: Provenance = parse(0, &first?)?;
    if provenance.recording != RECORDING {
        return Err(RecordingError::Version(provenance.recording));
    }
    let cases = lines.map(|(number, line)| parse(number, &line?)).collect::<Result<_, _>>()?;
    Ok((provenance, cases))
}

fn parse<T: DeserializeOwned>(number: usize, line: &str) -> Result<T, RecordingError> {
    serde_json::from_str(line).map_err(|why| RecordingError::Line { line: number + 1, why })
}

/// What comes of comparing one case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Where bncheck and PyTorch disagree, a sentence each.
    pub disagreements: Vec<String>,
    /// Why some steps were not compared.
    pub exempt: Option<&'static str>,
}

/// `torch.optim.SGD` in f16 and bf16 rounds the learning rate to that type and, for the elements that do not fill a
/// vector register, the product as well. The optimizer is not what is compared.
const HALF_SGD: &str =
    "after gradient descent in a half type: where PyTorch rounds depends on the vector's length";

/// Whether libtorch uses the same kernels here as where the recording was made. Those for AVX2 and AVX-512 give the
/// same bits; without either, or on another processor, sums run in another order.
pub fn same_kernels(provenance: &Provenance) -> bool {
    let plain = std::env::var("ATEN_CPU_CAPABILITY").is_ok_and(|wanted| wanted == "default");
    #[cfg(target_arch = "x86_64")]
    let vectors = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    let vectors = false;
    vectors && !plain && provenance.machine == "x86_64" && provenance.capability.starts_with("AVX")
}

/// Compares one case with what was recorded. `libtorch` is asked in float64 and in the case's own dtypes. Where it
/// does not use the [`same_kernels`], two sound answers may be as far apart as the budget allows each of them.
pub fn compare(
    request: &Request,
    recorded: &RecordedCase,
    libtorch: &mut dyn Responder,
    same_kernels: bool,
) -> Comparison {
    // What a case casts to a half type may be any of its parameters.
    let casts =
        request.actions.iter().any(|action| matches!(action, Action::Cast { to, .. } if to.is_half()));
    let half = casts || request.layers.iter().any(|layer| layer.dtype.is_half());
    let affine = request.layers.iter().any(|layer| layer.affine);
    let sgd = request.actions.iter().position(|action| matches!(action, Action::Sgd { .. }));
    let exempt_from = sgd.filter(|_| half && affine);
    // The answer to action i is the one with number i + 1.
    let compared = exempt_from.map_or(recorded.own.len(), |action| action + 1);
    let double = request.widened();
    let asked = libtorch.respond(&double);
    let budget = |request: &Request, accuracy| match &asked {
        Response::Answered(exact) if !same_kernels => Some(CaseBudget::derive(request, exact, accuracy)),
        _ => None,
    };
    let accuracy = if half { Accuracy::StatisticsRoundedToStorage } else { Accuracy::Folded };
    let (wide, own) = (budget(&double, Accuracy::Folded), budget(request, accuracy));
    let said = |what| format!("{}, {what}", request.case);
    let mut disagreements = match &recorded.float64 {
        Some(recorded) => disagreements(&said("float64"), &asked, recorded, wide.as_ref()),
        None => Vec::new(),
    };
    let answer = libtorch.respond(request);
    disagreements.extend(self::disagreements(
        &said("own dtype"),
        &answer,
        &recorded.own[..compared],
        own.as_ref(),
    ));
    Comparison { disagreements, exempt: exempt_from.map(|_| HALF_SGD) }
}

fn disagreements(
    what: &str,
    response: &Response,
    recorded: &[RecordedStep],
    budget: Option<&CaseBudget>,
) -> Vec<String> {
    match response {
        Response::Answered(answers) if answers.len() >= recorded.len() => {
            let steps = answers.iter().zip(recorded).enumerate();
            steps
                .flat_map(|(step, (ours, theirs))| {
                    let allowed = |name: &TensorName| {
                        let of_step = budget.and_then(|budget| budget.of(step, name));
                        of_step.map(|budget| budget.elements.as_slice()).unwrap_or_default()
                    };
                    step_disagreements(ours, theirs, &allowed)
                        .into_iter()
                        .map(move |difference| format!("{what}, step {step}: {difference}"))
                })
                .collect()
        }
        Response::Answered(answers) => {
            vec![format!("{what}: {} answers, {} recorded", answers.len(), recorded.len())]
        }
        Response::Unsupported { reason } => vec![format!("{what}: unsupported: {reason}")],
        Response::Broken { message, .. } => vec![format!("{what}: {message}")],
    }
}

fn step_disagreements<'b>(
    ours: &StepAnswer,
    theirs: &RecordedStep,
    allowed: &dyn Fn(&TensorName) -> &'b [f64],
) -> Vec<String> {
    let error = match (&ours.error, &theirs.error) {
        (None, None) => None,
        (Some(ours), Some(theirs)) if ours.class == theirs.class => None,
        (ours, theirs) => {
            let said = |class: Option<ErrorClass>| {
                class.map_or("no error".to_owned(), |class| format!("the error {class}"))
            };
            let (ours, words) = (said(ours.as_ref().map(|error| error.class)), theirs.as_ref());
            let message = words.map(|error| format!(" ({})", error.message)).unwrap_or_default();
            Some(format!("bncheck has {ours}, PyTorch {}{message}", said(words.map(|error| error.class))))
        }
    };
    let names: BTreeSet<&TensorName> =
        ours.tensors.iter().map(|(name, _)| name).chain(theirs.tensors.keys()).collect();
    let tensors = names.into_iter().filter_map(|name| {
        let (ours, theirs) = (ours.tensor(name), theirs.tensors.get(name).map(RecordedTensor::tensor));
        match (ours, theirs) {
            (None, None) => None,
            (Some(_), None) => Some(format!("PyTorch has no {name}")),
            (None, Some(_)) => Some(format!("bncheck has no {name}")),
            (Some(_), Some(None)) => Some(format!("the recorded {name} cannot be read")),
            (Some(ours), Some(Some(theirs))) => tensor_disagreement(name, ours, &theirs, allowed(name)),
        }
    });
    error.into_iter().chain(tensors).collect()
}

/// `allowed` has a budget for each element, or nothing where the bits should agree.
fn tensor_disagreement(name: &TensorName, ours: &Tensor, theirs: &Tensor, allowed: &[f64]) -> Option<String> {
    if (ours.dtype(), ours.shape()) != (theirs.dtype(), theirs.shape()) {
        let form = |tensor: &Tensor| format!("{} {:?}", tensor.dtype(), tensor.shape());
        return Some(format!("{name} is {} here, {} in PyTorch", form(ours), form(theirs)));
    }
    let dtype = ours.dtype();
    let apart = |index: usize| {
        let (a, b) = (ours.bits(index), theirs.bits(index));
        let both_nan = dtype.value_of(a).is_nan() && dtype.value_of(b).is_nan();
        let difference = (ours.value(index) - theirs.value(index)).abs();
        let within =
            allowed.get(index).is_some_and(|budget| difference <= 2.0 * budget || budget.is_infinite());
        if both_nan || within { 0 } else { dtype.ulps_between(a, b).unwrap_or(u64::MAX) }
    };
    let (worst, ulps) = (0..ours.len()).map(|index| (index, apart(index))).max_by_key(|&(_, ulps)| ulps)?;
    (ulps > ULPS).then(|| {
        let position = ours.position(worst);
        format!(
            "{name}{position:?} is {:?} here, {:?} in PyTorch, {ulps} ulp apart",
            ours.value(worst),
            theirs.value(worst)
        )
    })
}
