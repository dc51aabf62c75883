//! Gradients of weight and bias from step to step: how they add up, who gets one, and the optimizer.

use bn_api::{ErrorClass, LayerError, Observable, Tensor};

use crate::{Fault, Part};

const PARAMETERS: &[Observable] = &[Observable::GradWeight, Observable::GradBias];
const WEIGHT: &[Observable] = &[Observable::GradWeight];
const BIAS: &[Observable] = &[Observable::GradBias];
/// What gradients that have not been forgotten show in.
const LATER: &[Observable] =
    &[Observable::GradWeight, Observable::GradBias, Observable::Weight, Observable::Bias];
const TRAINED: &[Observable] = &[Observable::Weight, Observable::Bias];

/// What `factor` times the one and the other add up to.
fn plus(one: &Tensor, other: &Tensor, factor: f64) -> Tensor {
    let values = one.values().into_iter().zip(other.values()).map(|(one, other)| one + factor * other);
    Tensor::from_values(one.dtype(), one.shape(), values)
}

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "gradients-overwritten",
        about: "a backward overwrites the gradients of weight and bias that are there instead of adding to them",
        tensors: PARAMETERS,
        link: Some("https://github.com/apache/mxnet/issues/18499"),
        parts: &[Part::Backward(|inner, grad, layout| {
            inner.layer.zero_grad()?;
            inner.layer.backward(grad, layout)
        })],
    },
    Fault {
        name: "bias-gradient-overwritten",
        about: "a backward adds to the gradient of weight and overwrites that of bias",
        tensors: BIAS,
        link: None,
        parts: &[
            Part::Backward(|inner, grad, layout| {
                inner.gradients = inner.layer.gradients()?;
                inner.layer.backward(grad, layout)
            }),
            Part::Gradients(|inner| {
                let mut gradients = inner.layer.gradients()?;
                if let (Some(before), Some(now)) = (&inner.gradients.bias, &gradients.bias) {
                    gradients.bias = Some(plus(now, before, -1.0));
                }
                Ok(gradients)
            }),
        ],
    },
    Fault {
        name: "gradients-added-twice",
        about: "every backward adds its gradients of weight and bias twice",
        tensors: PARAMETERS,
        link: None,
        parts: &[Part::Backward(|inner, grad, layout| {
            inner.layer.backward(grad, layout)?;
            inner.layer.backward(grad, layout)
        })],
    },
    Fault {
        name: "zero-grad-ignored",
        about: "zero_grad leaves the gradients as they are",
        tensors: LATER,
        link: None,
        parts: &[Part::ZeroGrad(|_| Ok(()))],
    },
    Fault {
        name: "zero-grad-of-weight-alone",
        about: "zero_grad forgets the gradient of weight and not that of bias",
        tensors: BIAS,
        link: None,
        parts: &[
            Part::ZeroGrad(|inner| {
                let kept = inner.layer.gradients()?.bias;
                inner.gradients.bias = match (inner.gradients.bias.take(), kept) {
                    (Some(before), Some(kept)) => Some(plus(&kept, &before, 1.0)),
                    (before, kept) => before.or(kept),
                };
                inner.layer.zero_grad()
            }),
            Part::Gradients(|inner| {
                let mut gradients = inner.layer.gradients()?;
                if let (Some(before), Some(now)) = (&inner.gradients.bias, &gradients.bias) {
                    gradients.bias = Some(plus(now, before, 1.0));
                }
                Ok(gradients)
            }),
        ],
    },
    Fault {
        name: "frozen-parameters-get-gradients",
        about: "requires_grad = False is not looked at: weight and bias get gradients all the same",
        tensors: PARAMETERS,
        link: None,
        parts: &[Part::RequiresGrad(|_, _, _| Ok(()))],
    },
    Fault {
        name: "one-frozen-parameter-freezes-both",
        about: "weight and bias share one flag: whichever is set last decides for both",
        tensors: PARAMETERS,
        link: None,
        parts: &[Part::RequiresGrad(|inner, _, required| {
            inner.layer.set_requires_grad(bn_api::Slot::Weight, required)?;
            inner.layer.set_requires_grad(bn_api::Slot::Bias, required)
        })],
    },
    Fault {
        name: "frozen-parameters-stay-frozen",
        about: "requires_grad = True does not wake what was frozen",
        tensors: PARAMETERS,
        link: None,
        parts: &[Part::RequiresGrad(|inner, slot, required| {
            if required { Ok(()) } else { inner.layer.set_requires_grad(slot, false) }
        })],
    },
    Fault {
        name: "no-weight-gradient-without-input-gradient",
        about: "weight and bias get no gradient where the input needs none",
        tensors: PARAMETERS,
        link: None,
        parts: &[
            Part::Forward(|inner, input, no_grad| {
                inner.mark = input.requires_grad;
                inner.layer.forward(input, no_grad)
            }),
            Part::Backward(|inner, grad, layout| {
                if inner.mark {
                    return inner.layer.backward(grad, layout);
                }
                Ok(None)
            }),
        ],
    },
    Fault {
        name: "frozen-weight-stops-the-input-gradient",
        about: "where weight and bias are frozen the gradient of the input is 0",
        tensors: &[Observable::GradInput],
        link: None,
        parts: &[Part::Backward(|inner, grad, layout| {
            let found = inner.layer.backward(grad, layout)?;
            if inner.trained != [false, false] {
                return Ok(found);
            }
            Ok(found.map(|found| Tensor::full(found.dtype(), found.shape(), 0.0)))
        })],
    },
    Fault {
        name: "backward-needs-a-weight",
        about: "the backward asks for the weight of a layer that has none",
        tensors: &[],
        link: None,
        parts: &[Part::Backward(|inner, grad, layout| {
            if inner.layer.state()?.weight.is_none() {
                return Err(LayerError::other("expected a tensor for weight"));
            }
            inner.layer.backward(grad, layout)
        })],
    },
    Fault {
        name: "second-backward-refused",
        about: "the graph is given up after the first backward",
        tensors: &[],
        link: None,
        parts: &[
            Part::Forward(|inner, input, no_grad| {
                inner.mark = false;
                inner.layer.forward(input, no_grad)
            }),
            Part::Backward(|inner, grad, layout| {
                if inner.mark {
                    return Err(LayerError::new(ErrorClass::NoGraph, "the graph has been freed"));
                }
                inner.mark = true;
                inner.layer.backward(grad, layout)
            }),
        ],
    },
    Fault {
        name: "changed-graph-not-noticed",
        about: "the backward does not notice that a tensor of its graph has been written to",
        tensors: &[],
        link: None,
        parts: &[Part::Unchecked(ErrorClass::GraphChanged)],
    },
    Fault {
        name: "parameter-gradients-in-the-input-type",
        about: "beside a half input the gradients of weight and bias are half as well, not of the parameters' type",
        tensors: PARAMETERS,
        link: None,
        parts: &[
            Part::Forward(|inner, input, no_grad| {
                inner.input = Some(input.clone());
                inner.layer.forward(input, no_grad)
            }),
            Part::Gradients(|inner| {
                let mut gradients = inner.layer.gradients()?;
                if let Some(dtype) = inner.input.as_ref().map(|input| input.dtype).filter(|it| it.is_half()) {
                    gradients.weight = gradients.weight.map(|it| it.cast(dtype));
                    gradients.bias = gradients.bias.map(|it| it.cast(dtype));
                }
                Ok(gradients)
            }),
        ],
    },
    Fault {
        name: "output-in-the-parameter-type",
        about: "beside parameters in f32 the output of a half input is f32 as well",
        tensors: &[Observable::Output],
        link: None,
        parts: &[Part::Forward(|inner, input, no_grad| {
            let mut output = inner.layer.forward(input, no_grad)?;
            let state = inner.layer.state()?;
            if let Some(weight) = state.weight {
                output.tensor = output.tensor.cast(weight.dtype());
            }
            Ok(output)
        })],
    },
    Fault {
        name: "gradient-shaped-like-the-input",
        about: "the gradients of weight and bias keep the dimensions that were summed over, with size 1",
        tensors: PARAMETERS,
        link: None,
        parts: &[Part::Gradients(|inner| {
            let mut gradients = inner.layer.gradients()?;
            let row = |it: Tensor| Tensor::from_values(it.dtype(), &[1, it.len()], it.values());
            gradients.weight = gradients.weight.map(row);
            gradients.bias = gradients.bias.map(row);
            Ok(gradients)
        })],
    },
    Fault {
        name: "sgd-ascends",
        about: "the optimizer adds the gradient instead of taking it off",
        tensors: TRAINED,
        link: None,
        parts: &[Part::Sgd(|inner, lr| inner.layer.sgd(-lr))],
    },
    Fault {
        name: "sgd-forgets-the-gradients",
        about: "the optimizer forgets the gradients after its step",
        tensors: LATER,
        link: None,
        parts: &[Part::Sgd(|inner, lr| {
            inner.layer.sgd(lr)?;
            inner.layer.zero_grad()
        })],
    },
    Fault {
        name: "sgd-leaves-out-frozen-parameters",
        about: "the optimizer does not move what is frozen by now, though it has a gradient",
        tensors: TRAINED,
        link: None,
        parts: &[Part::Sgd(
            |inner, lr| {
                if inner.trained == [false, false] { Ok(()) } else { inner.layer.sgd(lr) }
            },
        )],
    },
    Fault {
        name: "weight-gradient-halved-when-added-to",
        about: "from the second backward on the gradient of weight is half the sum of what they gave",
        tensors: WEIGHT,
        link: None,
        parts: &[
            Part::Backward(|inner, grad, layout| {
                inner.gradients.weight = inner.layer.gradients()?.weight;
                inner.layer.backward(grad, layout)
            }),
            Part::Gradients(|inner| {
                let mut gradients = inner.layer.gradients()?;
                if let (Some(_), Some(now)) = (&inner.gradients.weight, &gradients.weight) {
                    gradients.weight = Some(plus(now, now, -0.5));
                }
                Ok(gradients)
            }),
        ],
    },
];
