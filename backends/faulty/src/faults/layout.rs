//! Which element is where: layouts, dimensions, and what is left over behind the last full vector.

use bn_api::{Channels, Layout, Observable, Strided, Tensor};
use bn_stages::{Rows, Running, Sums, plain};

use super::tools::{ALL, GRADIENTS, OUTPUT, STATISTICS};
use crate::{Fault, Part};

const WEIGHT_AND_BIAS: &[Observable] = &[Observable::GradInput, Observable::GradWeight, Observable::GradBias];
const WRITTEN: &[Observable] = &[Observable::Output, Observable::GradInput];

/// A tensor's elements by channels, from the places that `place` says they have in its storage; what lies outside is 0.
fn read_at(tensor: &Tensor, layout: Layout, place: impl Fn(&Strided, usize) -> usize) -> Rows {
    let strided = Strided::new(tensor, layout);
    let channels = tensor.channels();
    let value = |index: usize| {
        let place = place(&strided, index);
        if place < strided.storage.len() { strided.storage.value(place) } else { 0.0 }
    };
    (0..channels.count).map(|channel| channels.indices(channel).map(value).collect()).collect()
}

/// A tensor read as if it were contiguous where it lies in this way.
fn read_densely(tensor: &Tensor, layout: Layout, misread: Layout) -> Rows {
    if layout == misread { read_at(tensor, layout, |_, index| index) } else { plain::read(tensor, layout) }
}

/// Where an element lies by its strides alone.
fn offset(strides: &[usize], position: &[usize]) -> usize {
    position.iter().zip(strides).map(|(at, stride)| at * stride).sum()
}

/// Results of which some elements of each channel are never written.
fn unwritten(rows: &Rows, is_written: impl Fn(usize, usize) -> bool) -> Rows {
    let element = |channel: usize, (k, y): (usize, &f64)| if is_written(channel, k) { *y } else { 0.0 };
    let row =
        |(channel, row): (usize, &Vec<f64>)| row.iter().enumerate().map(|it| element(channel, it)).collect();
    rows.iter().enumerate().map(row).collect()
}

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "channels-last-read-as-contiguous",
        about: "an input with its channels last is read as if it were contiguous",
        tensors: ALL,
        link: Some("https://github.com/pytorch/pytorch/issues/64039"),
        parts: &[Part::Read(|tensor, layout| read_densely(tensor, layout, Layout::ChannelsLast))],
    },
    Fault {
        name: "permuted-read-as-contiguous",
        about: "strides are looked at only to see whether the channels are last: a permuted input is read as it lies",
        tensors: ALL,
        link: None,
        parts: &[Part::Read(|tensor, layout| read_densely(tensor, layout, Layout::Permuted))],
    },
    Fault {
        name: "slice-read-without-its-gaps",
        about: "a slice is read from its first element on without the gaps between its rows",
        tensors: ALL,
        link: None,
        parts: &[Part::Read(|tensor, layout| {
            if layout != Layout::Sliced {
                return plain::read(tensor, layout);
            }
            read_at(tensor, layout, |strided, index| strided.offset + index)
        })],
    },
    Fault {
        name: "storage-offset-ignored",
        about: "a slice is read with its strides from the beginning of the storage",
        tensors: ALL,
        link: Some("https://github.com/pytorch/pytorch/issues/133520"),
        parts: &[Part::Read(|tensor, layout| {
            read_at(tensor, layout, |strided, index| offset(&strided.strides, &tensor.position(index)))
        })],
    },
    Fault {
        name: "unaligned-head-skipped",
        about: "what lies before the first multiple of four elements in the storage is skipped and taken for 0",
        tensors: ALL,
        link: Some("https://github.com/intel/torch-xpu-ops/issues/1238"),
        parts: &[Part::Read(|tensor, layout| {
            let aligned = Strided::new(tensor, layout).offset.next_multiple_of(4);
            read_at(tensor, layout, |strided, index| {
                let place = strided.offset + offset(&strided.strides, &tensor.position(index));
                if place < aligned { usize::MAX } else { place }
            })
        })],
    },
    Fault {
        name: "expanded-read-densely",
        about: "a stride of 0 is not looked at: behind the one sample that there is zeros are read",
        tensors: ALL,
        link: None,
        parts: &[Part::Read(|tensor, layout| read_densely(tensor, layout, Layout::Expanded))],
    },
    Fault {
        name: "gradient-read-as-the-input-lies",
        about: "the gradient is read with the strides of the input, whatever its own are",
        tensors: GRADIENTS,
        link: Some("https://github.com/pytorch/pytorch/pull/64100"),
        parts: &[Part::ReadGradient(|saved, grad, layout| {
            let dense = |layout| !matches!(layout, Layout::Sliced | Layout::Expanded);
            let of_input = saved.context.layout;
            if !dense(layout) || !dense(of_input) {
                return plain::read(grad, layout);
            }
            let strides = Strided::new(grad, of_input).strides;
            read_at(grad, layout, |_, index| offset(&strides, &grad.position(index)))
        })],
    },
    Fault {
        name: "expanded-gradient-read-densely",
        about: "the gradient of a sum has strides of 0, and is read as if it had as many elements as it shows",
        tensors: GRADIENTS,
        link: None,
        parts: &[Part::ReadGradient(|_, grad, layout| read_densely(grad, layout, Layout::Expanded))],
    },
    Fault {
        name: "sliced-gradient-read-densely",
        about: "the gradient is a slice, and is read from its first element on without the gaps",
        tensors: GRADIENTS,
        link: None,
        parts: &[Part::ReadGradient(|_, grad, layout| {
            if layout != Layout::Sliced {
                return plain::read(grad, layout);
            }
            read_at(grad, layout, |strided, index| strided.offset + index)
        })],
    },
    Fault {
        name: "gradient-height-and-width-swapped",
        about: "the gradient is read with its last two dimensions in the opposite order",
        tensors: GRADIENTS,
        link: None,
        parts: &[Part::ReadGradient(|_, grad, layout| {
            let shape = grad.shape();
            if shape.len() < 4 {
                return plain::read(grad, layout);
            }
            let (height, width) = (shape[shape.len() - 2], shape[shape.len() - 1]);
            let swapped = |row: Vec<f64>| -> Vec<f64> {
                let plane = |plane: &[f64]| -> Vec<f64> {
                    (0..height * width).map(|k| plane[k % height * width + k / height]).collect()
                };
                row.chunks(height * width).flat_map(plane).collect()
            };
            plain::read(grad, layout).into_iter().map(swapped).collect()
        })],
    },
    Fault {
        name: "written-with-channels-last",
        about: "for an input with its channels last the results are written in that order into a contiguous tensor",
        tensors: WRITTEN,
        link: None,
        parts: &[Part::Write(|c, dtype, rows| {
            let plain = plain::write(c, dtype, rows);
            if c.layout != Layout::ChannelsLast {
                return plain;
            }
            Tensor::from_values(dtype, &c.shape, Strided::new(&plain, c.layout).storage.values())
        })],
    },
    Fault {
        name: "single-channel-squeezed",
        about: "an image with one channel is squeezed, and the statistics are those of its first row",
        tensors: ALL,
        link: None,
        parts: &[Part::Statistics(|c, channel| {
            let [_, 1, _, width] = c.shape[..] else { return plain::statistics(c, channel) };
            let first = c.x[channel].chunks(c.places()).flat_map(|sample| &sample[..width]);
            super::tools::moments(c, &first.copied().collect::<Vec<_>>())
        })],
    },
    Fault {
        name: "batch-and-channels-swapped",
        about: "the input is read as (C, N, …) instead of (N, C, …)",
        tensors: ALL,
        link: None,
        parts: &[Part::Read(|tensor, layout| {
            let [samples, channels, places @ ..] = tensor.shape() else { return plain::read(tensor, layout) };
            let (samples, places): (usize, usize) = (*samples, places.iter().product());
            let flat: Vec<f64> = {
                let rows = plain::read(tensor, layout);
                let of = Channels::of(tensor.shape());
                let mut flat = vec![0.0; tensor.len()];
                for (channel, row) in rows.iter().enumerate() {
                    row.iter().enumerate().for_each(|(k, x)| flat[of.index(channel, k)] = *x);
                }
                flat
            };
            let length = samples * places;
            (0..*channels).map(|channel| flat[channel * length..(channel + 1) * length].to_vec()).collect()
        })],
    },
    Fault {
        name: "last-channels-not-written",
        about: "channels are written in vectors of eight, and those behind the last full vector are not",
        tensors: WRITTEN,
        link: Some("https://github.com/intel/torch-xpu-ops/issues/1238"),
        parts: &[Part::Write(|c, dtype, rows| {
            let full = if rows.len() < 8 { rows.len() } else { rows.len() / 8 * 8 };
            plain::write(c, dtype, &unwritten(rows, |channel, _| channel < full))
        })],
    },
    Fault {
        name: "last-places-not-written",
        about: "the places of a channel are written in vectors of four, and those behind the last full vector are not",
        tensors: WRITTEN,
        link: None,
        parts: &[Part::Write(|c, dtype, rows| {
            let places = c.places();
            let full = if places < 4 { places } else { places / 4 * 4 };
            plain::write(c, dtype, &unwritten(rows, |_, k| k % places < full))
        })],
    },
    Fault {
        name: "rows-beyond-the-grid-not-written",
        about: "one block a sample, and no more than 65535 blocks: samples beyond them are not written",
        tensors: WRITTEN,
        link: Some("https://github.com/pytorch/pytorch/issues/16998"),
        parts: &[Part::Write(|c, dtype, rows| {
            let places = c.places();
            plain::write(c, dtype, &unwritten(rows, |_, k| k / places < 65_535))
        })],
    },
    Fault {
        name: "last-channels-keep-their-statistics",
        about: "running statistics move in blocks of 32 channels, of which features / 32 are launched: the rest stay",
        tensors: STATISTICS,
        link: None,
        parts: &[Part::MoveRunning(|c, before, batch| {
            let Running { mut mean, mut var } = plain::move_running(c, before, batch);
            let full = if mean.len() < 32 { mean.len() } else { mean.len() / 32 * 32 };
            mean[full..].copy_from_slice(&before.mean[full..]);
            var[full..].copy_from_slice(&before.var[full..]);
            Running { mean, var }
        })],
    },
    Fault {
        name: "remainder-read-with-the-wrong-stride",
        about: "behind the vectors of four the backward's sums go on at index 4·i instead of i",
        tensors: WEIGHT_AND_BIAS,
        link: Some("https://github.com/ROCm/rocm-libraries/pull/9031"),
        parts: &[Part::GradientSums(|saved, channel, dy| {
            let a = saved.context.arithmetic;
            let full = dy.len() / 4 * 4;
            let index = |k: usize| if k < full { k } else { (k - full) * 4 % dy.len() };
            let terms: Vec<f64> = (0..dy.len()).map(|k| dy[index(k)]).collect();
            let products: Vec<f64> =
                (0..dy.len()).map(|k| a.mul(dy[index(k)], saved.xhat[channel][index(k)])).collect();
            let sum = saved.context.stages.sum;
            Sums { dy: sum(a, &terms), dy_xhat: sum(a, &products) }
        })],
    },
    Fault {
        name: "last-gradients-not-summed",
        about: "the backward's sums take blocks of sixteen values and leave what remains",
        tensors: WEIGHT_AND_BIAS,
        link: None,
        parts: &[Part::GradientSums(|saved, channel, dy| {
            let full = if dy.len() < 16 { dy.len() } else { dy.len() / 16 * 16 };
            plain::gradient_sums(saved, channel, &dy[..full])
        })],
    },
    Fault {
        name: "samples-normalised-in-reverse",
        about: "the output's samples are written from the last on",
        tensors: OUTPUT,
        link: None,
        parts: &[Part::AllOutput(|c, statistics, xhat| {
            let reversed = |row: Vec<f64>| row.chunks(c.places()).rev().flatten().copied().collect();
            plain::all_output(c, statistics, xhat).into_iter().map(reversed).collect()
        })],
    },
];
