//! The exported functions, under the names that cudarc looks up: `cuda.h` gives some of their names other ones.
//!
//! All of them are called through pointers, by a program that holds to the signatures in `cuda.h`. Handles are numbers
//! that travel as pointers and are never followed. A function that is not here is one that `bn-cuda` does not call.

mod device;
mod memory;
mod module;
mod stream;

use std::ffi::c_void;

use crate::status::{Answer, Status};

/// A context, a module, a function, a stream or an event.
type Handle = *mut c_void;

/// A number as a handle.
fn handle(number: usize) -> Handle {
    std::ptr::without_provenance_mut(number)
}

/// Gives an answer through a pointer.
///
/// # Safety
/// The place is null, or a `T` can be written to it.
#[allow(unsafe_code)] // The caller's pointer, as in all of C.
unsafe fn give<T>(place: *mut T, value: T) -> Answer {
    if place.is_null() {
        return Err(Status::INVALID_VALUE);
    }
    // SAFETY: as the caller promises.
    unsafe { place.write(value) };
    Ok(())
}

/// There is one stream, whose handle is null.
fn only(stream: Handle) -> Answer {
    if stream.is_null() { Ok(()) } else { Err(Status::INVALID_HANDLE) }
}
