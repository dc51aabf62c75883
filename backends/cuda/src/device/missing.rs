//! Why a GPU cannot be used.

use thiserror::Error;

use super::opening::CHOOSES_DEVICE;
use super::properties::CudaVersion;

/// Why there is no device to run kernels on. Each says what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Missing {
    /// The driver's library is not there.
    #[error(
        "there is no NVIDIA driver: libcuda is not found. Install the driver for CUDA 13.0 or later, or run the \
         backend `cuda-ptx`, which needs no GPU"
    )]
    NoLibrary,
    /// What is there is made for linking only.
    #[error(
        "the libcuda that is found is the CUDA toolkit's stub, which is for linking only. Take its folder (`stubs`) \
         off LD_LIBRARY_PATH"
    )]
    Stub,
    /// The driver sees no GPU.
    #[error(
        "the NVIDIA driver finds no GPU. Look at what `nvidia-smi` lists, at CUDA_VISIBLE_DEVICES, and whether a \
         container is given its GPUs; or run the backend `cuda-ptx`, which needs none"
    )]
    NoDevice,
    /// The variable that chooses a GPU numbers none of them.
    #[error(
        "{CHOOSES_DEVICE} is `{chosen}`, and the NVIDIA driver finds {count} GPU{}. Set it to a number from 0 to {}, \
         or unset it", plural(*count), count.saturating_sub(1)
    )]
    NoSuchDevice {
        /// The variable's value.
        chosen: String,
        /// How many there are, at least one.
        count: usize,
    },
    /// The driver is older than the kernels.
    #[error(
        "the NVIDIA driver is too old: it is for CUDA {has}, and the kernels (PTX {ptx}) need {needs}. Install a newer \
         driver, or run the backend `cuda-ptx`, which needs none"
    )]
    DriverTooOld {
        /// The CUDA version of the driver.
        has: CudaVersion,
        /// The one that is needed.
        needs: CudaVersion,
        /// The version of the PTX.
        ptx: String,
    },
    /// The driver's assembler does not accept the PTX.
    #[error("the NVIDIA driver does not assemble the kernels: {message}{}", lines(log))]
    BadPtx {
        /// The driver's error, with its name.
        message: String,
        /// What its assembler says.
        log: String,
    },
    /// A kernel's fault lost the GPU to this process, and something of it is still there.
    #[error(
        "the GPU is lost to this process since a kernel's fault: {0}. Drop every device of the process before another \
         is opened; where that does not help, start a new process"
    )]
    Lost(String),
    /// Something else in the driver.
    #[error("the NVIDIA driver does not start: {call} failed: {message}. See whether `nvidia-smi` works")]
    Driver {
        /// The function.
        call: &'static str,
        /// Its error, with its name.
        message: String,
    },
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn lines(log: &str) -> String {
    if log.is_empty() { String::new() } else { format!("\n{log}").replace('\n', "\n  ") }
}
