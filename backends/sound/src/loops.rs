//! Loops the other way round: over places outside, over channels inside, as memory lies in channels last.

use bn_stages::{Arithmetic, Context, Rows, Saved, Sums};

/// How many places go into one row of accumulators: a thread's share.
const BLOCK: usize = 64;

/// Σ over places of a term, for all channels at once: block by block, and then the blocks' sums.
fn sums(a: Arithmetic, channels: usize, n: usize, term: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    let mut total = vec![0.0; channels];
    let mut block = vec![0.0; channels];
    for first in (0..n).step_by(BLOCK) {
        block.fill(0.0);
        for place in first..n.min(first + BLOCK) {
            for (channel, sum) in block.iter_mut().enumerate() {
                *sum = a.add(*sum, term(channel, place));
            }
        }
        for (total, sum) in total.iter_mut().zip(&block) {
            *total = a.add(*total, *sum);
        }
    }
    total
}

/// Mean and variance of all channels in two passes.
pub fn statistics(c: &Context) -> Vec<(f64, f64)> {
    let (a, n) = (c.arithmetic, c.n());
    let count = a.round(n as f64);
    let means: Vec<f64> = sums(a, c.channels(), n, |channel, place| c.x[channel][place])
        .iter()
        .map(|sum| a.div(*sum, count))
        .collect();
    let squares = sums(a, c.channels(), n, |channel, place| {
        let off = a.sub(c.x[channel][place], means[channel]);
        a.mul(off, off)
    });
    means.into_iter().zip(squares).map(|(mean, squares)| (mean, a.div(squares, count))).collect()
}

/// Σ dy and Σ dy·x̂ of all channels.
pub fn gradient_sums(saved: &Saved, dy: &Rows) -> Vec<Sums> {
    let (a, n, channels) = (saved.context.arithmetic, saved.context.n(), dy.len());
    let of_dy = sums(a, channels, n, |channel, place| dy[channel][place]);
    let products =
        sums(a, channels, n, |channel, place| a.mul(dy[channel][place], saved.xhat[channel][place]));
    of_dy.into_iter().zip(products).map(|(dy, dy_xhat)| Sums { dy, dy_xhat }).collect()
}
