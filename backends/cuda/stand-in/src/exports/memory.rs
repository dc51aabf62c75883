//! Memory: to have it, to fill it, to copy it.

// What is exported to C is unsafe by its nature: its name, and the pointers that it is given.
#![allow(unsafe_code, non_snake_case)]

use std::ffi::{c_int, c_uchar, c_void};

use super::{Handle, give, only};
use crate::context::Work;
use crate::driver::answer;
use crate::status::Status;

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemGetInfo_v2(free: *mut usize, all: *mut usize) -> c_int {
    answer("cuMemGetInfo", |driver| {
        let memory = driver.current()?.memory();
        // SAFETY: the caller's pointers.
        unsafe { give(free, memory.0).and_then(|()| give(all, memory.1)) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemAlloc_v2(address: *mut u64, bytes: usize) -> c_int {
    // SAFETY: the caller's pointer.
    answer("cuMemAlloc", |driver| unsafe { give(address, driver.current()?.allocate(bytes)?) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemAllocAsync(address: *mut u64, bytes: usize, stream: Handle) -> c_int {
    answer("cuMemAllocAsync", |driver| {
        only(stream)?;
        // SAFETY: the caller's pointer.
        unsafe { give(address, driver.current()?.allocate(bytes)?) }
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemFree_v2(address: u64) -> c_int {
    answer("cuMemFree", |driver| {
        let context = driver.current()?;
        context.later(Work::Free(address));
        context.wait()
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemFreeAsync(address: u64, stream: Handle) -> c_int {
    answer("cuMemFreeAsync", |driver| {
        only(stream)?;
        driver.current()?.later(Work::Free(address));
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemsetD8Async(address: u64, byte: c_uchar, bytes: usize, stream: Handle) -> c_int {
    answer("cuMemsetD8Async", |driver| {
        only(stream)?;
        driver.current()?.later(Work::Fill(address, byte, bytes));
        Ok(())
    })
}

/// Takes its own copy at once, as the driver does of memory that is not pinned.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyHtoDAsync_v2(
    to: u64,
    from: *const c_void,
    bytes: usize,
    stream: Handle,
) -> c_int {
    answer("cuMemcpyHtoDAsync", |driver| {
        only(stream)?;
        let context = driver.current()?;
        if from.is_null() {
            return Err(Status::INVALID_VALUE);
        }
        // SAFETY: the caller's pointer, to as many bytes as it says.
        let copied = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), bytes) }.to_vec();
        context.later(Work::Write(to, copied));
        Ok(())
    })
}

/// Waits, as the driver does for memory that is not pinned.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyDtoHAsync_v2(to: *mut c_void, from: u64, bytes: usize, stream: Handle) -> c_int {
    answer("cuMemcpyDtoHAsync", |driver| {
        only(stream)?;
        let copied = driver.current()?.read(from, bytes)?;
        if to.is_null() {
            return Err(Status::INVALID_VALUE);
        }
        // SAFETY: the caller's pointer, to room for as many bytes as it says, which is how many were read.
        unsafe { to.cast::<u8>().copy_from_nonoverlapping(copied.as_ptr(), bytes) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyDtoDAsync_v2(to: u64, from: u64, bytes: usize, stream: Handle) -> c_int {
    answer("cuMemcpyDtoDAsync", |driver| {
        only(stream)?;
        driver.current()?.later(Work::Copy(to, from, bytes));
        Ok(())
    })
}
