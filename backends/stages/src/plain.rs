//! The stages as the formulas of the paper have them.

#![allow(missing_docs, reason = "each is the field of Stages of the same name")]

use bn_api::{Channels, DType, Layout, Slot, Strided, Tensor};

use crate::{Arithmetic, Context, Moments, Rows, Running, Saved, Stages, Statistics, Sums};

pub fn arithmetic(input: DType, _layer: DType) -> Arithmetic {
    if input == DType::F64 { Arithmetic::DOUBLE } else { Arithmetic::SINGLE }
}

pub fn read(tensor: &Tensor, layout: Layout) -> Rows {
    let channels = tensor.channels();
    let strided = (layout != Layout::Contiguous).then(|| Strided::new(tensor, layout));
    let value = |index: usize| match &strided {
        Some(strided) => strided.value(&tensor.position(index)),
        None => tensor.value(index),
    };
    (0..channels.count).map(|channel| channels.indices(channel).map(value).collect()).collect()
}

pub fn read_gradient(saved: &Saved, grad_output: &Tensor, layout: Layout) -> Rows {
    (saved.context.stages.read)(grad_output, layout)
}

pub fn parameter(arithmetic: Arithmetic, value: f64) -> f64 {
    arithmetic.round(value)
}

/// μ = 1/n Σ x, σ² = 1/n Σ (x - μ)².
pub fn statistics(c: &Context, channel: usize) -> (f64, f64) {
    let (a, x) = (c.arithmetic, &c.x[channel]);
    let n = a.round(c.n() as f64);
    let mean = a.div((c.stages.sum)(a, x), n);
    let squares: Vec<f64> = x.iter().map(|x| a.sub(*x, mean)).map(|d| a.mul(d, d)).collect();
    (mean, a.div((c.stages.sum)(a, &squares), n))
}

pub fn all_statistics(c: &Context) -> Vec<(f64, f64)> {
    (0..c.channels()).map(|channel| (c.stages.statistics)(c, channel)).collect()
}

/// n/(n-1) σ².
pub fn unbiased(c: &Context, var: f64) -> f64 {
    let (a, n) = (c.arithmetic, c.n() as f64);
    a.div(a.mul(var, n), a.round(n - 1.0))
}

/// (1 - momentum)·old + momentum·batch.
pub fn average(c: &Context, _slot: Slot, old: f64, batch: f64) -> f64 {
    let a = c.arithmetic;
    let momentum = a.round(c.factor);
    a.add(a.mul(old, a.sub(1.0, momentum)), a.mul(batch, momentum))
}

pub fn moves(c: &Context) -> bool {
    c.use_batch_stats
}

pub fn move_running(c: &Context, before: &Running, batch: &[(f64, f64)]) -> Running {
    let Stages { unbiased, average, .. } = c.stages;
    let mean =
        before.mean.iter().zip(batch).map(|(old, (mean, _))| average(c, Slot::RunningMean, *old, *mean));
    let var = before
        .var
        .iter()
        .zip(batch)
        .map(|(old, (_, var))| average(c, Slot::RunningVar, *old, unbiased(c, *var)));
    Running { mean: mean.collect(), var: var.collect() }
}

pub fn running(_c: &Context, running: &Running, channel: usize) -> (f64, f64) {
    (running.mean[channel], running.var[channel])
}

pub fn applied(_c: &Context, found: Vec<Moments>, _moved: Option<&Running>) -> Vec<Moments> {
    found
}

pub fn inverse_std(c: &Context, _channel: usize, var: f64) -> f64 {
    let a = c.arithmetic;
    a.div(1.0, a.sqrt(a.add(var, a.round(c.eps))))
}

pub fn normalise(c: &Context, _channel: usize, statistics: &Statistics, x: f64) -> f64 {
    let a = c.arithmetic;
    a.mul(a.sub(x, statistics.mean), statistics.inverse_std)
}

/// γ x̂ + β.
pub fn output(c: &Context, channel: usize, _statistics: &Statistics, _x: f64, xhat: f64) -> f64 {
    let a = c.arithmetic;
    a.add(a.mul(xhat, c.gamma[channel]), c.beta[channel])
}

pub fn all_normalised(c: &Context, statistics: &[Statistics]) -> Rows {
    let normalise = c.stages.normalise;
    let row = |(channel, statistics): (usize, &Statistics)| {
        c.x[channel].iter().map(|x| normalise(c, channel, statistics, *x)).collect()
    };
    statistics.iter().enumerate().map(row).collect()
}

pub fn all_output(c: &Context, statistics: &[Statistics], xhat: &Rows) -> Rows {
    let output = c.stages.output;
    let row = |(channel, statistics): (usize, &Statistics)| {
        let elements = c.x[channel].iter().zip(&xhat[channel]);
        elements.map(|(x, xhat)| output(c, channel, statistics, *x, *xhat)).collect()
    };
    statistics.iter().enumerate().map(row).collect()
}

pub fn write(c: &Context, dtype: DType, rows: &Rows) -> Tensor {
    let channels = Channels::of(&c.shape);
    let mut values = vec![0.0; c.shape.iter().product()];
    for (channel, row) in rows.iter().enumerate() {
        for (k, value) in row.iter().enumerate() {
            values[channels.index(channel, k)] = *value;
        }
    }
    Tensor::from_values(dtype, &c.shape, values)
}

pub fn gradient_sums(saved: &Saved, channel: usize, dy: &[f64]) -> Sums {
    let Context { arithmetic: a, stages, .. } = saved.context;
    let products: Vec<f64> =
        dy.iter().zip(&saved.xhat[channel]).map(|(dy, xhat)| a.mul(*dy, *xhat)).collect();
    Sums { dy: (stages.sum)(a, dy), dy_xhat: (stages.sum)(a, &products) }
}

pub fn all_gradient_sums(saved: &Saved, dy: &Rows) -> Vec<Sums> {
    let of_channel = saved.context.stages.gradient_sums;
    dy.iter().enumerate().map(|(channel, dy)| of_channel(saved, channel, dy)).collect()
}

/// γ/√(σ² + ε) · (dy - 1/n Σ dy - x̂ · 1/n Σ dy x̂), or γ/√(σ² + ε) · dy where the statistics are constants.
pub fn grad_input(saved: &Saved, channel: usize, sums: &Sums, k: usize, dy: f64) -> f64 {
    let c = &saved.context;
    let a = c.arithmetic;
    let scale = a.mul(c.gamma[channel], saved.statistics[channel].inverse_std);
    if !c.use_batch_stats {
        return a.mul(dy, scale);
    }
    let n = a.round(c.n() as f64);
    let (mean_dy, mean_dy_xhat) = (a.div(sums.dy, n), a.div(sums.dy_xhat, n));
    let centred = a.sub(a.sub(dy, mean_dy), a.mul(saved.xhat[channel][k], mean_dy_xhat));
    a.mul(centred, scale)
}

pub fn grad_weight(_saved: &Saved, _channel: usize, sums: &Sums) -> f64 {
    sums.dy_xhat
}

pub fn grad_bias(_saved: &Saved, _channel: usize, sums: &Sums) -> f64 {
    sums.dy
}
