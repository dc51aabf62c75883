//! A device with the module of one storage type, shared by the layers that compute on it.

use std::cell::{RefCell, RefMut};
use std::rc::Rc;

use bn_api::DType;

use crate::launch::{Buffer, Launch, LaunchError, Launcher, Purpose};

/// A device on which the kernels for one storage type run.
#[derive(Clone)]
pub struct Executor {
    launcher: Rc<RefCell<Box<dyn Launcher>>>,
    storage: DType,
}

impl Executor {
    /// On this device, which has the module of this storage type.
    pub fn new(launcher: Box<dyn Launcher>, storage: DType) -> Self {
        Executor { launcher: Rc::new(RefCell::new(launcher)), storage }
    }

    /// The type of the tensors.
    pub fn storage(&self) -> DType {
        self.storage
    }

    /// The device itself. Nobody else may use it meanwhile.
    pub fn launcher(&self) -> RefMut<'_, Box<dyn Launcher>> {
        self.launcher.borrow_mut()
    }

    /// Memory that is given back when nobody holds it any more.
    ///
    /// # Errors
    /// When there is not enough.
    pub fn allocate(&self, bytes: usize, purpose: Purpose) -> Result<Memory, LaunchError> {
        let buffer = self.launcher().allocate(bytes, purpose)?;
        Ok(Memory { executor: self.clone(), buffer })
    }

    /// The same with these contents.
    ///
    /// # Errors
    /// When there is not enough, or the copy fails.
    pub fn upload(&self, bytes: &[u8]) -> Result<Memory, LaunchError> {
        let memory = self.allocate(bytes.len(), Purpose::Input)?;
        self.launcher().upload(&memory.buffer, bytes)?;
        Ok(memory)
    }

    /// Starts kernels, one after the other.
    ///
    /// # Errors
    /// What the device says.
    pub fn run(&self, launches: &[Prepared]) -> Result<(), LaunchError> {
        launches.iter().try_for_each(|prepared| self.launcher().launch(&prepared.launch()))
    }
}

/// A launch with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// The kernel's name.
    pub kernel: String,
    /// Blocks in x, y and z.
    pub grid: [u32; 3],
    /// Threads of a block in x, y and z.
    pub block: [u32; 3],
    /// The kernel's parameter.
    pub arguments: Vec<u8>,
}

impl Prepared {
    /// The launch.
    pub fn launch(&self) -> Launch<'_> {
        Launch { kernel: &self.kernel, grid: self.grid, block: self.block, arguments: &self.arguments }
    }
}

/// Memory of a device, given back when it is dropped.
pub struct Memory {
    executor: Executor,
    buffer: Buffer,
}

impl Memory {
    /// Where it is.
    pub fn buffer(&self) -> &Buffer {
        &self.buffer
    }

    /// What is in it, after all launches before.
    ///
    /// # Errors
    /// What the device says.
    pub fn download(&self) -> Result<Vec<u8>, LaunchError> {
        self.executor.launcher().download(&self.buffer)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.executor.launcher().free(self.buffer.clone());
    }
}
