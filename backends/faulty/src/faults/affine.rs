//! Weight and bias, and what is made of the output.

use bn_stages::{Rows, plain};

use super::tools::{GRADIENTS, OUTPUT};
use crate::{Fault, Part};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "weights-reversed",
        about: "weight is indexed from the last channel on",
        tensors: OUTPUT,
        link: None,
        parts: &[Part::Output(|c, channel, _, _, xhat| {
            c.arithmetic.add(c.arithmetic.mul(xhat, c.gamma[c.channels() - 1 - channel]), c.beta[channel])
        })],
    },
    Fault {
        name: "parameters-indexed-by-element",
        about: "weight and bias are those of element i % C, as with the channels last: (i / HW) % C is right",
        tensors: OUTPUT,
        link: None,
        parts: &[Part::AllOutput(|c, _, xhat| {
            let a = c.arithmetic;
            let channels = bn_api::Channels::of(&c.shape);
            let y = |channel: usize, k: usize| {
                let other = channels.index(channel, k) % c.channels();
                a.add(a.mul(xhat[channel][k], c.gamma[other]), c.beta[other])
            };
            (0..xhat.len()).map(|channel| (0..c.n()).map(|k| y(channel, k)).collect()).collect()
        })],
    },
    Fault {
        name: "one-weight-for-all-channels",
        about: "the first weight and the first bias are applied to every channel",
        tensors: OUTPUT,
        link: None,
        parts: &[Part::Output(|c, _, _, _, xhat| {
            c.arithmetic.add(c.arithmetic.mul(xhat, c.gamma[0]), c.beta[0])
        })],
    },
    Fault {
        name: "bias-missing",
        about: "bias is not added",
        tensors: OUTPUT,
        link: None,
        parts: &[Part::Output(|c, channel, _, _, xhat| c.arithmetic.mul(xhat, c.gamma[channel]))],
    },
    Fault {
        name: "bias-missing-in-evaluation",
        about: "bias is not added in evaluation mode",
        tensors: OUTPUT,
        link: None,
        parts: &[Part::Output(|c, channel, statistics, x, xhat| {
            if c.use_batch_stats {
                return plain::output(c, channel, statistics, x, xhat);
            }
            c.arithmetic.mul(xhat, c.gamma[channel])
        })],
    },
    Fault {
        name: "weight-missing-in-evaluation",
        about: "weight is not applied in evaluation mode",
        tensors: OUTPUT,
        link: None,
        parts: &[Part::Output(|c, channel, statistics, x, xhat| {
            if c.use_batch_stats {
                return plain::output(c, channel, statistics, x, xhat);
            }
            c.arithmetic.add(xhat, c.beta[channel])
        })],
    },
    Fault {
        name: "bias-added-twice",
        about: "bias is added by the kernel and once more behind it",
        tensors: OUTPUT,
        link: None,
        parts: &[Part::Output(|c, channel, statistics, x, xhat| {
            c.arithmetic.add(plain::output(c, channel, statistics, x, xhat), c.beta[channel])
        })],
    },
    Fault {
        name: "bias-scaled-by-weight",
        about: "y is weight·(x̂ + bias)",
        tensors: OUTPUT,
        link: None,
        parts: &[Part::Output(|c, channel, _, _, xhat| {
            c.arithmetic.mul(c.arithmetic.add(xhat, c.beta[channel]), c.gamma[channel])
        })],
    },
    Fault {
        name: "weight-applied-before-centring",
        about: "y is (weight·x - mean)/σ + bias: the mean is taken off what has been weighed already",
        tensors: OUTPUT,
        link: None,
        parts: &[Part::Output(|c, channel, statistics, x, _| {
            let a = c.arithmetic;
            let centred = a.sub(a.mul(c.gamma[channel], x), statistics.mean);
            a.add(a.mul(centred, statistics.inverse_std), c.beta[channel])
        })],
    },
    Fault {
        name: "weight-loses-its-sign",
        about: "|weight| is applied: weight is taken for a scale that is positive",
        tensors: OUTPUT,
        link: None,
        parts: &[Part::Output(|c, channel, _, _, xhat| {
            c.arithmetic.add(c.arithmetic.mul(xhat, c.gamma[channel].abs()), c.beta[channel])
        })],
    },
    Fault {
        name: "weight-counts-from-zero",
        about: "y is (1 + weight)·x̂ + bias: weight is taken for its distance from 1",
        tensors: OUTPUT,
        link: None,
        parts: &[Part::Output(|c, channel, _, _, xhat| {
            let a = c.arithmetic;
            a.add(a.mul(xhat, a.add(1.0, c.gamma[channel])), c.beta[channel])
        })],
    },
    Fault {
        name: "weight-ignored-without-bias",
        about: "weight is applied only where there is a bias as well",
        tensors: OUTPUT,
        link: None,
        parts: &[Part::Output(|c, channel, statistics, x, xhat| {
            if c.bias.is_none() { xhat } else { plain::output(c, channel, statistics, x, xhat) }
        })],
    },
    Fault {
        name: "bias-ignored-without-weight",
        about: "bias is applied only where there is a weight as well",
        tensors: OUTPUT,
        link: None,
        parts: &[Part::Output(|c, channel, statistics, x, xhat| {
            if c.weight.is_none() { xhat } else { plain::output(c, channel, statistics, x, xhat) }
        })],
    },
    Fault {
        name: "negative-results-cut-off",
        about: "the activation behind the layer has been fused into it: y is max(y, 0)",
        tensors: OUTPUT,
        link: None,
        parts: &[Part::Output(|c, channel, statistics, x, xhat| {
            let y = plain::output(c, channel, statistics, x, xhat);
            if y < 0.0 { 0.0 } else { y }
        })],
    },
    Fault {
        name: "nan-eaten-by-a-maximum",
        about: "y passes through a maximum that prefers numbers, and NaN becomes the lowest one",
        tensors: OUTPUT,
        link: None,
        parts: &[Part::Output(|c, channel, statistics, x, xhat| {
            plain::output(c, channel, statistics, x, xhat).max(f64::from(f32::MIN))
        })],
    },
    Fault {
        name: "zero-weight-hides-nan",
        about: "a channel of weight 0 is written as its bias without looking at x, which may be NaN",
        tensors: OUTPUT,
        link: None,
        parts: &[Part::Output(|c, channel, statistics, x, xhat| {
            if c.gamma[channel] == 0.0 {
                return c.beta[channel];
            }
            plain::output(c, channel, statistics, x, xhat)
        })],
    },
    Fault {
        name: "xhat-recovered-from-the-output",
        about: "the backward recovers x̂ as (y - bias)/weight, 0/0 where weight is 0",
        tensors: GRADIENTS,
        link: None,
        parts: &[Part::Keep(|_, mut saved| {
            let c = &saved.context;
            let recovered = |channel: usize, xhat: f64| {
                let a = c.arithmetic;
                let y = c.dtype.round(a.add(a.mul(xhat, c.gamma[channel]), c.beta[channel]));
                a.div(a.sub(y, c.beta[channel]), c.gamma[channel])
            };
            let rows = saved.xhat.iter().enumerate();
            let row = |(channel, row): (usize, &Vec<f64>)| {
                row.iter().map(|xhat| recovered(channel, *xhat)).collect()
            };
            let xhat: Rows = rows.map(row).collect();
            saved.xhat = xhat;
            saved
        })],
    },
    Fault {
        name: "xhat-overwritten-by-the-output",
        about: "y is written over the x̂ that the backward reads",
        tensors: GRADIENTS,
        link: None,
        parts: &[Part::Keep(|_, mut saved| {
            let xhat = plain::all_output(&saved.context, &saved.statistics, &saved.xhat);
            saved.xhat = xhat;
            saved
        })],
    },
];
