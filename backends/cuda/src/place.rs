//! Tensors on their way to the device and back.

use bn_api::{Layout, Strided, Tensor, is_both};

use crate::arguments::Structure;
use crate::executor::{Executor, Memory, Prepared};
use crate::launch::{Buffer, LaunchError, Purpose};
use crate::plan::{Divisor, Geometry, Order, THREADS, grid};

/// The most dimensions that `relayout` takes (`RANK` in `relayout.cuh`).
const RANK: usize = 8;

/// A tensor on the device, without gaps.
pub struct Placed {
    /// Its elements.
    pub memory: Memory,
    /// How they follow each other.
    pub geometry: Geometry,
}

/// The order that a tensor has on the device when it lies as `layout` says: as it is where kernels read it so; the
/// contiguous one otherwise.
pub fn order_of(shape: &[usize], layout: Layout) -> Order {
    if layout == Layout::ChannelsLast && !is_both(shape) { Order::Columns } else { Order::Rows }
}

/// Brings a tensor of shape (N, C, …) to the device as it lies in memory, and there into this order where it lies otherwise.
///
/// # Errors
/// What the device says.
pub fn place(
    executor: &Executor,
    tensor: &Tensor,
    layout: Layout,
    order: Order,
) -> Result<Placed, LaunchError> {
    let geometry = Geometry::new(tensor.shape(), order);
    let lies_so = match layout {
        Layout::Contiguous | Layout::ChannelsLast => order_of(tensor.shape(), layout) == order,
        Layout::Permuted | Layout::Sliced | Layout::Expanded => false,
    };
    if lies_so {
        let memory = match order {
            Order::Rows => executor.upload(tensor.bytes())?,
            Order::Columns => executor.upload(Strided::new(tensor, layout).storage.bytes())?,
        };
        return Ok(Placed { memory, geometry });
    }
    let strided = Strided::new(tensor, layout);
    let from = executor.upload(strided.storage.bytes())?;
    let memory = relayout(executor, from.buffer(), &strided, order)?;
    Ok(Placed { memory, geometry })
}

/// A copy of what a window shows, without gaps, in this order.
fn relayout(
    executor: &Executor,
    from: &Buffer,
    window: &Strided,
    order: Order,
) -> Result<Memory, LaunchError> {
    let rank = window.shape.len();
    if rank > RANK {
        return Err(LaunchError::Unexpressed(format!("a tensor of {rank} dimensions: {RANK} are the most")));
    }
    let size = executor.storage().size();
    let elements: usize = window.shape.iter().product();
    let to = executor.allocate(elements * size, Purpose::Output)?;
    // Dimension 1 is the channels'; channels last it goes fastest.
    let dimensions: Vec<usize> = match order {
        Order::Rows => (0..rank).collect(),
        Order::Columns => (0..rank).filter(|dimension| *dimension != 1).chain([1]).collect(),
    };
    let missing = RANK - rank;
    let mut arguments = Structure::new()
        .u64(from.address + (window.offset * size) as u64)
        .pointer(Some(to.buffer()))
        .u64(elements as u64);
    for place in 0..RANK {
        let size = place.checked_sub(missing).map_or(1, |place| window.shape[dimensions[place]]);
        arguments = arguments.divisor(Divisor::new(size as u64));
    }
    for place in 0..RANK {
        let stride = place.checked_sub(missing).map_or(0, |place| window.strides[dimensions[place]]);
        arguments = arguments.u64(stride as u64);
    }
    let blocks = grid((elements as u64).div_ceil(u64::from(THREADS)))?;
    let kernel = format!("bn_relayout_{}_bits", executor.storage());
    let arguments = arguments.into_bytes();
    executor.run(&[Prepared { kernel, grid: blocks, block: [THREADS, 1, 1], arguments }])?;
    Ok(to)
}

/// A tensor of this shape that came back in an order.
///
/// # Errors
/// When the bytes are no such tensor.
pub fn collect(
    executor: &Executor,
    shape: &[usize],
    order: Order,
    bytes: Vec<u8>,
) -> Result<Tensor, LaunchError> {
    let dtype = executor.storage();
    let bytes = match order {
        Order::Rows => bytes,
        Order::Columns => rows_of_columns(shape, dtype.size(), &bytes),
    };
    Tensor::from_bytes(dtype, shape.to_vec(), bytes).ok_or_else(|| {
        LaunchError::Unexpressed(format!("what came back is no {dtype} tensor of shape {shape:?}"))
    })
}

/// From (N, places, C) to (N, C, places), element by element.
fn rows_of_columns(shape: &[usize], size: usize, bytes: &[u8]) -> Vec<u8> {
    let (channels, places) = (shape[1], shape.iter().skip(2).product::<usize>());
    let mut rows = vec![0; bytes.len()];
    for (index, element) in bytes.chunks_exact(size).enumerate() {
        let (outer, channel) = (index / channels, index % channels);
        let (sample, place) = (outer / places, outer % places);
        let at = ((sample * channels + channel) * places + place) * size;
        rows[at..at + size].copy_from_slice(element);
    }
    rows
}
