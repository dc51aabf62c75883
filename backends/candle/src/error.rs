//! candle's errors as [`LayerError`]s.

use bn_api::{ErrorClass, LayerError};
use candle_core::Error;

/// An error of candle in its own words, without the backtrace it may carry: of class `dtype_mismatch` where
/// that is what it says, else of the class `otherwise`.
pub fn layer_error(error: Error, otherwise: ErrorClass) -> LayerError {
    match error {
        Error::WithBacktrace { inner, .. } | Error::Context { inner, .. } => layer_error(*inner, otherwise),
        Error::DTypeMismatchBinaryOp { .. } | Error::UnexpectedDType { .. } => {
            LayerError::new(ErrorClass::DtypeMismatch, error.to_string())
        }
        _ => LayerError::new(otherwise, error.to_string()),
    }
}

/// An error of no class in particular.
pub fn other(error: Error) -> LayerError {
    layer_error(error, ErrorClass::Other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backtrace_is_left_out_and_the_class_found_under_it() {
        let mismatch = Error::DTypeMismatchBinaryOp {
            lhs: candle_core::DType::F16,
            rhs: candle_core::DType::F32,
            op: "add",
        };
        let wrapped = Error::WithBacktrace {
            inner: Box::new(mismatch),
            backtrace: Box::new(std::backtrace::Backtrace::force_capture()),
        };
        let expected =
            LayerError::new(ErrorClass::DtypeMismatch, "dtype mismatch in add, lhs: F16, rhs: F32");
        assert_eq!(other(wrapped), expected);
    }
}
