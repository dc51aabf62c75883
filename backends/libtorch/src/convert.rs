//! Tensors to libtorch and back, bit for bit.

use bn_api::{DType, LayerError, Layout, Strided, Tensor};
use tch::Kind;

use crate::error::layer_error;

// Elements are copied as they lie in memory, and a `bn_api::Tensor` is little-endian.
const _: () = assert!(cfg!(target_endian = "little"), "tensors are copied as little-endian bytes");

/// libtorch's name of an element type.
pub fn kind(dtype: DType) -> Kind {
    match dtype {
        DType::F16 => Kind::Half,
        DType::Bf16 => Kind::BFloat16,
        DType::F32 => Kind::Float,
        DType::F64 => Kind::Double,
        DType::I64 => Kind::Int64,
    }
}

fn dtype(kind: Kind) -> Option<DType> {
    [DType::F16, DType::Bf16, DType::F32, DType::F64, DType::I64]
        .into_iter()
        .find(|&dtype| self::kind(dtype) == kind)
}

/// A contiguous copy for libtorch, of the same shape and bits; no gradient is asked of it.
///
/// # Errors
/// When libtorch cannot make it, or the tensor's shape and data do not go together.
pub fn to_torch(tensor: &Tensor) -> Result<tch::Tensor, LayerError> {
    // libtorch reads as many bytes as the shape has; a tensor that came over a pipe may have fewer.
    if tensor.shape().iter().product::<usize>() != tensor.len() {
        let message = format!("a tensor of shape {:?} with {} elements", tensor.shape(), tensor.len());
        return Err(LayerError::other(message));
    }
    let size: Vec<i64> = tensor.shape().iter().map(|&dim| dim as i64).collect();
    tch::Tensor::f_from_data_size(tensor.bytes(), &size, kind(tensor.dtype())).map_err(layer_error)
}

/// The same as [`to_torch`], as a leaf whose gradient will be asked for.
///
/// # Errors
/// As [`to_torch`].
pub fn to_leaf(tensor: &Tensor) -> Result<tch::Tensor, LayerError> {
    to_torch(tensor)?.f_requires_grad_(true).map_err(layer_error)
}

/// A tensor for libtorch that lies in memory as `layout` says; no gradient is asked of it.
///
/// # Errors
/// As [`to_torch`].
pub fn to_torch_as(tensor: &Tensor, layout: Layout) -> Result<tch::Tensor, LayerError> {
    if layout == Layout::Contiguous {
        return to_torch(tensor);
    }
    let Strided { storage, shape, strides, offset } = Strided::new(tensor, layout);
    let sizes = |values: &[usize]| values.iter().map(|&value| value as i64).collect::<Vec<_>>();
    to_torch(&storage)?.f_as_strided(sizes(&shape), sizes(&strides), offset as i64).map_err(layer_error)
}

/// The same as [`to_torch_as`], as a leaf whose gradient will be asked for, unless it holds integers.
///
/// # Errors
/// As [`to_torch`].
pub fn to_leaf_as(tensor: &Tensor, layout: Layout) -> Result<tch::Tensor, LayerError> {
    let mut plain = to_torch_as(tensor, layout)?;
    plain.f_requires_grad_(tensor.dtype().is_float()).map_err(layer_error)
}

/// A tensor of libtorch, of whatever layout, as plain data of the same shape and bits.
///
/// # Errors
/// When its element type is not one of ours, or libtorch cannot read it.
pub fn from_torch(tensor: &tch::Tensor) -> Result<Tensor, LayerError> {
    let kind = tensor.f_kind().map_err(layer_error)?;
    let dtype = dtype(kind).ok_or_else(|| LayerError::other(format!("a tensor of type {kind:?}")))?;
    let shape: Vec<usize> = tensor.size().into_iter().map(|dim| dim as usize).collect();
    let count = shape.iter().product();
    let mut bytes = vec![0; count * dtype.size()];
    tensor.f_copy_data_u8(&mut bytes, count).map_err(layer_error)?;
    Tensor::from_bytes(dtype, shape, bytes).ok_or_else(|| LayerError::other("a tensor of a wrong size"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_bit_pattern_comes_back() {
        for dtype in [DType::F16, DType::Bf16] {
            let tensor = Tensor::from_bit_patterns(dtype, &[1 << 16], 0..1 << 16);
            assert_eq!(from_torch(&to_torch(&tensor).unwrap()).unwrap(), tensor);
        }
    }

    #[test]
    fn special_values_come_back_with_every_bit() {
        let f32 = [0x7fc0_1234u64, 0xff80_0000, 0x7fa0_0001, 0x8000_0000, 1, 0x3f80_0000];
        let f64 = [0x7ff8_0000_0000_1234u64, 0x7ff4_0000_0000_0001, 1 << 63, 1, f64::MAX.to_bits(), u64::MAX];
        for (dtype, bits) in [(DType::F32, f32), (DType::F64, f64), (DType::I64, f64)] {
            let tensor = Tensor::from_bit_patterns(dtype, &[3, 2], bits);
            assert_eq!(from_torch(&to_torch(&tensor).unwrap()).unwrap(), tensor);
        }
    }

    #[test]
    fn shapes_without_elements_and_scalars_come_back() {
        for shape in [vec![0, 3], vec![2, 0, 4], vec![]] {
            let count = shape.iter().product();
            let tensor = Tensor::from_values(DType::F32, &shape, vec![1.5; count]);
            assert_eq!(from_torch(&to_torch(&tensor).unwrap()).unwrap(), tensor);
        }
    }

    #[test]
    fn a_layout_changes_where_the_elements_lie_and_not_what_they_are() {
        let tensor =
            Tensor::from_values(DType::F32, &[2, 3, 1, 2], (0..12).map(f64::from)).repeat_first_sample();
        let layouts = [Layout::ChannelsLast, Layout::Permuted, Layout::Sliced, Layout::Expanded];
        for (layout, strides) in
            layouts.into_iter().zip([[6, 1, 6, 3], [1, 2, 6, 6], [60, 12, 4, 1], [0, 2, 2, 1]])
        {
            let leaf = to_leaf_as(&tensor, layout).unwrap();
            assert_eq!((leaf.stride(), leaf.requires_grad()), (strides.to_vec(), true), "{layout:?}");
            assert_eq!(from_torch(&leaf).unwrap(), tensor, "{layout:?}");
        }
    }

    #[test]
    fn other_layouts_are_read_in_the_order_of_their_indices() {
        let tensor = Tensor::from_values(DType::F32, &[2, 3], (0..6).map(f64::from));
        let transposed = from_torch(&to_torch(&tensor).unwrap().tr()).unwrap();
        assert_eq!(transposed, Tensor::from_values(DType::F32, &[3, 2], [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]));
    }
}
