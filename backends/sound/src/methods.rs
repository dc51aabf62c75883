//! The methods: the one list of them.

use bn_stages::{Stages, sums as plain_sums};

use crate::{forms, loops, statistics, sums};

/// One way to compute batch normalization.
#[derive(Debug, Clone, Copy)]
pub struct Method {
    /// Its name.
    pub name: &'static str,
    /// What it does otherwise than the others.
    pub about: &'static str,
    /// Its stages.
    pub stages: Stages,
}

/// Sums added up in a way of its own: those of the mean, the variance and the gradients.
const fn summed(sum: fn(bn_stages::Arithmetic, &[f64]) -> f64) -> Stages {
    Stages { sum, ..Stages::plain() }
}

/// Statistics found in a way of its own, and sums as well.
const fn found(
    statistics: fn(&bn_stages::Context, usize) -> (f64, f64),
    sum: fn(bn_stages::Arithmetic, &[f64]) -> f64,
) -> Stages {
    Stages { statistics, sum, ..Stages::plain() }
}

/// All methods. f16 and bf16 are computed in f32 and rounded once, except where `about` says otherwise.
pub static METHODS: [Method; 25] = [
    Method {
        name: "two-pass-sequential",
        about: "Σ (x - μ)²/n about the mean, each sum one term after the other",
        stages: Stages::plain(),
    },
    Method {
        name: "two-pass-pairwise",
        about: "two passes, sums of halves of halves",
        stages: summed(sums::pairwise),
    },
    Method {
        name: "two-pass-corrected",
        about: "two passes, mean and variance corrected by what the mean was off; pairwise sums, as what is left of \
                values of few digits about a mean of many is rounded alike each time",
        stages: found(statistics::corrected, sums::pairwise),
    },
    Method {
        name: "welford",
        about: "one pass in which each value moves the mean",
        stages: found(statistics::welford, plain_sums::sequential),
    },
    Method {
        name: "welford-lanes",
        about: "eight of Welford's passes side by side, merged two by two",
        stages: found(statistics::welford_lanes::<8>, sums::lanes::<8>),
    },
    Method {
        name: "chan-4",
        about: "blocks of 4 values, merged pairwise",
        stages: found(statistics::chan::<4>, sums::blocks::<4>),
    },
    Method {
        name: "chan-32",
        about: "blocks of 32 values, merged pairwise",
        stages: found(statistics::chan::<32>, sums::blocks::<32>),
    },
    Method {
        name: "chan-256",
        about: "blocks of 256 values, merged pairwise",
        stages: found(statistics::chan::<256>, sums::blocks::<256>),
    },
    Method {
        name: "chan-in-a-row",
        about: "blocks of 32 values, each merged with all before it",
        stages: found(statistics::chan_in_a_row::<32>, sums::blocks::<32>),
    },
    Method { name: "kahan", about: "two passes, compensated sums", stages: summed(sums::kahan) },
    Method {
        name: "shifted-one-pass",
        about: "one pass shifted by the first value; a second one shifted by the mean where that value is an outlier, \
                as the error grows with (mean - shift)²/σ²; pairwise sums",
        stages: found(statistics::shifted, sums::pairwise),
    },
    Method {
        name: "double-sums",
        about: "sums in double precision, each rounded once to the arithmetic's own",
        stages: summed(sums::in_double),
    },
    Method {
        name: "double",
        about: "everything in double precision, results rounded once",
        stages: Stages { arithmetic: forms::double, ..Stages::plain() },
    },
    Method {
        name: "reversed",
        about: "two passes from the last value to the first",
        stages: summed(sums::reversed),
    },
    Method {
        name: "strided",
        about: "two passes over every seventh value, then those after them",
        stages: summed(sums::strided),
    },
    Method {
        name: "lanes-8",
        about: "two passes with eight partial sums side by side",
        stages: summed(sums::lanes::<8>),
    },
    Method {
        name: "lanes-16",
        about: "two passes with sixteen partial sums side by side",
        stages: summed(sums::lanes::<16>),
    },
    Method {
        name: "fused",
        about: "fused multiply-adds in squares, products, γ x̂ + β and the running statistics",
        stages: Stages {
            statistics: statistics::fused,
            output: forms::fused_output,
            average: forms::fused_average,
            gradient_sums: forms::fused_gradient_sums,
            grad_input: forms::fused_grad_input,
            ..Stages::plain()
        },
    },
    Method {
        name: "reciprocals",
        about: "multiplies by 1/n, n/(n-1) and √(1/(σ² + ε)) instead of dividing",
        stages: Stages {
            statistics: statistics::by_reciprocal,
            unbiased: forms::by_bessel_factor,
            inverse_std: forms::root_of_reciprocal,
            grad_input: forms::grad_input_by_reciprocal,
            ..Stages::plain()
        },
    },
    Method {
        name: "quotients",
        about: "divides by √(σ² + ε) instead of multiplying by its inverse",
        stages: Stages {
            normalise: forms::quotient,
            grad_input: forms::grad_input_by_quotient,
            ..Stages::plain()
        },
    },
    Method {
        name: "channels-last",
        about: "loops over places outside and channels inside, in blocks of 64 places",
        stages: Stages {
            all_statistics: loops::statistics,
            all_gradient_sums: loops::gradient_sums,
            ..Stages::plain()
        },
    },
    Method {
        name: "xhat-anew",
        about: "a backward that keeps no x̂ and computes it again, by division",
        stages: Stages {
            gradient_sums: forms::gradient_sums_anew,
            grad_input: forms::grad_input_anew,
            ..Stages::plain()
        },
    },
    Method {
        name: "gradient-of-sums",
        about: "γ/√(σ² + ε) · (n·dy - Σ dy - x̂ Σ dy x̂)/n",
        stages: Stages { grad_input: forms::grad_input_by_sums, ..Stages::plain() },
    },
    Method {
        name: "folded-eval",
        about: "a·x + b where the statistics are constants",
        stages: Stages { output: forms::folded_output, ..Stages::plain() },
    },
    Method {
        name: "lerp",
        about: "running statistics moved by a share of the difference, from the nearer end",
        stages: Stages { average: forms::lerp, ..Stages::plain() },
    },
];
