//! What several faults need.

use bn_api::{DType, Observable};
use bn_stages::{Context, Rows, Saved};

use Observable::{GradBias, GradInput, GradWeight, Output, RunningMean, RunningVar};

pub(super) const OUTPUT: &[Observable] = &[Output];
pub(super) const MEAN: &[Observable] = &[RunningMean];
pub(super) const VARIANCE: &[Observable] = &[RunningVar];
pub(super) const STATISTICS: &[Observable] = &[RunningMean, RunningVar];
/// What a wrong mean shows in.
pub(super) const FROM_MEAN: &[Observable] = &[Output, RunningMean, RunningVar, GradInput, GradWeight];
/// What a wrong variance shows in.
pub(super) const FROM_VARIANCE: &[Observable] = &[Output, RunningVar, GradInput, GradWeight];
/// What a wrong x̂ shows in.
pub(super) const FROM_XHAT: &[Observable] = &[Output, GradInput, GradWeight];
/// What a backward gives.
pub(super) const GRADIENTS: &[Observable] = &[GradInput, GradWeight, GradBias];
/// What the kernel gives.
pub(super) const ALL: &[Observable] = &[Output, RunningMean, RunningVar, GradInput, GradWeight, GradBias];

/// A number as the type holds it, if that is a half one.
pub(super) fn half(dtype: DType, value: f64) -> f64 {
    if dtype.is_half() { dtype.round(value) } else { value }
}

/// Mean and biased variance of values, in two passes.
pub(super) fn moments(c: &Context, values: &[f64]) -> (f64, f64) {
    let (a, n) = (c.arithmetic, values.len() as f64);
    let mean = a.div((c.stages.sum)(a, values), n);
    let squares: Vec<f64> = values.iter().map(|x| a.sub(*x, mean)).map(|d| a.mul(d, d)).collect();
    (mean, a.div((c.stages.sum)(a, &squares), n))
}

/// x̂ with mean and variance by channel and by number of the value.
pub(super) fn normalised_by(c: &Context, moments: impl Fn(usize, usize) -> (f64, f64)) -> Rows {
    let a = c.arithmetic;
    let element = |channel: usize, k: usize| {
        let (mean, var) = moments(channel, k);
        let inverse_std = a.div(1.0, a.sqrt(a.add(var, a.round(c.eps))));
        a.mul(a.sub(c.x[channel][k], mean), inverse_std)
    };
    (0..c.x.len()).map(|channel| (0..c.n()).map(|k| element(channel, k)).collect()).collect()
}

/// The gradient of an element by the plain formula, with another mean of dy, mean of dy·x̂, and scale.
pub(super) fn grad_input(
    saved: &Saved,
    (channel, k): (usize, usize),
    dy: f64,
    (mean_dy, mean_dy_xhat): (f64, f64),
    scale: f64,
) -> f64 {
    let a = saved.context.arithmetic;
    if !saved.context.use_batch_stats {
        return a.mul(dy, scale);
    }
    let centred = a.sub(a.sub(dy, mean_dy), a.mul(saved.xhat[channel][k], mean_dy_xhat));
    a.mul(centred, scale)
}

/// γ/√(σ² + ε).
pub(super) fn scale(saved: &Saved, channel: usize) -> f64 {
    saved.context.arithmetic.mul(saved.context.gamma[channel], saved.statistics[channel].inverse_std)
}
