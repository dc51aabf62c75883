//! The device `cuda-ptx`: the PTX executed on the CPU by `bn-ptx`, which reports what a kernel must not do.

use std::sync::{Arc, Mutex};

use bn_api::DType;
use bn_ptx::{Memory, Module};

use crate::launch::{Buffer, Launch, LaunchError, Launcher, Purpose};
use crate::ptx;

/// How much memory the device has, in bytes: enough for every case, and less than would hurt the machine.
pub const MEMORY: usize = 2 << 30;

/// A device of the interpreter.
pub struct Interpreter {
    module: Arc<Module>,
    memory: Memory,
    allocations: u64,
}

impl Interpreter {
    /// With the committed PTX for a storage type.
    ///
    /// # Errors
    /// When it was edited by hand, or is not understood.
    pub fn open(storage: DType) -> Result<Self, LaunchError> {
        Ok(Interpreter::new(parsed(storage)?, MEMORY))
    }

    /// With these kernels and this many bytes.
    pub fn new(module: Arc<Module>, memory: usize) -> Self {
        Interpreter { module, memory: Memory::new(memory), allocations: 0 }
    }
}

/// The modules are parsed once, whoever asks.
fn parsed(storage: DType) -> Result<Arc<Module>, LaunchError> {
    static PARSED: Mutex<Vec<(DType, Arc<Module>)>> = Mutex::new(Vec::new());
    let mut parsed = PARSED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some((_, module)) = parsed.iter().find(|(of, _)| *of == storage) {
        return Ok(Arc::clone(module));
    }
    let (path, text) = ptx::verified(storage)?;
    let module = Module::parse(text).map_err(|error| LaunchError::Missing(format!("{path}: {error}")))?;
    let module = Arc::new(module);
    parsed.push((storage, Arc::clone(&module)));
    Ok(module)
}

impl Launcher for Interpreter {
    fn label(&self) -> &'static str {
        "cuda-ptx"
    }

    fn describe(&self) -> String {
        format!("PTX executed by bn-ptx {}", env!("CARGO_PKG_VERSION"))
    }

    fn allocate(&mut self, bytes: usize, purpose: Purpose) -> Result<Buffer, LaunchError> {
        self.allocations += 1;
        let (kind, word) = match purpose {
            Purpose::Input => (bn_ptx::Purpose::Input, "input"),
            Purpose::Output => (bn_ptx::Purpose::Output, "output"),
            Purpose::Scratch => (bn_ptx::Purpose::Scratch, "scratch"),
        };
        let name = format!("{word} {}", self.allocations);
        let address = self.memory.allocate(bytes, kind, &name).map_err(|_| LaunchError::OutOfMemory {
            bytes,
            free: Some(self.memory.free_bytes()),
            total: Some(self.memory.capacity()),
        })?;
        Ok(Buffer { address, bytes })
    }

    fn upload(&mut self, to: &Buffer, bytes: &[u8]) -> Result<(), LaunchError> {
        self.memory.write(to.address, bytes).map_err(fault)
    }

    fn download(&mut self, from: &Buffer) -> Result<Vec<u8>, LaunchError> {
        self.memory.read(from.address, from.bytes).map_err(fault)
    }

    fn launch(&mut self, launch: &Launch<'_>) -> Result<(), LaunchError> {
        if self.module.kernel(launch.kernel).is_none() {
            return Err(LaunchError::NoKernel(launch.kernel.to_owned()));
        }
        let launch = bn_ptx::Launch {
            kernel: launch.kernel,
            grid: launch.grid,
            block: launch.block,
            dynamic_shared: 0,
            parameters: &[launch.arguments],
        };
        bn_ptx::launch(&self.module, &mut self.memory, &launch).map(|_| ()).map_err(fault)
    }

    fn free(&mut self, buffer: Buffer) {
        // It was allocated here, and is freed once.
        let _ = self.memory.free(buffer.address);
    }
}

fn fault(error: impl std::fmt::Display) -> LaunchError {
    LaunchError::KernelFault(error.to_string())
}
