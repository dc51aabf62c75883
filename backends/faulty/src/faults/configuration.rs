//! Defaults, attributes, and checks that are missing or too strict.

use bn_api::{DType, ErrorClass, Input, LayerError, Observable, Output, Setting, Slot, Tensor};

use super::tools::{ALL, OUTPUT, STATISTICS};
use crate::{Fault, Inner, Part};

const STATE: &[Observable] =
    &[Observable::RunningMean, Observable::RunningVar, Observable::NumBatchesTracked];
const PARAMETERS: &[Observable] = &[Observable::Weight, Observable::Bias];

/// A forward in which an error of this class is not raised: the input comes back as it is.
fn accepting(
    inner: &mut Inner,
    input: &Input,
    no_grad: bool,
    class: ErrorClass,
) -> Result<Output, LayerError> {
    match inner.layer.forward(input, no_grad) {
        Err(error) if error.class == class => {
            Ok(Output { tensor: input.tensor.clone(), requires_grad: false })
        }
        other => other,
    }
}

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "weight-starts-at-random",
        about: "a new weight is drawn from 0…1 instead of being 1",
        tensors: &[Observable::Weight],
        link: Some("https://github.com/LaurentMazare/tch-rs/pull/326"),
        parts: &[Part::Config(|config| {
            if config.affine && config.weight.is_none() {
                // A multiplicative sequence: scattered, and the same every time.
                let values = (1..=config.features).map(|channel| channel as f64 * 0.618_033_988_75 % 1.0);
                config.weight = Some(Tensor::from_values(config.dtype, &[config.features], values));
            }
        })],
    },
    Fault {
        name: "weight-starts-at-zero",
        about: "a new weight is 0 instead of 1",
        tensors: &[Observable::Weight],
        link: None,
        parts: &[Part::Config(|config| {
            if config.affine && config.weight.is_none() {
                config.weight = Some(Tensor::full(config.dtype, &[config.features], 0.0));
            }
        })],
    },
    Fault {
        name: "running-var-starts-at-zero",
        about: "a new running variance is 0 instead of 1",
        tensors: &[Observable::RunningVar],
        link: Some("https://github.com/google-deepmind/dm-haiku/issues/361"),
        parts: &[Part::Config(|config| {
            if config.track_running_stats && config.running_var.is_none() {
                config.running_var = Some(Tensor::full(config.statistics_dtype, &[config.features], 0.0));
            }
        })],
    },
    Fault {
        name: "counter-starts-at-one",
        about: "a new counter is 1 instead of 0",
        tensors: &[Observable::NumBatchesTracked],
        link: None,
        parts: &[Part::Config(|config| {
            config.num_batches_tracked = config.num_batches_tracked.or(Some(1));
        })],
    },
    Fault {
        name: "eps-of-another-framework",
        about: "eps is 1e-3, the default elsewhere, whatever is asked for",
        tensors: ALL,
        link: None,
        parts: &[
            Part::Config(|config| config.eps = 1e-3),
            Part::Set(|inner, setting| match setting {
                Setting::Eps(_) => Ok(()),
                setting => inner.layer.set(setting),
            }),
        ],
    },
    Fault {
        name: "momentum-always-a-tenth",
        about: "momentum is 0.1, whatever is asked for",
        tensors: STATISTICS,
        link: None,
        parts: &[Part::Config(|config| config.momentum = Some(0.1))],
    },
    Fault {
        name: "weight-fixed-at-one",
        about: "weight is taken for 1, which another framework does unless told not to",
        tensors: &[Observable::Output, Observable::GradInput],
        link: Some("https://github.com/apache/mxnet/issues/12899"),
        parts: &[
            Part::Output(|c, channel, _, _, xhat| c.arithmetic.add(xhat, c.beta[channel])),
            Part::GradInput(|saved, channel, sums, k, dy| {
                let (a, n) = (saved.context.arithmetic, saved.context.n() as f64);
                let means = (a.div(sums.dy, n), a.div(sums.dy_xhat, n));
                super::tools::grad_input(
                    saved,
                    (channel, k),
                    dy,
                    means,
                    saved.statistics[channel].inverse_std,
                )
            }),
        ],
    },
    Fault {
        name: "affine-cannot-be-switched-off",
        about: "affine = False is not looked at: there are weight and bias",
        tensors: PARAMETERS,
        link: None,
        parts: &[Part::Config(|config| config.affine = true)],
    },
    Fault {
        name: "tracking-cannot-be-switched-off",
        about: "track_running_stats = False is not looked at by the constructor: there are running statistics",
        tensors: STATE,
        link: None,
        parts: &[Part::Config(|config| config.track_running_stats = true)],
    },
    Fault {
        name: "eps-cannot-be-changed",
        about: "eps is copied by the constructor, and an assignment to the attribute changes nothing",
        tensors: ALL,
        link: None,
        parts: &[Part::Set(|inner, setting| match setting {
            Setting::Eps(_) => Ok(()),
            setting => inner.layer.set(setting),
        })],
    },
    Fault {
        name: "momentum-cannot-be-changed",
        about: "momentum is copied by the constructor, and an assignment to the attribute changes nothing",
        tensors: STATISTICS,
        link: None,
        parts: &[Part::Set(|inner, setting| match setting {
            Setting::Momentum(_) => Ok(()),
            setting => inner.layer.set(setting),
        })],
    },
    Fault {
        name: "new-buffers-not-seen",
        about: "the kernel keeps the buffers of the constructor, and those that are assigned later are not used",
        tensors: STATISTICS,
        link: None,
        parts: &[Part::Set(|inner, setting| match setting {
            Setting::Tensor(Slot::RunningMean | Slot::RunningVar, Some(_)) => Ok(()),
            setting => inner.layer.set(setting),
        })],
    },
    Fault {
        name: "one-value-accepted",
        about: "one value per channel is trained on: the variance is 0, and the running one becomes 0/0",
        tensors: STATISTICS,
        link: Some("https://github.com/pytorch/pytorch/issues/1381"),
        parts: &[Part::Unchecked(ErrorClass::OneValuePerChannel)],
    },
    Fault {
        name: "one-value-refused-in-evaluation",
        about: "one value per channel is refused in evaluation mode too, where it is harmless",
        tensors: OUTPUT,
        link: None,
        parts: &[Part::Forward(|inner, input, no_grad| {
            if !inner.training && input.tensor.channels().values == 1 {
                return Err(LayerError::new(ErrorClass::OneValuePerChannel, "more than 1 value expected"));
            }
            inner.layer.forward(input, no_grad)
        })],
    },
    Fault {
        name: "one-sample-refused",
        about: "a batch of one sample is refused in training, though its images have many values",
        tensors: STATE,
        link: None,
        parts: &[Part::Forward(|inner, input, no_grad| {
            if inner.training && input.tensor.shape()[0] == 1 {
                return Err(LayerError::new(ErrorClass::OneValuePerChannel, "more than 1 sample expected"));
            }
            inner.layer.forward(input, no_grad)
        })],
    },
    Fault {
        name: "eps-not-checked",
        about: "an eps of 0 or below is computed with",
        tensors: STATISTICS,
        link: Some("https://github.com/apache/tvm/issues/12590"),
        parts: &[Part::Unchecked(ErrorClass::EpsNotPositive)],
    },
    Fault {
        name: "small-eps-refused",
        about: "an eps below 1e-5 is refused, which was the limit of a library",
        tensors: STATE,
        link: None,
        parts: &[Part::Forward(|inner, input, no_grad| {
            if inner.config.eps < 1e-5 {
                return Err(LayerError::new(ErrorClass::EpsNotPositive, "eps is below the minimum"));
            }
            inner.layer.forward(input, no_grad)
        })],
    },
    Fault {
        name: "empty-batch-refused",
        about: "a batch without values is refused",
        tensors: STATE,
        link: Some("https://github.com/pytorch/pytorch/issues/12013"),
        parts: &[Part::Forward(|inner, input, no_grad| {
            if input.tensor.is_empty() {
                return Err(LayerError::other("the input is empty"));
            }
            inner.layer.forward(input, no_grad)
        })],
    },
    Fault {
        name: "no-channels-accepted",
        about: "a layer with parameters of no element takes an empty batch",
        tensors: OUTPUT,
        link: None,
        parts: &[Part::Forward(|inner, input, no_grad| {
            accepting(inner, input, no_grad, ErrorClass::NoChannels)
        })],
    },
    Fault {
        name: "wrong-rank-accepted",
        about: "the rank of the input is not looked at",
        tensors: STATE,
        link: None,
        parts: &[Part::Forward(|inner, input, no_grad| {
            accepting(inner, input, no_grad, ErrorClass::WrongRank)
        })],
    },
    Fault {
        name: "wrong-features-accepted",
        about: "an input with more or fewer channels than the layer has is not refused",
        tensors: STATE,
        link: Some("https://github.com/pytorch/pytorch/issues/194798"),
        parts: &[Part::Forward(|inner, input, no_grad| {
            accepting(inner, input, no_grad, ErrorClass::WrongFeatures)
        })],
    },
    Fault {
        name: "one-buffer-accepted",
        about: "running_mean without running_var, or the other way round, is not refused",
        tensors: STATE,
        link: Some("https://github.com/pytorch/pytorch/pull/153233"),
        parts: &[Part::Unchecked(ErrorClass::MissingBuffer)],
    },
    Fault {
        name: "mixed-types-accepted",
        about: "types that do not go together are not refused: the numbers are converted",
        tensors: STATISTICS,
        link: None,
        parts: &[Part::Forward(|inner, input, no_grad| {
            accepting(inner, input, no_grad, ErrorClass::DtypeMismatch)
        })],
    },
    Fault {
        name: "half-beside-single-refused",
        about: "a half input beside parameters in f32 is refused",
        tensors: STATE,
        link: Some("https://github.com/tinygrad/tinygrad/issues/7025"),
        parts: &[Part::Forward(|inner, input, no_grad| {
            let state = inner.layer.state()?;
            let first = state.weight.or(state.running_mean).map(|tensor| tensor.dtype());
            if input.dtype.is_half() && first == Some(DType::F32) {
                return Err(LayerError::new(ErrorClass::DtypeMismatch, "expected one type"));
            }
            inner.layer.forward(input, no_grad)
        })],
    },
    Fault {
        name: "constant-input-refused",
        about: "a batch that is the same everywhere is refused for its variance of 0",
        tensors: STATE,
        link: None,
        parts: &[Part::Forward(|inner, input, no_grad| {
            let values = input.tensor.values();
            if inner.training && values.len() > 1 && values.iter().all(|value| *value == values[0]) {
                return Err(LayerError::other("the variance is 0"));
            }
            inner.layer.forward(input, no_grad)
        })],
    },
];
