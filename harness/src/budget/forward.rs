//! Budgets of a forward: the normalised values, the output, the moved statistics.

use bn_api::{Channels, DType, LayerConfig, Observable, StepAnswer, Tensor};

use super::arithmetic::{Arithmetic, storage, stored_as_infinite, times};
use super::constants;
use super::state::{PerChannel, State};

/// One forward: what its backward needs to know of it.
pub(crate) struct Pass {
    pub arithmetic: Arithmetic,
    pub input: Vec<f64>,
    pub layout: Channels,
    pub use_batch_stats: bool,
    channels: Vec<Channel>,
    /// Weight and its error at the time of the forward.
    pub gamma: Vec<(f64, f64)>,
    /// The error of the gradient with respect to the input that has accumulated since this forward.
    pub grad_input: Vec<f64>,
    /// How many backwards have gone through this forward.
    pub backwards: usize,
}

/// The statistics that one channel is normalised with, exactly, and their errors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Channel {
    /// The mean.
    pub mean: f64,
    /// The biased variance.
    pub var: f64,
    /// 1/sqrt(var + eps).
    pub invstd: f64,
    /// |mean| / sqrt(var + eps).
    pub kappa: f64,
    /// Bound on the error of the mean.
    mean_error: f64,
    /// Bound on the error of the variance.
    var_error: f64,
    /// Bound on the relative error of `invstd`.
    pub invstd_error: f64,
    /// Error of a sum over the channel's values, relative to the sum of their magnitudes.
    growth: f64,
    /// Whether a sound implementation may overflow on the way.
    pub may_overflow: bool,
}

impl Pass {
    pub fn new(
        layer: &LayerConfig,
        arithmetic: Arithmetic,
        input: &Tensor,
        use_batch_stats: bool,
        before: &StepAnswer,
        state: &State,
    ) -> Self {
        let values = input.values();
        let layout = input.channels();
        let running =
            |name, channel: usize| before.tensor(name).map_or(f64::NAN, |tensor| tensor.value(channel));
        let channels = (0..layout.count)
            .map(|channel| {
                if use_batch_stats {
                    Channel::of_batch(arithmetic, layer.eps, &values, layout, channel)
                } else {
                    let mean = (running(Observable::RunningMean, channel), state.running_mean[channel]);
                    let var = (running(Observable::RunningVar, channel), state.running_var[channel]);
                    Channel::of_running(arithmetic, layer.eps, mean, var)
                }
            })
            .collect();
        let weight = before.tensor(Observable::Weight);
        let gamma = (0..layout.count)
            .map(|channel| match weight {
                Some(weight) => (weight.value(channel), state.weight[channel]),
                None => (1.0, 0.0),
            })
            .collect();
        Pass {
            arithmetic,
            grad_input: vec![0.0; values.len()],
            backwards: 0,
            input: values,
            layout,
            use_batch_stats,
            channels,
            gamma,
        }
    }

    pub fn channels(&self) -> impl Iterator<Item = &Channel> {
        self.channels.iter()
    }

    pub fn channel_of(&self, index: usize) -> (usize, &Channel) {
        let channel = self.layout.channel_of(index);
        (channel, &self.channels[channel])
    }

    /// The normalised value of element `index` and the bound on its error.
    pub fn xhat(&self, index: usize) -> (f64, f64) {
        let (_, channel) = self.channel_of(index);
        let x = self.input[index];
        let xhat = (x - channel.mean) * channel.invstd;
        let u = self.arithmetic.u;
        let error = if self.use_batch_stats {
            // The mean's error over the standard deviation, and the variance's: flat in kappa, in this unit, for
            // every stable algorithm.
            channel.growth * (1.0 + channel.kappa) * xhat.abs().max(1.0)
        } else {
            let operands = constants::NORMALISE * u * (x.abs() + channel.mean.abs());
            channel.invstd * (operands + channel.mean_error) + xhat.abs() * channel.invstd_error
        };
        let rounded_statistics = self.arithmetic.statistics * (channel.kappa + xhat.abs());
        let operands = if self.use_batch_stats {
            xhat.abs()
        } else {
            channel.invstd.max(1.0) * (x.abs() + channel.mean.abs())
        };
        let finite = x.is_finite() && channel.mean.is_finite() && channel.invstd.is_finite();
        let overflows = finite && self.arithmetic.overflows(operands);
        let underflow = self.arithmetic.tiny * (1.0 + channel.invstd);
        let error = error + rounded_statistics + underflow;
        (xhat, if channel.may_overflow || overflows { f64::INFINITY } else { error })
    }

    /// Budgets of y = gamma·xhat + beta.
    pub fn output(&self, layer: &LayerConfig, state: &State, before: &StepAnswer) -> Vec<f64> {
        let bias = before.tensor(Observable::Bias);
        let u = self.arithmetic.u;
        (0..self.input.len())
            .map(|index| {
                let (channel, stats) = self.channel_of(index);
                let (xhat, xhat_error) = self.xhat(index);
                let (gamma, gamma_error) = self.gamma[channel];
                let beta = bias.map_or(0.0, |bias| bias.value(channel));
                let beta_error = bias.map_or(0.0, |_| state.bias[channel]);
                let scaled = gamma * xhat;
                // The folded form, x·a + b with a = gamma·invstd and b = beta - mean·a, where nothing is summed.
                let folded = if self.use_batch_stats {
                    0.0
                } else {
                    let a = gamma.abs() * stats.invstd;
                    a.max(a * (self.input[index].abs() + stats.mean.abs()))
                };
                let largest = folded.max(scaled.abs());
                // A number that may be anything may be a NaN where the exact one is none, and the other way round.
                let finite = [self.input[index], gamma, beta].into_iter().all(f64::is_finite);
                let anything = stats.may_overflow || self.arithmetic.overflows(largest);
                if (finite && anything) || (gamma_error + beta_error).is_infinite() {
                    return f64::INFINITY;
                }
                // Where a sound answer may be anything, a gamma of 0 does not make it exact.
                let passed_on = times(gamma.abs(), xhat_error)
                    + times(xhat.abs(), gamma_error)
                    + times(gamma_error, xhat_error);
                // Of the folded form the factor a may lie below the normal numbers, and the products as well.
                let underflow =
                    self.arithmetic.tiny * (constants::AFFINE + self.input[index].abs() + stats.mean.abs());
                passed_on
                    + underflow
                    + beta_error
                    + constants::AFFINE * u * (scaled.abs() + beta.abs())
                    + storage(layer.input_dtype, scaled + beta)
            })
            .collect()
    }

    /// Moves the errors of the running statistics as `(1-m)·old + m·new` moves the statistics.
    pub fn move_running_stats(
        &self,
        state: &mut State,
        dtype: DType,
        momentum: f64,
        before: &StepAnswer,
        after: &StepAnswer,
    ) {
        let n = self.layout.values as f64;
        if n == 0.0 {
            return;
        }
        let bessel = n / (n - 1.0);
        let u = self.arithmetic.u;
        let moved = |name: Observable, errors: &mut PerChannel, batch: &dyn Fn(&Channel) -> (f64, f64)| {
            let (Some(old), Some(new)) = (before.tensor(name), after.tensor(name)) else { return };
            for (channel, stats) in self.channels.iter().enumerate() {
                let (value, error) = batch(stats);
                let kept = (1.0 - momentum).abs();
                // Where the update is done in the storage type, momentum itself is rounded to it. What it is off
                // by, 1 - momentum is off by as well, however small that is.
                let old = old.value(channel).abs();
                let rounding = constants::UPDATE
                    * (u + self.arithmetic.statistics)
                    * (kept * old + momentum.abs() * value.abs())
                    + self.arithmetic.configured(momentum) * old
                    + self.arithmetic.tiny;
                let passed_on = if momentum == 0.0 { 0.0 } else { momentum.abs() * error };
                errors[channel] =
                    times(kept, errors[channel]) + passed_on + rounding + storage(dtype, new.value(channel));
                if stats.may_overflow || stored_as_infinite(dtype, new.value(channel), errors[channel]) {
                    errors[channel] = f64::INFINITY;
                }
            }
        };
        moved(Observable::RunningMean, &mut state.running_mean, &|stats| (stats.mean, stats.mean_error));
        moved(Observable::RunningVar, &mut state.running_var, &|stats| {
            (stats.var * bessel, stats.var_error * bessel)
        });
    }
}

impl Channel {
    /// Statistics of the batch, computed in f64 in two passes.
    fn of_batch(arithmetic: Arithmetic, eps: f64, values: &[f64], layout: Channels, channel: usize) -> Self {
        let n = layout.values as f64;
        let mean = layout.indices(channel).map(|index| values[index]).sum::<f64>() / n;
        let terms: Vec<f64> = layout.indices(channel).map(|index| values[index]).collect();
        let squares: Vec<f64> = terms.iter().map(|x| (x - mean) * (x - mean)).collect();
        let var = squares.iter().sum::<f64>() / n;
        let (growth_of_mean, growth_of_var) = (arithmetic.sum(&terms), arithmetic.sum(&squares));
        let growth = growth_of_mean.max(growth_of_var);
        // The mean of |x| is at most the root of the mean of x².
        let magnitude = (mean * mean + var).sqrt();
        let off = growth_of_mean * magnitude;
        let mean_error = off + arithmetic.statistics * mean.abs() + arithmetic.tiny;
        // Two passes about a mean that is off by δ give var + δ²; the sum itself adds its own error. A square
        // may fall below the smallest number of the arithmetic.
        let var_error = 2.0 * growth_of_var * var + off * off + arithmetic.tiny;
        // Of finite values even the sums here may overflow, in f64.
        let finite = terms.iter().all(|x| x.is_finite());
        let sum = n * (var + off * off + mean.abs());
        let sums_overflow = finite && (sum.is_nan() || arithmetic.overflows(sum));
        let stats = Channel::with(arithmetic, eps, mean, var, var_error);
        let may_overflow = sums_overflow || stats.may_overflow;
        Channel { mean_error, var_error, growth, may_overflow, ..stats }
    }

    /// The running statistics, each with the error it carries.
    fn of_running(arithmetic: Arithmetic, eps: f64, mean: (f64, f64), var: (f64, f64)) -> Self {
        let ((mean, mean_error), (var, var_error)) = (mean, var);
        let stats = Channel::with(arithmetic, eps, mean, var, var_error);
        // A sound answer may have a root of nothing, or of less, and one where the exact answer has none.
        let degenerate = var_error > 0.0 && var_error >= 0.5 * (var + eps).abs();
        // What is infinite itself gives no number in any answer, and no bound is needed to say so.
        let unbounded = (mean_error.is_infinite() && mean.is_finite()) || var_error.is_infinite();
        let may_overflow = unbounded || degenerate || stats.may_overflow;
        let mean_error = mean_error + arithmetic.statistics * mean.abs();
        Channel { mean_error, var_error, may_overflow, ..stats }
    }

    fn with(arithmetic: Arithmetic, eps: f64, mean: f64, var: f64, var_error: f64) -> Self {
        let invstd = 1.0 / (var + eps).sqrt();
        Channel {
            mean,
            var,
            invstd,
            kappa: mean.abs() * invstd,
            mean_error: 0.0,
            var_error: 0.0,
            invstd_error: 0.5 * var_error / (var + eps)
                + constants::INVERSE_STD * arithmetic.u
                + arithmetic.statistics,
            growth: 0.0,
            may_overflow: invstd.is_finite() && invstd > arithmetic.largest_statistic,
        }
    }
}
