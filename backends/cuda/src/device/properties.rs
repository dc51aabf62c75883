//! What a GPU is.

use std::fmt;

use cudarc::driver::sys::CUdevice_attribute::{
    CU_DEVICE_ATTRIBUTE_CLOCK_RATE, CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH,
    CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE,
    CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT,
};
use cudarc::driver::{CudaContext, DriverError};

/// A version of CUDA, as the driver numbers it: 13000 for 13.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CudaVersion(pub u32);

impl fmt::Display for CudaVersion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.0 / 1000, self.0 % 1000 / 10)
    }
}

/// What the driver says of a device. As text: `NVIDIA H100 80GB HBM3 (sm_90), driver 13.0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Properties {
    /// Its name.
    pub name: String,
    /// The CUDA version of the driver.
    pub driver: CudaVersion,
    /// Its compute capability, major and minor.
    pub compute_capability: (u32, u32),
    /// Its memory in bytes.
    pub memory: usize,
    /// How many multiprocessors it has.
    pub multiprocessors: u32,
    /// Its highest clock rate in kHz.
    pub clock_khz: u32,
    /// The highest clock rate of its memory in kHz.
    pub memory_clock_khz: u32,
    /// The width of its memory bus in bits.
    pub memory_bus_bits: u32,
    /// The size of its second-level cache in bytes.
    pub l2_bytes: u32,
}

impl Properties {
    pub(super) fn of(context: &CudaContext, driver: CudaVersion) -> Result<Self, DriverError> {
        let number = |attribute| context.attribute(attribute).map(i32::unsigned_abs);
        let (major, minor) = context.compute_capability()?;
        Ok(Properties {
            name: context.name()?,
            driver,
            compute_capability: (major.unsigned_abs(), minor.unsigned_abs()),
            memory: context.total_mem()?,
            multiprocessors: number(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?,
            clock_khz: number(CU_DEVICE_ATTRIBUTE_CLOCK_RATE)?,
            memory_clock_khz: number(CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE)?,
            memory_bus_bits: number(CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH)?,
            l2_bytes: number(CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE)?,
        })
    }
}

impl fmt::Display for Properties {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = self.compute_capability;
        write!(out, "{} (sm_{major}{minor}), driver {}", self.name, self.driver)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_read_as_nvidia_writes_them() {
        assert_eq!(CudaVersion(13_000).to_string(), "13.0");
        assert_eq!(CudaVersion(12_080).to_string(), "12.8");
        assert!(CudaVersion(12_080) < CudaVersion(13_000));
    }
}
