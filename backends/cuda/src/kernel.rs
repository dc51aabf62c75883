//! The kernels as a [`Kernel`]: which are launched, on what.

use bn_api::{DType, Forward, Gradients, Kernel, LayerError, Layout, RunningStats, Tensor, Wanted, dtypes};

use crate::backend::Devices;
use crate::executor::{Executor, Memory};
use crate::launch::LaunchError;
use crate::passes::{BackwardPass, ForwardPass, Mode, Numbers, OfLayer};
use crate::place::{Placed, collect, order_of, place};
use crate::plan::Order;

/// What is computed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accumulator {
    /// `f32`, and `f64` of `f64`.
    Single,
    /// `f64`.
    Double,
}

/// Batch normalization on a device.
#[derive(Clone)]
pub struct CudaKernel {
    /// Where it runs.
    pub devices: Devices,
}

/// What a forward keeps for its backward.
pub enum Saved {
    /// Of an empty batch: types and shapes.
    Empty(Like),
    /// Of one with values.
    Pass(Box<Pass>),
}

/// Types and shapes of the gradients to give.
pub struct Like {
    input: (DType, Vec<usize>),
    weight: Option<DType>,
    bias: Option<DType>,
    features: usize,
}

/// A forward on the device.
pub struct Pass {
    like: Like,
    numbers: Numbers,
    executor: Executor,
    order: Order,
    x: Placed,
    /// `Channel<A>[C]`.
    found: Memory,
    use_batch_stats: bool,
}

impl Kernel for CudaKernel {
    type Saved = Saved;

    fn forward(&self, call: Forward<'_>) -> Result<(Tensor, Saved), LayerError> {
        dtypes::unless_refused(call, |call| self.devices.noting(|| self.run(call)))?
    }

    fn backward(
        &self,
        saved: &Saved,
        grad_output: &Tensor,
        layout: Layout,
        wanted: Wanted,
    ) -> Result<Gradients, LayerError> {
        match saved {
            Saved::Empty(like) => Ok(like.of_nothing(wanted)),
            Saved::Pass(pass) => self.devices.noting(|| pass.backward(grad_output, layout, wanted)),
        }
    }
}

impl CudaKernel {
    fn run(&self, call: Forward<'_>) -> Result<(Tensor, Saved), LaunchError> {
        let own = |tensor: Option<&Tensor>| tensor.map(Tensor::dtype);
        let like = Like {
            input: (call.output_dtype(), call.input.shape().to_vec()),
            weight: own(call.weight),
            bias: own(call.bias),
            features: [call.weight, call.bias].into_iter().flatten().next().map_or(0, Tensor::len),
        };
        if call.input.is_empty() {
            let output = Tensor::full(like.input.0, &like.input.1, 0.0);
            return Ok((output, Saved::Empty(like)));
        }
        let storage = call.input.dtype();
        let of_statistics = call.running.as_ref().map(|running| running.mean.dtype());
        let parameters = like.weight.or(of_statistics).or(like.bias).unwrap_or(storage);
        let double = storage == DType::F64 || self.devices.accumulator() == Accumulator::Double;
        let accumulator = if double { DType::F64 } else { DType::F32 };
        let numbers = Numbers { storage, parameters, accumulator };
        let executor = self.devices.executor(storage)?;
        let order = order_of(call.input.shape(), call.layout);
        let x = place(&executor, call.input, call.layout, order)?;
        // A parameter of another type than the first is refused when all is done, and read by nobody.
        let upload = |tensor: Option<&Tensor>| {
            let tensor = tensor.filter(|tensor| tensor.dtype() == parameters);
            tensor.map(|tensor| executor.upload(tensor.bytes())).transpose()
        };
        let (weight, bias) = (upload(call.weight)?, upload(call.bias)?);
        let mean = upload(call.running.as_deref().map(|running| &running.mean))?;
        let var = upload(call.running.as_deref().map(|running| &running.var))?;
        let layer = OfLayer {
            weight: weight.as_ref().map(Memory::buffer),
            bias: bias.as_ref().map(Memory::buffer),
            running: mean.as_ref().zip(var.as_ref()).map(|(mean, var)| [mean.buffer(), var.buffer()]),
        };
        let use_batch_stats = call.use_batch_stats;
        let mode = Mode { use_batch_stats, momentum: call.factor, eps: call.eps };
        let pass = ForwardPass::new(&executor, numbers, &x, layer, mode)?;
        executor.run(pass.launches())?;
        if let (Some([mean, var]), Some(running)) = (&pass.moved, call.running) {
            let stored = |memory: &Memory, like: &Tensor| of_channels(memory, like.dtype(), like.shape());
            *running = RunningStats { mean: stored(mean, &running.mean)?, var: stored(var, &running.var)? };
        }
        let output = collect(&executor, call.input.shape(), order, pass.y.download()?)?;
        let found = pass.found;
        Ok((
            output,
            Saved::Pass(Box::new(Pass { like, numbers, executor, order, x, found, use_batch_stats })),
        ))
    }
}

/// A tensor of C elements that came back.
fn of_channels(memory: &Memory, dtype: DType, shape: &[usize]) -> Result<Tensor, LaunchError> {
    Tensor::from_bytes(dtype, shape.to_vec(), memory.download()?).ok_or_else(|| {
        LaunchError::Unexpressed(format!("what came back is no {dtype} tensor of shape {shape:?}"))
    })
}

impl Pass {
    fn backward(
        &self,
        grad_output: &Tensor,
        layout: Layout,
        wanted: Wanted,
    ) -> Result<Gradients, LaunchError> {
        let dy = place(&self.executor, grad_output, layout, self.order)?;
        let wanted = Wanted {
            weight: wanted.weight && self.like.weight.is_some(),
            bias: wanted.bias && self.like.bias.is_some(),
            ..wanted
        };
        let (executor, numbers, found) = (&self.executor, self.numbers, self.found.buffer());
        let pass = BackwardPass::new(executor, numbers, [&self.x, &dy], found, self.use_batch_stats, wanted)?;
        executor.run(pass.launches())?;
        let input = |dx: &Memory| collect(executor, &self.like.input.1, self.order, dx.download()?);
        let channels = [self.x.geometry.channels as usize];
        let parameter = |memory: &Memory| of_channels(memory, numbers.parameters, &channels);
        Ok(Gradients {
            input: pass.dx.as_ref().map(input).transpose()?,
            weight: pass.grad_weight.as_ref().map(parameter).transpose()?,
            bias: pass.grad_bias.as_ref().map(parameter).transpose()?,
        })
    }
}

impl Like {
    /// The gradients of an empty batch.
    fn of_nothing(&self, wanted: Wanted) -> Gradients {
        let zeros = |dtype: DType| Tensor::full(dtype, &[self.features], 0.0);
        Gradients {
            input: wanted.input.then(|| Tensor::full(self.input.0, &self.input.1, 0.0)),
            weight: self.weight.filter(|_| wanted.weight).map(zeros),
            bias: self.bias.filter(|_| wanted.bias).map(zeros),
        }
    }
}
