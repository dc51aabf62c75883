//! The device's memory and programs, which are those of [`bn_ptx`].
//!
//! The driver does not know what memory is for, so all of it is scratch to the interpreter: that every element of an
//! output is written once is not checked here.

use bn_ptx::{FaultKind, LaunchError, Module, Purpose};

use crate::context::Run;
use crate::status::{Answer, Status};

/// Memory of a device.
pub struct Memory {
    memory: bn_ptx::Memory,
    /// How many allocations there were: the interpreter calls them by their number.
    allocations: usize,
}

impl Memory {
    /// So many bytes, all of them free.
    pub fn new(capacity: usize) -> Self {
        Memory { memory: bn_ptx::Memory::new(capacity), allocations: 0 }
    }

    /// Memory that holds nothing yet.
    pub fn allocate(&mut self, bytes: usize) -> Answer<u64> {
        self.allocations += 1;
        let name = format!("allocation {}", self.allocations);
        self.memory.allocate(bytes, Purpose::Scratch, &name).map_err(|_| Status::OUT_OF_MEMORY)
    }

    /// Gives memory back.
    pub fn free(&mut self, address: u64) -> Answer {
        self.memory.free(address).map_err(|_| Status::INVALID_VALUE)
    }

    /// Writes bytes at an address.
    pub fn write(&mut self, address: u64, bytes: &[u8]) -> Answer {
        self.memory.write(address, bytes).map_err(|_| Status::INVALID_VALUE)
    }

    /// Reads bytes at an address, whether anything was ever written there or not: a copy to the host does not care.
    pub fn read(&self, address: u64, bytes: usize) -> Answer<Vec<u8>> {
        self.memory.read_anyway(address, bytes).map_err(|_| Status::INVALID_VALUE)
    }

    /// Copies on the device, to an address from an address.
    pub fn copy(&mut self, to: u64, from: u64, bytes: usize) -> Answer {
        self.memory.copy(to, from, bytes).map_err(|_| Status::INVALID_VALUE)
    }

    /// Writes a byte, so many times, at an address.
    pub fn fill(&mut self, address: u64, byte: u8, bytes: usize) -> Answer {
        self.memory.fill(address, byte, bytes).map_err(|_| Status::INVALID_VALUE)
    }

    /// What is free, in bytes.
    pub fn free_bytes(&self) -> usize {
        self.memory.free_bytes()
    }

    /// What there is, in bytes.
    pub fn capacity(&self) -> usize {
        self.memory.capacity()
    }

    /// Runs a kernel. A fault is an answer with the interpreter's words about it.
    pub fn run(&mut self, run: &Run) -> Result<(), (Status, String)> {
        let parameters: Vec<&[u8]> = run.parameters.iter().map(Vec::as_slice).collect();
        let launch = bn_ptx::Launch {
            kernel: &run.kernel,
            grid: run.grid,
            block: run.block,
            dynamic_shared: run.shared as usize,
            parameters: &parameters,
        };
        bn_ptx::launch(&run.program.module, &mut self.memory, &launch)
            .map(|_| ())
            .map_err(|error| (status_of(&error), error.to_string()))
    }
}

/// What a GPU answers, or would if it noticed all that the interpreter does.
fn status_of(error: &LaunchError) -> Status {
    match error {
        LaunchError::Fault(fault) => match fault.kind {
            FaultKind::OutOfBounds | FaultKind::UseAfterFree => Status::ILLEGAL_ADDRESS,
            FaultKind::Misaligned => Status::MISALIGNED_ADDRESS,
            _ => Status::LAUNCH_FAILED,
        },
        LaunchError::NoKernel(_) | LaunchError::BadLaunch { .. } => Status::LAUNCH_FAILED,
    }
}

/// A module.
pub struct Program {
    module: Module,
}

impl Program {
    /// Reads PTX; an error in the interpreter's words.
    pub fn parse(text: &str) -> Result<Self, String> {
        Module::parse(text).map(|module| Program { module }).map_err(|error| error.to_string())
    }

    /// Offset and size of each parameter of a kernel, if the module has it.
    pub fn parameters(&self, kernel: &str) -> Option<Vec<(usize, usize)>> {
        let parameters = self.module.kernel(kernel)?.parameters().iter();
        Some(parameters.map(|parameter| (parameter.offset, parameter.bytes)).collect())
    }
}
