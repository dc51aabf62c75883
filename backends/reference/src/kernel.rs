//! Brings tensors into the form of the formulas, and back.

use std::cell::LazyCell;

use bn_api::{
    DType, Forward, Gradients, Kernel, LayerError, Layout, RunningStats, Strided, Tensor, Wanted, dtypes,
};
use ndarray::{Array1, Array2, NdFloat};

use crate::{DoubleDouble, formulas};

/// The formulas as a kernel.
pub struct ReferenceKernel;

/// The formulas as a kernel that computes everything in double-double, and rounds each result once to the type of its
/// tensor, which is meant to be `f64`.
pub struct ArbiterKernel;

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
    /// Types and shapes of the gradients to give.
    input: Like,
    weight: Option<Like>,
    bias: Option<Like>,
}

#[derive(Clone)]
struct Like {
    dtype: DType,
    shape: Vec<usize>,
}

impl Kernel for ReferenceKernel {
    type Saved = Saved;

    fn forward(&self, call: Forward<'_>) -> Result<(Tensor, Saved), LayerError> {
        dtypes::unless_refused(call, compute)
    }

    fn backward(
        &self,
        saved: &Saved,
        grad_output: &Tensor,
        layout: Layout,
        wanted: Wanted,
    ) -> Result<Gradients, LayerError> {
        Ok(match saved {
            Saved::Single(saved) => backward(saved, grad_output, layout, wanted),
            Saved::Double(saved) => backward(saved, grad_output, layout, wanted),
        })
    }
}

impl Kernel for ArbiterKernel {
    type Saved = SavedAs<DoubleDouble>;

    fn forward(&self, call: Forward<'_>) -> Result<(Tensor, Self::Saved), LayerError> {
        dtypes::unless_refused(call, forward)
    }

    fn backward(
        &self,
        saved: &Self::Saved,
        grad_output: &Tensor,
        layout: Layout,
        wanted: Wanted,
    ) -> Result<Gradients, LayerError> {
        Ok(backward(saved, grad_output, layout, wanted))
    }
}

fn compute(call: Forward<'_>) -> (Tensor, Saved) {
    if call.input.dtype() == DType::F64 {
        let (output, saved) = forward(call);
        (output, Saved::Double(saved))
    } else {
        let (output, saved) = forward(call);
        (output, Saved::Single(saved))
    }
}

fn forward<A: NdFloat>(call: Forward<'_>) -> (Tensor, SavedAs<A>) {
    let input = Like { dtype: call.output_dtype(), shape: call.input.shape().to_vec() };
    let channels = call.input.channels().count;
    let x: Array2<A> = by_channel(call.input, call.layout);
    let n: A = formulas::number(x.ncols() as f64);
    let is_empty = x.is_empty();
    let (mean, variance) = match &call.running {
        Some(running) if !call.use_batch_stats && !is_empty => (vector(&running.mean), vector(&running.var)),
        _ => {
            let mean = formulas::batch_mean(x.view());
            let variance = formulas::batch_variance(x.view(), mean.view());
            (mean, variance)
        }
    };
    // An empty batch has no statistics and moves none.
    if let (true, Some(running), false) = (call.use_batch_stats, call.running, is_empty) {
        let momentum = formulas::number(call.factor);
        let unbiased = formulas::unbiased(variance.view(), n);
        let moved = |old: &Tensor, batch: &Array1<A>| {
            let new = formulas::moving_average(vector(old).view(), batch.view(), momentum);
            tensor(old.dtype(), old.shape(), new)
        };
        *running = RunningStats { mean: moved(&running.mean, &mean), var: moved(&running.var, &unbiased) };
    }
    let inverse_std = formulas::inverse_std(variance.view(), formulas::number(call.eps));
    let xhat = formulas::normalise(x, mean.view(), inverse_std.view());
    // Of an empty batch there may be another number of channels than of parameters.
    let gamma = call.weight.filter(|_| !is_empty).map_or_else(|| Array1::ones(channels), vector);
    let beta = call.bias.filter(|_| !is_empty).map_or_else(|| Array1::zeros(channels), vector);
    let output = from_channels(&input, &formulas::scale_and_shift(xhat.view(), gamma.view(), beta.view()));
    let like = |tensor: &Tensor| Like { dtype: tensor.dtype(), shape: tensor.shape().to_vec() };
    let (weight, bias) = (call.weight.map(like), call.bias.map(like));
    (output, SavedAs { xhat, inverse_std, gamma, use_batch_stats: call.use_batch_stats, input, weight, bias })
}

fn backward<A: NdFloat>(
    saved: &SavedAs<A>,
    grad_output: &Tensor,
    layout: Layout,
    wanted: Wanted,
) -> Gradients {
    let dy: Array2<A> = by_channel(grad_output, layout);
    let xhat = saved.xhat.view();
    let (gamma, inverse_std) = (saved.gamma.view(), saved.inverse_std.view());
    // The gradient of the input is made of the other two, where it is that of statistics as well.
    let grad_weight = LazyCell::new(|| formulas::grad_weight(dy.view(), xhat));
    let grad_bias = LazyCell::new(|| formulas::grad_bias(dy.view()));
    let input = || {
        let rows = if saved.use_batch_stats {
            let (grad_weight, grad_bias) = (grad_weight.view(), grad_bias.view());
            formulas::grad_input_batch_stats(dy.view(), xhat, grad_weight, grad_bias, gamma, inverse_std)
        } else {
            formulas::grad_input_running_stats(dy.view(), gamma, inverse_std)
        };
        from_channels(&saved.input, &rows)
    };
    let summed = |like: &Like, sums: &dyn Fn() -> Array1<A>| {
        if dy.is_empty() {
            Tensor::full(like.dtype, &like.shape, 0.0)
        } else {
            tensor(like.dtype, &like.shape, sums())
        }
    };
    let weight = |like| summed(like, &|| grad_weight.clone());
    let bias = |like| summed(like, &|| grad_bias.clone());
    Gradients {
        input: wanted.input.then(input),
        weight: saved.weight.as_ref().filter(|_| wanted.weight).map(weight),
        bias: saved.bias.as_ref().filter(|_| wanted.bias).map(bias),
    }
}

/// A tensor of shape (N, C, …) with one channel a row, read from where its elements lie.
fn by_channel<A: NdFloat>(tensor: &Tensor, layout: Layout) -> Array2<A> {
    let channels = tensor.channels();
    let values = match layout {
        Layout::Contiguous => tensor.values(),
        _ => seen_through(&Strided::new(tensor, layout)),
    };
    let mut rows = Array2::zeros((channels.count, channels.values));
    let mut places = rows.iter_mut();
    // An inner loop over what lies side by side, which `zip` would not make of it.
    (0..channels.count).flat_map(|channel| channels.indices(channel)).for_each(|index| {
        if let Some(place) = places.next() {
            *place = formulas::number(values[index]);
        }
    });
    rows
}

/// What a window shows, in the order that is called contiguous.
fn seen_through(window: &Strided) -> Vec<f64> {
    let mut places = vec![window.offset];
    for (&size, &stride) in window.shape.iter().zip(&window.strides) {
        let mut further = Vec::with_capacity(places.len() * size);
        for place in places {
            further.extend((0..size).map(|step| place + step * stride));
        }
        places = further;
    }
    let stored = window.storage.values();
    places.into_iter().map(|place| stored[place]).collect()
}

/// The way back: rows of channels as a tensor like the input, each element rounded once.
fn from_channels<A: NdFloat>(like: &Like, rows: &Array2<A>) -> Tensor {
    let channels = bn_api::Channels::of(&like.shape);
    let mut values = vec![0.0; rows.len()];
    let mut numbers = rows.iter();
    (0..channels.count).flat_map(|channel| channels.indices(channel)).for_each(|index| {
        if let Some(number) = numbers.next() {
            values[index] = as_f64(*number);
        }
    });
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

#[cfg(test)]
mod tests {
    use bn_api::ErrorClass;

    use super::*;

    const SHAPE: [usize; 4] = [2, 3, 1, 2];

    fn tensor(dtype: DType, values: impl Fn(i32) -> f64) -> Tensor {
        Tensor::from_values(dtype, &SHAPE, (0..12).map(values)).repeat_first_sample()
    }

    fn three(dtype: DType, value: f64) -> Tensor {
        Tensor::full(dtype, &[3], value)
    }

    /// In training, with a weight of 2, with this bias and this input.
    fn train(
        input: &Tensor,
        layout: Layout,
        bias: Option<&Tensor>,
        running: &mut RunningStats,
    ) -> Result<(Tensor, Saved), LayerError> {
        let weight = three(running.mean.dtype(), 2.0);
        let call = Forward {
            input,
            layout,
            weight: Some(&weight),
            bias,
            running: Some(running),
            use_batch_stats: true,
            factor: 0.5,
            eps: 1.0,
        };
        ReferenceKernel.forward(call)
    }

    #[test]
    fn input_and_gradient_are_read_from_where_their_elements_lie() {
        let (x, dy) =
            (tensor(DType::F64, |i| f64::from(i * i)), tensor(DType::F64, |i| f64::from(7 * i % 5)));
        let answer = |layout| {
            let mut running = RunningStats::new(DType::F64, 3);
            let (output, saved) = train(&x, layout, None, &mut running).unwrap();
            let gradients = ReferenceKernel.backward(&saved, &dy, layout, Wanted::ALL).unwrap();
            (output, running, gradients)
        };
        let expected = answer(Layout::Contiguous);
        for layout in [Layout::ChannelsLast, Layout::Permuted, Layout::Sliced, Layout::Expanded] {
            assert_eq!(answer(layout), expected, "{layout:?}");
        }
    }

    #[test]
    fn only_the_gradients_that_are_wanted_and_have_something_to_be_of_are_given() {
        let x = tensor(DType::F64, f64::from);
        let (_, saved) = train(&x, Layout::Contiguous, None, &mut RunningStats::new(DType::F64, 3)).unwrap();
        let given = |wanted| {
            let gradients = ReferenceKernel.backward(&saved, &x, Layout::Contiguous, wanted).unwrap();
            [gradients.input, gradients.weight, gradients.bias].map(|gradient| gradient.is_some())
        };
        assert_eq!(given(Wanted::ALL), [true, true, false]);
        assert_eq!(given(Wanted { weight: false, ..Wanted::ALL }), [true, false, false]);
        assert_eq!(given(Wanted { input: false, ..Wanted::ALL }), [false, true, false]);
    }

    #[test]
    fn types_that_do_not_go_together_are_refused_the_bias_after_the_statistics_have_moved() {
        let refused = |input, bias| {
            let mut running = RunningStats::new(DType::F32, 3);
            let bias = three(bias, 0.0);
            let computed = train(&tensor(input, f64::from), Layout::Contiguous, Some(&bias), &mut running);
            assert_eq!(computed.map(|_| ()).unwrap_err().class, ErrorClass::DtypeMismatch);
            running != RunningStats::new(DType::F32, 3)
        };
        assert!(refused(DType::F32, DType::F16));
        assert!(!refused(DType::F64, DType::F32) && !refused(DType::I64, DType::F32));
    }

    #[test]
    fn an_empty_batch_of_integers_becomes_of_the_parameters_type() {
        let empty = Tensor::from_bit_patterns(DType::I64, &[0, 3], []);
        let (output, _) =
            train(&empty, Layout::Contiguous, None, &mut RunningStats::new(DType::F32, 3)).unwrap();
        assert_eq!((output.dtype(), output.shape()), (DType::F32, &[0, 3][..]));
    }
}
