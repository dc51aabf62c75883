//! Choices made of bytes, as many as there are; afterwards all are the first.

use bn_api::{DType, Tensor};

/// Bytes and a place in them.
pub struct Bytes<'a> {
    left: &'a [u8],
}

impl<'a> Bytes<'a> {
    /// At the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Bytes { left: bytes }
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.left.split_first() else { return 0 };
        self.left = rest;
        *first
    }

    /// A number below `count`, which is not 0.
    pub fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count
    }

    /// One of these.
    pub fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    /// The next so many bytes as the low ones of a number.
    fn word(&mut self, bytes: usize) -> u64 {
        (0..bytes).fold(0, |word, at| word | u64::from(self.byte()) << (8 * at))
    }

    /// The bits of an element: one that is often met, or any.
    pub fn bits(&mut self, dtype: DType) -> u64 {
        let low = |bytes: usize| if bytes == 8 { u64::MAX } else { (1 << (8 * bytes)) - 1 };
        let mask = low(dtype.size());
        let sign = 1 << (8 * dtype.size() - 1);
        let kind = self.byte();
        let bits = match kind % 16 {
            0..=5 => self.word(dtype.size()),
            6 => dtype.bits_of(f64::INFINITY),
            7 => dtype.bits_of(f64::NAN),
            8 => dtype.bits_of(dtype.max_finite()),
            9 => u64::from(self.byte()),
            10 => dtype.bits_of(1.0).wrapping_add(u64::from(self.byte())),
            11 => dtype.bits_of(2f64.powi(i32::from(self.byte() as i8))),
            _ => dtype.bits_of(f64::from(self.byte() as i8)),
        };
        (if kind >= 128 { bits ^ sign } else { bits }) & mask
    }

    /// A tensor of such elements.
    pub fn tensor(&mut self, dtype: DType, shape: &[usize]) -> Tensor {
        let count = shape.iter().product();
        let bits: Vec<u64> = (0..count).map(|_| self.bits(dtype)).collect();
        Tensor::from_bit_patterns(dtype, shape, bits)
    }

    /// A number of double precision, of such bits.
    pub fn number(&mut self) -> f64 {
        f64::from_bits(self.bits(DType::F64))
    }
}
