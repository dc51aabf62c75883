//! The interpreter beside what g++ made of the kernels, over everything that kernels differ in.

use std::collections::{BTreeMap, BTreeSet};

use bn_api::{DType, Forward, Kernel, Layout, RunningStats, Tensor, Wanted};
use bn_cuda::backend::Devices;
use bn_cuda::interpreter::Interpreter;
use bn_cuda::kernel::{Accumulator, CudaKernel};
use bn_cuda::launch::{LaunchError, Launcher};
use bn_cuda::ptx;

use crate::both::{Both, compared};
use crate::inputs::{Draw, LAYOUTS, divided, of_channels, shapes, tensor};
use crate::shim::Shim;

/// How many shapes of each rank are drawn, and how large they are at most.
const OF_EACH_RANK: usize = 60;
const ELEMENTS: usize = 2500;

#[test]
fn kernels_for_f16_give_the_same_bits_in_cpp() {
    sweep(DType::F16);
}

#[test]
fn kernels_for_bf16_give_the_same_bits_in_cpp() {
    sweep(DType::Bf16);
}

#[test]
fn kernels_for_f32_give_the_same_bits_in_cpp() {
    sweep(DType::F32);
}

#[test]
fn kernels_for_f64_give_the_same_bits_in_cpp() {
    sweep(DType::F64);
}

fn open(storage: DType) -> Result<Box<dyn Launcher>, LaunchError> {
    let interpreter = Interpreter::open(storage)?;
    Ok(Box::new(Both::new(Box::new(interpreter), Box::new(Shim::new(storage)))))
}

fn sweep(storage: DType) {
    let accumulators: &[_] = match storage {
        DType::F64 => &[Accumulator::Single],
        _ => &[Accumulator::Single, Accumulator::Double],
    };
    let kernels: Vec<CudaKernel> = accumulators
        .iter()
        .map(|accumulator| CudaKernel { devices: Devices::new(open, *accumulator) })
        .collect();
    let mut draw = Draw(storage as u64);
    let mut tried = 0;
    for (index, shape) in shapes(&mut draw, OF_EACH_RANK, ELEMENTS).into_iter().enumerate() {
        // A few in every way, and the others in one that is drawn.
        let every_mask = index % 8 == 0;
        Trial::drawn(&mut draw, storage, &shape, index).run(&kernels[index % kernels.len()], every_mask);
        tried += 1;
    }
    for (index, shape) in divided(storage).into_iter().enumerate() {
        for kernel in &kernels {
            Trial::drawn(&mut draw, storage, &shape, index).run(kernel, false);
            tried += 1;
        }
    }
    let compared = compared();
    let launches: usize = compared.values().sum();
    println!("{storage}: {launches} launches of {} kernels compared in {tried} trials", compared.len());
    assert_eq!(missing(storage, &compared), BTreeSet::new(), "kernels that nothing launched");
}

/// The kernels of a module that were never compared.
fn missing(storage: DType, compared: &BTreeMap<String, usize>) -> BTreeSet<String> {
    let (_, text) = ptx::module(storage).expect("a module");
    let names = text.lines().filter_map(|line| line.trim().strip_prefix(".visible .entry "));
    let names: BTreeSet<String> = names.map(|name| name.trim_end_matches('(').to_owned()).collect();
    assert!(names.len() > 10, "the names of the kernels are not found: {names:?}");
    names.into_iter().filter(|name| !compared.contains_key(name)).collect()
}

/// Forward and backward on one input, in training and in evaluation.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // What a layer has and its input is: all combinations make sense.
pub struct Trial {
    storage: DType,
    shape: Vec<usize>,
    layout: Layout,
    layout_of_gradient: Layout,
    parameters: DType,
    weight: bool,
    bias: bool,
    running: bool,
    far: bool,
    special: bool,
    /// Which of the eight masks of gradients is asked first.
    mask: usize,
    seed: u64,
}

impl Trial {
    /// One that is drawn, on a shape. What is asked of it goes through all combinations with the index.
    pub fn drawn(draw: &mut Draw, storage: DType, shape: &[usize], index: usize) -> Self {
        let drawn = draw.bits();
        let bit = |place: u64| (drawn >> place) & 1 == 1;
        Trial {
            storage,
            shape: shape.to_vec(),
            layout: LAYOUTS[index % 5],
            layout_of_gradient: draw.of(&LAYOUTS),
            parameters: if storage.is_half() && bit(0) { DType::F32 } else { storage },
            weight: bit(1),
            bias: bit(2),
            running: bit(3),
            far: bit(4),
            special: draw.once_in(5),
            mask: draw.below(8),
            seed: draw.bits(),
        }
    }

    /// One that leaves nothing out: a slice, with parameters and running statistics.
    pub fn complete(draw: &mut Draw, storage: DType, shape: &[usize]) -> Self {
        let (layout, parameters) = (Layout::Sliced, storage);
        let all = Trial {
            layout,
            parameters,
            weight: true,
            bias: true,
            running: true,
            ..Trial::drawn(draw, storage, shape, 0)
        };
        Trial { special: false, ..all }
    }

    /// Runs it; what does not agree ends the test. With `every_mask` all eight masks of gradients are asked.
    fn run(&self, kernel: &CudaKernel, every_mask: bool) {
        self.attempt(kernel, every_mask).unwrap_or_else(|words| panic!("{words}\nin {self:?}"));
    }

    /// Runs it.
    ///
    /// # Errors
    /// What does not agree, in words.
    pub fn attempt(&self, kernel: &CudaKernel, every_mask: bool) -> Result<(), String> {
        let mut draw = Draw(self.seed);
        let channels = self.shape[1];
        let lying = |tensor: Tensor, layout: Layout| match layout {
            Layout::Expanded => tensor.repeat_first_sample(),
            _ => tensor,
        };
        let input = tensor(&mut draw, self.storage, &self.shape, self.far, self.special);
        let input = lying(input, self.layout);
        let gradient = tensor(&mut draw, self.storage, &self.shape, false, self.special);
        let gradient = lying(gradient, self.layout_of_gradient);
        let weight = self.weight.then(|| of_channels(&mut draw, self.parameters, channels, -1.0));
        let bias = self.bias.then(|| of_channels(&mut draw, self.parameters, channels, -1.0));
        let factor = draw.of(&[0.1, 1.0, 1.0 / 3.0]);
        let eps = draw.of(&[1e-5, 1e-3]);
        for use_batch_stats in [true, false] {
            let mut running = (self.running || !use_batch_stats).then(|| RunningStats {
                mean: of_channels(&mut draw, self.parameters, channels, -1.0),
                var: of_channels(&mut draw, self.parameters, channels, 0.25),
            });
            let call = Forward {
                input: &input,
                layout: self.layout,
                weight: weight.as_ref(),
                bias: bias.as_ref(),
                running: running.as_mut(),
                use_batch_stats,
                factor,
                eps,
            };
            let words = |error| format!("{error:?}");
            let (_, saved) = kernel.forward(call).map_err(words)?;
            for step in 0..if every_mask { 8 } else { 1 } {
                let mask = (self.mask + step) % 8;
                let wanted = Wanted { input: mask & 1 != 0, weight: mask & 2 != 0, bias: mask & 4 != 0 };
                kernel.backward(&saved, &gradient, self.layout_of_gradient, wanted).map_err(words)?;
            }
        }
        Ok(())
    }
}
