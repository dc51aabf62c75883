//! The stages one after the other: a kernel.

use bn_api::{DType, Forward, Gradients, Kernel, LayerError, Layout, RunningStats, Tensor, Wanted, dtypes};

use crate::{Arithmetic, Rows, Stages, Statistics};

/// A kernel made of stages.
#[derive(Debug, Clone, Copy)]
pub struct StagedKernel(pub Stages);

/// What one forward knows.
#[derive(Debug, Clone)]
pub struct Context {
    /// The stages.
    pub stages: Stages,
    /// What is computed in.
    pub arithmetic: Arithmetic,
    /// The input's shape, (N, C, …).
    pub shape: Vec<usize>,
    /// How the input lies in memory.
    pub layout: Layout,
    /// The input's type.
    pub dtype: DType,
    /// The type of weight; nothing where there is none.
    pub weight: Option<DType>,
    /// The type of bias; nothing where there is none.
    pub bias: Option<DType>,
    /// The input by channels.
    pub x: Rows,
    /// Weight, channel by channel; ones where there is none.
    pub gamma: Vec<f64>,
    /// Bias, channel by channel; zeros where there is none.
    pub beta: Vec<f64>,
    /// Whether the batch's statistics are used.
    pub use_batch_stats: bool,
    /// Whether there are running statistics.
    pub tracks: bool,
    /// The weight of the new batch.
    pub factor: f64,
    /// Added to the variance inside the root.
    pub eps: f64,
}

impl Context {
    /// n, the values of each channel.
    pub fn n(&self) -> usize {
        self.x.first().map_or(0, Vec::len)
    }

    /// N, the samples.
    pub fn samples(&self) -> usize {
        self.shape[0]
    }

    /// C, the channels.
    pub fn channels(&self) -> usize {
        self.shape[1]
    }

    /// H·W…, the values of one channel of one sample.
    pub fn places(&self) -> usize {
        self.shape[2..].iter().product()
    }
}

/// Running mean and variance, channel by channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Running {
    /// The running mean.
    pub mean: Vec<f64>,
    /// The running variance.
    pub var: Vec<f64>,
}

/// What a forward keeps for its backward.
#[derive(Debug, Clone)]
pub struct Saved {
    /// What the forward knew.
    pub context: Context,
    /// What each channel was normalised with.
    pub statistics: Vec<Statistics>,
    /// x̂ by channels.
    pub xhat: Rows,
    /// How many weights and biases there are: not the channels where an empty batch has others.
    pub parameters: usize,
}

impl Kernel for StagedKernel {
    type Saved = Saved;

    fn forward(&self, call: Forward<'_>) -> Result<(Tensor, Saved), LayerError> {
        let refused = dtypes::check_call(&call);
        if let Err((error, false)) = refused {
            return Err(error);
        }
        let computed = forward(self.0, call);
        // What is refused late has moved the statistics.
        refused.map_err(|(error, _)| error).map(|()| computed)
    }

    fn backward(
        &self,
        saved: &Saved,
        grad_output: &Tensor,
        layout: Layout,
        wanted: Wanted,
    ) -> Result<Gradients, LayerError> {
        Ok(backward(saved, grad_output, layout, wanted))
    }
}

fn forward(stages: Stages, call: Forward<'_>) -> (Tensor, Saved) {
    let output_dtype = call.output_dtype();
    let Forward { input, layout, weight, bias, running, use_batch_stats, factor, eps } = call;
    let empty = input.is_empty();
    let tensors = [weight, bias, running.as_ref().map(|running| &running.mean)];
    let layer = tensors.into_iter().flatten().next().map_or(input.dtype(), Tensor::dtype);
    let arithmetic = (stages.arithmetic)(input.dtype(), layer);
    let numbers = |tensor: &Tensor| -> Vec<f64> {
        tensor.values().into_iter().map(|value| (stages.parameter)(arithmetic, value)).collect()
    };
    let channels = input.channels().count;
    // Of an empty batch there may be another number of channels than of parameters.
    let parameter = |tensor: Option<&Tensor>, none: f64| {
        tensor.filter(|_| !empty).map_or_else(|| vec![none; channels], numbers)
    };
    let context = Context {
        stages,
        arithmetic,
        shape: input.shape().to_vec(),
        layout,
        dtype: input.dtype(),
        weight: weight.map(Tensor::dtype),
        bias: bias.map(Tensor::dtype),
        x: (stages.read)(input, layout),
        gamma: parameter(weight, 1.0),
        beta: parameter(bias, 0.0),
        use_batch_stats,
        tracks: running.is_some(),
        factor,
        eps,
    };
    let c = &context;
    let mut found = Vec::new();
    if !empty {
        let before = running.as_ref().map(|it| Running { mean: numbers(&it.mean), var: numbers(&it.var) });
        found = match &before {
            Some(before) if !use_batch_stats => {
                (0..channels).map(|channel| (stages.running)(c, before, channel)).collect()
            }
            _ => (stages.all_statistics)(c),
        };
        let mut moved = None;
        if let (true, Some(running), Some(before)) = ((stages.moves)(c), running, before) {
            let batch = if use_batch_stats { found.clone() } else { (stages.all_statistics)(c) };
            let new = (stages.move_running)(c, &before, &batch);
            let stored = |old: &Tensor, new: &[f64]| {
                Tensor::from_values(old.dtype(), old.shape(), new.iter().copied())
            };
            let (mean, var) = (stored(&running.mean, &new.mean), stored(&running.var, &new.var));
            *running = RunningStats { mean, var };
            moved = Some(new);
        }
        found = (stages.applied)(c, found, moved.as_ref());
    }
    let statistics: Vec<Statistics> = found
        .into_iter()
        .enumerate()
        .map(|(channel, (mean, var))| Statistics {
            mean,
            var,
            inverse_std: (stages.inverse_std)(c, channel, var),
        })
        .collect();
    let xhat = (stages.all_normalised)(c, &statistics);
    let y = (stages.all_output)(c, &statistics, &xhat);
    let output = (stages.write)(c, output_dtype, &y);
    let parameters = weight.or(bias).map_or(channels, Tensor::len);
    (output, Saved { context, statistics, xhat, parameters })
}

fn backward(saved: &Saved, grad_output: &Tensor, layout: Layout, wanted: Wanted) -> Gradients {
    let Saved { context: c, parameters, .. } = saved;
    let stages = c.stages;
    if grad_output.is_empty() {
        let zeros = |dtype: Option<DType>| dtype.map(|dtype| Tensor::full(dtype, &[*parameters], 0.0));
        return Gradients {
            input: wanted.input.then(|| (stages.write)(c, c.dtype, &Vec::new())),
            weight: zeros(c.weight).filter(|_| wanted.weight),
            bias: zeros(c.bias).filter(|_| wanted.bias),
        };
    }
    let dy = (stages.read_gradient)(saved, grad_output, layout);
    let sums = (stages.all_gradient_sums)(saved, &dy);
    let input = || {
        let row = |(channel, dy): (usize, &Vec<f64>)| {
            let element =
                |(k, dy): (usize, &f64)| (stages.grad_input)(saved, channel, &sums[channel], k, *dy);
            dy.iter().enumerate().map(element).collect()
        };
        (stages.write)(c, c.dtype, &dy.iter().enumerate().map(row).collect())
    };
    let summed = |dtype: Option<DType>, stage: fn(&Saved, usize, &crate::Sums) -> f64| {
        let values = sums.iter().enumerate().map(|(channel, sums)| stage(saved, channel, sums));
        dtype.map(|dtype| Tensor::from_values(dtype, &[sums.len()], values))
    };
    Gradients {
        input: wanted.input.then(input),
        weight: summed(c.weight, stages.grad_weight).filter(|_| wanted.weight),
        bias: summed(c.bias, stages.grad_bias).filter(|_| wanted.bias),
    }
}
