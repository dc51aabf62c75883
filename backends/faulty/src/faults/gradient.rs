//! The way back through the kernel.

use bn_api::Observable;
use bn_stages::{Sums, plain};

use super::tools::{GRADIENTS, grad_input, moments, scale};
use crate::{Fault, Part};

const INPUT: &[Observable] = &[Observable::GradInput];
const WEIGHT: &[Observable] = &[Observable::GradWeight];
const BIAS: &[Observable] = &[Observable::GradBias];
const FROM_SUMS: &[Observable] = &[Observable::GradInput, Observable::GradWeight];

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "evaluation-backward-through-statistics",
        about: "in evaluation mode the backward goes through the statistics, which are constants there",
        tensors: INPUT,
        link: Some("https://github.com/FluxML/Flux.jl/issues/2179"),
        parts: &[Part::GradInput(|saved, channel, sums, k, dy| {
            let a = saved.context.arithmetic;
            let n = saved.context.n() as f64;
            let centred =
                a.sub(a.sub(dy, a.div(sums.dy, n)), a.mul(saved.xhat[channel][k], a.div(sums.dy_xhat, n)));
            a.mul(centred, scale(saved, channel))
        })],
    },
    Fault {
        name: "training-backward-past-statistics",
        about: "in training the backward takes the statistics for constants: dx = weight/σ·dy",
        tensors: INPUT,
        link: None,
        parts: &[Part::GradInput(|saved, channel, _, _, dy| {
            saved.context.arithmetic.mul(dy, scale(saved, channel))
        })],
    },
    Fault {
        name: "mean-is-a-constant-backward",
        about: "the backward does not go through the mean: mean(dy) is missing",
        tensors: INPUT,
        link: None,
        parts: &[Part::GradInput(|saved, channel, sums, k, dy| {
            let (a, n) = (saved.context.arithmetic, saved.context.n() as f64);
            grad_input(saved, (channel, k), dy, (0.0, a.div(sums.dy_xhat, n)), scale(saved, channel))
        })],
    },
    Fault {
        name: "variance-is-a-constant-backward",
        about: "the backward does not go through the variance: x̂·mean(dy·x̂) is missing",
        tensors: INPUT,
        link: None,
        parts: &[Part::GradInput(|saved, channel, sums, k, dy| {
            let (a, n) = (saved.context.arithmetic, saved.context.n() as f64);
            grad_input(saved, (channel, k), dy, (a.div(sums.dy, n), 0.0), scale(saved, channel))
        })],
    },
    Fault {
        name: "backward-divides-by-n-minus-one",
        about: "the backward's means are divided by n - 1, the forward's by n",
        tensors: INPUT,
        link: None,
        parts: &[Part::GradInput(|saved, channel, sums, k, dy| {
            let (a, n) = (saved.context.arithmetic, saved.context.n() as f64 - 1.0);
            let means = (a.div(sums.dy, n), a.div(sums.dy_xhat, n));
            grad_input(saved, (channel, k), dy, means, scale(saved, channel))
        })],
    },
    Fault {
        name: "backward-divides-by-the-samples",
        about: "the backward's means are divided by N instead of N·H·W",
        tensors: INPUT,
        link: Some("https://github.com/pjreddie/darknet/issues/1634"),
        parts: &[Part::GradInput(|saved, channel, sums, k, dy| {
            let (a, n) = (saved.context.arithmetic, saved.context.samples() as f64);
            let means = (a.div(sums.dy, n), a.div(sums.dy_xhat, n));
            grad_input(saved, (channel, k), dy, means, scale(saved, channel))
        })],
    },
    Fault {
        name: "backward-divides-by-the-places",
        about: "the backward's means are divided by H·W instead of N·H·W",
        tensors: INPUT,
        link: None,
        parts: &[Part::GradInput(|saved, channel, sums, k, dy| {
            let (a, n) = (saved.context.arithmetic, saved.context.places() as f64);
            let means = (a.div(sums.dy, n), a.div(sums.dy_xhat, n));
            grad_input(saved, (channel, k), dy, means, scale(saved, channel))
        })],
    },
    Fault {
        name: "backward-does-not-average",
        about: "the backward takes off the sums of dy and dy·x̂ instead of their means",
        tensors: INPUT,
        link: None,
        parts: &[Part::GradInput(|saved, channel, sums, k, dy| {
            grad_input(saved, (channel, k), dy, (sums.dy, sums.dy_xhat), scale(saved, channel))
        })],
    },
    Fault {
        name: "last-term-with-the-wrong-sign",
        about: "the backward adds x̂·mean(dy·x̂) instead of taking it off",
        tensors: INPUT,
        link: None,
        parts: &[Part::GradInput(|saved, channel, sums, k, dy| {
            let (a, n) = (saved.context.arithmetic, saved.context.n() as f64);
            let means = (a.div(sums.dy, n), -a.div(sums.dy_xhat, n));
            grad_input(saved, (channel, k), dy, means, scale(saved, channel))
        })],
    },
    Fault {
        name: "weight-missing-in-grad-input",
        about: "the gradient of the input is not multiplied with weight",
        tensors: INPUT,
        link: Some("https://github.com/denizyuret/Knet.jl/issues/288"),
        parts: &[Part::GradInput(|saved, channel, sums, k, dy| {
            let (a, n) = (saved.context.arithmetic, saved.context.n() as f64);
            let means = (a.div(sums.dy, n), a.div(sums.dy_xhat, n));
            grad_input(saved, (channel, k), dy, means, saved.statistics[channel].inverse_std)
        })],
    },
    Fault {
        name: "weight-squared-in-grad-input",
        about: "the gradient of the input is multiplied with weight before and after the sums",
        tensors: INPUT,
        link: None,
        parts: &[Part::GradInput(|saved, channel, sums, k, dy| {
            let gamma = saved.context.gamma[channel];
            saved.context.arithmetic.mul(plain::grad_input(saved, channel, sums, k, dy), gamma)
        })],
    },
    Fault {
        name: "deviation-missing-in-grad-input",
        about: "the gradient of the input is not divided by the deviation",
        tensors: INPUT,
        link: None,
        parts: &[Part::GradInput(|saved, channel, sums, k, dy| {
            let (a, n) = (saved.context.arithmetic, saved.context.n() as f64);
            let means = (a.div(sums.dy, n), a.div(sums.dy_xhat, n));
            grad_input(saved, (channel, k), dy, means, saved.context.gamma[channel])
        })],
    },
    Fault {
        name: "inverse-std-taken-for-the-variance",
        about: "the backward takes the saved 1/√(var + eps) for the variance, adds eps and takes the root again",
        tensors: INPUT,
        link: Some("https://github.com/FlagOpen/FlagGems/issues/5222"),
        parts: &[Part::GradInput(|saved, channel, sums, k, dy| {
            let c = &saved.context;
            let (a, n) = (c.arithmetic, c.n() as f64);
            let wrong = plain::inverse_std(c, channel, saved.statistics[channel].inverse_std);
            let means = (a.div(sums.dy, n), a.div(sums.dy_xhat, n));
            grad_input(saved, (channel, k), dy, means, a.mul(c.gamma[channel], wrong))
        })],
    },
    Fault {
        name: "variance-taken-for-the-inverse-std",
        about: "the backward multiplies with the saved variance where 1/√(var + eps) should be",
        tensors: INPUT,
        link: None,
        parts: &[Part::GradInput(|saved, channel, sums, k, dy| {
            let c = &saved.context;
            let (a, n) = (c.arithmetic, c.n() as f64);
            let means = (a.div(sums.dy, n), a.div(sums.dy_xhat, n));
            let scale = a.mul(c.gamma[channel], saved.statistics[channel].var);
            grad_input(saved, (channel, k), dy, means, scale)
        })],
    },
    Fault {
        name: "weight-gradient-of-x",
        about: "the gradient of weight is Σ dy·x instead of Σ dy·x̂",
        tensors: FROM_SUMS,
        link: None,
        parts: &[Part::GradWeight(|saved, channel, sums| {
            // Σ dy·x = σ Σ dy·x̂ + μ Σ dy.
            let (a, statistics) = (saved.context.arithmetic, &saved.statistics[channel]);
            a.add(a.div(sums.dy_xhat, statistics.inverse_std), a.mul(statistics.mean, sums.dy))
        })],
    },
    Fault {
        name: "weight-gradient-not-normalised",
        about: "the gradient of weight is Σ dy·(x - mean), not divided by the deviation",
        tensors: WEIGHT,
        link: None,
        parts: &[Part::GradWeight(|saved, channel, sums| {
            saved.context.arithmetic.div(sums.dy_xhat, saved.statistics[channel].inverse_std)
        })],
    },
    Fault {
        name: "weight-gradient-scaled-by-weight",
        about: "the gradient of weight is multiplied with weight",
        tensors: WEIGHT,
        link: None,
        parts: &[Part::GradWeight(|saved, channel, sums| {
            saved.context.arithmetic.mul(sums.dy_xhat, saved.context.gamma[channel])
        })],
    },
    Fault {
        name: "bias-gradient-scaled-by-weight",
        about: "the gradient of bias is multiplied with weight",
        tensors: BIAS,
        link: None,
        parts: &[Part::GradBias(|saved, channel, sums| {
            saved.context.arithmetic.mul(sums.dy, saved.context.gamma[channel])
        })],
    },
    Fault {
        name: "parameter-gradients-averaged",
        about: "the gradients of weight and bias are means over the values of a channel, not sums",
        tensors: &[Observable::GradWeight, Observable::GradBias],
        link: None,
        parts: &[
            Part::GradWeight(|saved, _, sums| {
                saved.context.arithmetic.div(sums.dy_xhat, saved.context.n() as f64)
            }),
            Part::GradBias(|saved, _, sums| saved.context.arithmetic.div(sums.dy, saved.context.n() as f64)),
        ],
    },
    Fault {
        name: "bias-gradient-averaged-over-the-batch",
        about: "the gradient of bias is divided by N",
        tensors: BIAS,
        link: None,
        parts: &[Part::GradBias(|saved, _, sums| {
            saved.context.arithmetic.div(sums.dy, saved.context.samples() as f64)
        })],
    },
    Fault {
        name: "bias-gradient-missing-in-evaluation",
        about: "the gradient of bias is 0 in evaluation mode",
        tensors: BIAS,
        link: None,
        parts: &[Part::GradBias(|saved, _, sums| if saved.context.use_batch_stats { sums.dy } else { 0.0 })],
    },
    Fault {
        name: "weight-and-bias-gradients-swapped",
        about: "the gradients of weight and bias are stored in each other's place",
        tensors: &[Observable::GradWeight, Observable::GradBias],
        link: None,
        parts: &[Part::GradWeight(|_, _, sums| sums.dy), Part::GradBias(|_, _, sums| sums.dy_xhat)],
    },
    Fault {
        name: "evaluation-gradient-with-batch-statistics",
        about: "in evaluation mode the gradient of weight takes x̂ by the batch's statistics",
        tensors: WEIGHT,
        link: None,
        parts: &[Part::GradientSums(|saved, channel, dy| {
            let c = &saved.context;
            if c.use_batch_stats {
                return plain::gradient_sums(saved, channel, dy);
            }
            let (a, (mean, var)) = (c.arithmetic, moments(c, &c.x[channel]));
            let inverse_std = plain::inverse_std(c, channel, var);
            let xhat = |x: &f64| a.mul(a.sub(*x, mean), inverse_std);
            let products: Vec<f64> =
                dy.iter().zip(&c.x[channel]).map(|(dy, x)| a.mul(*dy, xhat(x))).collect();
            let sum = c.stages.sum;
            Sums { dy: sum(a, dy), dy_xhat: sum(a, &products) }
        })],
    },
    Fault {
        name: "weights-of-the-backward-reversed",
        about: "the backward indexes weight from the last channel on",
        tensors: INPUT,
        link: None,
        parts: &[Part::GradInput(|saved, channel, sums, k, dy| {
            let c = &saved.context;
            let (a, n) = (c.arithmetic, c.n() as f64);
            let gamma = c.gamma[c.channels() - 1 - channel];
            let means = (a.div(sums.dy, n), a.div(sums.dy_xhat, n));
            grad_input(saved, (channel, k), dy, means, a.mul(gamma, saved.statistics[channel].inverse_std))
        })],
    },
    Fault {
        name: "statistics-of-an-earlier-forward",
        about: "the buffer of mean and deviation for the backward is filled by the first forward and not again",
        tensors: INPUT,
        link: None,
        parts: &[Part::Keep(|earlier, mut saved| {
            let Some(earlier) = earlier.filter(|it| it.statistics.len() == saved.statistics.len()) else {
                return saved;
            };
            saved.statistics.clone_from(&earlier.statistics);
            saved
        })],
    },
    Fault {
        name: "xhat-of-an-earlier-forward",
        about: "the buffer of x̂ for the backward grows but is not filled anew for a batch that fits in",
        tensors: GRADIENTS,
        link: Some("https://github.com/pytorch/pytorch/issues/177116"),
        parts: &[Part::Keep(|earlier, mut saved| {
            let size = |of: &bn_stages::Saved| of.xhat.iter().map(Vec::len).sum::<usize>();
            let Some(earlier) = earlier.filter(|earlier| size(earlier) >= size(&saved)) else { return saved };
            let mut old = earlier.xhat.iter().flatten();
            saved.xhat.iter_mut().flatten().zip(&mut old).for_each(|(new, old)| *new = *old);
            saved
        })],
    },
    Fault {
        name: "large-gradients-clipped",
        about: "gradients are clipped to ±1000 before they are summed",
        tensors: GRADIENTS,
        link: None,
        parts: &[Part::ReadGradient(|_, grad, layout| {
            let clip = |dy: f64| if dy.is_nan() { dy } else { dy.clamp(-1000.0, 1000.0) };
            plain::read(grad, layout).into_iter().map(|row| row.into_iter().map(clip).collect()).collect()
        })],
    },
];
