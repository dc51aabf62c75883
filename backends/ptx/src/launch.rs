//! Launches.

use crate::execute::{ENDLESS, Machine};
use crate::fault::LaunchError;
use crate::memory::Memory;
use crate::module::{Kernel, Module};
use crate::parse::MOST_SHARED;

/// What is launched.
#[derive(Debug, Clone)]
pub struct Launch<'a> {
    /// The kernel's name.
    pub kernel: &'a str,
    /// Blocks in x, y and z.
    pub grid: [u32; 3],
    /// Threads of a block in x, y and z.
    pub block: [u32; 3],
    /// Shared memory beyond what the kernel declares with a size, in bytes.
    pub dynamic_shared: usize,
    /// Each parameter's bytes, in order.
    pub parameters: &'a [&'a [u8]],
}

/// What a launch took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Instructions, each counted once for each thread that executed it.
    pub instructions: u64,
    /// Instructions, each counted once for each time a warp executed it.
    pub warp_instructions: u64,
}

/// Executes a kernel to its end, block after block. The result and the first fault are the same each time.
///
/// # Errors
/// When there is no such kernel, the launch does not fit it, or the kernel does what it must not. After a fault memory
/// is as it was when the fault was found.
pub fn launch(module: &Module, memory: &mut Memory, launch: &Launch<'_>) -> Result<Statistics, LaunchError> {
    launch_within(module, memory, launch, ENDLESS)
}

/// The same, where a warp that has executed `most` instructions in a block is one that does not come to an end.
///
/// # Errors
/// The same.
pub fn launch_within(
    module: &Module,
    memory: &mut Memory,
    launch: &Launch<'_>,
    most: u64,
) -> Result<Statistics, LaunchError> {
    let kernel =
        module.kernel(launch.kernel).ok_or_else(|| LaunchError::NoKernel(launch.kernel.to_owned()))?;
    if let Some(message) = misfit(kernel, launch) {
        return Err(LaunchError::BadLaunch { kernel: kernel.name.clone(), message });
    }
    Machine::new(module, kernel, memory, launch, most).run().map_err(LaunchError::Fault)
}

/// All threads of a block; what is beyond 64 bits is beyond all limits.
fn count(block: [u32; 3]) -> u64 {
    block.iter().fold(1, |count: u64, &size| count.saturating_mul(size.into()))
}

fn misfit(kernel: &Kernel, launch: &Launch<'_>) -> Option<String> {
    let (grid, block) = (launch.grid, launch.block);
    if grid.contains(&0) || block.contains(&0) {
        return Some(format!("a grid of {grid:?} and a block of {block:?} are empty"));
    }
    if grid[0] > i32::MAX as u32 || grid[1] > 65535 || grid[2] > 65535 {
        return Some(format!("a grid of {grid:?} is beyond 2147483647, 65535 and 65535"));
    }
    let threads = count(block);
    if threads > 1024 || block[2] > 64 {
        return Some(format!("a block of {block:?} is beyond 1024 threads, or beyond 64 in z"));
    }
    if let Some(most) = kernel.max_threads {
        let allowed = count(most);
        if threads > allowed {
            return Some(format!(
                "a block of {threads} threads is beyond the kernel's `.maxntid` of {allowed}"
            ));
        }
    }
    let shared = kernel.shared_bytes.next_multiple_of(16).saturating_add(launch.dynamic_shared);
    if launch.dynamic_shared > 0 && shared > MOST_SHARED {
        return Some(format!("{shared} bytes of shared memory are beyond {MOST_SHARED}"));
    }
    if launch.parameters.len() != kernel.parameters.len() {
        let (given, wanted) = (launch.parameters.len(), kernel.parameters.len());
        return Some(format!("{given} parameters are given, it has {wanted}"));
    }
    kernel
        .parameters
        .iter()
        .zip(launch.parameters)
        .find(|(parameter, bytes)| parameter.bytes != bytes.len())
        .map(|(parameter, bytes)| {
            format!(
                "the parameter `{}` has {} bytes, {} are given",
                parameter.name,
                parameter.bytes,
                bytes.len()
            )
        })
}
