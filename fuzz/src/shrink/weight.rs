//! How large a case is.

use bn_cases::DType;
use bn_cases::format::{CaseSpec, Fill, Step};

use super::fills::{Slot, each};
use crate::property::SUITE;
use crate::render;

/// What a step counts, in characters.
const STEP: f64 = 200.0;

/// What an element of an input counts.
const ELEMENT: f64 = 2.0;

/// What another type than f32 counts.
const TYPE: f64 = 20.0;

/// What each power of ten counts by which a number is away from 1.
const DECADE: f64 = 3.0;

/// How large a case is, in characters: how long it is when it is written, and what a person has to keep in mind
/// beside: its steps, the elements of its inputs, and numbers far from 1.
pub fn weight(spec: &CaseSpec) -> f64 {
    let steps = spec.steps.as_ref().map_or(2, Vec::len) as f64;
    let mut weight = render::suite(SUITE, spec).len() as f64 + STEP * steps + ELEMENT * elements(spec) as f64;
    if spec.dtype != DType::F32 {
        weight += TYPE;
    }
    for number in [Some(spec.layer.eps / 1e-5), spec.layer.momentum].into_iter().flatten() {
        weight += decades(number);
    }
    // The fills are visited as they are changed: in place.
    each(&mut spec.clone(), &mut |slot, _| {
        let fill = match &slot {
            Slot::Maybe(fill) => fill.as_ref(),
            Slot::Must(fill) => Some(&**fill),
        };
        weight += fill.map_or(0.0, of_fill);
    });
    weight
}

/// The elements of all inputs together.
fn elements(spec: &CaseSpec) -> usize {
    sizes(spec).fold(0, usize::saturating_add)
}

/// The elements of the largest input.
pub fn largest_input(spec: &CaseSpec) -> usize {
    sizes(spec).max().unwrap_or(0)
}

/// The number of elements of each forward's input.
fn sizes(spec: &CaseSpec) -> impl Iterator<Item = usize> {
    let product =
        |shape: &Vec<usize>| shape.iter().fold(1_usize, |product, size| product.saturating_mul(*size));
    let of_case = spec.input.shape.as_ref().map_or(0, product);
    let own = move |step: &Step| match step {
        Step::Forward { input, .. } => {
            Some(input.as_ref().and_then(|input| input.shape.as_ref()).map_or(of_case, product))
        }
        _ => None,
    };
    let mode = spec.steps.is_none().then_some(of_case);
    spec.steps.iter().flatten().filter_map(own).chain(mode)
}

fn of_fill(fill: &Fill) -> f64 {
    match fill {
        Fill::Constant(value) => 2.0 + decades(*value),
        Fill::Normal { mean, std } => 8.0 + decades(*mean) + decades(*std),
        Fill::Uniform { low, high } => 8.0 + decades(*low) + decades(*high),
        Fill::Ramp { from, to, .. } => 6.0 + decades(*from) + decades(*to),
        Fill::Exact { mean, step, .. } => 6.0 + decades(*mean) + decades(*step),
        Fill::Channels { mean, std } => 10.0 + mean.iter().chain(std).copied().map(decades).sum::<f64>(),
        Fill::Correlated { mean, strength, noise } => {
            10.0 + decades(*mean) + decades(*strength) + decades(*noise)
        }
        Fill::Special { base, at } => 12.0 + of_fill(base) + 4.0 * at.len() as f64,
        Fill::Values(_) => 0.0,
        Fill::Bits(_) => 30.0,
    }
}

/// How far a number is from 1, in powers of ten; 0 counts as little.
fn decades(number: f64) -> f64 {
    let sign = if number < 0.0 { 1.0 } else { 0.0 };
    let size = if number == 0.0 || !number.is_finite() { 0.0 } else { number.abs().log10().abs() };
    sign + DECADE * size
}
