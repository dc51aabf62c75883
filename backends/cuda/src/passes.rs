//! Forward and backward on tensors that are on the device: the memory they take and the kernels they launch.

use bn_api::{DType, Wanted};

use crate::arguments::Structure;
use crate::executor::{Executor, Memory, Prepared};
use crate::launch::{Buffer, LaunchError, Purpose};
use crate::place::Placed;
use crate::plan::{CHANNEL_THREADS, Divisor, Geometry, Reduction, THREADS, grid};

/// The types of a pass, as kernels' names and structures need them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    /// Of the tensors.
    pub storage: DType,
    /// Of parameters and running statistics: the same, or `f32` beside one of 16 bits.
    pub parameters: DType,
    /// What is computed in: `f32` or `f64`.
    pub accumulator: DType,
}

impl Numbers {
    /// A kernel that reads tensors only.
    fn elementwise(self, name: &str) -> String {
        let computed_in = if self.accumulator == DType::F32 { "acc32" } else { "acc64" };
        format!("bn_{name}_{}_{computed_in}", self.storage)
    }

    /// One that reads parameters or statistics.
    fn channels(self, name: &str) -> String {
        let parameters = if self.parameters == self.storage { "own" } else { "f32" };
        format!("{}_{parameters}", self.elementwise(name))
    }

    fn reduction(self, name: &str, plan: &Reduction) -> String {
        format!("{}_{}", self.elementwise(&format!("{name}_{}", plan.order)), plan.width)
    }

    /// Launches a kernel that goes through a tensor element by element; `arguments` are its pointers. Of `tensors` that
    /// it reads a thread has as many vectors fewer.
    fn through_elements(
        self,
        name: &str,
        arguments: Structure,
        geometry: &Geometry,
        tensors: u64,
    ) -> Result<Prepared, LaunchError> {
        // `VECTORS` in `elementwise.cuh`.
        let vectors = if self.accumulator == DType::F32 { 4 } else { 2 } / tensors;
        let of_a_block = u64::from(THREADS) * (16 / self.storage.size() as u64) * vectors;
        let arguments = arguments
            .u64(geometry.elements())
            .divisor(geometry.inner())
            .divisor(Divisor::new(geometry.channels))
            .into_bytes();
        let grid = grid(geometry.elements().div_ceil(of_a_block))?;
        Ok(Prepared { kernel: self.elementwise(name), grid, block: [THREADS, 1, 1], arguments })
    }

    /// Launches a kernel for channels, so many of which a block has.
    fn through_channels(
        self,
        name: &str,
        arguments: Structure,
        channels: u64,
        of_a_block: u32,
    ) -> Result<Prepared, LaunchError> {
        let grid = grid(channels.div_ceil(u64::from(of_a_block)))?;
        let arguments = arguments.into_bytes();
        Ok(Prepared { kernel: self.channels(name), grid, block: [CHANNEL_THREADS, 1, 1], arguments })
    }
}

/// Channels of a block of which each warp has one.
const WARPS: u32 = CHANNEL_THREADS / 32;

/// The tensors of a layer, each of C elements, on the device.
#[derive(Debug, Clone, Copy, Default)]
pub struct OfLayer<'a> {
    /// gamma.
    pub weight: Option<&'a Buffer>,
    /// beta.
    pub bias: Option<&'a Buffer>,
    /// Running mean and variance.
    pub running: Option<[&'a Buffer; 2]>,
}

/// How a forward computes.
#[derive(Debug, Clone, Copy)]
pub struct Mode {
    /// Whether the batch's statistics normalise, and move the running ones where there are any.
    pub use_batch_stats: bool,
    /// The weight of the new batch.
    pub momentum: f64,
    /// Added to the variance inside the root.
    pub eps: f64,
}

/// One forward: its results and its launches.
pub struct ForwardPass {
    /// The output, laid out as the input.
    pub y: Memory,
    /// `Channel<A>[C]`: what a backward needs beside the input.
    pub found: Memory,
    /// Running mean and variance moved.
    pub moved: Option<[Memory; 2]>,
    /// What the kernels leave for each other.
    _partials: Option<Memory>,
    launches: Vec<Prepared>,
}

impl ForwardPass {
    /// Of a tensor that has elements.
    ///
    /// # Errors
    /// When there is too little memory, or more blocks than a grid holds.
    pub fn new(
        executor: &Executor,
        numbers: Numbers,
        x: &Placed,
        layer: OfLayer<'_>,
        mode: Mode,
    ) -> Result<Self, LaunchError> {
        let geometry = &x.geometry;
        let channels = geometry.channels as usize;
        let found = executor.allocate(channels * 4 * numbers.accumulator.size(), Purpose::Output)?;
        let y = executor.allocate(x.memory.buffer().bytes, Purpose::Output)?;
        let (mut launches, mut moved, mut partials, mut splits) = (Vec::new(), None, None, 0);
        if mode.use_batch_stats {
            let plan = Reduction::new(geometry, numbers.storage.size())?;
            // Sum, squares and a count of 8 bytes.
            let bytes = channels * plan.splits as usize * (2 * numbers.accumulator.size() + 8);
            let memory = executor.allocate(bytes, Purpose::Output)?;
            let arguments = Structure::new().pointer(Some(x.memory.buffer())).pointer(Some(memory.buffer()));
            launches.push(reduce(numbers.reduction("statistics", &plan), &plan, arguments, geometry));
            (partials, splits) = (Some(memory), plan.splits);
            if layer.running.is_some() {
                let new = || executor.allocate(channels * numbers.parameters.size(), Purpose::Output);
                moved = Some([new()?, new()?]);
            }
        }
        let [mean, var] = layer.running.map_or([None, None], |running| running.map(Some));
        let [new_mean, new_var] = moved.as_ref().map_or([None, None], |[mean, var]| [Some(mean), Some(var)]);
        let arguments = Structure::new()
            .pointer(partials.as_ref().map(Memory::buffer))
            .pointer(layer.weight)
            .pointer(layer.bias)
            .pointer(mean)
            .pointer(var)
            .pointer(new_mean.map(Memory::buffer))
            .pointer(new_var.map(Memory::buffer))
            .pointer(Some(found.buffer()))
            .u64(geometry.channels)
            .f64(mode.momentum)
            .f64(mode.eps)
            .u32(splits)
            .u32(0);
        let (name, of_a_block) = if mode.use_batch_stats {
            ("channels_train", WARPS)
        } else {
            ("channels_evaluate", CHANNEL_THREADS)
        };
        launches.push(numbers.through_channels(name, arguments, geometry.channels, of_a_block)?);
        let arguments = Structure::new()
            .pointer(Some(x.memory.buffer()))
            .pointer(Some(y.buffer()))
            .pointer(Some(found.buffer()));
        launches.push(numbers.through_elements("normalise", arguments, geometry, 1)?);
        Ok(ForwardPass { y, found, moved, _partials: partials, launches })
    }

    /// Its launches, in order.
    pub fn launches(&self) -> &[Prepared] {
        &self.launches
    }
}

/// One backward: its results and its launches.
pub struct BackwardPass {
    /// The gradient of the input, laid out as the input.
    pub dx: Option<Memory>,
    /// That of weight.
    pub grad_weight: Option<Memory>,
    /// That of bias.
    pub grad_bias: Option<Memory>,
    _scratch: [Option<Memory>; 2],
    launches: Vec<Prepared>,
}

impl BackwardPass {
    /// Of the gradient of the output, laid out as the input, and of what a forward found.
    ///
    /// # Errors
    /// When there is too little memory, or more blocks than a grid holds.
    pub fn new(
        executor: &Executor,
        numbers: Numbers,
        [x, dy]: [&Placed; 2],
        found: &Buffer,
        use_batch_stats: bool,
        wanted: Wanted,
    ) -> Result<Self, LaunchError> {
        let geometry = &x.geometry;
        let channels = geometry.channels as usize;
        let when = |is: bool, bytes: usize| is.then(|| executor.allocate(bytes, Purpose::Output)).transpose();
        let dx = when(wanted.input, x.memory.buffer().bytes)?;
        let grad_weight = when(wanted.weight, channels * numbers.parameters.size())?;
        let grad_bias = when(wanted.bias, channels * numbers.parameters.size())?;
        let slopes = when(wanted.input && use_batch_stats, channels * 4 * numbers.accumulator.size())?;

        let plan = Reduction::new(geometry, numbers.storage.size())?;
        let bytes = channels * plan.splits as usize * 2 * numbers.accumulator.size();
        let partials = executor.allocate(bytes, Purpose::Output)?;
        let arguments = Structure::new()
            .pointer(Some(x.memory.buffer()))
            .pointer(Some(dy.memory.buffer()))
            .pointer(Some(found))
            .pointer(Some(partials.buffer()))
            .pointer(dx.as_ref().filter(|_| !use_batch_stats).map(Memory::buffer));
        let mut launches =
            vec![reduce(numbers.reduction("gradient_sums", &plan), &plan, arguments, geometry)];
        let arguments = Structure::new()
            .pointer(Some(partials.buffer()))
            .pointer(Some(found))
            .pointer(grad_weight.as_ref().map(Memory::buffer))
            .pointer(grad_bias.as_ref().map(Memory::buffer))
            .pointer(slopes.as_ref().map(Memory::buffer))
            .u64(geometry.channels)
            .u64(geometry.values())
            .u32(plan.splits)
            .u32(0);
        launches.push(numbers.through_channels("gradient_channels", arguments, geometry.channels, WARPS)?);
        if let (Some(dx), Some(slopes)) = (&dx, &slopes) {
            let arguments = Structure::new()
                .pointer(Some(x.memory.buffer()))
                .pointer(Some(dy.memory.buffer()))
                .pointer(Some(dx.buffer()))
                .pointer(Some(found))
                .pointer(Some(slopes.buffer()));
            launches.push(numbers.through_elements("grad_input", arguments, geometry, 2)?);
        }
        Ok(BackwardPass { dx, grad_weight, grad_bias, _scratch: [Some(partials), slopes], launches })
    }

    /// Its launches, in order.
    pub fn launches(&self) -> &[Prepared] {
        &self.launches
    }
}

/// A reduction; `arguments` are its pointers.
fn reduce(kernel: String, plan: &Reduction, arguments: Structure, geometry: &Geometry) -> Prepared {
    let arguments = arguments
        .u64(geometry.channels)
        .u64(geometry.values())
        .u64(plan.chunk)
        .u32(plan.splits)
        .u32(0)
        .divisor(Divisor::new(geometry.places))
        .into_bytes();
    Prepared { kernel, grid: plan.grid, block: plan.block, arguments }
}
