//! What is sound by a declaration only: statistics that are rounded to the type that the layer's tensors are stored in.

use bn_api::DType;
use bn_stages::{Context, Stages, plain};

use crate::Method;

/// Rounds its statistics to storage. It is no method among the others: it is judged by the accuracy that it declares.
pub static STATISTICS_ROUNDED: Method = Method {
    name: "statistics-rounded",
    about: "mean, sum of squares, variance and inverse standard deviation rounded to storage before they are used",
    stages: Stages { statistics, inverse_std, ..Stages::plain() },
};

/// A number in the type of the layer's parameters; the input's where it has none.
fn stored(c: &Context, value: f64) -> f64 {
    let dtype: DType = c.weight.or(c.bias).unwrap_or(c.dtype);
    dtype.round(value)
}

fn statistics(c: &Context, channel: usize) -> (f64, f64) {
    let (a, x) = (c.arithmetic, &c.x[channel]);
    let n = a.round(c.n() as f64);
    let mean = stored(c, a.div((c.stages.sum)(a, x), n));
    let squares: Vec<f64> = x.iter().map(|x| a.sub(*x, mean)).map(|d| a.mul(d, d)).collect();
    let sum = stored(c, (c.stages.sum)(a, &squares));
    (mean, stored(c, a.div(sum, n)))
}

fn inverse_std(c: &Context, channel: usize, var: f64) -> f64 {
    stored(c, plain::inverse_std(c, channel, var))
}
