//! Brings tensors into the form of the formulas, and back.

use bn_api::{DType, Forward, Gradients, Kernel, LayerError, RunningStats, Tensor};
use ndarray::{Array1, Array2, NdFloat};

use crate::formulas;

/// The formulas as a kernel.
pub struct ReferenceKernel;

/// What a forward keeps, in the type it was computed in.
pub enum Saved {
    /// Of an `f16`, `bf16` or `f32` input.
    Single(SavedAs<f32>),
    /// Of an `f64` input.
    Double(SavedAs<f64>),
}

/// What a forward keeps for its backward.
pub struct SavedAs<A> {
    xhat: Array2<A>,
    inverse_std: Array1<A>,
    gamma: Array1<A>,
    use_batch_stats: bool,
    /// Types and shape of the gradients to give.
    input: Like,
    weight: Option<DType>,
    bias: Option<DType>,
}

#[derive(Clone)]
struct Like {
    dtype: DType,
    shape: Vec<usize>,
}

impl Kernel for ReferenceKernel {
    type Saved = Saved;

    fn forward(&self, call: Forward<'_>) -> Result<(Tensor, Saved), LayerError> {
        if call.input.dtype() == DType::F64 {
            let (output, saved) = forward(call);
            Ok((output, Saved::Double(saved)))
        } else {
            let (output, saved) = forward(call);
            Ok((output, Saved::Single(saved)))
        }
    }

    fn backward(&self, saved: &Saved, grad_output: &Tensor) -> Result<Gradients, LayerError> {
        Ok(match saved {
            Saved::Single(saved) => backward(saved, grad_output),
            Saved::Double(saved) => backward(saved, grad_output),
        })
    }
}

fn forward<A: NdFloat>(call: Forward<'_>) -> (Tensor, SavedAs<A>) {
    let input = Like { dtype: call.input.dtype(), shape: call.input.shape().to_vec() };
    let features = call.input.channels().count;
    let x: Array2<A> = by_channel(call.input);
    let n: A = formulas::number(x.ncols() as f64);
    let (mean, variance) = match &call.running {
        Some(running) if !call.use_batch_stats => (vector(&running.mean), vector(&running.var)),
        _ => {
            let mean = formulas::batch_mean(x.view());
            let variance = formulas::batch_variance(x.view(), mean.view());
            (mean, variance)
        }
    };
    // An empty batch has no statistics and moves none.
    if let (true, Some(running), false) = (call.use_batch_stats, call.running, x.is_empty()) {
        let momentum = formulas::number(call.factor);
        let unbiased = formulas::unbiased(variance.view(), n);
        let moved = |old: &Tensor, batch: &Array1<A>| {
            let new = formulas::moving_average(vector(old).view(), batch.view(), momentum);
            tensor(old.dtype(), old.shape(), new)
        };
        *running = RunningStats { mean: moved(&running.mean, &mean), var: moved(&running.var, &unbiased) };
    }
    let inverse_std = formulas::inverse_std(variance.view(), formulas::number(call.eps));
    let xhat = formulas::normalise(x.view(), mean.view(), inverse_std.view());
    let gamma = call.weight.map_or_else(|| Array1::ones(features), vector);
    let beta = call.bias.map_or_else(|| Array1::zeros(features), vector);
    let output = from_channels(&input, &formulas::scale_and_shift(xhat.view(), gamma.view(), beta.view()));
    let (weight, bias) = (call.weight.map(Tensor::dtype), call.bias.map(Tensor::dtype));
    (output, SavedAs { xhat, inverse_std, gamma, use_batch_stats: call.use_batch_stats, input, weight, bias })
}

fn backward<A: NdFloat>(saved: &SavedAs<A>, grad_output: &Tensor) -> Gradients {
    let dy: Array2<A> = by_channel(grad_output);
    let (gamma, inverse_std) = (saved.gamma.view(), saved.inverse_std.view());
    let input = if saved.use_batch_stats {
        formulas::grad_input_batch_stats(dy.view(), saved.xhat.view(), gamma, inverse_std)
    } else {
        formulas::grad_input_running_stats(dy.view(), gamma, inverse_std)
    };
    let features = saved.gamma.len();
    let weight = |dtype| tensor(dtype, &[features], formulas::grad_weight(dy.view(), saved.xhat.view()));
    let bias = |dtype| tensor(dtype, &[features], formulas::grad_bias(dy.view()));
    Gradients {
        input: from_channels(&saved.input, &input),
        weight: saved.weight.map(weight),
        bias: saved.bias.map(bias),
    }
}

/// A tensor of shape (N, C, …) with one channel a row.
fn by_channel<A: NdFloat>(tensor: &Tensor) -> Array2<A> {
    let channels = tensor.channels();
    Array2::from_shape_fn((channels.count, channels.values), |(channel, k)| {
        formulas::number(tensor.value(channels.index(channel, k)))
    })
}

/// The way back: rows of channels as a tensor like the input, each element rounded once.
fn from_channels<A: NdFloat>(like: &Like, rows: &Array2<A>) -> Tensor {
    let channels = bn_api::Channels::of(&like.shape);
    let mut values = vec![0.0; rows.len()];
    for ((channel, k), value) in rows.indexed_iter() {
        values[channels.index(channel, k)] = as_f64(*value);
    }
    Tensor::from_values(like.dtype, &like.shape, values)
}

fn vector<A: NdFloat>(tensor: &Tensor) -> Array1<A> {
    tensor.values().into_iter().map(formulas::number).collect()
}

fn tensor<A: NdFloat>(dtype: DType, shape: &[usize], values: Array1<A>) -> Tensor {
    Tensor::from_values(dtype, shape, values.into_iter().map(as_f64))
}

fn as_f64<A: NdFloat>(value: A) -> f64 {
    value.to_f64().unwrap_or(f64::NAN)
}
