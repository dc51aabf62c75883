//! The named fills.

use thiserror::Error;

use super::rng::{Draws, Role};
use crate::format::{Along, Fill, Place};
use crate::number::{self, NumberError};
use crate::tensor::Channels;
use crate::{DType, Tensor};

/// Why a fill cannot make a tensor of some shape and dtype.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum FillError {
    /// A written number is refused.
    #[error(transparent)]
    Number(#[from] NumberError),
    /// The list of elements is too short or too long.
    #[error("a tensor of shape {shape:?} has {needed} elements, this list has {found}")]
    Count {
        /// How many there are.
        found: usize,
        /// How many there should be.
        needed: usize,
        /// The tensor's shape.
        shape: Vec<usize>,
    },
    /// A replaced element lies outside.
    #[error("the index {index:?} is not in a tensor of shape {shape:?}")]
    Index {
        /// The index.
        index: Vec<usize>,
        /// The tensor's shape.
        shape: Vec<usize>,
    },
    /// A parameter makes no sense.
    #[error("{0}")]
    Parameter(&'static str),
    /// A generated number could become infinite.
    #[error("numbers of this fill can be as large as {largest}, which {dtype} cannot hold", largest = number::short(*.0), dtype = .1)]
    Range(f64, DType),
}

impl FillError {
    /// What would be right.
    pub fn help(&self) -> Option<String> {
        match self {
            FillError::Number(error) => Some(error.help()),
            FillError::Range(_, dtype) => {
                Some(format!("the largest finite {dtype} is {}", number::short(dtype.max_finite())))
            }
            FillError::Count { .. } => {
                Some("one value for each element, the last dimension fastest".to_owned())
            }
            FillError::Index { .. } => {
                Some("one number for each dimension, from 0 to one below its size".to_owned())
            }
            FillError::Parameter(_) => None,
        }
    }
}

/// More standard deviations from the mean than [`Draws::normal`] can reach: √(2·53·ln 2) < 8.6.
const NORMAL_REACH: f64 = 8.6;

/// Checks that `fill` can make a tensor of this dtype and shape. The error's path says which part of the fill
/// is wrong, relative to the fill (`values.3`).
///
/// # Errors
/// See [`FillError`].
pub fn check(fill: &Fill, role: Role, dtype: DType, shape: &[usize]) -> Result<(), (String, FillError)> {
    let here = |error| (String::new(), error);
    let finite = |values: &[f64]| values.iter().all(|value| value.is_finite());
    let within = |largest: f64| {
        if dtype.round(largest).is_infinite() { Err(here(FillError::Range(largest, dtype))) } else { Ok(()) }
    };
    match fill {
        Fill::Normal { mean, std } => {
            if !finite(&[*mean, *std]) || *std < 0.0 {
                return Err(here(FillError::Parameter(
                    "`mean` must be finite, `std` finite and not negative",
                )));
            }
            within(mean.abs() + NORMAL_REACH * std)
        }
        Fill::Uniform { low, high } => {
            if !finite(&[*low, *high]) || low >= high {
                return Err(here(FillError::Parameter("`low` must be below `high`, both finite")));
            }
            within(low.abs().max(high.abs()))
        }
        Fill::Constant(value) => {
            if dtype == DType::I64 && dtype.round(*value) != *value {
                return Err(here(NumberError::Inexact(number::short(*value), dtype).into()));
            }
            if value.is_finite() && dtype.round(*value).is_infinite() {
                return Err(here(NumberError::Overflow(format!("{value:e}"), dtype).into()));
            }
            if *value != 0.0 && dtype.round(*value) == 0.0 {
                return Err(here(NumberError::Underflow(format!("{value:e}"), dtype).into()));
            }
            Ok(())
        }
        Fill::Channels { mean, std } => {
            if mean.is_empty() || std.is_empty() {
                return Err(here(FillError::Parameter("`mean` and `std` need at least one entry each")));
            }
            if !finite(mean) || !finite(std) || std.iter().any(|&std| std < 0.0) {
                return Err(here(FillError::Parameter(
                    "every `mean` must be finite, every `std` finite and not negative",
                )));
            }
            let largest = |list: &[f64]| list.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
            within(largest(mean) + NORMAL_REACH * largest(std))
        }
        Fill::Ramp { from, to, .. } => {
            if !finite(&[*from, *to]) {
                return Err(here(FillError::Parameter("`from` and `to` must be finite")));
            }
            within(from.abs().max(to.abs()))
        }
        Fill::Exact { mean, step, .. } => {
            check_exact(*mean, *step, dtype, shape).map_err(here)?;
            within(mean.abs() + f64::from(EXACT_REACH) * step)
        }
        Fill::Correlated { mean, strength, noise } => {
            if role != Role::Grad {
                return Err(here(FillError::Parameter("`correlated` is a fill for gradients")));
            }
            if !finite(&[*mean, *strength, *noise]) {
                return Err(here(FillError::Parameter("`mean`, `strength` and `noise` must be finite")));
            }
            let largest_xhat = (Channels::of(shape).values as f64).sqrt();
            within(mean.abs() + strength.abs() * largest_xhat + NORMAL_REACH * noise.abs())
        }
        Fill::Special { base, at } => {
            check(base, role, dtype, shape).map_err(|(path, error)| (join("special.base", &path), error))?;
            check_places(at, dtype, shape)
        }
        Fill::Values(literals) => {
            count(literals.len(), shape)?;
            check_each("values", literals.iter().map(|literal| number::parse(&literal.0, dtype)))
        }
        Fill::Bits(literals) => {
            count(literals.len(), shape)?;
            check_each("bits", literals.iter().map(|literal| number::parse_bits(&literal.0, dtype)))
        }
    }
}

fn check_exact(mean: f64, step: f64, dtype: DType, shape: &[usize]) -> Result<(), FillError> {
    let power_of_two = step.is_normal() && step > 0.0 && step.to_bits().trailing_zeros() >= 52;
    if !power_of_two || !mean.is_finite() || (mean / step).fract() != 0.0 {
        return Err(FillError::Parameter("`step` must be a power of two and `mean` a multiple of it"));
    }
    let n = Channels::of(shape).values as f64;
    let largest = mean.abs() / step + f64::from(EXACT_REACH);
    // Sums are taken in f32 at least.
    let digits = if dtype == DType::F64 { 53 } else { 24 };
    if n * largest >= 2f64.powi(digits) || largest >= 2f64.powi(dtype.precision()) {
        let message = "`mean` over `step` is too large for exact sums of this many values";
        return Err(FillError::Parameter(message));
    }
    Ok(())
}

fn check_places(at: &[Place], dtype: DType, shape: &[usize]) -> Result<(), (String, FillError)> {
    for (number, place) in at.iter().enumerate() {
        let path = |field: &str| format!("special.at.{number}.{field}");
        let fits = place.index.len() == shape.len() && place.index.iter().zip(shape).all(|(i, n)| i < n);
        if !fits {
            let error = FillError::Index { index: place.index.clone(), shape: shape.to_vec() };
            return Err((path("index"), error));
        }
        number::parse(&place.value.0, dtype).map_err(|error| (path("value"), error.into()))?;
    }
    Ok(())
}

fn join(outer: &str, inner: &str) -> String {
    if inner.is_empty() { outer.to_owned() } else { format!("{outer}.{inner}") }
}

fn count(found: usize, shape: &[usize]) -> Result<(), (String, FillError)> {
    let needed = shape.iter().product();
    if found == needed {
        return Ok(());
    }
    Err((String::new(), FillError::Count { found, needed, shape: shape.to_vec() }))
}

fn check_each(
    key: &str,
    parsed: impl Iterator<Item = Result<u64, NumberError>>,
) -> Result<(), (String, FillError)> {
    for (number, result) in parsed.enumerate() {
        result.map_err(|error| (format!("{key}.{number}"), error.into()))?;
    }
    Ok(())
}

/// Makes a tensor. `input` is the latest input, for gradients that follow it.
///
/// # Panics
/// When [`check`] would have refused the fill, or a correlated gradient has no input of its shape.
pub fn generate(
    fill: &Fill,
    draws: &mut Draws,
    dtype: DType,
    shape: &[usize],
    input: Option<&Tensor>,
) -> Tensor {
    let bits = generate_bits(fill, draws, dtype, shape, input);
    Tensor::from_bit_patterns(dtype, shape, bits)
}

fn generate_bits(
    fill: &Fill,
    draws: &mut Draws,
    dtype: DType,
    shape: &[usize],
    input: Option<&Tensor>,
) -> Vec<u64> {
    let total: usize = shape.iter().product();
    let channels = Channels::of(shape);
    let each = |element: &mut dyn FnMut(usize) -> f64| -> Vec<u64> {
        (0..total).map(|index| dtype.bits_of(element(index))).collect()
    };
    match fill {
        Fill::Normal { mean, std } => each(&mut |_| mean + std * draws.normal()),
        Fill::Uniform { low, high } => each(&mut |_| low + (high - low) * draws.uniform()),
        Fill::Constant(value) => each(&mut |_| *value),
        Fill::Channels { mean, std } => each(&mut |index| {
            let channel = channels.channel_of(index);
            mean[channel % mean.len()] + std[channel % std.len()] * draws.normal()
        }),
        Fill::Ramp { from, to, along } => {
            let (length, place) = direction(*along, shape, channels);
            let last = length.saturating_sub(1).max(1) as f64;
            each(&mut |index| from + (to - from) * (place(index) as f64 / last))
        }
        Fill::Exact { mean, step, adjacent } => {
            let fill = if *adjacent { exact_side_by_side } else { exact };
            fill(*mean, *step, draws, shape, channels).into_iter().map(|value| dtype.bits_of(value)).collect()
        }
        Fill::Correlated { mean, strength, noise } => {
            let input = input.expect("a correlated gradient follows an input");
            let xhat = standardised(input);
            each(&mut |index| mean + strength * xhat[index] + noise * draws.normal())
        }
        Fill::Special { base, at } => {
            let mut bits = generate_bits(base, draws, dtype, shape, input);
            for place in at {
                let flat = place.index.iter().zip(shape).fold(0, |flat, (i, n)| flat * n + i);
                bits[flat] = number::parse(&place.value.0, dtype).expect("checked when the case was loaded");
            }
            bits
        }
        Fill::Values(literals) => {
            let parse = |text: &str| number::parse(text, dtype).expect("checked when the case was loaded");
            literals.iter().map(|literal| parse(&literal.0)).collect()
        }
        Fill::Bits(literals) => {
            let parse =
                |text: &str| number::parse_bits(text, dtype).expect("checked when the case was loaded");
            literals.iter().map(|literal| parse(&literal.0)).collect()
        }
    }
}

/// How many places a ramp has in this direction, and which of them an element takes.
fn direction(along: Along, shape: &[usize], channels: Channels) -> (usize, Box<dyn Fn(usize) -> usize>) {
    let total: usize = shape.iter().product();
    let batch = if shape.len() >= 2 { shape[0] } else { 1 };
    let per_sample = total / batch.max(1);
    let spatial = channels.values / batch.max(1);
    match along {
        Along::Elements => (total, Box::new(|index| index)),
        Along::Batch => (batch, Box::new(move |index| index / per_sample.max(1))),
        Along::Channel => (channels.count, Box::new(move |index| channels.channel_of(index))),
        Along::Spatial => (spatial, Box::new(move |index| index % spatial.max(1))),
    }
}

/// The largest deviation from the mean that [`Fill::Exact`] uses, in steps.
const EXACT_REACH: i32 = 4;

/// Pairs `mean ± k·step` with k from 1 to 4, scattered over the channel, and the mean itself where n is odd.
fn exact(mean: f64, step: f64, draws: &mut Draws, shape: &[usize], channels: Channels) -> Vec<f64> {
    let total: usize = shape.iter().product();
    let mut values = vec![mean; total];
    let n = channels.values;
    for channel in 0..channels.count {
        // A Fisher-Yates shuffle, so that partners are far apart and in no fixed order.
        let mut order: Vec<usize> = (0..n).collect();
        for last in (1..n).rev() {
            let other = (draws.uniform() * (last + 1) as f64) as usize;
            order.swap(last, other.min(last));
        }
        for pair in order.chunks_exact(2) {
            let size = 1.0 + (draws.uniform() * f64::from(EXACT_REACH)).floor();
            values[channels.index(channel, pair[0])] = mean + size * step;
            values[channels.index(channel, pair[1])] = mean - size * step;
        }
    }
    values
}

/// As many values have the same k before it changes that partners are as far apart in every eighth value.
const SIDE_BY_SIDE: usize = 16;

/// Pairs `mean ± k·step` with k from 1 to 4 side by side, and the mean itself last where n is odd. Their signs are the
/// Thue-Morse sequence, of which every second value is the sequence again.
fn exact_side_by_side(
    mean: f64,
    step: f64,
    draws: &mut Draws,
    shape: &[usize],
    channels: Channels,
) -> Vec<f64> {
    let total: usize = shape.iter().product();
    let mut values = vec![mean; total];
    let paired = channels.values - channels.values % 2;
    for channel in 0..channels.count {
        let mut size = 0.0;
        for k in 0..paired {
            if k.is_multiple_of(SIDE_BY_SIDE) {
                size = 1.0 + (draws.uniform() * f64::from(EXACT_REACH)).floor();
            }
            let sign = if k.count_ones().is_multiple_of(2) { 1.0 } else { -1.0 };
            values[channels.index(channel, k)] = mean + sign * size * step;
        }
    }
    values
}

/// Each channel brought to mean 0 and standard deviation 1; 0 where a channel is constant, not finite, or a
/// single value.
fn standardised(input: &Tensor) -> Vec<f64> {
    let values = input.values();
    let channels = input.channels();
    let n = channels.values as f64;
    let mut xhat = vec![0.0; values.len()];
    for channel in 0..channels.count {
        let mean = channels.indices(channel).map(|index| values[index]).sum::<f64>() / n;
        let square = |index: usize| (values[index] - mean) * (values[index] - mean);
        let std = (channels.indices(channel).map(square).sum::<f64>() / n).sqrt();
        if std.is_finite() && std > 0.0 {
            for index in channels.indices(channel) {
                xhat[index] = (values[index] - mean) / std;
            }
        }
    }
    xhat
}
