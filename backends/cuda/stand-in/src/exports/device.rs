//! The driver, its devices and their contexts.

// What is exported to C is unsafe by its nature: its name, and the pointers that it is given.
#![allow(unsafe_code, non_snake_case)]

use std::ffi::{c_char, c_int, c_uint};

use super::{Handle, give, handle};
use crate::driver::{answer, current_handle};
use crate::status::{Answer, Status, describe};

// Attributes of a device, as `CUdevice_attribute` numbers them.
const CLOCK_RATE: c_int = 13;
const MULTIPROCESSOR_COUNT: c_int = 16;
const MEMORY_CLOCK_RATE: c_int = 36;
const GLOBAL_MEMORY_BUS_WIDTH: c_int = 37;
const L2_CACHE_SIZE: c_int = 38;
const COMPUTE_CAPABILITY_MAJOR: c_int = 75;
const COMPUTE_CAPABILITY_MINOR: c_int = 76;
const MEMORY_POOLS_SUPPORTED: c_int = 115;

#[unsafe(no_mangle)]
extern "C" fn cuInit(_flags: c_uint) -> c_int {
    answer("cuInit", |driver| match driver.settings()?.devices {
        0 => Err(Status::NO_DEVICE),
        _ => Ok(()),
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDriverGetVersion(version: *mut c_int) -> c_int {
    // SAFETY: the caller's pointer.
    answer("cuDriverGetVersion", |driver| unsafe { give(version, driver.settings()?.driver) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGetErrorString(error: c_int, words: *mut *const c_char) -> c_int {
    // SAFETY: the caller's pointer.
    describe_to(|| unsafe { give(words, describe(error).ok_or(Status::INVALID_VALUE)?.1.as_ptr()) })
}

/// Errors are described before the driver is initialised as well, and never fail on demand.
fn describe_to(work: impl FnOnce() -> Answer) -> c_int {
    work().map_or_else(Status::code, |()| 0)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetCount(count: *mut c_int) -> c_int {
    // SAFETY: the caller's pointer.
    answer("cuDeviceGetCount", |driver| unsafe { give(count, driver.settings()?.devices) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGet(device: *mut c_int, ordinal: c_int) -> c_int {
    answer("cuDeviceGet", |driver| {
        driver.device(ordinal)?;
        // SAFETY: the caller's pointer.
        unsafe { give(device, ordinal) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetName(name: *mut c_char, room: c_int, device: c_int) -> c_int {
    answer("cuDeviceGetName", |driver| {
        driver.device(device)?;
        let own = format!("bn-cuda-stand-in {device}\0");
        if name.is_null() || usize::try_from(room).is_ok_and(|room| room < own.len()) {
            return Err(Status::INVALID_VALUE);
        }
        // SAFETY: the caller's pointer, to as much room as it says, which is enough.
        unsafe { name.cast::<u8>().copy_from_nonoverlapping(own.as_ptr(), own.len()) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetAttribute(value: *mut c_int, attribute: c_int, device: c_int) -> c_int {
    answer("cuDeviceGetAttribute", |driver| {
        driver.device(device)?;
        let number = match attribute {
            CLOCK_RATE | MEMORY_CLOCK_RATE => 1_000_000,
            MULTIPROCESSOR_COUNT => 1,
            GLOBAL_MEMORY_BUS_WIDTH => 64,
            L2_CACHE_SIZE => 1 << 20,
            COMPUTE_CAPABILITY_MAJOR => 9,
            COMPUTE_CAPABILITY_MINOR => 0,
            MEMORY_POOLS_SUPPORTED => driver.settings()?.pools,
            _ => return Err(Status::INVALID_VALUE),
        };
        // SAFETY: the caller's pointer.
        unsafe { give(value, number) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceTotalMem_v2(bytes: *mut usize, device: c_int) -> c_int {
    answer("cuDeviceTotalMem", |driver| {
        driver.device(device)?;
        // SAFETY: the caller's pointer.
        unsafe { give(bytes, driver.settings()?.memory) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDevicePrimaryCtxRetain(context: *mut Handle, device: c_int) -> c_int {
    // SAFETY: the caller's pointer.
    answer("cuDevicePrimaryCtxRetain", |driver| unsafe { give(context, handle(driver.retain(device)?)) })
}

#[unsafe(no_mangle)]
extern "C" fn cuDevicePrimaryCtxRelease_v2(device: c_int) -> c_int {
    answer("cuDevicePrimaryCtxRelease", |driver| driver.release(device))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuCtxGetCurrent(context: *mut Handle) -> c_int {
    // SAFETY: the caller's pointer.
    answer("cuCtxGetCurrent", |_| unsafe { give(context, handle(current_handle())) })
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxSetCurrent(context: Handle) -> c_int {
    answer("cuCtxSetCurrent", |driver| driver.set_current(context.addr()))
}
