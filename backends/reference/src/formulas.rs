//! The formulas.
//!
//! Names: `x` holds one channel a row and that channel's n values in its columns; `dy` is the gradient of the
//! loss with respect to the output y, in the same form; everything of length C is a vector with one entry a
//! channel. `gamma` and `beta` are PyTorch's weight and bias.

#![allow(clippy::needless_pass_by_value, reason = "a view is a reference already")]

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, NdFloat, Zip};

/// A count or a configured number in the type of the computation.
///
/// # Panics
/// Never for the floating-point types: every `f64` has a nearest number in them.
pub fn number<A: NdFloat>(value: f64) -> A {
    A::from(value).expect("a floating-point type takes any f64")
}

/// n, the values of each channel.
fn count<A: NdFloat>(x: ArrayView2<'_, A>) -> A {
    number(x.ncols() as f64)
}

/// Every value of each channel, made into another as `of_channel` says for the channel of this number.
fn each<A: NdFloat, F: Fn(A) -> A>(mut x: Array2<A>, of_channel: impl Fn(usize) -> F) -> Array2<A> {
    for (channel, mut values) in x.outer_iter_mut().enumerate() {
        values.mapv_inplace(of_channel(channel));
    }
    x
}

/// μ = 1/n Σ x. Algorithm 1, line 1.
pub fn batch_mean<A: NdFloat>(x: ArrayView2<'_, A>) -> Array1<A> {
    x.sum_axis(Axis(1)) / count(x)
}

/// σ² = 1/n Σ (x - μ)²: biased, and in two passes. Algorithm 1, line 2.
pub fn batch_variance<A: NdFloat>(x: ArrayView2<'_, A>, mean: ArrayView1<'_, A>) -> Array1<A> {
    let squares = each(x.to_owned(), |channel| {
        let mean = mean[channel];
        move |x| (x - mean) * (x - mean)
    });
    squares.sum_axis(Axis(1)) / count(x)
}

/// 1 / √(σ² + ε).
pub fn inverse_std<A: NdFloat>(variance: ArrayView1<'_, A>, eps: A) -> Array1<A> {
    variance.mapv(|variance| A::one() / (variance + eps).sqrt())
}

/// x̂ = (x - μ) / √(σ² + ε). Algorithm 1, line 3.
pub fn normalise<A: NdFloat>(
    x: Array2<A>,
    mean: ArrayView1<'_, A>,
    inverse_std: ArrayView1<'_, A>,
) -> Array2<A> {
    each(x, |channel| {
        let (mean, inverse_std) = (mean[channel], inverse_std[channel]);
        move |x| (x - mean) * inverse_std
    })
}

/// y = γ x̂ + β. Algorithm 1, line 4.
pub fn scale_and_shift<A: NdFloat>(
    xhat: ArrayView2<'_, A>,
    gamma: ArrayView1<'_, A>,
    beta: ArrayView1<'_, A>,
) -> Array2<A> {
    each(xhat.to_owned(), |channel| {
        let (gamma, beta) = (gamma[channel], beta[channel]);
        move |xhat| xhat * gamma + beta
    })
}

/// n/(n-1) σ²: the unbiased variance, which PyTorch's running variance averages (Bessel's correction; the
/// paper's Algorithm 2, line 10).
pub fn unbiased<A: NdFloat>(variance: ArrayView1<'_, A>, n: A) -> Array1<A> {
    variance.mapv(|variance| variance * n / (n - A::one()))
}

/// (1 - momentum) · running + momentum · batch: PyTorch's convention, in which momentum weighs the new batch.
pub fn moving_average<A: NdFloat>(
    running: ArrayView1<'_, A>,
    batch: ArrayView1<'_, A>,
    momentum: A,
) -> Array1<A> {
    &running * (A::one() - momentum) + &batch * momentum
}

/// ∂l/∂β = Σ dy. §3, last line.
pub fn grad_bias<A: NdFloat>(dy: ArrayView2<'_, A>) -> Array1<A> {
    dy.sum_axis(Axis(1))
}

/// ∂l/∂γ = Σ dy x̂. §3, last line but one.
pub fn grad_weight<A: NdFloat>(dy: ArrayView2<'_, A>, xhat: ArrayView2<'_, A>) -> Array1<A> {
    (&dy * &xhat).sum_axis(Axis(1))
}

/// ∂l/∂x where mean and variance are the batch's and so depend on x: the paper's chain of §3 put together,
///
/// γ / √(σ² + ε) · (dy - 1/n ∂l/∂β - x̂ · 1/n ∂l/∂γ).
pub fn grad_input_batch_stats<A: NdFloat>(
    dy: ArrayView2<'_, A>,
    xhat: ArrayView2<'_, A>,
    grad_weight: ArrayView1<'_, A>,
    grad_bias: ArrayView1<'_, A>,
    gamma: ArrayView1<'_, A>,
    inverse_std: ArrayView1<'_, A>,
) -> Array2<A> {
    let n = count(dy);
    let (mean_dy, mean_dy_xhat) = (&grad_bias / n, &grad_weight / n);
    let mut gradient = dy.to_owned();
    for (channel, values) in gradient.outer_iter_mut().enumerate() {
        let (mean_dy, mean_dy_xhat) = (mean_dy[channel], mean_dy_xhat[channel]);
        let scale = gamma[channel] * inverse_std[channel];
        Zip::from(values)
            .and(xhat.row(channel))
            .for_each(|dy, xhat| *dy = (*dy - mean_dy - *xhat * mean_dy_xhat) * scale);
    }
    gradient
}

/// ∂l/∂x where mean and variance are constants: γ / √(σ² + ε) · dy.
pub fn grad_input_running_stats<A: NdFloat>(
    dy: ArrayView2<'_, A>,
    gamma: ArrayView1<'_, A>,
    inverse_std: ArrayView1<'_, A>,
) -> Array2<A> {
    each(dy.to_owned(), |channel| {
        let scale = gamma[channel] * inverse_std[channel];
        move |dy| dy * scale
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    /// x = 1, 2, 3, 6: μ = 3, σ² = 14/4 = 3.5; with ε = 0.5 the root is 2.
    fn example() -> (Array1<f64>, Array1<f64>, Array1<f64>, Array2<f64>) {
        let x = array![[1.0, 2.0, 3.0, 6.0]];
        let mean = batch_mean(x.view());
        let variance = batch_variance(x.view(), mean.view());
        let inverse_std = inverse_std(variance.view(), 0.5);
        let xhat = normalise(x, mean.view(), inverse_std.view());
        (mean, variance, inverse_std, xhat)
    }

    #[test]
    fn statistics_of_a_small_batch() {
        let (mean, variance, inverse_std, xhat) = example();
        assert_eq!((mean[0], variance[0], inverse_std[0]), (3.0, 3.5, 0.5));
        assert_eq!(xhat, array![[-1.0, -0.5, 0.0, 1.5]]);
        assert_eq!(unbiased(variance.view(), 4.0)[0], 14.0 / 3.0);
        assert_eq!(moving_average(array![1.0].view(), array![3.0].view(), 0.25)[0], 1.5);
    }

    #[test]
    fn gradients_of_a_small_batch() {
        let (_, _, inverse_std, xhat) = example();
        let dy = array![[1.0, 0.0, 0.0, 1.0]];
        let (of_weight, of_bias) = (grad_weight(dy.view(), xhat.view()), grad_bias(dy.view()));
        assert_eq!((of_weight[0], of_bias[0]), (0.5, 2.0));
        // 1/n Σ dy = 0.5 and 1/n Σ dy x̂ = 0.125; times γ/√… = 2 · 0.5 = 1.
        let expected = array![[0.625, -0.4375, -0.5, 0.3125]];
        let gamma = array![2.0];
        let (weight, bias, inverse) = (of_weight.view(), of_bias.view(), inverse_std.view());
        let gradient = grad_input_batch_stats(dy.view(), xhat.view(), weight, bias, gamma.view(), inverse);
        assert_eq!(gradient, expected);
        assert_eq!(grad_input_running_stats(dy.view(), gamma.view(), inverse_std.view()), dy);
    }

    #[test]
    fn the_batch_gradient_is_the_derivative_of_the_forward() {
        let x = array![[0.3, -1.2, 2.5, 0.9, -0.4]];
        let dy = array![[0.7, -0.2, 0.1, 1.3, -0.9]];
        let (gamma, eps) = (array![1.7], 0.01);
        let normalised = |x: &Array2<f64>| {
            let mean = batch_mean(x.view());
            let inverse_std = inverse_std(batch_variance(x.view(), mean.view()).view(), eps);
            (normalise(x.clone(), mean.view(), inverse_std.view()), inverse_std)
        };
        let loss = |x: &Array2<f64>| {
            let (xhat, _) = normalised(x);
            (scale_and_shift(xhat.view(), gamma.view(), array![0.2].view()) * &dy).sum()
        };
        let (xhat, inverse_std) = normalised(&x);
        let (weight, bias) = (grad_weight(dy.view(), xhat.view()), grad_bias(dy.view()));
        let (weight, bias, inverse) = (weight.view(), bias.view(), inverse_std.view());
        let gradient = grad_input_batch_stats(dy.view(), xhat.view(), weight, bias, gamma.view(), inverse);
        for column in 0..5 {
            let step = 1e-6;
            let (mut above, mut below) = (x.clone(), x.clone());
            above[[0, column]] += step;
            below[[0, column]] -= step;
            let slope = (loss(&above) - loss(&below)) / (2.0 * step);
            assert!((slope - gradient[[0, column]]).abs() < 1e-8, "{slope} {}", gradient[[0, column]]);
        }
    }
}
