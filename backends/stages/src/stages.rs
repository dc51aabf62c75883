//! The stages, and their plain forms.
//!
//! Names: `c` is what one forward knows ([`Context`]), `channel` the number of a channel, `n` the values of a channel.

use bn_api::{DType, Layout, Slot, Tensor};

use crate::kernel::{Context, Running, Saved};
use crate::{Arithmetic, plain, sums};

/// One row a channel, with its n values in the order of (N, …).
pub type Rows = Vec<Vec<f64>>;

/// Mean and variance of a channel.
pub type Moments = (f64, f64);

/// What a channel is normalised with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Statistics {
    /// The mean.
    pub mean: f64,
    /// The variance: biased where it is the batch's.
    pub var: f64,
    /// 1/√(var + eps).
    pub inverse_std: f64,
}

/// What the gradients of a channel are made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sums {
    /// Σ dy.
    pub dy: f64,
    /// Σ dy·x̂.
    pub dy_xhat: f64,
}

/// Batch normalization, function by function. All of them take and give numbers of the arithmetic's type, held in
/// `f64`.
#[derive(Debug, Clone, Copy)]
pub struct Stages {
    /// What is computed in, of the input's type and that of the layer's first tensor (the input's where it has none).
    pub arithmetic: fn(DType, DType) -> Arithmetic,
    /// The input by channels, from where its elements lie.
    pub read: fn(&Tensor, Layout) -> Rows,
    /// The gradient of the output by channels.
    pub read_gradient: fn(&Saved, &Tensor, Layout) -> Rows,
    /// A number of the layer's (weight, bias, running statistics) in the arithmetic.
    pub parameter: fn(Arithmetic, f64) -> f64,
    /// Σ of terms.
    pub sum: fn(Arithmetic, &[f64]) -> f64,
    /// Mean and biased variance of a channel of the batch, which has values.
    pub statistics: fn(&Context, usize) -> (f64, f64),
    /// The same of all channels.
    pub all_statistics: fn(&Context) -> Vec<(f64, f64)>,
    /// The variance that the running one averages, of a channel's biased one.
    pub unbiased: fn(&Context, f64) -> f64,
    /// A running statistic moved: of which slot, the old value, and the batch's.
    pub average: fn(&Context, Slot, f64, f64) -> f64,
    /// Whether the running statistics are moved, where there are any.
    pub moves: fn(&Context) -> bool,
    /// All running statistics moved, of the batch's mean and biased variance channel by channel. Not called for an
    /// empty batch, nor where there are none.
    pub move_running: fn(&Context, &Running, &[(f64, f64)]) -> Running,
    /// Mean and variance of a channel when they are the layer's own and not the batch's.
    pub running: fn(&Context, &Running, usize) -> (f64, f64),
    /// What the channels are normalised with, of the mean and variance that were found for each and of the running
    /// statistics where they have moved.
    pub applied: fn(&Context, Vec<Moments>, Option<&Running>) -> Vec<Moments>,
    /// 1/√(var + eps) of a channel.
    pub inverse_std: fn(&Context, usize, f64) -> f64,
    /// x̂ of an element of a channel.
    pub normalise: fn(&Context, usize, &Statistics, f64) -> f64,
    /// y of an element of a channel, of x and x̂.
    pub output: fn(&Context, usize, &Statistics, f64, f64) -> f64,
    /// All of x̂.
    pub all_normalised: fn(&Context, &[Statistics]) -> Rows,
    /// All of y, of all of x̂.
    pub all_output: fn(&Context, &[Statistics], &Rows) -> Rows,
    /// Rows as a tensor of the input's shape and of this type.
    pub write: fn(&Context, DType, &Rows) -> Tensor,
    /// Σ dy and Σ dy·x̂ of a channel.
    pub gradient_sums: fn(&Saved, usize, &[f64]) -> Sums,
    /// The same of all channels.
    pub all_gradient_sums: fn(&Saved, &Rows) -> Vec<Sums>,
    /// The gradient with respect to element k of a channel, of that element's dy.
    pub grad_input: fn(&Saved, usize, &Sums, usize, f64) -> f64,
    /// The gradient with respect to the weight of a channel.
    pub grad_weight: fn(&Saved, usize, &Sums) -> f64,
    /// The gradient with respect to the bias of a channel.
    pub grad_bias: fn(&Saved, usize, &Sums) -> f64,
}

impl Stages {
    /// Sequential, in two passes, one rounding an operation; f16 and bf16 computed in f32.
    pub const fn plain() -> Self {
        Stages {
            arithmetic: plain::arithmetic,
            read: plain::read,
            read_gradient: plain::read_gradient,
            parameter: plain::parameter,
            sum: sums::sequential,
            statistics: plain::statistics,
            all_statistics: plain::all_statistics,
            unbiased: plain::unbiased,
            average: plain::average,
            moves: plain::moves,
            move_running: plain::move_running,
            running: plain::running,
            applied: plain::applied,
            inverse_std: plain::inverse_std,
            normalise: plain::normalise,
            output: plain::output,
            all_normalised: plain::all_normalised,
            all_output: plain::all_output,
            write: plain::write,
            gradient_sums: plain::gradient_sums,
            all_gradient_sums: plain::all_gradient_sums,
            grad_input: plain::grad_input,
            grad_weight: plain::grad_weight,
            grad_bias: plain::grad_bias,
        }
    }
}
