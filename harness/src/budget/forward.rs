//! Budgets of a forward: the normalised values, the output, the moved statistics.

use bn_api::{Channels, DType, Observable, Slot, Wanted};

use super::arithmetic::{Arithmetic, Bounded, magnitudes, stored_as_infinite, times};
use super::state::{PerChannel, State, View};

/// What a layer runs on: the input of the model, or the output of the layer before.
pub(crate) struct Incoming {
    /// The exact elements.
    pub values: Vec<f64>,
    /// How far each may be off; nothing where they are given.
    pub errors: Option<Vec<f64>>,
    /// The shape.
    pub shape: Vec<usize>,
    /// The type in PyTorch.
    pub dtype: DType,
    /// Whether a gradient is asked of it.
    pub requires_grad: bool,
}

/// One forward: what its backward needs to know of it.
pub(crate) struct Pass {
    pub arithmetic: Arithmetic,
    pub input: Vec<f64>,
    /// How far each element of the input may be off.
    input_errors: Option<Vec<f64>>,
    /// The normalised values and the bounds on their errors.
    xhat: Vec<(f64, f64)>,
    /// The input's type in PyTorch.
    pub dtype: DType,
    pub layout: Channels,
    /// The channel of each element.
    numbers: Vec<u32>,
    pub use_batch_stats: bool,
    channels: Vec<Channel>,
    /// Weight and its error at the time of the forward.
    pub gamma: Vec<(f64, f64)>,
    /// The error of the gradient with respect to the input that has accumulated since this forward, and what has.
    pub grad_input: Vec<f64>,
    /// How many backwards have gone through this forward.
    pub backwards: usize,
    /// Whether weight and bias required a gradient.
    pub wanted: Wanted,
    /// The layer's own tensors that the graph refers to.
    pub refers_to: Vec<Slot>,
    /// Whether what it refers to was changed in place, so that no backward goes through it any more.
    pub changed: bool,
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
    /// Whether a sound implementation may overflow on the way.
    pub may_overflow: bool,
}

impl Pass {
    pub fn new(
        eps: f64,
        arithmetic: Arithmetic,
        input: Incoming,
        use_batch_stats: bool,
        before: View<'_>,
        state: &State,
    ) -> Self {
        let Incoming { values, errors, shape, dtype, requires_grad } = input;
        // An empty batch is of any number of channels; the layer has as many as it has.
        let layout =
            if values.is_empty() { Channels::of(&[0, state.weight.len()]) } else { Channels::of(&shape) };
        let running =
            |name, channel: usize| before.tensor(name).map_or(f64::NAN, |tensor| tensor.value(channel));
        let channels = (0..layout.count)
            .map(|channel| {
                if use_batch_stats {
                    Channel::of_batch(arithmetic, eps, &values, errors.as_deref(), layout, channel)
                } else {
                    let mean = (running(Observable::RunningMean, channel), state.running_mean[channel]);
                    let var = (running(Observable::RunningVar, channel), state.running_var[channel]);
                    Channel::of_running(arithmetic, eps, mean, var)
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
        let numbers = layout.of_elements(values.len());
        let mut pass = Pass {
            arithmetic,
            grad_input: vec![0.0; values.len()],
            backwards: 0,
            input: values,
            input_errors: errors,
            xhat: Vec::new(),
            dtype,
            layout,
            numbers,
            use_batch_stats,
            channels,
            gamma,
            wanted: Wanted { input: requires_grad, weight: false, bias: false },
            refers_to: Vec::new(),
            changed: false,
        };
        pass.xhat = (0..pass.input.len()).map(|index| pass.normalised(index)).collect();
        pass
    }

    /// How far an element of the input may be off. What is not a number is none in any answer.
    fn input_error(&self, index: usize) -> f64 {
        let error = self.input_errors.as_ref().map_or(0.0, |errors| errors[index]);
        if error.is_nan() { 0.0 } else { error }
    }

    /// Whether a sound answer is not folded into x·a + b, as the statistics are summed up here, and nothing else is declared.
    fn is_unfolded(&self) -> bool {
        self.use_batch_stats && !self.arithmetic.folds
    }

    pub fn channels(&self) -> impl Iterator<Item = &Channel> {
        self.channels.iter()
    }

    /// 1/sqrt(var + eps) of a channel.
    pub fn invstd(&self, channel: usize) -> f64 {
        self.channels[channel].invstd
    }

    pub fn channel_of(&self, index: usize) -> (usize, &Channel) {
        let channel = self.numbers[index] as usize;
        (channel, &self.channels[channel])
    }

    /// The normalised value of element `index` and the bound on its error.
    pub fn xhat(&self, index: usize) -> (f64, f64) {
        self.xhat[index]
    }

    fn normalised(&self, index: usize) -> (f64, f64) {
        let (_, channel) = self.channel_of(index);
        let x = self.input[index];
        let xhat = (x - channel.mean) * channel.invstd;
        let u = self.arithmetic.u;
        let constants = self.arithmetic.constants;
        // A difference and a product, each rounded once. Where nothing is summed, or it is declared, they may be folded into
        // x·a + b.
        let apart = constants.standardise * u * xhat.abs();
        let folded = channel.invstd * constants.normalise * u * (x.abs() + channel.mean.abs());
        let rounding = match self.use_batch_stats {
            true if self.is_unfolded() => apart,
            true => apart.max(folded),
            false => folded,
        };
        // Both factors may be off, and where x̂ is 0 the product of their errors is all there is.
        let off = channel.invstd * (channel.mean_error + self.input_error(index));
        let error = off + (xhat.abs() + off) * channel.invstd_error + rounding;
        let operands = if self.is_unfolded() {
            xhat.abs()
        } else {
            channel.invstd.max(1.0) * (x.abs() + channel.mean.abs())
        };
        let finite = x.is_finite() && channel.mean.is_finite() && channel.invstd.is_finite();
        let overflows = finite && self.arithmetic.overflows(operands);
        let underflow = self.arithmetic.tiny * (1.0 + channel.invstd);
        let error = error + underflow;
        let incoming = Bounded { value: x, error: self.input_error(index) };
        let anything = if channel.may_overflow || overflows { f64::INFINITY } else { 0.0 };
        let [mean, invstd] = [channel.mean, channel.invstd].map(|value| Bounded { value, error: anything });
        (xhat, Bounded::made_of(&[incoming, mean, invstd], xhat, error).error)
    }

    /// y = gamma·xhat + beta, exactly, and the budgets of its elements, stored as `dtype`.
    pub fn output(&self, dtype: DType, state: &State, before: View<'_>) -> (Vec<f64>, Vec<f64>) {
        let (weight, bias) = (before.tensor(Observable::Weight).is_some(), before.tensor(Observable::Bias));
        let (u, constants) = (self.arithmetic.u, self.arithmetic.constants);
        (0..self.input.len())
            .map(|index| {
                let (channel, stats) = self.channel_of(index);
                let (xhat, xhat_error) = self.xhat(index);
                let (gamma, gamma_error) = self.gamma[channel];
                let beta = bias.map_or(0.0, |bias| bias.value(channel));
                let beta_error = bias.map_or(0.0, |_| state.bias[channel]);
                let scaled = gamma * xhat;
                let exact = scaled + beta;
                // Without weight and bias there is nothing to round.
                let affine = if weight || bias.is_some() { constants.affine } else { 0.0 };
                // The folded form, x·a + b with a = gamma·invstd and b = beta - mean·a.
                let folded = if self.is_unfolded() {
                    0.0
                } else {
                    let a = gamma.abs() * stats.invstd;
                    a.max(a * (self.input[index].abs() + stats.mean.abs()))
                };
                let largest = folded.max(scaled.abs());
                // A number that may be anything may be a NaN where the exact one is none, and the other way round.
                let finite = [self.input[index], gamma, beta].into_iter().all(f64::is_finite);
                let anything = stats.may_overflow || self.arithmetic.overflows(largest);
                if finite && anything {
                    return (exact, f64::INFINITY);
                }
                // Where a sound answer may be anything, a gamma of 0 does not make it exact.
                let passed_on = times(gamma.abs(), xhat_error)
                    + times(xhat.abs(), gamma_error)
                    + times(gamma_error, xhat_error);
                // Of the folded form the factor a may lie below the normal numbers, and the products as well.
                let underflow =
                    self.arithmetic.tiny * (constants.affine + self.input[index].abs() + stats.mean.abs());
                let error = passed_on
                    + underflow
                    + beta_error
                    + affine * u * (scaled.abs() + beta.abs())
                    + self.arithmetic.storage(dtype, exact);
                let parts = [(xhat, xhat_error), (gamma, gamma_error), (beta, beta_error)];
                let parts = parts.map(|(value, error)| Bounded { value, error });
                (exact, Bounded::made_of(&parts, exact, error).error)
            })
            .unzip()
    }

    /// Whether statistics that are what they were may have been moved, which makes nothing of them where they are those
    /// of the batch.
    pub fn may_have_moved(&self, momentum: f64, before: View<'_>) -> bool {
        let n = self.layout.values as f64;
        let stands = |name, batch: &dyn Fn(&Channel) -> f64| {
            let Some(old) = before.tensor(name) else { return false };
            self.channels.iter().enumerate().all(|(channel, stats)| {
                let (old, new) = (old.value(channel), batch(stats));
                // The exact answer has roundings of its own.
                old.is_nan() || (momentum * (new - old)).abs() <= 1e-9 * (old.abs() + new.abs())
            })
        };
        let of_mean = || stands(Observable::RunningMean, &|stats| stats.mean);
        momentum == 0.0 || (of_mean() && stands(Observable::RunningVar, &|stats| stats.var * (n / (n - 1.0))))
    }

    /// The running statistics may be anything where those of the batch overflow.
    pub fn lose_running_stats(&self, state: &mut State) {
        for (channel, stats) in self.channels.iter().enumerate() {
            if stats.may_overflow && self.layout.values > 0 {
                (state.running_mean[channel], state.running_var[channel]) = (f64::INFINITY, f64::INFINITY);
            }
        }
    }

    /// Moves the errors of the running statistics as `(1-m)·old + m·new` moves the statistics.
    pub fn move_running_stats(&self, state: &mut State, momentum: f64, before: View<'_>, after: View<'_>) {
        let n = self.layout.values as f64;
        // An empty batch moves nothing, and one value per channel is refused.
        if n <= 1.0 {
            return;
        }
        let bessel = n / (n - 1.0);
        let u = self.arithmetic.u;
        let moved =
            |name: Observable, dtype, errors: &mut PerChannel, batch: &dyn Fn(&Channel) -> (f64, f64)| {
                let (Some(old), Some(new)) = (before.tensor(name), after.tensor(name)) else { return };
                for (channel, stats) in self.channels.iter().enumerate() {
                    let (value, error) = batch(stats);
                    let error = if stats.may_overflow {
                        f64::INFINITY
                    } else if value.is_finite() {
                        error
                    } else {
                        f64::NAN
                    };
                    let kept = (1.0 - momentum).abs();
                    // Where the update is done in the storage type, momentum itself is rounded to it. What it is off
                    // by, 1 - momentum is off by as well, however small that is.
                    let old = Bounded { value: old.value(channel), error: errors[channel] };
                    let rounding = self.arithmetic.constants.update
                        * (u + self.arithmetic.statistics)
                        * (kept * old.value.abs() + momentum.abs() * value.abs())
                        + self.arithmetic.configured(momentum) * old.value.abs()
                        + self.arithmetic.tiny;
                    let passed_on = if momentum == 0.0 { 0.0 } else { momentum.abs() * error };
                    let new = new.value(channel);
                    let exactly = error == 0.0
                        && old.error == 0.0
                        && self.arithmetic.averages_exactly(momentum, old.value, value);
                    let rounding = if exactly { 0.0 } else { rounding };
                    let moved =
                        self.arithmetic.constants.stored(dtype, new, kept * old.error + passed_on + rounding);
                    let moved = Bounded::made_of(&[old, Bounded { value, error }], new, moved).error;
                    errors[channel] =
                        if stored_as_infinite(dtype, new, moved) { f64::INFINITY } else { moved };
                }
            };
        let [of_mean, of_var] = [Slot::RunningMean, Slot::RunningVar].map(|slot| state.dtype(slot));
        let mean = |stats: &Channel| (stats.mean, stats.mean_error);
        let var = |stats: &Channel| (stats.var * bessel, stats.var_error * bessel);
        moved(Observable::RunningMean, of_mean, &mut state.running_mean, &mean);
        moved(Observable::RunningVar, of_var, &mut state.running_var, &var);
    }
}

impl Channel {
    /// Statistics of the batch, computed in f64 in two passes. What the mean is off by is made good in either: the
    /// exact answers are exact beyond f64 (Chan, Golub and `LeVeque` 1983, (1.7)).
    fn of_batch(
        arithmetic: Arithmetic,
        eps: f64,
        values: &[f64],
        errors: Option<&[f64]>,
        layout: Channels,
        channel: usize,
    ) -> Self {
        let n = layout.values as f64;
        let terms = of_channel(layout, channel, |index| values[index]);
        let magnitudes = magnitudes(&terms);
        let mean_about = |centre: f64| terms.iter().map(|x| x - centre).sum::<f64>() / n;
        let rounded = mean_about(0.0);
        let left = mean_about(rounded);
        let mean = if left.is_finite() { rounded + left } else { rounded };
        let squares: Vec<f64> = terms.iter().map(|x| (x - mean) * (x - mean)).collect();
        let left = mean_about(mean);
        let var = squares.iter().sum::<f64>() / n - left * left;
        let var = if var < 0.0 { 0.0 } else { var };
        let sums_exactly = arithmetic.sums_exactly(&terms, magnitudes);
        let exact = sums_exactly && arithmetic.means_exactly(&terms, mean);
        let (drift_of_mean, drift_of_variance) = arithmetic.welford(&terms, magnitudes, mean, var);
        // The mean of |x| is at most the root of the mean of x².
        let magnitude = mean.hypot(var.sqrt());
        let tiny = arithmetic.tiny * n.sqrt();
        // How far the mean may be off, and how far those on the way to it: means of blocks, and means that are kept up
        // to date, which are stored rounded even where the last one is exact.
        let (off, off_on_the_way) = if exact {
            (0.0, arithmetic.u * mean.abs())
        } else {
            let off = arithmetic.mean(&terms, magnitudes, sums_exactly, drift_of_mean) * magnitude + tiny;
            (off, off)
        };
        // Two passes about a mean that is off by δ give var + δ²; the sum itself adds its own error. Deviations from
        // means on the way are each off by as much as those means are (Chan, Golub, LeVeque 1983). Where squares are
        // added up exactly, a variance that is kept up to date adds up other terms.
        let growth = arithmetic.sum(&squares, self::magnitudes(&squares)).max(arithmetic.random(terms.len()));
        let var_error = 2.0 * growth * var + 2.0 * off_on_the_way * var.sqrt() + off * off + tiny;
        let drift = drift_of_variance + arithmetic.random(terms.len()) * var;
        let var_error = var_error.max(drift);
        // Squares about a mean that is rounded before it is used (Chan, Golub, LeVeque 1983, (1.7)).
        let rounded_off = arithmetic.rounded_statistic(mean);
        let about_it = if rounded_off > 0.0 { rounded_off * (2.0 * off + rounded_off) } else { 0.0 };
        let var_error = var_error + about_it;
        // Of finite values even the sums here may overflow, in f64.
        let finite = terms.iter().all(|x| x.is_finite());
        let sum = n * (var + off * off + mean.abs());
        let sums_overflow = finite && (sum.is_nan() || arithmetic.overflows(sum));
        // An input that is off by e moves the mean by at most the mean of e, and the variance by twice the mean of
        // |x - mean|·e and the mean of e².
        let (shift, spread) = errors.map_or((0.0, 0.0), |errors| {
            let off = |index: usize| if errors[index].is_nan() { 0.0 } else { errors[index] };
            let shift = layout.indices(channel).map(off).sum::<f64>() / n;
            let products = layout.indices(channel).zip(&terms).map(|(index, x)| {
                let e = off(index);
                times(2.0 * (x - mean).abs(), e) + e * e
            });
            (shift, products.sum::<f64>() / n)
        });
        // Beyond half the variance nothing is known of what comes in.
        let degenerate = spread > 0.0 && spread >= 0.5 * (var + eps).abs();
        let stats = Channel::with(arithmetic, eps, mean, var, var_error + spread);
        let mean_error = off + shift + rounded_off;
        let may_overflow = sums_overflow || degenerate || shift.is_infinite() || stats.may_overflow;
        Channel { mean_error, may_overflow, ..stats }
    }

    /// The running statistics, each with the error it carries.
    fn of_running(arithmetic: Arithmetic, eps: f64, mean: (f64, f64), var: (f64, f64)) -> Self {
        let ((mean, mean_error), (var, var_error)) = (mean, var);
        let stats = Channel::with(arithmetic, eps, mean, var, var_error);
        // A sound answer may have a root of nothing, or of less, and one where the exact answer has none.
        let degenerate = var_error > 0.0 && var_error >= 0.5 * (var + eps).abs();
        // An infinite variance is divided by, and there are numbers again.
        let unbounded = mean_error.is_infinite() || !var_error.is_finite();
        let may_overflow = unbounded || degenerate || stats.may_overflow;
        let mean_error = mean_error + arithmetic.rounded_statistic(mean);
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
            var_error,
            invstd_error: relative_error_of_invstd(var + eps, eps, var_error)
                + arithmetic.constants.rounded_inverse_std * arithmetic.statistics,
            may_overflow: invstd.is_finite() && invstd > arithmetic.largest_statistic,
        }
    }
}

/// What there is of each value of a channel, by its index.
pub(crate) fn of_channel<T>(layout: Channels, channel: usize, of: impl Fn(usize) -> T) -> Vec<T> {
    // How many indices there are the iterator does not know.
    let mut all = Vec::with_capacity(layout.values);
    layout.indices(channel).for_each(|index| all.push(of(index)));
    all
}

/// By what share 1/√(var + eps) is off where var + eps may be off by `error`, and no variance is below 0. To first order
/// half the share of its own.
fn relative_error_of_invstd(exact: f64, eps: f64, error: f64) -> f64 {
    if error == 0.0 {
        return 0.0;
    }
    // A running variance may have been given as less than 0.
    let floor = if exact < eps { f64::MIN_POSITIVE } else { eps };
    let [least, most] = [(exact - error).max(floor), exact + error];
    ((exact / least).sqrt() - 1.0).max(1.0 - (exact / most).sqrt())
}
