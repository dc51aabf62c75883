//! How long the interpreter takes, all checks on: `cargo bench -p bn-cuda`.
//!
//! Each figure is the median of several runs of one forward or backward of `cuda-ptx`, transfers included.

use std::time::Instant;

use bn_api::{DType, Forward, Kernel, Layout, RunningStats, Tensor, Wanted};
use bn_cuda::Accumulator;
use bn_cuda::backend::Devices;
use bn_cuda::interpreter::Interpreter;
use bn_cuda::kernel::CudaKernel;

const RUNS: usize = 7;

fn main() {
    println!("{:24} {:10} {:>16} {:>16}", "shape", "type", "forward, train", "backward, train");
    for shape in [vec![8192, 64], vec![1, 64, 8192], vec![8, 64, 32, 32], vec![32, 3, 7, 7]] {
        for dtype in [DType::F32, DType::F16, DType::F64] {
            let [forward, backward] = measure(&shape, dtype);
            println!(
                "{:24} {:10} {:>13.1} ms {:>13.1} ms",
                format!("{shape:?}"),
                dtype.to_string(),
                forward,
                backward
            );
        }
    }
}

/// Milliseconds of a forward and of a backward.
fn measure(shape: &[usize], dtype: DType) -> [f64; 2] {
    let elements: usize = shape.iter().product();
    let values = (0..elements).map(|i| (i as f64 * 0.618_034).fract() * 4.0 + 10.0);
    let x = Tensor::from_values(dtype, shape, values);
    let devices = Devices::new(|storage| Ok(Box::new(Interpreter::open(storage)?)), Accumulator::Single);
    let kernel = CudaKernel { devices };
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..RUNS {
        let mut running = RunningStats::new(dtype, shape[1]);
        let call = Forward {
            input: &x,
            layout: Layout::Contiguous,
            weight: None,
            bias: None,
            running: Some(&mut running),
            use_batch_stats: true,
            factor: 0.1,
            eps: 1e-5,
        };
        let started = Instant::now();
        let (_, saved) = kernel.forward(call).expect("the forward works");
        times[0].push(started.elapsed());
        let started = Instant::now();
        kernel.backward(&saved, &x, Layout::Contiguous, Wanted::ALL).expect("the backward works");
        times[1].push(started.elapsed());
    }
    times.map(|mut times| {
        times.sort();
        times[RUNS / 2].as_secs_f64() * 1e3
    })
}
