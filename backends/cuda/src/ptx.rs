//! The committed PTX, one module for each storage type.

use bn_api::DType;

use crate::launch::LaunchError;
use crate::stamp::Stamp;

/// The name of the module of a storage type, and its text, head and all.
pub fn module(storage: DType) -> Option<(&'static str, &'static str)> {
    macro_rules! of {
        ($name:literal) => {
            Some((
                concat!("backends/cuda/ptx/", $name, ".ptx"),
                include_str!(concat!("../ptx/", $name, ".ptx")),
            ))
        };
    }
    match storage {
        DType::F16 => of!("batch_norm_f16"),
        DType::Bf16 => of!("batch_norm_bf16"),
        DType::F32 => of!("batch_norm_f32"),
        DType::F64 => of!("batch_norm_f64"),
        DType::I64 => None,
    }
}

/// The same once its head and body are known to belong together.
///
/// # Errors
/// When there is none, or it was edited by hand.
pub fn verified(storage: DType) -> Result<(&'static str, &'static str), LaunchError> {
    let none = || LaunchError::Unexpressed(format!("there are no kernels for {storage}"));
    let (path, text) = module(storage).ok_or_else(none)?;
    match Stamp::verify(text) {
        Ok(_) => Ok((path, text)),
        Err(error) => Err(LaunchError::Missing(format!("{path}: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_storage_type_has_a_module_that_nobody_edited() {
        for storage in DType::FLOATS {
            verified(storage).unwrap_or_else(|error| panic!("{error}"));
        }
    }
}
