//! What executes a kernel: the one interface between the host code, which is shared, and a device.

use thiserror::Error;

use crate::plan::TooLarge;

/// Memory of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buffer {
    /// Its address on the device.
    pub address: u64,
    /// Its size.
    pub bytes: usize,
}

/// What a buffer is for. An executor that can tell holds kernels to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Uploaded before it is read, and never written by a kernel.
    Input,
    /// Every byte is written by kernels exactly once before it is downloaded.
    Output,
    /// Kernels write it and kernels read it, later.
    Scratch,
}

/// One launch of a kernel.
#[derive(Debug, Clone)]
pub struct Launch<'a> {
    /// The kernel's name in the module.
    pub kernel: &'a str,
    /// Blocks in x, y and z.
    pub grid: [u32; 3],
    /// Threads of a block in x, y and z.
    pub block: [u32; 3],
    /// The kernel's only parameter, a structure passed by value, as its bytes.
    pub arguments: &'a [u8],
}

/// A device, or what stands in for one. Launches are executed in order.
pub trait Launcher {
    /// The name that results carry: `cuda` for a GPU, `cuda-ptx` for the interpreter.
    fn label(&self) -> &'static str;

    /// The device and what drives it, for reports: `NVIDIA H100, driver 13.0`.
    fn describe(&self) -> String;

    /// Memory that holds nothing yet, aligned to 256 bytes. Of 0 bytes it may have any address.
    ///
    /// # Errors
    /// When there is not enough.
    fn allocate(&mut self, bytes: usize, purpose: Purpose) -> Result<Buffer, LaunchError>;

    /// Copies to the start of a buffer.
    ///
    /// # Errors
    /// What the device says.
    fn upload(&mut self, to: &Buffer, bytes: &[u8]) -> Result<(), LaunchError>;

    /// Copies a whole buffer back, after all launches before.
    ///
    /// # Errors
    /// What the device says, of those launches as well.
    fn download(&mut self, from: &Buffer) -> Result<Vec<u8>, LaunchError>;

    /// Starts a kernel.
    ///
    /// # Errors
    /// What the device says.
    fn launch(&mut self, launch: &Launch<'_>) -> Result<(), LaunchError>;

    /// Gives memory back.
    fn free(&mut self, buffer: Buffer);
}

/// Why a device does not do what it is told.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum LaunchError {
    /// The device's memory is full.
    #[error("the device is out of memory: {bytes} bytes were asked for{}", free_of(*.free, *.total))]
    OutOfMemory {
        /// What was asked for.
        bytes: usize,
        /// What is free, where the device says so.
        free: Option<usize>,
        /// What it has.
        total: Option<usize>,
    },
    /// A kernel does what it must not. The words say what, where and with which address.
    #[error("{0}")]
    KernelFault(String),
    /// What the driver says.
    #[error("{call} failed: {message}")]
    Driver {
        /// The function.
        call: &'static str,
        /// Its error, with its name.
        message: String,
    },
    /// What the kernels have no words for.
    #[error("{0}")]
    Unexpressed(String),
    /// There is no device.
    #[error("{0}")]
    Missing(String),
    /// A tensor that a grid cannot hold.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// The module has no such kernel.
    #[error("there is no kernel `{0}` in the PTX")]
    NoKernel(String),
}

fn free_of(free: Option<usize>, total: Option<usize>) -> String {
    match (free, total) {
        (Some(free), Some(total)) => format!(", {free} of {total} are free"),
        _ => String::new(),
    }
}
