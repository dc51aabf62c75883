//! Mean and variance of a batch: how they are added up, and over what.

use bn_stages::Context;

use super::tools::{FROM_MEAN, FROM_VARIANCE, FROM_XHAT, OUTPUT, moments, normalised_by};
use crate::{Fault, Part};

/// E[x²] - E[x]².
fn one_pass(c: &Context, channel: usize) -> (f64, f64) {
    let (a, x, n) = (c.arithmetic, &c.x[channel], c.n() as f64);
    let squares: Vec<f64> = x.iter().map(|x| a.mul(*x, *x)).collect();
    let mean = a.div((c.stages.sum)(a, x), n);
    (mean, a.sub(a.div((c.stages.sum)(a, &squares), n), a.mul(mean, mean)))
}

/// Count, mean and sum of squared deviations of values.
type Part3 = (f64, f64, f64);

/// Chan's merge of two parts, of which one with nothing in it is not looked after.
fn merge(c: &Context, (n_a, mean_a, m2_a): Part3, (n_b, mean_b, m2_b): Part3) -> Part3 {
    let a = c.arithmetic;
    let (n, delta) = (n_a + n_b, a.sub(mean_b, mean_a));
    let mean = a.add(mean_a, a.mul(delta, a.div(n_b, n)));
    let between = a.mul(a.mul(delta, delta), a.div(a.mul(n_a, n_b), n));
    (n, mean, a.add(a.add(m2_a, m2_b), between))
}

/// What is averaged over values of which some are missing or there twice, divided by the right count.
fn summed_over(c: &Context, values: &[f64]) -> (f64, f64) {
    let (a, n) = (c.arithmetic, c.n() as f64);
    let mean = a.div((c.stages.sum)(a, values), n);
    let squares: Vec<f64> = values.iter().map(|x| a.sub(*x, mean)).map(|d| a.mul(d, d)).collect();
    (mean, a.div((c.stages.sum)(a, &squares), n))
}

/// Mean and variance with another count.
fn counted(c: &Context, channel: usize, n: f64) -> (f64, f64) {
    let (a, x) = (c.arithmetic, &c.x[channel]);
    let mean = a.div((c.stages.sum)(a, x), n);
    let squares: Vec<f64> = x.iter().map(|x| a.sub(*x, mean)).map(|d| a.mul(d, d)).collect();
    (mean, a.div((c.stages.sum)(a, &squares), n))
}

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "one-pass-variance",
        about: "the variance is E[x²] - E[x]², which cancels where the mean is large",
        tensors: FROM_VARIANCE,
        link: Some("https://github.com/tensorflow/tensorflow/issues/3290"),
        parts: &[Part::Statistics(one_pass)],
    },
    Fault {
        name: "one-pass-variance-clamped",
        about: "the variance is max(E[x²] - E[x]², 0), which is 0 or far off where the mean is large",
        tensors: FROM_VARIANCE,
        link: Some("https://github.com/google/flax/issues/1491"),
        parts: &[Part::Statistics(|c, channel| {
            let (mean, var) = one_pass(c, channel);
            (mean, if var < 0.0 { 0.0 } else { var })
        })],
    },
    Fault {
        name: "empty-parts-merged",
        about: "of eight partial results two that are of no values merge to 0/0: few values make NaN",
        tensors: FROM_MEAN,
        link: None,
        parts: &[Part::Statistics(|c, channel| {
            let lane = |lane: usize| -> Part3 {
                let values: Vec<f64> = c.x[channel].iter().skip(lane).step_by(8).copied().collect();
                let (mean, var) = if values.is_empty() { (0.0, 0.0) } else { moments(c, &values) };
                (values.len() as f64, mean, c.arithmetic.mul(var, values.len() as f64))
            };
            let pairs = [7, 5, 3, 1].map(|first| merge(c, lane(first), lane(first - 1)));
            let halves = [merge(c, pairs[0], pairs[1]), merge(c, pairs[2], pairs[3])];
            let (n, mean, m2) = merge(c, halves[0], halves[1]);
            (mean, c.arithmetic.div(m2, n))
        })],
    },
    Fault {
        name: "merged-counts-overflow",
        about: "two halves are merged with the product of their counts in 32 bits: 46341 each overflow",
        tensors: FROM_VARIANCE,
        link: None,
        parts: &[Part::Statistics(|c, channel| {
            let a = c.arithmetic;
            let (left, right) = c.x[channel].split_at(c.n() / 2);
            if left.is_empty() {
                return moments(c, right);
            }
            let ((mean_l, var_l), (mean_r, var_r)) = (moments(c, left), moments(c, right));
            let (n_l, n_r) = (left.len() as f64, right.len() as f64);
            let (n, delta) = (n_l + n_r, a.sub(mean_r, mean_l));
            let product = f64::from((left.len() as i32).wrapping_mul(right.len() as i32));
            let between = a.div(a.mul(a.mul(delta, delta), a.round(product)), n);
            let m2 = a.add(a.add(a.mul(var_l, n_l), a.mul(var_r, n_r)), between);
            (a.add(mean_l, a.mul(delta, a.div(n_r, n))), a.div(m2, n))
        })],
    },
    Fault {
        name: "parts-weighted-equally",
        about: "mean and variance are averages over parts of four values, whatever the size of the last part",
        tensors: FROM_MEAN,
        link: None,
        parts: &[Part::Statistics(|c, channel| {
            let a = c.arithmetic;
            let x = &c.x[channel];
            let average = |of: &dyn Fn(&[f64]) -> f64| {
                let parts: Vec<f64> = x.chunks(4).map(of).collect();
                a.div((c.stages.sum)(a, &parts), parts.len() as f64)
            };
            let mean = average(&|part| moments(c, part).0);
            let squares = |part: &[f64]| {
                let squares: Vec<f64> = part.iter().map(|x| a.sub(*x, mean)).map(|d| a.mul(d, d)).collect();
                a.div((c.stages.sum)(a, &squares), part.len() as f64)
            };
            (mean, average(&squares))
        })],
    },
    Fault {
        name: "variance-within-samples",
        about: "the variance is the average of the samples' own: that of their means is missing",
        tensors: FROM_VARIANCE,
        link: None,
        parts: &[Part::Statistics(|c, channel| {
            let a = c.arithmetic;
            let of_samples: Vec<f64> =
                c.x[channel].chunks(c.places()).map(|sample| moments(c, sample).1).collect();
            let (mean, _) = moments(c, &c.x[channel]);
            (mean, a.div((c.stages.sum)(a, &of_samples), c.samples() as f64))
        })],
    },
    Fault {
        name: "last-value-not-summed",
        about: "the loop of the sums ends one value early",
        tensors: FROM_MEAN,
        link: None,
        parts: &[Part::Statistics(|c, channel| summed_over(c, &c.x[channel][..c.n() - 1]))],
    },
    Fault {
        name: "last-block-not-summed",
        about: "the sums take blocks of eight values and leave what remains behind the last of them",
        tensors: FROM_MEAN,
        link: None,
        parts: &[Part::Statistics(|c, channel| {
            let blocks = c.n() / 8 * 8;
            summed_over(c, &c.x[channel][..if blocks == 0 { c.n() } else { blocks }])
        })],
    },
    Fault {
        name: "last-values-summed-twice",
        about: "what remains behind the blocks of four values is added by two threads",
        tensors: FROM_MEAN,
        link: None,
        parts: &[Part::Statistics(|c, channel| {
            let x = &c.x[channel];
            let twice: Vec<f64> = x.iter().chain(&x[c.n() / 4 * 4..]).copied().collect();
            summed_over(c, &twice)
        })],
    },
    Fault {
        name: "padding-counted",
        about: "the sums are divided by the count of the padded row, a multiple of four",
        tensors: FROM_MEAN,
        link: None,
        parts: &[Part::Statistics(|c, channel| counted(c, channel, c.n().next_multiple_of(4) as f64))],
    },
    Fault {
        name: "count-in-a-byte",
        about: "the count of values is held in eight bits and begins anew at 256",
        tensors: FROM_MEAN,
        link: None,
        parts: &[Part::Statistics(|c, channel| counted(c, channel, f64::from(c.n() as u8)))],
    },
    Fault {
        name: "statistics-of-the-first-sample",
        about: "mean and variance are those of the first sample of the batch",
        tensors: FROM_MEAN,
        link: None,
        parts: &[Part::Statistics(|c, channel| moments(c, &c.x[channel][..c.places()]))],
    },
    Fault {
        name: "statistics-of-each-sample",
        about: "every sample is normalised with its own mean and variance, as instance normalization does",
        tensors: FROM_XHAT,
        link: None,
        parts: &[Part::AllNormalised(|c, statistics| {
            if !c.use_batch_stats {
                return normalised_by(c, |channel, _| (statistics[channel].mean, statistics[channel].var));
            }
            normalised_by(c, |channel, k| {
                let first = k / c.places() * c.places();
                moments(c, &c.x[channel][first..first + c.places()])
            })
        })],
    },
    Fault {
        name: "statistics-over-the-channels",
        about: "every sample is normalised over its channels, as layer normalization does",
        tensors: FROM_XHAT,
        link: None,
        parts: &[Part::AllNormalised(|c, statistics| {
            if !c.use_batch_stats {
                return normalised_by(c, |channel, _| (statistics[channel].mean, statistics[channel].var));
            }
            normalised_by(c, |_, k| {
                let across: Vec<f64> = c.x.iter().map(|row| row[k]).collect();
                moments(c, &across)
            })
        })],
    },
    Fault {
        name: "statistics-of-each-place",
        about: "the sums run over the batch alone: every place has its own mean and variance",
        tensors: FROM_XHAT,
        link: None,
        parts: &[Part::AllNormalised(|c, statistics| {
            if !c.use_batch_stats {
                return normalised_by(c, |channel, _| (statistics[channel].mean, statistics[channel].var));
            }
            normalised_by(c, |channel, k| {
                let batch = c.x[channel].iter().skip(k % c.places()).step_by(c.places());
                moments(c, &batch.copied().collect::<Vec<_>>())
            })
        })],
    },
    Fault {
        name: "statistics-of-channel-groups",
        about: "two channels at a time share mean and variance, as in group normalization",
        tensors: FROM_XHAT,
        link: None,
        parts: &[Part::Applied(|c, found, _| {
            if !c.use_batch_stats {
                return found;
            }
            let group = |channel: usize| -> Vec<f64> {
                c.x.chunks(2).nth(channel / 2).into_iter().flatten().flatten().copied().collect()
            };
            (0..found.len()).map(|channel| moments(c, &group(channel))).collect()
        })],
    },
    Fault {
        name: "statistics-of-one-depth",
        about: "of a volume the sums take the first depth alone: the code is that of images",
        tensors: FROM_MEAN,
        link: None,
        parts: &[Part::Statistics(|c, channel| {
            let [_, _, depths, ..] = c.shape[..] else { return moments(c, &c.x[channel]) };
            if c.shape.len() < 5 {
                return moments(c, &c.x[channel]);
            }
            let samples = c.x[channel].chunks(c.places());
            let first: Vec<f64> =
                samples.flat_map(|sample| &sample[..sample.len() / depths]).copied().collect();
            moments(c, &first)
        })],
    },
    Fault {
        name: "statistics-of-one-column",
        about: "the sums run over the batch and the rows, not over the columns: the first column's are used",
        tensors: FROM_MEAN,
        link: None,
        parts: &[Part::Statistics(|c, channel| {
            let columns = if c.shape.len() > 2 { c.shape[c.shape.len() - 1] } else { 1 };
            moments(c, &c.x[channel].iter().step_by(columns).copied().collect::<Vec<_>>())
        })],
    },
    Fault {
        name: "variance-about-zero",
        about: "the variance is the mean of the squares: the mean is not taken off first",
        tensors: FROM_VARIANCE,
        link: None,
        parts: &[Part::Statistics(|c, channel| {
            let (a, x) = (c.arithmetic, &c.x[channel]);
            let squares: Vec<f64> = x.iter().map(|x| a.mul(*x, *x)).collect();
            (moments(c, x).0, a.div((c.stages.sum)(a, &squares), c.n() as f64))
        })],
    },
    Fault {
        name: "mean-absolute-deviation",
        about: "the spread is the mean absolute deviation, its square taken for the variance",
        tensors: FROM_VARIANCE,
        link: None,
        parts: &[Part::Statistics(|c, channel| {
            let (a, x) = (c.arithmetic, &c.x[channel]);
            let mean = moments(c, x).0;
            let distances: Vec<f64> = x.iter().map(|x| a.sub(*x, mean).abs()).collect();
            let distance = a.div((c.stages.sum)(a, &distances), c.n() as f64);
            (mean, a.mul(distance, distance))
        })],
    },
    Fault {
        name: "unbiased-variance-normalises",
        about: "y is normalised with the unbiased variance, n/(n-1) too large",
        tensors: FROM_XHAT,
        link: Some("https://github.com/karpathy/nn-zero-to-hero/issues/44"),
        parts: &[Part::Applied(|c, found, _| {
            let unbiased = |(mean, var)| (mean, (c.stages.unbiased)(c, var));
            if c.use_batch_stats { found.into_iter().map(unbiased).collect() } else { found }
        })],
    },
    Fault {
        name: "nan-left-out",
        about: "the sums leave out NaN, so that a channel with one is normalised all the same",
        tensors: FROM_MEAN,
        link: None,
        parts: &[Part::Statistics(|c, channel| {
            let numbers: Vec<f64> = c.x[channel].iter().filter(|x| !x.is_nan()).copied().collect();
            moments(c, &numbers)
        })],
    },
    Fault {
        name: "nan-spreads-to-other-channels",
        about: "the sums of all channels are one product with a matrix of zeros and ones, and 0·NaN is NaN",
        tensors: FROM_MEAN,
        link: None,
        parts: &[Part::Statistics(|c, channel| {
            let (a, n) = (c.arithmetic, c.n() as f64);
            let (mean, var) = moments(c, &c.x[channel]);
            let others = c.x.iter().enumerate().filter(|(other, _)| *other != channel);
            let zeros = others.map(|(_, row)| a.mul(0.0, (c.stages.sum)(a, row)));
            let zero = zeros.fold(0.0, |sum, term| a.add(sum, term));
            (a.add(mean, a.div(zero, n)), a.add(var, zero))
        })],
    },
    Fault {
        name: "mean-not-scaled",
        about: "y is x/σ - μ: the mean is taken off after the scaling, without being scaled itself",
        tensors: OUTPUT,
        link: None,
        parts: &[Part::AllOutput(|c, statistics, _| {
            let a = c.arithmetic;
            let y = |channel: usize, x: &f64| {
                let scaled = a.sub(a.mul(*x, statistics[channel].inverse_std), statistics[channel].mean);
                a.add(a.mul(scaled, c.gamma[channel]), c.beta[channel])
            };
            let row = |(channel, row): (usize, &Vec<f64>)| row.iter().map(|x| y(channel, x)).collect();
            c.x.iter().enumerate().map(row).collect()
        })],
    },
];
