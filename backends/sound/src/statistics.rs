//! Ways to a channel's mean and biased variance.

use bn_stages::sums::{SEQUENTIAL_LIMIT, sequential};
use bn_stages::{Arithmetic, Context};

/// Some of a channel's values: how many, their mean, and Σ (x - mean)².
#[derive(Debug, Clone, Copy)]
struct Part {
    n: f64,
    mean: f64,
    squares: f64,
}

impl Part {
    /// In two passes.
    fn in_two_passes(a: Arithmetic, x: &[f64]) -> Self {
        let n = a.round(x.len() as f64);
        let mean = a.div(sequential(a, x), n);
        let square = |x: &f64| {
            let off = a.sub(*x, mean);
            a.mul(off, off)
        };
        Part { n, mean, squares: x.iter().map(square).fold(0.0, |sum, square| a.add(sum, square)) }
    }

    /// Value by value: each moves the mean by its share (Welford 1962).
    fn by_value<'x>(a: Arithmetic, x: impl Iterator<Item = &'x f64>) -> Self {
        let mut part = Part { n: 0.0, mean: 0.0, squares: 0.0 };
        for x in x {
            part.n += 1.0;
            let off = a.sub(*x, part.mean);
            part.mean = a.add(part.mean, a.div(off, part.n));
            part.squares = a.add(part.squares, a.mul(off, a.sub(*x, part.mean)));
        }
        part
    }

    /// Two parts as one (Chan, Golub and LeVeque 1983, eq. 2.1).
    fn with(self, a: Arithmetic, other: Part) -> Self {
        if self.n == 0.0 || other.n == 0.0 {
            return if self.n == 0.0 { other } else { self };
        }
        let n = a.add(self.n, other.n);
        let off = a.sub(other.mean, self.mean);
        let share = a.div(other.n, n);
        let between = a.mul(a.mul(off, off), a.mul(self.n, share));
        Part {
            n,
            mean: a.add(self.mean, a.mul(off, share)),
            squares: a.add(a.add(self.squares, other.squares), between),
        }
    }

    /// Neighbours first, then what came of them.
    fn tree(a: Arithmetic, parts: &[Part]) -> Self {
        match parts {
            [] => Part { n: 0.0, mean: 0.0, squares: 0.0 },
            [part] => *part,
            _ => {
                let (first, second) = parts.split_at(parts.len().next_power_of_two() / 2);
                Part::tree(a, first).with(a, Part::tree(a, second))
            }
        }
    }

    fn statistics(self, a: Arithmetic) -> (f64, f64) {
        (self.mean, a.div(self.squares, self.n))
    }
}

/// One pass in which every value moves the mean (Welford 1962). Past 2^16 values a new one is begun.
pub fn welford(c: &Context, channel: usize) -> (f64, f64) {
    let a = c.arithmetic;
    let blocks = c.x[channel].chunks(SEQUENTIAL_LIMIT).map(|block| Part::by_value(a, block.iter()));
    blocks.reduce(|before, block| before.with(a, block)).map_or((f64::NAN, f64::NAN), |all| all.statistics(a))
}

/// `LANES` of Welford's side by side, put together two by two: a GPU's way.
pub fn welford_lanes<const LANES: usize>(c: &Context, channel: usize) -> (f64, f64) {
    let (a, x) = (c.arithmetic, &c.x[channel]);
    let lanes: Vec<Part> =
        (0..LANES).map(|lane| Part::by_value(a, x.iter().skip(lane).step_by(LANES))).collect();
    Part::tree(a, &lanes).statistics(a)
}

/// Blocks of `SIZE` values, each in two passes, put together pairwise (Chan, Golub and LeVeque 1983).
pub fn chan<const SIZE: usize>(c: &Context, channel: usize) -> (f64, f64) {
    let a = c.arithmetic;
    let blocks: Vec<Part> = c.x[channel].chunks(SIZE).map(|block| Part::in_two_passes(a, block)).collect();
    Part::tree(a, &blocks).statistics(a)
}

/// Blocks of `SIZE` values, each added to those before it.
pub fn chan_in_a_row<const SIZE: usize>(c: &Context, channel: usize) -> (f64, f64) {
    let a = c.arithmetic;
    let blocks = c.x[channel].chunks(SIZE).map(|block| Part::in_two_passes(a, block));
    blocks.reduce(|before, block| before.with(a, block)).map_or((f64::NAN, f64::NAN), |all| all.statistics(a))
}

/// One pass over x - shift: d = 1/n Σ (x - shift), mean = shift + d, variance = 1/n Σ (x - shift)² - d². Gives d too.
fn about(c: &Context, channel: usize, shift: f64) -> ((f64, f64), f64) {
    let (a, x) = (c.arithmetic, &c.x[channel]);
    let n = a.round(x.len() as f64);
    let off: Vec<f64> = x.iter().map(|x| a.sub(*x, shift)).collect();
    let squares: Vec<f64> = off.iter().map(|off| a.mul(*off, *off)).collect();
    let d = a.div((c.stages.sum)(a, &off), n);
    let var = a.sub(a.div((c.stages.sum)(a, &squares), n), a.mul(d, d));
    ((a.add(shift, d), not_below_zero(var)), d)
}

/// A difference of rounded numbers that is never negative when they are not rounded.
fn not_below_zero(var: f64) -> f64 {
    // Not `max`, which makes a number of NaN.
    if var < 0.0 { 0.0 } else { var }
}

/// One pass shifted by the first value, and a second one shifted by the mean that it found where the first value lies
/// more than a standard deviation from it.
///
/// The error of a shifted pass grows with 1 + (mean - shift)²/σ² (Chan, Golub and LeVeque 1983, §3): that is up to n
/// where the first value is the channel's outlier, and 2 at most where the shift is kept.
pub fn shifted(c: &Context, channel: usize) -> (f64, f64) {
    let (found, d) = about(c, channel, c.x[channel][0]);
    let (mean, var) = found;
    if d * d <= var || !mean.is_finite() { found } else { about(c, channel, mean).0 }
}

/// Two passes, of which the second corrects the variance by what the mean was off: 1/n Σ (x - μ)² - (1/n Σ (x - μ))²
/// (Chan, Golub and LeVeque 1983, eq. 1.7).
pub fn corrected(c: &Context, channel: usize) -> (f64, f64) {
    let (a, x) = (c.arithmetic, &c.x[channel]);
    let n = a.round(x.len() as f64);
    let mean = a.div((c.stages.sum)(a, x), n);
    let ((corrected, var), _) = about(c, channel, mean);
    (corrected, var)
}

/// Two passes with a fused multiply-add for each square.
pub fn fused(c: &Context, channel: usize) -> (f64, f64) {
    let (a, x) = (c.arithmetic, &c.x[channel]);
    let n = a.round(x.len() as f64);
    let mean = a.div((c.stages.sum)(a, x), n);
    let off: Vec<f64> = x.iter().map(|x| a.sub(*x, mean)).collect();
    (mean, a.div(dot(a, &off, &off), n))
}

/// Σ one·other with fused multiply-adds.
pub fn dot(a: Arithmetic, one: &[f64], other: &[f64]) -> f64 {
    let block = |(one, other): (&[f64], &[f64])| {
        one.iter().zip(other).fold(0.0, |sum, (one, other)| a.fma(*one, *other, sum))
    };
    let blocks = one.chunks(SEQUENTIAL_LIMIT).zip(other.chunks(SEQUENTIAL_LIMIT));
    blocks.map(block).fold(0.0, |sum, block| a.add(sum, block))
}

/// Two passes that multiply by 1/n.
pub fn by_reciprocal(c: &Context, channel: usize) -> (f64, f64) {
    let (a, x) = (c.arithmetic, &c.x[channel]);
    let share = a.div(1.0, a.round(x.len() as f64));
    let mean = a.mul((c.stages.sum)(a, x), share);
    let squares: Vec<f64> = x.iter().map(|x| a.sub(*x, mean)).map(|off| a.mul(off, off)).collect();
    (mean, a.mul((c.stages.sum)(a, &squares), share))
}
