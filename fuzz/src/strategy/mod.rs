//! Strategies for whole cases.
//!
//! [`case`] draws a plan whose parts know nothing of each other, and then makes them fit: sizes to the limit of
//! elements, numbers to the dtype's range, backwards to a forward before them. Parts that are drawn apart also
//! shrink apart, so that a find ends as a small case.

mod data;
mod layer;
mod number;
mod shape;
mod steps;

use bn_cases::format::{CaseSpec, InputSpec};
use proptest::prelude::*;

pub use shape::MAX_ELEMENTS;

/// Whole cases, each of which [`bn_cases::load_str`] reads once [`crate::render::suite`] has written it.
pub fn case() -> impl Strategy<Value = CaseSpec> {
    let parts = (layer::plan(), shape::plan(), data::input(), data::grad(), steps::plan(), 0u64..1000);
    parts.prop_map(|(layer, shape, input, grad, steps, seed)| {
        let (dtype, shape) = (layer.dtype, shape.fit());
        let fill = input.fit(dtype, &shape);
        let grad = grad.and_then(|grad| grad.fit(dtype, &shape));
        let steps = steps::fit(steps, dtype, &shape, grad.as_ref(), fill.as_ref());
        CaseSpec {
            about: None,
            layer: layer.fit(shape[1]),
            dtype,
            input: InputSpec { shape: Some(shape), fill },
            grad,
            mode: None,
            steps: Some(steps),
            seed,
            expect: Vec::new(),
        }
    })
}
