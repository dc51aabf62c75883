//! A tensor as plain data: element type, shape and bits, in the order PyTorch calls contiguous.

use serde::{Deserialize, Serialize};

use crate::DType;

/// A dense tensor. The last dimension varies fastest; elements are little-endian.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Tensor {
    dtype: DType,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// A tensor as it is read, before shape and bytes are known to agree.
#[derive(Deserialize)]
struct Unchecked {
    dtype: DType,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl TryFrom<Unchecked> for Tensor {
    type Error = String;

    fn try_from(read: Unchecked) -> Result<Self, String> {
        let Unchecked { dtype, shape, bytes } = read;
        let refused = format!("{} bytes are no {dtype} tensor of shape {shape:?}", bytes.len());
        Tensor::from_bytes(dtype, shape, bytes).ok_or(refused)
    }
}

impl Tensor {
    /// A tensor from numbers, each rounded once to `dtype`.
    ///
    /// # Panics
    /// When there are not exactly as many numbers as the shape has places.
    pub fn from_values(dtype: DType, shape: &[usize], values: impl IntoIterator<Item = f64>) -> Self {
        let values = values.into_iter();
        // One loop a type, which is faster than to ask for the type of each element.
        match dtype {
            DType::F64 => Self::from_elements(dtype, shape, values.map(f64::to_le_bytes)),
            DType::F32 => Self::from_elements(dtype, shape, values.map(|value| (value as f32).to_le_bytes())),
            _ => Self::from_bit_patterns(dtype, shape, values.map(|value| dtype.bits_of(value))),
        }
    }

    /// A tensor from bit patterns of `dtype`, each in the low bits of its `u64`.
    ///
    /// # Panics
    /// When there are not exactly as many patterns as the shape has places.
    pub fn from_bit_patterns(dtype: DType, shape: &[usize], bits: impl IntoIterator<Item = u64>) -> Self {
        let bits = bits.into_iter();
        match dtype.size() {
            2 => Self::from_elements(dtype, shape, bits.map(|pattern| (pattern as u16).to_le_bytes())),
            4 => Self::from_elements(dtype, shape, bits.map(|pattern| (pattern as u32).to_le_bytes())),
            _ => Self::from_elements(dtype, shape, bits.map(u64::to_le_bytes)),
        }
    }

    /// A tensor from the bytes of each element.
    fn from_elements<const SIZE: usize>(
        dtype: DType,
        shape: &[usize],
        elements: impl Iterator<Item = [u8; SIZE]>,
    ) -> Self {
        let count: usize = shape.iter().product();
        let mut bytes = Vec::with_capacity(count * SIZE);
        for element in elements {
            bytes.extend_from_slice(&element);
        }
        assert_eq!(bytes.len(), count * dtype.size(), "a {dtype} tensor of shape {shape:?}");
        Tensor { dtype, shape: shape.to_vec(), bytes }
    }

    /// A tensor from the bytes of its elements; `None` when their number does not fit the shape.
    pub fn from_bytes(dtype: DType, shape: Vec<usize>, bytes: Vec<u8>) -> Option<Self> {
        // A size of 0 leaves no element, and the products of the others are taken all the same.
        shape.iter().try_fold(dtype.size(), |size, &dim| size.checked_mul(dim.max(1)))?;
        let count = shape.iter().product::<usize>() * dtype.size();
        (count == bytes.len()).then_some(Tensor { dtype, shape, bytes })
    }

    /// A tensor of the same number everywhere, rounded once to `dtype`.
    pub fn full(dtype: DType, shape: &[usize], value: f64) -> Self {
        let bits = dtype.bits_of(value);
        Self::from_bit_patterns(dtype, shape, std::iter::repeat_n(bits, shape.iter().product()))
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The size of each dimension.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len() / self.dtype.size()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The elements' bytes, little-endian.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bit pattern of element `index` of the flat order.
    ///
    /// # Panics
    /// When `index` is not below [`Tensor::len`].
    #[inline]
    pub fn bits(&self, index: usize) -> u64 {
        match self.dtype.size() {
            2 => u64::from(u16::from_le_bytes(self.element(index))),
            4 => u64::from(u32::from_le_bytes(self.element(index))),
            _ => u64::from_le_bytes(self.element(index)),
        }
    }

    /// The bytes of element `index` of the flat order, of which there are `SIZE`.
    #[inline]
    fn element<const SIZE: usize>(&self, index: usize) -> [u8; SIZE] {
        let mut element = [0; SIZE];
        element.copy_from_slice(&self.bytes[index * SIZE..(index + 1) * SIZE]);
        element
    }

    /// Element `index` of the flat order, exactly.
    ///
    /// # Panics
    /// When `index` is not below [`Tensor::len`].
    #[inline]
    pub fn value(&self, index: usize) -> f64 {
        self.dtype.value_of(self.bits(index))
    }

    /// All elements in flat order, exactly.
    pub fn values(&self) -> Vec<f64> {
        match self.dtype {
            DType::F64 => self.elements().map(f64::from_le_bytes).collect(),
            DType::F32 => self.elements().map(|element| f64::from(f32::from_le_bytes(element))).collect(),
            _ => (0..self.len()).map(|index| self.value(index)).collect(),
        }
    }

    /// The bytes of each element, of which there are `SIZE`.
    fn elements<const SIZE: usize>(&self) -> impl Iterator<Item = [u8; SIZE]> {
        let (elements, _) = self.bytes.as_chunks();
        elements.iter().copied()
    }

    /// The same numbers in another type, each rounded once.
    #[must_use]
    pub fn cast(&self, dtype: DType) -> Self {
        if dtype == self.dtype {
            return self.clone();
        }
        Self::from_values(dtype, &self.shape, self.values())
    }

    /// The first sample (index 0 of dimension 0) in the place of all of them.
    #[must_use]
    pub fn repeat_first_sample(&self) -> Self {
        let samples = self.shape.first().copied().unwrap_or(1);
        let sample = self.bytes.len() / samples.max(1);
        Tensor { bytes: self.bytes[..sample].repeat(samples), ..self.clone() }
    }

    /// The position of element `index` of the flat order along each dimension.
    pub fn position(&self, index: usize) -> Vec<usize> {
        let mut rest = index;
        let mut position = vec![0; self.shape.len()];
        for (place, &size) in position.iter_mut().zip(&self.shape).rev() {
            *place = rest % size;
            rest /= size;
        }
        position
    }

    /// How this tensor's elements fall into channels.
    pub fn channels(&self) -> Channels {
        Channels::of(&self.shape)
    }
}

/// How the elements of a batch-norm input fall into channels: dimension 1 counts channels, everything else
/// is reduced. A tensor of rank 1 has one element a channel (per-channel parameters and statistics); one of
/// rank 0 is a single channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channels {
    /// The number of channels, C.
    pub count: usize,
    /// The values of each channel, n = N·spatial.
    pub values: usize,
    /// Elements from one value of a channel to the next within a sample: the product of dimensions 2….
    spatial: usize,
}

impl Channels {
    /// The channels of a contiguous tensor of this shape.
    pub fn of(shape: &[usize]) -> Self {
        match shape {
            [] => Channels { count: 1, values: 1, spatial: 1 },
            [count] => Channels { count: *count, values: 1, spatial: 1 },
            [batch, count, rest @ ..] => {
                let spatial: usize = rest.iter().product();
                Channels { count: *count, values: batch * spatial, spatial }
            }
        }
    }

    /// The channel that element `index` of the flat order belongs to.
    #[inline]
    pub fn channel_of(self, index: usize) -> usize {
        (index / self.spatial.max(1)) % self.count.max(1)
    }

    /// The channel of each of the first `elements` elements of the flat order.
    pub fn of_elements(self, elements: usize) -> Vec<u32> {
        let samples = std::iter::repeat(0..self.count.max(1) as u32).flatten();
        let numbers = samples.flat_map(|channel| std::iter::repeat_n(channel, self.spatial.max(1)));
        numbers.take(elements).collect()
    }

    /// The flat index of value `k` (0 ≤ k < n) of `channel`.
    pub fn index(self, channel: usize, k: usize) -> usize {
        let (sample, place) = (k / self.spatial.max(1), k % self.spatial.max(1));
        (sample * self.count + channel) * self.spatial + place
    }

    /// The flat indices of one channel's values, in order.
    pub fn indices(self, channel: usize) -> impl Iterator<Item = usize> {
        let spatial = self.spatial.max(1);
        let samples = (0..self.values / spatial).map(move |sample| (sample * self.count + channel) * spatial);
        samples.flat_map(move |first| first..first + spatial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_partition_the_elements() {
        for shape in [vec![2, 3], vec![4, 3, 5], vec![2, 3, 2, 2], vec![1, 1, 1, 1, 1], vec![7], vec![]] {
            let channels = Channels::of(&shape);
            let mut seen = vec![0; shape.iter().product()];
            for c in 0..channels.count {
                for index in channels.indices(c) {
                    seen[index] += 1;
                    assert_eq!(channels.channel_of(index), c, "{shape:?}");
                }
            }
            assert!(seen.iter().all(|&times| times == 1), "{shape:?}");
            let one_by_one: Vec<u32> =
                (0..seen.len()).map(|index| channels.channel_of(index) as u32).collect();
            assert_eq!(channels.of_elements(seen.len()), one_by_one, "{shape:?}");
        }
    }

    #[test]
    fn bytes_that_do_not_fit_the_shape_are_refused() {
        assert!(Tensor::from_bytes(DType::F32, vec![2], vec![0; 7]).is_none());
        assert!(Tensor::from_bytes(DType::F32, vec![usize::MAX, 2], vec![0; 8]).is_none());
        assert!(Tensor::from_bytes(DType::F16, vec![2], vec![0; 4]).is_some());
        assert!(Tensor::from_bytes(DType::F16, vec![0, 4], vec![]).is_some());
    }

    #[test]
    fn sizes_beside_a_zero_that_cannot_be_multiplied_are_refused() {
        for shape in [vec![0, usize::MAX, 2], vec![usize::MAX, 2, 0], vec![usize::MAX, 0, usize::MAX]] {
            assert!(Tensor::from_bytes(DType::F32, shape, vec![]).is_none());
        }
    }

    #[test]
    fn positions_follow_the_flat_order() {
        let tensor = Tensor::from_values(DType::F32, &[2, 3, 4], (0..24).map(f64::from));
        assert_eq!(tensor.position(17), [1, 1, 1]);
        assert_eq!(tensor.channels().channel_of(17), 1);
    }
}
