//! Which element types go together.

use bn_cases::{DType, ErrorClass, Tensor};

use crate::{Forward, LayerError};

/// Whether PyTorch's `batch_norm` takes an input of this type with parameters and running statistics of these, in the
/// order weight, bias, running mean, running variance; those that are missing, or not handed over, left out.
///
/// Source: `is_mixed_type` and `check_mixed_data_type` in `aten/src/ATen/native/cpu/mixed_data_type.h` and the typed
/// accessors of `Normalization.cpp` (PyTorch 2.11): the first of the tensors decides whether the types are mixed, and
/// mixed types are a half input beside nothing but `f32`. An empty batch is not checked at all.
///
/// # Errors
/// Of class `dtype_mismatch`, in PyTorch's words where they do not depend on the kernel.
pub fn check(input: DType, tensors: impl IntoIterator<Item = DType>) -> Result<(), LayerError> {
    let refused = |message: String| Err(LayerError::new(ErrorClass::DtypeMismatch, message));
    if !input.is_float() {
        return refused(format!("\"batch_norm\" not implemented for {input}"));
    }
    let tensors: Vec<DType> = tensors.into_iter().collect();
    let Some(&first) = tensors.first() else { return Ok(()) };
    if first == input {
        return match tensors.iter().find(|dtype| **dtype != input) {
            Some(other) => {
                refused(format!("expected scalar type {} but found {}", torch(input), torch(*other)))
            }
            None => Ok(()),
        };
    }
    if !input.is_half() {
        return refused("mixed dtype (CPU): all inputs must share same datatype.".to_owned());
    }
    if tensors.iter().any(|dtype| *dtype != DType::F32) {
        return refused("mixed dtype (CPU): expect parameter to have scalar type of Float".to_owned());
    }
    Ok(())
}

/// Whether a refused training forward has moved the running statistics all the same: the type of the bias is looked at
/// when the output is computed, after the statistics. In the order weight, bias, running mean, running variance.
///
/// Measured over all combinations with PyTorch 2.11 on the CPU.
pub fn moves_before_it_refuses(input: DType, tensors: [Option<DType>; 4]) -> bool {
    let [weight, bias, mean, var] = tensors;
    input.is_float() && [weight, mean, var] == [Some(input); 3] && bias.is_some_and(|bias| bias != input)
}

/// Why PyTorch refuses a call for its types, and whether only after the statistics have moved.
///
/// # Errors
/// Of class `dtype_mismatch`; the statistics have to be moved before it is raised where the flag says so.
pub fn check_call(call: &Forward<'_>) -> Result<(), (LayerError, bool)> {
    // An empty batch is not checked.
    if call.input.is_empty() {
        return Ok(());
    }
    let input = call.input.dtype();
    let running = call.running.as_ref();
    let tensors =
        [call.weight, call.bias, running.map(|running| &running.mean), running.map(|running| &running.var)];
    let tensors = tensors.map(|tensor| tensor.map(Tensor::dtype));
    check(input, tensors.into_iter().flatten())
        .map_err(|error| (error, call.use_batch_stats && moves_before_it_refuses(input, tensors)))
}

/// Computes a call that PyTorch does not refuse for its types. One that it refuses late, when the statistics have moved, is
/// computed all the same.
///
/// # Errors
/// Of class `dtype_mismatch`.
pub fn unless_refused<T>(call: Forward<'_>, compute: impl FnOnce(Forward<'_>) -> T) -> Result<T, LayerError> {
    let refused = check_call(&call);
    if let Err((error, false)) = refused {
        return Err(error);
    }
    let computed = compute(call);
    refused.map_err(|(error, _)| error).map(|()| computed)
}

/// PyTorch's name of a type.
fn torch(dtype: DType) -> &'static str {
    match dtype {
        DType::F16 => "Half",
        DType::Bf16 => "BFloat16",
        DType::F32 => "Float",
        DType::F64 => "Double",
        DType::I64 => "Long",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DType::{Bf16, F16, F32, F64, I64};

    #[test]
    fn a_half_network_with_statistics_in_f32_is_refused_in_the_words_of_the_forums() {
        let error = check(F16, [F16, F16, F32, F32]).unwrap_err();
        assert_eq!(
            error,
            LayerError::new(ErrorClass::DtypeMismatch, "expected scalar type Half but found Float")
        );
    }

    #[test]
    fn one_type_goes_and_half_beside_f32_and_nothing_else() {
        for input in DType::FLOATS {
            assert!(check(input, []).is_ok());
            for all in DType::FLOATS {
                let goes = all == input || (input.is_half() && all == F32);
                assert_eq!(check(input, [all; 4]).is_ok(), goes, "{input} with {all}");
            }
        }
        assert!(check(Bf16, [F32, F32, Bf16, Bf16]).is_err());
        assert!(check(F16, [F32, F64]).is_err());
        assert!(check(I64, []).is_err());
    }
}
