//! What is run: forward and backward of a layer, in training and in evaluation.

use std::sync::Arc;

use bn_api::{DType, Forward, Kernel, Layout, RunningStats, Tensor, Wanted};
use bn_cuda::backend::Devices;
use bn_cuda::kernel::{Accumulator, CudaKernel};

use crate::expectation::Expectation;
use crate::launcher::{Report, open, reported};

const LAYOUTS: [Layout; 4] = [Layout::Contiguous, Layout::ChannelsLast, Layout::Permuted, Layout::Sliced];

/// A run, read from words.
struct Run {
    storage: DType,
    accumulator: Accumulator,
    parameters: DType,
    layout: Layout,
    shape: Vec<usize>,
    /// Whether there are weight and bias.
    affine: bool,
}

impl Run {
    /// From `STORAGE ACCUMULATOR PARAMETERS LAYOUT SHAPE AFFINE`: `f16 acc32 f32 contiguous 3x5x7 affine`. Parameters are of
    /// type `f32`, or `own`: that of the tensors. Without weight and bias it is `plain`.
    fn read(words: &str) -> Option<Run> {
        let &[storage, accumulator, parameters, layout, shape, affine] =
            words.split(' ').collect::<Vec<_>>().as_slice()
        else {
            return None;
        };
        let dtype = |word: &str| DType::FLOATS.iter().find(|dtype| dtype.to_string() == word).copied();
        let storage = dtype(storage)?;
        Some(Run {
            storage,
            accumulator: match accumulator {
                "acc32" => Accumulator::Single,
                "acc64" => Accumulator::Double,
                _ => return None,
            },
            parameters: if parameters == "own" { storage } else { dtype(parameters)? },
            layout: LAYOUTS.into_iter().find(|found| found.name() == layout)?,
            shape: shape.split('x').map(|size| size.parse().ok()).collect::<Option<_>>()?,
            affine: match affine {
                "affine" => true,
                "plain" => false,
                _ => return None,
            },
        })
    }

    /// A tensor of so many different values, as a layer's input or its gradient.
    fn tensor(&self, of_each: usize) -> Tensor {
        let elements: usize = self.shape.iter().product();
        let values = (0..elements).map(|index| ((index * of_each) % 31) as f64 / 8.0 - 2.0);
        Tensor::from_values(self.storage, &self.shape, values)
    }
}

/// What is first reported in a run.
pub fn run(words: &str, mistake: Option<&Expectation>) -> Option<Report> {
    let run = Run::read(words).unwrap_or_else(|| panic!("`{words}` is not understood"));
    let mistake = mistake.map(|mistake| Arc::clone(&mistake.module));
    reported(mistake, || {
        for use_batch_stats in [true, false] {
            if !succeeds(&run, use_batch_stats) {
                break;
            }
        }
    })
}

/// Whether forward and backward of a mode end without an error.
fn succeeds(run: &Run, use_batch_stats: bool) -> bool {
    let kernel = CudaKernel { devices: Devices::new(open, run.accumulator) };
    let channels = run.shape[1];
    let parameter = |value: f64| Tensor::full(run.parameters, &[channels], value);
    let (weight, bias) = (parameter(1.5), parameter(0.25));
    let mut running = RunningStats::new(run.parameters, channels);
    let (x, dy) = (run.tensor(7), run.tensor(11));
    let forward = Forward {
        input: &x,
        layout: run.layout,
        weight: run.affine.then_some(&weight),
        bias: run.affine.then_some(&bias),
        running: Some(&mut running),
        use_batch_stats,
        factor: 0.1,
        eps: 1e-5,
    };
    let Ok((_, saved)) = kernel.forward(forward) else { return false };
    kernel.backward(&saved, &dy, run.layout, Wanted::ALL).is_ok()
}
