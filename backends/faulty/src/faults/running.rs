//! How the running statistics move.

use bn_api::Slot;
use bn_stages::{Context, Running, plain};

use super::tools::{FROM_XHAT, MEAN, STATISTICS, VARIANCE};
use crate::{Fault, Part};

/// m·batch + (1 - m)·old with another m.
fn average_by(c: &Context, momentum: f64, old: f64, batch: f64) -> f64 {
    let (a, momentum) = (c.arithmetic, c.arithmetic.round(momentum));
    a.add(a.mul(old, a.sub(1.0, momentum)), a.mul(batch, momentum))
}

/// σ² · n/(n - less), n counted otherwise.
fn corrected(c: &Context, var: f64, n: f64, less: f64) -> f64 {
    let a = c.arithmetic;
    a.div(a.mul(var, n), a.round(n - less))
}

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "momentum-inverted",
        about: "momentum weighs the old average instead of the new batch",
        tensors: STATISTICS,
        link: Some("https://github.com/Oneflow-Inc/oneflow/pull/6055"),
        parts: &[Part::Average(|c, _, old, batch| average_by(c, 1.0 - c.factor, old, batch))],
    },
    Fault {
        name: "biased-running-var",
        about: "running_var averages the biased variance: n/(n-1) is missing",
        tensors: VARIANCE,
        link: Some("https://github.com/ml-explore/mlx/issues/3817"),
        parts: &[Part::Unbiased(|_, var| var)],
    },
    Fault {
        name: "bessel-of-the-samples",
        about: "running_var averages N/(N-1) times the variance, N the samples instead of all values of a channel",
        tensors: VARIANCE,
        link: None,
        parts: &[Part::Unbiased(|c, var| {
            if c.samples() == 1 { var } else { corrected(c, var, c.samples() as f64, 1.0) }
        })],
    },
    Fault {
        name: "bessel-inverted",
        about: "running_var averages (n-1)/n times the variance",
        tensors: VARIANCE,
        link: None,
        parts: &[Part::Unbiased(|c, var| {
            let n = c.n() as f64;
            c.arithmetic.div(c.arithmetic.mul(var, n - 1.0), n)
        })],
    },
    Fault {
        name: "bessel-twice",
        about: "the variance is unbiased when it is found and again when the running one averages it",
        tensors: VARIANCE,
        link: None,
        parts: &[Part::Unbiased(|c, var| plain::unbiased(c, plain::unbiased(c, var)))],
    },
    Fault {
        name: "bessel-by-two",
        about: "running_var averages n/(n-2) times the variance, and the variance itself of two values",
        tensors: VARIANCE,
        link: None,
        parts: &[Part::Unbiased(|c, var| corrected(c, var, c.n() as f64, if c.n() > 2 { 2.0 } else { 1.0 }))],
    },
    Fault {
        name: "bessel-for-the-mean",
        about: "running_mean averages n/(n-1) times the mean",
        tensors: MEAN,
        link: None,
        parts: &[Part::Average(|c, slot, old, batch| {
            let corrected = if slot == Slot::RunningMean { plain::unbiased(c, batch) } else { batch };
            plain::average(c, slot, old, corrected)
        })],
    },
    Fault {
        name: "running-std",
        about: "running_var averages standard deviations",
        tensors: VARIANCE,
        link: None,
        parts: &[Part::Unbiased(|c, var| c.arithmetic.sqrt(plain::unbiased(c, var)))],
    },
    Fault {
        name: "running-inverse-std",
        about: "running_var averages 1/√(var + eps), the value that was saved for the backward",
        tensors: VARIANCE,
        link: None,
        parts: &[Part::Unbiased(|c, var| plain::inverse_std(c, 0, var))],
    },
    Fault {
        name: "running-sum",
        about: "running_mean averages the sums of the batches, not their means",
        tensors: MEAN,
        link: None,
        parts: &[Part::Average(|c, slot, old, batch| {
            let batch = if slot == Slot::RunningMean { c.arithmetic.mul(batch, c.n() as f64) } else { batch };
            plain::average(c, slot, old, batch)
        })],
    },
    Fault {
        name: "statistics-never-move",
        about: "the new running statistics are computed and thrown away",
        tensors: STATISTICS,
        link: Some("https://github.com/microsoft/onnxruntime/pull/6349"),
        parts: &[Part::Moves(|_| false)],
    },
    Fault {
        name: "statistics-move-in-evaluation",
        about: "the running statistics move in evaluation mode as well",
        tensors: STATISTICS,
        link: Some("https://github.com/FluxML/Flux.jl/issues/1429"),
        parts: &[Part::Moves(|_| true)],
    },
    Fault {
        name: "statistics-still-without-affine",
        about: "the running statistics do not move in a layer without weight and bias",
        tensors: STATISTICS,
        link: Some("https://github.com/apache/mxnet/issues/18673"),
        parts: &[Part::Moves(|c| c.use_batch_stats && (c.weight.is_some() || c.bias.is_some()))],
    },
    Fault {
        name: "statistics-move-twice",
        about: "the running statistics are moved by the kernel and again by the layer",
        tensors: STATISTICS,
        link: None,
        parts: &[Part::MoveRunning(|c, before, batch| {
            plain::move_running(c, &plain::move_running(c, before, batch), batch)
        })],
    },
    Fault {
        name: "running-buffers-aliased",
        about: "running_mean and running_var are one buffer, which both updates go to",
        tensors: STATISTICS,
        link: None,
        parts: &[Part::MoveRunning(|c, before, batch| {
            let with_mean = plain::move_running(c, before, batch).mean;
            let shared = Running { mean: with_mean.clone(), var: with_mean };
            let var = plain::move_running(c, &shared, batch).var;
            Running { mean: var.clone(), var }
        })],
    },
    Fault {
        name: "running-var-around-the-running-mean",
        about: "the running mean moves first, and the variance that is averaged is taken around it",
        tensors: VARIANCE,
        link: None,
        parts: &[Part::MoveRunning(|c, before, batch| {
            let a = c.arithmetic;
            let mean = plain::move_running(c, before, batch).mean;
            let around = |(new, (mean, var)): (&f64, &(f64, f64))| {
                let distance = a.sub(*mean, *new);
                (*mean, a.add(*var, a.mul(distance, distance)))
            };
            let batch: Vec<(f64, f64)> = mean.iter().zip(batch).map(around).collect();
            plain::move_running(c, before, &batch)
        })],
    },
    Fault {
        name: "normalised-with-moved-statistics",
        about: "training normalises with the running statistics that it has just moved",
        tensors: FROM_XHAT,
        link: Some("https://github.com/microsoft/onnxruntime/issues/29790"),
        parts: &[Part::Applied(|_, found, moved| match moved {
            Some(moved) => moved.mean.iter().copied().zip(moved.var.iter().copied()).collect(),
            None => found,
        })],
    },
    Fault {
        name: "normalised-with-the-moved-mean",
        about: "training takes off the running mean that it has just moved, and divides by the batch's deviation",
        tensors: FROM_XHAT,
        link: None,
        parts: &[Part::Applied(|_, found, moved| match moved {
            Some(moved) => moved.mean.iter().copied().zip(found.iter().map(|(_, var)| *var)).collect(),
            None => found,
        })],
    },
    Fault {
        name: "momentum-for-the-variance-alone",
        about: "running_mean is the mean of the latest batch, running_var an average",
        tensors: MEAN,
        link: None,
        parts: &[Part::Average(|c, slot, old, batch| {
            if slot == Slot::RunningMean { batch } else { plain::average(c, slot, old, batch) }
        })],
    },
    Fault {
        name: "momentum-for-the-mean-alone",
        about: "running_var is the variance of the latest batch, running_mean an average",
        tensors: VARIANCE,
        link: None,
        parts: &[Part::Average(|c, slot, old, batch| {
            if slot == Slot::RunningVar { batch } else { plain::average(c, slot, old, batch) }
        })],
    },
    Fault {
        name: "old-average-not-weighed",
        about: "momentum·batch is added to the whole old average",
        tensors: STATISTICS,
        link: None,
        parts: &[Part::Average(|c, _, old, batch| {
            c.arithmetic.add(old, c.arithmetic.mul(batch, c.arithmetic.round(c.factor)))
        })],
    },
    Fault {
        name: "new-batch-not-weighed",
        about: "the whole batch is added to (1 - momentum)·old",
        tensors: STATISTICS,
        link: None,
        parts: &[Part::Average(|c, _, old, batch| {
            let a = c.arithmetic;
            a.add(a.mul(old, a.sub(1.0, a.round(c.factor))), batch)
        })],
    },
    Fault {
        name: "momentum-clamped",
        about: "momentum is clamped to 0…1",
        tensors: STATISTICS,
        link: None,
        parts: &[Part::Average(|c, _, old, batch| average_by(c, c.factor.clamp(0.0, 1.0), old, batch))],
    },
    Fault {
        name: "momentum-squared",
        about: "the running mean is weighed with momentum, the running variance with its square",
        tensors: VARIANCE,
        link: None,
        parts: &[Part::Average(|c, slot, old, batch| {
            let momentum = if slot == Slot::RunningVar { c.factor * c.factor } else { c.factor };
            average_by(c, momentum, old, batch)
        })],
    },
    Fault {
        name: "momentum-zero-leaves-nan-out",
        about: "with momentum 0 nothing is computed, so that a NaN of the batch does not reach the statistics",
        tensors: STATISTICS,
        link: None,
        parts: &[Part::Average(
            |c, slot, old, batch| {
                if c.factor == 0.0 { old } else { plain::average(c, slot, old, batch) }
            },
        )],
    },
    Fault {
        name: "momentum-one-forgets-nan",
        about: "with momentum 1 the old statistics are overwritten, so that a NaN there does not stay",
        tensors: STATISTICS,
        link: None,
        parts: &[Part::Average(
            |c, slot, old, batch| {
                if c.factor == 1.0 { batch } else { plain::average(c, slot, old, batch) }
            },
        )],
    },
    Fault {
        name: "nan-batches-left-out",
        about: "running statistics do not move for a batch whose statistics are not numbers",
        tensors: STATISTICS,
        link: None,
        parts: &[Part::Average(
            |c, slot, old, batch| {
                if batch.is_finite() { plain::average(c, slot, old, batch) } else { old }
            },
        )],
    },
    Fault {
        name: "running-var-not-below-zero",
        about: "a running variance that momentum takes below 0 is set to 0",
        tensors: VARIANCE,
        link: None,
        parts: &[Part::Average(|c, slot, old, batch| {
            let new = plain::average(c, slot, old, batch);
            if slot == Slot::RunningVar && new < 0.0 { 0.0 } else { new }
        })],
    },
    Fault {
        name: "running-statistics-of-the-first-channel",
        about: "the running statistics of all channels are read from the first",
        tensors: FROM_XHAT,
        link: None,
        parts: &[Part::Running(|_, running, _| (running.mean[0], running.var[0]))],
    },
    Fault {
        name: "running-mean-not-taken-off",
        about: "evaluation divides by the running deviation and does not take off the running mean",
        tensors: FROM_XHAT,
        link: None,
        parts: &[Part::Running(|_, running, channel| (0.0, running.var[channel]))],
    },
    Fault {
        name: "running-var-taken-for-a-deviation",
        about: "evaluation takes the running variance for the deviation and squares it",
        tensors: FROM_XHAT,
        link: None,
        parts: &[Part::Running(|c, running, channel| {
            (running.mean[channel], c.arithmetic.mul(running.var[channel], running.var[channel]))
        })],
    },
    Fault {
        name: "running-var-corrected-when-read",
        about: "evaluation multiplies the running variance by n/(n-1) of the batch at hand",
        tensors: FROM_XHAT,
        link: None,
        parts: &[Part::Running(|c, running, channel| {
            let var = running.var[channel];
            (running.mean[channel], if c.n() > 1 { plain::unbiased(c, var) } else { var })
        })],
    },
];
