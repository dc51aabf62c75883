//! Other forms of the formulas between the sums.

use bn_api::{DType, Slot};
use bn_stages::{Arithmetic, Context, Saved, Statistics, Sums, plain};

use crate::statistics::dot;

/// In double precision, whatever the input.
pub fn double(_input: DType, _layer: DType) -> Arithmetic {
    Arithmetic::DOUBLE
}

/// √(σ² + ε).
fn std(c: &Context, var: f64) -> f64 {
    let a = c.arithmetic;
    a.sqrt(a.add(var, a.round(c.eps)))
}

/// √(1/(σ² + ε)); of a running variance of -∞, of which that would be -0, the plain form's NaN.
pub fn root_of_reciprocal(c: &Context, channel: usize, var: f64) -> f64 {
    let a = c.arithmetic;
    let moved = a.add(var, a.round(c.eps));
    if moved == f64::NEG_INFINITY {
        return plain::inverse_std(c, channel, var);
    }
    a.sqrt(a.div(1.0, moved))
}

/// (x - μ)/√(σ² + ε), divided.
pub fn quotient(c: &Context, _channel: usize, statistics: &Statistics, x: f64) -> f64 {
    let a = c.arithmetic;
    a.div(a.sub(x, statistics.mean), std(c, statistics.var))
}

/// γ x̂ + β with one rounding.
pub fn fused_output(c: &Context, channel: usize, _statistics: &Statistics, _x: f64, xhat: f64) -> f64 {
    c.arithmetic.fma(xhat, c.gamma[channel], c.beta[channel])
}

/// a x + b with a = γ/√(σ² + ε) and b = β - μ a, where the statistics are the layer's own. Of those of a batch it would
/// lose |μ|/σ roundings even where mean and variance are exact.
pub fn folded_output(c: &Context, channel: usize, statistics: &Statistics, x: f64, xhat: f64) -> f64 {
    if c.use_batch_stats {
        return plain::output(c, channel, statistics, x, xhat);
    }
    let a = c.arithmetic;
    let factor = a.mul(c.gamma[channel], statistics.inverse_std);
    a.add(a.mul(x, factor), a.sub(c.beta[channel], a.mul(statistics.mean, factor)))
}

/// n/(n-1) as a factor.
pub fn by_bessel_factor(c: &Context, var: f64) -> f64 {
    let (a, n) = (c.arithmetic, c.n() as f64);
    a.mul(var, a.div(a.round(n), a.round(n - 1.0)))
}

/// momentum·batch + (1 - momentum)·old with one rounding less.
pub fn fused_average(c: &Context, _slot: Slot, old: f64, batch: f64) -> f64 {
    let a = c.arithmetic;
    let momentum = a.round(c.factor);
    a.fma(batch, momentum, a.mul(old, a.sub(1.0, momentum)))
}

/// old + momentum·(batch - old) where the momentum is at most 1/2, and the same from the other end above: from `old` a
/// momentum of 1 would leave a rounding of `old` behind, which can be much more than one of what it becomes.
pub fn lerp(c: &Context, _slot: Slot, old: f64, batch: f64) -> f64 {
    let a = c.arithmetic;
    let momentum = a.round(c.factor);
    if momentum <= 0.5 {
        a.add(old, a.mul(momentum, a.sub(batch, old)))
    } else {
        a.sub(batch, a.mul(a.sub(1.0, momentum), a.sub(batch, old)))
    }
}

/// Σ dy and Σ dy·x̂, the second with fused multiply-adds.
pub fn fused_gradient_sums(saved: &Saved, channel: usize, dy: &[f64]) -> Sums {
    let Context { arithmetic: a, stages, .. } = saved.context;
    Sums { dy: (stages.sum)(a, dy), dy_xhat: dot(a, dy, &saved.xhat[channel]) }
}

/// γ/√(σ² + ε) · (dy - 1/n Σ dy - x̂ · 1/n Σ dy x̂), the last product fused.
pub fn fused_grad_input(saved: &Saved, channel: usize, sums: &Sums, k: usize, dy: f64) -> f64 {
    let c = &saved.context;
    if !c.use_batch_stats {
        return plain::grad_input(saved, channel, sums, k, dy);
    }
    let a = c.arithmetic;
    let n = a.round(c.n() as f64);
    let (mean_dy, mean_dy_xhat) = (a.div(sums.dy, n), a.div(sums.dy_xhat, n));
    let centred = a.fma(-saved.xhat[channel][k], mean_dy_xhat, a.sub(dy, mean_dy));
    a.mul(centred, a.mul(c.gamma[channel], saved.statistics[channel].inverse_std))
}

/// γ/√(σ² + ε) · (dy - (Σ dy + x̂ Σ dy x̂) · 1/n).
pub fn grad_input_by_reciprocal(saved: &Saved, channel: usize, sums: &Sums, k: usize, dy: f64) -> f64 {
    let c = &saved.context;
    if !c.use_batch_stats {
        return plain::grad_input(saved, channel, sums, k, dy);
    }
    let a = c.arithmetic;
    let share = a.div(1.0, a.round(c.n() as f64));
    let scale = a.mul(c.gamma[channel], saved.statistics[channel].inverse_std);
    let both = a.add(sums.dy, a.mul(saved.xhat[channel][k], sums.dy_xhat));
    a.mul(scale, a.sub(dy, a.mul(both, share)))
}

/// γ·(dy - 1/n Σ dy - x̂ · 1/n Σ dy x̂)/√(σ² + ε), or γ·dy/√(σ² + ε) where the statistics are constants.
pub fn grad_input_by_quotient(saved: &Saved, channel: usize, sums: &Sums, k: usize, dy: f64) -> f64 {
    let c = &saved.context;
    let a = c.arithmetic;
    let mut centred = dy;
    if c.use_batch_stats {
        let n = a.round(c.n() as f64);
        let of_xhat = a.mul(saved.xhat[channel][k], a.div(sums.dy_xhat, n));
        centred = a.sub(a.sub(dy, of_xhat), a.div(sums.dy, n));
    }
    a.div(a.mul(c.gamma[channel], centred), std(c, saved.statistics[channel].var))
}

/// γ/√(σ² + ε) · (n·dy - Σ dy - x̂ Σ dy x̂)/n. A factor of γ/(n √(σ² + ε)) could fall below the normal numbers.
pub fn grad_input_by_sums(saved: &Saved, channel: usize, sums: &Sums, k: usize, dy: f64) -> f64 {
    let c = &saved.context;
    if !c.use_batch_stats {
        return plain::grad_input(saved, channel, sums, k, dy);
    }
    let a = c.arithmetic;
    let n = a.round(c.n() as f64);
    let scale = a.mul(c.gamma[channel], saved.statistics[channel].inverse_std);
    let bracket = a.sub(a.sub(a.mul(n, dy), sums.dy), a.mul(saved.xhat[channel][k], sums.dy_xhat));
    a.mul(scale, a.div(bracket, n))
}

/// Σ dy and Σ dy·x̂ of an x̂ that was not kept.
pub fn gradient_sums_anew(saved: &Saved, channel: usize, dy: &[f64]) -> Sums {
    let Context { arithmetic: a, stages, .. } = saved.context;
    let products: Vec<f64> =
        dy.iter().enumerate().map(|(k, dy)| a.mul(*dy, xhat_anew(saved, channel, k))).collect();
    Sums { dy: (stages.sum)(a, dy), dy_xhat: (stages.sum)(a, &products) }
}

/// The gradient of the input with an x̂ that was not kept.
pub fn grad_input_anew(saved: &Saved, channel: usize, sums: &Sums, k: usize, dy: f64) -> f64 {
    let c = &saved.context;
    if !c.use_batch_stats {
        return plain::grad_input(saved, channel, sums, k, dy);
    }
    let a = c.arithmetic;
    let n = a.round(c.n() as f64);
    let (mean_dy, mean_dy_xhat) = (a.div(sums.dy, n), a.div(sums.dy_xhat, n));
    let centred = a.sub(a.sub(dy, mean_dy), a.mul(xhat_anew(saved, channel, k), mean_dy_xhat));
    a.mul(a.mul(centred, saved.statistics[channel].inverse_std), c.gamma[channel])
}

/// x̂ from the input again, by another form than the forward's.
fn xhat_anew(saved: &Saved, channel: usize, k: usize) -> f64 {
    let c = &saved.context;
    quotient(c, channel, &saved.statistics[channel], c.x[channel][k])
}
