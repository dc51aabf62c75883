//! The stream and the events on it, which tell the time of this machine.

// What is exported to C is unsafe by its nature: its name, and the pointers that it is given.
#![allow(unsafe_code, non_snake_case)]

use std::ffi::{c_int, c_uint};

use super::{Handle, give, handle, only};
use crate::driver::answer;
use crate::status::Status;

#[unsafe(no_mangle)]
extern "C" fn cuStreamSynchronize(stream: Handle) -> c_int {
    answer("cuStreamSynchronize", |driver| {
        only(stream)?;
        driver.current()?.wait()
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventCreate(event: *mut Handle, _flags: c_uint) -> c_int {
    // SAFETY: the caller's pointer.
    answer("cuEventCreate", |driver| unsafe { give(event, handle(driver.current()?.event())) })
}

#[unsafe(no_mangle)]
extern "C" fn cuEventRecord(event: Handle, stream: Handle) -> c_int {
    answer("cuEventRecord", |driver| {
        only(stream)?;
        driver.current()?.note(event.addr())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuEventSynchronize(_event: Handle) -> c_int {
    answer("cuEventSynchronize", |driver| driver.current()?.wait())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventElapsedTime_v2(milliseconds: *mut f32, start: Handle, end: Handle) -> c_int {
    answer("cuEventElapsedTime", |driver| {
        let context = driver.current()?;
        let (start, end) = (context.noted(start.addr())?, context.noted(end.addr())?);
        let time = end.checked_duration_since(start).ok_or(Status::INVALID_VALUE)?;
        // SAFETY: the caller's pointer.
        unsafe { give(milliseconds, 1000.0 * time.as_secs_f32()) }
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuEventDestroy_v2(event: Handle) -> c_int {
    answer("cuEventDestroy", |driver| driver.current()?.forget(event.addr()))
}
