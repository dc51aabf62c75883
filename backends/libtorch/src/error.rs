//! libtorch's exceptions as [`LayerError`]s.

use bn_api::{ErrorClass, LayerError};
use tch::TchError;

/// What the message of an exception that complains about element types says, in one way or another.
const ABOUT_DTYPES: [&str; 6] = [
    "expected scalar type",      // expected scalar type Half but found Float
    "mixed dtype",               // mixed dtype (CPU): expect parameter to have scalar type of Float
    "should have the same type", // Input type and weight type should be the same
    "to have type",              // CUDA: Expected weight to have type Half but got Float
    "must have the same dtype",
    "\"batch_norm\" not implemented for", // 'Long'
];

/// Where a C++ backtrace starts in a message.
const BACKTRACES: [&str; 2] = ["Exception raised from", "C++ CapturedTraceback"];

/// An error of tch or libtorch with its class, in its own words but without the C++ backtrace.
pub fn layer_error(error: TchError) -> LayerError {
    let message = match error {
        TchError::Torch(message) => without_backtrace(&message),
        other => other.to_string(),
    };
    LayerError::new(class_of(&message), message)
}

/// A message up to the C++ backtrace that libtorch appends, whether its line breaks are real ones or, as in
/// the message of a panic on `unwrap`, written `\n`.
pub fn without_backtrace(message: &str) -> String {
    let end = BACKTRACES.iter().filter_map(|start| message.find(start)).min().unwrap_or(message.len());
    let mut rest = message[..end].trim_end();
    while let Some(shorter) = rest.strip_suffix("\\n") {
        rest = shorter.trim_end();
    }
    rest.to_owned()
}

fn class_of(message: &str) -> ErrorClass {
    if ABOUT_DTYPES.iter().any(|words| message.contains(words)) {
        ErrorClass::DtypeMismatch
    } else {
        ErrorClass::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_dtype_error_has_its_class_and_no_backtrace() {
        let half = tch::Tensor::ones([2, 2], (tch::Kind::Half, tch::Device::Cpu));
        let weight = tch::Tensor::ones([2], (tch::Kind::Half, tch::Device::Cpu));
        let stats = tch::Tensor::ones([2], (tch::Kind::Float, tch::Device::Cpu));
        let answer = half.f_batch_norm(
            Some(&weight),
            Some(&weight),
            Some(&stats),
            Some(&stats),
            false,
            0.1,
            1e-5,
            false,
        );
        let error = layer_error(answer.unwrap_err());
        assert_eq!(
            error,
            LayerError::new(ErrorClass::DtypeMismatch, "expected scalar type Half but found Float")
        );
    }

    #[test]
    fn a_backtrace_goes_with_real_and_with_written_line_breaks() {
        for message in ["why\nException raised from f at g.cpp", "why\\nException raised from f", "why"] {
            assert_eq!(without_backtrace(message), "why");
        }
    }
}
