//! Tensors to candle and back, bit for bit.

use bn_api::{LayerError, Tensor};
use candle_core::{DType, Device};

use crate::error::other;

/// candle's name of an element type.
pub fn dtype(dtype: bn_api::DType) -> DType {
    match dtype {
        bn_api::DType::F16 => DType::F16,
        bn_api::DType::Bf16 => DType::BF16,
        bn_api::DType::F32 => DType::F32,
        bn_api::DType::F64 => DType::F64,
        bn_api::DType::I64 => DType::I64,
    }
}

/// A contiguous copy for candle on the CPU, of the same shape and bits.
///
/// # Errors
/// When candle cannot make it.
pub fn to_candle(tensor: &Tensor) -> Result<candle_core::Tensor, LayerError> {
    let dtype = dtype(tensor.dtype());
    candle_core::Tensor::from_raw_buffer(tensor.bytes(), dtype, tensor.shape(), &Device::Cpu).map_err(other)
}

/// A tensor of candle, of whatever layout, as plain data of the same shape and bits.
///
/// # Errors
/// When its element type is not one of ours, or candle cannot read it.
pub fn from_candle(tensor: &candle_core::Tensor) -> Result<Tensor, LayerError> {
    let found = tensor.dtype();
    let dtype = [bn_api::DType::I64]
        .into_iter()
        .chain(bn_api::DType::FLOATS)
        .find(|&known| dtype(known) == found)
        .ok_or_else(|| LayerError::other(format!("a tensor of type {found:?}")))?;
    let mut bytes = Vec::with_capacity(tensor.elem_count() * dtype.size());
    tensor.write_bytes(&mut bytes).map_err(other)?;
    Tensor::from_bytes(dtype, tensor.dims().to_vec(), bytes)
        .ok_or_else(|| LayerError::other("a tensor of a wrong size"))
}

#[cfg(test)]
mod tests {
    use bn_api::DType;

    use super::*;

    #[test]
    fn every_half_bit_pattern_comes_back() {
        for dtype in [DType::F16, DType::Bf16] {
            let tensor = Tensor::from_bit_patterns(dtype, &[1 << 16], 0..1 << 16);
            assert_eq!(from_candle(&to_candle(&tensor).unwrap()).unwrap(), tensor);
        }
    }

    #[test]
    fn special_values_come_back_with_every_bit() {
        let f32 = [0x7fc0_1234u64, 0xff80_0000, 0x7fa0_0001, 0x8000_0000, 1, 0x3f80_0000];
        let f64 = [0x7ff8_0000_0000_1234u64, 0x7ff4_0000_0000_0001, 1 << 63, 1, f64::MAX.to_bits(), u64::MAX];
        for (dtype, bits) in [(DType::F32, f32), (DType::F64, f64)] {
            let tensor = Tensor::from_bit_patterns(dtype, &[3, 2], bits);
            assert_eq!(from_candle(&to_candle(&tensor).unwrap()).unwrap(), tensor);
        }
    }

    #[test]
    fn shapes_without_elements_and_scalars_come_back() {
        for shape in [vec![0, 3], vec![2, 0, 4], vec![]] {
            let count = shape.iter().product();
            let tensor = Tensor::from_values(DType::F32, &shape, vec![1.5; count]);
            assert_eq!(from_candle(&to_candle(&tensor).unwrap()).unwrap(), tensor);
        }
    }

    #[test]
    fn other_layouts_are_read_in_the_order_of_their_indices() {
        let tensor = Tensor::from_values(DType::F32, &[2, 3], (0..6).map(f64::from));
        let transposed = from_candle(&to_candle(&tensor).unwrap().t().unwrap()).unwrap();
        assert_eq!(transposed, Tensor::from_values(DType::F32, &[3, 2], [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]));
    }
}
