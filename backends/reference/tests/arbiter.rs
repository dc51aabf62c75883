//! The arbiter against exact rational numbers, where `f64` is visibly off.

use bn_api::{DType, Forward, Kernel, Layout, RunningStats, Tensor, Wanted};
use bn_reference::{ArbiterKernel, ReferenceKernel};
use num_rational::BigRational;
use num_traits::{One, Signed, Zero};

/// Values per channel.
const N: usize = 37;

/// A mean of 10¹⁰ spreads: of the 53 bits of each value some 20 say where it lies about the mean.
fn input() -> Tensor {
    let spread = (0..N).map(|k| (k * k % 17) as f64 / 16.0 + (k % 3) as f64 / 1024.0);
    Tensor::from_values(DType::F64, &[N, 1], spread.map(|deviation| 1e10 + deviation))
}

fn grad() -> Tensor {
    Tensor::from_values(DType::F64, &[N, 1], (0..N).map(|k| (k % 5) as f64 - 1.7))
}

/// What a kernel gives: output, running mean, running variance, and the three gradients, one after the other.
fn answer<K: Kernel>(kernel: &K) -> Vec<(&'static str, Tensor)> {
    let (input, weight, bias) = (input(), vector(1.3), vector(-0.6));
    let mut running = RunningStats::new(DType::F64, 1);
    let call = Forward {
        input: &input,
        layout: Layout::Contiguous,
        weight: Some(&weight),
        bias: Some(&bias),
        running: Some(&mut running),
        use_batch_stats: true,
        factor: 0.1,
        eps: 1e-5,
    };
    let (output, saved) = kernel.forward(call).expect("a forward");
    let gradients = kernel.backward(&saved, &grad(), Layout::Contiguous, Wanted::ALL).expect("a backward");
    vec![
        ("running mean", running.mean),
        ("running variance", running.var),
        ("output", output),
        ("gradient of the input", gradients.input.expect("wanted")),
        ("gradient of the weight", gradients.weight.expect("wanted")),
        ("gradient of the bias", gradients.bias.expect("wanted")),
    ]
}

fn vector(value: f64) -> Tensor {
    Tensor::full(DType::F64, &[1], value)
}

fn exactly(value: f64) -> BigRational {
    BigRational::from_float(value).expect("a finite number")
}

/// The root to 200 bits, by Newton's iteration.
fn root(square: &BigRational) -> BigRational {
    let precision = BigRational::from_integer(num_bigint::BigInt::one() << 200);
    let mut root = exactly(f64::sqrt(num_traits::ToPrimitive::to_f64(square).expect("a finite number")));
    for _ in 0..3 {
        let next = (&root + square / &root) / exactly(2.0);
        root = (next * &precision).round() / &precision;
    }
    root
}

/// The same by the textbook, in exact numbers up to the root.
fn exact() -> Vec<Vec<BigRational>> {
    let numbers = |tensor: Tensor| tensor.values().into_iter().map(exactly).collect::<Vec<_>>();
    let sum = |terms: &[BigRational]| terms.iter().fold(BigRational::zero(), |sum, term| sum + term);
    let (x, dy, n) = (numbers(input()), numbers(grad()), exactly(N as f64));
    let mean = sum(&x) / &n;
    let squares: Vec<_> = x.iter().map(|x| (x - &mean) * (x - &mean)).collect();
    let variance = sum(&squares) / &n;
    let invstd = root(&(&variance + exactly(1e-5))).recip();
    let xhat: Vec<_> = x.iter().map(|x| (x - &mean) * &invstd).collect();
    let (gamma, beta, momentum) = (exactly(1.3), exactly(-0.6), exactly(0.1));
    let kept = BigRational::one() - &momentum;
    let dy_xhat: Vec<_> = dy.iter().zip(&xhat).map(|(dy, xhat)| dy * xhat).collect();
    let (grad_bias, grad_weight) = (sum(&dy), sum(&dy_xhat));
    let grad_input = dy
        .iter()
        .zip(&xhat)
        .map(|(dy, xhat)| &gamma * &invstd * (dy - &grad_bias / &n - xhat * &grad_weight / &n));
    let unbiased = &variance * &n / (&n - BigRational::one());
    vec![
        vec![&mean * &momentum],
        vec![kept + unbiased * &momentum],
        xhat.iter().map(|xhat| xhat * &gamma + &beta).collect(),
        grad_input.collect(),
        vec![grad_weight.clone()],
        vec![grad_bias.clone()],
    ]
}

/// The largest error of each tensor, in units roundoff of its elements.
fn errors<K: Kernel>(kernel: &K) -> Vec<(&'static str, f64)> {
    let error = |(got, exact): (f64, &BigRational)| {
        let relative = (exactly(got) - exact).abs() / exact.abs();
        num_traits::ToPrimitive::to_f64(&relative).expect("a finite number") / (0.5 * f64::EPSILON)
    };
    let errors = answer(kernel).into_iter().zip(exact()).map(|((name, got), exact)| {
        assert_eq!(got.len(), exact.len());
        (name, got.values().into_iter().zip(&exact).map(error).fold(0.0, f64::max))
    });
    errors.collect()
}

#[test]
fn the_arbiter_is_off_by_one_rounding_where_f64_is_far_off() {
    for (name, error) in errors(&ArbiterKernel) {
        // Half a unit in the last place, and what is left of 53 bits beyond those.
        assert!(error <= 1.0 + 1e-9, "{name}: {error} units roundoff");
    }
    // Of the input's gradient and the normalised values f64 loses half the bits that the mean takes.
    let of_f64 = errors(&ReferenceKernel);
    let worst = of_f64.iter().map(|(_, error)| *error).fold(0.0, f64::max);
    assert!(worst > 1e3, "{of_f64:?}");
}
