//! The compiled kernels as a device, whose memory is this process's.

use std::collections::BTreeMap;
use std::sync::Arc;

use bn_api::DType;
use bn_cuda::launch::{Buffer, Launch, LaunchError, Launcher, Purpose};

use crate::compiled::Compiled;

/// What memory is filled with that holds nothing yet.
const NOTHING: u8 = 0xa5;

/// A piece of memory with the alignment that a device promises.
#[derive(Clone)]
#[repr(align(256))]
struct Line([u8; 256]);

/// The compiled kernels of one storage type.
pub struct Shim {
    kernels: Arc<Compiled>,
    /// By address.
    memory: BTreeMap<u64, Vec<Line>>,
}

impl Shim {
    /// With the kernels for a storage type.
    pub fn new(storage: DType) -> Self {
        Shim { kernels: Compiled::of(storage), memory: BTreeMap::new() }
    }

    fn lines(&mut self, buffer: &Buffer) -> &mut [Line] {
        self.memory.get_mut(&buffer.address).expect("memory that was allocated here")
    }
}

impl Launcher for Shim {
    fn label(&self) -> &'static str {
        "shim"
    }

    fn describe(&self) -> String {
        "the kernels as C++ on this processor".to_owned()
    }

    fn allocate(&mut self, bytes: usize, _purpose: Purpose) -> Result<Buffer, LaunchError> {
        // One line at least, so that every buffer has an address of its own.
        let mut lines = vec![Line([NOTHING; 256]); bytes.div_ceil(256).max(1)];
        let address = lines.as_mut_ptr().expose_provenance() as u64;
        self.memory.insert(address, lines);
        Ok(Buffer { address, bytes })
    }

    fn upload(&mut self, to: &Buffer, bytes: &[u8]) -> Result<(), LaunchError> {
        for (line, bytes) in self.lines(to).iter_mut().zip(bytes.chunks(256)) {
            line.0[..bytes.len()].copy_from_slice(bytes);
        }
        Ok(())
    }

    fn download(&mut self, from: &Buffer) -> Result<Vec<u8>, LaunchError> {
        let mut bytes: Vec<u8> = self.lines(from).iter().flat_map(|line| line.0).collect();
        let behind = bytes.split_off(from.bytes);
        match behind.iter().position(|byte| *byte != NOTHING) {
            Some(at) => Err(LaunchError::KernelFault(format!("byte {at} behind a buffer was written"))),
            None => Ok(bytes),
        }
    }

    fn launch(&mut self, launch: &Launch<'_>) -> Result<(), LaunchError> {
        self.kernels.run(launch).map_err(LaunchError::KernelFault)
    }

    fn free(&mut self, buffer: Buffer) {
        self.memory.remove(&buffer.address);
    }
}
