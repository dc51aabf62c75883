//! Budgets of a backward.

use bn_api::{DType, Observable, Request, StepAnswer, Tensor};

use super::arithmetic::{storage, stored_as_infinite, times};
use super::forward::Pass;
use super::state::{PerChannel, State};
use super::{Budgets, constants};

/// A number and the bound on its error.
#[derive(Debug, Clone, Copy, Default)]
struct Bounded {
    value: f64,
    error: f64,
}

/// Sums over one channel.
struct Sums {
    /// Σ dy.
    dy: Bounded,
    /// Σ dy·xhat; its error is that of the sum, and what xhat's own error makes of it.
    dy_xhat: Bounded,
}

/// The budgets of the three gradients; what accumulates is added to the state and the pass.
pub(crate) fn budgets(
    pass: &mut Pass,
    state: &mut State,
    request: &Request,
    grad_output: &Tensor,
    after: &StepAnswer,
) -> Budgets {
    let dy = grad_output.values();
    let sums: Vec<Sums> = (0..pass.layout.count).map(|channel| sums(pass, &dy, channel)).collect();
    let mut budgets = Vec::new();
    if let Some(total) = after.tensor(Observable::GradInput) {
        let dtype = request.layer.input_dtype;
        let added = (0..dy.len()).map(|index| grad_input(pass, &sums, &dy, index)).collect();
        let first = pass.backwards == 0;
        accumulate(&mut pass.grad_input, added, total, dtype, first);
        budgets.push((Observable::GradInput, pass.grad_input.clone()));
        lose_infinite(&mut pass.grad_input, total, dtype);
    }
    pass.backwards += 1;
    let first = !std::mem::replace(&mut state.has_grads, true);
    let mut parameter = |name: Observable, errors: &mut PerChannel, added: Vec<Bounded>| {
        let Some(total) = after.tensor(name) else { return };
        accumulate(errors, added, total, request.layer.dtype, first);
        budgets.push((name, errors.clone()));
        lose_infinite(errors, total, request.layer.dtype);
    };
    parameter(Observable::GradWeight, &mut state.grad_weight, sums.iter().map(|sums| sums.dy_xhat).collect());
    parameter(Observable::GradBias, &mut state.grad_bias, sums.iter().map(|sums| sums.dy).collect());
    budgets
}

/// Adds one backward's gradient to what has accumulated. The first is stored as it is; later ones are stored,
/// added, and stored again.
fn accumulate(errors: &mut [f64], added: Vec<Bounded>, total: &Tensor, dtype: DType, first: bool) {
    for (index, (error, added)) in errors.iter_mut().zip(added).enumerate() {
        let of_its_own = if first { 0.0 } else { storage(dtype, added.value) };
        let unbounded = error.is_infinite() || added.error.is_infinite();
        *error += added.error + of_its_own + storage(dtype, total.value(index));
        if unbounded || (!first && stored_as_infinite(dtype, added.value, added.error)) {
            *error = f64::INFINITY;
        }
    }
}

/// What is stored as infinite stays so, whatever is added to it.
fn lose_infinite(errors: &mut [f64], total: &Tensor, dtype: DType) {
    for (index, error) in errors.iter_mut().enumerate() {
        if stored_as_infinite(dtype, total.value(index), *error) {
            *error = f64::INFINITY;
        }
    }
}

fn sums(pass: &Pass, dy: &[f64], channel: usize) -> Sums {
    let terms = |term: &dyn Fn(usize) -> Bounded| {
        let (values, errors): (Vec<f64>, Vec<f64>) =
            pass.layout.indices(channel).map(term).map(|term| (term.value, term.error)).unzip();
        let sum = values.iter().sum::<f64>();
        let magnitudes = values.iter().map(|value| value.abs()).sum::<f64>();
        let passed_on = errors.iter().sum::<f64>();
        let finite = values.iter().all(|value| value.is_finite());
        let error = if passed_on.is_infinite() || (finite && pass.arithmetic.overflows(magnitudes)) {
            f64::INFINITY
        } else if finite {
            pass.arithmetic.sum(&values) * magnitudes + passed_on
        } else {
            // No answer is a number, and none needs a bound.
            f64::NAN
        };
        Bounded { value: sum, error }
    };
    Sums {
        dy: terms(&|index| Bounded { value: dy[index], error: 0.0 }),
        dy_xhat: terms(&|index| {
            let (xhat, xhat_error) = pass.xhat(index);
            let error = times(dy[index].abs(), xhat_error) + pass.arithmetic.tiny;
            Bounded { value: dy[index] * xhat, error }
        }),
    }
}

/// One element of gamma·invstd·(dy - mean(dy) - xhat·mean(dy·xhat)), or of gamma·invstd·dy where the statistics
/// are constants.
fn grad_input(pass: &Pass, sums: &[Sums], dy: &[f64], index: usize) -> Bounded {
    let (number, channel) = pass.channel_of(index);
    let (gamma, gamma_error) = pass.gamma[number];
    let (bracket, terms, terms_error) = if pass.use_batch_stats {
        let n = pass.layout.values as f64;
        let (xhat, xhat_error) = pass.xhat(index);
        let mean = |sum: Bounded| Bounded { value: sum.value / n, error: sum.error / n };
        let (mean_dy, mean_dy_xhat) = (mean(sums[number].dy), mean(sums[number].dy_xhat));
        let bracket = dy[index] - mean_dy.value - xhat * mean_dy_xhat.value;
        let terms = dy[index].abs() + mean_dy.value.abs() + (xhat * mean_dy_xhat.value).abs();
        // Of the product of xhat and its mean with dy both factors may be off; where the exact ones are 0, as in
        // a constant channel, the product of the errors is all there is.
        let error = mean_dy.error
            + times(mean_dy_xhat.value.abs(), xhat_error)
            + times(xhat.abs(), mean_dy_xhat.error)
            + times(xhat_error, mean_dy_xhat.error);
        (bracket, terms, error)
    } else {
        (dy[index], dy[index].abs(), 0.0)
    };
    let scale = gamma.abs() * channel.invstd;
    let rounding = constants::GRADIENT * pass.arithmetic.u * terms + channel.invstd_error * bracket.abs();
    // Products of gamma, 1/sqrt(var + eps) and the bracket, in whatever order two of them come first. What falls
    // below the normal numbers then is multiplied by the third.
    let invstd = channel.invstd;
    let (largest, underflow) = {
        let pairs = [gamma.abs() * invstd, gamma.abs() * terms, invstd * terms];
        let largest = pairs.into_iter().chain([terms, scale * terms]).fold(0.0, f64::max);
        (largest, pass.arithmetic.tiny * (terms + gamma.abs() + invstd + scale))
    };
    let anything = channel.may_overflow || terms_error.is_infinite() || pass.arithmetic.overflows(largest);
    // Of what is infinite itself no answer makes a number, and none needs a bound.
    let infinite = pass.use_batch_stats && sums[number].dy.error.is_nan();
    let finite = gamma.is_finite() && dy[index].is_finite() && !infinite;
    let error = if (anything && finite) || gamma_error.is_infinite() {
        f64::INFINITY
    } else {
        // Gamma and the bracket may both be off: where the exact bracket is 0 the product of the errors is all.
        let bracket_error = terms_error + rounding;
        times(scale, bracket_error)
            + times(invstd * bracket.abs(), gamma_error)
            + times(invstd * gamma_error, bracket_error)
            + underflow
    };
    Bounded { value: gamma * channel.invstd * bracket, error }
}
