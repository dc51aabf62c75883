//! Types that are too narrow, and roundings in the wrong place.

use bn_api::{DType, Slot};
use bn_stages::{Arithmetic, Context, Sums, plain};

use super::tools::{
    ALL, FROM_MEAN, FROM_VARIANCE, FROM_XHAT, GRADIENTS, MEAN, OUTPUT, STATISTICS, VARIANCE, half,
};
use crate::{Fault, Part};

/// A sum whose every partial sum is held in a type.
fn sum_in(dtype: DType, terms: &[f64]) -> f64 {
    terms.iter().fold(0.0, |sum, term| half(dtype, sum + term))
}

/// What is below the normal numbers of a type becomes 0.
fn flushed(dtype: DType, value: f64) -> f64 {
    let smallest_normal = match dtype {
        DType::F16 => 6.103_515_625e-5,
        DType::F64 | DType::I64 => f64::MIN_POSITIVE,
        DType::F32 | DType::Bf16 => f64::from(f32::MIN_POSITIVE),
    };
    if value.abs() < smallest_normal { 0.0_f64.copysign(value) } else { value }
}

/// A number rounded toward zero to a type.
fn truncated(dtype: DType, value: f64) -> f64 {
    let nearest = dtype.round(value);
    if value.is_finite() && nearest.abs() > value.abs() {
        dtype.value_of(dtype.bits_of(nearest).wrapping_sub(1))
    } else {
        nearest
    }
}

/// Mean and variance with something done to the sums and to the squared deviations.
fn statistics_with(
    c: &Context,
    channel: usize,
    sum: impl Fn(&[f64]) -> f64,
    square: impl Fn(f64) -> f64,
) -> (f64, f64) {
    let (a, x, n) = (c.arithmetic, &c.x[channel], c.n() as f64);
    let mean = a.div(sum(x), n);
    let squares: Vec<f64> = x.iter().map(|x| square(a.sub(*x, mean))).collect();
    (mean, a.div(sum(&squares), n))
}

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "half-arithmetic",
        about: "f16 and bf16 are computed in their own type throughout",
        tensors: ALL,
        link: None,
        parts: &[Part::Arithmetic(|input, _| Arithmetic { dtype: input })],
    },
    Fault {
        name: "half-accumulator",
        about: "f16 and bf16 are summed up in that type: terms below half an ulp of the sum are lost",
        tensors: FROM_MEAN,
        link: None,
        parts: &[Part::Statistics(|c, channel| {
            statistics_with(c, channel, |terms| sum_in(c.dtype, terms), |d| c.arithmetic.mul(d, d))
        })],
    },
    Fault {
        name: "half-sums-overflow",
        about: "the finished sums of f16 are stored as f16, where they overflow beyond 65504",
        tensors: FROM_MEAN,
        link: Some("https://github.com/pytorch/pytorch/pull/126525"),
        parts: &[Part::Statistics(|c, channel| {
            let a = c.arithmetic;
            statistics_with(c, channel, |terms| half(c.dtype, (c.stages.sum)(a, terms)), |d| a.mul(d, d))
        })],
    },
    Fault {
        name: "half-squares-overflow",
        about: "(x - mean)² is rounded to f16, where it overflows from a distance of 256",
        tensors: FROM_VARIANCE,
        link: Some("https://github.com/pytorch/pytorch/issues/162489"),
        parts: &[Part::Statistics(|c, channel| {
            let a = c.arithmetic;
            statistics_with(c, channel, |terms| (c.stages.sum)(a, terms), |d| half(c.dtype, a.mul(d, d)))
        })],
    },
    Fault {
        name: "count-in-half",
        about: "the count of values is held in the input's type: f16 has no 2049, bf16 no 257",
        tensors: FROM_MEAN,
        link: Some("https://github.com/pytorch/pytorch/issues/70901"),
        parts: &[Part::Statistics(|c, channel| {
            let (a, n) = (c.arithmetic, half(c.dtype, c.n() as f64));
            let mean = a.div((c.stages.sum)(a, &c.x[channel]), n);
            let squares: Vec<f64> =
                c.x[channel].iter().map(|x| a.sub(*x, mean)).map(|d| a.mul(d, d)).collect();
            (mean, a.div((c.stages.sum)(a, &squares), n))
        })],
    },
    Fault {
        name: "reciprocal-count-in-half",
        about: "1/n is computed once, in the input's type",
        tensors: FROM_MEAN,
        link: None,
        parts: &[Part::Statistics(|c, channel| {
            let (a, share) = (c.arithmetic, half(c.dtype, 1.0 / c.n() as f64));
            let mean = a.mul((c.stages.sum)(a, &c.x[channel]), share);
            let squares: Vec<f64> =
                c.x[channel].iter().map(|x| a.sub(*x, mean)).map(|d| a.mul(d, d)).collect();
            (mean, a.mul((c.stages.sum)(a, &squares), share))
        })],
    },
    Fault {
        name: "mean-in-half",
        about: "the mean is rounded to f16 or bf16 before it is taken off",
        tensors: FROM_MEAN,
        link: None,
        parts: &[Part::Applied(|c, found, _| {
            found.into_iter().map(|(mean, var)| (half(c.dtype, mean), var)).collect()
        })],
    },
    Fault {
        name: "running-mean-in-half",
        about: "beside a half input a running mean in f32 is rounded to half before it is taken off",
        tensors: FROM_XHAT,
        link: None,
        parts: &[Part::Running(|c, running, channel| {
            (half(c.dtype, running.mean[channel]), running.var[channel])
        })],
    },
    Fault {
        name: "running-statistics-rounded-to-half",
        about: "beside a half input running statistics in f32 are rounded to half when they move",
        tensors: STATISTICS,
        link: None,
        parts: &[Part::Average(|c, slot, old, batch| half(c.dtype, plain::average(c, slot, old, batch)))],
    },
    Fault {
        name: "parameters-in-half",
        about: "beside a half input weight and bias in f32 are rounded to half before they are applied",
        tensors: OUTPUT,
        link: None,
        parts: &[Part::Output(|c, channel, _, _, xhat| {
            let a = c.arithmetic;
            let [gamma, beta] = [c.gamma[channel], c.beta[channel]].map(|it| half(c.dtype, it));
            a.add(a.mul(xhat, gamma), beta)
        })],
    },
    Fault {
        name: "xhat-rounded-before-affine",
        about: "x̂ is rounded to f16 or bf16 before weight and bias are applied",
        tensors: OUTPUT,
        link: None,
        parts: &[Part::Output(|c, channel, _, _, xhat| {
            let a = c.arithmetic;
            a.add(a.mul(half(c.dtype, xhat), c.gamma[channel]), c.beta[channel])
        })],
    },
    Fault {
        name: "weight-applied-in-half-first",
        about: "weight·(x - mean) is rounded to f16 before it is divided by the deviation, and overflows there",
        tensors: OUTPUT,
        link: None,
        parts: &[Part::Output(|c, channel, statistics, x, _| {
            let a = c.arithmetic;
            let weighed = half(c.dtype, a.mul(c.gamma[channel], a.sub(x, statistics.mean)));
            a.add(a.mul(weighed, statistics.inverse_std), c.beta[channel])
        })],
    },
    Fault {
        name: "folded-in-half",
        about: "y is x·a + b with a and b in f16 or bf16: constants folded in the input's type",
        tensors: OUTPUT,
        link: None,
        parts: &[Part::Output(|c, channel, statistics, x, _| {
            let a = c.arithmetic;
            let scale = a.mul(c.gamma[channel], statistics.inverse_std);
            let shift = a.sub(c.beta[channel], a.mul(statistics.mean, scale));
            a.add(a.mul(x, half(c.dtype, scale)), half(c.dtype, shift))
        })],
    },
    Fault {
        name: "xhat-saved-in-half",
        about: "the backward reads an x̂ that was saved in f16 or bf16",
        tensors: GRADIENTS,
        link: None,
        parts: &[Part::Keep(|_, mut saved| {
            let dtype = saved.context.dtype;
            saved.xhat.iter_mut().flatten().for_each(|xhat| *xhat = half(dtype, *xhat));
            saved
        })],
    },
    Fault {
        name: "gradient-sums-in-half",
        about: "Σ dy and Σ dy·x̂ are accumulated in f16 or bf16",
        tensors: GRADIENTS,
        link: Some("https://github.com/pytorch/pytorch/issues/147303"),
        parts: &[Part::GradientSums(|saved, channel, dy| {
            let c = &saved.context;
            let products: Vec<f64> =
                dy.iter().zip(&saved.xhat[channel]).map(|(dy, xhat)| c.arithmetic.mul(*dy, *xhat)).collect();
            Sums { dy: sum_in(c.dtype, dy), dy_xhat: sum_in(c.dtype, &products) }
        })],
    },
    Fault {
        name: "inverse-std-in-half",
        about: "1/√(var + eps) is rounded to f16 or bf16",
        tensors: FROM_XHAT,
        link: None,
        parts: &[Part::InverseStd(|c, channel, var| half(c.dtype, plain::inverse_std(c, channel, var)))],
    },
    Fault {
        name: "eps-in-half",
        about: "eps is cast to the input's type, where f16 makes 0 of 1e-8",
        tensors: FROM_XHAT,
        link: None,
        parts: &[Part::InverseStd(|c, _, var| {
            let a = c.arithmetic;
            a.div(1.0, a.sqrt(a.add(var, half(c.dtype, c.eps))))
        })],
    },
    Fault {
        name: "eps-in-single",
        about: "eps is an f32 also where everything else is f64",
        tensors: FROM_XHAT,
        link: None,
        parts: &[Part::InverseStd(|c, _, var| {
            let a = c.arithmetic;
            a.div(1.0, a.sqrt(a.add(var, f64::from(c.eps as f32))))
        })],
    },
    Fault {
        name: "momentum-in-single",
        about: "momentum is an f32 also where everything else is f64",
        tensors: STATISTICS,
        link: None,
        parts: &[Part::Average(|c, _, old, batch| {
            let (a, momentum) = (c.arithmetic, f64::from(c.factor as f32));
            a.add(a.mul(old, a.sub(1.0, momentum)), a.mul(batch, momentum))
        })],
    },
    Fault {
        name: "momentum-in-half",
        about: "momentum is cast to the input's type, and statistics in f32 move by 0.09998 or 0.1001",
        tensors: STATISTICS,
        link: None,
        parts: &[Part::Average(|c, _, old, batch| {
            let (a, momentum) = (c.arithmetic, half(c.dtype, c.factor));
            a.add(a.mul(old, a.sub(1.0, momentum)), a.mul(batch, momentum))
        })],
    },
    Fault {
        name: "double-in-single",
        about: "f64 is computed in f32 throughout",
        tensors: ALL,
        link: None,
        parts: &[Part::Arithmetic(|_, _| Arithmetic::SINGLE)],
    },
    Fault {
        name: "double-statistics-in-single",
        about: "the mean and variance of f64 pass through an f32 buffer",
        tensors: FROM_MEAN,
        link: None,
        parts: &[Part::Statistics(|c, channel| {
            let (mean, var) = plain::statistics(c, channel);
            (f64::from(mean as f32), f64::from(var as f32))
        })],
    },
    Fault {
        name: "subnormal-inputs-flushed",
        about: "subnormal numbers of the input and of the gradient are read as 0",
        tensors: ALL,
        link: None,
        parts: &[Part::Read(|tensor, layout| {
            let dtype = tensor.dtype();
            let rows = plain::read(tensor, layout);
            rows.into_iter().map(|row| row.into_iter().map(|x| flushed(dtype, x)).collect()).collect()
        })],
    },
    Fault {
        name: "subnormal-parameters-flushed",
        about: "subnormal weights, biases and running statistics are read as 0",
        tensors: ALL,
        link: None,
        parts: &[Part::Parameter(|a, value| flushed(a.dtype, a.round(value)))],
    },
    Fault {
        name: "subnormal-results-flushed",
        about: "subnormal results are written as 0",
        tensors: ALL,
        link: None,
        parts: &[Part::Write(|c, dtype, rows| {
            let flush = |row: &Vec<f64>| row.iter().map(|y| flushed(dtype, dtype.round(*y))).collect();
            plain::write(c, dtype, &rows.iter().map(flush).collect())
        })],
    },
    Fault {
        name: "results-rounded-toward-zero",
        about: "f16 and bf16 results are cut off instead of rounded to nearest",
        tensors: &[bn_api::Observable::Output, bn_api::Observable::GradInput],
        link: None,
        parts: &[Part::Write(|c, dtype, rows| {
            let cut = |y: &f64| if dtype.is_half() { truncated(dtype, *y) } else { *y };
            plain::write(c, dtype, &rows.iter().map(|row| row.iter().map(cut).collect()).collect())
        })],
    },
    Fault {
        name: "infinite-results-clipped",
        about: "results beyond the largest number of the type are written as that number",
        tensors: &[bn_api::Observable::Output, bn_api::Observable::GradInput],
        link: None,
        parts: &[Part::Write(|c, dtype, rows| {
            let largest = dtype.max_finite();
            let clip = |y: &f64| if y.is_nan() { *y } else { y.clamp(-largest, largest) };
            plain::write(c, dtype, &rows.iter().map(|row| row.iter().map(clip).collect()).collect())
        })],
    },
    Fault {
        name: "bf16-read-as-f16",
        about: "bf16 is converted to f16 on the way in, which overflows beyond 65504",
        tensors: ALL,
        link: None,
        parts: &[Part::Read(|tensor, layout| {
            let through = |x: f64| if tensor.dtype() == DType::Bf16 { DType::F16.round(x) } else { x };
            let rows = plain::read(tensor, layout);
            rows.into_iter().map(|row| row.into_iter().map(through).collect()).collect()
        })],
    },
    Fault {
        name: "f16-read-as-bf16",
        about: "f16 is converted to bf16 on the way in, which has three bits less",
        tensors: ALL,
        link: None,
        parts: &[Part::Read(|tensor, layout| {
            let through = |x: f64| if tensor.dtype() == DType::F16 { DType::Bf16.round(x) } else { x };
            let rows = plain::read(tensor, layout);
            rows.into_iter().map(|row| row.into_iter().map(through).collect()).collect()
        })],
    },
    Fault {
        name: "inverse-root-approximate",
        about: "1/√ is the processor's approximation to twelve bits, without a Newton step",
        tensors: FROM_XHAT,
        link: None,
        parts: &[Part::InverseStd(|c, channel, var| {
            let exact = plain::inverse_std(c, channel, var) as f32;
            let bits = exact.to_bits().saturating_add(0x800) & 0xffff_f000;
            if exact.is_finite() { f64::from(f32::from_bits(bits)) } else { f64::from(exact) }
        })],
    },
    Fault {
        name: "inverse-root-by-one-newton-step",
        about: "1/√ is guessed from the bits and improved by one Newton step, to nine bits",
        tensors: FROM_XHAT,
        link: None,
        parts: &[Part::InverseStd(|c, _, var| {
            let sum = c.arithmetic.add(var, c.arithmetic.round(c.eps)) as f32;
            let guess = f32::from_bits(0x5f37_59df_u32.wrapping_sub(sum.to_bits() >> 1));
            f64::from(guess * (1.5 - 0.5 * sum * guess * guess))
        })],
    },
    Fault {
        name: "running-mean-of-integers",
        about: "the running mean is held in whole numbers",
        tensors: MEAN,
        link: None,
        parts: &[Part::Average(|c, slot, old, batch| {
            let new = plain::average(c, slot, old, batch);
            if slot == Slot::RunningMean { new.round() } else { new }
        })],
    },
    Fault {
        name: "running-var-from-the-inverse",
        about: "the variance to be averaged is recovered as 1/invstd² - eps, which cancels below eps",
        tensors: VARIANCE,
        link: None,
        parts: &[Part::Unbiased(|c, var| {
            let a = c.arithmetic;
            let inverse_std = plain::inverse_std(c, 0, var);
            let recovered = a.sub(a.div(1.0, a.mul(inverse_std, inverse_std)), a.round(c.eps));
            plain::unbiased(c, recovered)
        })],
    },
];
