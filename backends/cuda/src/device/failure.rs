//! A call that the driver did not carry out.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use cudarc::driver::DriverError;
use cudarc::driver::sys::CUresult;

/// Why a call failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// The driver's function, or the one that stands for the few that cudarc calls for one purpose.
    pub call: &'static str,
    /// The driver's answer; none where cudarc panicked or the fault was seen before the driver.
    pub code: Option<CUresult>,
    /// The answer's name and what the driver says about it.
    pub message: String,
}

/// What follows from a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    /// That call was not carried out, others will be.
    Refused,
    /// A kernel did what it must not, and no call will be carried out any more.
    KernelFault,
    /// Something else after which no call will be carried out any more.
    ContextLost,
}

impl Failure {
    /// What follows. The codes are those of which the driver's documentation says that the process is left in an
    /// inconsistent state (CUDA Driver API, `CUresult`).
    pub(super) fn severity(&self) -> Severity {
        match self.code {
            Some(
                CUresult::CUDA_ERROR_ILLEGAL_ADDRESS
                | CUresult::CUDA_ERROR_LAUNCH_TIMEOUT
                | CUresult::CUDA_ERROR_ASSERT
                | CUresult::CUDA_ERROR_HARDWARE_STACK_ERROR
                | CUresult::CUDA_ERROR_ILLEGAL_INSTRUCTION
                | CUresult::CUDA_ERROR_MISALIGNED_ADDRESS
                | CUresult::CUDA_ERROR_INVALID_ADDRESS_SPACE
                | CUresult::CUDA_ERROR_INVALID_PC
                | CUresult::CUDA_ERROR_LAUNCH_FAILED,
            ) => Severity::KernelFault,
            Some(
                CUresult::CUDA_ERROR_DEINITIALIZED
                | CUresult::CUDA_ERROR_ECC_UNCORRECTABLE
                | CUresult::CUDA_ERROR_NVLINK_UNCORRECTABLE
                | CUresult::CUDA_ERROR_CONTAINED
                | CUresult::CUDA_ERROR_CONTEXT_IS_DESTROYED
                | CUresult::CUDA_ERROR_EXTERNAL_DEVICE,
            ) => Severity::ContextLost,
            _ => Severity::Refused,
        }
    }
}

/// Asks the driver through cudarc, which panics where the library, or a function in it, is missing.
pub(super) fn ask<T>(
    call: &'static str,
    question: impl FnOnce() -> Result<T, DriverError>,
) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(question)) {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Failure { call, code: Some(error.0), message: words(error) }),
        Err(panic) => Err(Failure { call, code: None, message: panic_words(panic.as_ref()) }),
    }
}

/// `CUDA_ERROR_OUT_OF_MEMORY: out of memory`.
fn words(error: DriverError) -> String {
    let name = format!("{:?}", error.0);
    match catch_unwind(|| error.error_string().map(|said| said.to_string_lossy().into_owned())) {
        Ok(Ok(said)) => format!("{name}: {said}"),
        Ok(Err(_)) | Err(_) => name,
    }
}

/// What a panic says.
pub(super) fn panic_words(panic: &(dyn Any + Send)) -> String {
    let said = panic.downcast_ref::<String>().map(String::as_str);
    said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("cudarc panicked").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_cudarc_becomes_a_failure_with_its_words() {
        let failure = ask::<()>("cuInit", || panic!("Missing symbol {}", "cuInit")).unwrap_err();
        assert_eq!((failure.call, failure.code), ("cuInit", None));
        assert_eq!(failure.message, "Missing symbol cuInit");
        assert_eq!(failure.severity(), Severity::Refused);
    }

    #[test]
    fn only_faults_and_lost_contexts_are_final() {
        let severity =
            |code| Failure { call: "cuLaunchKernel", code: Some(code), message: String::new() }.severity();
        assert_eq!(severity(CUresult::CUDA_ERROR_MISALIGNED_ADDRESS), Severity::KernelFault);
        assert_eq!(severity(CUresult::CUDA_ERROR_ECC_UNCORRECTABLE), Severity::ContextLost);
        assert_eq!(severity(CUresult::CUDA_ERROR_INVALID_VALUE), Severity::Refused);
        assert_eq!(severity(CUresult::CUDA_ERROR_OUT_OF_MEMORY), Severity::Refused);
        assert_eq!(severity(CUresult::CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES), Severity::Refused);
    }
}
