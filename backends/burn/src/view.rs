//! A tensor as a view of what is stored, by burn's own means.

use bn_api::{LayerError, Layout, Strided, Tensor};
use burn_core::tensor::Tensor as BurnTensor;
use burn_core::tensor::backend::Backend;

use crate::convert::to_burn;

/// How a tensor of rank `D` is seen in what is stored.
#[derive(Debug, Clone, Copy)]
pub enum View<const D: usize> {
    /// As it is.
    Whole,
    /// With its dimensions in this order.
    Permuted([usize; D]),
    /// The window of this shape that leaves out the first and the last index of every dimension.
    Window([usize; D]),
    /// The one sample as many times as this shape says.
    Repeated([usize; D]),
}

impl<const D: usize> View<D> {
    /// What is stored of a tensor that lies in memory as `layout` says, and how the tensor is seen in it.
    ///
    /// # Errors
    /// When the tensor is not of rank `D`.
    pub fn new<B: Backend>(tensor: &Tensor, layout: Layout) -> Result<(BurnTensor<B, D>, Self), LayerError> {
        let shape: [usize; D] = tensor.shape().try_into().map_err(|_| {
            LayerError::other(format!("a tensor of shape {:?} is not of rank {D}", tensor.shape()))
        })?;
        // The other's dimensions in the order of theirs.
        let reordered = |order: Vec<usize>| {
            let mut back = [0; D];
            for (place, dimension) in order.iter().enumerate() {
                back[*dimension] = place;
            }
            (order.iter().map(|&dimension| shape[dimension]).collect(), View::Permuted(back))
        };
        let (stored, view): (Vec<usize>, _) = match layout {
            Layout::ChannelsLast if D > 2 => reordered([0].into_iter().chain(2..D).chain([1]).collect()),
            Layout::Permuted => reordered((0..D).rev().collect()),
            Layout::Sliced => (shape.iter().map(|size| size + 2).collect(), View::Window(shape)),
            Layout::Expanded if !tensor.is_empty() => {
                ([1].iter().chain(&shape[1..]).copied().collect(), View::Repeated(shape))
            }
            // There is no sample that could stand for all of none.
            _ => (shape.to_vec(), View::Whole),
        };
        let storage = Strided::new(tensor, layout).storage;
        let storage = Tensor::from_bytes(storage.dtype(), stored, storage.bytes().to_vec());
        let storage = storage.ok_or_else(|| LayerError::other("a storage of a wrong size"))?;
        Ok((to_burn(&storage), view))
    }

    /// The tensor as it is seen in `stored`, or its gradient in that of `stored`.
    pub fn of<B: Backend>(self, stored: BurnTensor<B, D>) -> BurnTensor<B, D> {
        match self {
            View::Whole => stored,
            View::Permuted(dimensions) => stored.permute(dimensions),
            View::Window(shape) => stored.slice(shape.map(|size| 1..=size)),
            View::Repeated(shape) => stored.expand(shape),
        }
    }
}

#[cfg(test)]
mod tests {
    use bn_api::DType;
    use burn_autodiff::Autodiff;
    use burn_ndarray::NdArray;

    use super::*;
    use crate::convert::from_burn;

    const LAYOUTS: [Layout; 5] =
        [Layout::Contiguous, Layout::ChannelsLast, Layout::Permuted, Layout::Sliced, Layout::Expanded];

    fn check<const D: usize>(shape: [usize; D]) {
        for layout in LAYOUTS {
            let count = shape.iter().product::<usize>() as u64;
            // A NaN with a payload, a negative zero, the smallest numbers.
            let bits = (0..count).map(|i| [0x7fc0_1234, 0x8000_0000, 1][i as usize % 3] + (i / 3));
            let tensor = Tensor::from_bit_patterns(DType::F32, &shape, bits);
            let tensor = if layout == Layout::Expanded { tensor.repeat_first_sample() } else { tensor };
            let (stored, view) = View::<D>::new::<NdArray>(&tensor, layout).unwrap();
            assert_eq!(from_burn(view.of(stored)).unwrap(), tensor, "{layout:?} {shape:?}");
        }
    }

    #[test]
    fn a_view_has_every_bit_in_its_place() {
        check([2, 3, 4, 5]);
        check([2, 3, 1, 2, 4]);
        check([3, 2, 4]);
        check([2, 3]);
        check([0, 3]);
        check([2, 0]);
    }

    #[test]
    fn what_lies_around_a_window_is_nan() {
        let tensor = Tensor::full(DType::F32, &[2, 3], 1.0);
        let (stored, _) = View::<2>::new::<NdArray>(&tensor, Layout::Sliced).unwrap();
        let stored = from_burn(stored).unwrap();
        assert_eq!(stored.shape(), [4, 5]);
        assert_eq!(stored.values().iter().filter(|value| value.is_nan()).count(), 20 - 6);
    }

    #[test]
    fn a_gradient_comes_back_through_the_view_in_the_tensors_order() {
        for layout in LAYOUTS.into_iter().filter(|layout| *layout != Layout::Expanded) {
            let tensor = Tensor::from_values(DType::F64, &[2, 3, 1, 2], (0..12).map(f64::from));
            let (stored, view) = View::<4>::new::<Autodiff<NdArray>>(&tensor, layout).unwrap();
            let leaf = stored.require_grad();
            let gradients = view.of(leaf.clone()).square().sum().backward();
            let gradient = view.of(leaf.grad(&gradients).unwrap());
            let expected = Tensor::from_values(DType::F64, &[2, 3, 1, 2], (0..12).map(|i| f64::from(2 * i)));
            assert_eq!(from_burn(gradient).unwrap(), expected, "{layout:?}");
        }
    }

    #[test]
    fn a_tensor_of_another_rank_is_refused() {
        let tensor = Tensor::full(DType::F32, &[2, 3], 1.0);
        let refused = View::<3>::new::<NdArray>(&tensor, Layout::Contiguous).unwrap_err();
        assert_eq!(refused.message, "a tensor of shape [2, 3] is not of rank 3");
    }
}
