//! Training and evaluation, freezing, the counter, and what the module does about the running statistics.

use bn_api::{Observable, Setting, Slot, Tensor};

use super::tools::{OUTPUT, STATISTICS};
use crate::{Fault, Part};

const COUNTER: &[Observable] = &[Observable::NumBatchesTracked];
const STATE: &[Observable] =
    &[Observable::RunningMean, Observable::RunningVar, Observable::NumBatchesTracked];
const MODE: &[Observable] =
    &[Observable::Output, Observable::RunningMean, Observable::RunningVar, Observable::NumBatchesTracked];

/// A forward with another momentum.
fn forward_with(
    inner: &mut crate::Inner,
    momentum: Option<f64>,
    input: &bn_api::Input,
    no_grad: bool,
) -> Result<bn_api::Output, bn_api::LayerError> {
    inner.layer.set(&Setting::Momentum(momentum))?;
    let output = inner.layer.forward(input, no_grad);
    inner.layer.set(&Setting::Momentum(inner.config.momentum))?;
    output
}

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "evaluation-ignored",
        about: "eval() is lost on the way: the layer goes on training",
        tensors: MODE,
        link: Some("https://github.com/onnx/tensorflow-onnx/issues/1075"),
        parts: &[Part::SetTraining(|_, _| Ok(()))],
    },
    Fault {
        name: "evaluation-for-good",
        about: "a layer that has been in evaluation mode stays there: train() does not wake it",
        tensors: MODE,
        link: None,
        parts: &[Part::SetTraining(|inner, training| {
            inner.mark |= !training;
            inner.training = !inner.mark;
            inner.layer.set_training(!inner.mark)
        })],
    },
    Fault {
        name: "starts-in-evaluation",
        about: "a new layer is in evaluation mode until train() is called",
        tensors: MODE,
        link: None,
        parts: &[
            Part::SetTraining(|inner, training| {
                inner.mark = true;
                inner.layer.set_training(training)
            }),
            Part::Forward(|inner, input, no_grad| {
                if !inner.mark {
                    inner.mark = true;
                    inner.layer.set_training(false)?;
                }
                inner.layer.forward(input, no_grad)
            }),
        ],
    },
    Fault {
        name: "no-grad-means-evaluation",
        about: "the layer trains only where a graph is recorded: under no_grad it evaluates",
        tensors: MODE,
        link: None,
        parts: &[Part::Forward(|inner, input, no_grad| {
            inner.layer.set_training(inner.training && !no_grad)?;
            let output = inner.layer.forward(input, no_grad);
            inner.layer.set_training(inner.training)?;
            output
        })],
    },
    Fault {
        name: "statistics-still-under-no-grad",
        about: "running statistics move only where a graph is recorded",
        tensors: STATISTICS,
        link: Some("https://github.com/facebookresearch/fairscale/issues/1035"),
        parts: &[Part::Forward(|inner, input, no_grad| {
            let before = inner.layer.state()?;
            let output = inner.layer.forward(input, no_grad);
            if no_grad && inner.moves() && before.running_mean.is_some() {
                inner.put_statistics(&before)?;
            }
            output
        })],
    },
    Fault {
        name: "untrained-input-means-evaluation",
        about: "the layer trains only where a gradient is asked of its input",
        tensors: MODE,
        link: None,
        parts: &[Part::Forward(|inner, input, no_grad| {
            inner.layer.set_training(inner.training && input.requires_grad)?;
            let output = inner.layer.forward(input, no_grad);
            inner.layer.set_training(inner.training)?;
            output
        })],
    },
    Fault {
        name: "one-sample-means-evaluation",
        about: "a batch of one sample is normalised with the running statistics",
        tensors: MODE,
        link: None,
        parts: &[Part::Forward(|inner, input, no_grad| {
            inner.layer.set_training(inner.training && input.tensor.shape()[0] != 1)?;
            let output = inner.layer.forward(input, no_grad);
            inner.layer.set_training(inner.training)?;
            output
        })],
    },
    Fault {
        name: "frozen-parameters-freeze-statistics",
        about: "a layer whose weight and bias are not trained evaluates, as with trainable = False in Keras",
        tensors: MODE,
        link: Some("https://github.com/keras-team/keras/issues/7085"),
        parts: &[Part::Forward(|inner, input, no_grad| {
            inner.layer.set_training(inner.training && inner.trained != [false, false])?;
            let output = inner.layer.forward(input, no_grad);
            inner.layer.set_training(inner.training)?;
            output
        })],
    },
    Fault {
        name: "evaluation-without-statistics-by-zero-and-one",
        about: "evaluation without running statistics takes mean 0 and variance 1 for them",
        tensors: OUTPUT,
        link: Some("https://github.com/FluxML/NNlib.jl/issues/576"),
        parts: &[Part::Forward(|inner, input, no_grad| {
            let state = inner.layer.state()?;
            if inner.training || state.running_mean.is_some() || state.running_var.is_some() {
                return inner.layer.forward(input, no_grad);
            }
            let full = |slot| {
                let dtype = inner.config.dtype_of(slot);
                let value = if slot == Slot::RunningVar { 1.0 } else { 0.0 };
                Some(Tensor::full(dtype, &[inner.config.features], value))
            };
            let (mean, var) = (full(Slot::RunningMean), full(Slot::RunningVar));
            inner.layer.set(&Setting::Tensor(Slot::RunningMean, mean))?;
            inner.layer.set(&Setting::Tensor(Slot::RunningVar, var))?;
            let output = inner.layer.forward(input, no_grad);
            inner.layer.set(&Setting::Tensor(Slot::RunningMean, None))?;
            inner.layer.set(&Setting::Tensor(Slot::RunningVar, None))?;
            output
        })],
    },
    Fault {
        name: "tracking-off-means-no-buffers",
        about: "track_running_stats = False makes evaluation use the batch's statistics although the buffers are there",
        tensors: OUTPUT,
        link: Some("https://github.com/pytorch/pytorch/issues/37823"),
        parts: &[Part::Forward(|inner, input, no_grad| {
            let evaluates = !inner.training && !inner.config.track_running_stats;
            inner.layer.set_training(inner.training || evaluates)?;
            let output = inner.layer.forward(input, no_grad);
            inner.layer.set_training(inner.training)?;
            output
        })],
    },
    Fault {
        name: "tracking-stays-on",
        about: "track_running_stats = False after construction is not looked at again",
        tensors: STATE,
        link: None,
        parts: &[Part::Set(|inner, setting| match setting {
            Setting::TrackRunningStats(_) => Ok(()),
            setting => inner.layer.set(setting),
        })],
    },
    Fault {
        name: "statistics-move-in-backward",
        about: "running statistics move with the backward: never without one, and again with each further one",
        tensors: STATISTICS,
        link: None,
        parts: &[
            Part::Forward(|inner, input, no_grad| {
                let before = inner.layer.state()?;
                let output = inner.layer.forward(input, no_grad);
                inner.aside = None;
                if inner.moves() && before.running_mean.is_some() && output.is_ok() {
                    inner.aside = Some(inner.layer.state()?);
                    inner.put_statistics(&before)?;
                }
                output
            }),
            Part::Backward(|inner, grad, layout| {
                let found = inner.layer.backward(grad, layout)?;
                if let Some(moved) = inner.aside.take() {
                    inner.put_statistics(&moved)?;
                }
                Ok(found)
            }),
        ],
    },
    Fault {
        name: "recomputed-forward-moves-again",
        about: "the backward computes the forward anew to save memory, and the statistics and the counter move again",
        tensors: STATE,
        link: Some("https://github.com/pytorch/pytorch/issues/96136"),
        parts: &[
            Part::Forward(|inner, input, no_grad| {
                let output = inner.layer.forward(input, no_grad);
                inner.input = output.is_ok().then(|| input.clone()).filter(|_| !no_grad && inner.training);
                output
            }),
            Part::Backward(|inner, grad, layout| {
                let found = inner.layer.backward(grad, layout)?;
                if let Some(input) = inner.input.take() {
                    inner.layer.forward(&input, false)?;
                    inner.input = Some(input);
                }
                Ok(found)
            }),
        ],
    },
    Fault {
        name: "evaluation-backward-by-current-statistics",
        about: "in evaluation mode the backward reads the running statistics as they are by then",
        tensors: &[Observable::GradInput, Observable::GradWeight],
        link: None,
        parts: &[
            Part::Forward(|inner, input, no_grad| {
                inner.input = (!inner.training && !no_grad).then(|| input.clone());
                inner.layer.forward(input, no_grad)
            }),
            Part::Backward(|inner, grad, layout| {
                if let Some(input) = &inner.input {
                    inner.layer.set_training(false)?;
                    inner.layer.forward(input, false)?;
                    inner.layer.set_training(inner.training)?;
                }
                inner.layer.backward(grad, layout)
            }),
        ],
    },
    Fault {
        name: "empty-batch-poisons-statistics",
        about: "an empty batch has the statistics 0/0, and the running ones average them",
        tensors: STATISTICS,
        link: None,
        parts: &[Part::Forward(|inner, input, no_grad| {
            let output = inner.layer.forward(input, no_grad)?;
            let mut state = inner.layer.state()?;
            if input.tensor.is_empty() && inner.moves() && state.running_mean.is_some() {
                let nan = |it: &mut Option<Tensor>| {
                    *it = it.as_ref().map(|it| Tensor::full(it.dtype(), it.shape(), f64::NAN));
                };
                nan(&mut state.running_mean);
                nan(&mut state.running_var);
                inner.put_statistics(&state)?;
            }
            Ok(output)
        })],
    },
    Fault {
        name: "no-momentum-never-moves",
        about: "momentum None is taken for 0: the running statistics never move",
        tensors: STATISTICS,
        link: None,
        parts: &[Part::Forward(|inner, input, no_grad| {
            forward_with(inner, Some(inner.config.momentum.unwrap_or(0.0)), input, no_grad)
        })],
    },
    Fault {
        name: "no-momentum-is-a-tenth",
        about: "momentum None is taken for the default of 0.1",
        tensors: STATISTICS,
        link: None,
        parts: &[Part::Forward(|inner, input, no_grad| {
            forward_with(inner, Some(inner.config.momentum.unwrap_or(0.1)), input, no_grad)
        })],
    },
    Fault {
        name: "momentum-zero-is-a-tenth",
        about: "momentum 0 is taken for one that was not given, and 0.1 used",
        tensors: STATISTICS,
        link: None,
        parts: &[Part::Forward(|inner, input, no_grad| {
            let momentum = inner.config.momentum.map(|momentum| if momentum == 0.0 { 0.1 } else { momentum });
            forward_with(inner, momentum, input, no_grad)
        })],
    },
    Fault {
        name: "cumulative-average-counts-late",
        about: "without momentum the factor is 1/batches before this one, the second batch forgets the first",
        tensors: STATISTICS,
        link: None,
        parts: &[Part::Forward(|inner, input, no_grad| {
            let count = inner.layer.state()?.num_batches_tracked.unwrap_or(0);
            let momentum = inner.config.momentum.unwrap_or(1.0 / count.max(1) as f64);
            forward_with(inner, Some(momentum), input, no_grad)
        })],
    },
    Fault {
        name: "momentum-decays",
        about: "momentum becomes its square with the second batch, its cube with the third",
        tensors: STATISTICS,
        link: None,
        parts: &[Part::Forward(|inner, input, no_grad| {
            let power = inner.batches.max(1) as i32;
            let momentum = inner.config.momentum.map(|momentum| momentum.powi(power));
            forward_with(inner, momentum, input, no_grad)
        })],
    },
    Fault {
        name: "averages-debiased",
        about: "evaluation divides the running statistics by 1 - (1 - momentum)^batches, 0/0 before the first",
        tensors: OUTPUT,
        link: Some("https://github.com/patrick-kidger/equinox/issues/1010"),
        parts: &[Part::Forward(|inner, input, no_grad| {
            let before = inner.layer.state()?;
            let (Some(momentum), Some(count), false) =
                (inner.config.momentum, before.num_batches_tracked, inner.training)
            else {
                return inner.layer.forward(input, no_grad);
            };
            let share = 1.0 - (1.0 - momentum).powf(count as f64);
            let debiased = |it: &Option<Tensor>| {
                it.as_ref().map(|it| {
                    Tensor::from_values(it.dtype(), it.shape(), it.values().into_iter().map(|it| it / share))
                })
            };
            let mut state = before.clone();
            state.running_mean = debiased(&before.running_mean);
            state.running_var = debiased(&before.running_var);
            inner.put_statistics(&state)?;
            let output = inner.layer.forward(input, no_grad);
            inner.put_statistics(&before)?;
            output
        })],
    },
    Fault {
        name: "first-batch-replaces-the-statistics",
        about: "the first batch replaces the running statistics instead of being averaged with them",
        tensors: STATISTICS,
        link: None,
        parts: &[Part::Forward(|inner, input, no_grad| {
            let momentum = if inner.batches == 1 { Some(1.0) } else { inner.config.momentum };
            forward_with(inner, momentum, input, no_grad)
        })],
    },
    Fault {
        name: "counter-stands-still",
        about: "num_batches_tracked does not count",
        tensors: COUNTER,
        link: None,
        parts: &[Part::Forward(|inner, input, no_grad| {
            let before = inner.layer.state()?.num_batches_tracked;
            let output = inner.layer.forward(input, no_grad);
            inner.put_counter(before)?;
            output
        })],
    },
    Fault {
        name: "counter-counts-evaluation",
        about: "num_batches_tracked counts in evaluation mode as well",
        tensors: COUNTER,
        link: None,
        parts: &[Part::Forward(|inner, input, no_grad| {
            let output = inner.layer.forward(input, no_grad);
            let count = inner.layer.state()?.num_batches_tracked;
            if !inner.training {
                inner.put_counter(count.map(|count| count.wrapping_add(1)))?;
            }
            output
        })],
    },
    Fault {
        name: "counter-leaves-out-refused-batches",
        about: "num_batches_tracked counts after the checks, and not a batch that they refuse",
        tensors: COUNTER,
        link: None,
        parts: &[Part::Forward(|inner, input, no_grad| {
            let before = inner.layer.state()?.num_batches_tracked;
            let output = inner.layer.forward(input, no_grad);
            if output.is_err() {
                inner.put_counter(before)?;
            }
            output
        })],
    },
    Fault {
        name: "counter-leaves-out-empty-batches",
        about: "num_batches_tracked does not count a batch without values",
        tensors: COUNTER,
        link: None,
        parts: &[Part::Forward(|inner, input, no_grad| {
            let before = inner.layer.state()?.num_batches_tracked;
            let output = inner.layer.forward(input, no_grad);
            if input.tensor.is_empty() {
                inner.put_counter(before)?;
            }
            output
        })],
    },
    Fault {
        name: "counter-counts-samples",
        about: "num_batches_tracked counts samples instead of batches",
        tensors: COUNTER,
        link: None,
        parts: &[Part::Forward(|inner, input, no_grad| {
            let before = inner.layer.state()?.num_batches_tracked;
            let output = inner.layer.forward(input, no_grad);
            if inner.moves() {
                let samples = input.tensor.shape()[0] as i64;
                inner.put_counter(before.map(|before| before.wrapping_add(samples)))?;
            }
            output
        })],
    },
    Fault {
        name: "counter-in-single",
        about: "num_batches_tracked is counted in f32, which stands still at 16777216",
        tensors: COUNTER,
        link: None,
        parts: &[Part::Forward(|inner, input, no_grad| {
            let output = inner.layer.forward(input, no_grad);
            let count = inner.layer.state()?.num_batches_tracked;
            inner.put_counter(count.map(|count| count as f32 as i64))?;
            output
        })],
    },
    Fault {
        name: "counter-in-32-bits",
        about: "num_batches_tracked is counted in 32 bits and goes below 0 after 2147483647",
        tensors: COUNTER,
        link: None,
        parts: &[Part::Forward(|inner, input, no_grad| {
            let output = inner.layer.forward(input, no_grad);
            let count = inner.layer.state()?.num_batches_tracked;
            inner.put_counter(count.map(|count| i64::from(count as i32)))?;
            output
        })],
    },
];
