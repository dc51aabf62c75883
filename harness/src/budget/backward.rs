//! Budgets of a backward.

use bn_api::{DType, Observable, Slot, Tensor};
use bn_cases::case::LayerMode;

use super::arithmetic::{Bounded, magnitudes, stored_as_infinite, times};
use super::constants::Constants;
use super::forward::{Pass, of_channel};
use super::state::{Accumulated, State, View};

/// Sums over one channel.
struct Sums {
    /// Σ dy.
    dy: Bounded,
    /// Σ dy·xhat; its error is that of the sum, and what xhat's own error makes of it.
    dy_xhat: Bounded,
    /// What the errors of both are where the terms are multiplied by gamma/sqrt(var + eps) before they are added up, as where
    /// the gradient is taken of one operation after the other.
    scaled: [f64; 2],
}

/// Their means.
struct Means {
    dy: Bounded,
    dy_xhat: Bounded,
}

impl Means {
    fn of(sums: &Sums, values: usize) -> Self {
        let n = values as f64;
        let mean =
            |sum: Bounded, scaled: f64| Bounded { value: sum.value / n, error: sum.error.max(scaled) / n };
        let [of_dy, of_dy_xhat] = sums.scaled;
        Means { dy: mean(sums.dy, of_dy), dy_xhat: mean(sums.dy_xhat, of_dy_xhat) }
    }
}

/// Adds the errors of one backward to what has accumulated in the state and the pass. Gives the gradient with respect
/// to the input, that of this backward alone, as it is stored.
pub(crate) fn go_back(
    pass: &mut Pass,
    state: &mut State,
    dy: &[Bounded],
    mode: &LayerMode,
    after: View<'_>,
) -> Vec<Bounded> {
    let sums: Vec<Sums> = (0..pass.layout.count).map(|channel| sums(pass, dy, channel)).collect();
    let means: Vec<Means> = sums.iter().map(|sums| Means::of(sums, pass.layout.values)).collect();
    let own: Vec<Bounded> = (0..dy.len()).map(|index| grad_input(pass, &means, dy[index], index)).collect();
    let (dtype, constants) = (pass.dtype, pass.arithmetic.constants);
    if let Some(total) = after.tensor(Observable::GradInput) {
        let total = total.values();
        accumulate(constants, &mut pass.grad_input, &own, &total, dtype, pass.backwards == 0);
        lose_infinite(&mut pass.grad_input, &total, dtype);
    }
    pass.backwards += 1;
    let [of_weight, of_bias] = [Slot::Weight, Slot::Bias].map(|slot| state.dtype(slot));
    let parameters = [
        (Observable::GradWeight, pass.wanted.weight && mode.weight, &mut state.grad_weight, of_weight),
        (Observable::GradBias, pass.wanted.bias && mode.bias, &mut state.grad_bias, of_bias),
    ];
    for (name, wanted, errors, dtype) in parameters {
        if !wanted {
            continue;
        }
        let added: Vec<Bounded> = sums
            .iter()
            .map(|sums| if name == Observable::GradWeight { sums.dy_xhat } else { sums.dy })
            .collect();
        let first = errors.is_none();
        let none = || Accumulated { errors: vec![0.0; added.len()], seen: Vec::new() };
        let Accumulated { errors, seen } = errors.get_or_insert_with(none);
        // Of a backward that ends on its way the gradients are not seen.
        let sum = |(index, added): (usize, &Bounded)| seen.get(index).copied().unwrap_or(0.0) + added.value;
        let unseen = || added.iter().enumerate().map(sum).collect();
        let total = after.tensor(name).map_or_else(unseen, Tensor::values);
        accumulate(constants, errors, &added, &total, dtype, first);
        lose_infinite(errors, &total, dtype);
        *seen = total;
    }
    let stored = |gradient: Bounded| {
        let Bounded { value, error } = gradient;
        let error = if stored_as_infinite(dtype, value, error) { f64::INFINITY } else { error };
        Bounded::made_of(&[Bounded { value, error }], value, error + constants.storage(dtype, value))
    };
    own.into_iter().map(stored).collect()
}

/// Adds one backward's gradient to what has accumulated. The first is stored as it is; later ones are stored,
/// added, and stored again.
fn accumulate(
    constants: Constants,
    errors: &mut [f64],
    added: &[Bounded],
    total: &[f64],
    dtype: DType,
    first: bool,
) {
    for (index, (error, added)) in errors.iter_mut().zip(added).enumerate() {
        let of_its_own = if first { added.error } else { constants.stored(dtype, added.value, added.error) };
        let sum = constants.stored(dtype, total[index], *error + of_its_own);
        // In f64 the exact total is rounded as well.
        let of_exact = !first && dtype == DType::F64;
        let sum = if of_exact { sum + constants.storage(dtype, total[index]) } else { sum };
        let infinite = !first && stored_as_infinite(dtype, added.value, added.error);
        let before = Bounded { value: 0.0, error: if infinite { f64::INFINITY } else { *error } };
        *error = Bounded::made_of(&[before, *added], total[index], sum).error;
    }
}

/// What is stored as infinite stays so, whatever is added to it.
fn lose_infinite(errors: &mut [f64], total: &[f64], dtype: DType) {
    for (index, error) in errors.iter_mut().enumerate() {
        if stored_as_infinite(dtype, total[index], *error) {
            *error = f64::INFINITY;
        }
    }
}

fn sums(pass: &Pass, dy: &[Bounded], channel: usize) -> Sums {
    let (invstd, gamma) = (pass.invstd(channel), pass.gamma[channel].0);
    // Powers of two take nothing from what is exact.
    let scales_exactly = [invstd, gamma].into_iter().all(is_power_of_two);
    // Products come before or after the sum: what a term may be multiplied by then, `first` in any order, or where the
    // gradient is taken of one operation after the other, by gamma as well.
    let scale = [gamma.abs(), invstd, gamma.abs() * invstd].into_iter().fold(1.0, f64::max);
    let sum = |terms: Vec<Bounded>, first: f64| {
        let values: Vec<f64> = terms.iter().map(|term| term.value).collect();
        let sum = values.iter().sum::<f64>();
        let magnitudes = magnitudes(&values);
        let passed_on = terms.iter().map(|term| term.error).sum::<f64>();
        let finite = values.iter().all(|value| value.is_finite());
        let of_sum = pass.arithmetic.sum(&values, magnitudes);
        let of_scaled =
            if of_sum == 0.0 && !scales_exactly { pass.arithmetic.alike(values.len()) } else { of_sum };
        let made = |of_sum: f64, first: f64| {
            if finite && pass.arithmetic.overflows(magnitudes * first) {
                return Bounded { value: sum, error: f64::INFINITY };
            }
            Bounded::made_of(&terms, sum, of_sum * magnitudes + passed_on)
        };
        (made(of_sum, first), made(of_scaled, first * scale).error)
    };
    // Σ dy·(x - mean) may come first, and 1/sqrt(var + eps) after it, which makes more of what fell below the normal numbers.
    let centred = (1.0 / invstd).max(1.0);
    let tiny = pass.arithmetic.tiny * invstd.max(1.0);
    let product = |index: usize| {
        let (xhat, xhat_error) = pass.xhat(index);
        let (dy, xhat) = (dy[index], Bounded { value: xhat, error: xhat_error });
        let error = dy.value.abs() * xhat.error + xhat.value.abs() * dy.error + dy.error * xhat.error;
        Bounded::made_of(&[dy, xhat], dy.value * xhat.value, error + tiny)
    };
    let (dy_alone, scaled_dy) = sum(of_channel(pass.layout, channel, |index| dy[index]), 1.0);
    let (dy_xhat, scaled_dy_xhat) = sum(of_channel(pass.layout, channel, product), centred);
    Sums { dy: dy_alone, dy_xhat, scaled: [scaled_dy, scaled_dy_xhat] }
}

/// Whether multiplying by a number changes an exponent alone.
fn is_power_of_two(number: f64) -> bool {
    number.is_normal() && number.to_bits() & ((1 << (f64::MANTISSA_DIGITS - 1)) - 1) == 0
}

/// One element of gamma·invstd·(dy - mean(dy) - xhat·mean(dy·xhat)), or of gamma·invstd·dy where the statistics
/// are constants.
fn grad_input(pass: &Pass, means: &[Means], of_dy: Bounded, index: usize) -> Bounded {
    let (number, channel) = pass.channel_of(index);
    let (gamma, gamma_error) = pass.gamma[number];
    let Bounded { value: dy, error: dy_error } = of_dy;
    let (bracket, terms) = if pass.use_batch_stats {
        let (xhat, xhat_error) = pass.xhat(index);
        let Means { dy: mean_dy, dy_xhat: mean_dy_xhat } = means[number];
        let bracket = dy - mean_dy.value - xhat * mean_dy_xhat.value;
        let terms = dy.abs() + mean_dy.value.abs() + (xhat * mean_dy_xhat.value).abs();
        // Of the product of xhat and its mean with dy both factors may be off; where the exact ones are 0, as in
        // a constant channel, the product of the errors is all there is.
        let error = dy_error
            + mean_dy.error
            + times(mean_dy_xhat.value.abs(), xhat_error)
            + times(xhat.abs(), mean_dy_xhat.error)
            + times(xhat_error, mean_dy_xhat.error);
        let parts = [of_dy, mean_dy, Bounded { value: xhat, error: xhat_error }, mean_dy_xhat];
        (Bounded::made_of(&parts, bracket, error), terms)
    } else {
        (of_dy, dy.abs())
    };
    let scale = gamma.abs() * channel.invstd;
    let rounding = pass.arithmetic.constants.gradient * pass.arithmetic.u * terms
        + channel.invstd_error * bracket.value.abs()
        + times(channel.invstd_error, bracket.error);
    // Products of gamma, 1/sqrt(var + eps) and the bracket, in whatever order two of them come first. What falls
    // below the normal numbers then is multiplied by the third.
    let invstd = channel.invstd;
    let (largest, underflow) = {
        // In training the bracket may be of sums, n·dy - Σ dy - x̂·Σ dy·x̂, and be divided by n at the end.
        let of_sums = if pass.use_batch_stats { pass.layout.values as f64 * terms } else { terms };
        let all = [gamma.abs() * invstd, gamma.abs() * terms, invstd * terms, of_sums, scale * terms];
        let largest = all.into_iter().fold(0.0, f64::max);
        // The gradient of the variance is multiplied by x - mean, what it has lost as well.
        let centred = if pass.use_batch_stats { (pass.xhat(index).0 / invstd).abs() } else { 0.0 };
        (largest, pass.arithmetic.tiny * (terms + gamma.abs() + invstd + scale + centred))
    };
    // Gamma and the bracket may both be off: where the exact bracket is 0 the product of the errors is all.
    let bracket_error = bracket.error + rounding;
    let error = times(scale, bracket_error)
        + times(invstd * bracket.value.abs(), gamma_error)
        + times(invstd * gamma_error, bracket_error)
        + underflow;
    let anything = channel.may_overflow || pass.arithmetic.overflows(largest);
    let invstd = Bounded { value: invstd, error: if anything { f64::INFINITY } else { 0.0 } };
    let gamma = Bounded { value: gamma, error: gamma_error };
    Bounded::made_of(&[gamma, bracket, invstd], gamma.value * invstd.value * bracket.value, error)
}
