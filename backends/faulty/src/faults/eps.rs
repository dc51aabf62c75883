//! Where eps is added, and what a variance near 0 gives.

use bn_api::Observable;
use bn_stages::plain;

use super::tools::{FROM_XHAT, VARIANCE, grad_input};
use crate::{Fault, Part};

const GRAD_INPUT: &[Observable] = &[Observable::GradInput];

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "eps-outside-the-root",
        about: "eps is added to the deviation, √var + eps, not to the variance",
        tensors: FROM_XHAT,
        link: Some("https://github.com/Tencent/ncnn/pull/311"),
        parts: &[Part::InverseStd(|c, _, var| {
            let a = c.arithmetic;
            a.div(1.0, a.add(a.sqrt(var), a.round(c.eps)))
        })],
    },
    Fault {
        name: "eps-missing",
        about: "eps is not added at all",
        tensors: FROM_XHAT,
        link: None,
        parts: &[Part::InverseStd(|c, _, var| c.arithmetic.div(1.0, c.arithmetic.sqrt(var)))],
    },
    Fault {
        name: "eps-missing-in-evaluation",
        about: "eps is added to the batch's variance alone, not to the running one",
        tensors: FROM_XHAT,
        link: Some("https://github.com/pytorch/vision/issues/1947"),
        parts: &[Part::InverseStd(|c, channel, var| {
            if c.use_batch_stats {
                return plain::inverse_std(c, channel, var);
            }
            c.arithmetic.div(1.0, c.arithmetic.sqrt(var))
        })],
    },
    Fault {
        name: "eps-added-twice",
        about: "eps is added to the variance, and once more under the root",
        tensors: FROM_XHAT,
        link: None,
        parts: &[Part::InverseStd(|c, channel, var| {
            plain::inverse_std(c, channel, c.arithmetic.add(var, c.arithmetic.round(c.eps)))
        })],
    },
    Fault {
        name: "eps-squared",
        about: "eps is taken for a deviation: its square is added to the variance",
        tensors: FROM_XHAT,
        link: None,
        parts: &[Part::InverseStd(|c, _, var| {
            let a = c.arithmetic;
            a.div(1.0, a.sqrt(a.add(var, a.round(c.eps * c.eps))))
        })],
    },
    Fault {
        name: "eps-for-zero-alone",
        about: "eps is used only where the variance is 0",
        tensors: FROM_XHAT,
        link: None,
        parts: &[Part::InverseStd(|c, _, var| {
            let a = c.arithmetic;
            a.div(1.0, a.sqrt(if var == 0.0 { a.round(c.eps) } else { var }))
        })],
    },
    Fault {
        name: "variance-floored-at-eps",
        about: "eps is a lower limit of the variance, not added to it",
        tensors: FROM_XHAT,
        link: None,
        parts: &[Part::InverseStd(|c, _, var| {
            let (a, eps) = (c.arithmetic, c.arithmetic.round(c.eps));
            a.div(1.0, a.sqrt(if var < eps { eps } else { var }))
        })],
    },
    Fault {
        name: "eps-has-a-minimum",
        about: "an eps below 1e-5 is raised to it",
        tensors: FROM_XHAT,
        link: None,
        parts: &[Part::InverseStd(|c, _, var| {
            let a = c.arithmetic;
            a.div(1.0, a.sqrt(a.add(var, a.round(c.eps.max(1e-5)))))
        })],
    },
    Fault {
        name: "root-missing",
        about: "x - mean is divided by var + eps instead of its root",
        tensors: FROM_XHAT,
        link: None,
        parts: &[Part::InverseStd(|c, _, var| {
            let a = c.arithmetic;
            a.div(1.0, a.add(var, a.round(c.eps)))
        })],
    },
    Fault {
        name: "negative-variance-clamped",
        about: "a running variance below 0 is taken for 0, so that a number comes out where NaN should",
        tensors: FROM_XHAT,
        link: None,
        parts: &[Part::InverseStd(|c, channel, var| {
            plain::inverse_std(c, channel, if var < 0.0 { 0.0 } else { var })
        })],
    },
    Fault {
        name: "constant-channel-has-no-gradient",
        about: "1/√(var + eps) is 0 where the variance is 0, which the output of a constant channel does not show",
        tensors: FROM_XHAT,
        link: None,
        parts: &[Part::InverseStd(
            |c, channel, var| {
                if var == 0.0 { 0.0 } else { plain::inverse_std(c, channel, var) }
            },
        )],
    },
    Fault {
        name: "constant-channel-gradient-nan",
        about: "the backward has var^(-3/2) without eps in its last term: of a constant channel 0·∞",
        tensors: GRAD_INPUT,
        link: None,
        parts: &[Part::GradInput(|saved, channel, sums, k, dy| {
            let c = &saved.context;
            let a = c.arithmetic;
            let n = c.n() as f64;
            let statistics = &saved.statistics[channel];
            if !c.use_batch_stats {
                return plain::grad_input(saved, channel, sums, k, dy);
            }
            let gamma = c.gamma[channel];
            let first = a.mul(a.mul(gamma, statistics.inverse_std), a.sub(dy, a.div(sums.dy, n)));
            let cubed = a.div(1.0, a.mul(statistics.var, a.sqrt(statistics.var)));
            let distance = a.sub(c.x[channel][k], statistics.mean);
            // Σ dy·(x - mean), of Σ dy·x̂.
            let along = a.div(a.div(sums.dy_xhat, statistics.inverse_std), n);
            a.sub(first, a.mul(a.mul(gamma, a.mul(distance, along)), cubed))
        })],
    },
    Fault {
        name: "eps-missing-in-backward",
        about: "the backward divides by √var, the forward by √(var + eps)",
        tensors: GRAD_INPUT,
        link: None,
        parts: &[Part::GradInput(|saved, channel, sums, k, dy| {
            let a = saved.context.arithmetic;
            let n = saved.context.n() as f64;
            let scale = a.div(saved.context.gamma[channel], a.sqrt(saved.statistics[channel].var));
            grad_input(saved, (channel, k), dy, (a.div(sums.dy, n), a.div(sums.dy_xhat, n)), scale)
        })],
    },
    Fault {
        name: "eps-fixed-in-backward",
        about: "the backward has an eps of 1e-5 of its own, whatever the layer's is",
        tensors: GRAD_INPUT,
        link: None,
        parts: &[Part::GradInput(|saved, channel, sums, k, dy| {
            let a = saved.context.arithmetic;
            let n = saved.context.n() as f64;
            let deviation = a.sqrt(a.add(saved.statistics[channel].var, a.round(1e-5)));
            let scale = a.div(saved.context.gamma[channel], deviation);
            grad_input(saved, (channel, k), dy, (a.div(sums.dy, n), a.div(sums.dy_xhat, n)), scale)
        })],
    },
    Fault {
        name: "eps-in-the-running-variance",
        about: "eps is added to the variance in place, before the running one averages it",
        tensors: VARIANCE,
        link: None,
        parts: &[Part::Unbiased(|c, var| {
            plain::unbiased(c, c.arithmetic.add(var, c.arithmetic.round(c.eps)))
        })],
    },
];
