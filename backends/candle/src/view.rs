//! Tensors that do not lie contiguously in memory, by candle's own views.

use bn_api::{LayerError, Layout, Strided, Tensor};
use candle_core::Result;

use crate::convert::to_candle;
use crate::error::other;

/// How a tensor is seen in another one, which lies contiguously in memory.
///
/// A `Var` of candle is contiguous always, so that the other one is the variable, and this leads from its gradient
/// to that of the tensor.
pub enum View {
    /// The same.
    Whole,
    /// Dimension `i` is the other's dimension number `i` of these.
    Permuted(Vec<usize>),
    /// The window of this shape that leaves out the first and the last index of every dimension.
    Window(Vec<usize>),
    /// The one sample as many times as this shape says.
    Repeated(Vec<usize>),
}

impl View {
    /// What is stored of a tensor that lies in memory as `layout` says, and how the tensor is seen in it.
    ///
    /// # Errors
    /// When candle cannot make it.
    pub fn new(
        tensor: &Tensor,
        layout: Layout,
    ) -> std::result::Result<(candle_core::Tensor, Self), LayerError> {
        let shape = tensor.shape();
        let rank = shape.len();
        // The other's dimensions in the order of theirs.
        let reordered = |order: Vec<usize>| {
            let stored: Vec<usize> = order.iter().map(|&dimension| shape[dimension]).collect();
            let back = (0..rank).map(|dimension| order.iter().position(|&it| it == dimension).unwrap_or(0));
            (stored, View::Permuted(back.collect()))
        };
        let (stored, view) = match layout {
            Layout::ChannelsLast => reordered([0].into_iter().chain(2..rank).chain([1]).collect()),
            Layout::Permuted => reordered((0..rank).rev().collect()),
            Layout::Sliced => (shape.iter().map(|size| size + 2).collect(), View::Window(shape.to_vec())),
            Layout::Expanded if !tensor.is_empty() => {
                ([1].iter().chain(&shape[1..]).copied().collect(), View::Repeated(shape.to_vec()))
            }
            // There is no sample that could stand for all of none.
            Layout::Contiguous | Layout::Expanded => (shape.to_vec(), View::Whole),
        };
        let storage = Strided::new(tensor, layout).storage;
        Ok((to_candle(&storage)?.reshape(stored).map_err(other)?, view))
    }

    /// The tensor as it is seen in `stored`, or its gradient in that of `stored`.
    ///
    /// # Errors
    /// When candle cannot make the view.
    pub fn of(&self, stored: &candle_core::Tensor) -> Result<candle_core::Tensor> {
        match self {
            View::Whole => Ok(stored.clone()),
            View::Permuted(dimensions) => stored.permute(dimensions.as_slice()),
            View::Window(shape) => {
                let mut sizes = shape.iter().enumerate();
                sizes.try_fold(stored.clone(), |seen, (dimension, &size)| seen.narrow(dimension, 1, size))
            }
            View::Repeated(shape) => stored.broadcast_as(shape.as_slice()),
        }
    }
}

#[cfg(test)]
mod tests {
    use bn_api::DType;
    use candle_core::Var;

    use super::*;
    use crate::convert::from_candle;

    const LAYOUTS: [Layout; 5] =
        [Layout::Contiguous, Layout::ChannelsLast, Layout::Permuted, Layout::Sliced, Layout::Expanded];

    fn tensor(layout: Layout, shape: &[usize]) -> Tensor {
        let count = shape.iter().product::<usize>() as u64;
        // A NaN with a payload, a negative zero, the smallest numbers.
        let bits = (0..count).map(|i| [0x7fc0_1234, 0x8000_0000, 1][i as usize % 3] + (i / 3));
        let tensor = Tensor::from_bit_patterns(DType::F32, shape, bits);
        if layout == Layout::Expanded { tensor.repeat_first_sample() } else { tensor }
    }

    #[test]
    fn a_view_has_the_strides_that_the_layout_asks_for_and_every_bit_in_its_place() {
        for layout in LAYOUTS {
            for shape in [&[2usize, 3, 4, 5][..], &[2, 3, 1, 2, 4], &[3, 2, 4], &[2, 3], &[0, 3], &[2, 0]] {
                let tensor = tensor(layout, shape);
                let (stored, view) = View::new(&tensor, layout).unwrap();
                assert!(stored.is_contiguous());
                for stored in [&stored, Var::from_tensor(&stored).unwrap().as_tensor()] {
                    let seen = view.of(stored).unwrap();
                    assert_eq!(from_candle(&seen).unwrap(), tensor, "{layout:?} {shape:?}");
                    if !tensor.is_empty() {
                        let Strided { strides, offset, .. } = Strided::new(&tensor, layout);
                        assert_eq!((seen.stride(), seen.layout().start_offset()), (&strides[..], offset));
                    }
                }
            }
        }
    }

    #[test]
    fn what_lies_around_a_window_is_nan() {
        let (stored, _) = View::new(&Tensor::full(DType::F32, &[2, 3], 1.0), Layout::Sliced).unwrap();
        let stored = from_candle(&stored).unwrap();
        assert_eq!(stored.shape(), [4, 5]);
        assert_eq!(stored.values().iter().filter(|value| value.is_nan()).count(), 20 - 6);
    }

    #[test]
    fn a_gradient_comes_back_through_the_view_in_the_tensors_order() {
        for layout in LAYOUTS.into_iter().filter(|layout| *layout != Layout::Expanded) {
            let tensor = Tensor::from_values(DType::F64, &[2, 3, 1, 2], (0..12).map(f64::from));
            let (stored, view) = View::new(&tensor, layout).unwrap();
            let var = Var::from_tensor(&stored).unwrap();
            let squares = view.of(&var).unwrap().sqr().unwrap().sum_all().unwrap();
            let gradient = view.of(squares.backward().unwrap().get(&var).unwrap()).unwrap();
            let expected = Tensor::from_values(DType::F64, &[2, 3, 1, 2], (0..12).map(|i| f64::from(2 * i)));
            assert_eq!(from_candle(&gradient).unwrap(), expected, "{layout:?}");
        }
    }
}
