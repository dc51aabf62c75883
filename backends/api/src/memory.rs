//! How a tensor lies in memory.

use bn_cases::Tensor;
use bn_cases::case::Layout;

/// A tensor as a window into a storage: element (i0, i1, …) lies at `offset + i0·strides[0] + i1·strides[1] + …`.
#[derive(Debug, Clone, PartialEq)]
pub struct Strided {
    /// The storage, of rank 1. What the window does not show is NaN, and zero in integers.
    pub storage: Tensor,
    /// The window's shape.
    pub shape: Vec<usize>,
    /// The distance in elements from one index to the next, for each dimension.
    pub strides: Vec<usize>,
    /// Where its first element lies, in elements.
    pub offset: usize,
}

impl Strided {
    /// A tensor laid out as a case asks for.
    pub fn new(tensor: &Tensor, layout: Layout) -> Self {
        let shape = tensor.shape().to_vec();
        let rank = shape.len();
        let (strides, offset, size) = match layout {
            Layout::Contiguous => dense(&shape, (0..rank).rev()),
            Layout::ChannelsLast if is_both(&shape) => dense(&shape, (0..rank).rev()),
            Layout::ChannelsLast => dense(&shape, [1].into_iter().chain((2..rank).rev()).chain([0])),
            Layout::Permuted => dense(&shape, 0..rank),
            Layout::Sliced => {
                // One element more on either side of every dimension.
                let around: Vec<usize> = shape.iter().map(|size| size + 2).collect();
                let (strides, _, size) = dense(&around, (0..rank).rev());
                let offset = strides.iter().sum();
                (strides, offset, size)
            }
            Layout::Expanded => {
                let (mut strides, offset, size) = dense(&shape, (0..rank).rev());
                let samples = shape.first().copied().unwrap_or(1);
                if let Some(stride) = strides.first_mut() {
                    *stride = 0;
                }
                (strides, offset, size / samples.max(1))
            }
        };
        let dtype = tensor.dtype();
        let mut storage = vec![dtype.bits_of(f64::NAN); size];
        for (index, place) in places(&shape, &strides, offset).into_iter().enumerate() {
            storage[place] = tensor.bits(index);
        }
        Strided { storage: Tensor::from_bit_patterns(dtype, &[size], storage), shape, strides, offset }
    }

    /// The element at a position.
    pub fn value(&self, position: &[usize]) -> f64 {
        let place: usize = position.iter().zip(&self.strides).map(|(at, stride)| at * stride).sum();
        self.storage.value(self.offset + place)
    }
}

/// Where the elements of a window lie, in the order that is called contiguous.
fn places(shape: &[usize], strides: &[usize], offset: usize) -> Vec<usize> {
    let mut places = vec![offset];
    for (&size, &stride) in shape.iter().zip(strides) {
        let mut further = Vec::with_capacity(places.len() * size);
        for place in places {
            further.extend((0..size).map(|step| place + step * stride));
        }
        places = further;
    }
    places
}

/// Whether a contiguous tensor of this shape has its channels last as well: one channel, or one place. PyTorch then
/// leaves its strides as they are.
pub fn is_both(shape: &[usize]) -> bool {
    shape.get(1) == Some(&1) || shape.iter().skip(2).all(|&size| size == 1)
}

/// Strides, offset and number of elements of a tensor without gaps whose dimensions lie in this order, the one that
/// varies fastest first.
fn dense(shape: &[usize], fastest_first: impl Iterator<Item = usize>) -> (Vec<usize>, usize, usize) {
    let mut strides = vec![0; shape.len()];
    let mut size = 1;
    for dimension in fastest_first {
        strides[dimension] = size;
        size *= shape[dimension];
    }
    (strides, 0, size)
}

#[cfg(test)]
mod tests {
    use bn_cases::DType;

    use super::*;

    fn tensor() -> Tensor {
        Tensor::from_values(DType::F32, &[2, 3, 1, 2], (0..12).map(f64::from))
    }

    #[test]
    fn the_same_elements_are_seen_through_every_layout() {
        for layout in
            [Layout::Contiguous, Layout::ChannelsLast, Layout::Permuted, Layout::Sliced, Layout::Expanded]
        {
            let tensor = if layout == Layout::Expanded { tensor().repeat_first_sample() } else { tensor() };
            let strided = Strided::new(&tensor, layout);
            for index in 0..tensor.len() {
                assert_eq!(strided.value(&tensor.position(index)), tensor.value(index), "{layout:?} {index}");
            }
        }
    }

    #[test]
    fn strides_are_those_of_pytorch() {
        let strides = |layout| Strided::new(&tensor(), layout).strides;
        assert_eq!(strides(Layout::Contiguous), [6, 2, 2, 1]);
        assert_eq!(strides(Layout::ChannelsLast), [6, 1, 6, 3]);
        assert_eq!(strides(Layout::Permuted), [1, 2, 6, 6]);
        assert_eq!(strides(Layout::Expanded), [0, 2, 2, 1]);
    }

    #[test]
    fn strides_that_mean_nothing_stay_as_they_are() {
        for shape in [[5, 1, 3, 4], [5, 3, 1, 1]] {
            let tensor =
                Tensor::from_values(DType::F32, &shape, (0..shape.iter().product()).map(|i: usize| i as f64));
            assert_eq!(
                Strided::new(&tensor, Layout::ChannelsLast),
                Strided::new(&tensor, Layout::Contiguous)
            );
        }
    }

    #[test]
    fn around_a_slice_there_is_nan() {
        let sliced = Strided::new(&tensor(), Layout::Sliced);
        assert_eq!((sliced.strides.clone(), sliced.offset), (vec![60, 12, 4, 1], 77));
        let seen = sliced.storage.values().iter().filter(|value| !value.is_nan()).count();
        assert_eq!((seen, sliced.storage.len()), (12, 4 * 5 * 3 * 4));
    }

    #[test]
    fn an_expanded_tensor_stores_one_sample() {
        let expanded = Strided::new(&tensor().repeat_first_sample(), Layout::Expanded);
        assert_eq!(expanded.storage.values(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    }
}
