//! Tensors to burn and back, bit for bit.

use bn_api::{DType, LayerError, Tensor};
use burn_core::tensor::backend::Backend;
use burn_core::tensor::{DType as BurnDType, Tensor as BurnTensor, TensorData};

/// A tensor as burn's data, of the same type, shape and bits.
pub fn to_data(tensor: &Tensor) -> TensorData {
    let dtype = match tensor.dtype() {
        DType::F16 => BurnDType::F16,
        DType::Bf16 => BurnDType::BF16,
        DType::F32 => BurnDType::F32,
        DType::F64 => BurnDType::F64,
        DType::I64 => BurnDType::I64,
    };
    TensorData::from_bytes_vec(tensor.bytes().to_vec(), tensor.shape().to_vec(), dtype)
}

/// A contiguous copy on burn's default device, of the same type, shape and bits. The tensor has to be of rank `D`.
pub fn to_burn<B: Backend, const D: usize>(tensor: &Tensor) -> BurnTensor<B, D> {
    let data = to_data(tensor);
    let dtype = data.dtype;
    BurnTensor::from_data(data, (&B::Device::default(), dtype))
}

/// A tensor of burn, of whatever layout, as plain data of the same shape and bits.
///
/// # Errors
/// When its element type is not one of ours, or burn cannot read it.
pub fn from_burn<B: Backend, const D: usize>(tensor: BurnTensor<B, D>) -> Result<Tensor, LayerError> {
    let data = tensor.try_into_data().map_err(|error| LayerError::other(format!("{error:?}")))?;
    let dtype = match data.dtype {
        BurnDType::F32 => DType::F32,
        BurnDType::F64 => DType::F64,
        other => return Err(LayerError::other(format!("a tensor of type {other:?}"))),
    };
    let shape: Vec<usize> = data.shape.iter().copied().collect();
    Tensor::from_bytes(dtype, shape, data.as_bytes().to_vec())
        .ok_or_else(|| LayerError::other("a tensor of a wrong size"))
}

#[cfg(test)]
mod tests {
    use burn_ndarray::NdArray;

    use super::*;

    #[test]
    fn special_values_come_back_with_every_bit() {
        let f32 = [0x7fc0_1234u64, 0xff80_0000, 0x7fa0_0001, 0x8000_0000, 1, 0x3f80_0000];
        let tensor = Tensor::from_bit_patterns(DType::F32, &[3, 2], f32);
        assert_eq!(from_burn(to_burn::<NdArray, 2>(&tensor)).unwrap(), tensor);
        let f64 = [0x7ff8_0000_0000_1234u64, 0x7ff4_0000_0000_0001, 1 << 63, 1, f64::MAX.to_bits(), u64::MAX];
        let tensor = Tensor::from_bit_patterns(DType::F64, &[3, 2], f64);
        assert_eq!(from_burn(to_burn::<NdArray, 2>(&tensor)).unwrap(), tensor);
    }

    #[test]
    fn shapes_without_elements_come_back() {
        for shape in [[0, 3, 2], [2, 0, 4]] {
            let tensor = Tensor::full(DType::F32, &shape, 1.5);
            assert_eq!(from_burn(to_burn::<NdArray, 3>(&tensor)).unwrap(), tensor);
        }
    }

    #[test]
    fn other_layouts_are_read_in_the_order_of_their_indices() {
        let tensor = Tensor::from_values(DType::F32, &[2, 3], (0..6).map(f64::from));
        let transposed = from_burn(to_burn::<NdArray, 2>(&tensor).transpose()).unwrap();
        assert_eq!(transposed, Tensor::from_values(DType::F32, &[3, 2], [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]));
    }

    #[test]
    fn data_of_a_type_that_the_backend_does_not_compute_in_keeps_its_bits_as_data() {
        let half = Tensor::from_bit_patterns(DType::Bf16, &[2], [0x3f80, 0x7fc1]);
        assert_eq!(to_data(&half).as_bytes(), half.bytes());
    }
}
