//! An answer as differences from the arbiter's.

use bn_api::{DType, ErrorClass, LayerError, Outcome, Response, StepAnswer, Tensor, TensorName};
use serde::Serialize;
use serde::de::{DeserializeOwned, IntoDeserializer, value::Error, value::StrDeserializer};

use super::bytes::{Reader, Writer};
use super::predict::{Lines, at_distance, distance};

/// The kinds of answer.
mod kind {
    pub const ANSWERED: u64 = 0;
    pub const UNSUPPORTED: u64 = 1;
    pub const BROKEN: u64 = 2;
}

/// How a tensor is kept.
mod method {
    /// It is that of the step before, bit for bit.
    pub const SAME: u64 = 0;
    /// The distance of each element from the arbiter's; where that has none of the same form, from zero.
    pub const NEAR: u64 = 1;
    /// The distance of each element from where the line of the errors before expects it.
    pub const LINE: u64 = 2;
}

/// Writes an answer. The arbiter's is `exact`.
pub fn write(response: &Response, exact: &[StepAnswer]) -> Writer {
    let mut out = Writer::default();
    match response {
        Response::Answered(steps) => {
            out.number(kind::ANSWERED);
            out.number(steps.len() as u64);
            let mut before = None;
            for (number, step) in steps.iter().enumerate() {
                write_step(step, before, exact.get(number), &mut out);
                before = Some(step);
            }
        }
        Response::Unsupported { reason } => {
            out.number(kind::UNSUPPORTED);
            out.text(reason);
        }
        Response::Broken { how, message } => {
            out.number(kind::BROKEN);
            out.text(&word_of(how));
            out.text(message);
        }
    }
    out
}

/// Reads it again; `None` where the bytes, or the arbiter's answer, are not those that it was written with.
pub fn read(from: &mut Reader<'_>, exact: &[StepAnswer]) -> Option<Response> {
    match from.number()? {
        kind::ANSWERED => {
            let count = from.count()?;
            let mut steps: Vec<StepAnswer> = Vec::with_capacity(count);
            for number in 0..count {
                let step = read_step(from, steps.last(), exact.get(number))?;
                steps.push(step);
            }
            Some(Response::Answered(steps))
        }
        kind::UNSUPPORTED => Some(Response::Unsupported { reason: from.text()?.to_owned() }),
        kind::BROKEN => {
            let how: Outcome = of_word(from.text()?)?;
            Some(Response::Broken { how, message: from.text()?.to_owned() })
        }
        _ => None,
    }
}

fn write_step(step: &StepAnswer, before: Option<&StepAnswer>, exact: Option<&StepAnswer>, out: &mut Writer) {
    out.number(u64::from(step.error.is_some()));
    if let Some(error) = &step.error {
        out.text(error.class.name());
        out.text(&error.message);
    }
    let forms = |step: &StepAnswer| -> Vec<Form> { step.tensors.iter().map(Form::of).collect() };
    let as_exact = exact.is_some_and(|exact| forms(exact) == forms(step));
    out.number(u64::from(as_exact));
    if !as_exact {
        out.number(step.tensors.len() as u64);
        for form in forms(step) {
            form.write(out);
        }
    }
    for (name, tensor) in &step.tensors {
        write_tensor(tensor, of_form(before, name, tensor), of_form(exact, name, tensor), out);
    }
}

fn read_step(
    from: &mut Reader<'_>,
    before: Option<&StepAnswer>,
    exact: Option<&StepAnswer>,
) -> Option<StepAnswer> {
    let error = if from.number()? == 0 {
        None
    } else {
        let class: ErrorClass = of_word(from.text()?)?;
        Some(LayerError::new(class, from.text()?))
    };
    let forms: Vec<Form> = match from.number()? {
        0 => {
            let count = from.count()?;
            (0..count).map(|_| Form::read(from)).collect::<Option<_>>()?
        }
        _ => exact?.tensors.iter().map(Form::of).collect(),
    };
    let mut tensors = Vec::with_capacity(forms.len());
    for form in forms {
        let find = |step: Option<&'_ StepAnswer>| step.and_then(|step| step.tensor(&form.name).cloned());
        let same = |tensor: &Tensor| tensor.dtype() == form.dtype && tensor.shape() == form.shape;
        let (before, exact) = (find(before).filter(same), find(exact).filter(same));
        let tensor = read_tensor(&form, before.as_ref(), exact.as_ref(), from)?;
        tensors.push((form.name, tensor));
    }
    Some(StepAnswer { error, tensors })
}

/// A step's tensor of this name and form.
fn of_form<'s>(step: Option<&'s StepAnswer>, name: &TensorName, tensor: &Tensor) -> Option<&'s Tensor> {
    let found = step.and_then(|step| step.tensor(name));
    found.filter(|found| found.dtype() == tensor.dtype() && found.shape() == tensor.shape())
}

fn write_tensor(tensor: &Tensor, before: Option<&Tensor>, exact: Option<&Tensor>, out: &mut Writer) {
    if before == Some(tensor) {
        out.number(method::SAME);
        return;
    }
    let near: Vec<u64> = (0..tensor.len())
        .map(|index| distance(exact.map_or(0, |exact| exact.bits(index)), tensor.bits(index)))
        .collect();
    let line = exact.filter(|_| tensor.dtype() == DType::F64).map(|exact| along_line(tensor, exact));
    let (method, distances) = match line {
        Some(line) if bits(&line) < bits(&near) => (method::LINE, line),
        _ => (method::NEAR, near),
    };
    out.number(method);
    for distance in distances {
        out.number(distance);
    }
}

fn along_line(tensor: &Tensor, exact: &Tensor) -> Vec<u64> {
    let mut lines = Lines::about(exact);
    let apart = |index| {
        let apart = distance(lines.expected(index), tensor.bits(index));
        lines.learn(index, tensor.value(index));
        apart
    };
    (0..tensor.len()).map(apart).collect()
}

/// About how many bits these numbers take.
fn bits(distances: &[u64]) -> u64 {
    distances.iter().map(|distance| 2 + u64::from(64 - distance.leading_zeros())).sum()
}

fn read_tensor(
    form: &Form,
    before: Option<&Tensor>,
    exact: Option<&Tensor>,
    from: &mut Reader<'_>,
) -> Option<Tensor> {
    let method = from.number()?;
    if method == method::SAME {
        return before.cloned();
    }
    let count = form.shape.iter().try_fold(1_usize, |count, &size| count.checked_mul(size))?;
    if count > from.left() {
        return None;
    }
    let mut bytes = Vec::with_capacity(count * form.dtype.size());
    let mut push = |bits: u64| bytes.extend_from_slice(&bits.to_le_bytes()[..form.dtype.size()]);
    match method {
        method::NEAR => {
            for index in 0..count {
                push(at_distance(exact.map_or(0, |exact| exact.bits(index)), from.number()?));
            }
        }
        method::LINE if form.dtype == DType::F64 => {
            let mut lines = Lines::about(exact?);
            for index in 0..count {
                let bits = at_distance(lines.expected(index), from.number()?);
                lines.learn(index, f64::from_bits(bits));
                push(bits);
            }
        }
        _ => return None,
    }
    Tensor::from_bytes(form.dtype, form.shape.clone(), bytes)
}

/// What is known of a tensor before its elements.
#[derive(PartialEq)]
struct Form {
    name: TensorName,
    dtype: DType,
    shape: Vec<usize>,
}

impl Form {
    fn of((name, tensor): &(TensorName, Tensor)) -> Self {
        Form { name: name.clone(), dtype: tensor.dtype(), shape: tensor.shape().to_vec() }
    }

    fn write(&self, out: &mut Writer) {
        out.text(&self.name.to_string());
        out.text(self.dtype.name());
        out.number(self.shape.len() as u64);
        for &size in &self.shape {
            out.number(size as u64);
        }
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let name = of_word(from.text()?)?;
        let dtype = of_word(from.text()?)?;
        let rank = from.count()?;
        let shape = (0..rank).map(|_| usize::try_from(from.number()?).ok()).collect::<Option<_>>()?;
        Some(Form { name, dtype, shape })
    }
}

/// The word that serde has for a variant.
fn word_of(value: &impl Serialize) -> String {
    let word = serde_json::to_value(value).ok();
    word.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
}

fn of_word<T: DeserializeOwned>(word: &str) -> Option<T> {
    let word: StrDeserializer<'_, Error> = word.into_deserializer();
    T::deserialize(word).ok()
}
