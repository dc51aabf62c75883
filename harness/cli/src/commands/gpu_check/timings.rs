//! Every pass on every shape, timed, beside a copy on the device and beside PyTorch.

use bn_cuda::bench::{Bench, Pass, RESNET_50, Settings, Subject, Time, subjects};
use bn_cuda::launch::LaunchError;
use bn_cuda::plan::Order;
use bn_reports::gpu_check::{Rate, Row, Timed, Timings};

use super::pytorch;
use crate::args::{GpuCheckArgs, Shape};

/// Times the kernels, and PyTorch's where there is a Python that has it. `l2_bytes` is the size of the second-level cache.
pub fn measure(args: &GpuCheckArgs, l2_bytes: u64) -> Timings {
    let shapes: Vec<Vec<usize>> = if args.shapes.is_empty() {
        RESNET_50.map(|shape| shape.to_vec()).into()
    } else {
        args.shapes.iter().map(|Shape(shape)| shape.clone()).collect()
    };
    let subjects = subjects(&shapes);
    let (mut copy, mut rows) = (None, Vec::new());
    for of_type in subjects.chunk_by(|one, other| one.numbers.storage == other.numbers.storage) {
        let storage = of_type[0].numbers.storage;
        eprintln!("timing {storage}: {} passes", of_type.len() * Pass::ALL.len());
        match Bench::open(storage, Settings::default()) {
            Ok(mut bench) => {
                if copy.is_none() {
                    let bytes = args.copy_bytes;
                    copy = bench.copy(bytes).ok().map(|time| Rate { bytes, micros: time.micros });
                }
                for subject in of_type {
                    let times = bench.passes(subject);
                    for (pass, time) in Pass::ALL.into_iter().zip(times) {
                        let both = time.and_then(|time| Ok((time, bench.copy(subject.bytes(pass))?)));
                        rows.push(row(bench.label(), subject, pass, both, l2_bytes));
                    }
                }
            }
            Err(error) => rows.extend(of_type.iter().flat_map(|subject| {
                Pass::ALL.map(|pass| row("cuda", subject, pass, Err(error.clone()), l2_bytes))
            })),
        }
    }
    let pytorch = pytorch::measure(args.python.as_deref(), &mut rows);
    Timings { copy, rows, pytorch }
}

/// `both` are the times of the pass and of a copy of as many bytes.
fn row(
    executor: &str,
    subject: &Subject,
    pass: Pass,
    both: Result<(Time, Time), LaunchError>,
    l2_bytes: u64,
) -> Row {
    let numbers = subject.numbers;
    let bytes = subject.bytes(pass);
    let timed = |(time, copy): &(Time, Time)| Timed {
        micros: time.micros,
        repetitions: time.repetitions,
        gb_per_s: Rate { bytes, micros: time.micros }.gb_per_s(),
        copy_micros: copy.micros,
        share_of_copy: copy.micros / time.micros,
    };
    Row {
        executor: executor.to_owned(),
        shape: subject.shape.clone(),
        dtype: numbers.storage.to_string(),
        parameters: numbers.parameters.to_string(),
        accumulator: numbers.accumulator.to_string(),
        layout: if subject.order == Order::Rows { "contiguous" } else { "channels_last" }.to_owned(),
        pass: pass.name().to_owned(),
        bytes,
        fits_l2: subject.footprint(pass) <= l2_bytes,
        timed: both.as_ref().ok().map(timed),
        problem: both.err().map(|error| error.to_string()),
        pytorch: Vec::new(),
    }
}
